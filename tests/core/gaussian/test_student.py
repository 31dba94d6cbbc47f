"""Student-t densities are those of scipy, integrate to one, and tend to Gaussians."""

import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_allclose
from scipy import integrate, stats

from sklearn_lvm.core.gaussian.density import Gaussians
from sklearn_lvm.core.gaussian.diagonal import Diagonal
from sklearn_lvm.core.gaussian.full import Full
from sklearn_lvm.core.gaussian.student import StudentTs
from sklearn_lvm.core.mixture import Mixture

from ...laws.specs import components, dense_gaussians, every_family, features, seeds

N = 30


def example(family, K, d, rng, dof=None):
    dof = rng.uniform(0.5, 9, K) if dof is None else np.full(K, dof)
    gaussians = family.components(K, d, rng)
    return StudentTs(gaussians.mean, gaussians.covariance, rng.uniform(0.3, 3, K), dof)


def log_prob(densities, rows, log_weights=0.0):
    kernel = densities.kernel(np.zeros(len(densities.mean)) + log_weights)
    return kernel.log_prob(kernel.features(rows.T))


def plain_log_prob(densities, rows):
    """By scipy: a product over features if these are independent."""
    means, C = dense_gaussians(Gaussians(densities.mean, densities.covariance))
    scales = densities.factor[:, None, None] * C
    if type(densities.covariance.structure) is Diagonal:
        size = np.sqrt(np.diagonal(scales, axis1=1, axis2=2))[:, None]
        each = stats.t(densities.dof[:, None, None], means[:, None], size).logpdf(rows)
        return each.sum(axis=2)
    parts = zip(means, scales, densities.dof, strict=True)
    return np.stack([np.atleast_1d(stats.multivariate_t(*part).logpdf(rows)) for part in parts])


@every_family
@given(seed=seeds, K=components, d=features)
def test_log_density_agrees_with_scipy(family, seed, K, d):
    rng = np.random.default_rng(seed)
    densities, rows = example(family, K, d, rng), 3 * rng.normal(size=(N, d))
    plain = plain_log_prob(densities, rows)
    assert_allclose(log_prob(densities, rows), plain, rtol=1e-10, atol=1e-10)


@every_family
def test_densities_integrate_to_one(family):
    densities = example(family, 2, 1, np.random.default_rng(0))
    for k in range(2):
        one = densities.subset(np.array([k]))
        mass, _ = integrate.quad(
            lambda x, one=one: np.exp(log_prob(one, np.array([[x]]))[0, 0]), -np.inf, np.inf
        )
        assert mass == pytest.approx(1.0, abs=1e-7)


@every_family
def test_densities_in_the_plane_integrate_to_one(family):
    densities = example(family, 2, 2, np.random.default_rng(1), dof=4.0)
    t, step = np.linspace(-9, 9, 401, retstep=True)
    axis, slope = np.sinh(t), np.cosh(t) * step
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    mass = np.exp(log_prob(densities, grid)) @ np.outer(slope, slope).ravel()
    assert_allclose(mass, 1.0, rtol=1e-6)


@every_family
def test_samples_have_the_distribution_of_their_density(family):
    """Means, covariances factor C dof / (dof - 2), and one tail that is not a Gaussian's."""
    n, dof = 60_000, 12.0
    densities = example(family, 2, 2, np.random.default_rng(2), dof=dof)
    labels = np.repeat([1, 0], n)
    rows = densities.sample(labels, np.random.RandomState(0))
    _, C = dense_gaussians(Gaussians(densities.mean, densities.covariance))
    for k in range(2):
        drawn, expected = rows[labels == k], densities.factor[k] * C[k] * dof / (dof - 2)
        size = np.sqrt(np.diag(expected))
        assert (abs(drawn.mean(axis=0) - densities.mean[k]) < 4 * size / np.sqrt(n)).all()
        assert (abs(np.cov(drawn.T) - expected) < 0.03 * np.outer(size, size)).all()
        unit = (drawn - densities.mean[k]) / np.sqrt(densities.factor[k] * np.diag(C[k]))
        assert stats.kstest(unit[:, 0], stats.t(dof).cdf).pvalue > 1e-3
        assert stats.kstest(unit[:, 0], stats.norm.cdf).pvalue < 1e-6


def joint_tail(family):
    """How much larger squares of two features are together than were they independent."""
    densities = example(family, 1, 2, np.random.default_rng(3), dof=5.0)
    rows = densities.sample(np.zeros(40_000, dtype=int), np.random.RandomState(0))
    white = densities.covariance.whiten_each(rows - densities.mean)
    far = np.abs(white) > 3 * np.sqrt(densities.factor)
    return far.all(axis=1).mean() / far.mean(axis=0).prod()


