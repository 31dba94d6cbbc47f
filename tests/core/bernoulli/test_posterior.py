"""Posteriors of several rows of coins, beside plain formulas and scipy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import digamma
from scipy.stats import beta

from sklearn_lvm.core.bernoulli.beta import BetaPosterior
from sklearn_lvm.core.bernoulli.counts import Counts
from sklearn_lvm.core.bernoulli.posterior import BernoulliPosteriorFamily, BernoulliPosteriors

from ...laws.specs import dirichlet_divergence, seeds

K, D = 3, 4


def example(seed, missing=0.3):
    rng = np.random.default_rng(seed)
    weight = rng.exponential(20.0, K)
    seen = weight[:, None] * (1.0 - missing * rng.uniform(size=(K, D)))
    ones = seen * rng.beta(0.5, 0.5, size=(K, D))
    prior = BetaPosterior(*(10.0 ** rng.uniform(-2, 1, size=(1, D)) for _ in range(2)))
    return BernoulliPosteriors(Counts(weight, ones, seen - ones), prior), rng


def sides(known):
    """Alpha and beta of the posteriors and of their prior, (2, K, D) and (2, D)."""
    after, before = known.posterior, known.prior
    return np.stack([after.alpha, after.beta]), np.concatenate([before.alpha, before.beta])


@given(seed=seeds)
def test_the_divergence_is_that_of_beta_densities(seed):
    known, _ = example(seed)
    after, before = sides(known)
    each = [dirichlet_divergence(after[:, k, j], before[:, j]) for k, j in np.ndindex(K, D)]
    assert_allclose(known.divergence(), sum(each), rtol=1e-9, atol=1e-9)
    assert_allclose(BernoulliPosteriorFamily(known.prior).log_prior(known), -known.divergence())


def test_a_prior_of_a_million_million_tosses_costs_no_digits():
    """A thousand tosses hardly move it: by 2e-8 nats."""
    prior = BetaPosterior(np.full((1, 1), 5e11), np.full((1, 1), 5e11))
    counts = Counts(np.full(1, 1000.0), np.full((1, 1), 600.0), np.full((1, 1), 400.0))
    assert_allclose(BernoulliPosteriors(counts, prior).divergence(), 2e-8, atol=1e-7)


@pytest.mark.parametrize(("a", "b"), [(1.5, 2.0), (30.0, 1.2), (1.1, 9.0)])
def test_expected_logarithms_are_those_of_scipy(a, b):
    logs, q = BetaPosterior(np.full((1, 1), a), np.full((1, 1), b)).expected_logs(), beta(a, b)
    # Scipy evaluates both factors at the ends, where the density is 0 and a logarithm infinite.
    assert_allclose(logs.log_p, q.expect(lambda p: np.log(np.clip(p, 1e-300, None))), rtol=1e-6)
    assert_allclose(logs.log_q, q.expect(lambda p: np.log1p(-min(p, 1 - 1e-16))), rtol=1e-6)
    assert np.exp(logs.log_p) + np.exp(logs.log_q) < 1.0


@given(seed=seeds)
def test_prior_and_counts_have_the_highest_bound(seed):
    """Of E log p(x) - KL no posterior near by has more."""
    known, rng = example(seed)
    after, before = sides(known)
    amounts = known.counts.ones, known.counts.zeros

    def bound(q):
        logs = digamma(q) - digamma(q.sum(axis=0))
        cost = sum(dirichlet_divergence(q[:, k, j], before[:, j]) for k, j in np.ndindex(K, D))
        return sum((n * part).sum() for n, part in zip(amounts, logs, strict=True)) - cost

    top = bound(after)
    assert_allclose(top, known.prior.log_evidence(known.counts).sum(), rtol=1e-8, atol=1e-8)
    for _ in range(3):
        assert bound(after * np.exp(0.1 * rng.normal(size=after.shape))) < top


@given(seed=seeds, missing=st.sampled_from([0.0, 0.3, 1.0]))
def test_coordinates_and_counts_tell_everything(seed, missing):
    known, _ = example(seed, missing)
    coordinates = known.to_coordinates(known)
    again = known.from_coordinates(coordinates).known_from(known.counts.weight)
    for found, expected in zip(sides(again)[0], sides(known)[0], strict=True):
        assert_allclose(found, expected, rtol=1e-9)
    assert_array_equal(again.counts.weight, known.counts.weight)


@given(seed=seeds, size=st.floats(0.0, 100.0))
def test_any_coordinates_are_those_of_some_counts(seed, size):
    known, rng = example(seed)
    moved = tuple(part + size * rng.normal(size=(K, D)) for part in known.to_coordinates(known))
    counts = rng.exponential(5.0, K)
    found = known.from_coordinates(moved).known_from(counts).counts
    assert (found.ones >= 0).all()
    assert (found.zeros >= 0).all()
    assert (found.ones + found.zeros <= counts[:, None] * (1 + 1e-12)).all()


def test_a_density_without_rows_is_the_prior():
    prior = example(0)[0].prior
    none = BernoulliPosteriors(Counts(np.zeros(1), np.zeros((1, D)), np.zeros((1, D))), prior)
    assert none.divergence() == 0.0
    assert_allclose(none.probability, prior.alpha / (prior.alpha + prior.beta))
    again = none.from_coordinates(none.to_coordinates(none)).known_from(np.zeros(1))
    assert_array_equal(again.posterior.alpha, prior.alpha)


def test_the_prior_may_change_and_the_counts_stay():
    known, other = example(0)[0], example(1)[0]
    for changed in (
        known.with_prior_of(other),
        BernoulliPosteriorFamily(other.prior).under_prior(known),
        BernoulliPosteriorFamily(known.prior).estimate(known.counts, other),
    ):
        assert_array_equal(changed.posterior.alpha, other.prior.alpha + known.counts.ones)
    assert_array_equal(known.expected(np.ones(K), known.counts).ones, known.counts.ones)


@pytest.mark.parametrize("chosen", [[2, 0], [1, 1]])
def test_some_of_them_are_what_they_were(chosen):
    known, _ = example(0)
    some = known.subset(np.array(chosen))
    assert_array_equal(some.probability, known.probability[chosen])
    assert_array_equal(some.counts.weight, known.counts.weight[chosen])


def test_rows_are_drawn_with_the_means():
    known, _ = example(0)
    rows = known.sample(np.repeat(np.arange(K), 10_000), np.random.RandomState(0))
    assert_allclose(rows.reshape(K, -1, D).mean(axis=1), known.probability, atol=0.02)
