"""Make a density on the columns of a table bounded: constants dropped, grids filled with noise."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .._typing import Array
from .readers import Table

__all__ = ["Prepared", "grid_step", "is_binary", "prepare"]


NAMES_SHOWN = 4
# Values this close in units of the rounding error are one value: 0.1 + 0.2 and 0.3 are.
ROUNDING_ERRORS = 32
# The grid may be this much finer than the smallest gap, and a value this far from it, in steps. The
# second must be the smaller: a remainder below it counts as a rounding error.
FINEST_STEP = 1e-3
GRID_TOLERANCE = 1e-4
# A share of equal values above this is an atom, on which no density is bounded.
ATOM_SHARE = 0.1


class Prepared(NamedTuple):
    """The matrix on which every model is compared, and what was done to it."""

    X: Array
    columns: tuple[str, ...]
    notes: tuple[str, ...]


def is_binary(table: Table) -> bool:
    """Whether every entry that is not missing is 0 or 1."""
    return bool((np.isnan(table.X) | (table.X == 0) | (table.X == 1)).all())


def prepare(
    table: Table, *, dequantise: bool, rng: np.random.RandomState, binary: bool = False
) -> Prepared:
    """Drop incomplete rows and constant columns, and fill regular grids with uniform noise.

    Parameters
    ----------
    table : Table
        A matrix of shape (n_samples, n_features) with column names.
    dequantise : bool
        Whether columns on a regular grid get noise.
    binary : bool, default=False
        Whether the models are those of zeros and ones, which take them as they are.
    rng : RandomState
        Where the noise is drawn from.

    Returns
    -------
    prepared : Prepared
        The new matrix, the names of the columns left, and one note for each thing done.

    Raises
    ------
    ValueError
        If a column is infinite somewhere or missing everywhere, or nothing varies.
    """
    table, missing = _drop_incomplete_rows(table)
    table, constant = _drop_constant_columns(table)
    if binary:
        return Prepared(table.X, table.columns, tuple(filter(None, (missing, constant))))
    steps = np.array([grid_step(column) or 0.0 for column in table.X.T])
    X = table.X + rng.uniform(size=table.X.shape) * steps if dequantise else table.X
    notes = (missing, constant, _grid_note(table, steps, dequantise), _atom_note(table, steps))
    return Prepared(X, table.columns, tuple(filter(None, notes)))


def grid_step(x: Array) -> float | None:
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
    gaps = gaps[gaps > _resolution(x)]
    step = finest = gaps.min(initial=np.inf)
    # Euclid's algorithm, on all gaps at once.
    while FINEST_STEP * finest <= step < np.inf:
        if (refined := _refine(step, values)) is not None:
            return refined
        remainders = np.abs(gaps - step * np.rint(gaps / step))
        step = remainders.min(where=remainders > GRID_TOLERANCE * step, initial=np.inf)
    return None


def _refine(step: float, values: Array) -> float | None:
    """Spread the rounding error of the step over the whole range, and check every value."""
    ticks = np.cumsum(np.rint(np.diff(values) / step))
    step = float((values[-1] - values[0]) / ticks[-1])
    off = np.abs(values[1:] - values[0] - ticks * step)
    return step if off.max() <= GRID_TOLERANCE * step else None


def _resolution(x: Array) -> float:
    return ROUNDING_ERRORS * float(np.finfo(np.float64).eps * np.abs(x).max())


def _drop_incomplete_rows(table: Table) -> tuple[Table, str]:
    infinite = np.asarray(np.isinf(table.X).any(axis=0))
    if infinite.any():
        raise ValueError(f"infinite values in {_list(table.columns, infinite)}")
    missing = np.isnan(table.X)
    empty = np.asarray(missing.all(axis=0))
    if empty.any():
        raise ValueError(f"no values at all in {_list(table.columns, empty)}")
    incomplete = missing.any(axis=1)
    count = int(incomplete.sum())
    note = f"dropped {_count(count, 'row')} with missing entries" if count else ""
    return table._replace(X=table.X[~incomplete]), note


def _drop_constant_columns(table: Table) -> tuple[Table, str]:
    if not len(table.X):
        raise ValueError("every row has a missing entry, or there are no rows")
    constant = np.array([np.ptp(column) <= _resolution(column) for column in table.X.T])
    if constant.all():
        raise ValueError("every column is constant")
    kept = tuple(np.array(table.columns, dtype=object)[~constant])
    count = int(constant.sum())
    named = _list(table.columns, constant, shown=count)
    note = f"dropped {_count(count, 'constant column')}: {named}" if count else ""
    return table._replace(X=table.X[:, ~constant], columns=kept), note


def _grid_note(table: Table, steps: Array, dequantise: bool) -> str:
    on_grid = steps > 0
    if not on_grid.any():
        return ""
    what = _summary(table.columns, on_grid, "column")
    if dequantise:
        sizes = " to ".join(dict.fromkeys(f"{s:.3g}" for s in (steps[on_grid].min(), steps.max())))
        return f"added uniform noise of one grid step ({sizes}) to {what}"
    return f"no noise added on a regular grid, so the density has no bound, in {what}"


def _atom_note(table: Table, steps: Array) -> str:
    shares = [np.unique(column, return_counts=True)[1].max() for column in table.X.T]
    atoms = (np.array(shares) > ATOM_SHARE * len(table.X)) & (steps == 0)
    # A handful of rows repeats nothing: one value in ten rows is a tenth of them.
    atoms &= np.array(shares) > 1
    what = _summary(table.columns, atoms, "column")
    return f"one value repeats often, so the density has no bound, in {what}" if atoms.any() else ""


def _summary(columns: Sequence[str], mask: Array, noun: str) -> str:
    return f"{_count(int(mask.sum()), noun)}: {_list(columns, mask)}"


def _count(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _list(columns: Sequence[str], mask: Array, shown: int = NAMES_SHOWN) -> str:
    names = [name for name, chosen in zip(columns, mask, strict=True) if chosen]
    more = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {more} more" if more > 0 else "")
