"""The writer's state in an unfinished file: fields, damage of every kind, and the end."""

import os
import threading

import numpy as np
import pytest
import tifffile
from front_files import a_recipe, write_file

from bfio.errors import BfioError, FormatError
from bfio.tiff.writing import state
from bfio.tiff.writing.front import build_front
from bfio.tiff.writing.state import (
    Field,
    is_complete,
    is_unfinished,
    mark_complete,
    mark_unfinished,
    read_field,
    read_state,
    state_nbytes,
    wipe,
    write_field,
)


@pytest.fixture
def unfinished(tmp_path):
    """Descriptor of a file that has a front only, and its recipe."""
    recipe = a_recipe(resolution=(1e4, 1 / 3), software="bfio tests")
    path = tmp_path / "x.ome.tif.part"
    path.write_bytes(build_front(recipe).data)
    fd = os.open(path, os.O_RDWR)
    yield fd, recipe, path
    os.close(fd)


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("xml", ["", "<OME>µ</OME>", None])
def test_recipe_comes_back_with_its_xml(tmp_path, big, xml):
    recipe = a_recipe(big=big) if xml is None else a_recipe(big=big, xml=xml)
    (tmp_path / "x.part").write_bytes(build_front(recipe).data)
    with open(tmp_path / "x.part", "r+b") as file:
        again, fields = read_state(file.fileno())
    assert again == recipe and again.xml == recipe.xml
    assert (fields.checkpoint, fields.attachments, fields.blob) == (0, 0, (0, 0))
    assert fields.nbytes == state_nbytes(recipe) and fields.nbytes % 8 == 0


def test_fields_are_apart(unfinished):
    fd, recipe, _ = unfinished
    write_field(fd, Field.CHECKPOINT, 1 << 40)
    write_field(fd, Field.ATTACHMENTS, 3)
    write_field(fd, Field.BLOB, (1 << 64) - 1, 5)
    again, fields = read_state(fd)
    assert again == recipe
    assert (fields.checkpoint, fields.attachments, fields.blob) == (1 << 40, 3, ((1 << 64) - 1, 5))
    write_field(fd, Field.ATTACHMENTS, 4)
    assert read_field(fd, Field.ATTACHMENTS) == (4, 0) and read_field(fd, Field.CHECKPOINT) == (1 << 40, 0)


def test_threads_that_write_different_fields_do_not_disturb_each_other(unfinished):
    fd, _, _ = unfinished
    barrier = threading.Barrier(len(Field))

    def work(field):
        barrier.wait()
        for number in range(500):
            write_field(fd, field, number, field)

    threads = [threading.Thread(target=work, args=(field,)) for field in Field]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [read_field(fd, field) for field in Field] == [(499, field) for field in Field]


def test_a_complete_file_keeps_its_notes(unfinished):
    fd, recipe, path = unfinished
    before = path.read_bytes()
    assert is_unfinished(fd) and not is_complete(fd)
    mark_complete(fd)
    assert is_complete(fd) and not is_unfinished(fd) and read_state(fd)[0] == recipe
    write_field(fd, Field.BLOB, 7, 8)
    assert read_field(fd, Field.BLOB) == (7, 8)
    write_field(fd, Field.BLOB, 0, 0)
    mark_unfinished(fd)
    assert path.read_bytes() == before
    mark_complete(fd)
    wipe(fd)
    assert not is_complete(fd) and not is_unfinished(fd)


def test_wiped_block_is_zeros_and_the_rest_is_untouched(unfinished):
    fd, recipe, path = unfinished
    before = path.read_bytes()
    write_field(fd, Field.BLOB, 7, 8)
    wipe(fd)
    after = path.read_bytes()
    start, stop = state.STATE_POSITION, state.STATE_POSITION + state_nbytes(recipe)
    assert not any(after[start:stop]) and after[:start] == before[:start] and after[stop:] == before[stop:]
    assert not is_unfinished(fd)
    for again in (wipe, read_state):
        with pytest.raises(FormatError, match="is not an unfinished bfio file"):
            again(fd)


def test_a_wiped_file_is_a_file_like_any_other(tmp_path):
    recipe = a_recipe(size_z=2)
    (pixels,) = write_file(tmp_path / "x.ome.tif", recipe)
    with open(tmp_path / "x.ome.tif", "r+b") as file:
        wipe(file.fileno())
    np.testing.assert_array_equal(tifffile.imread(tmp_path / "x.ome.tif"), pixels[..., 0])


@pytest.mark.parametrize("data", [b"", b"II", b"II*\0\x08\0\0\0" + bytes(300), b"x" * 500, bytes(1000)])
def test_files_of_others(tmp_path, data):
    (tmp_path / "other.tif").write_bytes(data)
    with open(tmp_path / "other.tif", "r+b") as file:
        assert not is_unfinished(file.fileno())
        for function in (read_state, wipe):
            with pytest.raises(FormatError, match="other.tif is not an unfinished bfio file"):
                function(file.fileno(), "other.tif")
    assert (tmp_path / "other.tif").read_bytes() == data


def reads_as(fd, recipe):
    """Whether an error of ours comes, or the recipe as it was."""
    try:
        found, _ = read_state(fd, "x.part")
    except BfioError as error:
        return "x.part" in str(error)
    return found == recipe


def test_every_truncation(unfinished):
    fd, recipe, path = unfinished
    n = len(path.read_bytes())
    for size in range(n - 1, -1, -1):
        os.ftruncate(fd, size)
        assert reads_as(fd, recipe), size
        if size < state.STATE_POSITION + state_nbytes(recipe) - 7:
            with pytest.raises(FormatError):
                read_state(fd)


def test_every_flipped_byte_of_block_and_xml(unfinished):
    fd, recipe, path = unfinished
    data = path.read_bytes()
    refused = 0
    for place in [*range(state.STATE_POSITION + state_nbytes(recipe)), *range(data.rindex(b"<OME"), len(data))]:
        for flip in (0x01, 0x80, 0xFF):
            os.pwrite(fd, bytes([data[place] ^ flip]), place)
            assert reads_as(fd, recipe), (place, flip)
            try:
                read_state(fd)
            except FormatError:
                refused += 1
        os.pwrite(fd, data[place : place + 1], place)
    assert refused > 2500
    assert read_state(fd)[0] == recipe


def test_claims_of_a_block_cost_no_memory(unfinished):
    """Sizes of 2**63 with a right checksum, which only malice makes."""
    fd, _, _ = unfinished
    head = state.HEAD
    for n_text, n_xml, place in ((0xFFFFFFFF, 5, 0), (2, 1 << 63, 0), (2, (1 << 64) - 1, 9), (2, 5, (1 << 64) - 1)):
        values = (state.UNFINISHED, state.VERSION, n_text, place, n_xml, 0)
        text = os.pread(fd, n_text % (1 << 31), state.STATE_POSITION + head.size + state.FIELDS_NBYTES)
        check = state.zlib.crc32(text, state.zlib.crc32(head.pack(*values, 0)))
        os.pwrite(fd, head.pack(*values, check), state.STATE_POSITION)
        with pytest.raises(FormatError):
            read_state(fd)


def test_begun_on_a_machine_of_another_byte_order(unfinished):
    fd, _, _ = unfinished
    os.pwrite(fd, b"MM" if np.little_endian else b"II", 0)
    with pytest.raises(FormatError, match="another byte order"):
        read_state(fd)


def test_another_version(unfinished):
    fd, _, _ = unfinished
    os.pwrite(fd, b"\x07", state.STATE_POSITION + 8)
    with pytest.raises(FormatError, match="another version of bfio"):
        read_state(fd)
