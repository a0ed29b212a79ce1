"""The decode kernel under tasks, formats and tiles that make no sense: only statuses, and no byte beside its buffers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel_cases import CODECS, Case, guarded, random_tiles

from bfio import _kernels
from bfio._kernels import Status
from bfio.plan import FORMAT, TASK

NATIVE = [number for number in CODECS if _kernels.has_decompressor(number)]
KNOWN = {
    Status.OK, Status.TRUNCATED, Status.CORRUPT, Status.TOO_LONG, Status.TOO_SHORT, Status.BAD_TASK, Status.NO_CODEC,
    Status.OUT_OF_MEMORY,
}  # fmt: skip
EDGES = [0, 1, 2, 3, 15, 16, 17, 255, 2**16, 2**31 - 1, 2**31, 2**32 - 1, 2**40, 2**62, 2**63 - 1, 2**63, 2**64 - 1]


def fields(dtype):
    """Numeric fields of a record, with strategies for values that hurt."""
    entries = []
    for name, (kind, *_) in dtype.fields.items():
        if kind.kind in "ui":
            bounds = np.iinfo(kind)
            values = [value for edge in EDGES for value in (edge, -edge) if bounds.min <= value <= bounds.max]
            values = st.one_of(st.sampled_from(values), st.integers(int(bounds.min), int(bounds.max)))
            entries.append(st.tuples(st.just(name), values))
        elif kind.kind == "f":
            entries.append(st.tuples(st.just(name), st.floats()))
    return st.lists(st.one_of(entries), max_size=3)


class Arena:
    """Output and slab between canaries."""

    def __init__(self, case, order, slab_nbytes):
        template = case.out(order)
        raw, self._check_out = guarded(template.size * template.itemsize * 3)
        n = template.size * template.itemsize
        flat = raw[n : 2 * n].view(template.dtype)  # a margin of its own size on both sides
        self._sides = raw[:n], raw[2 * n :]
        self.out = self._alike(flat, template, order)
        self.slab, self._check_slab = guarded(slab_nbytes)

    @staticmethod
    def _alike(flat, template, order):
        if order == "columns":
            return flat.reshape(template.shape[::-1]).transpose()
        out = flat.reshape(template.shape)
        return out[:, ::-1, ::-1, ::-1, ::-1] if order == "backwards" else out

    def check(self):
        self._check_out()
        self._check_slab()
        for side in self._sides:
            assert (side == 0xA5).all(), "written beside the output"


def run_once(case, arena, data):
    """Statuses of one run; a format that is refused as a whole would be refused for ever."""
    counter, statuses = np.zeros(1, np.int64), []
    for _ in range(len(case.tasks) + 1):
        status, index = _kernels.decode_tiles(case.form, case.tasks, -1, data, arena.out, arena.slab, counter, 1 << 60)
        assert status in KNOWN
        assert -2 <= index < len(case.tasks)
        if index == -1:
            break
        statuses.append(status)
    arena.check()
    return statuses


@st.composite
def cases(draw):
    """Sound tasks, some with slots, before they are spoiled."""
    rng = np.random.default_rng(draw(st.integers(0, 20)))
    compression = draw(st.sampled_from(NATIVE))
    dtype = draw(st.sampled_from(["u1", "u2", "f4", "c16"]))
    predictor = draw(st.sampled_from({"u": [1, 2], "f": [1, 3], "c": [1]}[dtype[0]]))
    case = Case(
        random_tiles(rng, 3, 9, 17, draw(st.integers(1, 3)), dtype),
        compression,
        predictor,
        steps=draw(st.sampled_from([(1, 1), (2, 3)])),
        dtype=draw(st.sampled_from([None] if dtype == "c16" else [None, "f8", "u1"])),
    )
    tile_nbytes = case.tiles[0].nbytes
    if draw(st.booleans()):
        case.tasks["slot"] = np.arange(3) * tile_nbytes
        case.tasks["ready"] = draw(st.integers(0, 1))
    return case, Arena(case, draw(st.sampled_from(["planar", "columns", "backwards"])), 3 * tile_nbytes)


def spoil(record, changes):
    for name, value in changes:
        record[name] = value


@settings(max_examples=500, deadline=None)
@given(cases(), fields(TASK), st.integers(0, 2))
def test_fuzz_tasks(prepared, changes, victim):
    case, arena = prepared
    arena_statuses = run_once(case, arena, case.data)
    assert arena_statuses == []
    spoil(case.tasks[victim : victim + 1], changes)
    assert len(run_once(case, arena, case.data)) <= 1


@settings(max_examples=500, deadline=None)
@given(cases(), fields(FORMAT), fields(TASK))
def test_fuzz_formats(prepared, form_changes, task_changes):
    case, arena = prepared
    spoil(case.form, form_changes)
    spoil(case.tasks, task_changes)
    run_once(case, arena, case.data)


@settings(max_examples=300, deadline=None)
@given(cases(), *(st.binary(min_size=kind.itemsize, max_size=kind.itemsize) for kind in (FORMAT, TASK)))
def test_fuzz_random_records(prepared, form, task):
    case, arena = prepared
    case.form[0] = np.frombuffer(form, FORMAT)[0]
    run_once(case, arena, case.data)
    case.tasks[1] = np.frombuffer(task, TASK)[0]
    run_once(case, arena, case.data)


@settings(max_examples=400, deadline=None)
@given(
    cases(),
    st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=8),
    st.integers(0, 200),
)
def test_fuzz_encoded_bytes(prepared, flips, cut):
    case, arena = prepared
    data = np.frombuffer(case.data, np.uint8).copy()
    for place, value in flips:
        data[place % len(data)] = value
    run_once(case, arena, np.ascontiguousarray(data[: max(len(data) - cut, 1)]))


@pytest.mark.parametrize(("cols", "y_step"), [(2**31, 2**31), (2**30, 2**31), (2**31, 2**32 - 1)])
def test_fuzz_steps_of_one_row_that_overflow(cols, y_step):
    case = Case(random_tiles(np.random.default_rng(0), 1, 4, 4, 1, "c16"))
    case.form["cols"], case.form["y_step"], case.form["x_step"] = cols, y_step, (cols - 1) // 3
    case.tasks["nbytes"], case.tasks["rows"], case.tasks["tile_rows"] = 2**63, 1, 1
    arena = Arena(case, "planar", 0)
    assert len(run_once(case, arena, case.data)) == 1


@pytest.mark.parametrize(
    ("form", "tasks", "counter", "out"),
    [
        (np.zeros(2, FORMAT), None, 1, None),
        (None, np.zeros(TASK.itemsize + 1, np.uint8), 1, None),
        (None, None, 2, None),
        (None, None, 1, np.zeros((4, 4), np.uint8)),
        (None, None, 1, np.zeros((1, 1, 0, 4, 4), np.uint8)),
    ],
)
def test_door_refuses_wrong_arguments(form, tasks, counter, out):
    case = Case(random_tiles(np.random.default_rng(0), 1, 4, 4, 1, "u1"))
    with pytest.raises(ValueError, match="size|entry|axes|empty"):
        _kernels.decode_tiles(
            case.form if form is None else form,
            case.tasks if tasks is None else tasks,
            -1,
            case.data,
            case.out() if out is None else out,
            None,
            np.zeros(counter, np.int64),
            100,
        )


def test_door_refuses_a_read_only_output():
    case = Case(random_tiles(np.random.default_rng(0), 1, 4, 4, 1, "u1"))
    out = case.out()
    out.flags.writeable = False
    with pytest.raises((ValueError, BufferError)):
        case.run(out)
