"""A table of numbers: which columns it keeps, and what is said of the others."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from .._typing import Floats
from .cells import (
    COMMA_DECIMAL,
    COMMA_THOUSANDS,
    POINT_DECIMAL,
    Marks,
    Reading,
    read_columns,
    read_number,
    typed_reading,
)
from .columns import Column, columns_of

__all__ = [
    "RawTable",
    "Selection",
    "Table",
    "are_distinct_integers",
    "as_table",
    "counted",
    "name_list",
    "table_of",
]

# Names that a message or a note lists.
MAX_NAMES = 4
MAX_KNOWN_NAMES = 10
MAX_CELLS = 3
# Names of columns that number the rows, in lower case; pandas writes its index without a name.
INDEX_NAMES = frozenset({"index", "id", "no", "nr", "row", "row_id", "rownames", "#"})
UNNAMED = "Unnamed: 0"
# A code for missing values may have been stored in single precision.
SAME_IN_SINGLE_PRECISION = 1e-7
# In fewer rows, 0 and 1 or 1, 2 and 3 come about by chance.
MIN_COUNTED_ROWS = 10

ReadColumn = tuple[Column, Reading]
"""A column as it came, and what its cells say."""


class Table(NamedTuple):
    """A matrix of floats with the names of its columns; missing cells are NaN."""

    X: Floats
    columns: tuple[str, ...]
    name: str = "X"
    notes: tuple[str, ...] = ()
    """What was done to make it."""


class RawTable(NamedTuple):
    """Columns as they were read, what is to be said of them, and what their commas may mean."""

    columns: Sequence[Column]
    notes: tuple[str, ...] = ()
    marks: Marks | None = None


class Selection(NamedTuple):
    """Which columns and cells of a table are taken, by names, positions and spellings."""

    columns: Sequence[str] | None = None
    drop: Sequence[str] = ()
    missing_values: Sequence[str] = ()


def as_table(data: ArrayLike, columns: Sequence[object] | None = None) -> Table:
    """Turn an array, a data frame or rows of cells into a numeric table.

    Parameters
    ----------
    data : array-like, DataFrame or Series of shape (n_samples, n_features)
        Cells may be numbers, booleans, or text that spells numbers; ``None`` and ``NA`` are
        missing. Columns of dates, categories and other text are left out, and so is a first
        column that numbers the rows; the notes name them.
    columns : sequence, optional
        Column names. By default those of the data frame, or ``x0``, ``x1``, ...

    Returns
    -------
    table : Table
        The matrix, its column names, and notes on what was done.

    Raises
    ------
    ValueError
        If the data are not two-dimensional, have no rows or no numeric column, or if a few cells
        of a column are no numbers.
    TypeError
        If the data are sparse.

    Examples
    --------
    >>> from sklearn_lvm.compare.tables import as_table
    >>> as_table([["1.5", "2"], ["", "4"]], columns=["a", "b"]).X
    array([[1.5, 2. ],
           [nan, 4. ]])
    """
    return table_of(RawTable(columns_of(data, columns)), Selection())


def table_of(raw: RawTable, selection: Selection) -> Table:
    """Make a table of the columns that hold numbers, and say what became of the others."""
    chosen = _chosen(raw.columns, selection)
    found = list(zip(chosen, _readings(chosen, selection, raw.marks), strict=True))
    text = [(column, reading) for column, reading in found if reading.is_text]
    numeric = [(column, reading) for column, reading in found if not reading.is_text]
    if selection.columns is not None:
        _refuse_text(text)
    _refuse_doubtful(numeric)
    table = _numeric_table(numeric, selection.missing_values)
    if selection.columns is None and table.columns[:1] == (raw.columns[0].name,):
        table = _without_row_numbers(table)
    left_out = [column.name for column, _ in text]
    if not table.columns:
        named = "; ".join((*table.notes, *_left_out_notes(left_out)))
        raise ValueError(f"no column is numeric: {named}")
    notes = (*raw.notes, *table.notes, *_left_out_notes(left_out), *_marks_notes(numeric))
    return table._replace(notes=notes)


def _chosen(columns: Sequence[Column], selection: Selection) -> list[Column]:
    places = {column.name: j for j, column in enumerate(columns)}
    dropped = {_place(places, name) for name in selection.drop}
    asked = places if selection.columns is None else selection.columns
    kept = dict.fromkeys(_place(places, name) for name in asked)
    chosen = [columns[j] for j in kept if j not in dropped]
    if not chosen:
        raise ValueError(f"no columns are left of {name_list(list(places), MAX_KNOWN_NAMES)}")
    return chosen


def _place(places: Mapping[str, int], name: str) -> int:
    """Find a column by its name, or else by its position."""
    if name in places:
        return places[name]
    if str(name).isdecimal() and int(name) < len(places):
        return int(name)
    known = name_list(list(places), MAX_KNOWN_NAMES)
    raise ValueError(f"unknown column {name!r}; known are {known}")


def _readings(
    columns: Iterable[Column], selection: Selection, default_marks: Marks | None
) -> list[Reading]:
    texts = [column.cells for column in columns if isinstance(column.cells, list)]
    readings = iter(read_columns(texts, default_marks, map(str, selection.missing_values)))
    return [
        next(readings) if isinstance(column.cells, list) else typed_reading(column.cells)
        for column in columns
    ]


def _numeric_table(columns: Iterable[ReadColumn], missing_values: Iterable[str]) -> Table:
    names = tuple(column.name for column, _ in columns)
    if not names:
        return Table(np.empty((0, 0)), names)
    X = np.column_stack([reading.values for _, reading in columns])
    if not len(X):
        raise ValueError("the table has no rows")
    for value in missing_values:
        number = read_number(str(value).strip(), POINT_DECIMAL)
        if number is not None:
            X[np.isclose(X, number, rtol=SAME_IN_SINGLE_PRECISION, atol=0.0)] = np.nan
    return Table(X, names)


def _refuse_text(columns: Iterable[ReadColumn]) -> None:
    for column, reading in columns:
        found = f"its type is {column.dtype}"
        if isinstance(column.cells, list):
            found = f"for example {_first_unreadable(column.cells, reading)}"
        raise ValueError(f"column {column.name} is not numeric: {found}")


def _refuse_doubtful(columns: Iterable[ReadColumn]) -> None:
    """Refuse columns of numbers with a few other cells, or with commas that may mean two things."""
    for column, reading in columns:
        remedy = "leave the column out with --drop (drop)"
        if isinstance(column.cells, list) and reading.n_unreadable:
            raise ValueError(
                f"not numeric: {column.name} has {_first_unreadable(column.cells, reading)} "
                f"({_unreadable(column.cells, reading)}); if such cells stand for missing values, "
                f"name them in --missing-values (missing_values), else {remedy}"
            )
        if reading.ambiguous:
            raise ValueError(
                f"the commas in {column.name} may be decimal marks or stand between thousands: "
                f"write its numbers without commas, or {remedy}"
            )


def _first_unreadable(texts: Sequence[str], reading: Reading) -> str:
    row = int(np.argmax(reading.unreadable))
    return f"{texts[row]!r} in row {row + 1}"


def _unreadable(texts: Sequence[str], reading: Reading) -> str:
    cells = dict.fromkeys(repr(texts[row]) for row in np.flatnonzero(reading.unreadable).tolist())
    listed = name_list(list(cells), MAX_CELLS)
    return f"{reading.n_unreadable} of {counted(len(texts), 'cell')} are no numbers: {listed}"


def _without_row_numbers(table: Table) -> Table:
    """Drop a first column that only numbers the rows; if its name leaves a doubt, say so instead."""
    name, numbers = table.columns[0], table.X[:, 0]
    remedy = "name it in --columns (columns) to keep it"
    if name == UNNAMED and are_distinct_integers(numbers):
        note = f"dropped the index of the rows: {name}; {remedy}"
    elif name.lower() in INDEX_NAMES and _count_up(np.sort(numbers)):
        note = f"dropped a column that numbers the rows: {name}; {remedy}"
    elif len(numbers) >= MIN_COUNTED_ROWS and _count_up(numbers):
        note = f"{name} numbers the rows; leave it out with --drop (drop) if that is all it does"
        return table._replace(notes=(note,))
    else:
        return table
    return table._replace(X=table.X[:, 1:], columns=table.columns[1:], notes=(note,))


def are_distinct_integers(x: Floats) -> bool:
    """Whether the values are whole numbers, none missing and none repeated."""
    return bool(np.all(x == np.rint(x))) and len(np.unique(x)) == len(x)


def _count_up(x: Floats) -> bool:
    """Whether the values are 0, 1, 2, ... or 1, 2, 3, ..."""
    return x[0] in (0, 1) and np.array_equal(x, x[0] + np.arange(len(x)))


def _left_out_notes(names: Sequence[str]) -> Iterator[str]:
    if names:
        what = f"{counted(len(names), 'column')} of text, categories or dates"
        yield f"left out {what}: {name_list(names)}"


def _marks_notes(columns: Iterable[ReadColumn]) -> Iterator[str]:
    for marks in (COMMA_DECIMAL, COMMA_THOUSANDS):
        if names := [column.name for column, reading in columns if reading.marks is marks]:
            yield f"{marks.meaning} in {counted(len(names), 'column')}: {name_list(names)}"


def counted(count: int, noun: str) -> str:
    """Write a number and its noun, in the plural if there are several."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def name_list(names: Sequence[str], shown: int = MAX_NAMES) -> str:
    """List the first of some names, and say how many are not shown."""
    more = len(names) - shown
    return ", ".join(names[:shown]) + (f" and {more} more" if more > 0 else "")
