"""Windows and colours of channels: from the pixels, unless somebody chose them."""

import json

import numpy as np
import pytest

import bfio
from bfio import BioReader, BioWriter
from bfio.omezarr.writing import windows
from bfio.omezarr.writing.windows import _range

RNG = np.random.default_rng(8)
DARK = RNG.integers(100, 4000, (200, 260, 3, 2), np.uint16)  # Y, X, Z, C: 12 bits
DARK[..., 1] = DARK[..., 1] // 10 + 7


def document(path):
    return path / ("zarr.json" if (path / "zarr.json").exists() else ".zattrs")


def omero(path):
    attributes = json.loads(document(path).read_bytes())
    attributes = attributes.get("attributes", attributes)
    return attributes.get("ome", attributes)["omero"]


def shown(path):
    return [channel["window"] for channel in omero(path)["channels"]]


def write(path, image=DARK, **options):
    with BioWriter(path, image=image, durable=False, **options):
        pass
    return shown(path)


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("options", [{}, {"levels": 3, "chunks": 64}, {"chunks": (2, 3, 64, 64)}], ids=str)
def test_what_is_in_the_pixels_is_shown(tmp_path, version, options):
    found = write(tmp_path / "a.zarr", zarr_version=version, **options)
    for c, window in enumerate(found):
        least, most = int(DARK[..., c].min()), int(DARK[..., c].max())
        assert (window["min"], window["max"]) == (0, 65535)
        assert type(window["start"]) is int and type(window["end"]) is int
        assert least <= window["start"] < np.percentile(DARK[..., c], 50)
        assert np.percentile(DARK[..., c], 50) < window["end"] <= most
    if not options:
        assert found[0]["end"] > 3900 and found[1]["end"] < 410


@pytest.mark.parametrize(
    ("pixels", "expected"),
    [
        (np.zeros((40, 40), np.uint16), (0, 1)),
        (np.full((40, 40), 65535, np.uint16), (65534, 65535)),
        (np.full((40, 40), -128, np.int8), (-128, -127)),
        (np.full((40, 40), 127, np.int8), (126, 127)),
        (np.full((40, 40), 0.25, np.float32), (0.25, 1.25)),
        (np.full((40, 40), 1e30, np.float64), (1e30, 1.001e30)),
        (np.full((40, 40), np.nan, np.float32), (0, 1)),
        (np.array([[np.nan, np.inf], [-2.5, 7]], np.float32), (-2.5, 7)),
        (np.array([[-np.inf, 3], [3, np.nan]], np.float64), (3, 4)),
        (np.arange(4, dtype=np.uint64).reshape(2, 2) + 2**63, (2**63, 2**63 + 3)),
        (np.array([[0, 1]] * 2, bool), (0, 1)),
        (np.full((4, 4), 3 + 4j, np.complex64), (0, 1)),
    ],
)
def test_pixels_of_all_kinds_give_a_window(tmp_path, pixels, expected):
    (window,) = write(tmp_path / "a.zarr", pixels)
    assert (window["start"], window["end"]) == pytest.approx(expected)
    assert window["min"] <= window["start"] < window["end"] <= window["max"]


def test_few_pixels_are_left_out():
    pixels = np.full(100_000, 500, np.uint16)
    pixels[:50], pixels[-50:] = 3, 60_000
    assert _range(pixels) == (3, 60_000)  # else nothing could be told apart
    pixels[50:150] = 400
    pixels[-150:-50] = 600
    assert _range(pixels) == (400, 600)
    assert _range(np.array([], np.float32)) is None


def test_colours_of_rgb_keep_their_balance(tmp_path):
    image = RNG.integers(30, 90, (60, 70, 1, 3), np.uint8)
    with BioWriter(tmp_path / "a.zarr", X=70, Y=60, C=3, dtype="uint8", samples_per_pixel=3) as bw:
        bw[:] = image
    assert [(window["start"], window["end"]) for window in shown(tmp_path / "a.zarr")] == [(0, 255)] * 3


def test_significant_bits_bound_what_can_be_chosen(tmp_path):
    ome = bfio.BioWriter(tmp_path / "x.ome.tif", X=260, Y=200, Z=3, C=2, dtype="uint16").metadata
    ome.images[0].pixels.significant_bits = 12
    (window, _) = write(tmp_path / "a.zarr", metadata=ome)
    assert (window["min"], window["max"]) == (0, 4095) and 3900 < window["end"] < 4000


