"""Counts of levels: they add, and their evidence is the product of predictives."""

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import dirichlet_multinomial, multinomial

from sklearn_lvm.core.exponential.dirichlet import LevelCounts

X = np.array([[1.0, 0.0], [7.0, np.nan], [1.0, 2.0], [3.0, 2.0]])


def test_blocks_add_to_the_whole_whatever_levels_each_has():
    w = np.array([1.0, 0.5, 2.0, 1.0])
    whole = LevelCounts.of(X, w)
    parts = LevelCounts.of(X[2:], w[2:]) + LevelCounts.of(X[:2], w[:2])
    assert parts.weight == whole.weight
    for name in ("values", "counts"):
        for found, expected in zip(getattr(parts, name), getattr(whole, name), strict=True):
            assert_allclose(found, expected, rtol=1e-15)


def test_a_value_without_weight_is_no_level():
    values = LevelCounts.of(X, np.array([1.0, 0.0, 1.0, 0.0])).values
    assert_array_equal(values[0], [1.0])
    assert_array_equal(values[1], [0.0, 2.0])


def test_the_evidence_is_that_of_scipy():
    """But for the number of orders of the entries, which scipy counts."""
    counts = LevelCounts.of(X, np.ones(4))
    for j, evidence in enumerate(counts.log_evidence(np.array([0.4, 1.5]))):
        n, a = counts.counts[j], (0.4, 1.5)[j]
        total = int(n.sum())
        orders = multinomial(total, n / total).logpmf(n) - n @ np.log(n / total)
        expected = dirichlet_multinomial(np.full(len(n), a), total).logpmf(n.astype(int)) - orders
        assert_allclose(evidence, expected, rtol=1e-10)


def test_probabilities_are_shares_with_the_prior():
    theta = LevelCounts.of(X, np.ones(4)).density(np.array([1.0, 0.0])).parts
    assert_allclose(np.exp(theta[0]), [[3 / 7, 2 / 7, 2 / 7]], rtol=1e-12)
    assert_allclose(np.exp(theta[1]), [[1 / 3, 2 / 3]], rtol=1e-12)
