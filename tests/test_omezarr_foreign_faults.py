"""What is broken or odd in arrays that zarr-python helps with."""

import itertools
import shutil
import threading
import zipfile

import numpy as np
import pytest
from foreign_arrays import (
    HEAD,
    a_box,
    a_reader,
    an_image,
    meta_of,
    quiet,  # noqa: F401 - used by all tests
    read,
    run,
    v3_codecs,
    write,
    zipped,
)

from bfio.errors import BackendMissingError, ChunkDecodeError, FormatError, LimitError, UnsupportedError
from bfio.omezarr.arraymeta import Route
from bfio.omezarr.foreign import ForeignNodes
from bfio.omezarr.nodes import Folder

zarr = pytest.importorskip("zarr")
numcodecs = pytest.importorskip("numcodecs")


@pytest.fixture
def delta(tmp_path):
    image = an_image()
    write(
        str(tmp_path / "a"), image, zarr_format=2, filters=[numcodecs.Delta(dtype="<u2")], compressors=numcodecs.Zlib(1)
    )
    return tmp_path / "a"


@pytest.mark.parametrize("damage", ["empty", "cut", "rubbish", "folder"])
def test_broken_chunks_are_named(delta, damage):
    chunk = delta / "1.2.3"
    data = chunk.read_bytes()
    chunk.unlink()
    if damage == "folder":
        chunk.mkdir()
    else:
        chunk.write_bytes({"empty": b"", "cut": data[:-20], "rubbish": b"\xff" * 40}[damage])
    reader = a_reader(Folder(delta))
    with pytest.raises(ChunkDecodeError) as caught:
        read(reader, a_box((3, 70, 50)))
    assert caught.value.chunk == (1, 2, 3) and caught.value.path.endswith("a/1.2.3")
    assert caught.value.tile == 1 * 12 + 2 * 4 + 3
    whole = a_box((3, 70, 50), x=range(40))
    assert read(reader, whole).any()


def test_a_codec_that_nobody_knows(delta):
    path = delta / ".zarray"
    path.write_text(path.read_text().replace('"delta"', '"magic"'))
    with pytest.raises(UnsupportedError, match="magic"):
        read(a_reader(Folder(delta)), a_box((3, 70, 50)))


def test_a_codec_of_version_3_that_nobody_knows(tmp_path):
    write(str(tmp_path / "a"), an_image(), zarr_format=3, **v3_codecs()["crc32c"])
    path = tmp_path / "a/zarr.json"
    path.write_text(path.read_text().replace('"zstd"', '"acme.magic"'))
    with pytest.raises(UnsupportedError, match="magic"):
        read(a_reader(Folder(tmp_path / "a")), a_box((3, 70, 50)))


def test_a_codec_with_a_wrong_configuration(delta):
    path = delta / ".zarray"
    path.write_text(path.read_text().replace('"<u2"', '"<Q9"', 2))
    meta = meta_of(Folder(delta.parent / "a")) if '"dtype": "<u2"' in path.read_text() else None
    assert meta is None or meta.route is Route.FOREIGN


def test_an_array_that_changed_or_went_away(delta):
    reader = a_reader(Folder(delta))
    path = delta / ".zarray"
    text = path.read_text()
    path.write_text(text.replace("70", "71"))
    with pytest.raises(FormatError, match="changed"):
        read(reader, a_box((3, 70, 50)))
    path.unlink()
    with pytest.raises(FormatError, match="can not be opened"):
        read(reader, a_box((3, 70, 50)))
    path.write_text(text)
    assert read(reader, a_box((3, 70, 50))).any()


def test_chunks_are_bounded(delta):
    with pytest.raises(LimitError, match="tile_nbytes"):
        a_reader(Folder(delta), tile_nbytes=2 * 32 * 16 * 2 - 1)
    a_reader(Folder(delta), tile_nbytes=2 * 32 * 16 * 2)


def test_many_threads(delta):
    image = np.asarray(zarr.open_array(str(delta), mode="r")[...])
    reader = a_reader(Folder(delta), workers=3)
    barrier, wrong = threading.Barrier(6), []

    def work(number):
        barrier.wait()
        for z in itertools.islice(itertools.cycle((number % 3, 0)), 4):
            if not np.array_equal(read(reader, a_box(image.shape, z=(z,)))[0, 0, 0], image[z]):
                wrong.append(z)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
    [thread.start() for thread in threads]
    [thread.join(60) for thread in threads]
    assert wrong == []


def test_without_zarr_the_command_is_told(delta):
    code = HEAD + (
        "sys.modules['zarr'] = None\n"
        "nodes = Folder(sys.argv[1]); meta = parse_array(json.loads(nodes.get('.zarray')), '')\n"
        "reader = ForeignReader(nodes, meta, Workers(2), Limits(), 0)\n"
        "out = np.zeros((1, 1, 3, 70, 50), 'u2')\n"
        "try:\n    reader.read('zyx', Box((0,), (0,), (0, 1, 2), range(70), range(50)), out, None)\n"
        "except ImportError as error:\n    print(type(error).__name__, error)"
    )
    said = run(code, delta)
    assert said.startswith(BackendMissingError.__name__) and "pip install 'bfio[zarr]'" in said


def test_nothing_is_left_of_a_removed_store(tmp_path, delta):
    reader = a_reader(Folder(delta))
    read(reader, a_box((3, 70, 50)))
    reader.close()
    shutil.rmtree(delta)
    with pytest.raises(FormatError):
        read(reader, a_box((3, 70, 50)))


def test_a_file_much_larger_than_its_chunk_is_not_inflated(delta):
    (delta / "0.0.0").write_bytes(bytes(20 << 20))
    path = zipped(delta, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1 << 20
    nodes = ForeignNodes(path)
    with pytest.raises(FormatError, match="more than what it should hold"):
        read(a_reader(nodes), a_box((3, 70, 50)))
    nodes.close()
