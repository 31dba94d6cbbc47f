"""Tables of coin tosses: ones, zeros and entries that nobody saw, in blocks that never become dense.

Dense and sparse blocks have the same verbs. ``weigh`` gives every entry a value by its side and adds
them up along each row, for K sets of values at once; ``add_up`` adds the rows up along each column,
under K sets of weights. All that a model of coins does with rows is one or the other.

What is (K, n) here is the transpose of an array in which the K numbers of a row lie side by side, as
sparse products leave and take them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import numpy as np
from scipy.sparse import csr_array, issparse

from ..._typing import Array


class Tosses(Protocol):
    """The verbs of a block of n rows of d tosses."""

    def weigh(
        self, one: Array, zero: Array, hole: Array | None = None, base: Array | float = 0.0
    ) -> Array: ...
    def add_up(self, w: Array) -> tuple[Array, Array]: ...
    def filled(self, value: Array) -> Any: ...
    def sides(self) -> Array: ...


def tosses(X: Any, threshold: float) -> Tosses:
    """Rows (n, d), dense or CSR, as tosses: above the threshold is a one, NaN was not observed."""
    return SparseTosses.of(X, threshold) if issparse(X) else Patterns.of(X, threshold)


def _above(values: Array, threshold: float) -> Array:
    with np.errstate(over="ignore"):  # a threshold may be larger than all numbers of this type
        return values > threshold


ZERO, ONE, HOLE = range(3)
# What is worth this much is added up apart where it cancels: it costs others no digit.
APART = 2.0**80
COLUMNS_IN_PATTERN = {2: 8, 3: 5}  # by the number of sides: 256 patterns, or 243 if there are holes


@cache
def _dictionary(n_sides: int) -> Array:
    """All patterns of neighbouring columns, (number of patterns, columns), each column a side."""
    width = COLUMNS_IN_PATTERN[n_sides]
    return np.arange(n_sides**width)[:, None] // n_sides ** np.arange(width) % n_sides


@cache
def _indicators(n_sides: int) -> Array:
    """1.0 where a pattern shows a side in a column, (number of patterns, sides * columns)."""
    sides = _dictionary(n_sides)[:, None, :] == np.arange(n_sides)[:, None]
    return sides.reshape(len(sides), -1).astype(np.float64)


@dataclass(frozen=True, eq=False)
class Patterns:
    """Dense rows, eight columns at a time: which of the 256 patterns each eight of them show.

    What a row of eight columns adds to a sum over columns is looked up in a table of all patterns,
    and sums over rows are kept for each pattern before they are shared out to its columns: an eighth
    of the additions, and of the memory. Rows with holes go by five columns of three sides.

    Attributes
    ----------
    shown : csr_array of shape (n, groups * patterns)
        1.0 at the pattern that each group of columns shows.
    d : int
        How many columns there are; the last group may be filled up.
    n_sides : int
        2, or 3 if there are holes.
    """

    shown: Any
    d: int
    n_sides: int

    @classmethod
    def of(cls, X: Array, threshold: float) -> "Patterns":
        """Rows (n, d) of numbers."""
        ones = _above(X, threshold)
        missing = np.isnan(X) if X.dtype.kind == "f" else np.zeros(0)
        if missing.any():
            codes, n_sides = _coded(ones + np.uint8(HOLE) * missing), 3
        else:
            codes, n_sides = np.packbits(ones, axis=1, bitorder="little"), 2
        n, groups = codes.shape
        patterns = len(_dictionary(n_sides))
        index = codes + np.arange(0, groups * patterns, patterns, dtype=np.int32)
        start = np.arange(0, index.size + 1, groups, dtype=np.int32)
        entries = (np.ones(index.size), index.ravel(), start)
        return cls(csr_array(entries, shape=(n, groups * patterns)), X.shape[1], n_sides)

    def weigh(
        self, one: Array, zero: Array, hole: Array | None = None, base: Array | float = 0.0
    ) -> Array:
        """The sum over each row of what its entries are worth, (K, d) to (K, n), on top of a base."""
        worth = (zero, one, np.zeros_like(one) if hole is None else hole)[: self.n_sides]
        grouped = np.concatenate([self._grouped(value) for value in worth], axis=1)
        table = _indicators(self.n_sides) @ grouped
        table[0] += base  # every row shows one pattern of the first group
        rows: Array = self.shown @ table.reshape(-1, len(one)).astype(self.shown.dtype, copy=False)
        return rows.T

    def add_up(self, w: Array) -> tuple[Array, Array]:
        """The weight of ones and of zeros in each column, (K, n) to twice (K, d)."""
        shown = _indicators(self.n_sides)
        by_pattern = (self.shown.T @ np.ascontiguousarray(w.T)).reshape(-1, len(shown), len(w))
        by_side = shown.T @ by_pattern.astype(np.float64, copy=False)
        zeros, ones = np.split(by_side, self.n_sides, axis=1)[:2]
        return self._ungrouped(ones), self._ungrouped(zeros)

    def sides(self) -> Array:
        """The side of every entry, (n, d)."""
        dictionary = _dictionary(self.n_sides)
        codes = self.shown.indices.reshape(self.shown.shape[0], -1) % len(dictionary)
        return dictionary[codes].reshape(len(codes), -1)[:, : self.d]

    def filled(self, value: Array) -> Array:
        """Rows (n, d) of zeros and ones, with a value for each column in place of holes."""
        sides = self.sides()
        return np.where(sides == HOLE, value, sides == ONE)

    def _grouped(self, value: Array) -> Array:
        """(K, d) as (groups, columns in a group, K), filled up with zeros."""
        columns = _dictionary(self.n_sides).shape[1]
        full = np.zeros((-(-self.d // columns) * columns, len(value)))
        full[: self.d] = value.T
        return full.reshape(-1, columns, len(value))

    def _ungrouped(self, value: Array) -> Array:
        """The way back."""
        return value.reshape(-1, value.shape[2])[: self.d].T


def _coded(sides: Array) -> Array:
    """The pattern of each group of columns of three sides, (n, d) to (n, groups)."""
    columns = COLUMNS_IN_PATTERN[3]
    n, d = sides.shape
    full = np.zeros((n, -(-d // columns) * columns), dtype=np.uint8)
    full[:, :d] = sides
    return full.reshape(n, -1, columns) @ (3 ** np.arange(columns)).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class SparseTosses:
    """Sparse rows, of which only ones and holes are kept.

    Attributes
    ----------
    ones : csr_array of shape (n, d)
        1.0 where a one was seen.
    holes : csr_array of shape (n, d), or None
        1.0 where nothing was seen; None if everything was.
    """

    ones: Any
    holes: Any = None

    @classmethod
    def of(cls, X: Any, threshold: float) -> "SparseTosses":
        """CSR rows (n, d) without duplicate entries; what is not stored is a zero."""
        missing = np.isnan(X.data) if X.data.dtype.kind == "f" else np.zeros(0)
        holes = _indicator(X, missing) if missing.any() else None
        return cls(_indicator(X, _above(X.data, threshold)), holes)

    def weigh(
        self, one: Array, zero: Array, hole: Array | None = None, base: Array | float = 0.0
    ) -> Array:
        """The sum over each row of what its entries are worth, (K, d) to (K, n), on top of a base."""
        worth = (one, zero, np.zeros_like(one) if hole is None else hole)
        apart = [np.where(np.abs(value) < APART, 0.0, value) for value in worth]
        if not any(value.any() for value in apart):
            return self._weigh(worth, base)
        near = [value - far for value, far in zip(worth, apart, strict=True)]
        return self._weigh(near, base) + self._weigh(apart, 0.0)

    def _weigh(self, worth: Sequence[Array], base: Array | float) -> Array:
        """What rows of zeros are worth, and what other sides change in that."""
        one, zero, hole = worth
        rows: Array = self.ones @ _columns(one - zero, self.ones.dtype)
        if self.holes is not None:
            rows += self.holes @ _columns(hole - zero, self.ones.dtype)
        rows += (zero.sum(axis=1) + base).astype(rows.dtype, copy=False)
        return rows.T

    def add_up(self, w: Array) -> tuple[Array, Array]:
        """The weight of ones and of zeros in each column, (K, n) to twice (K, d).

        Zeros are what remains of the weight.
        """
        each = np.ascontiguousarray(w.T)
        ones = (self.ones.T @ each).T.astype(np.float64, copy=False)
        zeros = (w @ np.ones(w.shape[1]))[:, None] - ones
        if self.holes is not None:
            zeros -= (self.holes.T @ each).T
        return ones, np.maximum(zeros, 0.0, out=zeros)

    def sides(self) -> Array:
        """The side of every entry, (n, d): a dense array."""
        sides = ONE * self.ones.astype(np.int8).toarray()
        return sides if self.holes is None else sides + HOLE * self.holes.astype(np.int8).toarray()

    def filled(self, value: Array) -> Any:
        """Sparse rows (n, d) of ones, with a value for each column in place of holes."""
        return self.ones if self.holes is None else self.ones + self.holes * value


def _columns(value: Array, dtype: Any) -> Array:
    """(K, d) as the (d, K) that a sparse product reads row by row."""
    return np.ascontiguousarray(value.T, dtype=dtype)


def _indicator(X: Any, where: Array) -> Any:
    """1.0 at some of the stored entries of a CSR table."""
    before = np.concatenate([[0], np.cumsum(where)])
    index, start = (part.astype(np.int32) for part in (X.indices[where], before[X.indptr]))
    return csr_array((np.ones(len(index)), index, start), shape=X.shape)
