"""``bfio thumbnail``: a small PNG picture of an image of any size."""

from __future__ import annotations

import argparse
from pathlib import Path

from bfio.cli._console import explain, fail, file_name
from bfio.preview import png
from bfio.reader import BioReader

__all__ = ["configure", "run"]

_DEFAULT_SIZE = 256


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of the command."""
    parser.add_argument("file", metavar="FILE", type=file_name, help="an image file or a URL")
    parser.add_argument("out", metavar="OUT.png", type=_png_path, help="the picture to write; replaced if it is there")
    parser.add_argument(
        "--size", type=_size, default=_DEFAULT_SIZE, metavar="N", help="longer side in pixels, at most (default 256)"
    )
    parser.add_argument("--series", type=int, default=0, metavar="N", help="which image of the file (default 0)")


def _png_path(text: str) -> Path:
    if not text.lower().endswith(".png"):
        raise argparse.ArgumentTypeError(f"{text!r} must end in .png")
    return Path(text)


def _size(text: str) -> int:
    size = int(text)
    if size < 1:
        raise argparse.ArgumentTypeError("must be at least 1")
    return size


def run(arguments: argparse.Namespace) -> int:
    """Write the picture."""
    try:
        with BioReader(arguments.file, series=arguments.series) as reader:
            data = png(reader.thumbnail(arguments.size))
    except Exception as error:  # noqa: BLE001 - whatever it is, a sentence and not a traceback
        fail(explain(arguments.file, error))
        return 1
    try:
        arguments.out.write_bytes(data)
    except OSError as error:
        fail(explain(str(arguments.out), error))
        return 1
    return 0
