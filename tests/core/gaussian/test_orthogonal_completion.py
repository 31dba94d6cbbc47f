"""Rows with missing entries where features nearly follow from each other."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import multivariate_normal

from sklearn_lvm.core.gaussian.density import Gaussians
from sklearn_lvm.core.gaussian.full import MAX_INFLATION, Full
from sklearn_lvm.core.gaussian.missing import observed_rows
from sklearn_lvm.core.gaussian.orthogonal_completion import OrthogonalCompleter

D, N = 5, 80


def problem(tied, gap=1.0):
    """Gaussians of two features and three that are sums of them, but for a gap, and rows."""
    rng = np.random.default_rng(0)
    A = np.vstack([np.eye(2), rng.normal(size=(3, 2))])
    C = np.stack([A @ np.diag(v) @ A.T + gap**2 * np.eye(D) for v in ([1.0, 2.0], [3.0, 0.5])])
    structure = Full(D, tied)
    gaussians = Gaussians(rng.normal(size=(2, D)), structure.from_public(C[0] if tied else C))
    Z = A @ rng.normal(size=(2, N)) + gap * rng.normal(size=(D, N))
    return gaussians, C, np.where(rng.random((D, N)) < 0.5, np.nan, Z)


@pytest.mark.parametrize("tied", [False, True])
def test_both_ways_complete_rows_alike(tied):
    gaussians, _, Z = problem(tied)
    rows, mean, C = observed_rows(Z), gaussians.mean, gaussians.covariance
    resp = np.random.default_rng(1).random((2, N))
    ways = C.completer(mean), OrthogonalCompleter(mean, C.inverse)
    for group in rows.groups:
        values, observed = rows.values[:, group.rows], rows.observed[:, group.rows]
        one, other = (way.complete(values, observed, group) for way in ways)
        for name in ("whitened", "log_det", "deviation", "variances"):
            assert_allclose(getattr(other, name), getattr(one, name), atol=1e-10)
        shares = resp[:, group.rows]
        assert_allclose(
            other.spread(shares, C.structure), one.spread(shares, C.structure), atol=1e-10
        )


def test_what_was_observed_is_scored_to_its_own_digits():
    gaussians, C, Z = problem(False, gap=1e-5)
    inflation = gaussians.covariance.precision_diagonal * gaussians.covariance.variances
    assert (inflation.max(axis=1) > MAX_INFLATION).all()
    few = (~np.isnan(Z)).sum(axis=0) <= 2  # two features never follow from each other
    kernel = gaussians.kernel(np.zeros(2))
    found = kernel.log_prob(kernel.features(observed_rows(Z[:, few])))
    for k in range(2):
        for i, x in enumerate(Z[:, few].T):
            o = np.flatnonzero(~np.isnan(x))
            mean, covariance = gaussians.mean[k, o], C[k][np.ix_(o, o)]
            expected = multivariate_normal(mean, covariance).logpdf(x[o]) if len(o) else 0.0
            assert_allclose(found[k, i], expected, rtol=1e-8, atol=1e-8)
