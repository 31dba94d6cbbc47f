"""Coins: densities, beliefs and steps, beside scipy and sums over every table there is."""

from math import log, log1p

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from scipy.special import logsumexp
from scipy.stats import bernoulli

from sklearn_lvm.core.bernoulli.beta import BetaPosterior
from sklearn_lvm.core.bernoulli.binary_rows import binary_rows
from sklearn_lvm.core.bernoulli.counts import Counts
from sklearn_lvm.core.bernoulli.density import (
    MAX_LOG_ODDS,
    MIN_LOG_PROB,
    BernoulliFamily,
    Bernoullis,
    expected_entries,
)
from sklearn_lvm.core.mixture import Mixture
from sklearn_lvm.core.mixture_em import MixtureSteps
from sklearn_lvm.inference.acceleration import ACCELERATIONS
from sklearn_lvm.inference.block_map import slices_of
from sklearn_lvm.inference.em import EQUAL

from ...helpers import run
from ...laws.specs import components, features, seeds

N = 60
every_acceleration = pytest.mark.parametrize("acceleration", ACCELERATIONS)


def example(seed, K=3, d=5, missing=True):
    rng = np.random.default_rng(seed)
    p = rng.beta(0.7, 0.7, size=(K, d)).clip(1e-6, 1 - 1e-6)
    mixture = Mixture(np.log(rng.dirichlet(np.full(K, 3.0))), Bernoullis.of(p, 1 - p))
    X = (rng.uniform(size=(N, d)) < p[rng.integers(K, size=N)]).astype(float)
    X[rng.uniform(size=X.shape) < 0.15 * missing] = np.nan
    return mixture, X, rng.uniform(0.1, 2.0, N), rng


def plain_joint(mixture, X):
    """log p(k, x), entry by entry with scipy, (K, n)."""
    p = mixture.components.probability
    entries = bernoulli(p[:, None]).logpmf(np.nan_to_num(X))
    return np.where(np.isnan(X), 0.0, entries).sum(axis=2) + mixture.log_weights[:, None]


def steps_with_prior(K, d, rng):
    alpha, beta = 1 + rng.uniform(0.1, 3, size=(2, K, d))
    prior = BetaPosterior(alpha, beta).pseudo_counts()
    return MixtureSteps(BernoulliFamily(prior), concentration=1 + rng.uniform(0.1, 2))


def plain_log_prior(steps, mixture):
    prior, p = steps.family.prior, mixture.components.probability
    if prior is None:
        return 0.0
    coins = (prior.ones * np.log(p) + prior.zeros * np.log1p(-p)).sum()
    return coins + (steps.concentration - 1) * mixture.log_weights.sum()


@given(seed=seeds, K=components, d=features)
def test_densities_agree_with_scipy(seed, K, d):
    mixture, X, _, _ = example(seed, K, d)
    evidence, resp = mixture.kernel().posterior(binary_rows(X, 0.5))
    joint = plain_joint(mixture, X)
    assert_allclose(evidence, logsumexp(joint, axis=0), rtol=1e-9, atol=1e-9)
    assert_allclose(resp, np.exp(joint - logsumexp(joint, axis=0)), rtol=1e-7, atol=1e-10)
    assert mixture.n_parameters() == K * d + K - 1


@pytest.mark.parametrize("apart", [1.0, 10.0, 100.0, 1e4])
@pytest.mark.parametrize("nobody", [False, True])
def test_components_may_be_any_number_of_nats_apart(apart, nobody):
    rng = np.random.default_rng(0)
    coins = Bernoullis.of_log_odds(np.clip(apart * rng.normal(size=(4, 20)), -600, 600))
    log_weights = np.append(-np.inf if nobody else -20.0, np.log([0.2, 0.3, 0.5]))
    X = rng.integers(2, size=(30, 20)).astype(float)
    joint = X @ coins.log_p.T + (1 - X) @ coins.log_q.T + log_weights
    kernel = Mixture(log_weights, coins).kernel()
    evidence, resp = kernel.posterior(binary_rows(X, 0.5))
    assert_allclose(evidence, logsumexp(joint, axis=1), rtol=1e-14)
    assert_allclose(kernel.log_prob(binary_rows(X, 0.5)), evidence, rtol=1e-15)
    exact = np.exp(joint.T - logsumexp(joint, axis=1))
    assert_allclose(resp, exact, rtol=1e-11, atol=1e-300)
    assert_allclose(resp.sum(axis=0), 1.0, rtol=1e-14)


@given(seed=seeds, K=components, d=st.integers(1, 8))
def test_the_probabilities_of_all_rows_sum_to_one(seed, K, d):
    mixture = example(seed, K, d)[0]
    rows = np.array(list(np.ndindex(*[2] * d)))
    assert_allclose(
        np.exp(mixture.kernel().log_prob(binary_rows(rows, 0.5))).sum(), 1.0, rtol=1e-12
    )


