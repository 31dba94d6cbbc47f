"""The prior that all rows suggest: their covariance, no outlier in it, and never singular."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_lvm import VariationalGaussianMixture

from ..estimators.specs import DENSE, clouds, weights

PUBLIC = {
    "full": lambda C: C,
    "tied": lambda C: C,
    "diag": np.diag,
    "spherical": lambda C: np.trace(C) / len(C),
}
every_type = pytest.mark.parametrize("covariance_type", PUBLIC)


def prior_of(X, covariance_type, w=None, **params):
    model = VariationalGaussianMixture(1, covariance_type=covariance_type, **params)
    return model.fit(X, sample_weight=w)


@every_type
@pytest.mark.parametrize("weighted", [False, True])
def test_the_default_prior_is_that_of_scikit_learn(covariance_type, weighted):
    """The unbiased covariance of all rows, at their mean, with d degrees of freedom."""
    X = clouds(150, 3)
    w = weights(150) if weighted else np.ones(150)
    model = prior_of(X, covariance_type, w)
    C = np.cov(X.T, aweights=w, bias=True) * w.sum() / (w.sum() - 1)
    assert_allclose(model.covariance_prior_, PUBLIC[covariance_type](C), rtol=1e-10)
    assert_allclose(model.mean_prior_, w @ X / w.sum(), rtol=1e-10)
    assert model.degrees_of_freedom_prior_ == 3.0
    assert model.mean_precision_prior_ == 1.0


@every_type
def test_a_far_row_changes_little(covariance_type):
    X = clouds(150, 3)
    near = prior_of(X, covariance_type).covariance_prior_
    far = prior_of(np.concatenate([X, np.full((1, 3), 1e5)]), covariance_type).covariance_prior_
    assert_allclose(far, near, atol=0.05 * np.max(near))


@every_type
@pytest.mark.parametrize("reg_covar", [1e-6, 1e-3])
def test_what_is_singular_is_added_to(covariance_type, reg_covar):
    """Columns that say the same: the posterior expects the least variance that was asked for."""
    x = clouds(150, 1)
    model = prior_of(np.column_stack([x, 2 * x, -x]), covariance_type, reg_covar=reg_covar)
    dense = DENSE[covariance_type](model.covariances_, 1, 3)[0]
    unit = np.sqrt(np.diag(dense))
    least = np.linalg.eigvalsh(dense / np.outer(unit, unit))[0]
    if covariance_type in ("full", "tied"):
        assert_allclose(least, reg_covar, rtol=0.05)
    else:
        assert least > 0.1
    assert np.isfinite(model.lower_bound_)


def test_a_singular_prior_without_anything_added_is_refused():
    x = clouds(150, 1)
    X = np.column_stack([x, 2 * x])
    with pytest.raises(
        ValueError, match=r"covariance_prior is singular.*\[1\].*[Rr]aise reg_covar"
    ):
        prior_of(X, "full", reg_covar=0.0)
    model = prior_of(X, "full", reg_covar=0.0, covariance_prior=np.eye(2), init_params="random")
    assert_allclose(model.covariance_prior_, np.eye(2), rtol=1e-10)
