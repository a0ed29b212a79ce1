"""Arrays and stores that zarr-python must help with: odd codecs, filters, orders, zip files, memory, URLs."""

import itertools
import json
import shutil
import subprocess
import sys
import threading
import uuid
import warnings
import zipfile

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bfio._parallel import Workers
from bfio.errors import (
    BackendMissingError,
    ChunkDecodeError,
    FormatError,
    LimitError,
    UnsupportedError,
    UsageError,
)
from bfio.limits import Limits
from bfio.omezarr.arraymeta import Route, parse_array
from bfio.omezarr.foreign import ForeignNodes, ForeignReader, is_store
from bfio.omezarr.nodes import Folder
from bfio.omezarr.parts import cut_into_parts, cut_into_pieces
from bfio.selection import Box

zarr = pytest.importorskip("zarr")
numcodecs = pytest.importorskip("numcodecs")


@pytest.fixture(autouse=True)
def _quiet():
    with warnings.catch_warnings():
        for category in ("UnstableSpecificationWarning", "ZarrUserWarning"):
            kind = getattr(zarr.errors, category, None)
            if kind is not None:
                warnings.simplefilter("ignore", kind)
        yield


def an_image(shape=(3, 70, 50), dtype="uint16", seed=1):
    rng = np.random.default_rng(seed)
    return rng.integers(0, 200, shape).astype(dtype)


def meta_of(nodes, path=""):
    prefix = f"{path}/" if path else ""
    raw = nodes.get(f"{prefix}zarr.json") or nodes.get(f"{prefix}.zarray")
    return parse_array(json.loads(raw), path)


def write(store, image, **options):
    """An array of zarr-python; what is not given is as plain as possible."""
    given = {"chunks": (2, 32, 16), "compressors": None, **options}
    array = zarr.create_array(store, shape=image.shape, dtype=image.dtype, **given)
    array[...] = image
    return array


def a_reader(nodes, path="", workers=2, **limits):
    return ForeignReader(nodes, meta_of(nodes, path), Workers(workers), Limits(**limits), 0)


def a_box(shape, t=None, c=None, z=None, y=None, x=None):
    return Box(
        (0,) if t is None else t, (0,) if c is None else c, tuple(range(shape[0])) if z is None else z,
        y or range(shape[1]), x or range(shape[2]),
    )  # fmt: skip


def read(reader, box, axes="zyx", dtype="uint16", rescale=None):
    out = np.full(box.shape, 7, dtype)
    reader.read(axes, box, out, rescale)
    return out


V2 = {
    "delta": {"filters": [numcodecs.Delta(dtype="<u2")]},
    "delta and zlib": {"filters": [numcodecs.Delta(dtype="<u2")], "compressors": numcodecs.Zlib(1)},
    "fixedscaleoffset": {"filters": [numcodecs.FixedScaleOffset(offset=0, scale=1, dtype="<u2", astype="<u4")]},
    "shuffle": {"filters": [numcodecs.Shuffle(2)], "compressors": numcodecs.Zstd(1)},
    "order F": {"order": "F", "compressors": numcodecs.Blosc()},
    "order F and filter": {"order": "F", "filters": [numcodecs.Delta(dtype="<u2")]},
    "lzma": {"compressors": numcodecs.LZMA()},
    "bz2": {"compressors": numcodecs.BZ2()},
}


@pytest.mark.parametrize("case", V2)
def test_version_2(case, tmp_path):
    image = an_image()
    write(str(tmp_path / "a.zarr"), image, zarr_format=2, **V2[case])
    reader = a_reader(Folder(tmp_path / "a.zarr"))
    box = a_box(image.shape)
    np.testing.assert_array_equal(read(reader, box)[0, 0], image)
    part = a_box(image.shape, z=(2, 0, 2, 1), y=range(5, 69, 3), x=range(15, 50))
    np.testing.assert_array_equal(read(reader, part)[0, 0], image[np.ix_(part.z, part.y, part.x)])


