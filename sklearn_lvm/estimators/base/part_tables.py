"""Tables that are handed on to other estimators as they are: arrays, or frames of mixed columns."""

from dataclasses import dataclass, replace
from numbers import Real
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from ..._compat import safe_indexing
from ..._typing import Bools, Floats, Ints, Rows, Slice, Table


def is_frame(X: object) -> bool:
    """Whether a table is a frame of pandas or polars."""
    return hasattr(X, "columns") and (hasattr(X, "iloc") or hasattr(X, "with_columns"))


@dataclass(frozen=True, eq=False)
class PartTable:
    """A validated table, and numbers that tell its rows apart.

    Attributes
    ----------
    values : ndarray or frame
        What other estimators take, in float64 where it is an array.
    keys : ndarray of shape (n, d)
        Numbers and codes of categories, NaN for missing entries.
    categorical : ndarray of shape (d,)
        Which columns of the keys are codes.
    dtype : dtype
        The precision of results about these rows.
    """

    values: Table
    keys: Floats
    categorical: Bools
    dtype: np.dtype[Any]

    @classmethod
    def of_array(cls, rows: Floats) -> Self:
        """An array of numbers."""
        values = rows.astype(np.float64)
        return cls(values, values, np.zeros(rows.shape[1], dtype=np.bool_), rows.dtype)

    @classmethod
    def of_frame(cls, frame: Table) -> Self:
        """A frame, whose columns may be numbers or categories.

        Raises
        ------
        ValueError
            If it has no rows, no columns or an infinite number.
        """
        n, d = frame.shape
        if not n or not d:
            raise ValueError(
                f"X is a frame of shape {(n, d)}: give at least one row and one column."
            )
        columns = [safe_indexing(frame, j, axis=1) for j in range(d)]
        encoded = [_encoded(np.asarray(column)) for column in columns]
        keys = np.column_stack([key for key, _ in encoded])
        infinite = np.flatnonzero(np.isinf(keys).any(axis=0))
        if len(infinite):
            raise ValueError(
                f"X contains infinity in column {frame.columns[int(infinite[0])]!r}: give a finite "
                "number, or NaN if it was not observed."
            )
        single = all(np.asarray(column).dtype == np.float32 for column in columns)
        dtype = np.dtype(np.float32 if single else np.float64)
        return cls(frame, keys, np.array([is_code for _, is_code in encoded]), dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.keys.shape

    def __len__(self) -> int:
        return len(self.keys)

    def __getitem__(self, rows: Slice | Ints | Bools) -> Self:
        return replace(self, values=safe_indexing(self.values, rows), keys=self.keys[rows])


def _encoded(column: NDArray[Any]) -> tuple[Floats, bool]:
    """A column as numbers, and whether these are codes."""
    if column.dtype.kind in "biuf":
        return column.astype(np.float64), False
    missing = np.array([_is_missing(value) for value in column], dtype=np.bool_)
    key, held = np.full(len(column), np.nan), column[~missing]
    if all(isinstance(value, Real) for value in held):
        key[~missing] = held.astype(np.float64)
        return key, False
    key[~missing] = np.unique([str(value) for value in held], return_inverse=True)[1]
    return key, True


def _is_missing(value: Any) -> bool:
    """Whether an entry of a column of objects stands for none."""
    if value is None:
        return True
    try:
        return bool(value != value)
    except TypeError:  # pandas.NA is neither equal to anything nor unequal
        return True


class AsTheyAre:
    """The units of parts, which are those of the data."""

    log_jacobian = 0.0

    def transform(self, X: Table) -> Rows:
        """The table that parts take."""
        return X.values if isinstance(X, PartTable) else X

    def inverse_transform(self, Z: Floats) -> Floats:
        """The rows themselves."""
        return Z
