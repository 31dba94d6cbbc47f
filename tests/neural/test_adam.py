"""Adam: its steps are those of torch, with long gradients shortened."""

import copy
import subprocess
import sys

import pytest
from numpy.testing import assert_allclose

torch = pytest.importorskip("torch", reason="torch is not installed: neural densities are an extra")

from sklearn_lvm.neural.adam import SETTINGS, Adam  # noqa: E402

SHAPES = {(5, 3): torch.float32, (4,): torch.float64, (): torch.float32}
RATE, MAX_NORM = 0.01, 1.0


def parameters():
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randn(shape, generator=generator, dtype=dtype).requires_grad_()
        for shape, dtype in SHAPES.items()
    ]


def give_gradients(parameters, step):
    """Long and short ones in turn."""
    generator = torch.Generator().manual_seed(1 + step)
    length = 3.0 if step % 2 else 0.1
    for parameter in parameters:
        noise = torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
        parameter.grad = length * noise


def run(optimizer, parameters, steps):
    for step in steps:
        give_gradients(parameters, step)
        optimizer.step(RATE)


def numbers(parameters):
    return torch.cat([parameter.detach().reshape(-1) for parameter in parameters]).numpy()


def test_steps_are_those_of_torch_with_clipped_gradients():
    own, expected = parameters(), parameters()
    betas = SETTINGS["beta1"], SETTINGS["beta2"]
    reference = torch.optim.Adam(expected, lr=RATE, betas=betas)
    run(Adam(own, MAX_NORM), own, range(30))
    for step in range(30):
        give_gradients(expected, step)
        torch.nn.utils.clip_grad_norm_(expected, MAX_NORM)
        reference.step()
    assert_allclose(numbers(own), numbers(expected), rtol=1e-5)


def test_parameters_without_gradients_stay():
    own = parameters()
    optimizer, before = Adam(own, MAX_NORM), own[1].detach().clone()
    give_gradients(own, 0)
    own[1].grad = None
    optimizer.step(RATE)
    assert torch.equal(own[1], before)
    assert not torch.equal(own[0], parameters()[0])


def test_a_state_is_a_copy_from_which_steps_continue():
    own = parameters()
    optimizer = Adam(own, MAX_NORM)
    run(optimizer, own, range(7))
    state, again = optimizer.state(), copy.deepcopy(own)
    run(optimizer, own, range(7, 20))
    other = Adam(again, MAX_NORM)
    other.restore(state)
    run(other, again, range(7, 20))
    assert_allclose(numbers(again), numbers(own), rtol=0)


def test_a_state_of_another_optimizer_is_refused():
    own = parameters()
    with pytest.raises(ValueError, match="param_groups"):
        Adam(own, MAX_NORM).restore(torch.optim.Adam(own).state_dict())


def test_the_compiler_of_torch_is_not_imported():
    """It takes a second."""
    script = """
import sys
import numpy as np
from sklearn_lvm import VAEDensity

VAEDensity(max_iter=1).fit(np.random.default_rng(0).normal(size=(20, 3)))
assert "torch._dynamo" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True)
