"""The units in which models of coins compute: on which side of a threshold an entry is."""

from dataclasses import dataclass, replace

import numpy as np

from ..._typing import Array, Floats, Table
from ..blocks import on_disk
from ..rows import RowSource, WeightedSet, canonical, subsample_by_key
from .binary_rows import Tosses, tosses

PROBE = 2048  # rows of which some are equal if many are
N_CODES = 3  # numbers that tell one row from another: 100 bits and more
EXACT_BITS = 52  # integers of fewer bits add up without rounding


@dataclass(frozen=True)
class Sides:
    """A one is an entry above the threshold.

    Log-probabilities need no Jacobian, and rows come back as zeros and ones.
    """

    threshold: float
    log_jacobian: float = 0.0

    def transform(self, X: Table) -> Tosses:
        """Rows (n, d) as a block of tosses."""
        return tosses(X, self.threshold)

    def inverse_transform(self, Z: Floats) -> Floats:
        """Rows of zeros and ones are what they are."""
        return Z


@dataclass(frozen=True, eq=False)
class Threshold:
    """Entries above a threshold are ones, others zeros; what was not observed stays NaN."""

    level: float
    scale: Array

    @classmethod
    def at(cls, level: float, n_features: int) -> "Threshold":
        """The threshold for so many features; ones and zeros have no units."""
        return cls(level, np.ones(n_features))

    @property
    def log_jacobian(self) -> float:
        """Probabilities do not change with units."""
        return 0.0

    def transform(self, X: Array) -> Array:
        """Zeros and ones, feature-major: (n, d) -> (d, n)."""
        return np.where(np.isnan(X), np.nan, self.level < X).T

    def inverse_transform(self, Z: Array) -> Array:
        """Ones and zeros are what they are."""
        return Z


class BinaryRowSource(RowSource):
    """Rows of ones, zeros and holes, many of which may be equal."""

    def merged(self) -> "BinaryRowSource":
        """The rows to fit to: equal rows are one, of their summed weight, where many are equal.

        Few rows are always merged, and come in an order that their content decides; many rows on
        disk never are, for what is left of them might not fit into memory.
        """
        (n, d), X = self.X.shape, self.X
        if n > PROBE and on_disk(X):
            return self
        probe = _codes(self.transformation.transform(X[:: -(-n // PROBE)]), d)
        if n > PROBE and len(np.unique(probe, axis=0)) == len(probe):
            return self
        rows = canonical(self._all_codes(), self.w)
        worth = n <= PROBE or 2 * len(rows) <= n
        return replace(self, X=X[rows.index], w=rows.weight) if worth else self

    def distinct(self, size: int) -> WeightedSet:
        """About ``size`` distinct rows of ones, zeros and holes, with their weights."""
        return subsample_by_key(self._all_codes(), self.w, size)

    def points(self) -> Table:
        """Rows (n, d) for clustering, sparse if they came so; a hole is the mean of its column."""
        ones, zeros = self.block.add_up(self.w[None])
        seen = ones + zeros
        means = np.divide(ones, seen, where=seen > 0, out=np.full(seen.shape, 0.5))
        return self.block.filled(means[0])

    def _all_codes(self) -> Floats:
        return np.concatenate([_codes(rows, self.X.shape[1]) for rows, _ in self.blocks])


def _codes(block: Tosses, d: int) -> Array:
    """Numbers that equal rows share and others do not, (n, N_CODES).

    Each is the sum of random integers, one for each one and each hole, small enough to add up
    exactly: dense and sparse rows, in whatever blocks, have the same codes.
    """
    most = 1 << (EXACT_BITS - d.bit_length())
    one, hole = np.random.RandomState(0).randint(1, most, size=(2, N_CODES, d)).astype(np.float64)
    return np.ascontiguousarray(block.weigh(one, np.zeros_like(one), hole).T)
