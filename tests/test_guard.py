"""Decoders that damaged bytes could crash: ours in their place, or a process of their own."""

import io
import os
import signal
import subprocess
import threading
from pathlib import Path

import hostile_files
import imagecodecs
import numpy as np
import pytest
import tifffile

from bfio import BfioError, BioReader, FormatError, UnsupportedError
from bfio.enums import Compression
from bfio.tiff.quarantine import Quarantine
from bfio.tiff.streams import check_claim

IMAGE = np.random.default_rng(7).integers(0, 200, (24, 40)).astype("u1")
LOSSLESS_ALONE = bytes(imagecodecs.ljpeg_encode(IMAGE.astype("u2"), bitspersample=13))


def packed(data, compression, bits=8, image=IMAGE, **tags):
    size_y, size_x = image.shape[:2]
    more = {"t256": size_x, "t257": size_y, "t278": size_y, "t258": (3, bits), "t259": (3, compression)}
    return hostile_files.strip(data, **more | tags)


def read(data):
    with BioReader(io.BytesIO(data)) as reader:
        return reader[:]


def deadly():
    """A JPEG XR stream that kills its decoder."""
    file = (Path(__file__).parent / "corrupt" / "jpeg-xr-division-by-zero.tif").read_bytes()
    return file[8:376]


class TestLzw:
    """Pages that only tifffile can read, with our kernel as its decompressor."""

    @pytest.mark.parametrize("fill_order", [1, 2])
    @pytest.mark.parametrize("bits", [1, 2, 4, 12])
    def test_packed_samples(self, bits, fill_order):
        image = IMAGE.astype("u1" if bits < 8 else "u2") % (1 << bits)
        rows = [imagecodecs.packints_encode(row, bits) for row in image]
        data = imagecodecs.lzw_encode(b"".join(rows))
        if fill_order == 2:
            data = imagecodecs.bitorder_decode(data)
        found = read(packed(data, Compression.LZW, bits, t266=(3, fill_order)))
        assert np.array_equal(found, image)

    def test_fill_order_and_predictor(self):
        difference = np.diff(IMAGE, axis=1, prepend=np.uint8(0))
        data = imagecodecs.bitorder_decode(imagecodecs.lzw_encode(difference.tobytes()))
        assert np.array_equal(read(packed(data, Compression.LZW, t266=(3, 2), t317=(3, 2))), IMAGE)

    @pytest.mark.parametrize(("rows", "cols"), [(24, 64), (24, 40)])
    def test_tiles_stored_up_to_the_edge_of_the_image(self, rows, cols):
        stored = np.zeros((rows, cols), "u1")
        stored[:, :40] = IMAGE
        data = imagecodecs.lzw_encode(stored.tobytes())
        file = hostile_files.tiles(data, 1, t256=40, t257=24, t259=(3, Compression.LZW))
        assert np.array_equal(read(file), IMAGE)
        assert np.array_equal(tifffile.imread(io.BytesIO(file)), IMAGE)

    @pytest.mark.parametrize("bits", [4, 8])
    @pytest.mark.parametrize("data", [b"\x80", bytes(40), imagecodecs.lzw_encode(bytes(100))])
    def test_damage(self, data, bits):
        with pytest.raises(BfioError):
            read(packed(data, Compression.LZW, bits))


class TestJpeg:
    @pytest.mark.parametrize("bits", [8, 12, 16])
    def test_lossless_that_libjpeg_knows(self, bits):
        image = IMAGE.astype("u1" if bits == 8 else "u2")
        data = bytes(imagecodecs.jpeg8_encode(image, lossless=True, bitspersample=bits))
        assert np.array_equal(read(packed(data, Compression.JPEG, bits)), image)

    def test_the_fragile_decoder_is_never_asked(self, monkeypatch):
        def refuse(*_, **__):
            raise imagecodecs.Jpeg8Error("SOF type")

        def fragile(*_, **__):
            pytest.fail("asked")

        monkeypatch.setattr(imagecodecs, "jpeg8_decode", refuse)
        monkeypatch.setattr(imagecodecs, "ljpeg_decode", fragile)
        with pytest.raises(FormatError, match="SOF type"):
            read(packed(LOSSLESS_ALONE, Compression.JPEG, 16))

    def test_planes_of_their_own(self, tmp_path):
        image = np.stack([IMAGE, IMAGE[::-1], IMAGE[:, ::-1]])
        options = {"photometric": "rgb", "planarconfig": "separate", "metadata": None}
        tifffile.imwrite(tmp_path / "a.tif", image, compression="jpeg", compressionargs={"level": 100}, **options)
        with BioReader(tmp_path / "a.tif") as reader:
            found = np.moveaxis(reader[:].reshape(24, 40, 3), -1, 0)
        assert found.shape == image.shape
        assert np.abs(found.astype("i2") - image).max() <= 4

    def test_another_type_than_the_tags_say(self):
        data = bytes(imagecodecs.jpeg8_encode(IMAGE.astype("u2"), lossless=True))
        with pytest.raises(FormatError, match="pixels of the type uint16, the tags say uint8"):
            read(packed(data, Compression.JPEG))

    @pytest.mark.parametrize("shape", [(24, 41), (25, 40), (12, 40)])
    def test_another_size_than_the_tags_say(self, shape):
        data = bytes(imagecodecs.jpeg8_encode(np.full(shape, 9, "u1")))
        file = packed(data, Compression.JPEG)
        if shape == (25, 40):  # strips may have too many rows
            assert (read(file) == 9).all()
        else:
            with pytest.raises(FormatError):
                read(file)


