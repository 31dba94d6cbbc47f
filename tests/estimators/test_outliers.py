"""A few rows far out leave the density of the others as it is."""

import numpy as np
import pytest

from sklearn_lvm import EMGaussianMixture, VAEDensity

from .specs import every_em_covariance_type


@pytest.fixture(scope="module")
def clean():
    rng = np.random.RandomState(0)
    return np.r_[rng.randn(500, 2), rng.randn(500, 2) + 6]


def with_codes(clean, code, count=1):
    """The same rows, and some that hold a code for missing."""
    return np.r_[clean, np.full((count, 2), code)]


@every_em_covariance_type
@pytest.mark.parametrize("code", [-999999.0, -9999.0, 1e9])
@pytest.mark.parametrize("count", [1, 5])
def test_a_code_for_missing_does_not_blur_the_other_rows(covariance_type, code, count, clean):
    """The codes take a component of their own."""
    alone = EMGaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(clean)
    model = EMGaussianMixture(3, covariance_type=covariance_type, random_state=0)
    found = model.fit(with_codes(clean, code, count)).score(clean)
    assert found > alone.score(clean) - 0.02


def test_a_code_for_missing_leaves_a_network_its_scale(clean):
    pytest.importorskip("torch", reason="torch is not installed: neural densities are an extra")
    model = VAEDensity(1, hidden_layer_sizes=(16,), max_iter=30, random_state=0)
    alone = model.fit(clean).score(clean)
    found = model.fit(with_codes(clean, -999999.0)).score(clean)
    assert found > alone - 0.5
    assert np.abs(model.mean_).max() < 10
