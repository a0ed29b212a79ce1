"""Files that are broken on purpose: an answer or a sentence, in bounded time and memory, and never a crash."""

import os
import re
import stat
from pathlib import Path

import guarded
import hostile_files
import numpy as np
import pytest

from bfio import BfioError, BioReader, FormatError, LimitError, Limits

THOROUGH = float(os.environ.get("BFIO_FUZZ_SECONDS", "1")) >= 60
FAMILIES = {family.__name__: family for family in hostile_files.FAMILIES}


def assert_harmless(paths):
    bad = [outcome for outcome in guarded.survey(paths) if outcome.faults]
    assert not bad, "\n".join(f"{Path(outcome.path).name}: {'; '.join(outcome.faults)}" for outcome in bad[:20])


def test_corpus(corpus):
    paths = sorted((corpus / "hostile").iterdir())
    assert len(paths) >= 70
    assert_harmless(paths)


@pytest.mark.parametrize("name", FAMILIES)
def test_made(name, tmp_path):
    paths = []
    files = list(FAMILIES[name]())
    for number, (what, data) in enumerate(files if THOROUGH else files[:: -(-len(files) // 16)]):
        paths.append(tmp_path / f"{number:04d} {re.sub('[^A-Za-z0-9]+', ' ', what)[:60].strip()}.tif")
        paths[-1].write_bytes(data)
    assert paths
    assert_harmless(paths)


class TestSupervisor:
    """What the supervisor must notice; else the tests above would pass by blindness."""

    @pytest.fixture
    def outcome(self, tmp_path, monkeypatch):
        def run(code):
            (tmp_path / "sitecustomize.py").write_text(
                "import sys\nif sys.argv and sys.argv[0].endswith('guarded.py'):\n"
                "    import bfio\n"
                f"    def BioReader(*a, **k):\n        {code}\n"
                "    bfio.BioReader = BioReader\n"
            )
            path = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
            monkeypatch.setenv("PYTHONPATH", os.pathsep.join(path))
            (found,) = guarded.survey([tmp_path / "sitecustomize.py"])
            return " ".join(found.faults)

        return run

    def test_crash(self, outcome):
        assert "killed by signal 11" in outcome("import ctypes; ctypes.string_at(0)")

    def test_foreign_error(self, outcome):
        assert "RAISED KeyError" in outcome("raise KeyError('x')")

    def test_memory(self, outcome):
        assert re.search(r"took \d{3} MB", outcome("b = bytearray(b'x') * (500 << 20); raise bfio.FormatError('x')"))

    def test_noise(self, outcome):
        assert "wrote to stderr" in outcome("print('ouch', file=sys.stderr); raise bfio.FormatError('x')")

    def test_time(self, outcome, monkeypatch):
        monkeypatch.setenv("GUARDED_SECONDS", "1")
        assert "killed by signal 14" in outcome("import time; time.sleep(60)")


class TestSentences:
    def test_missing_file(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"none\.tif"):
            BioReader(tmp_path / "none.tif")

    @pytest.mark.parametrize(
        ("data", "sentence"),
        [(b"", "is empty"), (b"Dear reader,\nthis is text.\n", "is a text file"), (b"<html></html>", "is a web page")],
    )
    def test_no_image(self, tmp_path, data, sentence):
        path = tmp_path / "picture.tif"
        path.write_bytes(data)
        with pytest.raises(FormatError, match=rf"picture\.tif {sentence}"):
            BioReader(path)

    def test_folder(self, tmp_path):
        with pytest.raises(FormatError, match="is a directory"):
            BioReader(tmp_path)

    @pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
    def test_pipe(self, tmp_path):
        os.mkfifo(tmp_path / "pipe.tif")
        with pytest.raises(FormatError, match="pipe"):
            BioReader(tmp_path / "pipe.tif")

    @pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no devices here")
    def test_device(self):
        with pytest.raises(FormatError, match="device"):
            BioReader("/dev/zero")

    @pytest.mark.skipif(os.name == "nt", reason="links need rights there")
    def test_link_to_itself(self, tmp_path):
        (tmp_path / "loop.tif").symlink_to(tmp_path / "loop.tif")
        with pytest.raises((BfioError, OSError, RuntimeError), match=r"loop\.tif"):
            BioReader(tmp_path / "loop.tif")

    @pytest.mark.parametrize(
        "data",
        [
            hostile_files.strip(t258=(3, 200)),
            hostile_files.strip(t339=(3, 9)),
            hostile_files.strip(t256=0),
            hostile_files.strip(t273=None),
            hostile_files.strip(t256=60000, t257=60000, t278=60000),
            hostile_files.strip(t270=(2, '{"shape": [1000000000, 16, 16]}')),
            hostile_files.strip(t259=(3, 7)),
        ],
    )
    def test_errors_name_the_file(self, tmp_path, data):
        path = tmp_path / "bad.tif"
        path.write_bytes(data)
        with pytest.raises(BfioError, match=r"bad\.tif") as caught, BioReader(path) as reader:
            reader[:]
        assert "\n" not in str(caught.value)
        assert not re.search(r"unsupported operand|object has no attribute|NoneType", str(caught.value))


class TestClaims:
    """Pixels that have no bytes in the file."""

    N = 30016

    def sparse(self, tmp_path):
        n_tiles = (self.N // 64) ** 2
        path = tmp_path / "sparse.tif"
        path.write_bytes(
            hostile_files.tiles(
                bytes(4096), 1, t256=self.N, t257=self.N, t324=(4, [8] + [0] * (n_tiles - 1)),
                t325=(4, [4096] + [0] * (n_tiles - 1)),
            )
        )  # fmt: skip
        return path

    def test_regions_of_a_sparse_image(self, tmp_path):
        with BioReader(self.sparse(tmp_path)) as reader:
            assert reader.shape == (self.N, self.N)
            assert not reader[-3000:, 5000:8000].any()

    def test_all_of_a_sparse_image(self, tmp_path):
        with BioReader(self.sparse(tmp_path)) as reader, pytest.raises(LimitError, match=r"Limits\.sparse_nbytes"):
            reader[:]

    def test_all_of_a_sparse_image_on_request(self, tmp_path):
        limits = Limits(sparse_nbytes=1 << 30)
        out = np.broadcast_to(np.zeros(1, "u1"), (1,))  # so that nothing large is kept
        with BioReader(self.sparse(tmp_path), limits=limits) as reader:
            out = reader.read(X=(0, self.N), Y=(0, 6000))
        assert out.shape == (6000, self.N)
        assert not out.any()

    def test_limit_is_checked_before_memory_is_touched(self, tmp_path):
        with BioReader(self.sparse(tmp_path)) as reader:
            out = np.full((self.N, 8192), 7, "u1")
            with pytest.raises(LimitError):
                reader.read(X=(0, 8192), out=out)
            assert (out == 7).all()

    def test_missing_planes_count(self, tmp_path):
        path = tmp_path / "few.ome.tif"
        pixels = hostile_files.pixels('<TiffData IFD="0"/>', SizeX=512, SizeY=512, SizeT=2000)
        path.write_bytes(hostile_files.strip(bytes(512 * 512), t256=512, t257=512, t278=512,
                                             t270=(2, hostile_files.OME.format(pixels))))  # fmt: skip
        with BioReader(path) as reader:
            assert reader.T == 2000
            assert not reader[:, :, :, :, 1500].any()
            with pytest.raises(LimitError, match=r"Limits\.sparse_nbytes"):
                reader[:]


class TestFilesThatChange:
    @pytest.fixture
    def path(self, tmp_path):
        import tifffile

        path = tmp_path / "big.tif"
        rng = np.random.default_rng(0)
        tifffile.imwrite(path, rng.integers(0, 255, (1024, 1024)).astype("u1"), tile=(64, 64), compression="zlib")
        return path

    @pytest.mark.parametrize("size", [0, 8, 5000, 500_000])
    def test_shrinks_after_open(self, path, size):
        with BioReader(path, cache_bytes=0) as reader:
            with path.open("r+b") as stream:
                stream.truncate(size)
            with pytest.raises(BfioError, match=r"big\.tif"):
                reader[:]

    def test_grows_nonsense_after_open(self, path):
        with BioReader(path, cache_bytes=0) as reader:
            with path.open("r+b") as stream:
                stream.seek(1000)
                stream.write(os.urandom(400_000))
            with pytest.raises(BfioError, match=r"big\.tif"):
                reader[:]

    @pytest.mark.skipif(os.name == "nt", reason="an open file can not be replaced there")
    def test_replaced_while_open_is_the_old_file(self, path):
        with BioReader(path, cache_bytes=0) as reader:
            before = reader[:]
            other = path.with_name("other")
            other.write_bytes(b"nothing")
            other.replace(path)
            assert np.array_equal(reader[:], before)

    @pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="nothing is forbidden to root")
    def test_forbidden(self, path):
        path.chmod(stat.S_IWUSR)
        with pytest.raises(PermissionError, match=r"big\.tif"):
            BioReader(path)


def test_log_of_tifffile(tmp_path, caplog):
    """Its messages are at level DEBUG of bfio's logger; those of others who use tifffile stay as they are."""
    import tifffile

    path = tmp_path / "bad.tif"
    path.write_bytes(hostile_files.strip(t700=(4, 1, 2**31), t258=(3, 3), t65000=(77, 1)))
    with caplog.at_level("DEBUG"), caplog.at_level("DEBUG", "tifffile"), caplog.at_level("DEBUG", "bfio.tifffile"):
        with BioReader(path) as reader:
            reader.thumbnail()
        ours = [record for record in caplog.records if record.name == "bfio.tifffile"]
        assert ours
        assert {record.levelname for record in ours} == {"DEBUG"}
        assert not [record for record in caplog.records if record.name == "tifffile"]
        with tifffile.TiffFile(path) as file:
            file.pages[0]
    assert [record for record in caplog.records if record.name == "tifffile"]
