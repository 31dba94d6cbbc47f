"""The choice of a Beta prior: near the best on new rows, and by the content of the rows alone."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse

from sklearn_lvm import BernoulliMixture
from sklearn_lvm.core.bernoulli.binarization import Binarization, BinaryRowSource
from sklearn_lvm.core.bernoulli.prior import STRENGTHS
from sklearn_lvm.fitting.bernoulli_priors import (
    FEW_ROWS,
    FEW_ROWS_STRENGTH,
    SMALL_TABLE,
    BetaPriorChoice,
)


def mixed_rows(n, d=20, K=5, seed=0, missing=0.0):
    rng = np.random.default_rng(seed)
    p = rng.beta(0.7, 0.7, size=(K, d))
    X = (rng.uniform(size=(n, d)) < p[rng.integers(K, size=n)]).astype(float)
    X[rng.uniform(size=X.shape) < missing] = np.nan
    return X


def chosen(X, w=None, n_components=5, given=None):
    weights = np.ones(X.shape[0]) if w is None else np.asarray(w, dtype=float)
    rows = BinaryRowSource(X, weights, Binarization(0.5), lambda X: [slice(0, X.shape[0])])
    return BetaPriorChoice(n_components, 1.0, given or {}).of(rows)


def same_choice(one, other):
    assert one.scores == other.scores
    assert one.strength == other.strength
    assert_allclose(one.prior.alpha, other.prior.alpha, rtol=1e-12)
    assert_allclose(one.prior.beta, other.prior.beta, rtol=1e-12)


@pytest.mark.parametrize("n", [50, 1000, 5000])
@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_a_choice_depends_on_content_alone(n, missing):
    X, rng = mixed_rows(n, missing=missing), np.random.default_rng(1)
    one, order = chosen(X), rng.permutation(n)
    same_choice(chosen(X[order]), one)
    times = rng.integers(0, 4, size=n)
    weighted = chosen(X, times)
    same_choice(chosen(np.repeat(X, times, axis=0)), weighted)
    same_choice(chosen(X[order], times[order]), weighted)
    dense_and_sparse = [chosen(kind(np.nan_to_num(X))) for kind in (np.asarray, sparse.csr_array)]
    assert_allclose(*([score for *_, score in c.scores] for c in dense_and_sparse), rtol=1e-9)


def test_rows_of_weight_three_are_three_copies():
    X = mixed_rows(300)
    thrice = chosen(X, np.full(300, 3.0))
    same_choice(chosen(np.repeat(X, 3, axis=0)), thrice)
    once = chosen(X)
    assert thrice.strength == once.strength
    assert_allclose(thrice.prior.alpha - 1.0, 3.0 * (once.prior.alpha - 1.0))


def test_patterns_that_come_again_are_not_held_back_whole():
    """Where a few patterns are all there is, a prior that spreads would win if one were held back."""
    rng = np.random.default_rng(0)
    X = np.eye(8)[rng.integers(8, size=4000)]
    assert chosen(X, n_components=8).strength == min(STRENGTHS)


def test_few_rows_of_many_columns_want_more_of_a_prior_than_clear_ones():
    noise = (np.random.default_rng(0).uniform(size=(200, 60)) < 0.4).astype(float)
    clear = np.repeat(np.eye(2), 30, axis=1)[np.arange(200) % 2]
    clear[np.arange(200), np.arange(200) % 60] = 1.0
    assert chosen(noise).strength >= 8.0
    assert chosen(clear).strength <= 1.0


@pytest.mark.parametrize("n", [60, 150, 400])
@pytest.mark.parametrize("K", [2, 10])
def test_new_rows_are_nearly_as_likely_as_under_the_best_prior(n, K):
    gaps = []
    for seed in range(4):
        X = mixed_rows(n + 4000, d=30, seed=seed)
        train, new = X[:n], X[n:]

        def score(strength, train=train, new=new):
            share = 0.9 * train.mean(axis=0) + 0.05
            prior = {"alpha": 1 + strength * share, "beta": 1 + strength * (1 - share)}
            return BernoulliMixture(K, random_state=0, **prior).fit(train).score(new)

        scores = {strength: score(strength) for strength in STRENGTHS}
        automatic = score(chosen(train, n_components=K).strength)
        gaps.append([max(scores.values()) - s for s in (automatic, scores[0.25], scores[32.0])])
    gap, weak, strong = np.mean(gaps, axis=0)
    assert gap < 0.5 * max(weak, strong)
    assert gap < 0.4


@pytest.mark.parametrize("n", [1, 2, 3, FEW_ROWS])
def test_of_few_rows_none_is_held_back(n):
    found = chosen(mixed_rows(n))
    assert found.strength == FEW_ROWS_STRENGTH
    assert found.scores == ()
    assert_allclose(found.prior.alpha + found.prior.beta - 2.0, FEW_ROWS_STRENGTH)


def test_of_small_tables_several_splits_agree_on_a_strength():
    found = chosen(mixed_rows(SMALL_TABLE, seed=3))
    assert min(STRENGTHS) <= found.strength <= max(STRENGTHS)
    assert chosen(mixed_rows(SMALL_TABLE + 1, seed=3)).strength in STRENGTHS


@pytest.mark.parametrize("name", ["alpha", "beta"])
def test_what_is_given_is_kept(name):
    given = {name: np.full((1, 20), 3.0)}
    found = chosen(mixed_rows(300), given=given)
    (other,) = {"alpha", "beta"} - {name}
    assert found.kind == other
    assert_array_equal(getattr(found.prior, name), given[name])
    assert (getattr(found.prior, other) > 1.0).all()


def test_a_weak_prior_is_a_hundredth_of_an_observation():
    X = mixed_rows(300)
    rows = BinaryRowSource(X, np.ones(300), Binarization(0.5), lambda X: [slice(0, X.shape[0])])
    found = BetaPriorChoice(5, 1.0, {}).weak(rows)
    assert_allclose(found.prior.alpha + found.prior.beta - 2.0, 0.01, rtol=1e-9)
    expected = 1.0 + 0.01 * (0.9 * X.mean(axis=0) + 0.05)
    assert_allclose(found.prior.alpha[0], expected, rtol=1e-9)
