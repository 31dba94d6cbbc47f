"""A density on standardized columns scores in the units of the data."""

import pickle

import numpy as np
import pytest
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.mixture import GaussianMixture
from sklearn.neighbors import KernelDensity

from sklearn_lvm.estimators.standardized import StandardizedDensity
from tests.compare.helpers import two_clusters


@pytest.mark.parametrize("per_feature", [True, False])
def test_log_jacobian_is_exact(per_feature):
    X = two_clusters() * [0.02, 50.0] + [3.0, -1e3]
    gaussian = GaussianMixture(1, reg_covar=0.0)
    model = StandardizedDensity(gaussian, per_feature=per_feature).fit(X)
    expected = multivariate_normal(X.mean(axis=0), np.cov(X.T, bias=True)).logpdf(X)
    np.testing.assert_allclose(model.score_samples(X), expected, rtol=1e-8)
    assert model.score(X) == pytest.approx(expected.mean())


def test_one_scale_for_all_columns_keeps_ratios_of_distances():
    X = two_clusters() * [1.0, 50.0]
    common = StandardizedDensity(KernelDensity(), per_feature=False).fit(X)
    assert common.scale_[0] == common.scale_[1] == pytest.approx(np.sqrt(X.var(axis=0).mean()))


def test_a_column_that_does_not_vary_keeps_its_unit():
    X = np.c_[two_clusters(), np.full(60, 7.0)]
    assert StandardizedDensity(KernelDensity()).fit(X).scale_[2] == 1.0


def test_standardized_density_is_an_estimator():
    model = StandardizedDensity(KernelDensity(bandwidth=0.3))
    twin = clone(model).set_params(density__bandwidth=0.5)
    assert (model.density.bandwidth, twin.density.bandwidth) == (0.3, 0.5)
    X = two_clusters()
    revived = pickle.loads(pickle.dumps(twin.fit(X)))
    np.testing.assert_array_equal(revived.score_samples(X), twin.score_samples(X))
    assert not hasattr(twin.density, "tree_"), "the density given is not the one that is fitted"
