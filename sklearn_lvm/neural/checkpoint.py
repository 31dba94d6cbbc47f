"""Checkpoints: the state of a training as NumPy arrays, and as a file from which it continues."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path
from typing import Protocol, TypedDict, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from .._typing import Floats

DIGEST_BYTES = sha256().digest_size  # before the content of a file

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
    optimizer: dict[str, Tensor]
    generator: Tensor


class Restorable(Protocol):
    """What continues from a state."""

    def restore(self, state: State) -> None: ...


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

    @property
    def part(self) -> Path:
        """The file that is written, until it is complete."""
        path = Path(self.path)
        return path.with_name(path.name + ".part")

    def write(self, state: State) -> None:
        """Replace the file by a new one, which appears only once it is complete and on the disk."""
        memory = BytesIO()
        torch.save({"fingerprint": dict(self.fingerprint), "state": state}, memory)
        content = memory.getvalue()
        try:
            with self.part.open("wb") as file:
                file.write(sha256(content).digest() + content)
                file.flush()
                os.fsync(file.fileno())
            self.part.replace(self.path)
        except BaseException:
            self.part.unlink(missing_ok=True)
            raise

    def read(self) -> State | None:
        """The state in the file, or None if there is no file yet.

        Raises
        ------
        ValueError
            If the file cannot be read and written, is no checkpoint, is damaged, or is of other data or
            parameters.
        """
        found = self._content()
        if found is None:
            return None
        digest, content = found[:DIGEST_BYTES], found[DIGEST_BYTES:]
        if sha256(content).digest() != digest:
            raise ValueError(
                f"{self} is no checkpoint, or a damaged one: remove the file to start anew, or give "
                "another path."
            )
        saved = torch.load(BytesIO(content), map_location="cpu", weights_only=True)
        for name, value in self.fingerprint.items():
            if saved["fingerprint"][name] != value:
                raise ValueError(
                    f"{self} was written for other {name}: give each fit a path of its own, or "
                    "remove the file to start anew."
                )
        return cast(State, saved["state"])

    def _content(self) -> bytes | None:
        """What the file holds, or None; refuse a path at which no file can be read and written."""
        try:
            path = Path(self.path)
            if path.exists() and not path.is_file():
                raise FileExistsError("what is there is not a file")
            self.part.touch()
            self.part.unlink()
            return path.read_bytes() if path.exists() else None
        except (OSError, ValueError, TypeError) as failure:
            raise ValueError(
                f"{self} cannot be written and read again ({failure}): give the path of a file, in a "
                "folder that exists and may be written to."
            ) from failure

    def restore(self, training: Restorable, state: State) -> None:
        """Let a training continue from the state in the file.

        Raises
        ------
        ValueError
            If the state is one of other networks.
        """
        try:
            training.restore(state)
        except (RuntimeError, ValueError) as failure:
            raise ValueError(
                f"{self} was written for other networks: remove the file to start anew, or give "
                f"another path. {failure}"
            ) from failure

    def __str__(self) -> str:
        return f"checkpoint={os.fspath(self.path)!r}"
