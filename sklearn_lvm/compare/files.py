"""Files that a comparison is written to: a picture, and the best model."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from .plot import save_drawing
from .report import Comparison

__all__ = ["model_writer", "plot_writer"]

Writer = Callable[[Comparison], None]


def plot_writer(path: str) -> Writer:
    """A function that draws a comparison to a file, which is known to be possible.

    Raises
    ------
    ValueError
        If matplotlib is missing, does not know the kind of file, or the file cannot be written.
    """
    _require("matplotlib", "pictures")
    from matplotlib.backend_bases import FigureCanvasBase

    known = sorted(FigureCanvasBase.get_supported_filetypes())
    if Path(path).suffix.removeprefix(".").lower() not in known:
        raise ValueError(f"{path}: no kind of picture; known are {', '.join(known)}")
    _check_writable(path)

    return lambda comparison: save_drawing(comparison, path)


def model_writer(path: str) -> Writer:
    """A function that fits the best model to all rows and writes it as skops.

    Raises
    ------
    ValueError
        If skops is missing, or the file cannot be written.
    """
    _require("skops", "saved models")
    _check_writable(path)

    def write(comparison: Comparison) -> None:
        import skops.io

        skops.io.dump(comparison.fit_best(), path)

    return write


def _require(package: str, what: str) -> None:
    if find_spec(package) is None:
        raise ValueError(f'{what} need {package}: pip install "sklearn-lvm[cli]"')


def _check_writable(path: str) -> None:
    """Learn before a long comparison what would end it without its file."""
    target = Path(path)
    folder = target.absolute().parent
    if target.is_dir() or not folder.is_dir():
        raise ValueError(f"{path}: is a folder" if target.is_dir() else f"{folder}: no such folder")
    if not os.access(target if target.exists() else folder, os.W_OK):
        raise ValueError(f"{path}: cannot be written")