def _v3_codecs():
    from zarr.codecs import BytesCodec, Crc32cCodec, GzipCodec, TransposeCodec, ZstdCodec
    from zarr.codecs.numcodecs import BZ2, Delta, Shuffle

    return {
        "transpose": {"filters": [TransposeCodec(order=(2, 0, 1))], "compressors": [ZstdCodec()]},
        "big endian": {"serializer": BytesCodec(endian="big"), "compressors": [GzipCodec()]},
        "crc32c": {"compressors": [ZstdCodec(), Crc32cCodec()]},
        "delta": {"filters": [Delta(dtype="<u2")], "compressors": [ZstdCodec()]},
        "shuffle and bz2": {"compressors": [Shuffle(elementsize=2), BZ2()]},
        "shards of odd codecs": {"shards": (4, 64, 32), "filters": [Delta(dtype="<u2")]},
        "shards": {"shards": (4, 64, 32), "compressors": [ZstdCodec()]},
    }


@pytest.mark.parametrize(
    "case", ["transpose", "big endian", "crc32c", "delta", "shuffle and bz2", "shards of odd codecs", "shards"]
)
def test_version_3(case, tmp_path):
    image = an_image()
    write(str(tmp_path / "a.zarr"), image, zarr_format=3, **_v3_codecs()[case])
    reader = a_reader(Folder(tmp_path / "a.zarr"))
    np.testing.assert_array_equal(read(reader, a_box(image.shape))[0, 0], image)
    part = a_box(image.shape, z=(1,), y=range(31, 33), x=range(0, 50, 40))
    np.testing.assert_array_equal(read(reader, part)[0, 0], image[np.ix_(part.z, part.y, part.x)])


def test_any_box_of_five_axes(tmp_path):
    image = an_image((2, 3, 4, 40, 30))
    delta = [numcodecs.Delta(dtype="<u2")]
    write(str(tmp_path / "a"), image, zarr_format=2, chunks=(1, 2, 3, 16, 7), filters=delta)
    reader = a_reader(Folder(tmp_path / "a"))

    indices = {n: st.lists(st.integers(0, n - 1), min_size=1, max_size=4).map(tuple) for n in (2, 3, 4)}
    spans = {
        n: st.tuples(st.integers(0, n - 1), st.integers(1, n), st.integers(1, n)).map(
            lambda s, n=n: range(s[0], min(n, s[0] + s[1]), s[2])
        )
        for n in (40, 30)
    }

    @settings(max_examples=40, deadline=None)
    @given(indices[2], indices[3], indices[4], spans[40], spans[30])
    def check(t, c, z, y, x):
        box = Box(t, c, z, y, x)
        np.testing.assert_array_equal(read(reader, box, "tczyx"), image[np.ix_(t, c, z, y, x)])

    check()


