"""Networks: convolutions, large linear layers, and the names that users give."""

from copy import deepcopy

import numpy as np
import pytest
from numpy.testing import assert_allclose

torch = pytest.importorskip("torch", reason="torch is not installed: neural densities are an extra")

from sklearn_lvm.neural import likelihoods  # noqa: E402
from sklearn_lvm.neural.networks import NETWORKS, Architecture, Dense  # noqa: E402

from .models import Q, density, noise, rows  # noqa: E402


@pytest.mark.parametrize("shape", [(5, 7), (8, 8), (3, 6, 5), (1, 1)])
@pytest.mark.parametrize("sizes", [(4,), (4, 6), (2, 3, 4)])
@pytest.mark.parametrize("likelihood", ["gaussian", "bernoulli"])
def test_convolutional_decoders_restore_the_shape_of_the_image(likelihood, shape, sizes):
    d = int(np.prod(shape))
    architecture = Architecture(d, Q, likelihood, sizes, "relu", "conv", shape, None, None)
    model = density(architecture)
    X = rows(architecture)
    X[0, 0] = np.nan
    assert model.decode(noise(3)).shape == (3, d)
    assert np.isfinite(model.evidence(X, noise(2))).all()


def test_the_names_of_networks_and_likelihoods_are_those_of_the_estimator():
    from sklearn_lvm import VAEDensity
    from sklearn_lvm.estimators.base.vae_parameters import SCALES
    from sklearn_lvm.neural.networks import ACTIVATIONS
    from sklearn_lvm.neural.training import PRECISIONS

    options = {
        name: VAEDensity._parameter_constraints[name][0].options
        for name in ("likelihood", "network", "activation", "precision")
    }
    known = (likelihoods.LIKELIHOODS, NETWORKS, ACTIVATIONS, PRECISIONS)
    assert list(options.values()) == [set(each) for each in known]
    assert SCALES.keys() == likelihoods.LIKELIHOODS.keys()


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("rows", [1, 300])
def test_large_layers_have_the_values_and_gradients_of_linear_layers(rows, bias):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer, x = Dense(200, 90, bias=bias), torch.randn(rows, 200, requires_grad=True)
    found = torch.autograd.grad(layer(x).square().sum(), [x, *layer.parameters()])
    exact, z = deepcopy(layer).double(), x.detach().double().requires_grad_()
    expected = torch.autograd.grad(
        torch.nn.functional.linear(z, exact.weight, exact.bias).square().sum(),
        [z, *exact.parameters()],
    )
    for gradient, other in zip(found, expected, strict=True):
        assert_allclose(gradient, other, rtol=1e-4, atol=1e-4 * float(other.abs().max()))


def test_large_layers_obey_autocast():
    x = torch.randn(300, 200)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert Dense(200, 90)(x).dtype is torch.bfloat16
