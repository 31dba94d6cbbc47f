"""Read a numeric table from a CSV, Parquet, NPZ or NPY file."""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, SupportsFloat

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .._typing import Floats

__all__ = ["Table", "as_table", "load_digits_table", "read_table"]

Cells = NDArray[np.generic]
"""Entries as they were read: numbers, text or objects."""

# How a missing cell is spelled, in lower case.
MISSING_CELLS = frozenset({"", "na", "n/a", "nan", "nat", "null", "none", "<na>"})
# Tried in this order: a comma may be a decimal mark where one of the others separates the cells.
DELIMITERS = ("\t", ";", ",")
# Names of the array that is taken where an NPZ file holds several matrices, first choice first.
PREFERRED_ARRAYS = ("X", "X_train")


class Table(NamedTuple):
    """A matrix of floats with the names of its columns; missing cells are NaN."""

    X: Floats
    columns: tuple[str, ...]
    name: str = "X"


def read_table(path: str | Path) -> Table:
    """Read the numeric table in a file, chosen by its extension.

    Parameters
    ----------
    path : str or Path
        A ``.csv``, ``.tsv``, ``.parquet``, ``.npz`` or ``.npy`` file. The header of a CSV file is
        optional; its cells are separated by commas, semicolons or tabs, and empty, ``NA`` and
        ``nan`` cells are missing. Of the arrays in an NPZ file, the only two-dimensional numeric
        one is taken, else ``X``, else ``X_train``.

    Returns
    -------
    table : Table
        The matrix, of shape (n_samples, n_features), its column names and the file's name.

    Raises
    ------
    ValueError
        If the file is missing, unreadable or of another kind, or a column is not numeric.
    """
    path = Path(path)
    reader = READERS.get(path.suffix.lower())
    if reader is None:
        raise ValueError(f"{path}: unknown kind of file; known are {', '.join(READERS)}")
    if not path.is_file():
        raise ValueError(f"{path}: no such file")
    try:
        return reader(path)._replace(name=path.name)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


def load_digits_table() -> Table:
    """Load the 1797 handwritten digits that come with scikit-learn.

    Returns
    -------
    table : Table
        Pixel intensities, of shape (1797, 64).
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    return Table(digits.data, tuple(digits.feature_names), "digits (from scikit-learn)")


def as_table(data: ArrayLike, columns: Sequence[object] | None = None) -> Table:
    """Turn an array, a data frame or rows of cells into a numeric table.

    Parameters
    ----------
    data : array-like or DataFrame of shape (n_samples, n_features)
        Cells may be numbers, or text that spells numbers; ``None`` and ``NA`` are missing.
    columns : sequence, optional
        Column names. By default those of the data frame, or ``x0``, ``x1``, ...

    Returns
    -------
    table : Table
        The matrix and its column names.

    Raises
    ------
    ValueError
        If the data are not two-dimensional, or a column is not numeric.

    Examples
    --------
    >>> from sklearn_lvm.compare.readers import as_table
    >>> as_table([["1.5", "2"], ["", "4"]], columns=["a", "b"]).X
    array([[1.5, 2. ],
           [nan, 4. ]])
    """
    cells = np.asarray(data)
    if cells.ndim != 2 or cells.shape[1] == 0:
        raise ValueError(f"expected a table of rows and columns, got shape {cells.shape}")
    if columns is None:
        columns = getattr(data, "columns", [f"x{j}" for j in range(cells.shape[1])])
    names = tuple(str(column) for column in columns)
    return Table(_numeric(cells, names), names)


def _numeric(cells: Cells, names: tuple[str, ...]) -> Floats:
    if cells.dtype.kind in "biuf":
        return cells.astype(np.float64)
    if cells.dtype.kind not in "OUST":
        raise ValueError(f"the table is not numeric: its type is {cells.dtype}")
    try:
        return cells.astype(np.float64)
    except (TypeError, ValueError):
        return _numeric_cell_by_cell(cells, names)


def _numeric_cell_by_cell(cells: Cells, names: tuple[str, ...]) -> Floats:
    X = np.empty(cells.shape)
    not_numeric: dict[str, str] = {}
    for j, name in enumerate(names):
        for i, cell in enumerate(cells[:, j]):
            try:
                X[i, j] = _to_float(cell)
            except (TypeError, ValueError):
                not_numeric.setdefault(name, f"{str(cell)!r} in row {i + 1}")
    if not_numeric:
        name, cell = next(iter(not_numeric.items()))
        listed = ", ".join(not_numeric)
        raise ValueError(f"not numeric: {listed} (for example {cell} of {name})")
    return X


def _to_float(cell: str | SupportsFloat) -> float:
    return float("nan") if str(cell).strip().lower() in MISSING_CELLS else float(cell)


def _is_text(cell: str) -> bool:
    try:
        _to_float(cell)
    except ValueError:
        return True
    return False


def _read_csv(path: Path) -> Table:
    try:
        rows = _csv_rows(path)
    except (csv.Error, UnicodeDecodeError) as error:
        raise ValueError(f"not a text file in UTF-8 ({error})") from error
    header = rows.pop(0) if rows and any(map(_is_text, rows[0])) else None
    if not rows:
        raise ValueError("no rows")
    return as_table(rows, header)


def _csv_rows(path: Path) -> list[list[str]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        first = file.readline()
        file.seek(0)
        delimiter = next((mark for mark in DELIMITERS if mark in first), ",")
        reader = csv.reader(file, delimiter=delimiter)
        rows: list[list[str]] = []
        for row in filter(None, reader):
            if rows and len(row) != len(rows[0]):
                line = reader.line_num
                raise ValueError(f"line {line} has {len(row)} cells, line 1 has {len(rows[0])}")
            rows.append(row)
    return rows


def _read_parquet(path: Path) -> Table:
    try:
        import pandas as pd

        return as_table(pd.read_parquet(path))
    except ImportError as error:
        needed = 'Parquet files need pandas and pyarrow: pip install "sklearn-lvm[parquet]"'
        raise ValueError(needed) from error


def _read_numpy(path: Path) -> Table:
    try:
        loaded = np.load(path, allow_pickle=False)
    except (EOFError, ValueError, zipfile.BadZipFile) as error:
        raise ValueError("not a NumPy file") from error
    if isinstance(loaded, np.ndarray):
        return as_table(loaded)
    with loaded:
        return as_table(_matrix_of(loaded))


def _matrix_of(archive: Mapping[str, Cells]) -> Cells:
    tables = {key: array for key in archive if (array := _numeric_matrix(archive, key)) is not None}
    if len(tables) == 1:
        return next(iter(tables.values()))
    for key in PREFERRED_ARRAYS:
        if key in tables:
            return tables[key]
    held = ", ".join(archive) or "nothing"
    reason = "several two-dimensional arrays, none of them X" if tables else "no numeric 2-d array"
    raise ValueError(f"{reason}; the file holds {held}")


def _numeric_matrix(archive: Mapping[str, Cells], key: str) -> Cells | None:
    try:
        array = archive[key]
    except ValueError:  # An array of objects, which only unpickling could read.
        return None
    return array if array.ndim == 2 and array.dtype.kind in "biuf" else None


READERS: dict[str, Callable[[Path], Table]] = {
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".parquet": _read_parquet,
    ".npz": _read_numpy,
    ".npy": _read_numpy,
}
