"""A report of ``bfio info`` as text for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bfio.cli._console import printable

__all__ = ["as_text"]

_WIDTH = 16
_MAX_LISTED = 16


def as_text(report: dict[str, Any]) -> str:
    """Lines of one file, see :mod:`bfio.cli.info` for the report."""
    lines = [report["file"], *(_line(*row, indent=2) for row in _file_rows(report))]
    for entry in report["series"]:
        name = f": {entry['name']}" if entry["name"] else ""
        kind = " (thumbnail)" if entry["thumbnail"] else ""
        lines += [f"  series {entry['index']}{kind}{name}", *(_line(*row, indent=4) for row in _series_rows(entry))]
    left = report["n_series"] - len(report["series"])
    if left and len(report["series"]) > 1:
        lines.append(f"  and {left} more series; --series N tells of one, --json of all")
    return "\n".join(map(printable, lines))


def _line(key: str, value: str, indent: int) -> str:
    return f"{' ' * indent}{key:<{_WIDTH}}{value}"


def _file_rows(report: dict[str, Any]) -> Iterator[tuple[str, str]]:
    dialect = f", {report['dialect']}" if report["dialect"] else ""
    order = f"{report['byte_order']}-endian" if report["byte_order"] else "byte order differs between series"
    yield "format", f"{report['format']}{dialect}, {order}"
    yield "backend", report["backend"]
    yield "file size", "unknown" if report["nbytes"] is None else _bytes(report["nbytes"])
    made = " (made by Bio-Formats)" if report["backend"] == "bioformats" else ""
    yield "OME-XML", f"yes{made}" if report["ome_xml"] else "no"
    yield "series count", str(report["n_series"])


def _bytes(nbytes: int) -> str:
    size, unit = float(nbytes), "bytes"
    for larger in ("kB", "MB", "GB", "TB"):
        if size < 1000:
            break
        size, unit = size / 1000, larger
    exact = f"{nbytes:,} bytes"
    return exact if unit == "bytes" else f"{size:.1f} {unit} ({exact})"


def _series_rows(entry: dict[str, Any]) -> Iterator[tuple[str, str]]:
    yield "size", ", ".join(f"{axis.upper()} {size}" for axis, size in entry["size"].items())
    yield "shape", f"{tuple(entry['shape'])}, axes {', '.join(entry['axes'])}"
    order = f", in the order {entry['dimension_order']}" if entry["dimension_order"] else ""
    yield "planes", f"{entry['n_planes']}{order}"
    yield "pixel type", entry["pixel_type"]
    yield "samples", _samples(entry)
    yield "pixel size", _pixel_size(entry["physical_size"])
    yield from _channel_rows(entry["channels"])
    if any(level.get("axes") for level in entry["levels"][:1]):
        yield "stored axes", ", ".join(entry["levels"][0]["axes"].upper())
    for number, level in enumerate(entry["levels"]):
        yield f"level {number}", _level(level)
    if entry["statistics"]:
        yield from _statistics_rows(entry["statistics"])


def _samples(entry: dict[str, Any]) -> str:
    number = entry["samples_per_pixel"]
    if number == 1:
        return "1 per pixel"
    kind = f"{number} per pixel{' (RGB)' if entry['rgb'] else ''}"
    if entry["levels"][0]["strips"] is None:  # how they are stored is unknown
        return kind
    return f"{kind}, {'interleaved' if entry['interleaved'] else 'each in planes of its own'}"


def _pixel_size(lengths: dict[str, Any]) -> str:
    known = {axis: length for axis, length in lengths.items() if length}
    found = (f"{axis.upper()} {length['value']:.6g} {length['unit']}" for axis, length in known.items())
    return ", ".join(found) or "unknown"


def _channel_rows(channels: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    if not any(channel["name"] or channel["color"] or channel.get("window") for channel in channels):
        yield "channels", f"{len(channels)} without a name"
        return
    for number, channel in enumerate(channels[:_MAX_LISTED]):
        window = channel.get("window")
        shown = f"shown from {window[0]:.6g} to {window[1]:.6g}" if window else None
        known = (channel["name"] or "without a name", channel["color"], shown)
        yield f"channel {number}", ", ".join(filter(None, known))
    if len(channels) > _MAX_LISTED:
        yield "", f"and {len(channels) - _MAX_LISTED} more channels"


def _level(level: dict[str, Any]) -> str:
    kind = {True: "strips of", False: "tiles of", None: "blocks of"}[level["strips"]]
    predictor = "" if level["predictor"] in ("none", "unknown") else f" + {level['predictor']} predictor"
    unit = f"{kind} {level['tile_x']} x {level['tile_y']}"
    if "chunk" in level:
        shards = f" in shards of {tuple(level['shard'])}" if level["shard"] else ""
        unit = f"chunks of {tuple(level['chunk'])}{shards}"
    return f"{level['x']} x {level['y']}, {unit}, compression {level['compression']}{predictor}"


def _statistics_rows(found: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if "error" in found:
        yield "pixels", "can not be read"
        return
    for number, sample in enumerate(found["samples"]):
        name = f"sample {number}" if len(found["samples"]) > 1 else "pixels"
        yield name, _sample(sample, "magnitude " if found["of"] == "magnitude" else "")
    yield "measured", _measured(found)


def _sample(sample: dict[str, Any], what: str) -> str:
    odd = f"{sample['not_finite']:,} not finite" if sample["not_finite"] else ""
    if sample["min"] is None:
        return odd
    mean = "beyond float64" if sample["mean"] is None else f"{sample['mean']:.6g}"
    numbers = f"{what}min {_number(sample['min'])}, max {_number(sample['max'])}, mean {mean}"
    return ", ".join(filter(None, (numbers, odd)))


def _number(value: float) -> str:
    return str(value) if isinstance(value, int) else f"{value:.7g}"


def _measured(found: dict[str, Any]) -> str:
    plane = f"first plane of level {found['level']}"
    if found["pixels_read"] == found["pixels"]:
        return f"all {found['pixels']:,} pixels of the {plane}"
    return f"{found['pixels_read']:,} of {found['pixels']:,} pixels of the {plane}, blocks at equal distances"
