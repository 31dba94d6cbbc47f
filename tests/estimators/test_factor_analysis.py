"""Factor analysis: its maximum beside that of others, floors, priors, batches, factors of rows, NaN."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import multivariate_normal
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.decomposition import FactorAnalysis as Peer
from sklearn.exceptions import ConvergenceWarning

from sklearn_lvm import (
    PPCA,
    CovarianceWarning,
    EMGaussianMixture,
    FactorAnalysis,
    GaussianMLE,
)


def standardized(X):
    return (X - X.mean(axis=0)) / X.std(axis=0)


def by_factors(n=300, d=8, q=2, seed=0):
    """Rows of q factors, with noise of its own in each column, away from zero."""
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(n, q)) @ rng.normal(size=(q, d))
    return X + rng.normal(size=(n, d)) * rng.uniform(0.3, 1.5, d) + 5.0


def with_missing(X, share=0.2, seed=0):
    missing = np.random.RandomState(seed).random_sample(X.shape) < share
    missing[3] = True
    return np.where(missing, np.nan, X)


def by_em(q, X, **params):
    params = {"covariance_prior": None, "tol": 1e-10} | params
    return EMGaussianMixture(1, covariance_type="factor", n_factors=q, **params).fit(X)


@pytest.fixture
def wine():
    return standardized(load_wine().data)


# -- the maximum -------------------------------------------------------------------------------------


@pytest.mark.parametrize("q", [1, 2, 3, 5])
@pytest.mark.parametrize("load", [load_wine, load_breast_cancer], ids=lambda load: load.__name__)
def test_no_peer_has_a_higher_likelihood(q, load):
    """Whose floor is lower, and whose variances nothing is added to."""
    X = standardized(load().data)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        peer = Peer(q, random_state=0).fit(X).score(X)
    own = FactorAnalysis(q).fit(X)
    assert own.score(X) > peer - 1e-5
    assert own.score(X) > by_em(q, X).score(X) - 1e-9


@pytest.mark.parametrize("q", [0, 1, 2])
def test_the_model_is_that_of_em(q):
    X = by_factors()
    own, em = FactorAnalysis(q).fit(X), by_em(q, X)
    assert_allclose(own.score_samples(X), em.score_samples(X), rtol=1e-6)
    assert_allclose(own.get_covariance(), em.covariances_[0], rtol=1e-4, atol=1e-6)
    assert own.n_parameters_ == em.n_parameters_
    assert_allclose(own.noise_variance_, em.noise_variance_[0], rtol=1e-4)


def test_without_factors_columns_are_independent():
    X = by_factors()
    own, other = FactorAnalysis(0, reg_covar=0.0).fit(X), GaussianMLE(covariance_type="diag").fit(X)
    assert_allclose(own.score_samples(X), other.score_samples(X), rtol=1e-12)
    assert own.components_.shape == (0, 8)
    assert own.transform(X).shape == (300, 0)


def test_the_likelihood_is_between_those_of_ppca_and_of_any_gaussian():
    X = by_factors()
    scores = [model.fit(X).score(X) for model in (PPCA(2), FactorAnalysis(2), GaussianMLE())]
    assert scores == sorted(scores)


def test_attributes_are_of_one_model(wine):
    model = FactorAnalysis(3).fit(wine)
    W, noise = model.loadings_, model.noise_variance_
    C = W @ W.T + np.diag(noise)
    assert_array_equal(model.components_, W.T)
    assert_allclose(model.get_covariance(), C, rtol=1e-12)
    assert_allclose(model.get_precision(), np.linalg.inv(C), rtol=1e-9, atol=1e-10)
    scores = multivariate_normal(model.mean_, C).logpdf(wine)
    assert_allclose(model.score_samples(wine), scores, rtol=1e-10)
    assert_allclose(model.log_likelihood_, scores.sum(), rtol=1e-12)
    assert model.n_components_ == 3
    assert model.n_parameters_ == 13 + 13 + 13 * 3 - 3
    assert model.get_feature_names_out().tolist() == [f"factoranalysis{j}" for j in range(3)]


def test_what_is_raised_never_falls_and_ends_at_the_likelihood_less_the_penalty(wine):
    model = FactorAnalysis(5).fit(wine)
    assert (np.diff(model.loglike_) >= 0).all()
    assert len(model.loglike_) == model.n_iter_
    penalty = 0.5 * len(wine) * 1e-6 * np.trace(model.get_precision())
    assert_allclose(model.loglike_[-1], model.log_likelihood_ - penalty, rtol=1e-9)


def test_noise_at_its_least_is_counted(wine):
    model = FactorAnalysis(5).fit(wine)
    assert model.heywood_ == 2
    assert (model.noise_variance_ < 1.0001e-6).sum() == 2
    larger = FactorAnalysis(5, reg_covar=0.1).fit(wine)
    assert (larger.noise_variance_ >= 0.1).all()
    assert larger.heywood_ == (larger.noise_variance_ < 0.100001).sum()


def test_a_run_that_is_cut_short_warns(wine):
    with pytest.warns(ConvergenceWarning, match="max_iter=2 iterations"):
        model = FactorAnalysis(5, max_iter=2).fit(wine)
    assert not model.converged_
    assert model.n_iter_ == 2


# -- the number of factors ---------------------------------------------------------------------------


@pytest.mark.parametrize("q", [0, 1, 2, 3])
def test_as_many_factors_are_found_as_there_are(q):
    X = by_factors(1000, 10, q)
    assert FactorAnalysis().fit(X).n_components_ == q
    assert FactorAnalysis().fit(with_missing(X, 0.1)).n_components_ == q


def test_what_columns_have_in_common_is_not_left_out():
    """Two columns depend on each other, though loadings and noise are not determined."""
    X = by_factors(d=2)
    found = FactorAnalysis().fit(X)
    assert found.n_components_ == 1
    assert found.score(X) == pytest.approx(GaussianMLE().fit(X).score(X), abs=1e-5)
    assert FactorAnalysis().fit(by_factors(d=1)).n_components_ == 0


@pytest.mark.parametrize("q", [8, 9])
def test_too_many_factors_are_refused(q):
    with pytest.raises(ValueError, match=rf"n_components={q}, but X has n_features=8.* = 7\."):
        FactorAnalysis(q).fit(by_factors())
    with pytest.raises(ValueError, match=rf"n_components={q}"):
        FactorAnalysis(q).partial_fit(by_factors())


def test_more_factors_than_can_be_told_apart_warn():
    with pytest.warns(UserWarning, match="n_components=5 is more than the 4 .*Ledermann"):
        FactorAnalysis(5).fit(by_factors())
    FactorAnalysis(4).fit(by_factors())


# -- rotations ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("rotation", ["varimax", "quartimax"])
def test_a_rotation_is_that_of_scikit_learn_and_changes_no_score(rotation, wine):
    own, plain = FactorAnalysis(3, rotation=rotation).fit(wine), FactorAnalysis(3).fit(wine)
    peer = Peer(3, rotation=rotation, tol=1e-8, svd_method="lapack", max_iter=5000).fit(wine)
    assert_allclose(own.score_samples(wine), plain.score_samples(wine), rtol=1e-9)
    gaps = np.abs(np.abs(own.components_)[:, None] - np.abs(peer.components_)).max(axis=2)
    assert (gaps.min(axis=1) < 1e-3).all()
    assert np.abs(own.components_ - plain.components_).max() > 0.1
    assert_allclose(
        own.transform(wine) @ own.components_, plain.transform(wine) @ plain.components_
    )


def test_loadings_are_turned_in_units_of_their_rows(wine):
    unit = np.logspace(-3, 3, 13)
    plain = FactorAnalysis(3, rotation="varimax").fit(wine)
    scaled = FactorAnalysis(3, rotation="varimax").fit(wine * unit)
    assert_allclose(scaled.components_ / unit, plain.components_, rtol=1e-4, atol=1e-5)


# -- units, priors, batches --------------------------------------------------------------------------


@pytest.mark.parametrize("missing", [False, True])
def test_the_unit_of_a_column_changes_nothing_but_the_jacobian(missing):
    X, unit = by_factors(), np.logspace(-6, 6, 8)
    X = with_missing(X) if missing else X
    plain, scaled = (FactorAnalysis(2, tol=1e-12).fit(rows) for rows in (X, X * unit))
    change = ~np.isnan(X) @ np.log(unit)
    assert_allclose(scaled.score_samples(X * unit) + change, plain.score_samples(X), rtol=1e-6)
    assert_allclose(scaled.transform(X * unit), plain.transform(X), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("missing", [False, True])
def test_a_prior_is_that_of_a_mixture_of_one(missing, wine):
    X = with_missing(wine) if missing else wine
    prior = {"covariance_prior": 2.0 * np.eye(13), "degrees_of_freedom_prior": 5.0}
    own, em = FactorAnalysis(2, **prior).fit(X), by_em(2, X, **prior)
    assert_allclose(own.score_samples(X), em.score_samples(X), rtol=1e-4)
    assert_allclose(own.log_likelihood_, own.score_samples(X).sum(), rtol=1e-9)
    assert own.score(X) < FactorAnalysis(2).fit(X).score(X)
    assert (np.diff(own.loglike_) >= 0).all()


def test_a_prior_gives_a_constant_column_its_variance():
    X = by_factors()
    X[:, 2] = 1.0
    prior = {"covariance_prior": np.eye(8), "degrees_of_freedom_prior": 5.0}
    model = FactorAnalysis(2, reg_covar=0.0, **prior).fit(X)
    assert_allclose(model.get_covariance()[2, 2], 1.0 / (300 + 15), rtol=1e-6)


PRIORS = {
    "degrees_of_freedom_prior=3 needs a covariance_prior": {"degrees_of_freedom_prior": 3.0},
    "degrees_of_freedom_prior is None": {"covariance_prior": np.eye(8)},
    r"covariance_prior must be of shape \(8, 8\)": {
        "covariance_prior": np.eye(3),
        "degrees_of_freedom_prior": 3.0,
    },
    "must be greater than": {"covariance_prior": np.eye(8), "degrees_of_freedom_prior": -10.0},
    "not positive definite": {"covariance_prior": -np.eye(8), "degrees_of_freedom_prior": 3.0},
}


@pytest.mark.parametrize("message", PRIORS)
def test_what_is_no_prior_is_refused(message):
    with pytest.raises(ValueError, match=message):
        FactorAnalysis(2, **PRIORS[message]).fit(by_factors())


def test_a_part_keeps_pseudo_rows_and_factors_for_a_later_fit():
    X = by_factors()
    prior = {"covariance_prior": np.diag(np.arange(1.0, 9.0)), "degrees_of_freedom_prior": 5.0}
    model = FactorAnalysis(2, **prior).fit(X)
    part = model.marginal([1, 4])
    assert part.n_components_ == 2
    assert part.transform(X[:, [1, 4]]).shape == (300, 2)
    assert part.get_params()["n_components"] == 1
    assert_array_equal(part.covariance_prior, np.diag([2.0, 5.0]))
    assert part.degrees_of_freedom_prior == 11.0


def test_factors_of_a_part_are_those_of_rows_without_the_other_columns():
    X, model = by_factors(), FactorAnalysis(2).fit(by_factors())
    hidden = X.copy()
    hidden[:, [0, 3]] = np.nan
    part = model.marginal([1, 2, 4, 5, 6, 7])
    rows = X[:, [1, 2, 4, 5, 6, 7]]
    assert_allclose(part.transform(rows), model.transform(hidden), rtol=1e-10, atol=1e-12)
    assert_allclose(part.score_samples(rows), model.score_samples(hidden), rtol=1e-10)


@pytest.mark.parametrize("cut", [1, 100, 299])
def test_batches_are_a_fit(cut):
    X = by_factors()
    whole = FactorAnalysis(2, tol=1e-12).fit(X)
    parts = FactorAnalysis(2, tol=1e-12).partial_fit(X[:cut]).partial_fit(X[cut:])
    assert_allclose(parts.score_samples(X), whole.score_samples(X), rtol=1e-6)
    assert_allclose(parts.log_likelihood_, whole.log_likelihood_, rtol=1e-10)
    assert parts.n_samples_seen_ == 300


def test_batches_are_complete():
    X = by_factors()
    with pytest.raises(ValueError, match="NaN, and where columns are correlated rows with missing"):
        FactorAnalysis(2).partial_fit(with_missing(X))
    with pytest.raises(ValueError, match="cannot go on from a fit to rows that contain NaN"):
        FactorAnalysis(2).fit(with_missing(X)).partial_fit(X)


# -- poor tables -------------------------------------------------------------------------------------


def test_a_constant_column_warns_and_needs_a_variance():
    X = by_factors()
    X[:, 2] = 1.0
    with pytest.warns(CovarianceWarning, match="features 2 are constant"):
        model = FactorAnalysis(2).fit(X)
    assert model.heywood_ >= 1
    assert np.isfinite(model.score(X))
    with pytest.raises(ValueError, match=r"features 2 .* set reg_covar > 0"):
        FactorAnalysis(2, reg_covar=0.0).fit(X)


@pytest.mark.parametrize("n", [2, 3, 6, 20])
@pytest.mark.parametrize("q", [0, 1, 3, 6])
def test_few_rows_of_many_columns(n, q):
    X = by_factors(n, 30, 2)
    model = FactorAnalysis(q).fit(X)
    assert model.converged_
    assert_allclose(model.score(X) * n, model.log_likelihood_, rtol=1e-7)
    assert np.isfinite(model.get_precision()).all()


def test_columns_twice_leave_each_other_the_least_noise():
    X = by_factors()[:, [0, 1, 2, 3, 4, 5, 6, 7, 7]]
    model = FactorAnalysis(3).fit(X)
    assert model.heywood_ >= 2
    assert_allclose(model.noise_variance_[7:], 1e-6 * X[:, 7].var(), rtol=1e-6)


@pytest.mark.parametrize("rows", [1, 5])
def test_one_row_is_no_density(rows):
    with pytest.raises(ValueError, match="at least two distinct rows"):
        FactorAnalysis(1).fit(np.repeat(by_factors()[:1], rows, axis=0))


def test_many_columns():
    """More than Newton's method is used for."""
    X = by_factors(400, 160, 4)
    model = FactorAnalysis().fit(X)
    assert model.n_components_ == 4
    assert model.converged_
    assert model.score(X) > Peer(4, random_state=0).fit(X).score(X) - 1e-4


