"""Fitted priors: no other diverges less, and rows without variance leave them finite."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_lvm.core.gaussian.density import Gaussians
from sklearn_lvm.core.gaussian.diagonal import Diagonal, Spherical
from sklearn_lvm.core.gaussian.empirical_prior import MAX_PRECISION, fitted_prior
from sklearn_lvm.core.gaussian.full import Full
from sklearn_lvm.core.gaussian.moments import Moments
from sklearn_lvm.core.gaussian.normal_wishart import NormalWisharts

from ...laws.specs import dense_gaussians, every_family, features, seeds
from .helpers import example

LEAST = st.sampled_from([0.0, 0.3, 3.0])


def perturbed(prior, rng, size):
    """A prior close by, with other moments of any kind."""
    old, structure = prior.moments, prior.structure
    d, p = structure.d, structure.wishart_size
    freedom = p - 1 + (prior.degrees_of_freedom - (p - 1)) * np.exp(size * rng.normal(size=1))
    dof = freedom / structure.dof_per_row
    coordinates = prior.expected.covariance.to_coordinates(prior.expected.covariance)
    moved = prior.expected.covariance.from_coordinates(
        coordinates + size * rng.normal(size=coordinates.shape)
    )
    weight = old.weight * np.exp(size * rng.normal(size=1))
    return NormalWisharts.expecting(
        Gaussians(old.mean + size * rng.normal(size=(1, d)), moved), weight, dof
    )


def allowed(prior, least):
    """Whether a prior expects no less than the least variances, in any direction."""
    C = dense_gaussians(prior.expected)[1][0]
    if isinstance(prior.structure, Spherical):
        return C[0, 0] >= least.mean() * (1 - 1e-12)
    return np.linalg.eigvalsh(C - np.diag(least))[0] >= -1e-12


@every_family
@given(seed=seeds, d=features, K=st.integers(1, 4), least=LEAST)
def test_no_prior_near_by_diverges_less(family, seed, d, K, least):
    known, rng = example(family, K, d, seed), np.random.default_rng(seed)
    variance = least * rng.uniform(0.5, 2.0, d)
    prior = fitted_prior(known, variance)
    assert allowed(prior, variance)
    best = known.divergence(prior)
    found = 0
    for size in np.geomspace(1e-3, 1.0, 25):
        other = perturbed(prior, rng, size)
        if allowed(other, variance) and other.mean_precision[0] <= MAX_PRECISION:
            found += 1
            assert known.divergence(other) >= best - 1e-9 * max(1.0, abs(best))
    assert found or least > 0


@every_family
@given(seed=seeds, d=features, K=st.integers(1, 4))
def test_each_parameter_is_at_its_top(family, seed, d, K):
    """Along each of them by itself, where it has not reached its limit."""
    known = example(family, K, d, seed)
    prior = fitted_prior(known, np.zeros(d))
    m, h = prior.moments, 1e-4
    scale = (-1, *[1] * (m.scatter.ndim - 1))
    moves = {
        "kappa": lambda t: Moments(m.weight * np.exp(t), m.dof, m.mean, m.scatter, m.structure),
        "Psi": lambda t: Moments(m.weight, m.dof, m.mean, m.scatter * np.exp(t), m.structure),
        "mean": lambda t: Moments(m.weight, m.dof, m.mean + t, m.scatter, m.structure),
        "nu": lambda t: Moments(
            m.weight, m.dof * np.exp(t), m.mean, m.scatter * np.exp([t]).reshape(scale), m.structure
        ),
    }
    for name, move in moves.items():
        up, down = (known.divergence(NormalWisharts.of(move(t))) for t in (h, -h))
        here = known.divergence(prior)
        assert min(up, down) >= here - 1e-9 * (1 + abs(here)), name
        if max(prior.mean_precision[0], prior.degrees_of_freedom[0]) < 1e4:
            assert abs(up - down) / (2 * h) < 1e-3 * (1 + abs(here)), name


@every_family
def test_equal_posteriors_make_it_as_sure_as_it_can_be(family):
    """Of one Gaussian that is known from ever more rows."""
    known = example(family, 1, 2, 0)
    sure = NormalWisharts.expecting(
        known.expected, np.array([1e12]), np.array([1e12]) / known.structure.dof_per_row
    )
    prior = fitted_prior(sure, np.zeros(2))
    assert prior.mean_precision[0] == MAX_PRECISION
    assert_allclose(prior.degrees_of_freedom, MAX_PRECISION, rtol=1e-5)
    assert_allclose(prior.moments.mean, known.moments.mean, rtol=1e-12)


@pytest.mark.parametrize("structure", [Full(2), Diagonal(2), Spherical(2), Full(2, tied=True)])
def test_rows_without_variance_leave_a_prior_finite(structure):
    scatter = structure.of_variances(np.full(2, 1e-200))
    moments = Moments(np.full(1, 5.0), np.full(1, 9.0), np.zeros((1, 2)), scatter, structure)
    known, least = NormalWisharts.of(moments), np.array([1e-6, 4e-6])
    prior = fitted_prior(known, least)
    expected = dense_gaussians(prior.expected)[1][0]
    size = np.full(2, least.mean()) if isinstance(structure, Spherical) else least
    assert_allclose(expected, np.diag(size), rtol=1e-9, atol=1e-20)
    assert np.isfinite(known.divergence(prior))


def test_infinite_precisions_are_no_prior():
    C = Diagonal(1).from_public(np.full((1, 1), 1e-310))
    gaussians = Gaussians(np.zeros((1, 1)), C)
    known = NormalWisharts.expecting(gaussians, np.ones(1), np.ones(1))
    with pytest.raises(FloatingPointError), np.errstate(all="ignore"):
        fitted_prior(known, np.zeros(1))


@every_family
@given(seed=seeds, d=features)
def test_covariances_are_raised_no_further_than_needed(family, seed, d):
    rng = np.random.default_rng(seed)
    C, least = family.covariance(3, d, rng), rng.uniform(0.1, 3.0, d)
    mean = np.zeros((3, d))
    before, after = (dense_gaussians(Gaussians(mean, part))[1] for part in (C, C.at_least(least)))
    floor = np.full(d, least.mean()) if family.structure is Spherical else least
    unit = np.sqrt(np.outer(floor, floor))
    for one, other in zip(before, after, strict=True):
        expected = np.maximum(np.linalg.eigvalsh(one / unit), 1.0)
        assert_allclose(np.linalg.eigvalsh(other / unit), expected, rtol=1e-9)
    again = C.at_least(np.zeros(d))
    assert_array_equal(again.matrix, C.matrix)
