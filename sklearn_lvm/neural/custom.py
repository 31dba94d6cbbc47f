"""Networks that users give: their functions are called, and what these return is checked."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy

import torch
from torch import nn

from .settings import lent

N_ROWS = 2  # that a network is tried with

Factory = Callable[[int, int], nn.Module]


def custom(
    name: str, function: Factory, n_inputs: int, n_outputs: int, generator: torch.Generator
) -> nn.Module:
    """The network that a user's function makes, in float32 on the CPU.

    Raises
    ------
    TypeError
        If the function returns no network, or the network no tensor.
    ValueError
        If the network does not take so many inputs, or does not give so many outputs.
    """
    with lent(generator):
        # A function may return the same network at each call.
        module = deepcopy(_called(name, function, n_inputs, n_outputs)).to("cpu", torch.float32)
        with _evaluation(module):
            _check_outputs(name, module, n_inputs, n_outputs)
    return module


def _called(name: str, function: Factory, n_inputs: int, n_outputs: int) -> nn.Module:
    wanted = f"{name}({n_inputs}, {n_outputs}) must return a torch.nn.Module"
    try:
        module = function(n_inputs, n_outputs)
    except TypeError as failure:  # such as another number of arguments
        raise TypeError(f"{wanted}, but it fails: {failure}") from failure
    if not isinstance(module, nn.Module):
        raise TypeError(f"{wanted}, got {module!r}.")
    return module


@contextmanager
def _evaluation(module: nn.Module) -> Iterator[None]:
    """Without gradients and dropout, and with the statistics of no batch."""
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        for part, mode in modes.items():
            part.training = mode


def _check_outputs(name: str, module: nn.Module, n_inputs: int, n_outputs: int) -> None:
    wanted = (
        f"{name}({n_inputs}, {n_outputs}) must return a network that maps rows of shape "
        f"(n, {n_inputs}) to a tensor of shape (n, {n_outputs})"
    )
    try:
        output = module(torch.zeros(N_ROWS, n_inputs))
    except Exception as failure:
        raise ValueError(f"{wanted}; with n={N_ROWS} it fails: {failure}") from failure
    if not isinstance(output, torch.Tensor):
        raise TypeError(f"{wanted}, got {type(output).__name__}.")
    if output.shape != (N_ROWS, n_outputs):
        raise ValueError(f"{wanted}, got shape {tuple(output.shape)} with n={N_ROWS}.")
