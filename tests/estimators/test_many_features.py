"""Mixtures of low rank of a hundred features and more, which are estimated without large matrices."""

import pickle

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from sklearn_lvm import EMGaussianMixture
from sklearn_lvm.core.gaussian.low_rank import MANY_FEATURES, MAX_PRIOR_FEATURES
from sklearn_lvm.estimators.base import low_rank_mixture

D, Q = MANY_FEATURES + 10, 3
TYPES = ["factor", "ppca"]


def table(seed=0, n=240, d=D):
    rng = np.random.RandomState(seed)
    labels, W = np.arange(n) % 2, rng.normal(size=(2, d, Q))
    rows = np.einsum("ndq,nq->nd", W[labels], rng.normal(size=(n, Q)))
    return rows + 3.0 * labels[:, None] + rng.normal(size=(n, d)) * np.linspace(0.5, 2.0, d)


def incomplete(n=240):
    X = table(n=n)
    X[np.random.RandomState(0).uniform(size=X.shape) < 0.2] = np.nan
    return X


def fitted(X, covariance_type="factor", *, sample_weight=None, **params):
    known = {"n_factors": Q, "random_state": 0, **params}
    mixture = EMGaussianMixture(2, covariance_type=covariance_type, **known)
    return mixture.fit(X, sample_weight=sample_weight)


@pytest.fixture(scope="module")
def X():
    return table()


@pytest.mark.parametrize("covariance_type", TYPES)
def test_scores_are_those_of_the_matrices(X, covariance_type):
    mixture = fitted(X, covariance_type)
    assert mixture._structure.projected
    parts = zip(mixture.weights_, mixture.means_, mixture.covariances_, strict=True)
    density = sum(w * np.exp(multivariate_normal(m, C).logpdf(X[:20]) + 300) for w, m, C in parts)
    np.testing.assert_allclose(mixture.score_samples(X[:20]), np.log(density) - 300, rtol=1e-9)


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("make", [table, incomplete])
@pytest.mark.parametrize("prior", [np.ones(D), np.eye(D) + 0.3])
def test_it_says_the_same_as_whole_scatters(covariance_type, make, prior, monkeypatch):
    rows, params = make(), {"degrees_of_freedom_prior": -float(D), "tol": 1e-9}
    ours = fitted(rows, covariance_type, covariance_prior=prior, **params)
    monkeypatch.setattr(low_rank_mixture, "MANY_FEATURES", 10**9)
    whole = fitted(rows, covariance_type, covariance_prior=prior, **params)
    assert ours._structure.projected
    assert not whole._structure.projected
    assert ours.lower_bound_ == pytest.approx(whole.lower_bound_, abs=1e-6)
    np.testing.assert_allclose(ours.score(rows), whole.score(rows), atol=1e-3)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_weights_are_repetitions_and_order_does_not_matter(X, covariance_type):
    rng = np.random.RandomState(1)
    w = rng.randint(0, 3, len(X))
    weighted = fitted(X, covariance_type, sample_weight=w.astype(float))
    repeated = fitted(np.repeat(X, w, axis=0)[rng.permutation(w.sum())], covariance_type)
    np.testing.assert_allclose(weighted.score_samples(X), repeated.score_samples(X), rtol=1e-8)


@pytest.mark.parametrize(
    ("covariance_type", "unit"), [("factor", np.logspace(-3, 3, D)), ("ppca", np.full(D, 7.0))]
)
def test_units_change_nothing_but_the_jacobian(X, covariance_type, unit):
    known = fitted(X, covariance_type).score_samples(X)
    found = fitted(unit * X + 5.0, covariance_type).score_samples(unit * X + 5.0)
    np.testing.assert_allclose(found + np.log(unit).sum(), known, rtol=1e-7)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_missing_entries_are_left_out_of_scores(X, covariance_type):
    mixture, part = fitted(X, covariance_type), np.arange(40)
    rows = np.where(np.arange(D) < 40, X, np.nan)
    marginal = mixture.marginal(part).score_samples(X[:, part])
    np.testing.assert_allclose(mixture.score_samples(rows), marginal, rtol=1e-10)
    np.testing.assert_allclose(mixture.impute(rows)[:, :40], X[:, :40])


@pytest.mark.parametrize("covariance_type", TYPES)
def test_missing_entries_are_no_obstacle_to_a_fit(covariance_type):
    rows, new = incomplete(480)[:240], table(n=480)[240:]
    mixture = fitted(rows, covariance_type)
    assert mixture.converged_
    assert mixture.score(new) > fitted(rows, "diag").score(new) + 5.0
    assert np.isfinite(mixture.latent(rows)).all()


