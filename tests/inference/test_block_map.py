"""Blocks of rows: every row once, in order, and the same sum however many threads there are."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal
from threadpoolctl import threadpool_info, threadpool_limits

from sklearn_lvm.inference.block_map import (
    BLOCK_BYTES,
    BLOCKS_PER_GROUP,
    MAX_BLOCK_BYTES,
    MIN_PRODUCT_ROWS,
    ThreadMap,
    available_threads,
    block_size,
    slices_of,
)

THREADS = (1, 2, 3)


@given(n=st.integers(1, 500), size=st.integers(1, 600))
def test_slices_cover_every_row_once(n, size):
    slices = slices_of(n, size)
    assert_array_equal(np.concatenate([np.arange(n)[part] for part in slices]), np.arange(n))
    assert max(len(range(n)[part]) for part in slices) <= size


@given(floats=st.integers(1, 10**6))
def test_blocks_fit_into_the_cache_and_are_not_tiny(floats):
    size = block_size(floats)
    assert size % 64 == 0
    assert 64 <= size <= 16384
    assert 8 * size * floats <= MAX_BLOCK_BYTES or size == 64
    assert 8 * size * floats <= BLOCK_BYTES or size <= MIN_PRODUCT_ROWS


@pytest.mark.parametrize("threads", THREADS)
def test_threads_are_as_many_as_threadpoolctl_allows(threads):
    with threadpool_limits(threads, user_api="blas"):
        assert available_threads() == threads
        with ThreadMap() as block_map:
            assert block_map.threads == threads


def blas_threads():
    return [pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"]


def test_blas_has_one_thread_while_blocks_are_walked_and_gets_the_others_back():
    with threadpool_limits(2, user_api="blas"):
        before = blas_threads()
        with ThreadMap() as outer, ThreadMap() as inner:
            assert inner.threads == outer.threads == 2
            assert set(blas_threads()) == {1}
            assert all(set(found) == {1} for found in outer.map(lambda _: blas_threads(), [0, 1]))
        assert blas_threads() == before
        with pytest.raises(KeyboardInterrupt), ThreadMap():
            raise KeyboardInterrupt
        assert blas_threads() == before


def test_the_last_of_several_maps_gives_the_threads_back():
    with threadpool_limits(2, user_api="blas"):
        before, first, second = blas_threads(), ThreadMap(), ThreadMap()
        first.__enter__()
        second.__enter__()
        first.__exit__()
        assert set(blas_threads()) == {1}
        second.__exit__()
        assert blas_threads() == before


@pytest.mark.parametrize("threads", THREADS)
@pytest.mark.parametrize(
    "n", [1, 2, BLOCKS_PER_GROUP, BLOCKS_PER_GROUP + 1, 20 * BLOCKS_PER_GROUP + 3]
)
def test_items_keep_their_order(threads, n):
    with threadpool_limits(threads, user_api="blas"), ThreadMap() as block_map:
        assert block_map.map(lambda item: item**2, range(n)) == [i**2 for i in range(n)]


@pytest.mark.parametrize(
    "n",
    [1, BLOCKS_PER_GROUP - 1, BLOCKS_PER_GROUP, BLOCKS_PER_GROUP + 1, 20 * BLOCKS_PER_GROUP + 3],
)
def test_a_sum_of_floats_has_the_same_bits_whatever_the_threads(n):
    blocks = list(np.random.default_rng(0).normal(size=(n, 5)) * 10.0 ** np.arange(-8, 12, 4))
    totals = []
    for threads in THREADS:
        with threadpool_limits(threads, user_api="blas"), ThreadMap() as block_map:
            totals.append(block_map.sum(np.sin, blocks))
    for total in totals:
        assert_array_equal(total, totals[0])
    np.testing.assert_allclose(totals[0], np.sin(blocks).sum(axis=0), rtol=1e-12)


@pytest.mark.parametrize("threads", THREADS)
def test_an_error_in_a_block_is_the_callers(threads):
    def fails(item):
        raise ArithmeticError(f"block {item}")

    before = threading.active_count()
    with (
        threadpool_limits(threads, user_api="blas"),
        pytest.raises(ArithmeticError, match="block"),
        ThreadMap() as block_map,
    ):
        block_map.map(fails, range(5))
    assert threading.active_count() <= before


def test_two_threads_really_walk():
    """Each of two blocks waits until the other has begun."""
    barrier = threading.Barrier(2, timeout=30)
    with threadpool_limits(2, user_api="blas"), ThreadMap() as block_map:
        block_map.map(lambda _: barrier.wait(), [0, 1])


def test_silenced_warnings_are_silent_in_every_thread():
    barrier = threading.Barrier(2, timeout=30)

    def divides(item):
        barrier.wait()
        return np.float64(1.0) / np.float64(item)

    with (
        threadpool_limits(2, user_api="blas"),
        ThreadMap() as block_map,
        np.errstate(divide="ignore"),
    ):
        assert block_map.map(divides, [0.0, 0.0]) == [np.inf, np.inf]


@pytest.mark.parametrize("culprit", ["caller", "helper"])
def test_an_error_in_one_thread_waits_for_the_others(culprit):
    """Nothing of a failed walk goes on behind the back of who asked."""
    barrier, caller, running = threading.Barrier(2, timeout=30), threading.get_ident(), []

    def visit(item):
        barrier.wait()
        if (threading.get_ident() == caller) == (culprit == "caller"):
            raise ArithmeticError(culprit)
        time.sleep(0.05)
        running.append(item)

    with threadpool_limits(2, user_api="blas"), ThreadMap() as block_map:
        with pytest.raises(ArithmeticError, match=culprit):
            block_map.map(visit, [0, 1])
        assert len(running) == 1