def test_few_chunks_are_read_and_none_of_them_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(windows, "CHANNEL_NBYTES", 6 * 20 * 20 * 2)
    seen, chunks = [], windows._chunks

    def noted(assembler, indices):
        seen.extend(indices)
        return chunks(assembler, indices)

    monkeypatch.setattr(windows, "_chunks", noted)
    write(tmp_path / "a.zarr", chunks=20)
    assert len(seen) == len(set(seen)) == 12 and [index[1] for index in seen] == [0] * 6 + [1] * 6
    assert seen[0] == (0, 0, 1, 5, 6)  # the middle
    assert len({index[2] for index in seen}) == 3 and len({index[3:] for index in seen}) == 6


def test_the_same_pixels_give_the_same_windows(tmp_path):
    kinds = {"one": {"max_workers": 1}, "four": {"max_workers": 4}}
    for name, options in kinds.items():
        write(tmp_path / f"{name}.zarr", chunks=32, levels=2, **options)
    described = {"shape": DARK.shape, "dtype": DARK.dtype, "chunks": 32, "levels": 2, "durable": False}
    with BioWriter(tmp_path / "parts.zarr", **described) as bw:
        for y in reversed(range(0, 200, 50)):
            bw[y : y + 50] = DARK[y : y + 50]
    with pytest.raises(KeyboardInterrupt), BioWriter(tmp_path / "late.zarr", **described) as bw:
        bw[:64] = DARK[:64]
        bw.flush()
        raise KeyboardInterrupt
    with BioWriter(tmp_path / "late.zarr", resume=True) as bw, BioWriter.attach(tmp_path / "late.zarr") as guest:
        guest[64:160] = DARK[64:160]
        guest.close()
        bw[160:] = DARK[160:]
    found = [shown(path) for path in tmp_path.glob("*.zarr")]
    assert len(found) == 4 and all(one == found[0] for one in found)


def test_what_was_never_written_is_seen_as_zeros(tmp_path):
    for name, resume in (("a", False), ("b", True)):
        bw = BioWriter(tmp_path / f"{name}.zarr", X=100, Y=100, Z=2, dtype="uint16", chunks=50)
        bw[:50, :, 0] = 900
        if resume:
            bw.flush()
            bw._abandon()
            bw = BioWriter(tmp_path / f"{name}.zarr", resume=True)
        bw.close()
    assert shown(tmp_path / "a.zarr") == shown(tmp_path / "b.zarr")
    assert shown(tmp_path / "a.zarr") == [{"min": 0, "max": 65535, "start": 0, "end": 900}]


# -- stores that are there --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [2, 3])
def test_what_is_added_widens_a_window(tmp_path, version):
    path = tmp_path / "a.zarr"
    before = write(path, zarr_version=version, levels=2)
    text = document(path).read_bytes()
    with BioWriter(path, append=True) as bw:
        bw[:] = DARK
    assert document(path).read_bytes() == text
    with BioWriter(path, append=True) as bw:
        bw[:, :, :, 0] = 20_000
        bw[:, :, :, 1] = 200
    after = shown(path)
    assert after[0] == before[0] | {"end": 20_001}
    assert after[1] == before[1]


def changed(path, change):
    whole = json.loads(document(path).read_bytes())
    change(whole["attributes"]["ome"])
    document(path).write_text(json.dumps(whole))
    return document(path).read_bytes()


def drop_omero(ome):
    del ome["omero"]


def drop_window(ome):
    for channel in ome["omero"]["channels"]:
        del channel["window"]


def break_omero(ome):
    ome["omero"] = "nothing"


def break_window(ome):
    ome["omero"]["channels"][0]["window"]["start"] = "dark"


@pytest.mark.parametrize("change", [drop_omero, drop_window, break_omero, break_window])
def test_what_others_left_out_or_broke_stays(tmp_path, change):
    path = tmp_path / "a.zarr"
    write(path)
    text = changed(path, change)
    with BioWriter(path, append=True) as bw:
        bw[:] = 50_000
    assert document(path).read_bytes() == text
    with BioReader(path) as br:
        assert (br[:] == 50_000).all()


