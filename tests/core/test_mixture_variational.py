"""Variational EM of mixtures: priors that change or are fitted, the order of components, vectors."""

import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_lvm.core.mixing import WEIGHT_POSTERIORS
from sklearn_lvm.core.mixture import Mixture
from sklearn_lvm.core.mixture_variational import (
    EmpiricalSteps,
    VariationalMixture,
    VariationalSteps,
    weights_of,
)

from ..laws.specs import POSTERIORS, seeds

K, D, N = 4, 2, 60
FAMILY = POSTERIORS[1]
every_weights = pytest.mark.parametrize("kind", WEIGHT_POSTERIORS)
every_steps = pytest.mark.parametrize("steps", [VariationalSteps, EmpiricalSteps])


def problem_of(seed, kind, steps):
    """Steps, a model after random responsibilities, and rows (n, d)."""
    rng = np.random.default_rng(seed)
    weights = WEIGHT_POSTERIORS[kind].of(np.zeros(K), 0.7)
    taken = steps(FAMILY.family(np.full(D, 1e-6)), weights=weights)
    rows, resp = rng.normal(size=(N, D)), rng.dirichlet(np.full(K, 0.5), N).T
    return taken, taken.m_step(taken.family.statistics(rows.T, resp)), rows


def bound(steps, model, rows):
    e_step = steps.e_step(model)
    total = e_step((np.ascontiguousarray(rows.T), np.ones(len(rows))))
    return total.log_likelihood + steps.log_prior(model)


@every_weights
@given(seed=seeds)
def test_a_vector_tells_everything(kind, seed):
    """Under a fixed prior; one that is fitted suits the next posteriors, and not those before it.

    Of a process it puts the components in order.
    """
    taken, model, rows = problem_of(seed, kind, VariationalSteps)
    model = model.in_order()
    coordinates = taken.coordinates(model)
    again = coordinates.model(coordinates.vector(model), like=model)
    assert_allclose(bound(taken, again, rows), bound(taken, model, rows), rtol=1e-10)
    assert_allclose(weights_of(again).counts, weights_of(model).counts, rtol=1e-10)
    assert_allclose(again.log_weights, model.log_weights, rtol=1e-10)


@every_weights
@every_steps
@given(seed=seeds)
def test_any_vector_is_a_mixture_of_as_many_rows(kind, steps, seed):
    taken, model, rows = problem_of(seed, kind, steps)
    coordinates, rng = taken.coordinates(model), np.random.default_rng(seed)
    at = coordinates.vector(model)
    moved = coordinates.model(at + rng.normal(size=len(at)), like=model)
    assert_allclose(weights_of(moved).counts.sum(), N, rtol=1e-12)
    assert np.isfinite(bound(taken, moved, rows))


@given(seed=seeds)
def test_largest_components_of_a_process_come_first(seed):
    _, model, _ = problem_of(seed, "dirichlet_process", VariationalSteps)
    ordered = model.in_order()
    counts = weights_of(ordered).counts
    assert (np.diff(counts) <= 0).all()
    assert_array_equal(np.sort(counts), np.sort(weights_of(model).counts))
    order = np.argsort(-weights_of(model).counts, kind="stable")
    one, other = model.components, ordered.components
    assert_array_equal(other.posterior.moments.mean, one.posterior.moments.mean[order])
    assert_allclose(other.divergence(), one.divergence(), rtol=1e-12)


def test_a_dirichlet_distribution_has_no_order():
    _, model, _ = problem_of(0, "dirichlet_distribution", VariationalSteps)
    assert_array_equal(weights_of(model.in_order()).counts, weights_of(model).counts)


@every_weights
@given(seed=seeds)
def test_fitted_priors_raise_the_bound(kind, seed):
    taken, model, rows = problem_of(seed, kind, VariationalSteps)
    fitted = model.with_fitted_priors()
    assert bound(taken, fitted, rows) > bound(taken, model, rows)
    assert_array_equal(fitted.log_weights, model.log_weights)


@every_weights
def test_a_fit_goes_on_under_its_own_priors(kind):
    fixed, model, rows = problem_of(0, kind, VariationalSteps)
    fitted = EmpiricalSteps(fixed.family, weights=fixed.weights)
    changed = model.with_fitted_priors()
    kept = fitted.continued(changed)
    assert kept.components.prior is changed.components.prior
    assert weights_of(kept).concentration == weights_of(changed).concentration
    back = fixed.continued(changed)
    assert back.components.prior is fixed.family.prior
    assert weights_of(back).concentration == 0.7
    assert_array_equal(weights_of(back).counts, weights_of(model).counts)
    assert_allclose(bound(fixed, back, rows), bound(fixed, model, rows))


@every_weights
def test_the_predictive_has_the_expected_weights(kind):
    taken, model, rows = problem_of(0, kind, VariationalSteps)
    density = taken.predictive(model)
    assert_allclose(np.exp(density.log_weights), weights_of(model).mean)
    assert_allclose(np.exp(density.log_weights).sum(), 1.0)
    assert isinstance(model, VariationalMixture)
    assert type(density) is Mixture
    # Expected log-densities are below the log of expected ones (Jensen's inequality).
    evidence = model.kernel().posterior(rows.T)[0]
    assert (density.kernel().log_prob(rows.T) > evidence).all()
