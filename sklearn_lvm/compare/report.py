"""The outcome of a comparison: scores of models, to print, to plot, as JSON, CSV or a data frame."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sklearn.base import clone

from ..estimators.standardized import DensityLike
from . import layout
from .plot import draw
from .preprocessing import PreparedTable
from .scores import RECORDED_FIELDS, ModelScore

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from pandas import DataFrame

__all__ = ["Comparison", "ModelScore"]


@dataclass(frozen=True)
class Comparison:
    """Density models ranked by their held-out log-likelihood.

    Attributes
    ----------
    rows : tuple of ModelScore
        Best first; the models without a score come last.
    notes : tuple of str
        What was done to the data before they were split, how many cells are missing, and what there
        was no time for.
    n_rows, n_columns : int
        Shape of the matrix that every model was compared on. A splitter may hold out fewer rows.
    cv : int
        Number of folds that they were scored on.
    name : str
        Name of the data.
    incomplete : str
        Why there are not all scores; empty if there are.
    data : PreparedTable
        All rows, as they were compared; missing cells are NaN.
    """

    rows: tuple[ModelScore, ...]
    notes: tuple[str, ...]
    n_rows: int
    n_columns: int
    cv: int
    name: str = "X"
    incomplete: str = ""
    data: PreparedTable | None = field(default=None, repr=False, compare=False)

    def __str__(self) -> str:
        return layout.text_of(self)

    def _repr_html_(self) -> str:
        return layout.html_of(self)

    @property
    def answer(self) -> str:
        """Which model fits best, by how much, and which others the errors do not tell from it."""
        return layout.answer(self)

    def fit_best(self) -> DensityLike:
        """Fit the best model to all rows of the table, with its best setting.

        Returns
        -------
        estimator : estimator
            One of scikit-learn or of this package knows the names of the columns, if pandas is
            installed.

        Raises
        ------
        ValueError
            If no model has a score.
        """
        if self.data is None or not self.rows or self.rows[0].estimator is None:
            raise ValueError("no model has a score: there is none to fit")
        best = clone(self.rows[0].estimator, safe=False)
        # What takes arrays may take no frames; scikit-learn's estimators learn names from them.
        home = type(best).__module__.partition(".")[0]
        best.fit(self.data.frame() if home in {"sklearn", "sklearn_lvm"} else self.data.X)
        return best

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw how far each model is behind the best, with the error of the difference.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            A new one by default.

        Returns
        -------
        ax : matplotlib Axes
        """
        return draw(self, ax)

    def to_frame(self) -> DataFrame:
        """Return one row per model as a pandas data frame.

        Returns
        -------
        frame : DataFrame
            The columns are the attributes of :class:`~sklearn_lvm.compare.ModelScore`.
        """
        import pandas as pd

        return pd.DataFrame([self._record(row) for row in self.rows], columns=list(RECORDED_FIELDS))

    @staticmethod
    def _record(row: ModelScore) -> dict[str, Any]:
        return {name: getattr(row, name) for name in RECORDED_FIELDS}

    def to_json(self) -> str:
        """Return the comparison as a JSON object.

        Returns
        -------
        text : str
            The notes and one object per model; a missing or infinite number is ``null``.
        """
        own = ("name", "n_rows", "n_columns", "cv", "notes", "incomplete", "answer")
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
