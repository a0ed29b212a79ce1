"""Blocks of a conversion: every pixel once, whole tiles, within memory, and what a resumed one leaves out."""

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from bfio.conversion import blocks
from bfio.conversion.blocks import plan
from bfio.conversion.geometry import Geometry
from bfio.conversion.memory import BASE_NBYTES, parse_memory, shown
from bfio.conversion.order import z_curve
from bfio.conversion.todo import Todo
from bfio.errors import UsageError

MB = 1 << 20


def geometry(**changes):
    values = {
        "size_t": 1,
        "size_c": 1,
        "size_z": 1,
        "size_y": 5000,
        "size_x": 7000,
        "samples": 1,
        "item_nbytes": 2,
        "tile": (1024, 1024),
        "n_levels": 4,
        "src_tile": (512, 512),
        "src_pixel_nbytes": 2,
        "src_origin": (0, 0),
        "src_size": (5000, 7000),
    }
    return Geometry(**(values | changes))


depths = st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 4))


def in_chunks(g, depth, shard):
    """The same image in chunks of a depth; `shard` tells how many rows and columns of them are together."""
    depth = tuple(min(pair) for pair in zip(depth, (g.size_t, g.size_c, g.size_z), strict=True))
    return replace(g, in_chunks=True, depth=depth, shard=shard and (shard[0] * g.tile[0], shard[1] * g.tile[1]))


flat_geometries = st.builds(
    geometry,
    size_t=st.integers(1, 3),
    size_c=st.integers(1, 3),
    size_z=st.integers(1, 5),
    size_y=st.integers(1, 90),
    size_x=st.integers(1, 90),
    samples=st.sampled_from([1, 1, 3]),
    tile=st.tuples(st.sampled_from([16, 32]), st.sampled_from([16, 48])),
    src_tile=st.tuples(st.integers(1, 90), st.integers(1, 90)),
    src_origin=st.tuples(st.integers(0, 20), st.integers(0, 20)),
    src_size=st.just((120, 120)),
)
deep_geometries = st.builds(
    in_chunks, flat_geometries, depths, st.none() | st.tuples(st.integers(1, 3), st.integers(1, 3))
)
small_geometries = flat_geometries | deep_geometries


def candidates(g):
    for size in blocks._sizes(g, 1):
        yield blocks._planned(g, *size, True, 1)


def painted(g, wanted):
    count = np.zeros((g.size_t, g.size_c, g.size_z, g.size_y, g.size_x), int)
    for block in wanted:
        count[np.ix_(block.t, block.c, block.z, block.y, block.x)] += 1
    return count


@settings(max_examples=80)
@given(small_geometries)
def test_blocks_cover_every_pixel_once_and_cut_no_tile(g):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "GOAL_NBYTES", 4000)
        for one in candidates(g):
            found = list(one.blocks())
            assert (painted(g, found) == 1).all()
            for block in found:
                assert not (block.y.start % g.tile[0] or block.x.start % g.tile[1])
                assert block.y.stop == g.size_y or block.y.stop % g.tile[0] == 0
                assert block.x.stop == g.size_x or block.x.stop % g.tile[1] == 0
                n_rows = g.read_stop(block.y.stop) - block.y.start if one.in_bands else len(block.y)
                n_planes = len(block.t) * len(block.c) * len(block.z)
                if one.in_bands and len(block.y) < g.size_y:
                    assert n_rows <= one.buffer_rows
                assert n_planes <= one.planes and block.n_pixels * g.pixel_nbytes <= one.buffer_nbytes
                assert g.samples == 1 or len(block.c) <= g.depth[1]
                for part, size, deep in zip(planes_of(block), (g.size_t, g.size_c, g.size_z), g.depth, strict=True):
                    assert part.start % deep == 0 and (part.stop == size or part.stop % deep == 0)


def planes_of(block):
    return block.t, block.c, block.z


