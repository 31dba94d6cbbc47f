"""Mixtures of factor analyzers and of probabilistic PCA."""

import pickle
import re
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.model_selection import GridSearchCV

from sklearn_lvm import (
    PPCA,
    ConditionalRegressor,
    EMGaussianMixture,
    StandardizedDensity,
    VariationalGaussianMixture,
    bootstrap,
    select_n_components,
)

from .specs import LOW_RANK, added_variance

N, D, Q = 240, 6, 2
LIKELIHOOD = {"covariance_prior": None}
every_type = pytest.mark.parametrize("covariance_type", LOW_RANK)


def factor_rows(n=N, d=D, q=Q, K=2, seed=0):
    """Rows of K factor analyzers whose means lie apart."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, K, n)
    W = rng.normal(size=(K, d, q))
    noise = rng.uniform(0.2, 1.0, size=(K, d))
    t, e = rng.normal(size=(n, q)), rng.normal(size=(n, d))
    return 3.0 * labels[:, None] + np.einsum("ndq,nq->nd", W[labels], t) + noise[labels] * e


@pytest.fixture(scope="module")
def X():
    return factor_rows()


def mixture(covariance_type, K=2, n_factors=Q, **params):
    params = {"random_state": 0, **params}
    return EMGaussianMixture(K, covariance_type=covariance_type, n_factors=n_factors, **params)


@pytest.fixture(params=LOW_RANK, scope="module")
def fitted(request, X):
    return mixture(request.param).fit(X)


def dense(model):
    """W W' + Psi, (K, d, d)."""
    K, d = model.means_.shape
    noise = np.reshape(model.noise_variance_, (K, -1))[:, :, None] * np.ones((d, 1))
    return model.loadings_ @ model.loadings_.mT + noise * np.eye(d)


def hidden(X, share=0.25, seed=1):
    return np.where(np.random.default_rng(seed).random(X.shape) < share, np.nan, X)


# -- the model -----------------------------------------------------------------------------------------


def test_scores_are_those_of_loadings_and_noise(fitted, X):
    each = [
        np.log(w) + multivariate_normal(m, C).logpdf(X)
        for w, m, C in zip(fitted.weights_, fitted.means_, dense(fitted), strict=True)
    ]
    assert_allclose(fitted.score_samples(X), logsumexp(each, axis=0), rtol=1e-11)
    assert_allclose(fitted.predict_proba(X), np.exp(each - logsumexp(each, axis=0)).T, atol=1e-11)


def test_attributes_are_one_and_the_same_model(fitted):
    noise = {"factor": (2, D), "ppca": (2,)}[fitted.covariance_type]
    assert fitted.loadings_.shape == (2, D, Q)
    assert fitted.noise_variance_.shape == noise
    assert fitted.n_factors_ == Q
    assert_allclose(fitted.covariances_, dense(fitted), rtol=1e-12, atol=1e-14)
    identity = fitted.precisions_ @ fitted.covariances_
    assert_allclose(identity, np.stack([np.eye(D)] * 2), atol=1e-11)
    U = fitted.precisions_cholesky_
    assert_allclose(U, np.triu(U), atol=0)
    assert_allclose(U @ U.mT, fitted.precisions_, rtol=1e-10, atol=1e-12)


def test_matrices_are_computed_when_they_are_read(fitted):
    fitted.covariances_, fitted.precisions_, fitted.precisions_cholesky_  # noqa: B018
    assert not {"covariances_", "precisions_", "precisions_cholesky_"} & vars(fitted).keys()
    assert fitted.covariances_ is not fitted.covariances_


def test_a_pickle_of_many_features_holds_no_matrices():
    d, K, q = 200, 3, 2
    rng = np.random.default_rng(0)
    W = rng.normal(size=(K, d, q))
    model = EMGaussianMixture.from_parameters(
        np.full(K, 1 / K), W[:, :, 0], W @ W.mT + np.eye(d), covariance_type="ppca", n_factors=q
    )
    model.precisions_, model.impute(np.full((1, d), np.nan))
    size = len(pickle.dumps(model))
    assert size < 8 * d * d / 4
    assert_array_equal(pickle.loads(pickle.dumps(model)).covariances_, model.covariances_)


