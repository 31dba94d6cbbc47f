"""Models of users keep the contract of all estimators."""

import pickle

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV
from sklearn.utils.estimator_checks import check_estimator

from sklearn_lvm import LatentVariableModel
from tests.examples.censored_lifetimes import CensoredLifetimes
from tests.examples.regression_lines import RegressionLines
from tests.examples.zero_inflated_counts import ZeroInflatedCounts

X = np.random.RandomState(0).exponential(np.repeat([[1.0, 9.0], [8.0, 1.0]], 60, axis=0))
COUNTS = np.random.RandomState(0).poisson([0.5, 3.0], size=(120, 2))


@pytest.mark.parametrize("model", [CensoredLifetimes, ZeroInflatedCounts, RegressionLines])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.SkipTestWarning")
def test_scikit_learn_finds_nothing_wrong(model):
    check_estimator(model(random_state=0))


def test_the_objective_never_falls_and_is_that_of_theta():
    model = CensoredLifetimes(random_state=0).fit(X)
    assert model.converged_
    assert np.diff(model.lower_bounds_).min() >= 0
    objective = model.score(X) + model.log_prior(model.theta_) / len(X)
    assert model.lower_bound_ == pytest.approx(objective, abs=1e-12)


def test_acceleration_ends_where_plain_steps_do():
    plain, fast = CensoredLifetimes(random_state=0), CensoredLifetimes(random_state=0)
    plain.acceleration = None
    for model in (plain, fast):
        model.tol = 1e-9
        model.fit(X)
    assert fast.lower_bound_ == pytest.approx(plain.lower_bound_, abs=1e-7)


def test_weights_are_repetitions_and_order_does_not_matter():
    times = 1 + np.arange(len(X)) % 3
    weighted = CensoredLifetimes(random_state=0).fit(X, sample_weight=times)
    repeated = CensoredLifetimes(random_state=0).fit(X.repeat(times, axis=0)[::-1])
    np.testing.assert_array_equal(weighted.theta_["log_rate"], repeated.theta_["log_rate"])


def test_restarts_warm_starts_pickles_and_single_precision():
    model = CensoredLifetimes(n_init=3, random_state=0).fit(X.astype(np.float32))
    assert model.theta_["log_rate"].dtype == np.float32
    assert model.score_samples(X.astype(np.float32)).dtype == np.float32
    assert model.lower_bound_ >= CensoredLifetimes(random_state=0).fit(X).lower_bound_ - 1e-3
    twin = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(twin.score_samples(X), model.score_samples(X))
    bound = model.lower_bound_
    model.warm_start = True
    assert model.fit(X).lower_bound_ >= bound - 1e-6
    assert clone(model).n_init == 3


def test_batches_come_near_a_fit_to_all_rows():
    rows = X[np.random.RandomState(0).permutation(len(X))]
    model = CensoredLifetimes(random_state=0)
    for batch in np.split(rows, 3):
        model.partial_fit(batch)
    assert model.score(X) > CensoredLifetimes(n_components=1).fit(X).score(X)


def test_samples_criteria_and_a_search():
    model = ZeroInflatedCounts(random_state=0).fit(COUNTS)
    drawn, latent = model.sample(4, return_latent=True)
    assert drawn.shape == latent.shape == (4, 2)
    penalty = model.n_parameters_ * (np.log(len(COUNTS)) - 2)
    assert model.bic(COUNTS) - model.aic(COUNTS) == pytest.approx(penalty)
    search = GridSearchCV(CensoredLifetimes(random_state=0), {"n_components": [1, 2]}, cv=3)
    rows = X[np.random.RandomState(0).permutation(len(X))]
    assert search.fit(rows).best_params_ == {"n_components": 2}


class Broken(ZeroInflatedCounts):
    """Methods that are replaced by functions."""

    def __init__(self, method="expect", found=None):
        self.method = method
        self.found = found

    def replaced(self, method, value):
        return self.found(value) if self.method == method else value

    def start(self, X, weight, rng):
        return self.replaced("start", super().start(X, weight, rng))

    def expect(self, theta, X, weight):
        return self.replaced("expect", super().expect(theta, X, weight))

    def maximize(self, statistics, theta):
        return self.replaced("maximize", super().maximize(statistics, theta))


@pytest.mark.parametrize(
    ("method", "found", "message"),
    [
        ("start", lambda theta: None, "start must return a dict of arrays"),
        ("start", lambda theta: {"q": np.nan}, "start returned nan in 'q'"),
        ("expect", lambda pair: pair[0], r"expect must return \(statistics, log_evidence\)"),
        ("expect", lambda pair: (pair[0], pair[1][:1]), "log-evidence of shape"),
        ("expect", lambda pair: (pair[0], np.nan * pair[1]), "log-evidence of nan"),
        ("maximize", lambda theta: {"q": theta["q"]}, "maximize must return arrays of shapes"),
        ("maximize", lambda theta: [theta], "maximize must return a dict of arrays"),
    ],
)
def test_what_a_method_returns_is_checked(method, found, message):
    with pytest.raises(ValueError, match=message):
        Broken(method, found).fit(COUNTS)


def test_statistics_without_a_sum_are_refused():
    model = Broken("expect", lambda pair: (object(), pair[1]))
    many = np.random.RandomState(0).exponential(size=(20_000, 1))
    with pytest.raises(ValueError, match="expect must return statistics that add"):
        model.fit(many)


def test_missing_entries_are_refused_unless_a_class_takes_them():
    class Taking(ZeroInflatedCounts):
        takes_missing = True

        def expect(self, theta, X, weight):
            return super().expect(theta, np.nan_to_num(X), weight)

        def start(self, X, weight, rng):
            return super().start(np.nan_to_num(X), weight, rng)

    rows = COUNTS.astype(float)
    rows[0, 0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        ZeroInflatedCounts().fit(rows)
    assert np.isfinite(Taking().fit(rows).lower_bound_)
    assert LatentVariableModel().__sklearn_tags__().input_tags.allow_nan is False
