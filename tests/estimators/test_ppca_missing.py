"""PPCA of rows with missing entries: estimates, scores, completions, and what is refused."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.stats import multivariate_normal
from sklearn.exceptions import ConvergenceWarning

from sklearn_lvm import PPCA, GaussianMLE, select_n_components

COUNTS = [0, 1, 3, 6, 7, None, "bic", "mle", 0.8]


def near_a_plane(n=300, d=7, q=3, share=0.2, noise=0.5, seed=0):
    """Rows near a plane, complete and with missing entries; of one row nothing was observed."""
    rng = np.random.default_rng(seed)
    X = (
        rng.normal(size=(n, q)) @ rng.normal(size=(q, d)) * 2
        + noise * rng.normal(size=(n, d))
        + 5.0
    )
    missing = rng.random(X.shape) < share
    missing[3] = share > 0
    return X, np.where(missing, np.nan, X)


def new_model(q=3, **params):
    return PPCA(q, random_state=0, **params)


def given_observed(model, x):
    """Mean and covariance of (z, x) given the observed entries of a row, by the joint Gaussian."""
    W, q, seen = model.loadings_, model.n_components_, np.flatnonzero(~np.isnan(x))
    joint = np.block([[np.eye(q), W.T], [W, model.get_covariance()]])
    gain = joint[:, q + seen] @ np.linalg.inv(joint[np.ix_(q + seen, q + seen)])
    mean = np.append(np.zeros(q), model.mean_) + gain @ (x[seen] - model.mean_[seen])
    return mean, joint - gain @ joint[q + seen]


# -- scores ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("q", COUNTS)
def test_a_score_is_the_marginal_density_of_what_was_observed(q):
    _, X = near_a_plane()
    model = new_model(q).fit(X)
    C, scores = model.get_covariance(), model.score_samples(X)
    for x, score in zip(X, scores, strict=True):
        seen = np.flatnonzero(~np.isnan(x))
        if len(seen):
            marginal = multivariate_normal(model.mean_[seen], C[np.ix_(seen, seen)])
            assert_allclose(score, marginal.logpdf(x[seen]), rtol=0, atol=1e-8)
    assert scores[3] == 0.0
    assert model.n_samples_seen_ == 299
    assert_allclose(model.log_likelihood_, scores.sum(), rtol=1e-10)
    explained = model.explained_variance_ratio_.sum() * np.trace(C)
    assert_allclose(explained, model.explained_variance_.sum())


@pytest.mark.parametrize("q", [0, 3, 7])
def test_completions_are_those_of_the_joint_gaussian(q):
    _, X = near_a_plane()
    model = new_model(q).fit(X)
    q, latent = model.n_components_, model.transform(X)
    means, (resp, entries) = model._conditional_means(X), model._conditional_mixture(X)
    assert_array_equal(resp, np.ones((1, len(X))))
    for i, x in enumerate(X[:40]):
        mean, spread = given_observed(model, x)
        missing = np.isnan(x)
        assert_allclose(latent[i], mean[:q], atol=1e-9)
        assert_allclose(means[i, missing], mean[q:][missing], atol=1e-8)
        assert_allclose(entries.mean[0, :, i], np.where(missing, mean[q:], x), atol=1e-8)
        variance = np.where(missing, np.diag(spread)[q:], 0.0)
        assert_allclose(entries.variance[0, :, i], variance, atol=1e-8)


def test_draws_have_the_moments_of_the_joint_gaussian():
    _, X = near_a_plane()
    model = new_model().fit(X)
    x = np.array([6.0, np.nan, np.nan, 4.0, np.nan, 5.0, 3.0])
    drawn = model._conditional_draws(np.tile(x, (40_000, 1)), np.random.RandomState(0))
    mean, spread = given_observed(model, x)
    missing = np.isnan(x)
    C = spread[3:, 3:][np.ix_(missing, missing)]
    assert_allclose(drawn[:, missing].mean(axis=0), mean[3:][missing], atol=0.02 * np.sqrt(C.max()))
    assert_allclose(np.cov(drawn[:, missing].T), C, atol=0.03 * C.max())


def test_complete_rows_score_among_others_as_alone():
    whole, X = near_a_plane()
    model = new_model().fit(X)
    complete = ~np.isnan(X).any(axis=1)
    assert_allclose(
        model.score_samples(X)[complete], model.score_samples(whole[complete]), rtol=1e-12
    )
    assert_allclose(model.transform(X)[complete], model.transform(whole[complete]), rtol=1e-10)


@pytest.mark.parametrize("offset", [0.0, 1e5])
def test_a_model_of_complete_rows_scores_others(offset):
    whole, X = near_a_plane()
    model = new_model().fit(whole + offset)
    C, x = model.get_covariance(), (X + offset)[5]
    seen = np.flatnonzero(~np.isnan(x))
    marginal = multivariate_normal(model.mean_[seen], C[np.ix_(seen, seen)])
    assert_allclose(model.score_samples(x[None]), marginal.logpdf(x[seen]), atol=1e-7)
    assert model.score_samples(np.full((1, 7), np.nan)) == 0.0


# -- estimates ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", ["auto", "covariance", "svd", "subspace", "em"])
def test_loadings_are_found_in_spite_of_missing_entries(solver):
    whole, X = near_a_plane(20_000, share=0.1)
    model, complete = new_model(solver=solver).fit(X), new_model().fit(whole)
    W, V = model.loadings_, complete.loadings_
    assert_allclose(W @ W.T, V @ V.T, atol=0.02 * (V @ V.T).max())
    assert_allclose(model.mean_, complete.mean_, atol=0.02)
    assert_allclose(model.noise_variance_, complete.noise_variance_, rtol=0.01)
    assert model.score(X) > complete.score(X)


@pytest.mark.parametrize("q", [0, 2, 6])
def test_one_missing_entry_changes_little(q):
    whole, X = near_a_plane(share=0.0)
    X = X.copy()
    X[7, 2] = np.nan
    model, complete = new_model(q).fit(X), new_model(q).fit(whole)
    assert_allclose(model.get_covariance(), complete.get_covariance(), rtol=0.1, atol=0.1)
    assert model.n_samples_seen_ == 300


def test_the_maximum_beats_that_of_filled_rows():
    whole, X = near_a_plane()
    model, filled = (
        new_model().fit(X),
        new_model().fit(np.where(np.isnan(X), np.nanmean(X, axis=0), X)),
    )
    assert model.score(X) > filled.score(X) + 0.1
    assert model.score(X) > new_model().fit(whole).score(X)


def test_all_components_but_one_are_the_full_gaussian():
    """In the same number of parameters, none of them in the rotation of the latent variable."""
    _, X = near_a_plane()
    model = new_model(6).fit(X)
    for other in (new_model(None), new_model(7)):
        assert_allclose(other.fit(X).score(X), model.score(X), rtol=0, atol=1e-6)
    one = GaussianMLE().fit(X[~np.isnan(X).any(axis=1)])
    assert model.n_parameters_ == one.n_parameters_


@pytest.mark.parametrize("criterion", ["bic", "mle", 0.95])
def test_the_number_of_components_is_found(criterion):
    _, X = near_a_plane(1000, noise=0.3)
    assert new_model(criterion).fit(X).n_components_ == 3


def test_a_row_without_weight_is_not_there():
    whole, X = near_a_plane(share=0.0)
    X = X.copy()
    X[17, 3], w = np.nan, np.ones(300)
    w[17] = 0.0
    model, other = (
        new_model().fit(X, sample_weight=w),
        new_model().fit(np.delete(whole, 17, axis=0)),
    )
    assert_array_equal(model.loadings_, other.loadings_)


@pytest.mark.parametrize("factor", [1e-250, 1e-6, 1e6, 1e250])
def test_the_unit_does_not_matter(factor):
    _, X = near_a_plane()
    model, other = new_model().fit(X), new_model().fit(factor * X)
    shift = (~np.isnan(X)).sum(axis=1) * np.log(factor)
    assert_allclose(other.score_samples(factor * X) + shift, model.score_samples(X), atol=1e-8)
    assert_allclose(other.transform(factor * X), model.transform(X), atol=1e-8)


def test_the_origin_does_not_matter():
    _, X = near_a_plane()
    far = X + 1e6
    model, other = new_model().fit(far - 1e6), new_model().fit(far)
    assert_allclose(other.score_samples(far), model.score_samples(far - 1e6), atol=1e-6)


def test_components_are_selected():
    _, X = near_a_plane()
    for criterion in ("bic", "cv"):
        found = select_n_components(new_model(), X, criterion=criterion, n_components=[1, 2, 3])
        assert found.best_estimator_.n_components_ == 3
    assert_allclose(found.best_estimator_.score(X), new_model().fit(X).score(X), atol=1e-8)


# -- what is refused ---------------------------------------------------------------------------------


def test_batches_have_no_missing_entries():
    whole, X = near_a_plane()
    with pytest.raises(
        ValueError, match=r"NaN, which partial_fit of PPCA does not take.* Call fit"
    ):
        new_model().partial_fit(X)
    model = new_model().fit(X)
    before = model.loadings_
    with pytest.raises(ValueError, match=r"a fit in which entries were missing.* Call fit"):
        model.partial_fit(whole)
    assert model.loadings_ is before
    assert_allclose(model.fit(whole).partial_fit(whole).n_samples_seen_, 600)


def test_missing_entries_of_sparse_rows_are_refused():
    whole, X = near_a_plane()
    model, rows = new_model().fit(whole), sparse.csr_array(X)
    for call in (model.fit, model.score_samples, model.transform, model.partial_fit):
        with pytest.raises(ValueError, match=r"NaN.*not observed in a dense X only.*toarray"):
            call(rows)


@pytest.mark.parametrize(("n", "q"), [(4, 3), (6, 5), (6, 6)])
def test_components_that_leave_no_noise_are_refused(n, q):
    _, X = near_a_plane(share=0.1)
    with pytest.raises(ValueError, match=f"n_components={q} leaves no noise.*fewer components"):
        new_model(q).fit(X[:n])


@pytest.mark.parametrize("q", [None, "bic", "mle", 0.9])
def test_a_spectrum_that_is_not_determined_is_refused(q):
    _, X = near_a_plane()
    with pytest.raises(ValueError, match=r"needs the whole spectrum.*n_components as an integer"):
        new_model(q).fit(X[4:9])


def test_constant_columns_have_no_density():
    X = np.ones((5, 2))
    X[0, 0] = np.nan
    with pytest.raises(ValueError, match="two distinct rows"):
        new_model(1).fit(X)


def test_too_few_iterations_are_told():
    _, X = near_a_plane()
    with pytest.warns(ConvergenceWarning, match=r"missing entries did not converge.*max_iter=2"):
        model = new_model(max_iter=2).fit(X)
    assert model.n_iter_ == 2


@pytest.mark.parametrize("n_components", [None, 0.9, "mle"])
def test_a_constant_column_is_no_axis(n_components):
    X = np.random.default_rng(0).normal(size=(100, 4)) * [1.0, 1.0, 3.0, 2.0]
    X[:, 1] = 7.0
    X[np.random.default_rng(1).random(X.shape) < 0.2] = np.nan
    model = PPCA(n_components).fit(X)
    assert 1 <= model.n_components_ <= 2
    assert np.isfinite(model.score(X))
