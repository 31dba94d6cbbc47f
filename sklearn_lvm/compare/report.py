"""The outcome of a comparison, as a table to print, JSON or CSV."""

from __future__ import annotations

import csv
import io
import json
import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .._typing import Array

__all__ = ["Comparison", "ModelScore"]

WIDTH = 120
TOO_LONG = 1e5
NUMBERS = "{:>9} {:>8} {:>9} {:>8} {:>7} {:>7}"
HEADER = NUMBERS.format("log-lik", "± se", "vs best", "± se", "fit s", "score s")


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
        Why the model has no score; empty if it has one.
    estimator : estimator
        Not fitted, with the best parameters set.
    held_out : ndarray of shape (n_samples,)
        Held-out log-likelihood of each row, in nats.
    """

    model: str
    log_likelihood: float = math.nan
    standard_error: float = math.nan
    difference: float = math.nan
    difference_standard_error: float = math.nan
    best_params: Mapping[str, Any] = field(default_factory=dict)
    fit_time: float = math.nan
    score_time: float = math.nan
    unconverged_folds: int = 0
    caveat: str = ""
    error: str = ""
    estimator: Any = field(default=None, repr=False, compare=False)
    held_out: Array = field(default_factory=lambda: np.empty(0), repr=False, compare=False)

    def record(self) -> dict[str, Any]:
        """Return the scores and parameters as plain Python values; None stands for no number."""
        return {name: _plain(getattr(self, name)) for name in RECORDED}


RECORDED = (
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
)


@dataclass(frozen=True)
class Comparison:
    """Density models ranked by their held-out log-likelihood.

    Attributes
    ----------
    rows : tuple of ModelScore
        Best first; the models that failed come last.
    notes : tuple of str
        What was done to the data before they were split.
    n_rows, n_columns : int
        Shape of the matrix that every model was scored on.
    cv : int
        Number of folds.
    name : str
        Name of the data.
    """

    rows: tuple[ModelScore, ...]
    notes: tuple[str, ...]
    n_rows: int
    n_columns: int
    cv: int
    name: str = "X"

    def __str__(self) -> str:
        size = f"{self.n_rows} rows, {self.n_columns} columns, {self.cv} folds"
        width = max(len(row.model) for row in self.rows) + 1
        lines = [
            f"{self.name}: {size}",
            *(line for note in self.notes for line in _wrap(note)),
            "",
            "Held-out log-likelihood, nats per row in the data's own units",
            "",
            f"    {'model':{width}}{HEADER}  best parameters",
            *(_line(rank, row, width) for rank, row in enumerate(self.rows, 1)),
            *(f"  * {row.model}: {_footnote(row)}" for row in self.rows if _footnote(row)),
        ]
        return "\n".join(lines)

    def to_json(self) -> str:
        """Return the comparison as a JSON object.

        Returns
        -------
        text : str
            The notes and one object per model; a missing or infinite number is ``null``.
        """
        own = ("name", "n_rows", "n_columns", "cv", "notes")
        record = {name: getattr(self, name) for name in own}
        record["models"] = [row.record() for row in self.rows]
        return json.dumps(record, indent=2, allow_nan=False)

    def to_csv(self) -> str:
        """Return one line of comma-separated values per model, under a header.

        Returns
        -------
        text : str
            The parameters are one cell of JSON; a missing or infinite number is an empty cell.
        """
        text = io.StringIO()
        writer = csv.DictWriter(text, RECORDED, lineterminator="\n")
        writer.writeheader()
        for row in self.rows:
            record = row.record()
            writer.writerow(record | {"best_params": json.dumps(record["best_params"])})
        return text.getvalue()


def _line(rank: int, row: ModelScore, width: int) -> str:
    name = f"{row.model + '*' * bool(_footnote(row)):{width}}"
    if row.error:
        return _cut(f"  - {name} failed: {row.error}")
    numbers = NUMBERS.format(
        *map(_nats, (row.log_likelihood, row.standard_error)),
        *map(_nats, (row.difference, row.difference_standard_error)),
        *(f"{number:.3f}" for number in (row.fit_time, row.score_time)),
    )
    return _cut(f"{rank:3} {name}{numbers}  {_spell(row.best_params)}")


def _nats(number: float) -> str:
    return f"{number:.2f}" if abs(number) < TOO_LONG else f"{number:.0e}"


def _footnote(row: ModelScore) -> str:
    folds = row.unconverged_folds
    unconverged = f"stopped before it converged in {folds} folds" if folds else ""
    return "; ".join(filter(None, (row.caveat, unconverged)))


def _spell(params: Mapping[str, Any]) -> str:
    """Write parameters as one would in a call, without the prefix of the density inside."""
    return ", ".join(f"{key.rpartition('__')[2]}={_short(params[key])}" for key in params)


def _short(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _wrap(note: str) -> list[str]:
    return textwrap.wrap(note, WIDTH, initial_indent="  ", subsequent_indent="    ")


def _cut(line: str) -> str:
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"


def _plain(value: Any) -> Any:
    """Turn a value into what JSON knows."""
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return value if isinstance(value, str | int | None) else str(value)
