"""``bfio versions``: for bug reports."""

from __future__ import annotations

import argparse

from bfio._versions import show_versions

__all__ = ["configure", "run"]


def configure(parser: argparse.ArgumentParser) -> None:
    """Nothing to choose."""


def run(arguments: argparse.Namespace) -> int:
    """Print the versions."""
    show_versions()
    return 0
