"""Mixtures of coins of which all parameters have posteriors: the bound, and what it is used for."""

from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.special import betaln, digamma, gammaln, logsumexp
from sklearn.exceptions import ConvergenceWarning

from sklearn_lvm import BernoulliMixture, BetaBernoulli

N, D = 300, 6
POSTERIORS = {"n_components_", "weight_concentration_", "probability_alpha_", "probability_beta_"}


def two_coins(n=N, d=D, seed=0, missing=0.0):
    rng = np.random.default_rng(seed)
    p = np.where(np.arange(d) < d // 2, [[0.1], [0.9]], [[0.8], [0.2]])
    X = (rng.uniform(size=(n, d)) < p[rng.integers(2, size=n)]).astype(float)
    X[rng.uniform(size=X.shape) < missing] = np.nan
    return X


def variational(K=2, **params):
    given = {"alpha": 0.8, "beta": 1.2, "random_state": 0, "inference": "variational", **params}
    return BernoulliMixture(K, **given)


def log_evidence(X, K, alpha, beta, concentration):
    """log p(X), summed over all ways to give rows to components."""
    totals = []
    for labels in product(range(K), repeat=len(X)):
        resp = np.eye(K)[list(labels)]
        size, ones, zeros = resp.sum(axis=0), resp.T @ (X == 1), resp.T @ (X == 0)
        weights = gammaln(K * concentration) - gammaln(K * concentration + len(X))
        weights += (gammaln(concentration + size) - gammaln(concentration)).sum()
        coins = betaln(alpha + ones, beta + zeros) - betaln(alpha, beta)
        totals.append(weights + coins.sum())
    return logsumexp(totals)


# -- the bound ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("concentration", [0.3, 1.0, 2.5])
@pytest.mark.parametrize("K", [2, 3])
def test_the_bound_is_below_the_evidence(K, concentration):
    """By no more than what q(z) leaves out: names of components, and which rows are unsure."""
    X = two_coins(7, 4, seed=1, missing=0.1)
    model = variational(K, weight_concentration_prior=concentration, tol=1e-9).fit(X)
    evidence = log_evidence(X, K, 0.8, 1.2, concentration)
    assert evidence - 7 * np.log(K) < model.lower_bound_ < evidence


@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_the_bound_of_one_component_is_the_evidence(missing):
    X = two_coins(missing=missing)
    model, coins = variational(1).fit(X), BetaBernoulli(alpha=0.8, beta=1.2).fit(X)
    assert_allclose(model.lower_bound_, coins.log_evidence_.sum(), rtol=1e-12)
    assert_allclose(model.probability_alpha_[0], coins.alpha_, rtol=1e-12)
    assert_allclose(model.probability_beta_[0], coins.beta_, rtol=1e-12)
    assert_allclose(model.score_samples(X), coins.score_samples(X), rtol=1e-10)


@pytest.mark.parametrize("acceleration", [None, "squarem"])
@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_the_bound_never_falls(acceleration, missing):
    model = variational(6, acceleration=acceleration, init_params="random", tol=1e-6)
    model.fit(two_coins(missing=missing))
    assert len(model.lower_bounds_) > 5
    assert (np.diff(model.lower_bounds_) >= 0).all()
    assert model.lower_bounds_[-1] == model.lower_bound_


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_acceleration_saves_steps(missing):
    X = two_coins(missing=missing)
    start = {
        "weights_init": [0.5, 0.3, 0.2],
        "probabilities_init": [[0.4] * D, [0.5] * D, [0.6] * D],
    }
    plain, fast = (
        variational(3, acceleration=a, tol=1e-9, **start).fit(X) for a in (None, "squarem")
    )
    assert fast.n_iter_ < plain.n_iter_
    assert_allclose(fast.lower_bound_, plain.lower_bound_, atol=1e-4)


# -- posteriors --------------------------------------------------------------------------------------


def test_components_that_no_row_needs_are_left_to_the_prior():
    model = variational(8, weight_concentration_prior=0.1, tol=1e-6).fit(two_coins(1000))
    assert model.n_components_ == 2
    assert (np.sort(model.weights_)[:-2] < 1e-3).all()
    assert_allclose(np.sort(model.probability_alpha_[:, 0])[:-2], 0.8, atol=1e-2)


@pytest.mark.parametrize("w", [np.ones(N), np.linspace(0.5, 2.0, N)], ids=["rows", "weights"])
def test_posteriors_are_the_prior_and_all_entries(w):
    X = two_coins(missing=0.2)
    model = variational(3, weight_concentration_prior=0.4).fit(X, sample_weight=w)
    assert_allclose((model.probability_alpha_ - model.alpha_).sum(axis=0), w @ (X == 1))
    assert_allclose((model.probability_beta_ - model.beta_).sum(axis=0), w @ (X == 0))
    assert_allclose(model.weight_concentration_.sum(), 3 * 0.4 + w.sum())
    total = model.probability_alpha_ + model.probability_beta_
    assert_allclose(model.probabilities_, model.probability_alpha_ / total)
    assert_allclose(model.weights_, model.weight_concentration_ / model.weight_concentration_.sum())


def test_the_predictive_sums_to_one():
    model = variational(3).fit(two_coins())
    rows = np.array(list(np.ndindex(*[2] * D)))
    assert_allclose(np.exp(model.score_samples(rows)).sum(), 1.0, rtol=1e-12)


def test_weights_are_repetitions_and_no_order_or_format_matters():
    X, times = two_coins(missing=0.1), np.random.default_rng(1).integers(1, 4, N)
    model = variational(3).fit(X, sample_weight=times)
    repeated = np.repeat(X, times, axis=0)
    for rows in (repeated, repeated[::-1], sparse.csr_array(repeated)):
        again = variational(3).fit(rows)
        assert_allclose(again.lower_bound_, model.lower_bound_, rtol=1e-9)
        assert_allclose(again.score_samples(X), model.score_samples(X), rtol=1e-6)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_given_start_is_where_responsibilities_come_from():
    X, p = two_coins(), np.array([[0.9] * D, [0.3] * D])
    start = {"weights_init": [0.4, 0.6], "probabilities_init": p}
    joint = np.log([0.4, 0.6]) + X @ np.log(p).T + (1 - X) @ np.log1p(-p).T
    resp = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    model = variational(max_iter=0, **start).fit(X)
    assert_allclose(model.probability_alpha_, 0.8 + resp.T @ X, rtol=1e-10)
    for name in start:
        assert np.isfinite(variational(**{name: start[name]}).fit(X).lower_bound_)


# -- priors ------------------------------------------------------------------------------------------


def test_a_chosen_prior_is_worth_as_many_observations_as_that_of_a_mode():
    X = two_coins(seed=2)
    mode = BernoulliMixture(2, random_state=0).fit(X)
    model = variational(alpha="auto", beta="auto").fit(X)
    assert model.prior_ == mode.prior_
    assert_allclose(model.alpha_, mode.alpha_ - 1.0)
    assert_allclose(model.beta_, mode.beta_ - 1.0)
    assert_allclose(model.alpha_ + model.beta_, model.prior_["n_pseudo_observations"])


@pytest.mark.parametrize("given", [0.3, 2.0])
def test_one_of_both_may_be_chosen(given):
    model = variational(alpha=given, beta="auto", weight_concentration_prior=0.1).fit(two_coins())
    assert model.prior_["kind"] == "beta"
    assert_allclose(model.alpha_, given)
    assert (model.beta_ > 0).all()


@pytest.mark.parametrize("name", ["alpha", "beta", "weight_concentration_prior"])
def test_a_mode_needs_a_prior_of_at_least_one(name):
    X = two_coins()
    with pytest.raises(ValueError, match=rf"{name} must be at least 1 with inference='map'.* 0\.5"):
        BernoulliMixture(2, **{name: 0.5}).fit(X)
    with pytest.raises(ValueError, match=f"{name}.*0"):
        variational(**{name: 0.0}).fit(X)
    model = variational(**{name: 0.5}).fit(X)
    assert np.isfinite(model.lower_bound_)


def test_a_column_without_a_prior_is_named():
    with pytest.raises(ValueError, match=r"alpha must be positive.*'0\.0 in column 1"):
        variational(alpha=[1.0, 0.0, 1.0, 1.0, 1.0, 1.0]).fit(two_coins())


@pytest.mark.parametrize("value", [1e-300, 1e-30, 1e12])
def test_any_positive_prior_will_do(value):
    model = variational(3, alpha=value, beta=value).fit(two_coins(missing=0.1))
    assert np.isfinite(model.lower_bounds_).all()
    assert (np.diff(model.lower_bounds_) >= 0).all()
    assert np.isfinite(model.score(two_coins(seed=5)))


# -- going on ----------------------------------------------------------------------------------------


def test_a_warm_start_begins_with_the_posteriors():
    X = two_coins()
    model = variational(3, warm_start=True).fit(X)
    before = model.lower_bound_, model.probability_alpha_
    model.set_params(max_iter=0).fit(X)
    assert_allclose(model.lower_bound_, before[0], rtol=1e-14)
    assert_array_equal(model.probability_alpha_, before[1])
    model.set_params(alpha=2.0).fit(X)
    assert_allclose(model.probability_alpha_, before[1] + 1.2)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("first", ["map", "mle", "variational"])
@pytest.mark.parametrize("second", ["map", "mle", "variational"])
@pytest.mark.parametrize("prior", [{"alpha": 1.5, "beta": 1.5}, {"alpha": "auto", "beta": "auto"}])
def test_one_inference_may_go_on_from_another(first, second, prior):
    X = two_coins()
    model = variational(inference=first, **prior).fit(X)
    before = model.probabilities_
    model.set_params(inference=second, warm_start=True, max_iter=0).fit(X)
    assert_allclose(model.probabilities_, before, atol=0.02)
    assert (set(vars(model)) >= POSTERIORS) == (second == "variational")
    assert POSTERIORS.isdisjoint(vars(model)) == (second != "variational")
    streamed = variational(inference=first, **prior).fit(X).set_params(inference=second)
    assert abs(streamed.partial_fit(X[:50]).score(X) - model.score(X)) < 0.05


def test_a_batch_adds_to_the_posteriors():
    X, w = two_coins(3 * N, missing=0.1), np.linspace(0.5, 1.5, 3 * N)
    model = variational(3, weight_concentration_prior=0.2)
    for i in range(0, 3 * N, N):
        model.partial_fit(X[i : i + N], sample_weight=w[i : i + N])
    assert_allclose(model.weight_concentration_.sum(), 3 * 0.2 + w.sum())
    seen = model.probability_alpha_ + model.probability_beta_ - 2.0
    assert (seen.sum(axis=0) < w.sum()).all()
    assert model.score(X) > variational(3).fit(X).score(X) - 0.02


def test_the_bound_of_a_batch_is_of_its_rows():
    """Before the step: what is known is free but for its divergence from the prior."""
    X = two_coins()
    model = variational(1).fit(X)
    known = model.probability_alpha_[0], model.probability_beta_[0]
    batch = X[:10]
    model.partial_fit(batch)
    coin = BetaBernoulli(alpha=0.8, beta=1.2).fit(X)
    ones, zeros = (batch == 1).sum(axis=0), (batch == 0).sum(axis=0)
    a, b = known
    one, zero = digamma(a) - digamma(a + b), digamma(b) - digamma(a + b)
    cost = ((a - 0.8) * one + (b - 1.2) * zero - coin.log_evidence_).sum()
    assert_allclose(model.lower_bound_, ones @ one + zeros @ zero - cost, rtol=1e-10)


def test_a_fit_that_has_not_converged_says_so():
    with pytest.warns(ConvergenceWarning, match="max_iter=1"):
        variational(4, max_iter=1, tol=1e-12).fit(two_coins())
