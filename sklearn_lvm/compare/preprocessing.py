"""Columns on which a density is bounded: constant ones dropped, regular grids dequantized.

Cells that are NaN are missing, and stay so; what is said of a column is said of its observed cells.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from .._typing import Bools, Floats
from .missing_codes import missing_code_notes
from .tables import Table, counted, name_list

__all__ = ["PreparedTable", "grid_step", "is_binary", "missing_notes", "prepare", "without_columns"]

# Values at most this many rounding errors apart are one value: 0.1 + 0.2 and 0.3 are.
SAME_VALUE_ROUNDING_ERRORS = 32
# The step of a grid, at least, in units of the smallest gap between values.
MIN_STEP_PER_GAP = 1e-3
# How far from the grid a value may be, in steps. It must be smaller than the step allowed above: a
# remainder below it counts as a rounding error.
GRID_TOLERANCE_STEPS = 1e-4
# A value that more than this share of the rows has is an atom, on which no density is bounded.
MIN_ATOM_SHARE = 0.1


class PreparedTable(NamedTuple):
    """The matrix on which every model is compared, and what was done to it; missing cells are NaN."""

    X: Floats
    columns: tuple[str, ...]
    notes: tuple[str, ...]

    def frame(self) -> object:
        """The matrix with the names of its columns, if pandas is installed."""
        try:
            import pandas as pd
        except ImportError:
            return self.X
        return pd.DataFrame(self.X, columns=list(self.columns))


def is_binary(table: Table) -> bool:
    """Whether every entry that is not missing is 0 or 1."""
    return bool((np.isnan(table.X) | (table.X == 0) | (table.X == 1)).all())


def prepare(
    table: Table, *, dequantize: bool, rng: np.random.RandomState, binary: bool = False
) -> PreparedTable:
    """Drop constant columns and rows without a cell, and add uniform noise on regular grids.

    Parameters
    ----------
    table : Table
        A matrix of shape (n_samples, n_features) with column names; missing cells are NaN.
    dequantize : bool
        Whether columns on a regular grid get noise.
    binary : bool, default=False
        Whether the models are those of zeros and ones, which take them as they are.
    rng : RandomState
        Where the noise is drawn from.

    Returns
    -------
    prepared : PreparedTable
        The new matrix, the names of the columns left, and the notes: those of the table, then one
        for each thing done, or to be looked at.

    Raises
    ------
    ValueError
        If a column is infinite somewhere or missing everywhere, or nothing varies.
    """
    codes = missing_code_notes(table)
    _refuse_unusable_columns(table)
    table, constant = _drop_constant_columns(table)
    table, empty = _drop_empty_rows(table)
    known = (*table.notes, *codes, *filter(None, (constant, empty)))
    if binary:
        return PreparedTable(table.X, table.columns, known)
    steps = np.array([grid_step(column) or 0.0 for column in _observed(table.X)])
    X = table.X + rng.uniform(size=table.X.shape) * steps if dequantize else table.X
    bounds = filter(None, (_grid_note(table, steps, dequantize), _atom_note(table, steps)))
    return PreparedTable(X, table.columns, (*known, *bounds))


def grid_step(x: Floats) -> float | None:
    """Find the step of the regular grid that the values of a column lie on.

    Parameters
    ----------
    x : ndarray of shape (n_samples,)
        The values of one column.

    Returns
    -------
    step : float or None
        The largest number of which all gaps between values are multiples, up to rounding. None if
        there is no such number, or it is so much smaller than the gaps that it says nothing.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lvm.compare.preprocessing import grid_step
    >>> round(grid_step(np.array([5.1, 4.9, 4.7, 5.4])), 12)
    0.1
    >>> grid_step(np.random.default_rng(0).normal(size=100)) is None
    True
    """
    values = np.unique(x)
    gaps = np.diff(values)
    gaps = gaps[gaps > _same_value_tolerance(x)]
    step = finest = gaps.min(initial=np.inf)
    # Euclid's algorithm, on all gaps at once.
    while MIN_STEP_PER_GAP * finest <= step < np.inf:
        if (refined := _step_over_whole_range(step, values)) is not None:
            return refined
        remainders = np.abs(gaps - step * np.rint(gaps / step))
        step = remainders.min(where=remainders > GRID_TOLERANCE_STEPS * step, initial=np.inf)
    return None


def _step_over_whole_range(step: float, values: Floats) -> float | None:
    """Estimate the step from the whole range, and check that every value lies on its grid."""
    ticks = np.cumsum(np.rint(np.diff(values) / step))
    step = float((values[-1] - values[0]) / ticks[-1])
    off = np.abs(values[1:] - values[0] - ticks * step)
    return step if off.max() <= GRID_TOLERANCE_STEPS * step else None


def _same_value_tolerance(x: Floats) -> float:
    return SAME_VALUE_ROUNDING_ERRORS * float(np.finfo(np.float64).eps * np.abs(x).max())


def _observed(X: Floats) -> Iterator[Floats]:
    """The cells of each column that are not missing."""
    return (column[~np.isnan(column)] for column in X.T)


def _refuse_unusable_columns(table: Table) -> None:
    infinite = np.asarray(np.isinf(table.X).any(axis=0))
    if infinite.any():
        raise ValueError(f"infinite values in {name_list(_chosen(table.columns, infinite))}")
    empty = np.asarray(np.isnan(table.X).all(axis=0))
    if empty.any():
        raise ValueError(f"no values at all in {name_list(_chosen(table.columns, empty))}")


def _drop_constant_columns(table: Table) -> tuple[Table, str]:
    constant = np.array([np.ptp(x) <= _same_value_tolerance(x) for x in _observed(table.X)])
    if constant.all():
        raise ValueError("every column is constant")
    kept = tuple(_chosen(table.columns, ~constant))
    names = _chosen(table.columns, constant)
    note = f"dropped {counted(len(names), 'constant column')}: {', '.join(names)}" if names else ""
    return table._replace(X=table.X[:, ~constant], columns=kept), note


def _drop_empty_rows(table: Table) -> tuple[Table, str]:
    """Drop rows of which nothing was observed in the columns that are left."""
    empty = np.isnan(table.X).all(axis=1)
    count = int(empty.sum())
    note = f"dropped {counted(count, 'row')} without any observed cell" if count else ""
    return table._replace(X=table.X[~empty]), note


def without_columns(table: Table, names: Collection[str]) -> Table:
    """Leave out columns that the training rows of some fold never observe, and say so."""
    dropped = np.array([name in names for name in table.columns])
    what = _counted_names(table.columns, dropped, "column")
    note = f"dropped, for some fold has no observed cell to fit to, {what}"
    kept = tuple(_chosen(table.columns, ~dropped))
    return table._replace(X=table.X[:, ~dropped], columns=kept, notes=(*table.notes, note))


def missing_notes(X: Floats) -> Iterator[str]:
    """How many cells are missing, and what that means for the scores; nothing if none is."""
    missing = np.isnan(X)
    if (count := int(missing.sum())) > 0:
        rows = int(missing.any(axis=1).sum())
        yield (
            f"{count} of {counted(X.size, 'cell')} ({100 * count / X.size:.3g} %) are missing, in "
            f"{rows} of {counted(len(X), 'row')}: every score is that of the observed cells"
        )


def _grid_note(table: Table, steps: Floats, dequantize: bool) -> str:
    on_grid = steps > 0
    if not on_grid.any():
        return ""
    what = _counted_names(table.columns, on_grid, "column")
    if dequantize:
        sizes = " to ".join(dict.fromkeys(f"{s:.3g}" for s in (steps[on_grid].min(), steps.max())))
        return f"added uniform noise of one grid step ({sizes}) to {what}"
    return f"no noise added on a regular grid, so the density has no bound, in {what}"


def _atom_note(table: Table, steps: Floats) -> str:
    most = np.array([np.unique(x, return_counts=True)[1].max() for x in _observed(table.X)])
    n_observed = np.count_nonzero(~np.isnan(table.X), axis=0)
    # A handful of rows repeats nothing: one value in ten rows is a tenth of them.
    atoms = (most > MIN_ATOM_SHARE * n_observed) & (steps == 0) & (most > 1)
    what = _counted_names(table.columns, atoms, "column")
    return f"one value repeats often, so the density has no bound, in {what}" if atoms.any() else ""


def _counted_names(columns: Sequence[str], mask: Bools, noun: str) -> str:
    names = _chosen(columns, mask)
    return f"{counted(len(names), noun)}: {name_list(names)}"


def _chosen(columns: Sequence[str], mask: Bools) -> list[str]:
    return [name for name, chosen in zip(columns, mask, strict=True) if chosen]
