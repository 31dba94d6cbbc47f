"""The start of variational EM: the posteriors after the responsibilities of a mixture of modes."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_lvm import VariationalGaussianMixture

from ..estimators.specs import clouds


@pytest.mark.parametrize("priors", ["fixed", "empirical"])
@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_the_start_is_near_the_end_where_clusters_lie_apart(priors, covariance_type):
    rng = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], [50, 30, 20])
    X = rng.normal(size=(100, 2)) + 20.0 * np.array([[0, 0], [1, 0], [0, 1]])[labels]
    params = {"covariance_type": covariance_type, "priors": priors, "random_state": 0}
    model = VariationalGaussianMixture(3, max_iter=0, **params).fit(X)
    assert (model.predict(X) == labels).all()
    counts = model.weight_concentration_[0] - 1
    assert_allclose(counts, [50, 30, 20], rtol=1e-3)
    assert_allclose(model.mean_precision_ - counts, model.mean_precision_[0] - counts[0], rtol=1e-6)


def test_the_start_is_as_high_as_one_by_kmeans():
    """In clouds that overlap, by the bound at the end, for several random states."""
    X = clouds(200, 3)
    ends = [
        [
            VariationalGaussianMixture(3, init_params=name, random_state=seed).fit(X).lower_bound_
            for seed in range(4)
        ]
        for name in ("auto", "kmeans")
    ]
    assert np.mean(ends[0]) > np.mean(ends[1]) - 0.5