# -- missing entries ---------------------------------------------------------------------------------


@pytest.mark.parametrize("q", [0, 1, 3])
def test_a_score_is_the_marginal_density_of_what_was_observed(q):
    X = with_missing(by_factors())
    model = FactorAnalysis(q).fit(X)
    C, scores = model.get_covariance(), model.score_samples(X)
    for x, score in zip(X, scores, strict=True):
        seen = np.flatnonzero(~np.isnan(x))
        if len(seen):
            marginal = multivariate_normal(model.mean_[seen], C[np.ix_(seen, seen)])
            assert_allclose(score, marginal.logpdf(x[seen]), rtol=0, atol=1e-8)
    assert scores[3] == 0.0
    assert model.n_samples_seen_ == 299
    assert_allclose(model.log_likelihood_, scores.sum(), rtol=1e-10)
    assert (np.diff(model.loglike_) >= 0).all()


@pytest.mark.parametrize("q", [1, 2])
def test_incomplete_rows_are_fitted_to_the_maximum_of_em(q):
    X = with_missing(by_factors(), 0.3)
    own = FactorAnalysis(q).fit(X)
    assert own.converged_
    assert own.score(X) > by_em(q, X).score(X) - 1e-8


def test_factors_are_expected_given_what_was_observed():
    X = with_missing(by_factors())
    model = FactorAnalysis(2).fit(X)
    W, C, latent = model.loadings_, model.get_covariance(), model.transform(X)
    for x, t in zip(X[:20], latent[:20], strict=True):
        seen = np.flatnonzero(~np.isnan(x))
        gain = W[seen].T @ np.linalg.inv(C[np.ix_(seen, seen)])
        assert_allclose(t, gain @ (x - model.mean_)[seen], rtol=0, atol=1e-9)
    assert_array_equal(latent[3], 0.0)


def test_samples_come_with_their_factors():
    model = FactorAnalysis(2).fit(by_factors())
    X, latent = model.sample(50_000, random_state=0, return_latent=True)
    noise = X - model.inverse_transform(latent)
    assert_allclose(latent.T @ latent / 50_000, np.eye(2), atol=0.03)
    assert_allclose(noise.var(axis=0), model.noise_variance_, rtol=0.05)
    assert np.abs(np.corrcoef(noise.T, latent.T)[:8, 8:]).max() < 0.02
    gaps = latent - model.transform(X)
    W = model.loadings_ / np.sqrt(model.noise_variance_)[:, None]
    assert_allclose(gaps.T @ gaps / 50_000, np.linalg.inv(np.eye(2) + W.T @ W), atol=0.02)
