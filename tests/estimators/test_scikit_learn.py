"""Estimators take part in what scikit-learn offers: tables, pipelines, searches, routed weights."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.base import clone
from sklearn.model_selection import (
    GridSearchCV,
    KFold,
    cross_val_predict,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import FeatureUnion, make_pipeline
from sklearn.preprocessing import StandardScaler

from .specs import clouds, every_mixture, every_spec, weights

N = 150
NAMES = ["length", "width", "height"]
TABLES = {"pandas": pd.DataFrame, "polars": pl.DataFrame}
every_table = pytest.mark.parametrize("kind", TABLES)


def same(actual, desired):
    """Equal but for rounding: tables keep their columns together, arrays their rows."""
    assert_allclose(actual, desired, rtol=1e-10, atol=1e-11)


def table(kind, X, names=NAMES):
    return TABLES[kind](dict(zip(names, X.T, strict=True)))


def has_names(kind):
    """Whether this scikit-learn reads the names of such tables."""
    return hasattr(StandardScaler().fit(table(kind, clouds(5))), "feature_names_in_")


every_named_table = pytest.mark.parametrize("kind", [kind for kind in TABLES if has_names(kind)])


@pytest.fixture
def X():
    return clouds(N)


@every_spec
@every_table
def test_tables_are_rows(spec, kind, X):
    rows = table(kind, X)
    model, plain = spec.new().fit(rows), spec.new().fit(X)
    same(model.score_samples(rows), plain.score_samples(X))
    same(model.transform(rows), plain.transform(X))


@every_spec
@every_named_table
def test_names_are_kept_and_others_refused(spec, kind, X):
    model = spec.new().fit(table(kind, X))
    assert_array_equal(model.feature_names_in_, NAMES)
    with pytest.raises(ValueError, match="feature names"):
        model.score_samples(table(kind, X, ["depth", *NAMES[1:]]))
    assert not hasattr(model.fit(X), "feature_names_in_")


@every_spec
@every_table
def test_transform_writes_tables(spec, kind, X):
    model = spec.new().set_output(transform=kind).fit(table(kind, X))
    found = model.transform(table(kind, X))
    assert isinstance(found, TABLES[kind])
    width = spec.new().fit(X).transform(X).shape[1]
    prefix = type(model).__name__.lower()
    own = [f"{prefix}{i}" for i in range(width)]
    columns = NAMES if has_names(kind) else ["x0", "x1", "x2"]
    expected = columns if spec.binary and not spec.mixture else own
    assert list(found.columns) == expected == list(model.get_feature_names_out())
    same(found.to_numpy(), spec.new().fit(X).transform(X))


@every_spec
def test_a_model_is_one_of_several_transformers(spec, X):
    union = FeatureUnion([("model", spec.new()), ("scaled", StandardScaler())]).fit(X)
    assert union.transform(X).shape[1] == len(union.get_feature_names_out())


@every_spec
def test_a_pipeline_scores_and_samples(spec, X):
    pipeline = make_pipeline(StandardScaler(), spec.new()).fit(X)
    Z = StandardScaler().fit_transform(X)
    plain = spec.new().fit(Z)
    assert_array_equal(pipeline.score_samples(X), plain.score_samples(Z))
    assert pipeline.score(X) == plain.score(Z)


@every_spec
def test_a_grid_is_searched_by_held_out_likelihood(spec, X):
    """No scorer is given: ``score`` is the one."""
    name = type(spec.estimator).__name__.lower()
    grid = {f"{name}__{key}": values for key, values in spec.grid.items()}
    pipeline = make_pipeline(StandardScaler(), spec.new())
    search = GridSearchCV(pipeline, grid, cv=3, n_jobs=2, error_score="raise").fit(X)
    best = clone(pipeline).set_params(**search.best_params_)
    scores = [clone(best).fit(X[train]).score(X[test]) for train, test in KFold(3).split(X)]
    assert_allclose(search.best_score_, np.mean(scores), rtol=1e-12)
    assert search.best_score_ == search.cv_results_["mean_test_score"].max()
    assert_allclose(search.score(X), best.fit(X).score(X), rtol=1e-12)


@every_spec
def test_rows_are_scored_by_fits_that_have_not_seen_them(spec, X):
    """scikit-learn asks for ``predict``, whatever method is meant."""
    with config_context(skip_parameter_validation=True):
        found = cross_val_predict(spec.new(), X, method="score_samples", cv=KFold(3))
    for train, test in KFold(3).split(X):
        assert_array_equal(found[test], spec.new().fit(X[train]).score_samples(X[test]))


@every_spec
def test_samples_go_back_through_a_pipeline(spec, X):
    scaler = StandardScaler().fit(X)
    pipeline = make_pipeline(StandardScaler(), spec.new()).fit(X)
    drawn = pipeline[:-1].inverse_transform(pipeline[-1].sample(5, random_state=0))
    plain = spec.new().fit(scaler.transform(X)).sample(5, random_state=0)
    assert_array_equal(drawn, scaler.inverse_transform(plain))


def requesting(spec):
    """The estimator, asking for weights in fit and score."""
    return spec.new().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)


@every_spec
def test_weights_are_routed_through_cross_validation(spec, X):
    w = weights(N)
    with config_context(enable_metadata_routing=True):
        found = cross_validate(
            requesting(spec), X, params={"sample_weight": w}, cv=KFold(3), error_score="raise"
        )
    expected = [
        spec.new().fit(X[a], sample_weight=w[a]).score(X[b], sample_weight=w[b])
        for a, b in KFold(3).split(X)
    ]
    assert_allclose(found["test_score"], expected, rtol=1e-13)
    assert not np.allclose(found["test_score"], cross_val_score(spec.new(), X, cv=KFold(3)))


@every_spec
def test_weights_are_routed_through_a_search(spec, X):
    w, name = weights(N), next(iter(spec.refused))
    with config_context(enable_metadata_routing=True):
        search = GridSearchCV(
            requesting(spec),
            {name: [getattr(spec.estimator, name)]},
            cv=KFold(3),
            error_score="raise",
        )
        found = search.fit(X, sample_weight=w).score(X, sample_weight=w)
    assert found == spec.new().fit(X, sample_weight=w).score(X, sample_weight=w)


@every_spec
def test_weights_are_routed_through_a_pipeline(spec, X):
    w = weights(N)
    with config_context(enable_metadata_routing=True):
        scaler = StandardScaler().set_fit_request(sample_weight=True)
        pipeline = make_pipeline(scaler, requesting(spec)).fit(X, sample_weight=w)
        found = pipeline.score(X, sample_weight=w)
    Z = StandardScaler().fit(X, sample_weight=w).transform(X)
    assert found == spec.new().fit(Z, sample_weight=w).score(Z, sample_weight=w)


@every_mixture
def test_weights_reach_labels_through_a_pipeline(spec, X):
    w = weights(N)
    with config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(spec.new().set_fit_request(sample_weight=True))
        labels = pipeline.fit(X, sample_weight=w).predict(X)
    assert_array_equal(labels, spec.new().fit(X, sample_weight=w).predict(X))
