"""Binarization: entries above a threshold are ones; and the tables that it is applied to."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np

from ..._typing import Floats, Hashes, Ints, Table
from ..blocks import on_disk
from ..rows import RowSource, canonical, key_hashes
from .binary_rows import BinaryRows, binary_rows
from .counts import Counts

PROBE_ROWS = 2048  # rows of which some are equal if many are
N_KEYS = 3  # numbers that tell one row from another: 100 bits and more
EXACT_BITS = 52  # integers of fewer bits add up without rounding
MAX_COPIES = 64  # of a row that are drawn one by one; of more, a share is


@dataclass(frozen=True)
class Binarization:
    """Entries above a threshold are ones, others zeros; NaN is missing.

    Log-probabilities need no Jacobian, and sampled rows are zeros and ones already.
    """

    threshold: float

    def of_features(self, features: Ints) -> Self:
        """The same map of some of the columns."""
        return self

    @property
    def log_jacobian(self) -> float:
        """0: probabilities do not depend on units."""
        return 0.0

    def log_jacobians(self, X: Table) -> Floats:
        """0 for each row, (n,)."""
        return np.zeros(X.shape[0])

    def transform(self, X: Table) -> BinaryRows:
        """Rows (n, d), dense or CSR, as a block of binary rows."""
        return binary_rows(X, self.threshold)

    def inverse_transform(self, Z: Floats) -> Floats:
        """Rows of zeros and ones, as they are."""
        return Z


@dataclass(frozen=True)
class DenseBinarization:
    """Binarization to dense arrays of zeros, ones and NaN, for models that take numbers."""

    threshold: float
    n_features: int

    @property
    def log_jacobian(self) -> float:
        """0: probabilities do not depend on units."""
        return 0.0

    @property
    def scale(self) -> Floats:
        """Ones, (d,): zeros and ones have no units."""
        return np.ones(self.n_features)

    def transform(self, X: Floats) -> Floats:
        """Zeros and ones, feature-major: (n, d) -> (d, n)."""
        return np.where(np.isnan(X), np.nan, self.threshold < X).T

    def inverse_transform(self, Z: Floats) -> Floats:
        """Rows of zeros and ones, as they are."""
        return Z


class BinaryRowSource(RowSource):
    """The rows of a table of ones, zeros and missing entries, many of which may be equal."""

    def merged(self) -> Self:
        """The rows to fit to: equal rows are one, of their summed weight, where many are equal.

        Few rows are always merged, and come in an order that their content decides; many rows on
        disk never are, for what is left of them might not fit into memory.
        """
        (n, d), X = self.X.shape, self.X
        if n > PROBE_ROWS and on_disk(X):
            return self
        probe = _row_keys(self.transformation.transform(X[:: -(-n // PROBE_ROWS)]), d)
        if n > PROBE_ROWS and len(np.unique(probe, axis=0)) == len(probe):
            return self
        rows = canonical(self.keys, self.w)
        worth = n <= PROBE_ROWS or 2 * len(rows) <= n
        if not worth:
            return self
        return replace(self, X=X[rows.index], w=rows.weight, weight_unit=self.unit)

    @cached_property
    def keys(self) -> Floats:
        """Numbers that equal rows share and others do not, (n, N_KEYS)."""
        return np.concatenate([_row_keys(rows, self.X.shape[1]) for rows, _ in self.streamed])

    @cached_property
    def hashes(self) -> Hashes:
        """Hashes of the rows, (n,)."""
        return key_hashes(self.keys)

    def drawn(self, share: float, seed: int) -> Floats:
        """The weight of each row in about this share of the observations.

        Patterns come again: each copy is drawn on its own, and so is each unit of a row's weight.
        """
        shares = _shares_of_copies(self.w / self.unit, share, np.random.RandomState(seed))
        return self.w * shares

    def points(self) -> Table:
        """Rows (n, d) for clustering, sparse if they came so; missing entries are column means."""
        return self.block.filled(Counts.of(self.block, self.w[None]).share_of_ones[0])


def _shares_of_copies(n_copies: Floats, share: float, rng: np.random.RandomState) -> Floats:
    """Which share of the copies of each row is drawn, one by one unless they are very many."""
    whole = np.maximum(np.rint(n_copies), 1.0)
    drawn = np.zeros(len(whole))
    for copy in range(int(min(whole.max(initial=0.0), MAX_COPIES))):
        drawn += (copy < whole) & (rng.random_sample(len(whole)) < share)
    return np.where(whole > MAX_COPIES, np.rint(share * whole) / whole, drawn / whole)


def _row_keys(block: BinaryRows, d: int) -> Floats:
    """Numbers that equal rows share and others do not, (n, N_KEYS).

    Each is the sum of random integers, one for each one and each missing entry, small enough to add
    up exactly: dense and sparse rows, in whatever blocks, have the same keys.
    """
    most = 1 << (EXACT_BITS - d.bit_length())
    one, missing = np.random.RandomState(0).randint(1, most, size=(2, N_KEYS, d)).astype(np.float64)
    return np.ascontiguousarray(block.row_sums(one, np.zeros_like(one), missing).T)
