"""kill -9 of a writer at any moment: what it leaves is a TIFF, nothing that was flushed is lost, resume finishes it."""

import numpy as np
import pytest
from fault_tools import Case, check_finished, check_resumed, killed_writer, part_of, random_ops, stored, write_missing

import bfio

CASES = [
    Case(compression="deflate"),
    Case(compression="none", levels=3),
    Case(compression="zstd", levels=3, tile=16),
    Case(compression="deflate", levels=3, samples=3),
    Case(compression="lzw", levels=2, size=(70, 333, 2)),
    Case(compression="none", tile=16, samples=3, workers=1),
    Case(compression="deflate", levels=2, options={"bigtiff": True}),
]


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.compression}-{case.levels}-{case.samples}")
def test_killed_at_any_moment(case, seed, tmp_path):
    rng = np.random.default_rng([seed, CASES.index(case)])
    path = tmp_path / "a.ome.tif"
    ops = random_ops(case, rng, 80, aligned=(0.5, 1.0, 0.2)[seed % 3], flush=(0.06, 0.2, 0.0)[seed])
    flushed = killed_writer(path, case, ops, rng)
    assert not path.exists()
    stored(part_of(path), case.levels)  # a TIFF that others read
    with bfio.BioWriter(path, resume=True) if seed else case.writer(path, resume=True) as writer:
        expected = check_resumed(writer, path, case, ops, flushed)
        write_missing(writer, case)
        assert writer.missing == []
    check_finished(path, expected, case.levels)


def test_killed_and_resumed_again_and_again(tmp_path):
    """The same file, killed six times, each time by another child that goes on."""
    case = Case(levels=3, compression="zstd")
    path = tmp_path / "a.ome.tif"
    rng = np.random.default_rng(5)
    base = case.empty
    for _ in range(6):
        ops = random_ops(case, rng, 40, flush=0.1)
        flushed = killed_writer(path, case, ops, rng, resume=True)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(bfio.BioWriter, "close", bfio.BioWriter._abandon)  # look, and go away as a killed one does
            with case.writer(path, resume=True) as writer:
                base = check_resumed(writer, path, case, ops, flushed, base, fill=0)
    with case.writer(path, resume=True) as writer:
        expected = check_resumed(writer, path, case, [], -1, base)
        write_missing(writer, case)
    check_finished(path, expected, case.levels)
