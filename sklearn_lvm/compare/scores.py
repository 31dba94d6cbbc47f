"""What a comparison finds of each model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from .._typing import Floats
from ..estimators.standardized import DensityLike

__all__ = ["RECORDED_FIELDS", "ModelScore", "Outcome", "Plain"]

Plain = str | float | int | None | list["Plain"] | dict[str, "Plain"]
"""What JSON can hold."""


@dataclass(frozen=True)
class ModelScore:
    """How well one model predicts the held-out rows.

    Attributes
    ----------
    model : str
        Its name.
    log_likelihood : float
        Mean over all held-out rows, in nats per row in the data's own units.
    standard_error : float
        Standard deviation over the rows, divided by the square root of their number.
    difference, difference_standard_error : float
        Mean and standard error of the difference to the best model, row by row.
    best_params : dict
        The best setting of the grid.
    fit_time, score_time : float
        Mean seconds per fold with that setting.
    unconverged_folds : int
        In how many folds that setting stopped before it converged.
    caveat : str
        What to know about the score; empty if nothing.
    error : str
        How the model failed; empty if it did not.
    left_out : str
        Why the model was not scored: no time, or missing entries that it does not take; empty if it
        was.
    estimator : estimator
        Not fitted, with the best parameters set.
    held_out : ndarray of shape (n_rows,)
        Log-likelihood of each row, in nats, from the folds without it; of a splitter, of the rows
        that it holds out.
    """

    model: str
    log_likelihood: float = math.nan
    standard_error: float = math.nan
    difference: float = math.nan
    difference_standard_error: float = math.nan
    best_params: Mapping[str, object] = field(default_factory=dict)
    fit_time: float = math.nan
    score_time: float = math.nan
    unconverged_folds: int = 0
    caveat: str = ""
    error: str = ""
    left_out: str = ""
    estimator: DensityLike | None = field(default=None, repr=False, compare=False)
    held_out: Floats = field(default_factory=lambda: np.empty(0), repr=False, compare=False)

    @property
    def scored(self) -> bool:
        """Whether the model has a score."""
        return not (self.error or self.left_out)

    def record(self) -> dict[str, Plain]:
        """Return the scores and parameters as plain Python values; None stands for no number."""
        return {name: _plain(getattr(self, name)) for name in RECORDED_FIELDS}


RECORDED_FIELDS = (
    "model",
    "log_likelihood",
    "standard_error",
    "difference",
    "difference_standard_error",
    "best_params",
    "fit_time",
    "score_time",
    "unconverged_folds",
    "caveat",
    "error",
    "left_out",
)


class Outcome(Protocol):
    """What a comparison found, as far as it is shown."""

    @property
    def rows(self) -> Sequence[ModelScore]:
        """Best first; the models without a score come last."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What was done to the data, how much is missing, and what there was no time for."""
        ...

    @property
    def n_rows(self) -> int:
        """Rows that every model was scored on."""
        ...

    @property
    def n_columns(self) -> int:
        """Columns of the matrix."""
        ...

    @property
    def cv(self) -> int:
        """Folds."""
        ...

    @property
    def name(self) -> str:
        """Name of the data."""
        ...

    @property
    def incomplete(self) -> str:
        """Why there are not all scores; empty if there are."""
        ...


def _plain(value: object) -> Plain:
    """Turn a value into one that JSON can hold."""
    if isinstance(value, np.floating):
        return _plain(float(value))
    if isinstance(value, np.generic | np.ndarray):
        return _plain(value.tolist())
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return value if isinstance(value, str | int | None) else str(value)