@every_type
def test_before_a_fit_there_are_no_attributes(covariance_type):
    model = mixture(covariance_type)
    for name in ("covariances_", "precisions_", "precisions_cholesky_", "loadings_", "n_factors_"):
        assert not hasattr(model, name)
        with pytest.raises(AttributeError, match=name):
            getattr(model, name)
    with pytest.raises(NotFittedError):
        model.latent([[0.0] * D])
    assert getattr(VariationalGaussianMixture(), "covariances_", None) is None


def test_a_fit_of_another_type_leaves_no_attribute_of_the_last(X):
    of_factors = {"loadings_", "noise_variance_", "heywood_", "n_factors_"}
    matrices = {"covariances_", "precisions_", "precisions_cholesky_"}
    model = mixture("factor").fit(X)
    assert of_factors <= vars(model).keys()
    model.set_params(covariance_type="full").fit(X)
    assert not of_factors & vars(model).keys()
    assert matrices <= vars(model).keys()
    model.set_params(covariance_type="ppca").fit(X)
    assert not matrices & vars(model).keys()
    assert_allclose(model.covariances_, dense(model), rtol=1e-12)


@every_type
def test_results_are_of_the_type_of_the_rows(covariance_type, X):
    for dtype in (np.float32, np.float64):
        model = mixture(covariance_type).fit(X.astype(dtype))
        for name in ("loadings_", "noise_variance_", "covariances_", "precisions_"):
            assert getattr(model, name).dtype == dtype, name
        assert model.latent(X.astype(dtype)).dtype == dtype
        assert model.heywood_.dtype.kind == "i"
        assert type(model.n_factors_) is int


def test_features_with_no_more_noise_than_is_added_are_counted():
    """Three columns follow from two factors, but for what reg_covar adds."""
    rng = np.random.default_rng(0)
    t = rng.normal(size=(300, 2))
    others = rng.normal(size=(300, 4)) + t @ rng.normal(size=(2, 4))
    X = np.column_stack([t @ [[1.0, 1.0, 2.0], [2.0, -1.0, 1.0]], others])
    for reg_covar in (1e-6, 1e-3):
        model = mixture("factor", 1, reg_covar=reg_covar, **LIKELIHOOD).fit(X)
        ratio = model.noise_variance_[0] / added_variance(model, X)
        assert (ratio > 1 - 1e-9).all()
        assert (ratio[:3] < 1.01).all()
        assert_array_equal(model.heywood_, [(ratio < 1 + 1e-9).sum()])
        assert model.heywood_[0] >= 2
    assert_array_equal(mixture("factor", 1, 0, **LIKELIHOOD).fit(X).heywood_, [0])


# -- the number of factors -----------------------------------------------------------------------------


def test_without_factors_features_are_independent(X):
    for simple, covariance_type in (("diag", "factor"), ("spherical", "ppca")):
        params = {"init_params": "k-means++", "random_state": 0, "tol": 1e-12, **LIKELIHOOD}
        expected = EMGaussianMixture(2, covariance_type=simple, **params).fit(X)
        model = mixture(covariance_type, n_factors=0, **params).fit(X)
        assert_allclose(model.score_samples(X), expected.score_samples(X), rtol=1e-8)
        assert_allclose(model.noise_variance_, expected.covariances_, rtol=1e-7)
        assert model.n_parameters_ == expected.n_parameters_
        assert model.latent(X).shape == (N, 2, 0)


def test_ppca_of_all_but_one_factor_is_full(X):
    params = {"init_params": "k-means++", "tol": 1e-12, "max_iter": 5000, **LIKELIHOOD}
    full = EMGaussianMixture(2, random_state=0, **params).fit(X)
    model = mixture("ppca", n_factors=D - 1, **params).fit(X)
    assert_allclose(model.score_samples(X), full.score_samples(X), rtol=0, atol=1e-8)
    assert_allclose(model.covariances_, full.covariances_, rtol=0, atol=1e-8)
    assert model.n_parameters_ == full.n_parameters_


