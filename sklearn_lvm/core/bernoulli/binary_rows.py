"""Rows of ones, zeros and missing entries, in blocks that never become dense.

Dense and sparse blocks have the same verbs. ``row_sums`` gives every entry a value by its code and adds
them up along each row, for K sets of values at once; ``column_sums`` adds the rows up along each
column, under K sets of weights. All that a Bernoulli model does with rows is one or the other.

What is (K, n) here is the transpose of an array in which the K numbers of a row lie side by side, as
sparse products leave and take them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Protocol, Self

import numpy as np
from numpy.typing import DTypeLike
from scipy.sparse import csr_array, issparse

from ..._typing import Bools, Floats, Ints, Table

ZERO, ONE, MISSING = range(3)  # codes of entries
LARGE = 2.0**80  # nats from which on values are added up apart, lest they cost the others digits
COLUMNS_PER_PATTERN = {
    2: 8,
    3: 5,
}  # by the number of codes: 256 patterns, or 243 with missing entries


class BinaryRows(Protocol):
    """The verbs of a block of n rows of d columns."""

    def row_sums(
        self, one: Floats, zero: Floats, missing: Floats | None = None, base: Floats | float = 0.0
    ) -> Floats:
        """Add up what the entries of each row are worth, (K, d) to (K, n), on top of a base."""
        ...

    def column_sums(self, w: Floats) -> tuple[Floats, Floats]:
        """Add up the weights of ones and of zeros in each column, (K, n) to twice (K, d)."""
        ...

    def filled(self, value: Floats) -> Table:
        """Rows (n, d) of zeros and ones, with a value for each column in place of missing entries."""
        ...

    def codes(self) -> Ints:
        """The code of every entry, (n, d): a dense array."""
        ...


def binary_rows(X: Table, threshold: float) -> BinaryRows:
    """Rows (n, d), dense or CSR: entries above the threshold are ones, NaN is missing."""
    return SparseRows.of(X, threshold) if issparse(X) else PackedRows.of(X, threshold)


def _above(values: Floats, threshold: float) -> Bools:
    with np.errstate(over="ignore"):  # a threshold may be larger than all numbers of this type
        return values > threshold


@cache
def _dictionary(n_codes: int) -> Ints:
    """All patterns of neighboring columns, (number of patterns, columns), a code each."""
    width = COLUMNS_PER_PATTERN[n_codes]
    return np.arange(n_codes**width)[:, None] // n_codes ** np.arange(width) % n_codes


@cache
def _indicators(n_codes: int) -> Floats:
    """1.0 where a pattern has a code in a column, (number of patterns, codes * columns)."""
    codes = _dictionary(n_codes)[:, None, :] == np.arange(n_codes)[:, None]
    return np.asarray(codes.reshape(len(codes), -1).astype(np.float64))


@dataclass(frozen=True, eq=False)
class PackedRows:
    """Dense rows, eight columns at a time: which of the 256 patterns each eight of them have.

    What a row of eight columns adds to a sum over columns is looked up in a table of all patterns,
    and sums over rows are kept for each pattern before they are divided among its columns: an eighth
    of the additions, and of the memory. With missing entries, patterns have five columns.

    Attributes
    ----------
    patterns : csr_array of shape (n, groups * n_patterns)
        1.0 at the pattern of each group of columns.
    d : int
        Columns; the last group may be filled up.
    n_codes : int
        2, or 3 if there are missing entries.
    """

    patterns: csr_array
    d: int
    n_codes: int

    @classmethod
    def of(cls, X: Floats, threshold: float) -> Self:
        """Pack rows (n, d) of numbers."""
        ones = _above(X, threshold)
        missing = np.isnan(X) if X.dtype.kind == "f" else np.zeros(0, dtype=bool)
        if missing.any():
            packed, n_codes = _packed(ones + np.uint8(MISSING) * missing), 3
        else:
            packed, n_codes = np.packbits(ones, axis=1, bitorder="little"), 2
        n, groups = packed.shape
        n_patterns = len(_dictionary(n_codes))
        index = packed + np.arange(0, groups * n_patterns, n_patterns, dtype=np.int32)
        start = np.arange(0, index.size + 1, groups, dtype=np.int32)
        entries = (np.ones(index.size), index.ravel(), start)
        patterns = csr_array(entries, shape=(n, groups * n_patterns))
        return cls(patterns, X.shape[1], n_codes)

    def row_sums(
        self, one: Floats, zero: Floats, missing: Floats | None = None, base: Floats | float = 0.0
    ) -> Floats:
        by_code = (zero, one, np.zeros_like(one) if missing is None else missing)[: self.n_codes]
        grouped = np.concatenate([self._grouped(value) for value in by_code], axis=1)
        table = _indicators(self.n_codes) @ grouped
        table[0] += base  # every row has one pattern in the first group
        values = table.reshape(-1, len(one)).astype(self.patterns.dtype, copy=False)
        sums: Floats = self.patterns @ values
        return sums.T

    def column_sums(self, w: Floats) -> tuple[Floats, Floats]:
        indicators = _indicators(self.n_codes)
        sums: Floats = self.patterns.T @ np.ascontiguousarray(w.T)
        by_pattern = sums.reshape(-1, len(indicators), len(w))
        by_code = indicators.T @ by_pattern.astype(np.float64, copy=False)
        zeros, ones = np.split(by_code, self.n_codes, axis=1)[:2]
        return self._ungrouped(ones), self._ungrouped(zeros)

    def codes(self) -> Ints:
        dictionary = _dictionary(self.n_codes)
        index: Ints = self.patterns.indices.reshape(self.patterns.shape[0], -1) % len(dictionary)
        return dictionary[index].reshape(len(index), -1)[:, : self.d]

    def filled(self, value: Floats) -> Floats:
        codes = self.codes()
        return np.where(codes == MISSING, value, codes == ONE)

    def _grouped(self, value: Floats) -> Floats:
        """(K, d) as (groups, columns in a group, K), filled up with zeros."""
        columns = _dictionary(self.n_codes).shape[1]
        full = np.zeros((-(-self.d // columns) * columns, len(value)))
        full[: self.d] = value.T
        return full.reshape(-1, columns, len(value))

    def _ungrouped(self, value: Floats) -> Floats:
        """(groups, columns in a group, K) as (K, d)."""
        return value.reshape(-1, value.shape[2])[: self.d].T


def _packed(codes: Ints) -> Ints:
    """The pattern of each group of columns of three codes, (n, d) to (n, groups)."""
    columns = COLUMNS_PER_PATTERN[3]
    n, d = codes.shape
    full = np.zeros((n, -(-d // columns) * columns), dtype=np.uint8)
    full[:, :d] = codes
    packed: Ints = full.reshape(n, -1, columns) @ (3 ** np.arange(columns)).astype(np.uint8)
    return packed


@dataclass(frozen=True, eq=False)
class SparseRows:
    """Sparse rows, of which only ones and missing entries are kept.

    Attributes
    ----------
    ones : csr_array of shape (n, d)
        1.0 at each one.
    missing : csr_array of shape (n, d), or None
        1.0 at each missing entry; None if there is none.
    """

    ones: csr_array
    missing: csr_array | None = None

    @classmethod
    def of(cls, X: csr_array, threshold: float) -> Self:
        """Keep ones of CSR rows (n, d) without duplicate entries; what is not stored is a zero."""
        absent = np.isnan(X.data) if X.data.dtype.kind == "f" else np.zeros(0, dtype=bool)
        missing = _indicator(X, absent) if absent.any() else None
        return cls(_indicator(X, _above(X.data, threshold)), missing)

    def row_sums(
        self, one: Floats, zero: Floats, missing: Floats | None = None, base: Floats | float = 0.0
    ) -> Floats:
        by_code = (one, zero, np.zeros_like(one) if missing is None else missing)
        large = [np.where(np.abs(value) < LARGE, 0.0, value) for value in by_code]
        if not any(value.any() for value in large):
            return self._row_sums(by_code, base)
        small = [value - far for value, far in zip(by_code, large, strict=True)]
        return self._row_sums(small, base) + self._row_sums(large, 0.0)

    def _row_sums(self, by_code: Sequence[Floats], base: Floats | float) -> Floats:
        """What rows of zeros are worth, and what other codes change in that."""
        one, zero, missing = by_code
        sums: Floats = self.ones @ _columns(one - zero, self.ones.dtype)
        if self.missing is not None:
            sums += self.missing @ _columns(missing - zero, self.ones.dtype)
        sums += (zero.sum(axis=1) + base).astype(sums.dtype, copy=False)
        return sums.T

    def column_sums(self, w: Floats) -> tuple[Floats, Floats]:
        each = np.ascontiguousarray(w.T)
        ones: Floats = (self.ones.T @ each).T.astype(np.float64, copy=False)
        zeros = (w @ np.ones(w.shape[1]))[:, None] - ones  # what remains of the weight
        if self.missing is not None:
            zeros -= (self.missing.T @ each).T
        return ones, np.maximum(zeros, 0.0, out=zeros)

    def codes(self) -> Ints:
        codes: Ints = ONE * self.ones.astype(np.int8).toarray()
        if self.missing is None:
            return codes
        return np.asarray(codes + MISSING * self.missing.astype(np.int8).toarray())

    def filled(self, value: Floats) -> csr_array:
        return self.ones if self.missing is None else self.ones + self.missing * value


def _columns(value: Floats, dtype: DTypeLike) -> Floats:
    """(K, d) as the (d, K) that a sparse product reads row by row."""
    return np.ascontiguousarray(value.T, dtype=dtype)


def _indicator(X: csr_array, where: Bools) -> csr_array:
    """1.0 at some of the stored entries of a CSR table."""
    before = np.concatenate([[0], np.cumsum(where)])
    index, start = (entries.astype(np.int32) for entries in (X.indices[where], before[X.indptr]))
    return csr_array((np.ones(len(index)), index, start), shape=X.shape)
