"""From the bytes of a file to XML text that a parser accepts."""

from __future__ import annotations

import codecs
import re
from typing import Any
from xml.parsers import expat

from bfio.errors import FormatError, LimitError
from bfio.limits import Limits

__all__ = ["OME_NAMESPACE", "check_size", "decode", "printable", "refuse_doctype", "repair", "well_formed"]

OME_NAMESPACE = "http://www.openmicroscopy.org/Schemas/OME/2016-06"
"""The last schema, which is what a model is built from."""

_ROOT_END = re.compile(rb"</(?:\w+:)?OME\s*>")
_DECLARATION = re.compile(r"<\?xml\b[^>]*\?>\s*")
_PREFIX = re.compile(r"</?([A-Za-z_][\w.-]*):|\s([A-Za-z_][\w.-]*):[\w.-]+\s*=\s*[\"']")
_ROOT_START = re.compile(r"<(?![?!])[^\s/>]+")
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


def printable(text: str) -> str:
    """Text without the characters that XML can not hold; bytes that are no text in a file name become ``?``."""
    return _FORBIDDEN.sub("", text).encode("utf-8", "replace").decode("utf-8")


def check_size(xml: str | bytes, limits: Limits) -> None:
    """Raise LimitError for a document that is too large to be read."""
    if len(xml) > limits.xml_nbytes:
        raise LimitError(f"OME-XML of {len(xml)} bytes; the limit xml_nbytes is {limits.xml_nbytes}")


def refuse_doctype(name: str, *_: Any) -> None:
    """Handler of expat. Entities can only be declared there; OME-XML has none, expanding them is an attack."""
    raise FormatError(f"OME-XML: document type declaration {name[:40]!r} is not allowed")


def well_formed(xml: str | bytes, limits: Limits | None = None) -> str:
    """Text that any XML parser takes: without declaration and rubbish, repaired only where it must be.

    Raises
    ------
    FormatError, LimitError
        As :func:`bfio.omexml.parse` does.
    """
    check_size(xml, limits or Limits())
    text = _DECLARATION.sub("", decode(xml), count=1)
    for step in (_cut_after_root, repair, _declare_prefixes, _cut_after_root):
        error = _error_of(text)
        if error is None:
            return text
        text = step(text)
    error = _error_of(text)
    if error is not None:
        raise FormatError(f"OME-XML is not well-formed: {error}")
    return text


def _error_of(text: str) -> expat.ExpatError | None:
    parser = expat.ParserCreate("utf-8", "}")  # with namespaces, so that unbound prefixes are noticed
    parser.StartDoctypeDeclHandler = refuse_doctype
    try:
        parser.Parse(text.encode("utf-8", "replace"), True)
    except expat.ExpatError as error:
        return error
    return None


def _cut_after_root(text: str) -> str:
    ends = [match.end() for match in re.finditer(r"</(?:[\w.-]+:)?OME\s*>", text)]
    return text[: ends[-1]] if ends else text


def _declare_prefixes(text: str) -> str:
    """Declare namespace prefixes that are used without: as the namespace of OME, which was forgotten."""
    used = {first or second for first, second in _PREFIX.findall(text)} - {"xml", "xmlns"}
    missing = sorted(prefix for prefix in used if f"xmlns:{prefix}=" not in text)
    declarations = "".join(f' xmlns:{prefix}="{OME_NAMESPACE}"' for prefix in missing)
    return _ROOT_START.sub(lambda match: match[0] + declarations, text, count=1)
