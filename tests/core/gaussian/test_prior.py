"""A prior is moments of rows that nobody saw: estimates are modes, and its log-density is theirs."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import minimize
from scipy.stats import invwishart, multivariate_normal

from sklearn_lvm.core.gaussian.density import GaussianFamily, Gaussians
from sklearn_lvm.core.gaussian.moments import Moments
from sklearn_lvm.core.gaussian.prior import GaussianPrior
from sklearn_lvm.core.gaussian.structure_names import COVARIANCE_TYPES

D, K, N = 2, 3, 40
every_structure = pytest.mark.parametrize(
    "structure", [make(D) for make in COVARIANCE_TYPES.values()]
)


def prior_of(structure, strength=5.0, mean_precision=0.0, seed=0):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(D, 6))
    one = np.ones((1, 6))
    scatter = Moments.of(A, one, structure).scatter
    n_means = K if structure.tied else 1
    mean = np.array([0.5, -1.0])
    return GaussianPrior(structure, scatter, np.array([strength]), mean, mean_precision, n_means)


def data(seed=1):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(D, N)), rng.dirichlet(np.ones(K), N).T


def family_of(prior, added=0.01):
    return GaussianFamily(prior.structure, np.full(D, added), prior)


def height(family, moments, gaussians):
    """The log-posterior of parameters, given the statistics of the rows."""
    known = gaussians.log_density_of(moments, family.added_variance)
    return known + family.log_prior(gaussians)


@every_structure
@pytest.mark.parametrize("mean_precision", [0.0, 2.5])
def test_an_estimate_is_the_mode(structure, mean_precision):
    """From the estimate every small step leads down."""
    family = family_of(prior_of(structure, mean_precision=mean_precision))
    moments = family.statistics(*data())
    best = family.estimate(moments)
    top, rng = height(family, moments, best), np.random.default_rng(2)
    coordinates = best.to_coordinates(best.pooled(np.full(K, 1 / K)))
    reference = best.pooled(np.full(K, 1 / K))
    for _ in range(20):
        moved = tuple(c + 1e-3 * rng.normal(size=c.shape) for c in coordinates)
        assert height(family, moments, reference.from_coordinates(moved)) < top


def test_the_log_prior_of_a_full_covariance_is_that_of_scipy():
    """Differences of a Normal-inverse-Wishart log-density; a flat prior of the mean has one less."""
    structure = COVARIANCE_TYPES["full"](D)
    beta, nu = 1.5, 4.0
    prior = prior_of(structure, strength=nu + D + 2, mean_precision=beta)
    family = family_of(prior, added=0.0)

    def by_scipy(mean, C):
        known = invwishart(nu, prior.scatter[0]).logpdf(C)
        return known + multivariate_normal(prior.mean, C / beta).logpdf(mean)

    rng, found, expected = np.random.default_rng(3), [], []
    for _ in range(4):
        mean, R = rng.normal(size=D), rng.normal(size=(D, 5))
        C = R @ R.T
        covariance = structure.from_public(C[None])
        found.append(family.log_prior(Gaussians(mean[None], covariance)))
        expected.append(by_scipy(mean, C))
    assert_allclose(np.diff(found), np.diff(expected), rtol=1e-10)


def test_a_flat_mean_leaves_the_inverse_wishart():
    """A covariance then has the density of nu + 1 degrees of freedom: A counts the mean's part too."""
    structure = COVARIANCE_TYPES["full"](D)
    nu = 4.0
    prior = prior_of(structure, strength=nu + D + 2)
    family = family_of(prior, added=0.0)
    rng, found, expected = np.random.default_rng(3), [], []
    for _ in range(4):
        R = rng.normal(size=(D, 5))
        C = R @ R.T
        gaussians = Gaussians(rng.normal(size=(1, D)), structure.from_public(C[None]))
        found.append(family.log_prior(gaussians))
        expected.append(invwishart(nu + 1, prior.scatter[0]).logpdf(C))
    assert_allclose(np.diff(found), np.diff(expected), rtol=1e-10)


