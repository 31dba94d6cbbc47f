"""Columns of arrays, of frames of pandas and polars, and of lists of rows."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from itertools import chain, count
from types import ModuleType
from typing import Any, NamedTuple, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._typing import Floats

__all__ = [
    "NUMERIC_KINDS",
    "TEXT_KINDS",
    "Cells",
    "Column",
    "columns_of",
    "pandas_columns",
    "with_names",
]

Cells = NDArray[np.generic]
"""Entries as they came: numbers, text or objects."""
# Kinds of types of NumPy: numbers, and text or objects that may spell numbers.
NUMERIC_KINDS = "biuf"
TEXT_KINDS = "OUST"


class Column(NamedTuple):
    """A column of a table, before it is known whether it holds numbers."""

    name: str
    cells: Floats | list[str] | None
    """Numbers, or text that may spell them; None if the type is that of no numbers."""
    dtype: str
    """What the type is called where the column comes from."""


def columns_of(data: ArrayLike, names: Sequence[object] | None = None) -> list[Column]:
    """Take data apart into columns, and give them names: those asked for, or their own."""
    if hasattr(data, "toarray"):
        kind = type(data).__name__
        raise TypeError(f"the table is sparse ({kind}); give a dense one: X.toarray()")
    columns = _own_columns(data)
    if not columns:
        raise ValueError("the table has no columns")
    if names is not None and len(names) != len(columns):
        raise ValueError(f"{len(names)} column names for a table of {len(columns)} columns")
    named = [column.name for column in columns] if names is None else map(str, names)
    return with_names(columns, named)


def _own_columns(data: ArrayLike) -> list[Column]:
    pandas, polars = sys.modules.get("pandas"), sys.modules.get("polars")
    if pandas and isinstance(data, pandas.DataFrame | pandas.Series):
        return pandas_columns(pandas.DataFrame(data))
    if polars and isinstance(data, polars.DataFrame | polars.Series):
        return _polars_columns(polars.DataFrame(data), polars)
    array = _array(data)
    if array.dtype.names is not None and array.ndim == 1:
        structured = cast(NDArray[np.void], array)
        return [_array_column(name, structured[name]) for name in array.dtype.names]
    if array.ndim != 2:
        remedy = "; X.reshape(-1, 1) makes one column of it" if array.ndim == 1 else ""
        given = f"{type(data).__name__} of shape {array.shape}"
        raise ValueError(f"expected a table of rows and columns, got {given}{remedy}")
    return [_array_column(f"x{j}", cells) for j, cells in enumerate(array.T)]


def _array(data: ArrayLike) -> Cells:
    if isinstance(data, np.ma.MaskedArray):
        return np.ma.filled(data.astype(np.float64), np.nan)
    try:
        return np.asarray(data)
    except ValueError as error:
        raise ValueError("the rows of the table have different lengths") from error


def _array_column(name: str, cells: Cells) -> Column:
    dtype = cells.dtype
    if cells.ndim != 1:
        raise ValueError(f"each row of {name} holds an array of shape {cells.shape[1:]}")
    if dtype.kind == "c":
        raise ValueError(f"the table is not numeric: the type of {name} is {dtype}")
    if dtype.kind in NUMERIC_KINDS:
        return Column(name, cells.astype(np.float64), str(dtype))
    if dtype.kind == "S":
        cells = cells.astype("U")
    return Column(name, _texts(cells) if dtype.kind in TEXT_KINDS else None, str(dtype))


def pandas_columns(frame: Any) -> list[Column]:
    """Take a frame of pandas apart into columns; its index is none of them."""
    return [_pandas_column(str(name), series) for name, series in frame.items()]


def _pandas_column(name: str, series: Any) -> Column:
    from pandas.api import types

    dtype = series.dtype
    if types.is_complex_dtype(dtype):
        raise ValueError(f"the table is not numeric: the type of {name} is {dtype}")
    if types.is_numeric_dtype(dtype) or types.is_bool_dtype(dtype):
        return Column(name, series.to_numpy(dtype=np.float64, na_value=np.nan), str(dtype))
    holds_text = types.is_string_dtype(dtype) or types.is_object_dtype(dtype)
    return Column(name, _texts(series) if holds_text else None, str(dtype))


def _polars_columns(frame: Any, polars: ModuleType) -> list[Column]:
    return [_polars_column(series, polars) for series in frame.get_columns()]


def _polars_column(series: Any, polars: ModuleType) -> Column:
    dtype = series.dtype
    if dtype.is_numeric() or dtype == polars.Boolean:
        cells = series.cast(polars.Float64).to_numpy()
        return Column(series.name, cells, str(dtype))
    holds_text = dtype in (polars.String, polars.Object, polars.Null)
    return Column(series.name, _texts(series) if holds_text else None, str(dtype))


def _texts(cells: Iterable[object]) -> list[str]:
    return [str(cell).strip() for cell in cells]


def with_names(columns: Sequence[Column], names: Iterable[str]) -> list[Column]:
    """Name columns as pandas does: a, a.1, a.2 where a name is repeated, else by their place."""
    filled = [name or f"Unnamed: {j}" for j, name in enumerate(names)]
    unique = _unique(filled)
    return [column._replace(name=name) for column, name in zip(columns, unique, strict=True)]


def _unique(names: Iterable[str]) -> list[str]:
    taken: dict[str, None] = {}
    for name in names:
        repeats = (f"{name}.{i}" for i in count(1))
        taken[next(new for new in chain([name], repeats) if new not in taken)] = None
    return list(taken)
