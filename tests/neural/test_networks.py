"""Networks: convolutions, the work of a row, and the names that users give."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: neural densities are an extra")

from sklearn_lvm.neural import likelihoods  # noqa: E402
from sklearn_lvm.neural.networks import NETWORKS, Architecture, build, n_products  # noqa: E402

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


def products(**changes):
    known = {"hidden_layer_sizes": (5, 3), "network": "mlp", "image_shape": None}
    known |= {"encoder": None, "decoder": None} | changes
    return n_products(build(Architecture(36, Q, "bernoulli", activation="relu", **known), 0), k=4)


def test_the_work_of_a_row_is_counted():
    encoder, decoder = 36 * 5 + 5 * 3 + 3 * 2 * Q, Q * 3 + 3 * 5 + 5 * 36
    assert products() == encoder + 4 * decoder
    linear = products(encoder=torch.nn.Linear, decoder=torch.nn.Linear)
    assert linear == 36 * 2 * Q + 4 * Q * 36
    # Each weight of a convolution is used at each place of the image.
    first, last = 9 * 2 * 9, 9 * 36
    assert products(network="conv", image_shape=(6, 6), hidden_layer_sizes=(2,)) == (
        first + 18 * 2 * Q + 4 * (Q * 18 + last)
    )