@pytest.mark.parametrize("q", [0, 1, 3, D - 1])
def test_one_component_of_ppca_is_ppca(q, X):
    expected = PPCA(q).fit(X)
    model = mixture("ppca", 1, q, reg_covar=0.0, **LIKELIHOOD).fit(X)
    assert_allclose(model.score_samples(X), expected.score_samples(X), rtol=0, atol=1e-10)
    assert_allclose(model.noise_variance_, [expected.noise_variance_], rtol=1e-10)
    assert_allclose(model.covariances_[0], expected.get_covariance(), rtol=0, atol=1e-10)


def test_parameters_are_counted_as_in_a_factor_analyzer(X):
    for q in range(4):
        loadings = D * q - q * (q - 1) // 2
        for covariance_type, noise in (("factor", D), ("ppca", 1)):
            model = mixture(covariance_type, 2, q).fit(X)
            assert model.n_parameters_ == 1 + 2 * (D + loadings + noise)
            expected = -2 * N * model.score(X) + np.log(N) * model.n_parameters_
            assert_allclose(model.bic(X), expected, rtol=1e-12)


@every_type
@pytest.mark.parametrize("q", [D, D + 3])
def test_too_many_factors_are_refused(covariance_type, q, X):
    message = (
        rf"n_factors={q} .* n_features - 1 = {D - 1}, with n_features={D}: lower it, or .*'full'"
    )
    model = mixture(covariance_type).fit(X)
    before = model.score(X)
    with pytest.raises(ValueError, match=message):
        model.set_params(n_factors=q).fit(X)
    assert model.score(X) == before


@pytest.mark.parametrize("q", [-1, 1.5, "many", True, None])
def test_what_is_no_number_of_factors_is_refused(q, X):
    with pytest.raises(ValueError, match="n_factors"):
        mixture("factor", n_factors=q).fit(X)
    with pytest.raises(ValueError, match="n_factors"):
        EMGaussianMixture.from_parameters(
            [1.0], np.zeros((1, D)), [np.eye(D)], covariance_type="factor", n_factors=q
        )


def test_other_types_ignore_the_number_of_factors(X):
    for covariance_type in ("full", "diag"):
        plain, other = (
            EMGaussianMixture(2, covariance_type=covariance_type, n_factors=q, random_state=0)
            for q in ("auto", 99)
        )
        assert_array_equal(plain.fit(X).score_samples(X), other.fit(X).score_samples(X))


def test_more_factors_than_can_be_told_are_warned_of(X):
    with pytest.warns(UserWarning, match=r"n_factors=4 is more than 3, .*Lower it") as caught:
        mixture("factor", n_factors=4).fit(X)
    assert caught[0].filename == __file__
    mixture("ppca", n_factors=4).fit(X)
    mixture("factor", n_factors="auto").fit(X[:, :2])


@every_type
def test_the_number_of_factors_follows_from_the_rows(covariance_type):
    X = factor_rows(n=1500, d=10, q=2, K=2)
    model = mixture(covariance_type, n_factors="auto").fit(X)
    assert model.n_factors_ >= 2
    noise = np.random.default_rng(0).normal(size=(1500, 10))
    assert mixture(covariance_type, 1, "auto").fit(noise).n_factors_ == 0
    units = 10.0 ** np.arange(10) if covariance_type == "factor" else 1e5
    assert mixture(covariance_type, n_factors="auto").fit(units * X).n_factors_ == model.n_factors_
    few = mixture(covariance_type, 2, "auto").fit(X[:8])
    assert few.n_factors_ <= 4
    assert mixture(covariance_type, n_factors="auto").fit(X[:, :1]).n_factors_ == 0


def test_the_number_of_factors_can_be_chosen_with_that_of_components(X):
    found = select_n_components(
        mixture("factor"), X, n_components=[1, 2], n_factors=[0, 1, 2], criterion="bic"
    )
    assert found.best_estimator_.n_factors_ > 0
    assert found.best_estimator_.n_components == 2
    both = {"n_components": [1, 2], "n_factors": [0, 2]}
    search = GridSearchCV(mixture("ppca", max_iter=20, tol=1e-2), both, cv=3).fit(X)
    assert search.best_params_ == {"n_components": 2, "n_factors": 2}


