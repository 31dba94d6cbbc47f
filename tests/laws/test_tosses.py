"""Blocks of tosses, dense or sparse, with holes or without: the same sums as entry by entry."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from sklearn_lvm.core.bernoulli.binary_rows import MISSING, ONE, ZERO, binary_rows
from sklearn_lvm.core.bernoulli.counts import Counts
from sklearn_lvm.core.bernoulli.threshold import PROBE_ROWS, Binarization, BinaryRowSource

KINDS = {"dense": np.asarray, "csr_array": sparse.csr_array, "csr_matrix": sparse.csr_matrix}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
every_hole = pytest.mark.parametrize("holes", [False, True])
shapes = {"n": st.integers(1, 40), "d": st.integers(1, 19), "seed": st.integers(0, 10**6)}


def table(n, d, seed, missing, share=0.3):
    """Rows of 0, 1 and perhaps NaN."""
    rng = np.random.default_rng(seed)
    X = (rng.uniform(size=(n, d)) < share).astype(float)
    X[rng.uniform(size=X.shape) < 0.2 * missing] = np.nan
    return X, rng


def sides_of(X):
    return np.where(np.isnan(X), MISSING, np.where(X > 0, ONE, ZERO))


@every_kind
@every_hole
@given(K=st.integers(1, 4), **shapes)
def test_entries_are_weighed_by_their_side(kind, missing, n, d, seed, K):
    X, rng = table(n, d, seed, missing)
    one, zero, missing = rng.normal(size=(3, K, d))
    worth = np.choose(sides_of(X)[:, None], [zero, one, missing]).sum(axis=2)
    block = binary_rows(kind(X), 0.5)
    assert_allclose(block.row_sums(one, zero, missing), worth.T, atol=1e-12)
    without = np.choose(sides_of(X)[:, None], [zero, one, np.zeros_like(one)]).sum(axis=2)
    assert_allclose(block.row_sums(one, zero), without.T, atol=1e-12)
    base = rng.normal(size=K)
    rows = block.row_sums(one, zero, base=base).T
    assert_allclose(rows, without + base, atol=1e-12)
    assert rows.flags.c_contiguous


@every_kind
@every_hole
@given(K=st.integers(1, 4), **shapes)
def test_rows_are_added_up_by_side(kind, missing, n, d, seed, K):
    X, rng = table(n, d, seed, missing)
    w = rng.uniform(size=(K, n))
    ones, zeros = binary_rows(kind(X), 0.5).column_sums(w)
    assert_allclose(ones, w @ (sides_of(X) == ONE), atol=1e-12)
    assert_allclose(zeros, w @ (sides_of(X) == ZERO), atol=1e-12)
    assert (zeros >= 0).all()


@every_kind
@every_hole
@given(**shapes)
def test_sides_are_those_of_the_entries(kind, missing, n, d, seed):
    X, _ = table(n, d, seed, missing)
    block = binary_rows(kind(X), 0.5)
    assert_array_equal(block.codes(), sides_of(X))
    filled = block.filled(np.full(d, 0.25))
    filled = filled.toarray() if sparse.issparse(filled) else filled
    assert_array_equal(filled, np.where(np.isnan(X), 0.25, X))


@given(**shapes)
def test_a_single_zero_among_many_ones_is_counted_exactly(n, d, seed):
    """No weight is found by taking a large sum from another."""
    X = np.ones((n, d))
    X[0] = 0.0
    w = np.random.default_rng(seed).uniform(size=(1, n))
    w[0, 0] = 1e-9
    assert_array_equal(Counts.of(binary_rows(X, 0.5), w).zeros, np.full((1, d), 1e-9))


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int32, np.int64, np.float32, np.float64])
@every_kind
def test_any_numbers_are_on_one_side_of_the_threshold(dtype, kind):
    X = np.array([[0, 1, 1], [1, 0, 1]], dtype=dtype)
    assert_array_equal(binary_rows(kind(X), 0.5).codes(), X.astype(int))


@pytest.mark.parametrize("dtype", [bool, np.uint8, np.float32])
@every_kind
def test_thresholds_may_be_larger_than_any_number_of_that_type(dtype, kind):
    X = kind(np.array([[0, 1, 1]], dtype=dtype))
    assert_array_equal(binary_rows(X, 1e300).codes(), [[0, 0, 0]])


@every_hole
def test_the_precision_of_a_block_is_that_of_its_rows_and_sums_are_double(missing):
    X, rng = table(50, 21, 0, missing)
    exact = binary_rows(X, 0.5)
    single = replace(exact, shown=exact.shown.astype(np.float32))
    one, zero = rng.normal(size=(2, 3, 21))
    assert single.row_sums(one, zero).dtype == np.float32
    assert_allclose(single.row_sums(one, zero), exact.row_sums(one, zero), atol=1e-5)
    w = rng.uniform(size=(3, 50)).astype(np.float32)
    for found, plain in zip(single.column_sums(w), exact.column_sums(w), strict=True):
        assert found.dtype == np.float64
        assert_allclose(found, plain, rtol=1e-5)


def test_what_lies_on_the_threshold_is_a_zero():
    X = np.array([[0.3, 0.5, 0.7, -1.0, np.nan]])
    assert_array_equal(binary_rows(X, 0.5).codes(), [[ZERO, ZERO, ONE, ZERO, MISSING]])
    assert_array_equal(binary_rows(X, -2.0).codes(), [[ONE, ONE, ONE, ONE, MISSING]])


@every_hole
@given(at=st.integers(1, 29), seed=st.integers(0, 1000))
def test_counts_of_blocks_are_those_of_the_whole(missing, at, seed):
    X, rng = table(30, 11, seed, missing)
    w = rng.integers(0, 5, size=(2, 30)).astype(float)
    whole = Counts.of(binary_rows(X, 0.5), w)
    one, two = (Counts.of(binary_rows(X[p], 0.5), w[:, p]) for p in (slice(at), slice(at, None)))
    for both in (one + two, two + one):
        for name in ("weight", "ones", "zeros"):
            assert_array_equal(getattr(both, name), getattr(whole, name))
    assert_allclose(whole.scaled(0.25).ones, whole.ones / 4, rtol=1e-15)


# -- which rows are equal ----------------------------------------------------------------------------


def source(X, w, first=None):
    """Rows in one block, or in two of which the first has so many rows."""
    slices = [slice(None)] if first is None else [slice(first), slice(first, None)]
    return BinaryRowSource(X, w, Binarization(0.5), lambda X: slices)


def as_set(X, rows):
    """Rows with their weights, in an order of their own."""
    found = sorted(zip(map(tuple, sides_of(X[rows.index])), rows.weight, strict=True))
    return found


@every_hole
@pytest.mark.parametrize("d", [1, 3, 12, 70])
def test_distinct_rows_are_those_of_their_content(missing, d):
    X, rng = table(300, d, d, missing)
    w = rng.integers(0, 3, size=300).astype(float)
    rows = source(X, w).distinct(10**6)
    plain = {}
    for row, weight in zip(map(tuple, sides_of(X)), w, strict=True):
        plain[row] = plain.get(row, 0.0) + weight
    assert as_set(X, rows) == sorted((row, weight) for row, weight in plain.items() if weight)
    table_ = sparse.csr_array(X)
    same = source(table_, w).distinct(10**6)
    assert_array_equal(same.index, rows.index)


def test_a_subsample_of_tosses_ignores_order_and_blocks():
    X, rng = table(3000, 40, 0, True)
    w, order = rng.uniform(size=3000), rng.permutation(3000)
    rows = source(X, w).distinct(100)
    again = source(X[order], w[order], 7).distinct(100)
    assert len(rows) == 100
    assert rows.drawn_from == 3000
    assert as_set(X, rows) == as_set(X[order], again)


def merged(X, w):
    found = source(X, w, 100).merged()
    return found.X, found.w


def test_equal_rows_are_merged_where_there_are_many():
    X, rng = table(3 * PROBE_ROWS, 4, 0, False)
    w = rng.uniform(size=len(X))
    rows, weight = merged(X, w)
    assert len(rows) <= 16
    assert len(np.unique(rows, axis=0)) == len(rows)
    assert_allclose(weight @ rows, w @ X, rtol=1e-12)


def test_rows_that_all_differ_stay_as_they_are():
    X, rng = table(3 * PROBE_ROWS, 80, 0, False)
    w = rng.uniform(size=len(X))
    rows, weight = merged(X, w)
    assert rows is X
    assert weight is w


def test_few_rows_come_in_an_order_of_their_own():
    X, rng = table(200, 30, 0, True)
    order = rng.permutation(200)
    assert_array_equal(*(merged(rows, np.ones(200))[0] for rows in (X, X[order])))
