"""Layers: initial weights from a generator, and large linear layers."""

from copy import deepcopy

import pytest
from numpy.testing import assert_allclose

torch = pytest.importorskip("torch", reason="torch is not installed: neural densities are an extra")

from sklearn_lvm.neural.layers import Dense, Layers  # noqa: E402

LAYERS = {
    "dense": (lambda layers: layers.dense(4, 3), lambda: torch.nn.Linear(4, 3)),
    "dense, no bias": (
        lambda layers: layers.dense(4, 3, bias=False),
        lambda: torch.nn.Linear(4, 3, bias=False),
    ),
    "convolution": (
        lambda layers: layers.convolution(2, 3),
        lambda: torch.nn.Conv2d(2, 3, 3, stride=2, padding=1),
    ),
    "transposed": (
        lambda layers: layers.transposed(2, 3, (1, 0)),
        lambda: torch.nn.ConvTranspose2d(2, 3, 3, 2, padding=1, output_padding=(1, 0)),
    ),
}


@pytest.mark.parametrize("kind", LAYERS)
def test_layers_are_those_of_torch_but_for_the_generator(kind):
    ours, theirs = LAYERS[kind]
    with torch.random.fork_rng():
        torch.manual_seed(3)
        expected = theirs()
        before = torch.get_rng_state()
        found = ours(Layers(3))
        assert torch.equal(torch.get_rng_state(), before)
    assert found.state_dict().keys() == expected.state_dict().keys()
    for name, weight in expected.state_dict().items():
        assert torch.equal(found.state_dict()[name], weight)
    x = torch.ones(2, *((4,) if "dense" in kind else (2, 5, 6)))
    assert torch.equal(found(x), expected(x))


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