@pytest.mark.parametrize("mean_precision", [0.0, 2.0])
def test_a_tied_covariance_has_one_prior_and_a_gap_for_each_mean(mean_precision):
    structure = COVARIANCE_TYPES["tied"](D)
    prior = prior_of(structure, mean_precision=mean_precision)
    rows, resp = data()
    moments = Moments.of(rows, resp, structure)
    weight, strength = moments.weight, prior.strength[0]
    share = weight * mean_precision / (weight + mean_precision)
    gaps = moments.mean - prior.mean
    scatter = moments.scatter[0] + prior.scatter[0] + (share * gaps.T) @ gaps
    dof = (
        N + strength + (K - 1 if mean_precision else 0)
    )  # N + nu0 + d + 1 + K with a prior of means
    found = family_of(prior, added=0.0).estimate(moments).covariance
    assert_allclose(found.matrix, scatter / dof, rtol=1e-12)


@every_structure
def test_a_component_without_rows_is_what_the_prior_expects(structure):
    prior = prior_of(structure, strength=4.0)
    rows, resp = data()
    resp[1] = 0.0
    found = family_of(prior, added=0.0).estimate(Moments.of(rows, resp, structure))
    if not structure.tied:
        assert_allclose(found.covariance.scatter[1], prior.scatter[0] / 4.0, rtol=1e-12)
    assert np.isfinite(found.covariance.log_det).all()


@every_structure
def test_a_prior_moves_with_units(structure):
    """The estimate of moved rows under the moved prior is the moved estimate."""
    shift, scale = np.array([3.0, -1.0]), np.array([2.0, 0.5])
    if not structure.per_feature:
        scale = np.full(D, 2.0)
    prior = prior_of(structure, mean_precision=1.0)
    rows, resp = data()
    plain = family_of(prior, added=0.0).estimate(Moments.of(rows, resp, structure))
    moved_rows = rows * scale[:, None] + shift[:, None]
    moved = family_of(prior.rescale(shift, scale), added=0.0).estimate(
        Moments.of(moved_rows, resp, structure)
    )
    expected = plain.rescale(shift, scale)
    assert_allclose(moved.mean, expected.mean, rtol=1e-12)
    assert_allclose(moved.covariance.scatter, expected.covariance.scatter, rtol=1e-12)


def test_priors_side_by_side_are_those_of_each_mixture():
    structure = COVARIANCE_TYPES["full"](D)
    priors = [prior_of(structure, strength=s, seed=i) for i, s in enumerate((0.5, 7.0))]
    rows, resp = data()
    moments = Moments.of(rows, resp, structure)
    together = family_of(GaussianPrior.side_by_side(priors, K)).estimate(moments.tiled(2))
    for i, prior in enumerate(priors):
        alone = family_of(prior).estimate(moments)
        part = together.subset(np.arange(i * K, (i + 1) * K))
        assert_allclose(part.mean, alone.mean, rtol=1e-14)
        assert_allclose(part.covariance.scatter, alone.covariance.scatter, rtol=1e-12)


def test_the_mode_is_found_by_a_general_optimizer():
    structure = COVARIANCE_TYPES["diag"](D)
    family = family_of(prior_of(structure, mean_precision=1.0))
    rows, _ = data()
    moments = Moments.of(rows, np.ones((1, N)), structure)

    def loss(v):
        gaussians = Gaussians(v[None, :D], structure.from_public(np.exp(v[None, D:])))
        return -height(family, moments, gaussians)

    best = family.estimate(moments)
    found = minimize(loss, np.zeros(2 * D), method="BFGS", options={"gtol": 1e-8})
    assert_allclose(found.x[:D], best.mean[0], atol=1e-5)
    assert_allclose(np.exp(found.x[D:]), best.covariance.scatter[0], rtol=1e-5)