@every_type
def test_mixtures_of_several_sizes_may_have_other_numbers_of_factors(covariance_type, X):
    found = select_n_components(
        mixture(covariance_type, n_factors="auto"), X, n_components=range(1, 5), criterion="bic"
    )
    model = found.best_estimator_
    assert model.loadings_.shape == (model.n_components, D, model.n_factors_)
    assert_allclose(model.covariances_, dense(model), rtol=1e-12)


# -- fits ----------------------------------------------------------------------------------------------


def raw_objectives(model, X, n_steps):
    """Objectives of plain EM steps from where a fit of no steps stands, per row."""
    model = model.fit(X)
    rows = model._row_source(X, np.ones(len(X)), model._transformation)
    steps, current, found = model._fitted_steps, model._model, []
    block = next(iter(rows.streamed))[0]
    for _ in range(n_steps):
        e_step = steps.e_step(current)
        total = e_step((block, np.ones(len(X))))
        found.append((total.log_likelihood + steps.log_prior(current)) / len(X))
        current = steps.m_step(e_step.statistics(total), current)
    return np.array(found)


@every_type
@pytest.mark.parametrize("params", [{}, LIKELIHOOD, {"reg_covar": 1e-2}], ids=str)
@pytest.mark.parametrize("n_missing", [0, 1])
def test_no_step_lowers_the_objective(covariance_type, params, n_missing, X):
    """Steps as they are, from a start: the trace of a run ends before a fall, and shows none."""
    X = hidden(X[:60]) if n_missing else X
    for q in (1, 3):
        start = mixture(covariance_type, 3, q, max_iter=0, init_params="random", **params)
        found = raw_objectives(start, X, 40)
        assert (np.diff(found) > -1e-12).all()
        assert found[-1] > found[0] + 0.1


@every_type
def test_a_rotation_of_loadings_changes_nothing(covariance_type, X):
    model = mixture(covariance_type, warm_start=True, max_iter=1, tol=0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X)
        turned = pickle.loads(pickle.dumps(model))
        covariance = turned._model.components.covariance
        angle = np.linalg.qr(np.random.default_rng(0).normal(size=(2, Q, Q)))[0]
        other = replace(covariance, loadings=covariance.loadings @ angle)
        turned._model = replace(
            turned._model, components=replace(turned._model.components, covariance=other)
        )
        assert_allclose(turned.fit(X).lower_bound_, model.fit(X).lower_bound_, rtol=1e-12)
    assert_allclose(turned.covariances_, model.covariances_, rtol=1e-9, atol=1e-12)


@every_type
def test_weights_are_repetitions(covariance_type, X):
    times = np.random.default_rng(0).integers(0, 3, N)
    repeated = mixture(covariance_type, n_factors="auto").fit(np.repeat(X, times, axis=0))
    weighted = mixture(covariance_type, n_factors="auto").fit(X, sample_weight=times)
    assert repeated.n_factors_ == weighted.n_factors_
    assert_allclose(weighted.loadings_, repeated.loadings_, rtol=1e-6, atol=1e-8)
    assert_allclose(weighted.noise_variance_, repeated.noise_variance_, rtol=1e-6)
    assert_array_equal(weighted.heywood_, repeated.heywood_)


def test_each_column_may_have_its_own_unit(X):
    """The loadings get the unit of their feature, and noise its square; latent coordinates stay."""
    units = 10.0 ** np.array([-6, 3, 0, 8, -1, 2])
    plain, model = mixture("factor").fit(X), mixture("factor").fit(units * X)
    assert_allclose(model.loadings_, plain.loadings_ * units[:, None], rtol=1e-7, atol=0)
    assert_allclose(model.noise_variance_, plain.noise_variance_ * units**2, rtol=1e-7)
    assert_allclose(model.latent(units * X), plain.latent(X), rtol=0, atol=1e-7)
    moved = model.score_samples(units * X) + np.log(units).sum()
    assert_allclose(moved, plain.score_samples(X), rtol=0, atol=1e-8)


