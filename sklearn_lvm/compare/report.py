"""The outcome of a comparison, as a table to print, JSON or CSV."""

from __future__ import annotations

import csv
import io
import json
import math
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from .._typing import Floats
from ..estimators.standardized import DensityLike

__all__ = ["Comparison", "ModelScore"]

Plain = str | float | int | None | dict[str, "Plain"]
"""What JSON can hold."""

# Characters in a line of the printed table.
LINE_WIDTH = 120
# Numbers of nats from here on are printed as powers of ten, which fit their columns.
MAX_FIXED_POINT_NATS = 1e5
NUMBER_COLUMNS = "{:>9} {:>8} {:>9} {:>8} {:>7} {:>7}"
HEADER = NUMBER_COLUMNS.format("log-lik", "± se", "vs best", "± se", "fit s", "score s")


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
    best_params: Mapping[str, object] = field(default_factory=dict)
    fit_time: float = math.nan
    score_time: float = math.nan
    unconverged_folds: int = 0
    caveat: str = ""
    error: str = ""
    estimator: DensityLike | None = field(default=None, repr=False, compare=False)
    held_out: Floats = field(default_factory=lambda: np.empty(0), repr=False, compare=False)

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
            *(_model_line(rank, row, width) for rank, row in enumerate(self.rows, 1)),
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
        writer = csv.DictWriter(text, RECORDED_FIELDS, lineterminator="\n")
        writer.writeheader()
        for row in self.rows:
            record = row.record()
            writer.writerow(record | {"best_params": json.dumps(record["best_params"])})
        return text.getvalue()


def _model_line(rank: int, row: ModelScore, width: int) -> str:
    name = f"{row.model + '*' * bool(_footnote(row)):{width}}"
    if row.error:
        return _truncate(f"  - {name} failed: {row.error}")
    numbers = NUMBER_COLUMNS.format(
        *map(_format_nats, (row.log_likelihood, row.standard_error)),
        *map(_format_nats, (row.difference, row.difference_standard_error)),
        *(f"{number:.3f}" for number in (row.fit_time, row.score_time)),
    )
    return _truncate(f"{rank:3} {name}{numbers}  {_format_params(row.best_params)}")


def _format_nats(number: float) -> str:
    return f"{number:.2f}" if abs(number) < MAX_FIXED_POINT_NATS else f"{number:.0e}"


def _footnote(row: ModelScore) -> str:
    folds = row.unconverged_folds
    unconverged = f"stopped before it converged in {folds} folds" if folds else ""
    return "; ".join(filter(None, (row.caveat, unconverged)))


def _format_params(params: Mapping[str, object]) -> str:
    """Write parameters as in a call, without the prefix of the density inside."""
    return ", ".join(f"{key.rpartition('__')[2]}={_format_value(params[key])}" for key in params)


def _format_value(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _wrap(note: str) -> list[str]:
    return textwrap.wrap(note, LINE_WIDTH, initial_indent="  ", subsequent_indent="    ")


def _truncate(line: str) -> str:
    return line if len(line) <= LINE_WIDTH else line[: LINE_WIDTH - 1] + "…"


def _plain(value: object) -> Plain:
    """Turn a value into one that JSON can hold."""
    if isinstance(value, np.generic):
        return _plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return value if isinstance(value, str | int | None) else str(value)