@pytest.mark.parametrize("p", [1e-300, 1e-20, 0.3, 1.0])
def test_both_ends_of_probability_keep_their_digits(p):
    coins = Bernoullis.of(np.array([[p]]), np.array([[1.0]]))
    assert_allclose(coins.log_p[0, 0], log(p) - log1p(p), rtol=1e-15)
    assert_allclose(coins.log_q[0, 0], -log1p(p), rtol=1e-15, atol=0)


def test_impossible_tosses_are_counted_and_cost_others_no_digit():
    p = np.array([[0.0, 0.3, 1.0], [0.0, 0.0, 1.0]])
    mixture = Mixture(np.log([0.5, 0.5]), Bernoullis.of(p, 1 - p))
    X = np.array([[0, 1, 1], [0, 0, 1], [1, 1, 0], [1, 1, 1]])
    for rows in (X, np.array(X, float), csr_array(X)):
        evidence, resp = mixture.kernel().posterior(binary_rows(rows, 0.5))
        assert_allclose(evidence[:2], np.log([0.15, 0.85]), rtol=1e-15)
        assert (evidence[2:] < MIN_LOG_PROB).all()
        assert_array_equal(resp[:, 0], [1.0, 0.0])
        assert_array_equal(resp[:, 2:], [[1.0, 1.0], [0.0, 0.0]])  # fewer surprises


@given(seed=seeds)
def test_the_estimate_is_stationary(seed):
    mixture, X, w, rng = example(seed)
    block = binary_rows(X, 0.5)
    family = BernoulliFamily()
    counts = family.statistics(block, mixture.kernel().posterior(block)[1] * w)

    def height(coins):
        return coins.log_likelihood_of_counts(counts)

    best = family.estimate(counts)
    for _ in range(3):
        moved = best.log_p - best.log_q + 0.05 * rng.normal(size=best.log_p.shape)
        assert height(Bernoullis.of_log_odds(moved.clip(-30, 30))) <= height(best) + 1e-9


@given(seed=seeds, K=components, d=features)
def test_coordinates_round_trip(seed, K, d):
    mixture, _, _, _ = example(seed, K, d)
    reference = MixtureSteps(BernoulliFamily()).coordinates(mixture)
    again = reference.model(reference.vector(mixture), like=mixture)
    assert_allclose(again.components.log_p, mixture.components.log_p, rtol=1e-12, atol=1e-15)
    assert_allclose(again.components.log_q, mixture.components.log_q, rtol=1e-12, atol=1e-15)
    assert_allclose(again.log_weights, mixture.log_weights, rtol=1e-12, atol=1e-12)


def test_a_certain_coin_has_finite_coordinates_and_stays_certain():
    p = np.array([[0.0, 1.0, 0.5]])
    mixture = Mixture(np.zeros(1), Bernoullis.of(p, 1 - p))
    reference = MixtureSteps(BernoulliFamily()).coordinates(mixture)
    vector = reference.vector(mixture)
    assert_array_equal(vector[1:], [-MAX_LOG_ODDS, MAX_LOG_ODDS, 0.0])
    again = reference.model(vector + np.array([0.0, 0.0, 0.0, 0.5]), like=mixture)
    assert_array_equal(again.components.probability[0, :2], [0.0, 1.0])
    assert_array_equal(again.components.log_q[0, :2], [0.0, -np.inf])


# -- the steps ---------------------------------------------------------------------------------------


@given(seed=seeds, K=components, d=features)
def test_the_e_step_finds_the_objective(seed, K, d):
    mixture, X, w, rng = example(seed, K, d)
    block = binary_rows(X, 0.5)
    plain = w @ logsumexp(plain_joint(mixture, X), axis=0)
    for steps in (MixtureSteps(BernoulliFamily()), steps_with_prior(K, d, rng)):
        e_step, log_prior = steps.e_step(mixture), steps.log_prior(mixture)
        expected = plain + plain_log_prior(steps, mixture)
        assert_allclose(e_step((block, w)).log_likelihood + log_prior, expected, rtol=1e-8)
        parts = [(binary_rows(X[p], 0.5), w[p]) for p in (slice(20), slice(20, None))]
        updated = e_step(parts[0]) + e_step(parts[1])
        assert_allclose(updated.log_likelihood + log_prior, expected, rtol=1e-8)


@every_acceleration
@pytest.mark.parametrize("with_prior", [False, True])
@given(seed=seeds)
def test_the_objective_never_falls(acceleration, with_prior, seed):
    _, X, w, rng = example(seed)
    plain = MixtureSteps(BernoulliFamily())
    steps = steps_with_prior(3, 5, rng) if with_prior else plain
    blocks = [(binary_rows(X[rows], 0.5), w[rows]) for rows in slices_of(N, 7)]
    resp = rng.dirichlet(np.ones(3), N).T
    start = steps.m_step(steps.family.statistics(binary_rows(X, 0.5), resp * w))
    end = run(steps, start, blocks, acceleration=acceleration)
    assert (np.diff(end.trace) >= -EQUAL).all()
    assert end.objective > end.trace[0]
    height = w @ logsumexp(plain_joint(end.model, X), axis=0) + plain_log_prior(steps, end.model)
    assert_allclose(end.objective, height / w.sum(), rtol=1e-8)


