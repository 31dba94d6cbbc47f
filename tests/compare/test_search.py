"""A model is searched over its grid, and scored on rows that it was not fitted to."""

import numpy as np
import pytest
from sklearn.base import BaseEstimator
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity
from sklearn.preprocessing import StandardScaler

from sklearn_lvm.compare import compare_densities
from sklearn_lvm.estimators.standardized import StandardizedDensity
from tests.compare.helpers import ScriptedDensity, two_clusters


class UniformDensity:
    """A density with no parameters and none of scikit-learn's machinery."""

    def fit(self, X):
        self.log_volume = float(np.log(2000.0) * X.shape[1])

    def score_samples(self, X):
        return np.full(len(X), -self.log_volume)


class MarksSeenRows(BaseEstimator):
    """Zero for a row that was not in the training rows, minus one for a row that was."""

    def fit(self, X, y=None):
        self.seen_ = set(X[:, 0])
        return self

    def score_samples(self, X):
        return np.array([-1.0 if x in self.seen_ else 0.0 for x in X[:, 0]])


def test_no_row_is_scored_by_a_model_that_saw_it():
    comparison = compare_densities(two_clusters(), {"unseen": MarksSeenRows()})
    assert not comparison.rows[0].held_out.any()


def test_the_seed_goes_to_models_that_have_none_of_their_own():
    models = {
        "unset": ScriptedDensity(),
        "set": ScriptedDensity(random_state=11),
        "inside": StandardizedDensity(ScriptedDensity()),
    }
    rows = compare_densities(two_clusters(), models, random_state=7).rows
    seeds = {row.model: row.estimator.get_params() for row in rows}
    assert seeds["unset"]["random_state"] == 7
    assert seeds["set"]["random_state"] == 11
    assert seeds["inside"]["density__random_state"] == 7
    assert models["unset"].random_state is None


def test_an_estimator_needs_no_more_than_fit_and_score_samples():
    (row,) = compare_densities(two_clusters(), {"uniform": UniformDensity()}).rows
    assert row.log_likelihood == pytest.approx(-2 * np.log(2000))
    assert row.standard_error == pytest.approx(0, abs=1e-12)


def test_the_best_setting_of_a_grid_is_found():
    bandwidth = [1e-3, 0.5, 1e3]
    models = {"kde": (KernelDensity(), {"bandwidth": bandwidth})}
    (row,) = compare_densities(two_clusters(), models).rows
    assert row.best_params == {"bandwidth": 0.5}


def test_models_that_fail_come_last_with_the_reason():
    X = two_clusters()
    models = {
        "broken": ScriptedDensity(error="out of\ncheese"),
        "nan": ScriptedDensity(score=np.nan),
        "unbounded": ScriptedDensity(score=np.inf),
        "shape": ScriptedDensity(score=[0.0]),
        "misspelt": (KernelDensity(), {"bandwith": [1.0]}),
        "scoreless": StandardScaler(),
        "fine": KernelDensity(),
        # One setting that fails leaves the other.
        "partly": (ScriptedDensity(), {"error": ["no", None]}),
    }
    rows = {row.model: row for row in compare_densities(X, models).rows}
    assert list(rows)[:2] == ["partly", "fine"]
    assert rows["partly"].best_params == {"error": None}
    assert rows["broken"].error == "RuntimeError: out of cheese"
    assert "NaN or infinite" in rows["nan"].error
    assert "NaN or infinite" in rows["unbounded"].error
    assert "shape (1,)" in rows["shape"].error
    assert "bandwith" in rows["misspelt"].error
    assert "score_samples" in rows["scoreless"].error


def test_unconverged_folds_are_counted_and_no_warning_escapes_a_worker(capfd):
    models = {"hasty": GaussianMixture(5, max_iter=1, tol=1e-9), "fine": GaussianMixture(1)}
    comparison = compare_densities(two_clusters(), models, cv=3, n_jobs=2)
    folds = {row.model: row.unconverged_folds for row in comparison.rows}
    assert folds == {"hasty": 3, "fine": 0}
    assert "* hasty: stopped before it converged in 3 folds" in str(comparison)
    assert capfd.readouterr() == ("", "")
