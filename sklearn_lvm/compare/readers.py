"""Read a numeric table from a text file, or from a Parquet, NPZ or NPY file."""

from __future__ import annotations

import bz2
import csv
import gzip
import lzma
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import cast

import numpy as np
from numpy.lib.npyio import NpzFile

from .columns import NUMERIC_KINDS, TEXT_KINDS, Cells, Column, columns_of
from .tables import RawTable, Selection, Table, as_table, counted, table_of
from .text_files import read_text

__all__ = ["Table", "as_table", "load_digits_table", "read_table"]

TEXT_FILES = (".csv", ".tsv", ".txt", ".tab", ".dat", ".data")
# Names of the array that is taken where an NPZ file holds several matrices, first choice first.
PREFERRED_ARRAYS = ("X", "X_train")
NEEDS_PANDAS = (
    'text and Parquet files are read by pandas: pip install "sklearn-lvm[cli]"; '
    "NPZ and NPY files need no pandas"
)
# What NumPy says of arrays of objects.
OBJECTS_REFUSED = "Object arrays"
NO_OBJECTS = (
    "it holds Python objects, which are not read: save numbers, with "
    "np.save(path, X.astype(float)), or np.savez likewise"
)


class FileContentError(ValueError):
    """A file is whole, but what it holds is not read."""


def read_table(
    path: str | Path,
    *,
    header: bool = True,
    columns: Sequence[str] | None = None,
    drop: Sequence[str] = (),
    missing_values: Sequence[str] = (),
) -> Table:
    """Read the numeric table in a file, chosen by its extension.

    Parameters
    ----------
    path : str or Path
        A text file (``.csv``, ``.tsv``, ``.txt``; also ``.csv.gz`` and so on), or a ``.parquet``,
        ``.npz`` or ``.npy`` file. The cells of a text file are separated by commas, semicolons,
        tabs, bars or whitespace. Of the arrays in an NPZ file, the only two-dimensional numeric
        one is taken, else ``X``, else ``X_train``.
    header : bool, default=True
        Whether the first line of a text file names the columns, if it looks like that. Otherwise
        they are called ``x0``, ``x1``, ...
    columns : sequence of str, optional
        Names of the columns to take, as they stand in the file, or their positions, counted from
        0. By default all that are numeric, but for a first one that only numbers the rows.
    drop : sequence of str, default=()
        Names or positions of columns to leave out.
    missing_values : sequence of str, default=()
        What stands for a missing value besides empty cells, ``NA``, ``?`` and the like. Numbers
        are compared by value.

    Returns
    -------
    table : Table
        The matrix, of shape (n_samples, n_features), its column names, the file's name, and
        notes on what was done.

    Raises
    ------
    ValueError
        If the file is missing, unreadable or of another kind, if no column is numeric, if one
        asked for is not, if a few cells of one are no numbers, or if pandas is needed and missing.
    """
    path = Path(path)
    selection = Selection(columns, drop, missing_values)
    try:
        table = table_of(_read(path, header), selection)
    except (OSError, ValueError) as error:
        raise ValueError(f"{path}: {' '.join(str(error).split())}") from error
    return table._replace(name=path.name)


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


def _read(path: Path, header: bool) -> RawTable:
    if path.is_dir():
        raise ValueError("a directory, not a file")
    if not path.exists():
        raise ValueError("no such file")
    kind = _kind(path)
    if kind not in TEXT_FILES and kind not in READERS:
        raise ValueError(
            f"unknown kind of file; known are {', '.join((*TEXT_FILES, *READERS))}, "
            f"and text compressed as {', '.join(DECOMPRESSORS)}"
        )
    if not path.stat().st_size:
        raise ValueError("no rows: the file is empty")
    return RawTable(READERS[kind](path)) if kind in READERS else _read_text(path, header)


def _kind(path: Path) -> str:
    """Find the extension, where the file is compressed that of the text within."""
    suffix = path.suffix.lower()
    if suffix not in DECOMPRESSORS:
        return suffix
    inner = Path(path.stem).suffix.lower() or ".csv"
    return inner if inner in TEXT_FILES else suffix


