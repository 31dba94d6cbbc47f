"""Posteriors of weights: their expectations, divergences and fitted priors, by drawn weights."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import integrate, stats
from scipy.optimize import minimize_scalar

from sklearn_lvm.core.mixing import (
    MAX_CONCENTRATION,
    MIN_CONCENTRATION,
    WEIGHT_POSTERIORS,
    DirichletPosterior,
    StickBreakingPosterior,
)

from ..laws.specs import dirichlet_divergence, seeds

N = 200_000
KINDS = list(WEIGHT_POSTERIORS.values())
every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


def counts_of(seed, K):
    return np.random.default_rng(seed).exponential(5.0, K)


def drawn(known, rng):
    """Weights of the posterior, (N, K); of a process all but what later components get."""
    if isinstance(known, DirichletPosterior):
        return rng.dirichlet(known.parameters, N)
    v = rng.beta(*known.parameters, size=(N, len(known.counts)))
    left = np.cumprod(1 - v, axis=1)
    return v * np.column_stack([np.ones(N), left[:, :-1]])


@every_kind
@pytest.mark.parametrize("K", [2, 4])
def test_expectations_are_those_of_drawn_weights(kind, K):
    known = kind.of(counts_of(K, K), 0.8)
    logs = np.log(drawn(known, np.random.default_rng(0)))
    error = logs.std(axis=0) / np.sqrt(N)
    assert (abs(logs.mean(axis=0) - known.expected_log) < 4 * error).all()
    mean = drawn(known, np.random.default_rng(1)).mean(axis=0)
    assert_allclose(known.mean, mean / mean.sum(), rtol=0.01)
    assert_allclose(known.mean.sum(), 1.0, rtol=1e-14)
    assert np.exp(known.expected_log).sum() < 1.0


@given(seed=seeds, K=st.integers(1, 6), c=st.floats(0.01, 20))
def test_the_divergence_is_that_of_dirichlet_densities(seed, K, c):
    known = DirichletPosterior.of(counts_of(seed, K), c)
    expected = dirichlet_divergence(known.parameters, np.full(K, c))
    assert_allclose(known.divergence(), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("c", [0.3, 1.0, 4.0])
def test_the_divergence_of_a_process_is_the_sum_over_its_pieces(c):
    known = StickBreakingPosterior.of(np.array([7.0, 3.5, 2.0]), c)

    def of_piece(a, b):
        q, p = stats.beta(a, b), stats.beta(1, c)
        return integrate.quad(lambda v: q.pdf(v) * (q.logpdf(v) - p.logpdf(v)), 0, 1)[0]

    pieces = zip(*known.parameters, strict=True)
    assert_allclose(known.divergence(), sum(of_piece(*piece) for piece in pieces), rtol=1e-5)


@every_kind
def test_without_counts_a_posterior_is_its_prior(kind):
    known = kind.of(np.zeros(3), 0.7)
    assert_allclose(known.divergence(), 0.0, atol=1e-12)
    assert kind.of(np.array([5.0, 1.0, 0.0]), 0.7).divergence() > 0.1


@every_kind
def test_a_single_weight_is_one(kind):
    known = kind.of(np.array([12.0]), 0.7)
    assert known.divergence() == pytest.approx(0.0, abs=1e-12)
    assert_allclose(known.expected_log, 0.0, atol=1e-14)
    assert_array_equal(known.mean, [1.0])
    assert np.isfinite(known.with_fitted_prior().concentration)


@every_kind
@given(seed=seeds, K=st.integers(2, 6))
def test_the_fitted_prior_is_the_nearest(kind, seed, K):
    known = kind.of(counts_of(seed, K), 1.3)

    def divergence(log_c):
        changed = kind(known.parameters, known.counts, float(np.exp(log_c)))
        return changed.divergence()

    fitted = known.with_fitted_prior()
    best = minimize_scalar(divergence, bounds=(-12, 12), method="bounded")
    assert fitted.divergence() <= best.fun + 1e-9
    assert fitted.divergence() <= known.divergence()
    assert_array_equal(fitted.counts, known.counts)
    assert_array_equal(np.stack(fitted.parameters), np.stack(known.parameters))


@every_kind
@pytest.mark.parametrize("counts", [[0.0, 0.0, 0.0], [1e9, 1e9, 1e9], [1e9, 0.0, 0.0]])
def test_a_fitted_concentration_has_limits(kind, counts):
    known = kind.of(np.array(counts), 1.0)
    for _ in range(30):
        known = known.with_fitted_prior()
        assert MIN_CONCENTRATION <= known.concentration <= MAX_CONCENTRATION
        known = known.after(known.counts)
        assert np.isfinite(known.divergence())


def test_infinite_weights_are_no_prior():
    known = DirichletPosterior.of(np.array([np.nan, 1.0]), 1.0)
    with pytest.raises(FloatingPointError, match="log-weights"):
        known.with_fitted_prior()


@given(seed=seeds)
def test_the_best_order_has_the_least_divergence(seed):
    """Of the bound of a process at its optimum, in which the expected log-weights count too."""
    counts = counts_of(seed, 4)

    def height(order):
        known = StickBreakingPosterior.of(counts[order], 0.9)
        return counts[order] @ known.expected_log - known.divergence()

    best = StickBreakingPosterior.of(counts, 0.9).best_order
    assert (np.diff(counts[best]) <= 0).all()
    others = np.random.default_rng(seed)
    assert all(height(best) >= height(others.permutation(4)) - 1e-10 for _ in range(8))
    assert_array_equal(DirichletPosterior.of(counts, 0.9).best_order, np.arange(4))
