"""From the bytes of a file to XML text that a parser accepts."""

from __future__ import annotations

import codecs
import re

__all__ = ["decode", "repair"]

_ROOT_END = re.compile(rb"</(?:\w+:)?OME\s*>")
_FORBIDDEN = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")
_CHARACTER_REFERENCE = re.compile(r"&#(x[0-9a-fA-F]{1,8}|[0-9]{1,8});")
_STRAY_AMPERSAND = re.compile(r"&(?!(?:amp|lt|gt|quot|apos|#[0-9]+|#x[0-9a-fA-F]+);)")


def decode(xml: str | bytes) -> str:
    """Text of a document: UTF-8 or UTF-16, else Latin-1; without byte order mark and leading rubbish.

    The encoding that the document declares is not believed: writers declare UTF-8 and write Latin-1.
    """
    if isinstance(xml, bytes):
        xml = _decode_bytes(xml)
    start = xml.find("<")
    return xml[start:] if start > 0 else xml


def _decode_bytes(xml: bytes) -> str:
    if xml.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return xml.decode("utf-16", "replace")
    try:
        return xml.decode("utf-8")
    except UnicodeDecodeError as error:
        # Bytes after the root element say nothing about it.
        inside = error.start if _ROOT_END.search(xml, max(error.start - 4096, 0), error.start) else None
        return xml[:inside].decode("utf-8" if inside else "latin-1")


def repair(text: str) -> str:
    """Take out what makes a document ill-formed: forbidden characters, references to them, stray ampersands."""
    text = _FORBIDDEN.sub("", text)
    text = _STRAY_AMPERSAND.sub("&amp;", text)
    return _CHARACTER_REFERENCE.sub(_keep_if_allowed, text)


def _keep_if_allowed(match: re.Match[str]) -> str:
    digits = match[1]
    code = int(digits[1:], 16) if digits.startswith("x") else int(digits)
    allowed = code in (9, 10, 13) or 32 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or 0x10000 <= code < 0x110000
    return match[0] if allowed else ""
