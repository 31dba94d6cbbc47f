"""Beta posteriors: evidence beside exact products and ratios, and draws."""

from itertools import accumulate
from math import fsum, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.special import betaln

from sklearn_lvm.core.bernoulli.beta import BetaBernoulliPredictive, BetaPosterior
from sklearn_lvm.core.bernoulli.counts import Counts
from sklearn_lvm.core.bernoulli.density import IndependentBernoulli

from ...laws.specs import seeds


def counted(ones, zeros):
    return Counts(np.ones(1), np.array([[float(ones)]]), np.array([[float(zeros)]]))


@given(seed=seeds, heads=st.integers(0, 30), tails=st.integers(0, 30))
def test_the_evidence_is_the_product_of_predictions(seed, heads, tails):
    rng = np.random.default_rng(seed)
    a, b = 10.0 ** rng.uniform(-6, 8, size=2)
    order = rng.permutation([1] * heads + [0] * tails)
    before = [0, *accumulate(order)]
    steps = [
        log(a + before[i] if toss else b + i - before[i]) - log(a + b + i)
        for i, toss in enumerate(order)
    ]
    found = BetaPosterior(np.array([[a]]), np.array([[b]])).log_evidence(counted(heads, tails))[
        0, 0
    ]
    assert_allclose(found, fsum(steps), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("a", [1e-12, 0.5, 1.0, 9.99, 10.01, 300.0])
@pytest.mark.parametrize(("heads", "tails"), [(0, 0), (1, 999_999), (3, 5), (10**6, 10**6)])
def test_the_evidence_is_a_ratio_of_beta_functions(a, heads, tails):
    found = BetaPosterior(np.full((1, 1), a), np.ones((1, 1))).log_evidence(counted(heads, tails))[
        0, 0
    ]
    assert_allclose(found, betaln(a + heads, 1.0 + tails) - betaln(a, 1.0), rtol=1e-9, atol=1e-9)


def test_the_evidence_under_a_prior_of_a_million_million_tosses_is_that_of_a_fair_coin():
    prior = BetaPosterior(np.full((1, 1), 1e12), np.full((1, 1), 1e12))
    assert_allclose(prior.log_evidence(counted(600, 400)), 1000 * np.log(0.5), rtol=1e-6)


def test_biases_are_drawn_from_the_belief_and_tosses_from_the_predictive():
    belief = BetaPosterior(np.array([[2.0, 1e-12, 1e12]]), np.array([[5.0, 1e-12, 1e12]]))
    X, biases = BetaBernoulliPredictive.of(belief).sample(4000, np.random.RandomState(0))
    assert np.isfinite(biases).all()
    assert_allclose(X.mean(axis=0), [2 / 7, 0.5, 0.5], atol=0.03)
    assert_allclose(biases.var(axis=0), [10 / 49 / 8, 0.25, 0.0], atol=0.01)
    _, known = IndependentBernoulli(belief.predictive()).sample(5, np.random.RandomState(0))
    assert_allclose(known, np.repeat(belief.predictive().probability, 5, axis=0))


def test_evidence_survives_priors_beyond_all_proportion():
    """log B(a + n1, b + n0) - log B(a, b) of one entry is the logarithm of a prior mean."""
    one, zero = (Counts(np.ones(1), np.full((1, 1), x), np.full((1, 1), 1 - x)) for x in (1.0, 0.0))
    for a, b in ((1e-300, 1.0), (1.0, 1e300), (1e300, 1.0), (1.0, 1e-300)):
        prior = BetaPosterior(np.full((1, 1), a), np.full((1, 1), b))
        assert_allclose(prior.log_evidence(one)[0, 0], np.log(a / (a + b)), rtol=1e-12, atol=1e-12)
        assert_allclose(prior.log_evidence(zero)[0, 0], np.log(b / (a + b)), rtol=1e-12, atol=1e-12)
    prior = BetaPosterior(np.full((1, 1), 1e300), np.full((1, 1), 1e-300))
    assert prior.log_evidence(one)[0, 0] == 0.0
