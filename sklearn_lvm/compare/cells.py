"""Cells of text as numbers: missing ones, booleans, and commas within numbers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, replace

import numpy as np

from .._typing import Bools, Floats

__all__ = [
    "COMMA_DECIMAL",
    "COMMA_THOUSANDS",
    "POINT_DECIMAL",
    "Marks",
    "Reading",
    "is_missing",
    "is_number",
    "read_columns",
    "read_number",
    "typed_reading",
    "usual_marks",
]

# How a missing cell is spelled, in lower case: in pandas, in the tables of UCI, and in SAS (a point).
MISSING = frozenset(
    {"", "?", "-", ".", "na", "n/a", "nan", "-nan", "nat", "null", "none", "<na>"}
    | {"#na", "#n/a", "#n/a n/a", "1.#ind", "-1.#ind", "1.#qnan", "-1.#qnan"}
)
BOOLEANS = {"true": 1.0, "false": 0.0}

EXPONENT = r"(?:e[+-]?\d+)?"
POINT_NUMBER = rf"[+-]?(?:\d+\.?\d*|\.\d+){EXPONENT}|[+-]?inf(?:inity)?"
# Spaces that group digits: the usual one, and two that do not break.
SPACES = " \u00a0\u202f"


@dataclass(frozen=True, eq=False)
class Marks:
    """What commas and points within a number mean."""

    pattern: re.Pattern[str]
    to_point: Mapping[int, str | None]
    """How ``str.translate`` makes of the number one that Python reads."""
    meaning: str


def _marks(pattern: str, to_point: dict[str, str | None], meaning: str) -> Marks:
    return Marks(re.compile(pattern, re.ASCII | re.IGNORECASE), str.maketrans(to_point), meaning)


POINT_DECIMAL = _marks(POINT_NUMBER, {}, "a point is read as the decimal mark")
COMMA_DECIMAL = _marks(
    rf"[+-]?(?=[\d,])(?:\d*|[1-9]\d{{0,2}}([.{SPACES}])\d{{3}}(?:\1\d{{3}})*)(?:,\d+)?{EXPONENT}"
    r"|[+-]?inf(?:inity)?",
    dict.fromkeys("." + SPACES) | {",": "."},
    "a comma is read as the decimal mark",
)
# No number starts its thousands with a zero, so that 0,125 is a fraction.
COMMA_THOUSANDS = _marks(
    rf"[+-]?[1-9]\d{{0,2}}(?:,\d{{3}})+(?:\.\d*)?{EXPONENT}|{POINT_NUMBER}",
    {",": None},
    "a comma is read as a mark between thousands",
)
# In order of preference where two of them read the same cells.
ALL_MARKS = (POINT_DECIMAL, COMMA_DECIMAL, COMMA_THOUSANDS)


@dataclass(frozen=True, eq=False)
class Reading:
    """A column of text read as numbers, by one meaning of commas and points."""

    marks: Marks
    values: Floats
    unreadable: Bools
    """Cells that are neither numbers nor missing."""
    ambiguous: bool = False
    """Whether other marks would make other numbers of it, and nothing speaks for these."""

    @property
    def n_unreadable(self) -> int:
        """How many cells are neither numbers nor missing."""
        return int(self.unreadable.sum())

    @property
    def is_text(self) -> bool:
        """Whether fewer cells are numbers than are unreadable."""
        return bool(np.count_nonzero(~np.isnan(self.values)) < self.n_unreadable)


def typed_reading(values: Floats | None) -> Reading:
    """Make a reading of a column whose type says what it is: numbers, or None for none."""
    if values is None:
        return Reading(POINT_DECIMAL, np.array([np.nan]), np.array([True]))
    return Reading(POINT_DECIMAL, values, np.zeros(len(values), dtype=bool))


def is_missing(text: str) -> bool:
    """Whether a cell stands for a missing value."""
    return text.lower() in MISSING


def is_number(text: str) -> bool:
    """Whether a cell is a boolean, or a number by some meaning of its commas."""
    return text.lower() in BOOLEANS or any(marks.pattern.fullmatch(text) for marks in ALL_MARKS)


def read_number(text: str, marks: Marks, missing: Set[str] = MISSING) -> float | None:
    """Read a cell: NaN if it is missing, None if it is no number."""
    word = text.lower()
    if word in missing:
        return np.nan
    if word in BOOLEANS:
        return BOOLEANS[word]
    return float(text.translate(marks.to_point)) if marks.pattern.fullmatch(text) else None


def read_columns(
    columns: Iterable[Sequence[str]],
    default: Marks | None = None,
    missing_values: Iterable[str] = (),
) -> list[Reading]:
    """Read columns of text, each by the marks that leave the fewest of its cells unreadable.

    Where several do, those that other columns need are taken, else the default.
    """
    missing = MISSING | {text.lower() for text in missing_values}
    candidates = [_readings(texts, missing) for texts in columns]
    usual = _needed_marks(candidates)
    return [_best(readings, usual, default) for readings in candidates]


def usual_marks(columns: Iterable[Sequence[str]]) -> Marks | None:
    """Find the marks without which some columns of text are no numbers, if all columns agree."""
    return _needed_marks([_readings(texts, MISSING) for texts in columns])


def _readings(texts: Sequence[str], missing: Set[str]) -> list[Reading]:
    return [_reading(texts, marks, missing) for marks in ALL_MARKS]


def _reading(texts: Sequence[str], marks: Marks, missing: Set[str]) -> Reading:
    numbers = {text: read_number(text, marks, missing) for text in set(texts)}
    cells = [numbers[text] for text in texts]
    unreadable = np.array([cell is None for cell in cells], dtype=bool)
    return Reading(marks, np.array(cells, dtype=np.float64), unreadable)


def _needed_marks(candidates: Iterable[Sequence[Reading]]) -> Marks | None:
    """Find the meaning of commas that some columns need, if no others contradict them."""
    needed = set()
    for point, comma, thousands in candidates:
        # Cells that any reading with a decimal point takes, and the one with a comma does not.
        if thousands.n_unreadable < comma.n_unreadable and not thousands.is_text:
            needed.add(COMMA_THOUSANDS)
        fewest_with_point = min(point.n_unreadable, thousands.n_unreadable)
        if comma.n_unreadable < fewest_with_point and not comma.is_text:
            needed.add(COMMA_DECIMAL)
    return needed.pop() if len(needed) == 1 else None


def _best(readings: Sequence[Reading], usual: Marks | None, default: Marks | None) -> Reading:
    fewest = min(reading.n_unreadable for reading in readings)
    best: dict[Marks | None, Reading] = {
        reading.marks: reading for reading in readings if reading.n_unreadable == fewest
    }
    plain = best.get(POINT_DECIMAL)
    for marks in (usual, POINT_DECIMAL, default):
        if (found := best.get(marks)) is not None:
            same = plain and np.array_equal(plain.values, found.values, equal_nan=True)
            return plain if plain and same else found
    return replace(next(iter(best.values())), ambiguous=len(best) > 1)
