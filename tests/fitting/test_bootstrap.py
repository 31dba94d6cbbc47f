"""Weights that are drawn, rows that are told apart, and components that are matched."""

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array

from sklearn_lvm.fitting.bootstrap import distinct_rows, matching_components, redrawn_weights


def test_a_weight_is_drawn_as_so_many_rows_are():
    """The sum of w exponential weights: of mean w and, but for the common sum, of variance w."""
    w = np.array([1.0, 1.0, 4.0, 0.0, 20.0])
    drawn = np.stack([redrawn_weights(w, np.random.RandomState(seed)) for seed in range(4000)])
    n = w.sum()
    assert_allclose(drawn.sum(axis=1), n)
    assert_array_equal(drawn[:, 3], 0.0)
    assert_allclose(drawn.mean(axis=0), w, atol=0.2)
    # Dirichlet numbers: shares w / n have the variance (w / n) (1 - w / n) / (n + 1).
    expected = n * w * (1 - w / n) / (n + 1)
    assert_allclose(drawn.var(axis=0), expected, rtol=0.1)


def test_components_are_matched_by_whose_rows_they_are():
    rng = np.random.default_rng(0)
    resp = rng.dirichlet(np.full(4, 0.2), 200)
    order = np.array([2, 0, 3, 1])
    drawn = 0.9 * resp[:, order] + 0.025
    found = matching_components(resp, drawn, rng.uniform(size=200))
    assert_array_equal(found, np.argsort(order))
    assert_allclose(drawn[:, found], 0.9 * resp + 0.025)


def test_rows_without_weight_match_nothing():
    resp = np.array([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]])
    drawn = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]])
    drawn[0] = [0.0, 1.0]
    assert_array_equal(matching_components(resp, drawn, np.array([1.0, 0.0, 0.0])), [1, 0])
    assert_array_equal(matching_components(resp, 1.0 - drawn, np.ones(3)), [0, 1])


def test_distinct_rows_of_sparse_tables_are_those_of_dense_ones():
    rng = np.random.default_rng(0)
    dense = rng.integers(0, 2, size=(60, 4)) * rng.integers(1, 3, size=(60, 4)).astype(float)
    dense[::7, 2] = np.nan
    w = rng.integers(0, 3, 60).astype(float)
    sparse, plain = distinct_rows(csr_array(dense), w), distinct_rows(dense, w)
    assert len(sparse) == len(plain) < np.count_nonzero(w)

    def as_set(rows):
        return {
            tuple(np.nan_to_num(dense[i], nan=-1.0)): weight
            for i, weight in zip(rows.index, rows.weight, strict=True)
        }

    assert as_set(sparse) == as_set(plain)
