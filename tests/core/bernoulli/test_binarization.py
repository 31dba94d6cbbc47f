"""Binarization, and the sources of binary rows: which rows are equal, and which are drawn."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from sklearn_lvm.core.bernoulli.binarization import (
    PROBE_ROWS,
    Binarization,
    BinaryRowSource,
    DenseBinarization,
)

from .helpers import codes_of, table

every_table = pytest.mark.parametrize("missing", [False, True])


def test_a_threshold_keeps_what_was_not_observed():
    binarization = DenseBinarization(0.5, 2)
    found = binarization.transform(np.array([[0.5, np.nan], [0.6, -3.0]]))
    assert_array_equal(found, [[0.0, 1.0], [np.nan, 0.0]])
    assert binarization.log_jacobian == 0.0
    assert_array_equal(binarization.inverse_transform(found), found)


def source(X, w, first=None):
    """Rows in one block, or in two of which the first has so many rows."""
    slices = [slice(None)] if first is None else [slice(first), slice(first, None)]
    return BinaryRowSource(X, w, Binarization(0.5), lambda X: slices)


def as_set(X, rows):
    """Rows with their weights, in an order of their own."""
    found = sorted(zip(map(tuple, codes_of(X[rows.index])), rows.weight, strict=True))
    return found


@every_table
@pytest.mark.parametrize("d", [1, 3, 12, 70])
def test_distinct_rows_are_those_of_their_content(missing, d):
    X, rng = table(300, d, d, missing)
    w = rng.integers(0, 3, size=300).astype(float)
    rows = source(X, w).distinct(10**6)
    plain = {}
    for row, weight in zip(map(tuple, codes_of(X)), w, strict=True):
        plain[row] = plain.get(row, 0.0) + weight
    assert as_set(X, rows) == sorted((row, weight) for row, weight in plain.items() if weight)
    table_ = sparse.csr_array(X)
    same = source(table_, w).distinct(10**6)
    assert_array_equal(same.index, rows.index)


def test_a_subsample_of_binary_rows_ignores_order_and_blocks():
    X, rng = table(3000, 40, 0, True)
    w, order = rng.uniform(size=3000), rng.permutation(3000)
    rows = source(X, w).distinct(100)
    again = source(X[order], w[order], 7).distinct(100)
    assert len(rows) == 100
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


@pytest.mark.parametrize("n", [300, 5000])
def test_weights_that_are_whole_numbers_are_counts(n):
    """However few patterns there are; what is three times all of them says no more."""
    X, rng = table(n, 3, 0, False)
    assert source(X, np.ones(n)).n_observations == n
    assert source(X, np.full(n, 0.3)).n_observations == pytest.approx(n)
    times = rng.integers(0, 4, size=n).astype(float)
    found = source(X, times).n_observations
    assert found == times.sum()
    assert source(np.repeat(X, times.astype(int), axis=0), np.ones(int(times.sum()))).unit == 1.0
    assert source(X, times).merged().n_observations == found
    distinct = source(X, times).merged()
    assert source(distinct.X, 3.0 * distinct.w).n_observations == found


def test_copies_are_split_one_by_one():
    X, rng = table(400, 40, 0, True)
    times = rng.integers(1, 4, size=400)
    weighted = source(X, times.astype(float)).sample(400)
    repeated = source(np.repeat(X, times, axis=0), np.ones(times.sum())).sample(400)
    for one, other in zip(weighted.split(0.3, seed=0), repeated.split(0.3, seed=0), strict=True):
        assert_array_equal(codes_of(one.X), codes_of(other.X))
        assert_array_equal(one.w, other.w)
    drawn, rest = weighted.split(0.3, seed=0)
    assert drawn.w.sum() + rest.w.sum() == times.sum()
    assert 0.25 < drawn.w.sum() / times.sum() < 0.35
    both = len(drawn) + len(rest) - 400
    assert 50 < both < (times > 1).sum()
    heavy = source(X, np.where(np.arange(400) < 300, 1.0, 99.5))  # no whole number of copies
    assert sum(map(len, heavy.split(0.3, seed=0))) == 300 + 2 * 100
