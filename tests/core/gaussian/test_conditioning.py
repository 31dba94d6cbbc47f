"""Gaussians and Student-t densities of some features, and of these given values of the others."""

import numpy as np
from hypothesis import given
from numpy.testing import assert_allclose
from scipy.stats import multivariate_normal, multivariate_t
from scipy.stats import t as univariate_t

from sklearn_lvm.core.gaussian.density import Gaussians
from sklearn_lvm.core.gaussian.diagonal import Diagonal
from sklearn_lvm.core.gaussian.full import Full
from sklearn_lvm.core.gaussian.student import StudentTs

from ...laws.specs import components, dense_gaussians, every_gaussian, seeds

D = 5
KNOWN, OTHERS = np.array([3, 0]), np.array([1, 2, 4])


def students(family, K, rng):
    gaussians = family.components(K, D, rng)
    factor, dof = rng.uniform(0.3, 3.0, size=(2, K)) * [[1.0], [3.0]]
    return StudentTs(gaussians.mean, gaussians.covariance, factor, dof)


def scales(densities):
    return densities.factor[:, None, None] * dense_gaussians(densities)[1]


def log_prob(densities, row):
    kernel = densities.kernel(np.zeros(len(densities.mean)))
    return kernel.log_prob(kernel.features(row[:, None]))[:, 0]


@every_gaussian
@given(seed=seeds, K=components)
def test_gaussians_given_values_follow_the_formula(family, seed, K):
    rng = np.random.default_rng(seed)
    gaussians, values = family.components(K, D, rng), 3 * rng.normal(size=2)
    found, rest = gaussians.conditional(KNOWN, values)
    for k, (m, C) in enumerate(zip(*dense_gaussians(gaussians), strict=True)):
        known, across = C[np.ix_(KNOWN, KNOWN)], C[np.ix_(OTHERS, KNOWN)]
        gain = np.linalg.solve(known, across.T).T
        assert_allclose(found[k], multivariate_normal(m[KNOWN], known).logpdf(values), rtol=1e-9)
        assert_allclose(rest.mean[k], m[OTHERS] + gain @ (values - m[KNOWN]), rtol=1e-8, atol=1e-8)
        covariance = C[np.ix_(OTHERS, OTHERS)] - gain @ across.T
        assert_allclose(dense_gaussians(rest)[1][k], covariance, rtol=1e-7, atol=1e-7)
    assert rest.covariance.structure == family.of(3)
    assert len(rest.covariance) == len(gaussians.covariance)


@every_gaussian
@given(seed=seeds, K=components)
def test_marginals_are_blocks(family, seed, K):
    gaussians = family.components(K, D, np.random.default_rng(seed))
    part, C = gaussians.marginal(KNOWN), dense_gaussians(gaussians)[1]
    assert_allclose(part.mean, gaussians.mean[:, KNOWN])
    assert_allclose(dense_gaussians(part)[1], C[:, KNOWN[:, None], KNOWN], rtol=1e-10, atol=1e-12)


@every_gaussian
@given(seed=seeds, K=components)
def test_the_log_density_is_that_of_the_values_and_of_the_others_given_them(family, seed, K):
    rng = np.random.default_rng(seed)
    row = 3 * rng.normal(size=D)
    for densities in (family.components(K, D, rng), students(family, K, rng)):
        known, rest = densities.conditional(KNOWN, row[KNOWN])
        assert_allclose(known, log_prob(densities.marginal(KNOWN), row[KNOWN]), rtol=1e-10)
        whole = log_prob(densities, row)
        assert_allclose(known + log_prob(rest, row[OTHERS]), whole, rtol=1e-9, atol=1e-9)


@every_gaussian
@given(seed=seeds)
def test_student_marginals_are_those_of_scipy(family, seed):
    rng = np.random.default_rng(seed)
    densities, values = students(family, 2, rng), 3 * rng.normal(size=2)
    found, _ = densities.conditional(KNOWN, values)
    blocks = scales(densities)[:, KNOWN[:, None], KNOWN]
    for k, (m, C) in enumerate(zip(densities.mean[:, KNOWN], blocks, strict=True)):
        plain = multivariate_t(m, C, densities.dof[k]).logpdf(values)
        if type(densities.covariance.structure) is Diagonal:
            size = np.sqrt(np.diagonal(C))
            plain = univariate_t(densities.dof[k], m, size).logpdf(values).sum()
        assert_allclose(found[k], plain, rtol=1e-9)


@every_gaussian
@given(seed=seeds)
def test_values_far_out_widen_features_that_share_a_precision(family, seed):
    rng = np.random.default_rng(seed)
    densities = students(family, 2, rng)
    _, near = densities.conditional(KNOWN, densities.mean[0, KNOWN])
    _, far = densities.conditional(KNOWN, densities.mean[0, KNOWN] + 100.0)
    independent = type(densities.covariance.structure) is Diagonal
    assert_allclose(far.dof, densities.dof + (0 if independent else 2))
    assert (far.factor[0] > 10 * near.factor[0]) == (not independent)
    assert_allclose(far.covariance.matrix, near.covariance.matrix)


def test_a_nearly_singular_covariance_costs_no_digits_of_what_is_left():
    """z_1 = z_0 + 1e-6 e: by subtraction of squares nothing would be left of the variance of e."""
    factor = np.array([[[1.0, 0.0], [1.0, 1e-6]]])
    gaussian = Gaussians(np.zeros((1, 2)), Full(2).from_public(np.eye(2)[None]))
    covariance = type(gaussian.covariance)(Full(2), factor)
    _, rest = Gaussians(np.zeros((1, 2)), covariance).conditional(np.array([0]), np.array([1e8]))
    assert_allclose(rest.mean, [[1e8]], rtol=1e-14)
    assert_allclose(rest.covariance.variances, [[1e-12]], rtol=1e-9)
    _, first = Gaussians(np.zeros((1, 2)), covariance).conditional(np.array([1]), np.array([1e8]))
    assert_allclose(first.covariance.variances, [[1e-12]], rtol=1e-9)