@pytest.mark.parametrize("covariance_type", TYPES)
def test_joint_is_marginal_times_conditional(X, covariance_type):
    mixture = fitted(X, covariance_type)
    known = {0: 0.3, 7: -1.0, 100: 2.0}
    rest = np.delete(np.arange(D), list(known))
    row = X[:1].copy()
    row[0, list(known)] = list(known.values())
    joint = mixture.score_samples(row)
    parts = mixture.marginal(list(known)).score_samples(row[:, list(known)])
    parts = parts + mixture.condition(known).score_samples(row[:, rest])
    np.testing.assert_allclose(joint, parts, rtol=1e-10)


def test_rows_show_the_number_of_factors():
    rows = table(n=600)
    assert Q <= fitted(rows, n_factors="auto").n_factors_ <= 2 * Q + 2  # those of both components
    assert fitted(rows, "ppca", n_factors="auto").n_factors_ >= Q  # noise of columns differs
    noise = np.random.RandomState(2).normal(size=(300, D))
    assert fitted(noise, n_factors="auto").n_factors_ == 0


def test_starts_are_searched_for_with_few_rows():
    """With nine parameters a row, each feature telling its own, no two clusters stay joined."""
    rng, K = np.random.RandomState(1), 8
    W, center = rng.normal(size=(K, 150, 4)), rng.normal(size=(K, 150))
    labels = np.arange(800) % K
    rows = np.einsum("ndq,nq->nd", W[labels], rng.normal(size=(800, 4))) + center[labels]
    rows += rng.normal(size=rows.shape)
    mixture = EMGaussianMixture(K, covariance_type="factor", n_factors=4, random_state=0).fit(rows)
    pairs = np.unique(np.column_stack([labels, mixture.predict(rows)]), axis=0)
    assert len(pairs) == K


def test_a_pickle_is_small_and_matrices_are_made_when_they_are_read():
    d = MAX_PRIOR_FEATURES + 10  # beyond, not even a prior has a matrix
    X = np.random.RandomState(0).normal(size=(60, d))
    mixture = fitted(X, n_factors=2)
    size = 8 * 2 * d * (2 * (2 + 1) + 10)
    assert len(pickle.dumps(mixture)) < size
    assert mixture.covariances_.shape == mixture.precisions_.shape == (2, d, d)
    np.testing.assert_allclose(
        mixture.covariances_[0] @ mixture.precisions_[0], np.eye(d), atol=1e-9
    )
    assert len(pickle.dumps(mixture)) < size
    assert mixture.covariance_prior_.shape == (d,)


@pytest.mark.parametrize("covariance_type", TYPES)
def test_a_prior_that_was_chosen_can_be_given_again(X, covariance_type):
    mixture = fitted(X, covariance_type)
    assert mixture.covariance_prior_.shape == (D, D)
    again = fitted(
        X,
        covariance_type,
        covariance_prior=mixture.covariance_prior_,
        degrees_of_freedom_prior=mixture.degrees_of_freedom_prior_,
    )
    np.testing.assert_allclose(again.score_samples(X), mixture.score_samples(X), rtol=1e-6)


def test_defaults_are_better_than_one_gaussian_where_there_are_few_factors():
    """One factor analyzer: without a prior, with the one that is chosen, and as many factors."""
    rng = np.random.RandomState(1)
    rows = rng.normal(size=(480, 4)) @ rng.normal(size=(4, 120))
    rows += rng.uniform(0.3, 1.0, 120) * rng.normal(size=rows.shape)
    A, B = rows[:240], rows[240:]
    known = EMGaussianMixture(1, covariance_type="factor", n_factors=4, covariance_prior=None)
    found = EMGaussianMixture(1, covariance_type="factor").fit(A)
    assert 4 <= found.n_factors_ <= 6
    assert found.score(B) > known.fit(A).score(B) - 0.5
    assert found.score(B) > EMGaussianMixture(1).fit(A).score(B) + 5.0


@pytest.mark.parametrize("covariance_type", TYPES)
def test_a_start_without_loadings_is_no_trap(X, covariance_type):
    known = fitted(X, covariance_type, covariance_prior=None)
    params = {"covariance_prior": None, "precisions_init": np.stack([np.eye(D)] * 2)}
    found = fitted(X, covariance_type, means_init=known.means_, **params)
    assert np.abs(found.loadings_).max() > 0.5
    assert found.score(X) > known.score(X) - 0.5


def test_hard_tables():
    X = table()
    X[:, 5], X[:, 7] = 3.0, X[:, 8]
    assert np.isfinite(fitted(X).score(X))
    assert np.isfinite(fitted(X, "ppca", covariance_prior=None, reg_covar=0.0).score(X))
    with pytest.raises(ValueError, match=r"features \[5\]"):
        fitted(X, covariance_prior=None, reg_covar=0.0)
    few = fitted(X[:6], n_factors=10)
    assert np.isfinite(few.score(X))
    assert np.isfinite(fitted(np.repeat(X[:4], 30, axis=0)).score(X))