def chunks_of(g, block):
    """Numbers of the chunks of a block, T first, in the order in which a writer cuts them."""
    axes = zip((*planes_of(block), block.y, block.x), (*g.depth, *g.tile), strict=True)
    return product(*(range(part.start // size, -(-part.stop // size)) for part, size in axes))


@settings(max_examples=80)
@given(deep_geometries)
@example(in_chunks(geometry(size_y=90, size_x=90, tile=(16, 16), src_tile=(1, 1)), (1, 1, 1), (3, 3)))
def test_the_chunks_of_a_shard_come_in_the_order_in_which_they_stand_in_it(g):
    per = [outer // inner for outer, inner in zip(g.cell, g.tile, strict=True)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "GOAL_NBYTES", 4000)
        for one in candidates(g):
            last = {}
            for t, c, z, row, col in (chunk for block in one.blocks() for chunk in chunks_of(g, block)):
                shard = (row // per[0], col // per[1])
                assert last.get(shard, (-1,)) < (t, c, z, row, col)
                last[shard] = (t, c, z, row, col)


@pytest.mark.parametrize("depth", [(1, 1, 1), (1, 2, 1), (1, 1, 16), (1, 1, 64)])
@pytest.mark.parametrize("shard", [None, (1024, 1024), (8192, 8192)])
def test_a_plan_of_chunks_stays_within_memory(depth, shard):
    size = (40_000, 50_000)
    g = geometry(size_y=size[0], size_x=size[1], src_size=size, size_z=200, size_c=3, n_levels=8, tile=(256, 256))
    one = plan(replace(g, in_chunks=True, depth=depth, shard=shard), 512 * MB, 2)
    assert one.need <= 512 * MB and one.counts == depth


def test_chunks_that_are_too_large_are_named():
    g = replace(geometry(size_z=64), in_chunks=True, depth=(1, 1, 64), tile=(1024, 1024))
    with pytest.raises(
        UsageError, match=r"chunks of \(1, 1, 64, 1024, 1024\) in the target; it takes (\d+)MB"
    ) as caught:
        plan(g, 256 * MB, 2)
    enough = parse_memory(str(caught.value).split()[-1])
    assert plan(g, enough, 2).need <= enough


@pytest.mark.parametrize("memory", [100 * MB, 150 * MB, 512 * MB, 4096 * MB])
@pytest.mark.parametrize("workers", [1, 2, 8])
@pytest.mark.parametrize("size", [(5000, 7000), (200_000, 300_000), (900, 1_000_000)])
def test_a_plan_stays_within_memory(memory, workers, size):
    g = geometry(size_y=size[0], size_x=size[1], src_size=size, n_levels=9, tile=(256, 256), src_tile=(256, 256))
    one = plan(g, memory, workers)
    assert one.need <= memory
    assert one.need >= BASE_NBYTES + one.buffer_nbytes


def test_small_planes_share_a_block_and_large_ones_come_in_bands_or_squares():
    stack = plan(geometry(size_z=1000, size_y=100, size_x=100, n_levels=1, src_size=(100, 100)), 512 * MB, 2)
    assert stack.planes == 1000
    bands = plan(geometry(), 512 * MB, 2)
    assert bands.in_bands and bands.rows % 1024 == 0
    wide = (300_000, 300_000)
    squares = plan(geometry(size_y=wide[0], size_x=wide[1], src_size=wide, n_levels=10), 256 * MB, 2)
    assert not squares.in_bands and squares.overlapped


def test_compressed_strips_as_tall_as_the_image_are_read_once():
    tall = geometry(src_tile=(5000, 7000))
    assert plan(tall, 1024 * MB, 2).rows == 5000
    with pytest.raises(UsageError, match=r"memory=101MB .*5000.* takes (\d+)MB") as caught:
        plan(tall, 101_000_000, 2)
    enough = parse_memory(str(caught.value).split()[-1])
    assert plan(tall, enough, 2).need <= enough


def test_what_is_fetched_of_a_remote_source_is_counted():
    assert plan(geometry(is_local=False), 512 * MB, 2).need > plan(geometry(), 512 * MB, 2).need + 30 * MB


def test_compressed_strips_are_never_cut_into_squares_while_bands_fit():
    strips = geometry(src_tile=(100, 7000))
    assert plan(strips, 512 * MB, 2).overlapped
    little = plan(strips, plan(strips, 512 * MB, 2).need - 20 * MB, 2)
    assert little.in_bands and little.buffer_nbytes < plan(strips, 512 * MB, 2).buffer_nbytes
    single = plan(strips, min(one.need for one in candidates(strips) if one.in_bands) - 1, 2)
    assert single.in_bands and not single.overlapped
    assert not plan(geometry(), single.need, 2).in_bands


@pytest.mark.parametrize(("rows", "cols"), [(1, 1), (1, 7), (7, 1), (5, 6), (8, 3)])
def test_the_z_curve_visits_every_cell_once(rows, cols):
    cells = list(z_curve(rows, cols))
    assert sorted(cells) == [(row, col) for row in range(rows) for col in range(cols)]


def test_the_z_curve_completes_quarters_one_after_the_other():
    assert list(z_curve(4, 4))[:4] == [(0, 0), (0, 1), (1, 0), (1, 1)]
    assert {(row // 2, col // 2) for row, col in list(z_curve(4, 4))[4:8]} == {(0, 1)}
    assert list(z_curve(3, 1)) == [(0, 0), (1, 0), (2, 0)]


@settings(max_examples=60)
@given(small_geometries, st.data())
def test_the_rest_of_an_interrupted_conversion_is_what_was_missing(g, data):
    down, across = -(-g.size_y // g.tile[0]), -(-g.size_x // g.tile[1])
    gone = np.zeros((g.size_t, g.size_c, g.size_z, down, across), bool)
    keys = []
    for _ in range(data.draw(st.integers(0, 4))):
        t, c, z, row, col = (data.draw(st.integers(0, size - 1)) for size in gone.shape)
        gone[t, c, z, row, col] = True
        y = slice(row * g.tile[0], min((row + 1) * g.tile[0], g.size_y))
        x = slice(col * g.tile[1], min((col + 1) * g.tile[1], g.size_x))
        keys.append((y, x, slice(z, z + 1), slice(c * g.samples, (c + 1) * g.samples), slice(t, t + 1)))
    todo = Todo(g, keys)
    wanted = gone.repeat(g.tile[0], 3).repeat(g.tile[1], 4)[..., : g.size_y, : g.size_x]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "GOAL_NBYTES", 4000)
        for one in candidates(g):
            rests = [(block, todo.rest(block)) for block in one.blocks()]
            count = painted(g, [rest for _, rest in rests if rest is not None])
            assert count.max(initial=0) <= 1 and (count[wanted] == 1).all()
            for block, rest in rests:
                inside = wanted[np.ix_(block.t, block.c, block.z, block.y, block.x)]
                assert (rest is None) == (not inside.any())
                if rest is not None:
                    assert rest.n_pixels <= block.n_pixels


@pytest.mark.parametrize(
    ("text", "nbytes"),
    [
        ("512MB", 512_000_000),
        ("512mb", 512_000_000),
        ("1.5 GiB", 3 << 29),
        ("2g", 2 * 10**9),
        ("1048576", 1 << 20),
        (600_000_000, 600_000_000),
    ],
)
def test_sizes_of_memory(text, nbytes):
    assert parse_memory(text) == nbytes
    assert parse_memory(shown(nbytes)) >= nbytes


@pytest.mark.parametrize("value", ["", "much", "12XB", "-5MB", 100, "10kB", 1.5, None])
def test_what_is_no_size_is_refused(value):
    with pytest.raises(UsageError, match="memory="):
        parse_memory(value)