class TestQuarantine:
    PIXELS = np.random.default_rng(3).integers(0, 60000, (32, 48)).astype("u2")

    @pytest.fixture
    def quarantine(self):
        quarantine = Quarantine("jpegxr_decode")
        yield quarantine
        quarantine.close()

    def stream(self):
        return bytes(imagecodecs.jpegxr_encode(self.PIXELS))

    def children(self, quarantine):
        return [child._process for child in quarantine._idle.get(os.getpid(), [])]

    def test_one_child_serves_until_the_end(self, quarantine):
        assert np.array_equal(quarantine.decode(self.stream()), self.PIXELS)
        (child,) = self.children(quarantine)
        assert np.array_equal(quarantine.decode(self.stream()), self.PIXELS)
        assert self.children(quarantine) == [child]
        quarantine.close()
        assert child.poll() is not None

    def test_a_child_that_refused_a_stream_is_not_asked_again(self, quarantine):
        quarantine.decode(self.stream())
        (child,) = self.children(quarantine)
        with pytest.raises(FormatError):
            quarantine.decode(b"nothing of the kind")
        assert child.poll() is not None
        assert np.array_equal(quarantine.decode(self.stream()), self.PIXELS)

    def test_a_stream_that_kills(self, quarantine):
        quarantine.decode(self.stream())
        with pytest.raises(FormatError, match="crashed"):
            quarantine.decode(deadly())
        assert self.children(quarantine) == []
        assert np.array_equal(quarantine.decode(self.stream()), self.PIXELS)

    def test_a_child_that_died_before_is_replaced(self, quarantine):
        quarantine.decode(self.stream())
        (child,) = self.children(quarantine)
        child.kill()
        child.wait()
        assert np.array_equal(quarantine.decode(self.stream()), self.PIXELS)

    def test_threads(self, quarantine):
        wrong = []

        def work():
            for _ in range(3):
                if not np.array_equal(quarantine.decode(self.stream()), self.PIXELS):
                    wrong.append(1)

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert not wrong
        assert 1 <= len(self.children(quarantine)) <= 3

    def test_fork(self, quarantine, in_fork):
        quarantine.decode(self.stream())

        def in_child():
            same = np.array_equal(quarantine.decode(self.stream()), self.PIXELS)
            quarantine.close()
            return same

        assert in_fork(in_child) == "True"
        assert np.array_equal(quarantine.decode(self.stream()), self.PIXELS)

    @pytest.mark.skipif(not hasattr(signal, "SIGINT") or os.name == "nt", reason="no signals here")
    def test_ctrl_c_is_for_the_parent(self, quarantine):
        quarantine.decode(self.stream())
        (child,) = self.children(quarantine)
        child.send_signal(signal.SIGINT)
        assert np.array_equal(quarantine.decode(self.stream()), self.PIXELS)

    def test_no_interpreter(self, quarantine, monkeypatch):
        monkeypatch.setattr("sys.executable", "")
        with pytest.raises(UnsupportedError, match="a Python interpreter of its own"):
            quarantine.decode(self.stream())

    def test_what_does_not_start(self, quarantine, monkeypatch, tmp_path):
        monkeypatch.setattr("sys.executable", str(tmp_path / "none"))
        with pytest.raises(UnsupportedError, match="does not start"):
            quarantine.decode(self.stream())

    def test_the_reader_ends_its_children(self, monkeypatch):
        started = []
        start = subprocess.Popen
        monkeypatch.setattr(subprocess, "Popen", lambda *a, **k: started.append(start(*a, **k)) or started[-1])
        with BioReader(io.BytesIO(packed(self.stream(), Compression.JPEGXR, 16, self.PIXELS))) as reader:
            assert np.array_equal(reader[:], self.PIXELS)
            assert [child.poll() for child in started] == [None]
        assert started[0].poll() is not None


@pytest.mark.parametrize("stream", [b"\x89PNG\r", b"\xff\xd8\xff", b""])
def test_streams_without_a_signature(stream):
    with pytest.raises(FormatError, match="is no image"):
        check_claim(Compression.PNG, stream, 256)


def test_volumes_are_guarded_too():
    """What tifffile decodes as a whole goes through the same decoders."""
    volume = np.arange(1024, dtype="u1").reshape(4, 16, 16)
    depth = {"t32997": (4, 4), "t322": (3, 16), "t323": (3, 16), "t32998": (3, 4), "t273": None, "t279": None}

    def file(data):
        return packed(data, Compression.LZW, image=volume[0], t324=(4, 8), t325=(4, len(data)), **depth)

    good = imagecodecs.lzw_encode(volume.tobytes())
    assert np.array_equal(read(file(good)), np.moveaxis(volume, 0, -1))
    with pytest.raises(BfioError, match="the data are corrupt"):  # in the words of our kernel
        read(file(good[:4] + b"\xff" * 8 + good[12:]))
