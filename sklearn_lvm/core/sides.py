"""The units in which models of coins compute: on which side of a threshold an entry is."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._typing import Array
from .frame import on_disk
from .rows import WeightedSet, canonical, subsample_by_key
from .tosses import Tosses, tosses

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

    def enter(self, X: Any) -> Tosses:
        """Rows (n, d) as a block of tosses."""
        return tosses(X, self.threshold)

    def leave(self, Z: Array) -> Array:
        """Rows of zeros and ones are what they are."""
        return Z

    def keeps(self, X: Any) -> bool:
        """Whether blocks of tosses are kept: they are small, but those on disk are left there."""
        return not on_disk(X)

    def merged(self, X: Any, w: Array, slices: Sequence[slice]) -> tuple[Any, Array]:
        """The rows to climb on: equal rows are one, of their summed weight, where many are equal.

        Few rows are always merged, and come in an order that their content decides; many rows on
        disk never are, for what is left of them might not fit into memory.
        """
        n, d = X.shape
        if n > PROBE and on_disk(X):
            return X, w
        probe = _codes(self.enter(X[:: -(-n // PROBE)]), d)
        if n > PROBE and len(np.unique(probe, axis=0)) == len(probe):
            return X, w
        codes = np.concatenate([_codes(self.enter(X[rows]), d) for rows in slices])
        rows = canonical(codes, w)
        worth = n <= PROBE or 2 * len(rows) <= n
        return (X[rows.index], rows.weight) if worth else (X, w)

    def distinct(
        self, X: Any, w: Array, blocks: Iterable[tuple[Tosses, Array]], size: int
    ) -> WeightedSet:
        """About ``size`` distinct rows of ones, zeros and holes, with their weights."""
        d = X.shape[1]
        return subsample_by_key(np.concatenate([_codes(Z, d) for Z, _ in blocks]), w, size)

    def split(self, Z: Tosses, w: Array, slices: Sequence[slice]) -> list[tuple[Tosses, Array]]:
        """One block: tosses are small."""
        return [(Z, w)]

    def points(self, Z: Tosses, w: Array) -> Any:
        """Rows (n, d) for clustering, sparse if they came so; a hole is the mean of its column."""
        ones, zeros = Z.add_up(w[None])
        seen = ones + zeros
        return Z.filled(np.divide(ones, seen, where=seen > 0, out=np.full(seen.shape, 0.5))[0])


def _codes(block: Tosses, d: int) -> Array:
    """Numbers that equal rows share and others do not, (n, N_CODES).

    Each is the sum of random integers, one for each one and each hole, small enough to add up
    exactly: dense and sparse rows, in whatever blocks, have the same codes.
    """
    most = 1 << (EXACT_BITS - d.bit_length())
    one, hole = np.random.RandomState(0).randint(1, most, size=(2, N_CODES, d)).astype(np.float64)
    return np.ascontiguousarray(block.weigh(one, np.zeros_like(one), hole).T)
