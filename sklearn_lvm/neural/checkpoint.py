"""Checkpoints: the state of a training as NumPy arrays, and as files to resume from."""

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .._typing import Floats


def as_arrays(state: Any) -> Any:
    """Replace the tensors in a nest of dicts and lists by arrays."""
    return _mapped(state, lambda leaf: leaf.cpu().numpy().copy(), torch.Tensor)


def as_tensors(state: Any) -> Any:
    """Replace the arrays in a nest of dicts and lists by tensors."""
    return _mapped(state, lambda leaf: torch.from_numpy(leaf.copy()), np.ndarray)


def _mapped(state: Any, change: Any, kind: type) -> Any:
    if isinstance(state, dict):
        return {name: _mapped(value, change, kind) for name, value in state.items()}
    if isinstance(state, list | tuple):
        return [_mapped(value, change, kind) for value in state]
    return change(state) if isinstance(state, kind) else state


def fingerprint(arrays: Iterable[Floats | None]) -> str:
    """A hash of the contents of arrays."""
    digest = hashlib.sha256()
    for array in arrays:
        shown = b"none" if array is None else np.ascontiguousarray(array).tobytes()
        digest.update(str(None if array is None else (array.shape, array.dtype)).encode())
        digest.update(shown)
    return digest.hexdigest()


def write(path: Any, fingerprint: dict[str, Any], state: Any) -> None:
    """Save a state; the file is replaced in one step, or not at all."""
    path = Path(path)
    part = path.with_name(path.name + ".part")
    torch.save({"fingerprint": fingerprint, "state": state}, part)
    os.replace(part, path)


def read(path: Any, fingerprint: dict[str, Any]) -> Any:
    """Load the state in a file, or None if there is no file.

    Raises
    ------
    ValueError
        If the file is of other data or of other parameters.
    """
    if not Path(path).exists():
        return None
    found = torch.load(path, map_location="cpu", weights_only=True)
    for name, value in fingerprint.items():
        if found["fingerprint"][name] != value:
            raise ValueError(
                f"checkpoint={os.fspath(path)!r} was written for other {name}: give each fit a path "
                "of its own, or remove the file to start anew."
            )
    return found["state"]
