"""Columns of a text file: its encoding, separator and header are found, and pandas reads it."""

from __future__ import annotations

import codecs
import csv
import io
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import takewhile
from typing import Any, NamedTuple

import numpy as np

from .cells import COMMA_DECIMAL, COMMA_THOUSANDS, is_missing, is_number, usual_marks
from .columns import pandas_columns, with_names
from .headers import are_names, header_notes
from .tables import RawTable

__all__ = ["read_text"]

# The longer mark of UTF-32 begins with that of UTF-16.
BYTE_ORDER_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
# Tried in this order on a file without a mark. The last one takes any bytes.
ENCODINGS = ("utf-8", "cp1252", "latin-1")
# In order of preference where two of them split the lines equally well. Whitespace, which may be
# several characters wide, has become one space.
SEPARATORS = ("\t", ";", "|", ",", " ")
# What commas in numbers most likely are where the separator is known: who writes decimal commas
# separates by something else.
MARKS_BY_SEPARATOR = {";": COMMA_DECIMAL, ",": COMMA_THOUSANDS}
# Lines from which the separator and the header are found.
SAMPLE_LINES = 200


class Lines(NamedTuple):
    """Lines that hold cells, their numbers in the file, and what separates the cells."""

    texts: Sequence[str]
    numbers: Sequence[int]
    separator: str

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Split each line into cells. Where a quoted cell has several lines, the last one counts."""
        reader = csv.reader(self.texts, delimiter=self.separator, skipinitialspace=True)
        for row in reader:
            yield self.numbers[reader.line_num - 1], [cell.strip() for cell in row]

    def below(self, number: int) -> Lines:
        """The lines below one."""
        start = bisect_right(self.numbers, number)
        return self._replace(texts=self.texts[start:], numbers=self.numbers[start:])


class Header(NamedTuple):
    """Names of columns, if any, the number of the line they end in, or 0, and notes."""

    names: list[str]
    line: int = 0
    notes: tuple[str, ...] = ()


def read_text(content: bytes, *, header: bool) -> RawTable:
    """Read a text file; without ``header``, its first line is data whatever it looks like."""
    numbered = list(enumerate(io.StringIO(_decoded(content), newline=None), 1))
    lines = _separated([(number, text) for number, text in numbered if _holds_cells(text)])
    width = _usual_length([row for _, row in _sample(lines)])
    found = _header(lines, width, _comment(numbered)) if header else Header([])
    body = lines.below(found.line)
    frame = _without_empty_end(_frame(body, _full_width(body, width, lines)), found.names)
    columns = pandas_columns(frame)
    names = (found.names or [f"x{j}" for j in range(len(columns))])[: len(columns)]
    marks = MARKS_BY_SEPARATOR.get(lines.separator)
    return RawTable(with_names(columns, names), found.notes, marks)


def _decoded(content: bytes) -> str:
    marked = (name for mark, name in BYTE_ORDER_MARKS.items() if content.startswith(mark))
    text = _first_decoded(content, tuple(marked)[:1] or ENCODINGS)
    if "\0" in text:
        raise ValueError("not a text file: it has null characters")
    return text


def _first_decoded(content: bytes, encodings: Sequence[str]) -> str:
    for encoding in encodings[:-1]:
        with suppress(UnicodeDecodeError):
            return content.decode(encoding)
    return content.decode(encodings[-1])


def _holds_cells(text: str) -> bool:
    return bool(text.strip()) and not text.lstrip().startswith("#")


def _comment(numbered: Iterable[tuple[int, str]]) -> str:
    """Find the last comment above the lines that hold cells."""
    above = takewhile(lambda line: not _holds_cells(line[1]), numbered)
    comments = [text.strip() for _, text in above if text.strip()]
    return comments[-1].lstrip("#").strip(" ") if comments else ""


def _separated(lines: Sequence[tuple[int, str]]) -> Lines:
    """Find what separates the cells: Excel may say it in the first line."""
    numbers, texts = [number for number, _ in lines], [text for _, text in lines]
    told = re.fullmatch(r'"?sep=(.)"?\s*', texts[0], re.IGNORECASE) if texts else None
    if told:
        numbers, texts = numbers[1:], texts[1:]
    if not texts:
        raise ValueError("no rows: the file is empty")
    separator = told[1] if told else _separator(texts[:SAMPLE_LINES])
    return Lines(_split_at_one_character(texts, separator), numbers, separator)


def _separator(texts: Sequence[str]) -> str:
    scores = {mark: _score(texts, mark) for mark in SEPARATORS}
    return max(SEPARATORS, key=scores.__getitem__) if any(scores.values()) else ","


def _split_at_one_character(texts: Sequence[str], separator: str) -> Sequence[str]:
    """Make any whitespace one space where it separates the cells."""
    return [" ".join(text.split()) + "\n" for text in texts] if separator == " " else texts


def _score(texts: Sequence[str], separator: str) -> tuple[float, ...]:
    """Score a separator by the share of cells below the first line that are numbers or missing.

    Lines that do not have as many cells as most do not count. Separators that make as many numbers
    are told apart by the first line and the other ones. One that leaves most lines whole is none.
    """
    texts = _split_at_one_character(texts, separator)
    rows = [row for _, row in Lines(texts, range(len(texts)), separator).rows()]
    usual = _usual_length(rows)
    if usual < 2:
        return ()
    below = rows[1:] or rows
    alike = [row for row in below if len(row) == usual]
    n_numbers = sum(is_number(cell) or is_missing(cell) for row in alike for cell in row)
    return n_numbers / (usual * len(below)), len(rows[0]) == usual, len(alike) / len(below)


def _sample(lines: Lines) -> list[tuple[int, list[str]]]:
    return list(lines._replace(texts=lines.texts[:SAMPLE_LINES]).rows())


def _usual_length(rows: Sequence[Sequence[str]]) -> int:
    """The number of cells that most lines below the first have."""
    return Counter(map(len, rows[1:] or rows)).most_common(1)[0][0]


def _header(lines: Lines, width: int, comment: str) -> Header:
    (number, first), *others = _sample(lines)
    below = [row for _, row in others if len(row) == width]
    first = _aligned(first, width, below)
    if len(first) == width and are_names(first, below):
        return Header(first, number, header_notes(first, True))
    (names,) = csv.reader([comment], delimiter=lines.separator, skipinitialspace=True)
    if len(names) == width and not any(map(is_number, names)):
        return Header(names, notes=("the column names are those in the comment above them",))
    return Header([], notes=header_notes(first, False))


def _aligned(first: list[str], width: int, below: Sequence[Sequence[str]]) -> list[str]:
    """Give the header as many cells as the other lines have, where that is plain.

    It may lack the separator at the end of all other lines, or have one that these lack. It may
    also lack a name for names of rows, as R writes them.
    """
    if len(first) == width + 1 and first[-1] == "":
        return first[:-1]
    if len(first) != width - 1 or any(map(is_number, first)) or not below:
        return first
    if not any(row[-1] for row in below):
        return [*first, ""]
    names_rows = all(row[0] == str(i + 1) or not is_number(row[0]) for i, row in enumerate(below))
    return ["", *first] if names_rows and len(first) > 1 else first


def _full_width(body: Lines, width: int, lines: Lines) -> int:
    """Check that all rows have as many cells, but for an empty one at the end."""
    longest = width
    for number, row in body.rows():
        longest = max(longest, len(row))
        if len(row) != width and (len(row) != width + 1 or row[-1] != ""):
            usual = next(number for number, row in lines.rows() if len(row) == width)
            raise ValueError(f"line {number} has {len(row)} cells, line {usual} has {width}")
    return longest


def _frame(body: Lines, width: int) -> Any:
    import pandas as pd

    if not body.texts:
        raise ValueError("no rows below the header")
    rows = [row[:width] for _, row in _sample(body)]
    # pandas would take points for decimal marks in the columns in which no comma stands.
    with_commas = usual_marks(zip(*rows, strict=False)) is COMMA_DECIMAL
    return pd.read_csv(
        io.StringIO("".join(body.texts)),
        sep=body.separator,
        header=None,
        names=range(width),
        dtype=str if with_commas else None,
        index_col=False,
        skipinitialspace=True,
        low_memory=False,
        **_exactly(pd.__version__),
    )


def _exactly(version: str) -> dict[str, str]:
    """Options with which pandas reads numbers exactly; from 3.1 on it always does."""
    release = tuple(int(part) for part in version.split(".")[:2])
    return {"float_precision": "round_trip"} if release < (3, 1) else {}


def _without_empty_end(frame: Any, names: Sequence[str]) -> Any:
    """Drop columns without a name and a value at the end, where each line ends in a separator."""
    filled = [bool(name) for name in names] + [False] * (frame.shape[1] - len(names))
    filled = np.array(filled) | frame.notna().any().to_numpy()
    return frame.iloc[:, : 1 + int(np.flatnonzero(filled).max(initial=0))]
