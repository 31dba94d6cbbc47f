"""Latent coordinates are the regression of t on what was observed of z."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_lvm.core.gaussian.density import Gaussians
from sklearn_lvm.core.gaussian.full import Full
from sklearn_lvm.core.gaussian.latent import latent_means
from sklearn_lvm.core.gaussian.low_rank import LowRank
from sklearn_lvm.core.gaussian.low_rank_covariances import LowRankCovariances
from sklearn_lvm.core.gaussian.missing import observed_rows

K, D, Q, N = 2, 5, 2, 30


@pytest.fixture
def gaussians():
    rng = np.random.default_rng(0)
    noise = rng.uniform(0.2, 1.0, size=(K, D))
    covariance = LowRankCovariances(
        LowRank(D, q=Q), rng.normal(size=(K, D, Q)), noise, np.zeros((K, D))
    )
    return Gaussians(rng.normal(size=(K, D)), covariance)


@pytest.mark.parametrize("share", [0.0, 0.4])
def test_they_are_a_regression(gaussians, share):
    rng = np.random.default_rng(1)
    Z = rng.normal(size=(D, N))
    Z[rng.random(Z.shape) < share] = np.nan
    found, C = latent_means(gaussians, observed_rows(Z)), gaussians.covariance.scatter
    assert found.shape == (K, Q, N)
    for k in range(K):
        for i in range(N):
            seen = ~np.isnan(Z[:, i])
            gap = Z[seen, i] - gaussians.mean[k, seen]
            coefficients = np.linalg.solve(C[k][np.ix_(seen, seen)], gap)
            expected = gaussians.covariance.loadings[k, seen].T @ coefficients
            assert_allclose(found[k, :, i], expected, rtol=1e-9, atol=1e-11)


def test_on_average_they_are_what_rows_were_made_of(gaussians):
    """The covariance of the expected and the true coordinates is that of the expected ones."""
    rng, n = np.random.default_rng(2), 100_000
    one = gaussians.subset(np.array([0]))
    W, noise = one.covariance.loadings[0], one.covariance.noise[0]
    t = rng.normal(size=(Q, n))
    Z = one.mean[0][:, None] + W @ t + np.sqrt(noise)[:, None] * rng.normal(size=(D, n))
    found = latent_means(one, Z)[0]
    assert_allclose(found @ t.T / n, found @ found.T / n, atol=0.02)


def test_full_covariances_have_none(gaussians):
    full = Gaussians(gaussians.mean, Full(D).from_public(gaussians.covariance.scatter))
    with pytest.raises(TypeError, match="FullCovariances have no latent coordinates"):
        latent_means(full, np.zeros((D, 3)))