def test_a_copy_of_the_document_stays_a_copy(tmp_path):
    path = tmp_path / "a.zarr"
    write(path, zarr_version=2)
    text = document(path).read_text()
    (path / ".zmetadata").write_text(
        json.dumps({"zarr_consolidated_format": 1, "metadata": {".zattrs": json.loads(text)}})
    )
    with BioWriter(path, append=True) as bw:
        bw[:] = 50_000
    assert document(path).read_text() == text


# -- what was chosen --------------------------------------------------------------------------------------------------


@pytest.fixture
def chosen(tmp_path):
    """A store with colours, and windows that somebody chose."""
    path = tmp_path / "chosen.zarr"
    write(path, channel_names=["blue", "pale"])

    def choose(ome):
        first, second = ome["omero"]["channels"]
        first["color"], second["color"] = "123456", "ABCDEF"
        first["window"] |= {"start": 10, "end": 99}
        second["window"] |= {"start": 0, "end": 65535}

    changed(path, choose)
    return path


def test_conversion_keeps_what_was_chosen(chosen, tmp_path):
    with BioReader(chosen) as br:
        assert [channel.window for channel in br._info.channels] == [(10, 99), (0, 65535)]
    bfio.convert(chosen, tmp_path / "b.zarr", channels=[1, 0], zarr_version=2)
    second, first = omero(tmp_path / "b.zarr")["channels"]
    assert (first["color"], second["color"]) == ("123456", "ABCDEF")
    assert first["window"] == {"min": 0, "max": 65535, "start": 10, "end": 99}
    assert second["window"]["end"] < 410  # all of 16 bits is no choice
    bfio.convert(chosen, tmp_path / "c.zarr", dtype="float32")
    assert shown(tmp_path / "c.zarr")[0]["start"] >= 100
    assert omero(tmp_path / "c.zarr")["channels"][0]["color"] == "123456"
    bfio.convert(chosen, tmp_path / "d.zarr", rescale=(0, 4095))
    assert shown(tmp_path / "d.zarr")[0]["end"] > 60_000


def test_the_range_of_bytes_may_be_a_choice(tmp_path):
    with BioWriter(tmp_path / "a.zarr", X=70, Y=60, C=3, dtype="uint8", samples_per_pixel=3) as bw:
        bw[:] = RNG.integers(30, 90, (60, 70, 1, 3), np.uint8)
    bfio.convert(tmp_path / "a.zarr", tmp_path / "b.zarr")
    assert [(window["start"], window["end"]) for window in shown(tmp_path / "b.zarr")] == [(0, 255)] * 3


def test_a_choice_outlives_a_crash(chosen, tmp_path, monkeypatch):
    monkeypatch.setattr(windows, "ranges", lambda *_: pytest.fail("nothing is to be measured") if _[1] else {})
    from bfio.conversion.picture import Picture

    read = Picture.read

    def failing(self, block, out):
        raise OSError("unplugged")

    monkeypatch.setattr(Picture, "read", failing)
    with pytest.raises(OSError, match="unplugged"):
        bfio.convert(chosen, tmp_path / "b.zarr", channels=[0])
    monkeypatch.setattr(Picture, "read", read)
    bfio.convert(chosen, tmp_path / "b.zarr", channels=[0], resume=True)
    assert shown(tmp_path / "b.zarr")[0]["end"] == 99


def test_colours_of_metadata_are_those_of_the_channels(tmp_path):
    bw = BioWriter(tmp_path / "a.zarr", image=None, shape=DARK.shape, dtype="uint16", channel_names=["red", "plain"])
    ome = bw.metadata
    ome.images[0].pixels.channels[0].color = "#FF8000"
    bw.metadata = ome
    bw[:] = DARK
    bw.close()
    first, second = omero(tmp_path / "a.zarr")["channels"]
    assert (first["label"], first["color"]) == ("red", "FF8000")
    with BioReader(tmp_path / "a.zarr") as br:
        assert br.metadata.images[0].pixels.channels[0].color.as_hex() == "#ff8000"
    bfio.convert(tmp_path / "a.zarr", tmp_path / "b.ome.tif")
    bfio.convert(tmp_path / "b.ome.tif", tmp_path / "c.zarr")
    found = omero(tmp_path / "c.zarr")["channels"]
    assert [channel["color"] for channel in found] == ["FF8000", second["color"]]
