"""Likelihoods: the least variance."""

import pytest
from numpy.testing import assert_allclose
from scipy.stats import norm

torch = pytest.importorskip("torch", reason="torch is not installed: neural densities are an extra")

from sklearn_lvm.neural import likelihoods  # noqa: E402

from .models import D  # noqa: E402


@pytest.mark.parametrize("likelihood", ["gaussian", "gaussian_shared", "gaussian_isotropic"])
def test_no_variance_falls_below_the_minimum(likelihood):
    module = likelihoods.LIKELIHOODS[likelihood](D).double()
    output = torch.full((1, module.outputs_per_feature * D), -1e3, dtype=torch.float64)
    output[:, :D] = 0.0
    if hasattr(module, "raw_log_variance"):
        module.raw_log_variance.data.fill_(-1e3)
    x = torch.zeros((1, D), dtype=torch.float64)
    assert_allclose(module.log_prob(x, None, output).item(), norm(0, 1e-2).logpdf(0) * D)
