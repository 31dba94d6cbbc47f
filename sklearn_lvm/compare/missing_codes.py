"""Numbers that probably stand for missing values, such as -999 far from all others."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .._typing import Floats
from .tables import Table, counted, name_list

__all__ = ["likely_codes", "missing_code_notes"]

# Codes of one column come in small groups, one for each reason why a value is missing: 97, 98, 99.
MAX_CODES = 3
# How often a value must stand in its column: so many times, or in this share of the rows, but twice.
MIN_COUNT = 3
MIN_SHARE = 0.003
# Where one value fills more of a column than this, such as zero, others are far from it by nature.
MAX_SHARE_OF_ONE_VALUE = 0.5


class Distance(NamedTuple):
    """How far codes are from the other values, in standard deviations and in ranges of these."""

    deviations: float
    ranges: float


FAR = Distance(deviations=10.0, ranges=3.0)
# Nines mean missing by custom, so that they need not be as far.
FAR_FOR_NINES = Distance(deviations=3.0, ranges=1.0)


def missing_code_notes(table: Table) -> list[str]:
    """Name each value that probably means missing, where it stands, and what to do about it."""
    places: dict[float, dict[str, int]] = {}
    for name, column in zip(table.columns, table.X.T, strict=True):
        for code, count in likely_codes(column).items():
            places.setdefault(code, {})[name] = count
    return [_note(code, counts) for code, counts in places.items() if sum(counts.values()) > 1]


def _note(code: float, counts: dict[str, int]) -> str:
    times, where = counted(sum(counts.values()), "time"), counted(len(counts), "column")
    return (
        f"{code:.12g} may be a code for missing: it stands {times}, apart from all other values, in "
        f"{where}: {name_list(list(counts))}; if it is one, use --missing-values={code:.12g} "
        "(missing_values), or put NaN in its place"
    )


def likely_codes(x: Floats) -> dict[float, int]:
    """Find the values of a column that probably mean missing, and count each.

    They are its largest or smallest values, and far from all others. Nines may be less far, or the
    only values of their sign, and may stand in it once; zero is no code.
    """
    x = np.sort(x[np.isfinite(x)])
    min_count = max(2.0, min(MIN_COUNT, MIN_SHARE * len(x)))
    codes: dict[float, int] = {}
    while True:
        below = {-code: count for code, count in _codes_at_the_end(-x[::-1], min_count).items()}
        found = below or _codes_at_the_end(x, min_count)
        if not found:
            return codes
        codes |= found
        x = x[~np.isin(x, list(found))]


def _codes_at_the_end(x: Floats, min_count: float) -> dict[float, int]:
    """Find codes among the largest of some sorted values."""
    values, counts = np.unique(x, return_counts=True)
    for size in range(1, min(MAX_CODES, len(values) - 2) + 1):
        others = x[: -int(counts[-size:].sum())]
        codes = dict(zip(values[-size:].tolist(), counts[-size:].tolist(), strict=True))
        gap = values[-size] - values[-size - 1]
        if all(_is_code(*code, gap, others, min_count) for code in codes.items()):
            return codes
    return {}


def _is_code(value: float, count: int, gap: float, others: Floats, min_count: float) -> bool:
    n_nines = _count_nines(value)
    if n_nines and others[-1] <= 0 < value:
        # No other value has its sign.
        return True
    if n_nines > 1:
        return _is_far(gap, others, FAR_FOR_NINES)
    return (
        value != 0
        and count >= min_count
        and _is_far(gap, others, FAR)
        and _largest_share(others) <= MAX_SHARE_OF_ONE_VALUE
    )


def _is_far(gap: float, others: Floats, far: Distance) -> bool:
    spread = others[-1] - others[0]
    return bool(gap > far.ranges * spread and gap > far.deviations * others.std())


def _largest_share(x: Floats) -> float:
    return float(np.unique(x, return_counts=True)[1].max() / len(x))


def _count_nines(value: float) -> int:
    """Count the digits of a number that has no others than nines, as 99.9; 0 if it has others."""
    digits = f"{abs(value):.12g}".replace(".", "")
    return len(digits) if set(digits) == {"9"} else 0
