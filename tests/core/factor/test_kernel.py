"""Log-densities and posterior means of rows: both forms, and the choice between them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.stats import multivariate_normal

from sklearn_lvm.core.factor.kernel import PPCAKernel

from ...laws.specs import seeds
from .helpers import D, random_density


@given(seed=seeds, scale=st.sampled_from([1.0, 2.0**-20, 2.0**30]))
def test_both_forms_are_the_density(seed, scale):
    density = random_density(seed)
    rng = np.random.default_rng(seed)
    center, X = rng.normal(size=D) * scale, rng.normal(size=(20, D)) * 3 * scale
    kernel = PPCAKernel.of(density, center, scale)
    Z = (X - center) / scale
    expected = multivariate_normal(density.mean, density.covariance()).logpdf(Z)
    assert_allclose(kernel.direct.log_prob(X), expected, rtol=1e-7)
    assert_allclose(kernel.residual.log_prob(X), expected, rtol=1e-8)
    assert_allclose(kernel.direct.latent_mean(X), kernel.residual.latent_mean(X), atol=1e-9)
    assert_allclose(kernel.direct.log_prob(sparse.csr_matrix(X)), expected, rtol=1e-7)


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
def test_rows_whose_squares_overflow_take_the_residual_form(kind):
    kernel = PPCAKernel.of(random_density(0), np.zeros(D), 1.0)
    X = np.random.default_rng(0).normal(size=(20, D))
    X[[3, 11]] *= 1e200
    near = np.setdiff1d(np.arange(20), [3, 11])
    found, direct, residual = (
        form.log_prob(kind(X)) for form in (kernel, kernel.direct, kernel.residual)
    )
    assert np.isfinite(found).all()
    assert_array_equal(found[near], direct[near])
    assert_allclose(found[[3, 11]], residual[[3, 11]], rtol=1e-12)
    assert np.isfinite(kernel.latent_mean(kind(X))).all()


@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_rows_that_are_not_finite_give_nan(value, offset):
    """Near zero, in the direct form, and far from it, in the residual form."""
    kernel = PPCAKernel.of(random_density(0), np.full(D, offset), 1.0)
    assert (kernel.direct is None) == (offset > 0)
    X = np.random.default_rng(0).normal(size=(20, D)) + offset
    X[7, 2] = value
    expected = np.arange(20) == 7
    assert_array_equal(np.isnan(kernel.log_prob(X)), expected)
    assert_array_equal(np.isnan(kernel.latent_mean(X)).all(axis=0), expected)