@given(seed=seeds, K=components, d=features)
def test_missing_entries_are_those_of_all_completions(seed, K, d):
    """E[x_j | x_o] is a ratio of sums over the tables that agree with what was observed."""
    mixture, X, _, _ = example(seed, K, d)
    X = np.concatenate([X[:10], np.full((1, d), np.nan)])
    block = binary_rows(X, 0.5)
    means = mixture.conditional_means(block).T
    missing = np.isnan(X)
    assert_allclose(means[~missing], X[~missing], rtol=1e-14)
    assert_allclose(expected_entries(mixture, block).T[missing], means[missing], rtol=1e-13)
    tables = np.array(list(np.ndindex(*[2] * d)), dtype=float)
    log_prob = mixture.kernel().log_prob(binary_rows(tables, 0.5))
    for x, mean in zip(X, means, strict=True):
        agree = (np.isnan(x) | (tables == x)).all(axis=1)
        share = np.exp(log_prob[agree] - logsumexp(log_prob[agree]))
        assert_allclose(mean, share @ tables[agree], rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("kind", [np.asarray, csr_array])
def test_draws_of_missing_entries_are_joint(kind):
    """Two entries are missing, and depend on each other through the component."""
    p = np.array([[0.9, 0.8, 0.6], [0.2, 0.1, 0.3]])
    mixture = Mixture(np.log([0.4, 0.6]), Bernoullis.of(p, 1 - p))
    X = np.tile([np.nan, np.nan, 1.0], (100_000, 1))
    drawn = mixture.draw_missing(binary_rows(kind(X), 0.5), np.random.RandomState(0))
    assert (drawn[:, 2] == 1.0).all()
    joint = np.array([0.4, 0.6]) * p[:, 2]
    share = joint / joint.sum()
    moments = np.array([share @ p[:, 0], share @ p[:, 1], share @ (p[:, 0] * p[:, 1])])
    found = [drawn[:, 0].mean(), drawn[:, 1].mean(), (drawn[:, 0] * drawn[:, 1]).mean()]
    assert_allclose(found, moments, atol=5 * 0.5 / np.sqrt(len(X)))


def test_conditionals_of_one_entry_have_its_variance():
    p = np.array([[0.25, 0.5], [1.0, 1e-20]])
    found = Bernoullis.of(p, 1 - p).conditionals(binary_rows(np.array([[np.nan, 1.0]]), 0.5))
    assert_allclose(found.mean[:, :, 0], [[0.25, 1.0], [1.0, 1.0]])
    assert_allclose(found.variance[:, :, 0], [[0.1875, 0.0], [0.0, 0.0]])


def test_a_prior_is_rows_that_nobody_saw():
    """Pseudo-counts of whole numbers are those rows themselves."""
    X = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    total_weight = np.concatenate([X, [[1.0, 0.0], [0.0, 1.0]]])
    steps = MixtureSteps(BernoulliFamily(Counts(np.zeros(1), *np.ones((2, 1, 2)))))
    modes = [
        s.m_step(Counts.of(binary_rows(rows, 0.5), np.ones((1, len(rows)))))
        for s, rows in ((steps, X), (MixtureSteps(BernoulliFamily()), total_weight))
    ]
    assert_allclose(modes[0].components.log_p, modes[1].components.log_p, rtol=1e-15)


def test_a_mixture_given_some_columns_is_that_of_all_tables():
    rng = np.random.default_rng(0)
    p = rng.uniform(0.1, 0.9, size=(2, 3))
    mixture = Mixture(np.log([0.3, 0.7]), Bernoullis.of(p, 1 - p))
    rows = np.array(list(np.ndindex(2, 2, 2)), dtype=float)
    known = np.array([2, 0])
    log_prob, rest = mixture.conditional(known, np.array([1.0, 0.0]))
    table = np.exp(mixture.kernel().log_prob(binary_rows(rows, 0.5)))
    held = table[(rows[:, 2] == 1) & (rows[:, 0] == 0)]
    assert_allclose(np.exp(log_prob), [held.sum()])
    sides = rest.kernel().log_prob(binary_rows(np.array([[0.0], [1.0]]), 0.5))
    assert_allclose(np.exp(sides), held / held.sum())
    assert_allclose(mixture.marginal(known).components.probability, p[:, known])


def test_an_impossible_value_leaves_the_components_that_allow_it():
    p = np.array([[1.0, 0.2], [0.5, 0.8]])
    mixture = Mixture(np.log([0.5, 0.5]), Bernoullis.of(p, 1 - p))
    _, rest = mixture.conditional(np.array([0]), np.array([0.0]))
    assert_allclose(np.exp(rest.log_weights), [0.0, 1.0])
    certain = Mixture(np.zeros(1), Bernoullis.of(p[:1], 1 - p[:1]))
    log_prob, _ = certain.conditional(np.array([0]), np.array([0.0]))
    assert log_prob[0] == -np.inf
