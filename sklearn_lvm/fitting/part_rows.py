"""Rows of any kind as a mixture of parts is fitted to them: their order, their copies, their starts."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np

from .._typing import Floats, Hashes, Table
from ..core.rows import RowSource, key_hashes


@dataclass(frozen=True, eq=False)
class PartRows(RowSource):
    """Rows with keys: numbers (n, p) that are equal for equal rows alone, NaN for missing entries.

    The table has ``keys`` and ``categorical``, which tells of each key whether it is a code.
    """

    def merged(self) -> Self:
        """The distinct rows in canonical order: all that parts are fitted to."""
        return self.weighted(self.w)

    @cached_property
    def keys(self) -> Table:
        """The keys with numbers alone; missing entries come last."""
        keys = self.X.keys + 0.0  # negative zeros are zeros
        return np.where(np.isnan(keys), np.inf, keys)

    @cached_property
    def hashes(self) -> Hashes:
        """Hashes of the keys, (n,)."""
        return key_hashes(self.keys)

    def points(self) -> Floats:
        """Standardized numbers and one column for each category, without missing entries, (n, m)."""
        columns = [
            _one_hot(key) if is_code else _standardized(key, self.w)[:, None]
            for key, is_code in zip(self.X.keys.T, self.X.categorical, strict=True)
        ]
        return np.concatenate(columns, axis=1)


def _standardized(key: Floats, w: Floats) -> Floats:
    """A column of mean 0 and standard deviation 1, with 0 in place of missing entries."""
    seen = np.isfinite(key)
    weight = np.where(seen, w / w.max(), 0.0)
    if not weight.any():
        return np.zeros(len(key))
    largest = np.abs(key[seen]).max() or 1.0  # squares of it might overflow
    scaled = np.where(seen, key, 0.0) / largest
    total = weight.sum()
    centered = np.where(seen, scaled - weight @ scaled / total, 0.0)
    scale = np.sqrt(weight @ centered**2 / total)
    return np.asarray(centered / scale if scale else centered)


def _one_hot(codes: Floats) -> Floats:
    """A column for each code that is there; none of them for missing entries."""
    levels = np.unique(codes[np.isfinite(codes)])
    return np.asarray(codes[:, None] == levels, dtype=np.float64)
