"""A comparison as a table to print, and as JSON."""

import json

import numpy as np
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_lvm.compare import Comparison, ModelScore, compare_densities
from tests.compare.helpers import two_clusters

X_SMALL = two_clusters(12)


def test_a_density_of_zero_ranks_last_but_is_no_failure():
    models = {"zero": KernelDensity(kernel="tophat", bandwidth=0.01), "fine": KernelDensity()}
    comparison = compare_densities(two_clusters(), models)
    assert [row.model for row in comparison.rows] == ["fine", "zero"]
    assert comparison.rows[1].log_likelihood == -np.inf
    assert json.loads(comparison.to_json())["models"][1]["log_likelihood"] is None


def test_long_numbers_and_parameters_stay_in_their_columns():
    fine = ModelScore("fine", -1.25, 0.5, 0.0, 0.0, {"a__b__width": 1 / 3, "kind": "x"}, 0.1, 0.2)
    far = ModelScore("far", -8.3e8, 4.8e8, -8.3e8, 4.8e8, {"bins": list(range(99))}, 1.0, 2.0)
    *_, header, first, second = str(Comparison((fine, far), (), 9, 1, 2)).splitlines()
    assert first.endswith("0.100   0.200  width=0.333, kind=x")
    assert header.index("best parameters") == first.index("width") == second.index("bins")
    assert "-8e+08" in second
    assert len(second) == 120
    assert second.endswith("…")


def test_a_pipeline_is_marked():
    models = {"pipe": make_pipeline(StandardScaler(), KernelDensity())}
    assert "* pipe: a pipeline leaves the log-Jacobian" in str(compare_densities(X_SMALL, models))