@given(st.lists(st.integers(0, 30), min_size=1, max_size=12), st.integers(1, 9))
def test_pieces_cover_every_index_once(indices, unit):
    axis = np.arange(31)
    out = np.full(len(indices), -1)
    for piece in cut_into_pieces(indices, unit):
        block = axis[piece.key]
        assert len(set((block // unit).tolist())) == 1
        assert (out[piece.place] == -1).all()
        out[piece.place] = block[piece.inside]
    assert out.tolist() == indices


def test_small_chunks_are_read_together_and_large_ones_apart():
    box = Box((0,), (0,), (0, 1, 2), range(100), range(100))
    assert len(list(cut_into_parts("zyx", (1, 10, 10), box, 2, 1 << 20))) == 3
    assert len(list(cut_into_parts("zyx", (1, 10, 10), box, 2, 2000))) == 3 * 10
    assert len(list(cut_into_parts("zyx", (3, 50, 50), box, 2, 1))) == 4


@pytest.mark.parametrize("axes", ["yx", "zyx", "xyz", "yxc", "x"])
def test_axes_in_any_order_and_number(axes, tmp_path):
    shape = tuple({"y": 20, "x": 30, "z": 4, "c": 3}[letter] for letter in axes)
    image = an_image(shape)
    write(str(tmp_path / "a"), image, zarr_format=3, chunks=tuple(max(1, n // 2) for n in shape))
    reader = a_reader(Folder(tmp_path / "a"))
    sizes = dict(zip(axes, shape, strict=True))
    box = Box((0,), *(tuple(range(sizes.get(letter, 1))) for letter in "cz"), range(sizes.get("y", 1)), range(1, 29))
    expected = image[(slice(None),) * axes.index("x") + (slice(1, 29),)]
    order = [axes.index(letter) for letter in "tczyx" if letter in axes]
    got = read(reader, box, axes)
    np.testing.assert_array_equal(got.reshape(expected.transpose(order).shape), expected.transpose(order))


@pytest.mark.parametrize("dtype", ["bool", "int8", ">u2", "uint32", "int64", ">f4", "float64", "complex64"])
def test_dtypes(dtype, tmp_path):
    image = an_image(dtype=dtype)
    write(str(tmp_path / "a"), image, zarr_format=2, order="F")
    got = read(a_reader(Folder(tmp_path / "a")), a_box(image.shape), dtype=np.dtype(dtype).newbyteorder("="))
    np.testing.assert_array_equal(got[0, 0], image)


def test_pixels_are_converted_and_rescaled_into_any_strides(tmp_path):
    image = an_image(dtype="int16") - np.int16(100)
    write(str(tmp_path / "a"), image, zarr_format=2, order="F")
    reader, box = a_reader(Folder(tmp_path / "a")), a_box(image.shape)
    np.testing.assert_array_equal(read(reader, box, dtype="uint8")[0, 0], np.clip(image, 0, 255))
    out = np.zeros((*box.shape[:3], 70, 100), "float32")[..., ::-1, ::-2]
    reader.read("zyx", box, out, (0.5, 3.0))
    np.testing.assert_array_equal(out[0, 0], image * np.float32(0.5) + 3)
    with pytest.raises(UsageError, match="can not be read as bool"):
        read(reader, box, dtype="bool")


@pytest.mark.parametrize("fill", [None, 5])
@pytest.mark.parametrize("version", [2, 3])
def test_missing_chunks_are_the_fill_value(version, fill, tmp_path):
    image = an_image() + np.uint16(1)
    options = {"filters": [numcodecs.Delta(dtype="<u2")]} if version == 2 else _v3_codecs()["transpose"]
    write(str(tmp_path / "a"), image, zarr_format=version, fill_value=fill or 0, **options)
    if fill is None and version == 2:
        path = tmp_path / "a/.zarray"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"fill_value": None}))
    (tmp_path / "a" / ("1.0.2" if version == 2 else "c/1/0/2")).unlink()
    expected = image.copy()
    expected[2:4, :32, 32:48] = fill or 0
    np.testing.assert_array_equal(read(a_reader(Folder(tmp_path / "a")), a_box(image.shape))[0, 0], expected)


# -- stores -----------------------------------------------------------------------------------------------------------


def zipped(folder, compression=zipfile.ZIP_STORED):
    path = folder.with_suffix(".zip")
    with zipfile.ZipFile(path, "w", compression) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file():
                archive.write(file, file.relative_to(folder).as_posix())
    return path


@pytest.fixture
def group(tmp_path):
    """A folder with two arrays, one in shards, and their image."""
    image = an_image()
    root = zarr.create_group(str(tmp_path / "g"), zarr_format=3)
    for name, case in (("a", "delta"), ("b", "shards of odd codecs")):
        array = root.create_array(
            name,
            shape=image.shape,
            dtype=image.dtype,
            chunks=(2, 32, 16),
            **({"compressors": None} | _v3_codecs()[case]),
        )
        array[...] = image
    return tmp_path / "g", image


def check_store(nodes, image):
    assert nodes.root is None
    listed = nodes.names("")
    assert listed is None or {"a", "b", "zarr.json"} <= set(listed)
    assert listed is None or ("c" in nodes.names("a") and nodes.names("no") == [])
    assert nodes.get("no/zarr.json") is None
    assert json.loads(nodes.get("zarr.json"))["node_type"] == "group"
    raw = nodes.get("zarr.json")
    assert nodes.get_range("zarr.json", 3, 9) == raw[3:9]
    assert nodes.get_range("zarr.json", -5, None) == raw[-5:]
    assert nodes.get_range("no", 0, 3) is None
    for path in "ab":
        reader = a_reader(nodes, path)
        np.testing.assert_array_equal(read(reader, a_box(image.shape))[0, 0], image)
        reader.close()
    nodes.close()
    nodes.close()


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_zip_files(group, compression):
    folder, image = group
    check_store(ForeignNodes(zipped(folder, compression)), image)


def test_zip_files_of_zarr(tmp_path):
    image = an_image()
    with zarr.storage.ZipStore(tmp_path / "a.zip", mode="w") as store:
        write(store, image, zarr_format=2, order="F")
    nodes = ForeignNodes(str(tmp_path / "a.zip"))
    np.testing.assert_array_equal(read(a_reader(nodes), a_box(image.shape))[0, 0], image)
    nodes.close()


def test_mappings(group):
    folder, image = group
    mapping = {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert is_store(mapping)
    check_store(ForeignNodes(mapping), image)


def test_stores_of_zarr(group):
    folder, image = group
    local = zarr.storage.LocalStore(folder, read_only=True)
    assert is_store(local) and not is_store(str(folder)) and not is_store(folder) and not is_store(7)
    check_store(ForeignNodes(local), image)


def test_memory_of_zarr():
    image = an_image()
    store = zarr.storage.MemoryStore()
    root = zarr.create_group(store, path="in/side", zarr_format=3)
    array = root.create_array("a", shape=image.shape, dtype=image.dtype, chunks=(1, 32, 32))
    array[...] = image
    for source, path in ((store, "in/side/a"), (root, "a"), (array, "")):
        assert is_store(source)
        nodes = ForeignNodes(source)
        np.testing.assert_array_equal(read(a_reader(nodes, path), a_box(image.shape))[0, 0], image)


@pytest.fixture
def memory_url():
    fsspec = pytest.importorskip("fsspec")
    url = f"memory://{uuid.uuid4().hex}/a.zarr"
    yield url
    fsspec.filesystem("memory").rm(url.rpartition("/")[0], recursive=True)


def test_urls(group, memory_url):
    import fsspec

    folder, image = group
    fsspec.filesystem("memory").put(str(folder), memory_url, recursive=True)
    nodes = ForeignNodes(memory_url)
    assert nodes.name == memory_url
    check_store(nodes, image)


def test_http(group, http_server):
    folder, image = group
    server = http_server(folder.parent)
    check_store(ForeignNodes(f"{server.url}/g"), image)


def test_urls_written_by_zarr(memory_url):
    image = an_image()
    write(memory_url, image, zarr_format=3)
    np.testing.assert_array_equal(read(a_reader(ForeignNodes(memory_url + "/")), a_box(image.shape))[0, 0], image)


def test_queries_of_urls_stay_behind_the_key():
    from bfio.byteio.objects import path_below

    assert path_below("https://h/a.zarr?k=1", "0/zarr.json") == "https://h/a.zarr/0/zarr.json?k=1"
    assert path_below("https://h/a.zarr/", "") == "https://h/a.zarr"
    assert path_below("/a.zarr", "0") == "/a.zarr/0"
    assert path_below("", "0") == "0"


# -- faults -----------------------------------------------------------------------------------------------------------


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
    write(str(tmp_path / "a"), an_image(), zarr_format=3, **_v3_codecs()["crc32c"])
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


def test_broken_zip_files(tmp_path, group):
    (tmp_path / "no.zip").write_bytes(b"PK\x03\x04 no")
    with pytest.raises(FormatError, match="no zip file"):
        ForeignNodes(tmp_path / "no.zip")
    with pytest.raises(FileNotFoundError):
        ForeignNodes(tmp_path / "absent.zip")
    path = zipped(group[0])
    data = path.read_bytes()
    place = data.index(b"node_type")
    path.write_bytes(data[:place] + b"X" + data[place + 1 :])
    nodes = ForeignNodes(path)
    with pytest.raises(FormatError, match="CRC"):
        for name in ("zarr.json", "a/zarr.json", "b/zarr.json"):
            nodes.get(name)
    nodes.close()


def test_what_is_no_store():
    with pytest.raises(UsageError, match="int is no Zarr store"):
        ForeignNodes(7)
    with pytest.raises(UsageError, match="kind of URL"):
        ForeignNodes("acme://a.zarr")


def test_a_server_that_does_not_answer():
    pytest.importorskip("aiohttp")
    nodes = ForeignNodes("http://127.0.0.1:9/a.zarr")
    with pytest.raises(OSError, match=r"127\.0\.0\.1:9"):
        nodes.get("zarr.json")


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


def run(code, *arguments):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


HEAD = """
import json, sys
import numpy as np
from bfio._parallel import Workers
from bfio.limits import Limits
from bfio.omezarr.arraymeta import parse_array
from bfio.omezarr.foreign import ForeignNodes, ForeignReader
from bfio.omezarr.nodes import Folder
from bfio.selection import Box
"""


def test_zip_files_need_no_zarr_and_nobody_loses_a_word_about_odd_codecs(group):
    folder, image = group
    code = HEAD + (
        "nodes = ForeignNodes(sys.argv[1]); meta = parse_array(json.loads(nodes.get('a/zarr.json')), 'a')\n"
        "reader = ForeignReader(nodes, meta, Workers(2), Limits(), 0); print('zarr' in sys.modules)\n"
        "out = np.zeros((1, 1, 3, 70, 50), 'u2')\n"
        "reader.read('zyx', Box((0,), (0,), (0, 1, 2), range(70), range(50)), out, None)\n"
        "print(int(out.sum())); nodes.close()"
    )
    assert run(code, zipped(folder)).split() == ["False", str(int(image.sum()))]


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


@pytest.mark.skipif(sys.platform == "win32", reason="no fork")
@pytest.mark.filterwarnings("ignore:This process:DeprecationWarning")
def test_a_forked_child_reads(group):
    folder, image = group
    code = HEAD + (
        "import os, warnings; warnings.simplefilter('ignore')\n"
        "nodes = ForeignNodes(sys.argv[1]); meta = parse_array(json.loads(nodes.get('a/zarr.json')), 'a')\n"
        "reader = ForeignReader(nodes, meta, Workers(2), Limits(), 0)\n"
        "def total():\n"
        "    out = np.zeros((1, 1, 3, 70, 50), 'u2')\n"
        "    reader.read('zyx', Box((0,), (0,), (0, 1, 2), range(70), range(50)), out, None)\n"
        "    return int(out.sum())\n"
        "print(total(), flush=True)\n"
        "pid = os.fork()\n"
        "print(total(), flush=True)\n"
        "if pid == 0: os._exit(0)\n"
        "assert os.waitpid(pid, 0)[1] == 0; nodes.close()"
    )
    assert run(code, zipped(folder)).split() == [str(int(image.sum()))] * 3


def test_nothing_is_left_of_a_removed_store(tmp_path, delta):
    reader = a_reader(Folder(delta))
    read(reader, a_box((3, 70, 50)))
    reader.close()
    shutil.rmtree(delta)
    with pytest.raises(FormatError):
        read(reader, a_box((3, 70, 50)))


@pytest.mark.parametrize("ranges", [True, False])
def test_servers_with_and_without_ranges(group, http_server, ranges):
    folder, _ = group
    nodes = ForeignNodes(f"{http_server(folder, ranges=ranges).url}/a?token=1")
    raw = (folder / "a/zarr.json").read_bytes()
    assert nodes.get("zarr.json") == raw
    for start, stop in ((0, 5), (7, 30), (-9, None), (4, 4), (len(raw) - 3, len(raw))):
        assert nodes.get_range("zarr.json", start, stop) == raw[start:stop]
    nodes.close()


def test_a_file_much_larger_than_its_chunk_is_not_inflated(delta):
    (delta / "0.0.0").write_bytes(bytes(20 << 20))
    path = zipped(delta, zipfile.ZIP_DEFLATED)
    assert path.stat().st_size < 1 << 20
    nodes = ForeignNodes(path)
    with pytest.raises(FormatError, match="more than what it should hold"):
        read(a_reader(nodes), a_box((3, 70, 50)))
    nodes.close()
