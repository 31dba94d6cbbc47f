"""The outcome of a selection: scores of all combinations, and the best of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pandas import DataFrame

__all__ = ["Selection"]

Column = tuple[str, NDArray[Any], Callable[[Any], str]]
N_SHOWN = 5  # combinations that are printed


@dataclass(frozen=True, eq=False, repr=False)
class Selection:
    """Numbers of components, and other parameters, ranked by a criterion.

    It is what :func:`~sklearn_lvm.select_n_components` returns; printed it shows the best combinations.

    Parameters
    ----------
    criterion : str
        'bic', 'icl', 'elbo' or 'cv'.
    best_estimator_ : estimator
        The estimator with the best parameters, fitted to all rows.
    best_params_ : dict
        'n_components', and the other parameters that were tried.
    best_score_ : float
        Its criterion: of 'bic' and 'icl' lower is better, of the others higher.
    results_ : dict of ndarray
        A column for each parameter, as 'param_n_components', and one by the name of the criterion;
        'standard_error' (with 'cv'), 'n_parameters', 'rank' (1 is the best), 'fit_time' (seconds; what
        fits share is divided among them) and 'converged'. A combination whose fit failed has the
        criterion NaN and the last rank.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lvm import PPCA, select_n_components
    >>> rng = np.random.RandomState(0)
    >>> X = rng.normal(size=(200, 2)) @ rng.normal(size=(2, 5)) + 0.1 * rng.normal(size=(200, 5))
    >>> selection = select_n_components(PPCA(), X, n_components=[1, 2, 3])
    >>> selection
    Selection by bic: n_components=2
    rank  n_components     bic  n_parameters
       1             2   541.4            15
       2             3   555.2            18
       3             1  2419.7            11
    >>> selection.results_["rank"]
    array([3, 1, 2])
    """

    criterion: str
    best_estimator_: Any
    best_params_: dict[str, object]
    best_score_: float
    results_: Mapping[str, NDArray[Any]]

    def to_frame(self) -> DataFrame:
        """Return one row per combination as a pandas data frame.

        Returns
        -------
        frame : DataFrame
            The columns of ``results_``, in the order in which combinations were tried.

        Raises
        ------
        ImportError
            If pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                "to_frame needs pandas: install it, as by pip install pandas, or read results_, a dict "
                "of arrays."
            ) from error
        return pd.DataFrame(dict(self.results_))

    def __repr__(self) -> str:
        best = ", ".join(f"{name}={value!r}" for name, value in self.best_params_.items())
        return "\n".join([f"Selection by {self.criterion}: {best}", *self._table()])

    def _table(self) -> list[str]:
        """The best combinations, one a line under their names."""
        columns = self._columns()
        order = np.argsort(self.results_["rank"], kind="stable")[:N_SHOWN]
        cells = [[name, *(text(values[i]) for i in order)] for name, values, text in columns]
        widths = [max(map(len, column)) for column in cells]
        lines = [
            "  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))
            for line in zip(*cells, strict=True)
        ]
        left = len(self.results_["rank"]) - len(order)
        return [*lines, f"and {left} more"] if left else lines

    def _columns(self) -> list[Column]:
        """Names, values, and how a value is written."""
        digits = 4 if self.criterion == "cv" else 1
        names = [name for name in self.results_ if name.startswith("param_")]
        columns: list[Column] = [("rank", self.results_["rank"], str)]
        columns += [(name.removeprefix("param_"), self.results_[name], str) for name in names]
        numbers = [self.criterion, "standard_error"]
        columns += [
            (name, self.results_[name], f"{{:.{digits}f}}".format)
            for name in numbers
            if name in self.results_
        ]
        return [*columns, ("n_parameters", self.results_["n_parameters"], "{:.0f}".format)]