def test_all_columns_may_have_one_other_unit(X):
    plain, model = mixture("ppca").fit(X), mixture("ppca").fit(1e5 * X)
    assert_allclose(model.loadings_, 1e5 * plain.loadings_, rtol=1e-7)
    assert_allclose(model.noise_variance_, 1e10 * plain.noise_variance_, rtol=1e-7)


@every_type
def test_a_warm_start_keeps_its_number_of_factors(covariance_type, X):
    model = mixture(covariance_type, n_factors="auto", warm_start=True).fit(X)
    q = model.n_factors_
    noise = np.random.default_rng(0).normal(size=(N, D))
    assert clone(model).fit(noise).n_factors_ != q
    assert model.fit(noise).n_factors_ == q
    with pytest.raises(ValueError, match=r"another .*n_factors.*: set warm_start=False"):
        model.set_params(n_factors=q - 1).fit(X)
    assert model.set_params(n_factors=q).fit(X).n_factors_ == q


@every_type
def test_threads_starts_and_verbose_fits_change_nothing(covariance_type, X, capsys):
    params = {"n_init": 3, "init_params": "random_from_data"}
    plain = mixture(covariance_type, **params).fit(X)
    loud = mixture(covariance_type, n_jobs=2, verbose=2, **params).fit(X)
    assert_array_equal(loud.loadings_, plain.loadings_)
    assert "lower bound" in capsys.readouterr().out
    assert_array_equal(
        clone(loud).set_params(verbose=0).fit(X).noise_variance_, plain.noise_variance_
    )


# -- tables that are hard ------------------------------------------------------------------------------


def constant_columns():
    X = factor_rows(60)
    X[:, 1], X[:, 4] = 3.0, 0.0
    return X


def duplicated_columns():
    X = factor_rows(60)
    return np.column_stack([X, X[:, :3], 2.0 * X[:, 0] + X[:, 1]])


def repeated_rows():
    return np.repeat(factor_rows(8), 10, axis=0)


def few_rows():
    return factor_rows(15, d=40)


def rows_of_a_plane():
    return factor_rows(60, q=1)[:, :1] * np.arange(1.0, D + 1)


TABLES = [constant_columns, duplicated_columns, repeated_rows, few_rows, rows_of_a_plane]


@every_type
@pytest.mark.parametrize("n_factors", ["auto", 3])
@pytest.mark.parametrize("prior", ["auto", None])
@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_hard_tables_end_in_a_density(table, prior, n_factors, covariance_type):
    X = table()
    model = mixture(covariance_type, 3, n_factors, covariance_prior=prior).fit(X)
    assert np.isfinite(model.score_samples(X)).all()
    assert np.isfinite(model.score_samples(X + 1.0)).all()
    assert np.isfinite(model.latent(X)).all()
    assert (np.reshape(model.noise_variance_, (3, -1)) > 0).all()
    assert (np.linalg.eigvalsh(model.covariances_) > 0).all()
    assert model.sample(5, random_state=0).shape == (5, X.shape[1])


def test_a_constant_column_is_named_where_nothing_is_added():
    params = {"reg_covar": 0.0, **LIKELIHOOD}
    with pytest.raises(ValueError, match=r"singular.*features \[1, 4\].*Raise reg_covar"):
        mixture("factor", **params).fit(constant_columns())
    model = mixture("ppca", **params).fit(constant_columns())
    assert np.isfinite(model.score(constant_columns()))


# -- latent coordinates --------------------------------------------------------------------------------


def expected_latent(model, row):
    """E[t | what was observed of a row] by regression, (K, q)."""
    seen = ~np.isnan(row)
    found = []
    for W, m, C in zip(model.loadings_, model.means_, model.covariances_, strict=True):
        known = C[np.ix_(seen, seen)]
        found.append(W[seen].T @ np.linalg.solve(known, row[seen] - m[seen]))
    return np.array(found)


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_latent_coordinates_are_those_of_a_regression(share, fitted, X):
    rows = hidden(X, share)
    expected = np.array([expected_latent(fitted, row) for row in rows])
    assert_allclose(fitted.latent(rows), expected, rtol=1e-9, atol=1e-10)


