"""The density of probabilistic PCA."""

import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_allclose
from scipy.stats import multivariate_normal

from sklearn_lvm.core.factor.density import PPCADensity

from ...laws.specs import seeds
from .helpers import D, random_density


@given(seed=seeds)
def test_covariance_precision_and_determinant_agree(seed):
    density = random_density(seed)
    C = density.covariance()
    expected = density.loadings @ density.loadings.T + density.noise * np.eye(D)
    assert_allclose(C, expected, rtol=1e-9)
    assert_allclose(C @ density.precision(), np.eye(D), atol=1e-8)
    assert_allclose(density.log_det, np.linalg.slogdet(C)[1], rtol=1e-9)


@pytest.mark.parametrize("q", [0, 1, 2, 4, 5])
@pytest.mark.parametrize("known", [[1], [4, 0, 2], [0, 1, 2, 3]])
def test_given_values_it_is_the_conditional_gaussian(q, known):
    rng, noise = np.random.default_rng(q), 0.3
    W, m = rng.normal(size=(D, q)), rng.normal(size=D)
    density = PPCADensity.from_loadings(m, W, noise)
    C, values = density.covariance(), 3 * rng.normal(size=len(known))
    assert_allclose(C, W @ W.T + noise * np.eye(D), rtol=1e-9, atol=1e-12)
    known, others = np.array(known), np.delete(np.arange(D), known)
    log_prob, rest = density.conditional(known, values)
    inside, across = C[np.ix_(known, known)], C[np.ix_(others, known)]
    gain = np.linalg.solve(inside, across.T).T
    plain = multivariate_normal(m[known], inside).logpdf(values)
    assert_allclose(log_prob, [plain], rtol=1e-10)
    assert_allclose(rest.mean, m[others] + gain @ (values - m[known]), rtol=1e-9, atol=1e-10)
    expected = C[np.ix_(others, others)] - gain @ across.T
    assert_allclose(rest.covariance(), expected, rtol=1e-9, atol=1e-10)
    assert len(rest.axes) == min(q, len(others))
    assert rest.noise == noise
    assert_allclose(density.marginal(known).covariance(), inside, rtol=1e-9, atol=1e-12)


def test_little_noise_costs_no_digits():
    """The variance that is left is about the noise, 1e-12 of what was there."""
    W, noise = np.array([[1.0], [2.0], [-1.0]]), 1e-12
    density = PPCADensity.from_loadings(np.zeros(3), W, noise)
    _, rest = density.conditional(np.array([0]), np.array([2.0]))
    assert_allclose(rest.mean, [4.0, -2.0], rtol=1e-9)
    assert_allclose(rest.covariance() / noise, [[5.0, -2.0], [-2.0, 2.0]], rtol=1e-3)
