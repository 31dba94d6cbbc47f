"""Regression by a joint density: its conditionals are those of ``condition``, row by row."""

import warnings
from unittest import SkipTest

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import norm
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import GridSearchCV
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_lvm import (
    PPCA,
    BayesianGaussian,
    BernoulliMixture,
    ConditionalRegressor,
    CovarianceWarning,
    EMGaussianMixture,
    GaussianMLE,
    VariationalGaussianMixture,
)

from .specs import COVARIANCE_TYPES, DENSE, LOW_RANK

SHORT = {"random_state": 0, "max_iter": 60, "tol": 1e-3, "init_params": "k-means++"}
GAUSSIAN = [
    EMGaussianMixture(3, covariance_type=kind, **SHORT) for kind in (*COVARIANCE_TYPES, *LOW_RANK)
]
STUDENT = [
    VariationalGaussianMixture(2, covariance_type=kind, **SHORT) for kind in COVARIANCE_TYPES
]
every_model = pytest.mark.parametrize("model", [*GAUSSIAN, *STUDENT], ids=str)

_checks = parametrize_with_checks(
    [
        ConditionalRegressor(model)
        for model in (
            GaussianMLE(),
            BayesianGaussian(),
            PPCA(),
            EMGaussianMixture(2, random_state=0),
            VariationalGaussianMixture(2, random_state=0),
        )
    ]
)


@pytest.mark.parametrize(_checks.args[0], list(_checks.args[1]), ids=_checks.kwargs["ids"])
def test_scikit_learn_check(estimator, check):
    with warnings.catch_warnings():
        for category in (ConvergenceWarning, CovarianceWarning):
            warnings.simplefilter("ignore", category)
        try:
            check(estimator)
        except SkipTest as skipped:
            pytest.fail(f"a check was skipped: {skipped}")


