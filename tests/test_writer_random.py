"""Any sequence of writes, checkpoints, crashes and resumptions gives the image of the same assignments to an array."""

import tempfile
from pathlib import Path

import numpy as np
import pytest
from fault_tools import Case, apply, check_finished, random_ops
from hypothesis import given, settings
from hypothesis import strategies as st

CASES = [
    Case(size=(70, 61, 2), tile=16, workers=1),
    Case(size=(70, 61, 2), tile=16, levels=3, compression="zstd"),
    Case(size=(50, 95, 2), tile=32, levels=3, compression="none", samples=3),
]


@pytest.mark.parametrize("case", CASES, ids=str)
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 1 << 30), aligned=st.sampled_from([0.0, 0.5, 1.0]), flush=st.sampled_from([0.0, 0.1, 0.4]))
def test_any_sequence(case, seed, aligned, flush):
    rng = np.random.default_rng(seed)
    expected = case.empty
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.ome.tif"
        writer = case.writer(path)
        for op in random_ops(case, rng, 30, aligned, flush):
            apply(writer, case, op)
            if op[0] == "write":
                where = slice(op[1], op[2]), slice(op[3], op[4]), op[5]
                expected[where] = case.truth(op[6])[where]
            elif rng.random() < 0.4:  # gone after a checkpoint; somebody goes on
                writer._abandon()
                writer = case.writer(path, resume=True)
        writer.close()
        check_finished(path, expected, case.levels)
