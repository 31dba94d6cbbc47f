"""The density of probabilistic PCA."""

import numpy as np
from hypothesis import given
from numpy.testing import assert_allclose

from ...laws.specs import seeds
from .helpers import D, random_density


@given(seed=seeds)
def test_covariance_precision_and_determinant_agree(seed):
    density = random_density(seed)
    C = density.covariance()
    expected = density.loadings @ density.loadings.T + density.noise * np.eye(D)
    assert_allclose(C, expected, rtol=1e-9)
    assert_allclose(C @ density.precision(), np.eye(D), atol=1e-8)
    assert_allclose(density.log_det, np.linalg.slogdet(C)[1], rtol=1e-9)
