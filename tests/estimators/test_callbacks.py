"""Callbacks of scikit-learn see a fit from its first task to its last, and may end it."""

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.exceptions import ConvergenceWarning

from sklearn_lvm import EMGaussianMixture
from sklearn_lvm.core.gaussian.density import GaussianFamily

from .recorder import Recorder
from .specs import MIXTURES, clouds, every_mixture, objective, same_state, weights

callback = pytest.importorskip("sklearn.callback", reason="scikit-learn has callbacks from 1.9 on")

N = 150


@pytest.fixture
def X():
    return clouds(N)


@every_mixture
def test_every_task_begins_and_ends_in_order(spec, X):
    seen = Recorder()
    model = spec.new(n_init=1).set_callbacks(seen).fit(X)
    step = [("begin", "EM step"), ("end", "EM step")] * model.n_iter_
    start = [("begin", "start"), *step, ("end", "start")]
    fit = [("begin", "fit"), *start, ("end", "fit")]
    assert seen.events == [("setup", "fit"), *fit, ("teardown", "fit")]


@every_mixture
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_every_start_is_a_task(spec, n_jobs, X):
    seen = Recorder()
    spec.new(n_init=3, n_jobs=n_jobs).set_callbacks(seen).fit(X)
    for task, count in (("fit", 1), ("start", 3)):
        assert seen.events.count(("begin", task)) == seen.events.count(("end", task)) == count
    assert seen.events.count(("begin", "EM step")) == seen.events.count(("end", "EM step")) >= 3


@every_mixture
@pytest.mark.parametrize("acceleration", [None, "squarem"])
def test_the_fitted_estimator_of_a_task_is_a_fitted_estimator(spec, acceleration, X):
    """After a leap that did not pay it is the one before it."""
    seen, w = Recorder(), weights(N)
    model = spec.new(n_init=1, acceleration=acceleration)
    model.set_callbacks(seen).fit(X, sample_weight=w)
    steps = seen.of("EM step")
    accepted = [len(step.lower_bounds_) for step in steps]
    assert [step.lower_bound_ for step in steps] == [model.lower_bounds_[n - 1] for n in accepted]
    assert accepted[-1] == len(model.lower_bounds_)
    assert set(np.diff(accepted, prepend=0)) <= ({0, 1} if acceleration else {1})
    assert [step.n_iter_ for step in steps] == list(range(1, model.n_iter_ + 1))
    for step in (*steps, *seen.of("start"), *seen.of("fit")):
        assert_allclose(objective(step, X, w), step.lower_bound_, rtol=1e-10)
        assert np.isfinite(step.score(X))
        assert step.sample(2).shape == (2, 3)
        assert step.n_features_in_ == 3
    assert seen.of("fit")[0].score(X) == seen.of("start")[0].score(X) == model.score(X)


def test_callbacks_see_the_data(X):
    seen, w, y = Recorder(), weights(N), np.zeros(N)
    EMGaussianMixture(2, random_state=0).set_callbacks(seen).fit(X, y, sample_weight=w)
    for rows, target, metadata in seen.data:
        assert_allclose(rows, X)
        assert target is y
        assert metadata["sample_weight"] is w


def test_without_weights_there_is_no_metadata(X):
    seen = Recorder()
    EMGaussianMixture(2, random_state=0).set_callbacks(seen).fit(X)
    assert all(metadata == {} for _, _, metadata in seen.data)


@every_mixture
def test_a_callback_may_end_the_climb_after_a_step(spec, X):
    model = spec.new(tol=0.0, n_init=1).set_callbacks(Recorder(stop_after="EM step")).fit(X)
    assert model.n_iter_ == 1
    with pytest.warns(ConvergenceWarning):
        plain = spec.new(tol=0.0, n_init=1, max_iter=1).fit(X)
    assert model.score(X) == plain.score(X)


@every_mixture
def test_a_watched_fit_is_the_same_fit(spec, X):
    watched = spec.new().set_callbacks(Recorder()).fit(X)
    assert same_state(watched.set_callbacks(), spec.new().fit(X))


@every_mixture
def test_nothing_of_the_callbacks_stays(spec, X):
    model, plain = spec.new().set_callbacks(Recorder()).fit(X), spec.new().fit(X)
    assert vars(model).keys() - vars(plain).keys() == {"_skl_callbacks"}


@pytest.mark.parametrize("failure", [RuntimeError, KeyboardInterrupt])
def test_callbacks_are_torn_down_after_a_failure(failure, X, monkeypatch):
    seen = Recorder()
    model = EMGaussianMixture(2, random_state=0).set_callbacks(seen)
    before = set(vars(model))

    def breaks(*args):
        raise failure("broken on purpose")

    monkeypatch.setattr(GaussianFamily, "kernel", breaks)
    with pytest.raises(failure, match="on purpose"):
        model.fit(X)
    assert seen.events[-1] == ("teardown", "fit")
    assert seen.events.count(("setup", "fit")) == seen.events.count(("teardown", "fit")) == 1
    assert set(vars(model)) == before


def test_callbacks_are_torn_down_after_refused_data():
    seen = Recorder()
    model = EMGaussianMixture(3).set_callbacks(seen)
    with pytest.raises(ValueError, match="n_samples=2"):
        model.fit(np.array([[0.0], [1.0]]))
    assert {event for event, _ in seen.events} in ({"setup", "begin", "teardown"}, set())
    assert vars(model).keys() - model.get_params().keys() == {"_skl_callbacks"}


@dataclass
class Breaks(Recorder):
    """A callback that fails itself."""

    def on_fit_task_end(self, estimator, context):
        raise RuntimeError("a callback broke")


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_an_error_of_a_callback_ends_the_fit(n_jobs, X):
    seen = Breaks()
    model = EMGaussianMixture(2, n_init=2, n_jobs=n_jobs).set_callbacks(seen)
    with pytest.raises(RuntimeError, match="a callback broke"):
        model.fit(X)
    assert seen.events[-1] == ("teardown", "fit")
    assert not hasattr(model, "means_")


@every_mixture
@pytest.mark.parametrize("n_jobs", [1, 2])
def test_progress_is_shown(spec, n_jobs, X, capsys):
    spec.new(n_init=2, n_jobs=n_jobs).set_callbacks(callback.ProgressBar()).fit(X)
    printed = capsys.readouterr().out
    assert type(spec.estimator).__name__ in printed
    assert "100%" in printed


def held_score(model, X, y):
    return model.score(X)


@pytest.mark.parametrize("spec", [spec for spec in MIXTURES if not spec.prior], ids=str)
def test_scores_are_monitored(spec, X):
    monitor = callback.ScoringMonitor(scoring={"height": held_score})
    plain = {} if spec.binary else {"reg_covar": 0.0, "covariance_prior": None}
    model = spec.new(n_init=1, acceleration=None, **plain)
    model.set_callbacks(monitor).fit(X, np.zeros(N))
    log = monitor.get_logs().data_as_pandas
    steps = log[log["task_name"] == "EM step"]["height"].to_numpy()
    assert_allclose(steps, model.lower_bounds_, rtol=1e-12)
