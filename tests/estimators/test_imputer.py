"""DensityImputer: scikit-learn's checks, empty columns, names, and its place in pipelines."""

import warnings
from unittest import SkipTest

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning, NotFittedError
from sklearn.experimental import enable_iterative_imputer  # noqa: F401
from sklearn.impute import IterativeImputer
from sklearn.linear_model import BayesianRidge
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.utils import get_tags
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_lvm import (
    BernoulliMixture,
    DensityImputer,
    EMGaussianMixture,
    GaussianMLE,
    StandardizedDensity,
)

IMPUTERS = [
    DensityImputer(),
    DensityImputer(
        BernoulliMixture(2, random_state=0),
        sample_posterior=True,
        add_indicator=True,
        keep_empty_features=True,
        random_state=0,
    ),
]
OPTIONS = [{"add_indicator": a, "keep_empty_features": k} for a in (0, 1) for k in (0, 1)]
OPTIONS = [{name: bool(value) for name, value in given.items()} for given in OPTIONS]

# A list, because pytest no longer takes the generator that older versions hand out.
_checks = parametrize_with_checks(IMPUTERS)
every_check = pytest.mark.parametrize(
    _checks.args[0], list(_checks.args[1]), ids=_checks.kwargs["ids"]
)
every_option = pytest.mark.parametrize("options", OPTIONS, ids=str)


@pytest.fixture
def X():
    """Three columns, of which the last two follow from the first, and an empty one before them."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(90, 1))
    rows = np.hstack([np.full_like(x, np.nan), x, 2 * x, -x]) + 0.1 * rng.normal(size=(90, 4))
    rows[::3, 2] = np.nan
    rows[1::7, 3] = np.nan
    return rows


@every_check
def test_scikit_learn_check(estimator, check):
    with warnings.catch_warnings():
        for category in (ConvergenceWarning, DataConversionWarning):
            warnings.simplefilter("ignore", category)
        try:
            check(estimator)
        except SkipTest as skipped:
            pytest.fail(f"a check was skipped: {skipped}")


def test_tags():
    tags = get_tags(DensityImputer())
    assert tags.input_tags.allow_nan
    assert tags.requires_fit
    assert not any([tags._skip_test, tags.no_validation, tags.non_deterministic])


def reference(**options):
    """scikit-learn's imputer: a single round will do for its columns and their names."""
    return IterativeImputer(max_iter=1, **options)


@pytest.mark.filterwarnings("ignore:.*Early stopping", "ignore:Skipping features")
@every_option
def test_columns_and_names_are_those_of_scikit_learns_imputer(options, X):
    ours, other, names = DensityImputer(**options), reference(**options), list("abcd")
    assert ours.fit_transform(X).shape == other.fit_transform(X).shape
    for given in (None, names):
        assert list(ours.get_feature_names_out(given)) == list(other.get_feature_names_out(given))
    later = X[:5].copy()
    later[:, 3] = np.nan  # which was seen in the fit
    later[2, 0] = 7.0  # which was not
    before, found, expected = later.copy(), ours.transform(later), other.transform(later.copy())
    assert_array_equal(later, before)
    assert np.isfinite(found).all()
    n = 3 + options["keep_empty_features"]
    assert_array_equal(found[:, n:], expected[:, n:])
    if options["keep_empty_features"]:
        assert_array_equal(found[:, 0], [0, 0, 7, 0, 0])


@pytest.mark.filterwarnings("ignore:.*Early stopping", "ignore:Skipping features")
@every_option
def test_frames_of_pandas_and_polars(options, X):
    frame = pd.DataFrame(X, columns=list("abcd"), index=np.arange(len(X)) * 2)
    imputer = DensityImputer(**options).fit(frame)
    found = imputer.set_output(transform="pandas").transform(frame)
    assert list(found.columns) == list(
        reference(**options).fit(X).get_feature_names_out(list("abcd"))
    )
    assert found.index.equals(frame.index)
    assert_array_equal(found, DensityImputer(**options).fit_transform(X))
    plain = DensityImputer(**options).fit(X)
    other = plain.set_output(transform="polars").transform(X)
    assert isinstance(other, pl.DataFrame)
    assert len(other.columns) == len(found.columns)
    assert_array_equal(other.to_numpy(), found)


@pytest.mark.filterwarnings("ignore:.*Early stopping", "ignore:Skipping features")
@every_option
def test_a_table_without_any_entry_is_no_error(options):
    X = np.full((4, 2), np.nan)
    ours, other = DensityImputer(**options), reference(**options)
    assert_array_equal(ours.fit_transform(X), other.fit_transform(X.copy()))
    assert list(ours.get_feature_names_out()) == list(other.get_feature_names_out())