@pytest.fixture(scope="module")
def data():
    """A curve in three features, and two targets that depend on each other."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-2, 2, size=(150, 3)) * [1.0, 30.0, 0.2] + [0.0, 500.0, 1.0]
    noise = rng.normal(size=(150, 2)) @ [[0.3, 0.25], [0.0, 0.1]]
    y = np.column_stack([np.sin(2 * X[:, 0]), 100 * X[:, 2]]) + noise
    return X, y


def conditions(model, X):
    """The density of the targets of each row, as an estimator of its own."""
    return [model.estimator_.condition(dict(enumerate(row))) for row in X]


@every_model
def test_means_are_those_of_conditioned_densities(model, data):
    X, y = data
    fitted = ConditionalRegressor(model).fit(X, y)
    expected = [part.weights_ @ part.means_ for part in conditions(fitted, X[:8])]
    assert_allclose(fitted.predict(X)[:8], expected, rtol=1e-8, atol=1e-8)
    assert not hasattr(model, "means_")


@pytest.mark.parametrize("model", GAUSSIAN, ids=str)
def test_deviations_and_quantiles_are_those_of_conditioned_densities(model, data):
    X, y = data
    fitted = ConditionalRegressor(model).fit(X, y)
    _, std = fitted.predict(X[:4], return_std=True)
    quantiles = fitted.predict_quantiles(X[:4], [0.05, 0.5, 0.9])
    assert quantiles.shape == (4, 2, 3)
    for i, part in enumerate(conditions(fitted, X[:4])):
        C = DENSE[model.covariance_type](part.covariances_, 3, 2)
        variances = np.diagonal(C, axis1=1, axis2=2)
        square = part.weights_ @ (variances + part.means_**2)
        variance = square - (part.weights_ @ part.means_) ** 2
        assert_allclose(std[i], np.sqrt(variance), rtol=1e-6)
        for q, level in enumerate([0.05, 0.5, 0.9]):
            below = norm(part.means_, np.sqrt(variances)).cdf(quantiles[i, :, q])
            assert_allclose(part.weights_ @ below, level, rtol=1e-6)


@pytest.mark.parametrize("model", STUDENT, ids=str)
def test_quantiles_of_student_densities_hold_their_mass(model, data):
    X, y = data
    fitted = ConditionalRegressor(model).fit(X, y[:, 1])
    (median,), (low,) = (fitted.predict_quantiles(X[:1], p) for p in (0.5, 0.1))
    (part,) = conditions(fitted, X[:1])
    grid, step = np.linspace(low, median, 20_001, retstep=True)
    density = np.exp(part.score_samples(grid[:, None]))
    assert_allclose((density.sum() - density[[0, -1]].mean()) * step, 0.4, rtol=1e-5)


@every_model
def test_draws_have_the_moments_and_quantiles_that_are_predicted(model, data):
    X, y = data
    fitted = ConditionalRegressor(model).fit(X, y)
    rows = X[:2]
    drawn = fitted.sample_y(rows, 20_000, random_state=0)
    assert drawn.shape == (2, 2, 20_000)
    mean, std = fitted.predict(rows, return_std=True)
    quartiles = fitted.predict_quantiles(rows, [0.25, 0.75])
    assert_allclose((drawn.mean(axis=2) - mean) / std, 0.0, atol=0.05)
    below = (drawn[:, :, None] <= quartiles[..., None]).mean(axis=3)
    assert_allclose(below, [[[0.25, 0.75]] * 2] * 2, atol=0.015)
    assert_array_equal(drawn, fitted.sample_y(rows, 20_000, random_state=0))


def test_targets_are_drawn_together(data):
    X, y = data
    fitted = ConditionalRegressor(EMGaussianMixture(random_state=0)).fit(X, y)
    drawn = fitted.sample_y(X[:1], 20_000, random_state=0)[0]
    part = fitted.estimator_.condition(dict(enumerate(X[0])))
    assert_allclose(np.cov(drawn), part.covariances_[0], rtol=0.05, atol=0.02)


@pytest.mark.parametrize(
    "model",
    [GaussianMLE(), PPCA(), EMGaussianMixture(covariance_prior=None, reg_covar=0.0)],
    ids=str,
)
def test_one_gaussian_is_linear_regression(model, data):
    X, y = data
    ours, theirs = ConditionalRegressor(model).fit(X, y), LinearRegression().fit(X, y)
    assert_allclose(ours.predict(X), theirs.predict(X), rtol=1e-7, atol=1e-7)
    residuals = y - ours.predict(X)
    _, std = ours.predict(X[:2], return_std=True)
    assert_allclose(std, [np.sqrt((residuals**2).mean(axis=0))] * 2, rtol=1e-7)
    w = np.random.default_rng(0).integers(0, 3, size=len(X)).astype(float)
    theirs = LinearRegression().fit(X, y, sample_weight=w)
    found = ours.fit(X, y, sample_weight=w).predict(X)
    assert_allclose(found, theirs.predict(X), rtol=1e-7, atol=1e-7)


@pytest.mark.parametrize("kind", ["full", "diag", "spherical"])
def test_what_is_not_known_of_one_gaussian_widens_the_prediction(kind, data):
    """Of Student-t densities too means, deviations and draws are those of ``condition``."""
    X, y = data
    fitted = ConditionalRegressor(BayesianGaussian(covariance_type=kind)).fit(X[:12], y[:12])
    (part,) = conditions(fitted, X[40:41])
    mean, std = fitted.predict(X[40:41], return_std=True)
    assert_allclose(mean[0], part.mean_, rtol=1e-8, atol=1e-8)
    drawn = part.sample(40_000, random_state=0)
    assert_allclose(std[0], drawn.std(axis=0), rtol=0.05)
    quartile = fitted.predict_quantiles(X[40:41], 0.25)[0]
    assert_allclose((drawn < quartile).mean(axis=0), 0.25, atol=0.01)


def test_several_components_follow_a_curve(data):
    X, y = data[0][:, :1], data[1][:, 0]
    scores = [
        ConditionalRegressor(EMGaussianMixture(K, random_state=0)).fit(X, y).score(X, y)
        for K in (1, 6)
    ]
    assert scores[0] < 0.3 < 0.75 < scores[1]


@pytest.mark.parametrize("model", [GAUSSIAN[0], STUDENT[0]], ids=str)
def test_a_missing_feature_is_integrated_out(model, data):
    X, y = data
    holes = X.copy()
    holes[::3, 1] = np.nan
    holes[1::3, [0, 2]] = np.nan
    fitted = ConditionalRegressor(model).fit(holes, y)
    rows = np.vstack([holes[:2], np.full((1, 3), np.nan)])
    found = fitted.predict(rows)
    for row, mean in zip(rows, found, strict=True):
        observed = {j: value for j, value in enumerate(row) if np.isfinite(value)}
        targets = fitted.estimator_.marginal([*observed, 3, 4])
        if observed:
            targets = targets.condition(dict(enumerate(observed.values())))
        assert_allclose(mean, targets.weights_ @ targets.means_, rtol=1e-8, atol=1e-8)
    assert fitted.sample_y(rows, 2, random_state=0).shape == (3, 2, 2)


def test_shapes_are_those_of_the_targets(data):
    X, y = data
    model = EMGaussianMixture(random_state=0)
    vector, column, table = (ConditionalRegressor(model).fit(X, t) for t in (y[:, 0], y[:, :1], y))
    for fitted, shape in ((vector, (5,)), (column, (5, 1)), (table, (5, 2))):
        assert fitted.n_outputs_ == (shape[1] if len(shape) > 1 else 1)
        mean, std = fitted.predict(X[:5], return_std=True)
        assert fitted.predict(X[:5]).shape == mean.shape == std.shape == shape
        assert fitted.predict_quantiles(X[:5], 0.3).shape == shape
        assert fitted.predict_quantiles(X[:5], [0.3]).shape == (*shape, 1)
        assert fitted.sample_y(X[:5]).shape == (*shape, 1)
    assert_array_equal(vector.predict(X), column.predict(X)[:, 0])


def test_single_precision_and_names_stay(data):
    X, y = data
    names = ["u", "v", "w"]
    fitted = ConditionalRegressor(GAUSSIAN[0]).fit(
        pd.DataFrame(X, columns=names).astype(np.float32), y
    )
    assert_array_equal(fitted.feature_names_in_, names)
    rows = pd.DataFrame(X[:3], columns=names).astype(np.float32)
    for values in (*fitted.predict(rows, return_std=True), fitted.predict_quantiles(rows, 0.5)):
        assert values.dtype == np.float32
    assert fitted.sample_y(rows).dtype == np.float32
    with pytest.raises(ValueError, match="feature names"):
        fitted.predict(rows[["v", "u", "w"]])


def test_it_is_searched_like_any_regressor(data):
    X, y = data
    model = ConditionalRegressor(EMGaussianMixture(random_state=0, init_params="k-means++"))
    search = GridSearchCV(model, {"estimator__n_components": [1, 6]}, cv=3).fit(X, y[:, 0])
    assert search.best_params_ == {"estimator__n_components": 6}


def test_the_tag_is_that_of_the_density(data):
    X, y = data
    model = ConditionalRegressor(EMGaussianMixture())
    assert get_tags(model).input_tags.allow_nan == get_tags(model.estimator).input_tags.allow_nan
    with pytest.raises(ValueError, match="y contains NaN"):
        model.fit(X, np.where(y > 0, y, np.nan))


@pytest.mark.parametrize("density", [BernoulliMixture(2), LinearRegression()], ids=str)
def test_a_density_without_conditionals_is_refused(density, data):
    with pytest.raises(ValueError, match="estimator"):
        ConditionalRegressor(density).fit(*data)


def test_bad_arguments_are_named(data):
    X, y = data
    fitted = ConditionalRegressor(EMGaussianMixture(random_state=0)).fit(X, y)
    for levels in (0.0, 1.0, [0.5, 2.0], [], np.nan, "half", [[0.5]]):
        with pytest.raises(ValueError, match=r"quantiles must be a number in \(0, 1\)"):
            fitted.predict_quantiles(X, levels)
    with pytest.raises(ValueError, match="n_samples must be an integer"):
        fitted.sample_y(X, 0)
    with pytest.raises(ValueError, match="random_state"):
        fitted.sample_y(X, random_state="x")
    before = fitted.predict(X)
    with pytest.raises(ValueError, match="inconsistent"):
        fitted.fit(X, y[:-1])
    assert_array_equal(fitted.predict(X), before)
    for method in ("predict", "sample_y"):
        with pytest.raises(NotFittedError):
            getattr(clone(fitted), method)(X)