def test_a_row_of_which_nothing_was_observed_is_expected_at_the_origin(fitted):
    assert_array_equal(fitted.latent(np.full((2, D), np.nan)), np.zeros((2, 2, Q)))


def test_latent_coordinates_of_many_blocks_are_those_of_one(fitted, X):
    many = np.tile(X, (80, 1))
    assert_allclose(fitted.latent(many)[:N], fitted.latent(X), rtol=1e-11, atol=1e-12)
    assert_allclose(fitted.latent(many)[-N:], fitted.latent(X), rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_other_types_have_no_latent_coordinates(covariance_type, X):
    model = EMGaussianMixture(2, covariance_type=covariance_type, random_state=0)
    message = f"latent.*covariance_type='{covariance_type}'.*fit again"
    for state in (model, model.fit(X)):
        assert not hasattr(state, "latent")
        with pytest.raises(AttributeError) as caught:
            state.latent(X)
        assert re.search(message, f"{caught.value} {caught.value.__cause__}")
    assert not hasattr(model.set_params(covariance_type="factor"), "latent")
    assert hasattr(model.fit(X).set_params(covariance_type="full"), "latent")


def test_names_of_columns_are_checked(X):
    frame = pd.DataFrame(X, columns=list("abcdef"))
    model = mixture("factor").fit(frame)
    assert_allclose(model.latent(frame), mixture("factor").fit(X).latent(X), rtol=1e-9, atol=1e-10)
    with pytest.raises(ValueError, match="feature names"):
        model.latent(frame[list("fedcba")])


# -- some of the columns -------------------------------------------------------------------------------


def test_a_marginal_keeps_its_rows_of_the_loadings(fitted, X):
    part = fitted.marginal([4, 0, 1])
    assert_array_equal(part.loadings_, fitted.loadings_[:, [0, 1, 4]])
    assert_allclose(part.covariances_, dense(part), rtol=1e-12)
    rows = np.where(np.isin(np.arange(D), [0, 1, 4]), X, np.nan)
    assert_allclose(part.score_samples(X[:, [0, 1, 4]]), fitted.score_samples(rows), rtol=1e-10)
    assert_allclose(part.latent(X[:, [0, 1, 4]]), fitted.latent(rows), rtol=1e-8, atol=1e-9)
    assert part.n_factors == part.n_factors_ == Q


def test_a_conditional_keeps_the_latent_coordinates(fitted, X):
    """log p(x) = log p(known) + log p(rest | known); noise stays, and t given values is shorter."""
    part = fitted.condition({1: 0.5, 3: -0.2})
    rest = [0, 2, 4, 5]
    row = X[:1].copy()
    row[0, [1, 3]] = 0.5, -0.2
    known = fitted.marginal([1, 3]).score_samples(row[:, [1, 3]])
    assert_allclose(known + part.score_samples(row[:, rest]), fitted.score_samples(row), rtol=1e-9)
    assert part.loadings_.shape == (2, 4, Q)
    assert_allclose(part.covariances_, dense(part), rtol=1e-12)
    assert (np.abs(part.loadings_).sum() < np.abs(fitted.loadings_[:, rest]).sum()).all()


def test_fewer_columns_than_factors_keep_all_and_a_later_fit_has_fewer(fitted, X):
    for part in (fitted.marginal([2, 3]), fitted.condition({0: 0.0, 1: 0.0, 4: 0.0, 5: 0.0})):
        assert part.loadings_.shape == (2, 2, Q)
        assert part.n_factors_ == Q
        assert part.get_params()["n_factors"] == 1
    one = fitted.marginal([2])
    assert one.loadings_.shape == (2, 1, Q)
    assert one.get_params()["n_factors"] == 0
    assert clone(one).fit(X[:, [2]]).n_factors_ == 0
    again = one.marginal([0])
    assert_allclose(again.score_samples(X[:, [2]]), one.score_samples(X[:, [2]]), rtol=1e-12)


@every_type
def test_auto_stays_auto(covariance_type, X):
    model = mixture(covariance_type, n_factors="auto").fit(X)
    part = model.marginal([0, 1, 2])
    assert part.n_factors == "auto"
    assert clone(part).fit(X[:, :3]).n_factors_ <= 2
    narrow = model.set_params(warm_start=True).marginal([0, 1])
    with pytest.raises(ValueError, match="set warm_start=False"):
        narrow.fit(X[:, :2])


def test_regressions_and_imputations_follow_from_the_density(fitted, X):
    rows = hidden(X[:40])
    full = EMGaussianMixture.from_parameters(
        fitted.weights_ / fitted.weights_.sum(), fitted.means_, fitted.covariances_
    )
    assert_allclose(fitted.impute(rows), full.impute(rows), rtol=1e-8, atol=1e-9)
    regressor = ConditionalRegressor(clone(fitted)).fit(X[:, :-1], X[:, -1])
    assert regressor.score(X[:, :-1], X[:, -1]) > 0.3


# -- given parameters ----------------------------------------------------------------------------------


def test_given_matrices_are_decomposed(fitted, X):
    model = EMGaussianMixture.from_parameters(
        fitted.weights_ / fitted.weights_.sum(),
        fitted.means_,
        fitted.covariances_,
        covariance_type=fitted.covariance_type,
        n_factors=Q,
    )
    assert_allclose(model.score_samples(X), fitted.score_samples(X), rtol=1e-9)
    assert_allclose(model.noise_variance_, fitted.noise_variance_, rtol=1e-8)
    assert_allclose(model.latent(X).std(axis=0).shape, (2, Q))
    outer = model.loadings_ @ model.loadings_.mT
    assert_allclose(outer, fitted.loadings_ @ fitted.loadings_.mT, rtol=1e-7, atol=1e-9)
    assert_array_equal(clone(model).get_params()["n_factors"], Q)


@pytest.mark.parametrize("seed", range(6))
def test_matrices_with_noise_at_its_floor_are_decomposed(seed):
    rng = np.random.default_rng(seed)
    d, q = int(rng.integers(4, 12)), int(rng.integers(1, 3))
    W, noise = rng.normal(size=(1, d, q)), rng.uniform(0.1, 2.0, (1, d))
    noise[0, : q - 1] = 1e-6
    C = W @ W.mT + noise[:, :, None] * np.eye(d)
    model = EMGaussianMixture.from_parameters(
        [1.0], np.zeros((1, d)), C, covariance_type="factor", n_factors=q
    )
    assert_allclose(model.noise_variance_, noise, rtol=1e-6)
    assert_allclose(model.covariances_, C, rtol=1e-9, atol=1e-11)


def given(covariances, **params):
    return EMGaussianMixture.from_parameters([0.5, 0.5], np.zeros((2, D)), covariances, **params)


@every_type
def test_matrices_of_higher_rank_are_refused(covariance_type, X):
    full = EMGaussianMixture(1).fit(X).covariances_[0]
    with pytest.raises(ValueError, match=r"covariances\[1\] is not W W'.*n_factors=2.*Raise"):
        given([np.eye(D), full], covariance_type=covariance_type, n_factors=2)
    indefinite = np.eye(D)
    indefinite[0, 1] = indefinite[1, 0] = 2.0
    with pytest.raises(ValueError, match=r"covariances\[1\] is not positive definite"):
        given([np.eye(D), indefinite], covariance_type=covariance_type, n_factors=2)


@every_type
def test_matrices_must_be_symmetric(covariance_type):
    lopsided = np.eye(D)
    lopsided[0, 1] = 0.5
    with pytest.raises(ValueError, match="covariances must be symmetric"):
        given([np.eye(D), lopsided], covariance_type=covariance_type, n_factors=2)


@every_type
def test_matrices_of_many_features_are_decomposed(covariance_type):
    d = 120
    rng = np.random.default_rng(0)
    W, noise = rng.normal(size=(1, d, 3)), np.full((1, d), 0.5)
    if covariance_type == "factor":
        noise = rng.uniform(0.1, 2.0, size=(1, d))
    C = W @ W.mT + noise[:, :, None] * np.eye(d)
    model = EMGaussianMixture.from_parameters(
        [1.0], np.zeros((1, d)), C, covariance_type=covariance_type, n_factors=3
    )
    rows = model.sample(20, random_state=0)
    expected = multivariate_normal(np.zeros(d), C[0]).logpdf(rows)
    assert_allclose(model.score_samples(rows), expected, rtol=1e-9)
    assert_array_equal(model.heywood_, [0])
    rows = hidden(rows)
    each = np.array([expected_latent(model, row) for row in rows])
    assert_allclose(model.latent(rows), each, rtol=1e-8, atol=1e-10)
    part = model.marginal([3, 1, 99])
    assert_allclose(part.covariances_[0], C[0][np.ix_([1, 3, 99], [1, 3, 99])], rtol=1e-9)


@every_type
def test_given_matrices_need_a_number_of_factors(covariance_type):
    with pytest.raises(ValueError, match=r"n_factors='auto' is chosen by rows.* 0 to .* = 5"):
        given([np.eye(D)] * 2, covariance_type=covariance_type)
    with pytest.raises(ValueError, match=r"n_factors=6 must be .* n_features - 1 = 5"):
        given([np.eye(D)] * 2, covariance_type=covariance_type, n_factors=6)


@every_type
def test_precisions_to_start_from_may_be_any(covariance_type, X):
    full = EMGaussianMixture(2, random_state=0).fit(X)
    start = {"means_init": full.means_, "precisions_init": full.precisions_}
    model = mixture(covariance_type, weights_init=[0.5, 0.5], **start).fit(X)
    assert model.score(X) > mixture(covariance_type, n_factors=0).fit(X).score(X)
    nearest = mixture(covariance_type, max_iter=0, weights_init=[0.5, 0.5], **start).fit(X)
    assert nearest.score(X) <= full.score(X) + 0.1
    assert np.diagonal(nearest.covariances_, axis1=1, axis2=2) == pytest.approx(
        np.diagonal(full.covariances_, axis1=1, axis2=2), rel=0.5
    )


# -- beside them ---------------------------------------------------------------------------------------


def test_standard_errors_name_the_bootstrap(fitted, X):
    with pytest.raises(
        ValueError, match=r"covariance_type='(factor|ppca)'.*exponential.*bootstrap"
    ):
        fitted.standard_errors(X)


def test_the_bootstrap_draws_matrices(fitted, X):
    draws = bootstrap(fitted, X, 5, random_state=0)
    assert tuple(draws) == ("weights_", "means_", "covariances_")
    assert draws["covariances_"].shape == (5, 2, D, D)
    assert (draws["covariances_"].std(axis=0) > 0).all()
    assert_allclose(draws["covariances_"].mean(axis=0), fitted.covariances_, atol=1.0)
    drawn = fitted.impute(hidden(X), n_draws=2, parameter_draws=True, random_state=0)
    assert np.isfinite(drawn).all()


@every_type
def test_it_may_stand_inside_of_standardized_columns(covariance_type, X):
    inner = mixture(covariance_type)
    model = StandardizedDensity(inner, per_feature=covariance_type == "factor").fit(X)
    assert_allclose(model.score_samples(X), clone(inner).fit(X).score_samples(X), rtol=1e-8)
    assert_allclose(model.bic(X), clone(inner).fit(X).bic(X), rtol=1e-8)


def test_of_few_rows_of_many_columns_factors_say_more_than_full_covariances():
    X = factor_rows(360, d=30, q=2, K=1)
    few, new = X[:60], X[60:]
    full, diag = (EMGaussianMixture(covariance_type=kind).fit(few) for kind in ("full", "diag"))
    factor = mixture("factor", 1, "auto").fit(few)
    assert factor.score(new) > max(full.score(new), diag.score(new)) + 0.5


def test_icl_and_aic_are_those_of_the_density(fitted, X):
    p = fitted.n_parameters_
    assert_allclose(fitted.aic(X), -2 * N * fitted.score(X) + 2 * p, rtol=1e-12)
    resp = fitted.predict_proba(X)
    entropy = -np.sum(resp * np.log(np.maximum(resp, 1e-300)))
    assert_allclose(fitted.icl(X), fitted.bic(X) + 2 * entropy, rtol=1e-10)
