"""The writer's own notes in a file that is not finished: between the header and the first IFD, zeros once it is.

The recipe never changes; a checksum covers it. What changes are fields of 24 bytes, each with a checksum of its own and
written by one call, so that processes that change different fields do not disturb each other. Those that change the
same field hold the file's lock.
"""

from __future__ import annotations

import os
import struct
import sys
import zlib
from dataclasses import dataclass
from enum import IntEnum

from bfio._positional import pread, pwrite
from bfio.errors import FormatError
from bfio.tiff.header import HEADER_NBYTES, UNFINISHED
from bfio.tiff.writing.recipe import Recipe

__all__ = [
    "STATE_POSITION",
    "Field",
    "State",
    "is_complete",
    "is_unfinished",
    "mark_complete",
    "mark_unfinished",
    "new_state",
    "read_field",
    "read_state",
    "state_nbytes",
    "wipe",
    "write_field",
]

STATE_POSITION = HEADER_NBYTES
"""Behind the header of BigTIFF; the same in a classic file."""
COMPLETE = b"bfioDONE"
"""In place of the mark of an unfinished file: it is whole, and lacks only its name."""
VERSION = 1
HEAD = struct.Struct("=8sIIQQII")  # magic, version, bytes of JSON, XML: position, bytes, checksum; checksum of it all
FIELD = struct.Struct("=QQII")  # two values, number of the field, checksum
MOST_JSON = 1 << 16


class Field(IntEnum):
    """What changes while a file is written; each holds two numbers."""

    CHECKPOINT = 0
    """Size of the file that is known to be on disk (0: nothing is), and 0."""
    ATTACHMENTS = 1
    """Number of processes that ever attached, and 0."""
    BLOB = 2
    """Offset and bytes of whatever the writer put aside, such as partial tiles; (0, 0): nothing."""
    FILL = 3
    """Offset and bytes of the tile that stands for all missing ones; (0, 0) until the file is being finished."""
    OLD_COUNT = 4
    OLD_OFFSET = 5
    """Position of an entry of the tile that is just being replaced, and what it was."""


FIELDS_NBYTES = len(Field) * FIELD.size


@dataclass(frozen=True, slots=True)
class State:
    """The fields at one moment."""

    checkpoint: int
    attachments: int
    blob: tuple[int, int]
    nbytes: int
    """Size of the block."""


def state_nbytes(recipe: Recipe) -> int:
    """Room that the block takes, a multiple of 8."""
    return _block_nbytes(len(recipe.to_json().encode()))


def new_state(recipe: Recipe, xml_position: int, xml: bytes) -> bytes:
    """The block of a file that begins; `xml` as it stands in the file, with its zero at the end."""
    text = recipe.to_json().encode()
    head = [UNFINISHED, VERSION, len(text), xml_position, len(xml), zlib.crc32(xml)]
    check = zlib.crc32(text, zlib.crc32(HEAD.pack(*head, 0)))
    block = HEAD.pack(*head, check) + b"".join(_packed(field, 0, 0) for field in Field) + text
    return block.ljust(_block_nbytes(len(text)), b"\0")


def is_unfinished(fd: int) -> bool:
    """Whether a file begins with a block of the writer, sound or not, and is not complete."""
    return pread(fd, len(UNFINISHED), STATE_POSITION) == UNFINISHED


def is_complete(fd: int) -> bool:
    """Whether the writer of a file found it complete, and did not come to give it its name."""
    return pread(fd, len(COMPLETE), STATE_POSITION) == COMPLETE


def mark_complete(fd: int) -> None:
    """Note that all is written; the rest of the block stays."""
    pwrite(fd, COMPLETE, STATE_POSITION)


def mark_unfinished(fd: int) -> None:
    """Take :func:`mark_complete` back."""
    pwrite(fd, UNFINISHED, STATE_POSITION)


def read_state(fd: int, path: str = "the file") -> tuple[Recipe, State]:
    """Recipe (with its XML) and fields of a file without its name; `path` is named in errors.

    Raises
    ------
    FormatError
        It is not a file that bfio began and did not finish, or the block is damaged.
    """
    head, text = _read_constant(fd, path)
    xml_position, xml_nbytes, xml_check = head
    inside = xml_position + xml_nbytes <= os.fstat(fd).st_size
    xml = pread(fd, xml_nbytes, xml_position) if inside else b""
    if len(xml) != xml_nbytes or zlib.crc32(xml) != xml_check:
        raise FormatError(f"{path}: the OME-XML of the unfinished file is damaged: begin it anew")
    try:
        recipe = Recipe.from_json(text.decode(), xml.removesuffix(b"\0").decode())
    except (FormatError, UnicodeDecodeError) as error:
        raise FormatError(f"{path}: {error}") from None
    values = {field: read_field(fd, field, path) for field in Field}
    state = State(
        values[Field.CHECKPOINT][0], values[Field.ATTACHMENTS][0], values[Field.BLOB], _block_nbytes(len(text))
    )
    return recipe, state


def read_field(fd: int, field: Field, path: str = "the file") -> tuple[int, int]:
    """The two numbers of a field."""
    raw = pread(fd, FIELD.size, _field_position(field))
    if len(raw) == FIELD.size:
        first, second, _, _ = FIELD.unpack(raw)
        if raw == _packed(field, first, second):
            return first, second
    raise FormatError(f"{path}: the field {field.name} of the unfinished file is damaged: begin it anew")


def write_field(fd: int, field: Field, first: int, second: int = 0) -> None:
    """Replace the numbers of a field."""
    raw = _packed(field, first, second)
    pwrite(fd, raw, _field_position(field))


def wipe(fd: int, path: str = "the file") -> None:
    """Turn the block into zeros: the file has its name."""
    _, text = _read_constant(fd, path)
    zeros = bytes(_block_nbytes(len(text)))
    pwrite(fd, zeros, STATE_POSITION)


def _read_constant(fd: int, path: str) -> tuple[tuple[int, int, int], bytes]:
    """XML's position, bytes and checksum, and the text of the recipe, once the checksum was held against them."""
    mark = b"II" if sys.byteorder == "little" else b"MM"
    start = pread(fd, STATE_POSITION + HEAD.size, 0)
    if len(start) < STATE_POSITION + HEAD.size or not start[STATE_POSITION:].startswith((UNFINISHED, COMPLETE)):
        raise FormatError(f"{path} is not an unfinished bfio file")
    if start[:2] != mark:
        raise FormatError(f"{path} was begun on a machine of another byte order: go on with it there")
    _, version, n_text, xml_position, xml_nbytes, xml_check, check = HEAD.unpack(start[STATE_POSITION:])
    if version != VERSION:
        raise FormatError(f"{path} was begun by another version of bfio: finish it with that one")
    text = pread(fd, min(n_text, MOST_JSON), STATE_POSITION + HEAD.size + FIELDS_NBYTES)
    head = HEAD.pack(UNFINISHED, version, n_text, xml_position, xml_nbytes, xml_check, 0)
    if len(text) != n_text or zlib.crc32(text, zlib.crc32(head)) != check:
        raise FormatError(f"{path}: the recipe of the unfinished file is damaged: begin it anew")
    return (xml_position, xml_nbytes, xml_check), text


def _block_nbytes(n_text: int) -> int:
    return -(-(HEAD.size + FIELDS_NBYTES + n_text) // 8) * 8


def _field_position(field: Field) -> int:
    return STATE_POSITION + HEAD.size + field * FIELD.size


def _packed(field: Field, first: int, second: int) -> bytes:
    check = zlib.crc32(struct.pack("=QQI", first, second, field))
    return FIELD.pack(first, second, field, check)
