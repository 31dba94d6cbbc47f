"""Checkpoints: the state of a training as NumPy arrays, and as a file from which it continues."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from .._typing import Floats

T = TypeVar("T")
Weights = dict[str, Tensor]
Fingerprint = Mapping[str, str]
"""Texts that identify the data and the parameters of a fit, by what they identify."""


class State(TypedDict):
    """All that the next epoch of a training depends on."""

    seed: int
    counters: dict[str, float]
    history: dict[str, list[float]]
    weights: Weights
    average: Weights
    best: Weights
    last_finite: Weights
    optimizer: dict[str, object]
    generator: Tensor


def weights_as_arrays(weights: Mapping[str, Tensor]) -> dict[str, Floats]:
    """Weights as copies in NumPy arrays."""
    return {name: value.cpu().numpy().copy() for name, value in weights.items()}


def as_arrays(state: State) -> object:
    """A state whose tensors are replaced by NumPy arrays, so that a pickle of it needs no torch."""
    return _mapped(state, lambda leaf: leaf.cpu().numpy().copy(), torch.Tensor)


def as_tensors(state: object) -> State:
    """The state of which ``as_arrays`` made arrays."""
    return cast(State, _mapped(state, lambda leaf: torch.from_numpy(leaf.copy()), np.ndarray))


def _mapped(state: object, function: Callable[[T], object], kind: type[T]) -> object:
    """Dicts and lists in which a function was applied to all values of one type."""
    if isinstance(state, dict):
        return {name: _mapped(value, function, kind) for name, value in state.items()}
    if isinstance(state, list | tuple):
        return [_mapped(value, function, kind) for value in state]
    return function(state) if isinstance(state, kind) else state


@dataclass(frozen=True)
class Checkpoint:
    """A file for the state of a training, with the fingerprint of the fit that it belongs to.

    Attributes
    ----------
    path : str or path-like
    fingerprint : dict of str
    """

    path: str | os.PathLike[str]
    fingerprint: Fingerprint

    def write(self, state: State) -> None:
        """Replace the file by a new one, which appears only once it is complete."""
        path = Path(self.path)
        part = path.with_name(path.name + ".part")
        torch.save({"fingerprint": dict(self.fingerprint), "state": state}, part)
        os.replace(part, path)

    def read(self) -> State | None:
        """The state in the file, or None if there is no file.

        Raises
        ------
        ValueError
            If the file is of other data or of other parameters.
        """
        if not Path(self.path).exists():
            return None
        found = torch.load(self.path, map_location="cpu", weights_only=True)
        for name, value in self.fingerprint.items():
            if found["fingerprint"][name] != value:
                raise ValueError(
                    f"checkpoint={os.fspath(self.path)!r} was written for other {name}: give each "
                    "fit a path of its own, or remove the file to start anew."
                )
        return cast(State, found["state"])