@every_family
def test_features_stretch_together_unless_their_precisions_are_independent(family):
    together = joint_tail(family)
    assert together < 2 if family.structure is Diagonal else together > 4


@every_family
@pytest.mark.parametrize(
    ("dof", "rtol"), [(1e8, 1e-6), (1e12, 1e-10), (1e15, 1e-12), (1e40, 1e-12)]
)
def test_the_limit_is_a_gaussian(family, dof, rtol):
    rng = np.random.default_rng(4)
    gaussians, rows = family.components(3, 4, rng), rng.normal(size=(N, 4))
    densities = StudentTs(gaussians.mean, gaussians.covariance, np.ones(3), np.full(3, dof))
    assert_allclose(log_prob(densities, rows), family.log_prob(gaussians, rows), rtol=rtol)


@pytest.mark.parametrize("dof", [0.1, 3.0, 19.0, 21.0, 1e8, 1e12])
def test_no_digits_are_lost_to_degrees_of_freedom(dof):
    """In the plane Gamma functions cancel: log t(z) = -log 2 pi - (dof / 2 + 1) log(1 + z'z / dof)."""
    unit = Full(2).from_public(np.eye(2)[None])
    densities = StudentTs(np.zeros((1, 2)), unit, np.ones(1), np.array([dof]))
    rows = np.array([[0.0, 0.0], [0.5, 0.3], [3.0, -4.0], [40.0, 0.0]])
    exact = -np.log(2 * np.pi) - (dof / 2 + 1) * np.log1p((rows**2).sum(axis=1) / dof)
    assert_allclose(log_prob(densities, rows)[0], exact, rtol=3e-15)


@every_family
def test_a_density_without_weight_scores_minus_infinity(family):
    densities = example(family, 3, 2, np.random.default_rng(5))
    rows = np.random.default_rng(6).normal(size=(N, 2))
    log_weights = np.array([np.log(0.5), -np.inf, np.log(0.5)])
    joint = log_prob(densities, rows, log_weights)
    assert (joint[1] == -np.inf).all()
    assert np.isfinite(joint[[0, 2]]).all()
    mixed = Mixture(log_weights, densities).kernel().log_prob(rows.T)
    assert_allclose(np.exp(mixed), np.exp(joint).sum(axis=0), rtol=1e-12)


@every_family
def test_single_precision_rows_are_scored_in_single_precision(family):
    densities = example(family, 3, 2, np.random.default_rng(7))
    rows = np.random.default_rng(8).normal(size=(N, 2))
    found = log_prob(densities, rows.astype(np.float32))
    assert found.dtype == np.float32
    assert_allclose(found, log_prob(densities, rows), rtol=1e-4, atol=1e-4)


@every_family
def test_some_of_the_densities_are_these_densities(family):
    densities = example(family, 3, 2, np.random.default_rng(9))
    rows, chosen = np.random.default_rng(10).normal(size=(N, 2)), np.array([2, 0, 2])
    some = densities.subset(chosen)
    assert_allclose(log_prob(some, rows), log_prob(densities, rows)[chosen], rtol=1e-13)


@every_family
def test_parameters_are_those_of_means_and_covariances(family):
    gaussians = family.components(3, 2, np.random.default_rng(11))
    densities = StudentTs(gaussians.mean, gaussians.covariance, np.ones(3), np.ones(3))
    assert densities.n_parameters() == gaussians.n_parameters()


@every_family
def test_condition_number_bounds_how_a_rounding_error_of_a_row_grows(family):
    """About a mean that is far out, a relative error of a row moves its score by that many times."""
    near = example(family, 1, 2, np.random.default_rng(12))
    far = StudentTs(near.mean + 1e6, near.covariance, near.factor, near.dof)
    rows = far.sample(np.zeros(N, dtype=int), np.random.RandomState(0))
    error = 1e-9
    moved = np.abs(log_prob(far, rows * (1 + error)) - log_prob(far, rows)).max()
    bound = far.kernel(np.zeros(1)).condition_number * error
    assert 0.01 * bound < moved < 10 * bound


@every_family
def test_scores_and_rows_are_numbers_however_far_out(family):
    far = example(family, 2, 2, np.random.default_rng(13))
    assert np.isfinite(log_prob(far, np.full((1, 2), 1e300))).all()
    wild = StudentTs(far.mean, far.covariance, far.factor, np.full(2, 1e-12))
    assert np.isfinite(wild.sample(np.repeat([0, 1], 50), np.random.RandomState(0))).all()
