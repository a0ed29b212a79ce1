"""The ``bfio`` command: ``bfio convert``, ``bfio info``, ``bfio thumbnail``, ``bfio versions``."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence

from bfio._version import __version__
from bfio.cli._console import Parser, console, fail

__all__ = ["main"]

_COMMANDS = {
    "convert": "write an image of any size as a tiled OME-TIFF with a pyramid",
    "info": "print what image files hold",
    "thumbnail": "write a small PNG picture of an image",
    "versions": "print versions, for bug reports",
}
"""Name (also of the module beside this one) and what it does; a module is imported when its command is asked for."""

INTERRUPTED = 130
BROKEN_PIPE = 141


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; by default those of this process.

    Returns
    -------
    int
        0; 1 where a file could not be read or written; 2 where the arguments are wrong; 130 after Ctrl-C; 141 where
        the reader of the output went away.
    """
    try:
        with console():
            return _run(sys.argv[1:] if argv is None else list(argv))
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        return BROKEN_PIPE
    except OSError as error:
        fail(f"the output can not be written: {error.strerror or error}")
        return 1


def _run(argv: Sequence[str]) -> int:
    try:
        arguments = _parser(argv).parse_args(argv)
    except SystemExit as ending:
        return int(ending.code or 0)
    status: int = importlib.import_module(f"bfio.cli.{arguments.command}").run(arguments)
    return status


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    parser = Parser(prog="bfio", description="Convert microscopy images, and look into them.")
    parser.add_argument("-V", "--version", action="version", version=f"bfio {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    chosen = next((word for word in argv if not word.startswith("-")), None)
    for name, what in _COMMANDS.items():
        command = commands.add_parser(name, help=what, description=f"{what[0].upper()}{what[1:]}.")
        if name == chosen:
            importlib.import_module(f"bfio.cli.{name}").configure(command)
    return parser
