"""Blocks of binary rows, dense or sparse, complete or not: the same sums as entry by entry."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from sklearn_lvm.core.bernoulli.binary_rows import MISSING, ONE, ZERO, binary_rows
from sklearn_lvm.core.bernoulli.counts import Counts

from .helpers import codes_of, table

KINDS = {"dense": np.asarray, "csr_array": sparse.csr_array, "csr_matrix": sparse.csr_matrix}
every_kind = pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
every_table = pytest.mark.parametrize("missing", [False, True])
shapes = {"n": st.integers(1, 40), "d": st.integers(1, 19), "seed": st.integers(0, 10**6)}


@every_kind
@every_table
@given(K=st.integers(1, 4), **shapes)
def test_entries_are_added_up_along_rows_by_their_code(kind, missing, n, d, seed, K):
    X, rng = table(n, d, seed, missing)
    one, zero, missing = rng.normal(size=(3, K, d))
    worth = np.choose(codes_of(X)[:, None], [zero, one, missing]).sum(axis=2)
    block = binary_rows(kind(X), 0.5)
    assert_allclose(block.row_sums(one, zero, missing), worth.T, atol=1e-12)
    without = np.choose(codes_of(X)[:, None], [zero, one, np.zeros_like(one)]).sum(axis=2)
    assert_allclose(block.row_sums(one, zero), without.T, atol=1e-12)
    base = rng.normal(size=K)
    rows = block.row_sums(one, zero, base=base).T
    assert_allclose(rows, without + base, atol=1e-12)
    assert rows.flags.c_contiguous


@every_kind
@every_table
@given(K=st.integers(1, 4), **shapes)
def test_rows_are_added_up_along_columns_by_code(kind, missing, n, d, seed, K):
    X, rng = table(n, d, seed, missing)
    w = rng.uniform(size=(K, n))
    ones, zeros = binary_rows(kind(X), 0.5).column_sums(w)
    assert_allclose(ones, w @ (codes_of(X) == ONE), atol=1e-12)
    assert_allclose(zeros, w @ (codes_of(X) == ZERO), atol=1e-12)
    assert (zeros >= 0).all()


@every_kind
@every_table
@given(**shapes)
def test_codes_are_those_of_the_entries(kind, missing, n, d, seed):
    X, _ = table(n, d, seed, missing)
    block = binary_rows(kind(X), 0.5)
    assert_array_equal(block.codes(), codes_of(X))
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


@every_table
def test_the_precision_of_a_block_is_that_of_its_rows_and_sums_are_double(missing):
    X, rng = table(50, 21, 0, missing)
    exact = binary_rows(X, 0.5)
    single = replace(exact, patterns=exact.patterns.astype(np.float32))
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


@every_table
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