def test_entries_are_those_of_the_density(X):
    model = EMGaussianMixture(2, random_state=0).fit(X[:, 1:])
    imputer = DensityImputer(EMGaussianMixture(2, random_state=0)).fit(X)
    assert_array_equal(imputer.transform(X), model.impute(X[:, 1:]))
    drawn = imputer.set_params(sample_posterior=True, random_state=3).transform(X)
    assert_array_equal(drawn, model.impute(X[:, 1:], n_draws=1, random_state=3)[0])
    assert_array_equal(drawn, imputer.transform(X))
    seen = ~np.isnan(X[:, 1:])
    assert_array_equal(drawn[seen], X[:, 1:][seen])
    assert DensityImputer().fit(X.astype(np.float32)).transform(X[:2].astype(np.float32)).dtype == (
        np.float32
    )


def test_weights_are_those_of_the_density(X):
    w = np.random.default_rng(0).integers(0, 3, len(X))
    X[w > 0, 3] = np.nan  # what is observed in rows of no weight counts for nothing
    one = DensityImputer(EMGaussianMixture(2, random_state=0)).fit(X, sample_weight=w)
    other = DensityImputer(EMGaussianMixture(2, random_state=0)).fit(np.repeat(X, w, axis=0))
    assert one.transform(X).shape == (len(X), 2)
    assert_allclose(one.transform(X), other.transform(X), rtol=1e-6)


class Completer(KernelDensity):
    """Completes rows, but takes no weights."""

    def fit(self, X, y=None):
        return self

    def impute(self, X):
        return np.nan_to_num(X)


REFUSED = {
    "regressor": (DensityImputer(BayesianRidge()), {}, r"BayesianRidge\(\) has no method impute"),
    "density": (DensityImputer(GaussianMixture()), {}, "EMGaussianMixture.*IterativeImputer"),
    "word": (DensityImputer("mean"), {}, "estimator='mean' has no method impute"),
    "wrapped": (
        DensityImputer(StandardizedDensity(KernelDensity())),
        {},
        r"StandardizedDensity\(.*has no method impute",
    ),
    "weights": (
        DensityImputer(Completer()),
        {"sample_weight": np.ones(90)},
        r"Completer\(\) takes no sample_weight",
    ),
    "option": (DensityImputer(sample_posterior="yes"), {}, "sample_posterior"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bad_estimator_is_named_and_nothing_fitted_is_lost(case, X):
    imputer, given, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        imputer.fit(X, **given)
    with pytest.raises(NotFittedError):
        imputer.transform(X)
    good = DensityImputer().fit(X)
    before = good.transform(X)
    with pytest.raises(ValueError, match=message):
        good.set_params(**imputer.get_params(deep=False)).fit(X, **given)
    assert_array_equal(good.set_params(sample_posterior=False).transform(X), before)


def test_it_stands_where_scikit_learns_imputer_stands():
    X, y = load_iris(return_X_y=True)
    X[np.random.RandomState(0).uniform(size=X.shape) < 0.3] = np.nan
    for imputer in (
        DensityImputer(EMGaussianMixture(2, random_state=0)),
        DensityImputer(StandardizedDensity(EMGaussianMixture(2, random_state=0))),
        DensityImputer(EMGaussianMixture(2), sample_posterior=True, random_state=0),
    ):
        pipeline = make_pipeline(imputer, GaussianNB())
        assert cross_val_score(pipeline, X, y, cv=3).mean() > 0.8
    pipeline = make_pipeline(DensityImputer(EMGaussianMixture(random_state=0)), GaussianNB())
    grid = {"densityimputer__estimator__n_components": [1, 2]}
    search = GridSearchCV(pipeline, grid, cv=3).fit(X, y)
    assert search.best_score_ > 0.8
    fitted = search.best_estimator_[0].estimator_
    assert fitted.n_components == search.best_params_["densityimputer__estimator__n_components"]


def test_standardized_densities_complete_rows_in_the_units_of_the_data(X):
    rows = X[:, 1:] * [1e-3, 1.0, 1e4] + 5.0
    plain = EMGaussianMixture(2, random_state=0).fit(rows)
    model = StandardizedDensity(EMGaussianMixture(2, random_state=0)).fit(rows)
    assert_allclose(model.impute(rows), plain.impute(rows), rtol=1e-4)
    assert_allclose(model.score_samples(rows), plain.score_samples(rows), rtol=1e-4, atol=1e-4)
    frame = pd.DataFrame(rows, columns=list("abc"))
    drawn = model.fit(frame).impute(frame, n_draws=2, parameter_draws=True, random_state=0)
    seen = ~np.isnan(rows)
    for table in drawn:
        assert_array_equal(table.to_numpy()[seen], rows[seen])
        assert list(table.columns) == list("abc")
    assert not hasattr(StandardizedDensity(KernelDensity()), "impute")
    assert hasattr(StandardizedDensity(GaussianMLE()), "impute")
