"""Tables whose missing entries are filled in: arrays, frames and sparse rows, each of its own kind."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from scipy.sparse import issparse

from ..._typing import Bools, Floats, Table
from ...core.blocks import row_slices
from .validation import missing_entries


@dataclass(frozen=True, eq=False)
class IncompleteTable:
    """A table as a user gave it, and which of its entries are missing.

    Values of missing entries are listed row by row.

    Attributes
    ----------
    given : array-like
        An array, a list, a frame of pandas or polars, or sparse rows.
    rows : ndarray or csr_array of shape (n, d)
        Its validated rows, NaN where entries are missing.
    missing : ndarray or csr_array of shape (n, d), or None
        Where entries are missing; None if none is.
    """

    given: object
    rows: Table
    missing: Table | None

    @classmethod
    def of(cls, given: object, rows: Table) -> Self:
        """A table of which these are the validated rows."""
        return cls(given, rows, missing_entries(rows))

    def values(self, complete: Callable[[Table], Floats]) -> Floats:
        """The values of missing entries, of a function that completes incomplete rows."""
        if self.missing is None:
            return np.zeros(0)
        incomplete = np.flatnonzero(np.asarray(self.missing.sum(axis=1)).ravel())
        found = [
            complete(self.rows[rows])[_places(self.missing[rows])]
            for rows in (incomplete[part] for part in self._parts(len(incomplete)))
        ]
        return np.concatenate(found)

    def _parts(self, n: int) -> Iterator[slice]:
        """Which of n incomplete rows are completed at once: of sparse rows few, for they get dense."""
        return (
            row_slices(n, self.rows.shape[1], at_least=1)
            if issparse(self.rows)
            else iter([slice(n)])
        )

    def completed(self, values: Floats) -> Table:
        """A copy of the table with these values; what was observed is not touched."""
        for holds, fill in KINDS:
            if holds(self.given):
                return fill(self, values)
        return _array(self.rows, self.missing, values)


def _places(missing: Table) -> Any:
    """The indices of the entries that are missing, row by row."""
    if not issparse(missing):
        return missing
    rows = np.repeat(np.arange(missing.shape[0]), np.diff(missing.indptr))
    return rows[missing.data], missing.indices[missing.data]


def _array(X: Table, missing: Bools | None, values: Floats) -> Table:
    """A copy of an array in its own type."""
    filled = np.array(X)
    if missing is not None:
        filled[missing] = _cast(values, filled.dtype)
    return filled


def _cast(values: Floats, dtype: object) -> Floats:
    """Numbers in a floating point type, or as they are if it is none."""
    kind = np.dtype(dtype)  # type: ignore[call-overload]
    with np.errstate(over="ignore"):
        return values.astype(kind) if kind.kind == "f" else values


def _of_array(table: IncompleteTable, values: Floats) -> Table:
    return _array(table.given, table.missing, values)


def _of_sparse(table: IncompleteTable, values: Floats) -> Table:
    filled = table.rows.copy()
    if table.missing is not None:
        filled.data[table.missing.data] = _cast(values, filled.dtype)
    return filled


def _by_column(table: IncompleteTable, values: Floats) -> Iterator[tuple[int, Bools, Floats]]:
    """Each column with missing entries, which these are, and their values."""
    if table.missing is None:
        return
    full = np.zeros(table.rows.shape)
    full[table.missing] = values
    for j in np.flatnonzero(table.missing.any(axis=0)):
        absent = table.missing[:, j]
        yield int(j), absent, full[absent, j]


def _of_pandas(table: IncompleteTable, values: Floats) -> Table:
    given: Any = table.given
    filled = given.copy()
    for j, absent, found in _by_column(table, values):
        filled.isetitem(j, _pandas_column(filled.iloc[:, j], absent, found))
    return filled


def _pandas_column(column: Any, absent: Bools, values: Floats) -> Any:
    """A column of pandas in its own type, or in one that holds fractions if its own does not."""
    dtype = getattr(column.dtype, "numpy_dtype", column.dtype)
    if dtype.kind not in "fO":
        column, dtype = column.astype("Float64"), np.dtype(np.float64)
    column = column.copy()
    column.iloc[absent] = _cast(values, dtype)
    return column


def _of_polars(table: IncompleteTable, values: Floats) -> Table:
    given: Any = table.given
    return given.with_columns(
        _polars_column(given.to_series(j), absent, found)
        for j, absent, found in _by_column(table, values)
    )


def _polars_column(column: Any, absent: Bools, values: Floats) -> Any:
    column = column if column.dtype.is_float() else column.cast(float)
    filled = _array(column.to_numpy(), absent, values)
    return type(column)(column.name, filled, dtype=column.dtype)


Kind = tuple[Callable[[object], bool], Callable[[IncompleteTable, Floats], Table]]
KINDS: list[Kind] = [
    (issparse, _of_sparse),
    (lambda given: isinstance(given, np.ndarray), _of_array),
    (lambda given: hasattr(given, "iloc"), _of_pandas),
    (lambda given: hasattr(given, "with_columns"), _of_polars),
]
