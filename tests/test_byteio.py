"""Byte sources: the same bytes from a file, an object and a URL; and how each fails."""

import numpy as np
import pytest

from bfio.byteio import open_source


@pytest.fixture
def data() -> bytes:
    return np.random.default_rng(0).bytes(300_001)


def test_smoke(tmp_path, data, http_server):
    (tmp_path / "a.bin").write_bytes(data)
    server = http_server(tmp_path)
    for path in (tmp_path / "a.bin", f"{server.url}/a.bin", open(tmp_path / "a.bin", "rb")):
        with open_source(path) as source:
            assert source.size == len(data)
            assert source.pread(70_000, 20) == data[70_000:70_020]
            assert source.pread(1000, 200_000) == data[1000:201_000]
            arena, positions = source.fetch([200_000, 0], [100, 70])
            assert bytes(arena[positions[0] :][:100]) == data[200_000:200_100]
        if hasattr(path, "close"):
            path.close()


def test_workers():
    from bfio._parallel import Workers

    w = Workers(3)
    seen = []
    w.run(lambda: seen.append(1))
    assert 1 <= len(seen) <= 3
    assert list(w.map(lambda x: x * 2, range(50))) == [x * 2 for x in range(50)]
