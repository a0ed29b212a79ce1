"""Units of length: symbols, spellings, conversion."""

from __future__ import annotations

import pytest

from bfio.units import METRES, NAMES, UNITLESS, convert, normalise


@pytest.mark.parametrize("symbol", [*METRES, *UNITLESS])
def test_symbols_stay(symbol: str) -> None:
    assert normalise(symbol) == symbol
    assert normalise(f" {symbol}\x00") == symbol
    assert normalise(symbol.encode().decode("latin-1")) == symbol


@pytest.mark.parametrize(
    "spelling",
    ["Âµm", "μm", "Î¼m", "um", "UM", "Micron", "micrometer", "micrometers", "\\u00B5m", "?m", "�m", "", None],
)
def test_spellings_of_micrometre(spelling: str | None) -> None:
    assert normalise(spelling) == "µm"


def test_names_and_the_unknown() -> None:
    for symbol, name in NAMES.items():
        assert normalise(name) == symbol
        assert normalise(name.title()) == symbol
    assert normalise("Å") == normalise("Å") == normalise("Ångström".replace("ngström", "")) == "Å"
    assert normalise("furlong") == "reference frame"
    assert normalise(None, default="mm") == "mm"


def test_conversion() -> None:
    assert convert(1.0, "in", "mm") == pytest.approx(25.4)
    assert convert(0.65, "µm", "nm") == pytest.approx(650)
    assert convert(1.0, "li", "cm") == pytest.approx(0.211667, rel=1e-5)
    assert convert(1.0, "Ym", "cm") == pytest.approx(1e26)
    assert convert(3.0, "pixel", "pixel") == 3.0
    assert convert(3.0, "pixel", "µm") is None
    assert convert(3.0, "µm", "reference frame") is None
