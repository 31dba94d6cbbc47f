"""A fitted estimator survives every way of being written down, and a clone starts afresh."""

import copy
import pickle

import joblib
import numpy as np
import pytest
import skops.io
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from sklearn_lvm import EMGaussianMixture, GaussianMLE

from .specs import clouds, every_spec, same_state

N = 150


def through_pickle(model, path):
    return pickle.loads(pickle.dumps(model))


def through_oldest_pickle(model, path):
    return pickle.loads(pickle.dumps(model, protocol=2))


def through_joblib(model, path):
    joblib.dump(model, path / "model.joblib")
    return joblib.load(path / "model.joblib")


def through_skops(model, path):
    written = skops.io.dumps(model)
    trusted = skops.io.get_untrusted_types(data=written)
    assert all(name.startswith(("sklearn_lvm.", "numpy.")) for name in trusted), trusted
    return skops.io.loads(written, trusted=trusted)


def through_copy(model, path):
    return copy.deepcopy(model)


WAYS = [through_pickle, through_oldest_pickle, through_joblib, through_skops, through_copy]
every_way = pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)


@pytest.fixture
def X():
    return clouds(N)


@every_spec
@every_way
def test_a_written_model_says_the_same(spec, way, X, tmp_path):
    model = spec.new().fit(X)
    again = way(model, tmp_path)
    assert same_state(again, model)
    assert_array_equal(again.score_samples(X), model.score_samples(X))
    assert_array_equal(again.transform(X), model.transform(X))
    assert_array_equal(again.sample(5, random_state=0), model.sample(5, random_state=0))


@every_spec
@every_way
def test_an_unfitted_estimator_can_be_written_too(spec, way, X, tmp_path):
    again = way(spec.new(), tmp_path)
    with pytest.raises(NotFittedError):
        again.score(X)
    assert_array_equal(again.fit(X).score_samples(X), spec.new().fit(X).score_samples(X))


@every_way
def test_a_stream_goes_on_after_it_was_written(way, X, tmp_path):
    again = way(GaussianMLE().partial_fit(X[:50]), tmp_path)
    plain = GaussianMLE().partial_fit(X[:50])
    assert same_state(again.partial_fit(X[50:]), plain.partial_fit(X[50:]))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@every_way
def test_a_warm_start_goes_on_after_it_was_written(way, X, tmp_path):
    model = EMGaussianMixture(2, random_state=0, warm_start=True, max_iter=3, tol=0.0).fit(X)
    again = way(model, tmp_path)
    assert same_state(again.fit(X), model.fit(X))


@every_way
def test_a_mixture_of_known_parameters_can_be_written(way, tmp_path):
    model = EMGaussianMixture.from_parameters(
        [0.3, 0.7], [[0.0, 1.0], [2.0, 3.0]], [[1.0, 2.0], [0.5, 1.0]], covariance_type="diag"
    )
    X = np.random.default_rng(0).normal(size=(10, 2))
    assert_array_equal(way(model, tmp_path).score_samples(X), model.score_samples(X))


@every_spec
def test_a_clone_has_the_parameters_and_nothing_else(spec, X):
    model = spec.new().fit(X)
    fresh = clone(model)
    assert fresh.get_params() == model.get_params() == spec.estimator.get_params()
    assert vars(fresh).keys() == fresh.get_params().keys()
    assert same_state(fresh.fit(X), model)


@every_spec
def test_two_fits_are_one(spec, X):
    model = spec.new().fit(X[:, :2])
    assert same_state(model.fit(X), spec.new().fit(X))


@every_spec
def test_a_fit_leaves_parameters_as_they_were_given(spec, X):
    model = spec.new()
    before = {name: (id(value), copy.copy(value)) for name, value in model.get_params().items()}
    model.fit(X)
    for name, value in model.get_params().items():
        assert id(value) == before[name][0]
        assert value == before[name][1]
