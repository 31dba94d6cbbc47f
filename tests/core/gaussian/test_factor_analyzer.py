"""One Gaussian of low rank plus noise, beside the dense Gaussian of rows and latent coordinates."""

import numpy as np
from numpy.testing import assert_allclose
from scipy.stats import multivariate_normal

from sklearn_lvm.core.gaussian.factor_analyzer import FactorAnalyzer
from sklearn_lvm.core.gaussian.low_rank import LowRank
from sklearn_lvm.core.gaussian.low_rank_covariances import LowRankCovariances

D, Q = 5, 2


def analyzer(seed=0):
    rng = np.random.RandomState(seed)
    noise = rng.uniform(0.2, 1.5, (1, D))
    covariance = LowRankCovariances(
        LowRank(D, q=Q), rng.normal(size=(1, D, Q)), noise, np.full((1, D), 1e-6)
    )
    return FactorAnalyzer(rng.normal(size=D), covariance)


def joint(model):
    """The covariance of (t, z)."""
    W = model.loadings
    return np.block([[np.eye(Q), W.T], [W, W @ W.T + np.diag(model.noise)]])


def test_scores_are_those_of_the_dense_gaussian():
    model, Z = analyzer(), np.random.RandomState(1).normal(size=(20, D))
    dense = multivariate_normal(model.mean, joint(model)[Q:, Q:])
    assert_allclose(model.kernel().log_prob(Z.T), dense.logpdf(Z), rtol=1e-12)


def test_latent_coordinates_are_those_of_the_joint_gaussian():
    model, Z = analyzer(), np.random.RandomState(1).normal(size=(20, D))
    C = joint(model)
    expected = C[:Q, Q:] @ np.linalg.solve(C[Q:, Q:], (Z - model.mean).T)
    assert_allclose(model.latent_mean(Z.T), expected, rtol=1e-10, atol=1e-12)


def test_draws_have_the_moments_of_the_joint_gaussian():
    model, n = analyzer(), 100_000
    Z, latent = model.sample(n, np.random.RandomState(0))
    drawn = np.column_stack([latent, Z])
    assert_allclose(np.cov(drawn.T), joint(model), atol=0.06)
    assert_allclose(drawn.mean(axis=0), np.append(np.zeros(Q), model.mean), atol=0.03)


def test_parts_are_those_of_the_dense_gaussian():
    model, known, values = analyzer(), np.array([3, 0]), np.array([0.5, -1.0])
    C, rest = joint(model)[Q:, Q:], [1, 2, 4]
    first = multivariate_normal(model.mean[known], C[np.ix_(known, known)])
    log_prob, others = model.conditional(known, values)
    assert_allclose(log_prob, [first.logpdf(values)])
    gain = C[np.ix_(rest, known)] @ np.linalg.inv(C[np.ix_(known, known)])
    assert_allclose(others.mean, model.mean[rest] + gain @ (values - model.mean[known]))
    scatter = C[np.ix_(rest, rest)] - gain @ C[np.ix_(known, rest)]
    assert_allclose(others.covariance.scatter[0], scatter, atol=1e-12)
    assert_allclose(others.noise, model.noise[rest])
    part = model.marginal(known)
    assert_allclose(part.covariance.scatter[0], C[np.ix_(known, known)])
    assert part.loadings.shape == (2, Q)


def test_parameters_are_counted():
    assert analyzer().n_parameters() == D + D + D * Q - 1