def _read_text(path: Path, header: bool) -> RawTable:
    _pandas()
    with _undamaged(path.suffix):
        content = DECOMPRESSORS.get(path.suffix.lower(), Path.read_bytes)(path)
    try:
        return read_text(content, header=header)
    except csv.Error as error:
        raise ValueError(f"not a table of text: {error}") from error


@contextmanager
def _undamaged(kind: str) -> Iterator[None]:
    """Say in one line that a file cannot be read: damage makes libraries raise errors of any kind."""
    try:
        yield
    except (ImportError, MemoryError, PermissionError, FileContentError):
        raise
    except Exception as error:
        if OBJECTS_REFUSED in str(error):
            raise FileContentError(NO_OBJECTS) from error
        raise ValueError(f"not a {kind} file, or a damaged one") from error


def _unzip(path: Path) -> bytes:
    with zipfile.ZipFile(path) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
        if len(names) != 1:
            raise FileContentError(f"it holds {counted(len(names), 'file')}, and must hold one")
        return archive.read(names[0])


def _decompressor(module: ModuleType) -> Callable[[Path], bytes]:
    def read(path: Path) -> bytes:
        with module.open(path) as file:
            return bytes(file.read())

    return read


def _pandas() -> ModuleType:
    try:
        import pandas
    except ImportError as error:
        raise ValueError(NEEDS_PANDAS) from error
    return cast(ModuleType, pandas)


def _read_parquet(path: Path) -> list[Column]:
    pandas = _pandas()
    try:
        with _undamaged("Parquet"):
            frame = pandas.read_parquet(path)
    except ImportError as error:
        raise ValueError(NEEDS_PANDAS) from error
    return columns_of(frame)


def _read_numpy(path: Path) -> list[Column]:
    with path.open("rb") as file:
        with _undamaged("NumPy"):
            loaded = np.load(file, allow_pickle=False)
        return columns_of(_matrix_of(loaded) if isinstance(loaded, NpzFile) else loaded)


def _matrix_of(archive: NpzFile) -> Cells:
    arrays = {key: array for key in archive if (array := _array(archive, key)) is not None}
    for is_matrix in (_is_matrix_of_numbers, _is_matrix_of_text):
        if found := {key: array for key, array in arrays.items() if is_matrix(array)}:
            return _preferred(found, archive)
    held = ", ".join(archive) or "nothing"
    if {"format", "shape", "data"} <= set(archive):
        raise ValueError("it holds a sparse matrix: save a dense one, X.toarray(), by np.savez")
    reason = NO_OBJECTS if len(arrays) < len(archive) else "no numeric 2-d array"
    raise ValueError(f"{reason}; the file holds {held}")


def _preferred(matrices: Mapping[str, Cells], archive: NpzFile) -> Cells:
    if len(matrices) == 1:
        return next(iter(matrices.values()))
    for key in PREFERRED_ARRAYS:
        if key in matrices:
            return matrices[key]
    held = ", ".join(archive)
    raise ValueError(f"several two-dimensional arrays, none of them X; the file holds {held}")


def _array(archive: NpzFile, key: str) -> Cells | None:
    """Load an array, if it is not one of objects."""
    try:
        with _undamaged("NumPy"):
            return archive[key]
    except FileContentError:
        return None


def _is_matrix_of_numbers(array: Cells) -> bool:
    is_matrix = array.ndim == 2 and array.dtype.kind in NUMERIC_KINDS
    return is_matrix or (array.ndim == 1 and array.dtype.names is not None)


def _is_matrix_of_text(array: Cells) -> bool:
    return array.ndim == 2 and array.dtype.kind in TEXT_KINDS


DECOMPRESSORS: dict[str, Callable[[Path], bytes]] = {
    ".gz": _decompressor(gzip),
    ".bz2": _decompressor(bz2),
    ".xz": _decompressor(lzma),
    ".zip": _unzip,
}
READERS: dict[str, Callable[[Path], list[Column]]] = {
    ".parquet": _read_parquet,
    ".npz": _read_numpy,
    ".npy": _read_numpy,
}
