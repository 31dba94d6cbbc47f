"""Whether the first line of a text file names the columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from .._typing import Floats
from .cells import is_missing, is_number, read_columns, read_number
from .tables import are_distinct_integers, name_list

__all__ = ["are_names", "header_notes"]

# Names that are numbers often count the columns, from one of these: pandas counts from 0, others
# from 1, and years are counted too.
FIRST_NAMES = frozenset({0, 1, *range(1800, 2101)})
# Of lines of data, at most this share counts in such a way by chance.
MAX_COUNTING_SHARE = 0.1
# As many lines at least tell the range of a column.
MIN_LINES = 3
# Cells of the first line that a note shows.
MAX_CELLS = 4


def are_names(first: Sequence[str], lines: Sequence[Sequence[str]]) -> bool:
    """Whether the first line names the columns that the other lines fill.

    It does if it has text above numbers. If it has nothing but numbers above numbers, it does if
    these are sorted, so that none is repeated, and the other lines are of another kind: they do
    not count the columns, or they are fractions below whole numbers, or of another size.
    """
    if not lines:
        return any(map(_is_text, first))
    readings = read_columns(zip(*lines, strict=True))
    numeric = [j for j, reading in enumerate(readings) if not reading.is_text]
    if any(_is_text(first[j]) for j in numeric):
        return True
    if not numeric:
        return not any(map(is_number, first))
    names = [first[j] for j in numeric]
    numbers = [read_number(first[j], readings[j].marks) for j in numeric]
    values = np.column_stack([readings[j].values for j in numeric])
    values[np.isinf(values)] = np.nan
    return _number_columns(names, np.array(numbers, dtype=np.float64), values)


def header_notes(first: Sequence[str], taken: bool) -> tuple[str, ...]:
    """Say whether the first line was taken as a header where that is open to doubt."""
    line = name_list(list(first), MAX_CELLS)
    if taken and any(map(is_number, first)):
        remedy = "if it is data, use --no-header (header=False)"
        return (f"the first line is taken as a header of column names ({line}); {remedy}",)
    if not taken and len(first) > 2 and _count(first):
        return (f"the first line ({line}) is taken as data, not as a header of column names",)
    return ()


def _is_text(cell: str) -> bool:
    return not is_number(cell) and not is_missing(cell)


def _number_columns(names: Sequence[str], numbers: Floats, values: Floats) -> bool:
    """Whether numbers above columns of numbers are names."""
    if names[0] == "" and len(names) > 1 and are_distinct_integers(values[:, 0]):
        # Above its numbers of the rows, pandas writes no name.
        return _are_sorted(numbers[1:])
    return _are_sorted(numbers) and (
        (_count(names) and _other_lines_do_not_count(numbers, values))
        or (_are_whole_by_design(names) and _are_fractions(values))
        or _are_far_from(numbers, values)
    )


def _are_sorted(numbers: Floats) -> bool:
    """Whether no number is negative, and each is larger than the one before, or each smaller."""
    steps = np.diff(numbers)
    return bool((numbers >= 0).all() and ((steps > 0).all() or (steps < 0).all()))


def _count(cells: Sequence[str]) -> bool:
    """Whether the cells are consecutive whole numbers, from one with which names begin."""
    if not all(map(str.isdecimal, cells)) or int(cells[0]) not in FIRST_NAMES:
        return False
    return [int(cell) for cell in cells] == [int(cells[0]) + j for j in range(len(cells))]


def _other_lines_do_not_count(numbers: Floats, values: Floats) -> bool:
    counting = (np.diff(values) == 1).all(axis=1)
    is_repeated = (values == numbers).all(axis=1).any()
    return len(numbers) > 2 and not is_repeated and counting.mean() <= MAX_COUNTING_SHARE


def _are_whole_by_design(cells: Sequence[str]) -> bool:
    """Whether all cells are whole numbers, and too many or too regular to be so by chance."""
    # One value or two may be whole by chance where the others are fractions.
    return all(map(str.isdecimal, cells)) and (len(cells) > 2 or (_count(cells) and cells != ["1"]))


def _are_fractions(values: Floats) -> bool:
    """Whether most values of each column are no whole numbers."""
    return bool((np.mean(values % 1 > 0, axis=0) > 0.5).all())


def _are_far_from(numbers: Floats, values: Floats) -> bool:
    """Whether each number is farther from all values of its column than these are from another."""
    known = (~np.isnan(values)).sum(axis=0)
    if len(numbers) < 2 or known.min() < MIN_LINES:
        return False
    low, high = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
    return bool((np.maximum(numbers - high, low - numbers) > high - low).all())
