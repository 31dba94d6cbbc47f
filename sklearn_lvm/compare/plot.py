"""A comparison as a picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from . import layout

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from .scores import ModelScore, Outcome

__all__ = ["draw", "save_drawing"]

# Inches of a picture: its width, and the height of a bar.
WIDTH, HEIGHT_OF_A_BAR = 7.0, 0.42


def draw(comparison: Outcome, ax: Axes | None = None) -> Axes:
    """Draw bars from the best model to each other, with the errors of the differences.

    Raises
    ------
    ValueError
        If no model has a score.
    """
    rows = _drawn(comparison)
    if ax is None:
        import matplotlib.pyplot as plt

        ax = plt.figure(figsize=_size(rows), layout="constrained").add_subplot()
    behind = [row.difference for row in rows]
    errors = [0.0, *(row.difference_standard_error for row in rows[1:])]
    ax.barh(range(len(rows)), behind, xerr=errors, color="C0", ecolor="0.3", capsize=3)
    ax.set_yticks(range(len(rows)), [row.model for row in rows])
    ax.invert_yaxis()
    ax.axvline(0.0, color="0.3", linewidth=0.8)
    ax.set_xlabel(f"nats per held-out row, less those of {rows[0].model}; errors of the difference")
    ax.set_title(layout.heading(comparison), loc="left", fontsize="medium")
    return ax


def save_drawing(comparison: Outcome, path: str) -> None:
    """Draw to a file, whatever pyplot is doing."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=_size(_drawn(comparison)), layout="constrained")
    draw(comparison, figure.add_subplot())
    figure.savefig(path, dpi=150)


def _drawn(comparison: Outcome) -> list[ModelScore]:
    rows = [row for row in comparison.rows if row.scored and np.isfinite(row.log_likelihood)]
    if not rows:
        raise ValueError("no model has a finite score: there is nothing to draw")
    return rows


def _size(rows: Sequence[ModelScore]) -> tuple[float, float]:
    return WIDTH, 1.6 + HEIGHT_OF_A_BAR * len(rows)
