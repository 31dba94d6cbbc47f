"""Tables of coin tosses: heads, tails and entries that nobody saw, dense or sparse alike."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.sparse import csr_array, issparse

from .._types import Array
from .frame import on_disk
from .rows import WeightedSet, subsample_by_key

KEPT_BYTES = 1 << 28  # tables that grow no larger than this are kept as they are multiplied
N_CODES = 3  # numbers that tell one row from another: 100 bits and more


@dataclass(frozen=True, eq=False)
class Tosses:
    """A block of rows as two indicator matrices, feature-major (d, n).

    Attributes
    ----------
    ones : ndarray or sparse array of shape (d, n)
        1.0 where a one was seen.
    holes : ndarray or sparse array of shape (d, n), or None
        1.0 where nothing was seen; None if everything was.
    """

    ones: Any
    holes: Any = None

    @classmethod
    def of(cls, X: Any, threshold: float) -> "Tosses":
        """Rows (n, d), dense or CSR: above the threshold is a one, NaN was not observed."""
        return _sparse(X, threshold) if issparse(X) else _dense(X, threshold)

    def zeros_under(self, w: Array) -> Array:
        """The summed weight of zeros, (K, d); of dense rows without any cancellation."""
        if issparse(self.ones):
            zeros = w.sum(axis=1)[:, None] - w @ self.seen_as_ones_or_holes.T
            return np.maximum(zeros, 0.0)
        return w @ (1.0 - self.seen_as_ones_or_holes).T

    def masks(self) -> tuple[Array, Array]:
        """Ones and holes as dense arrays of booleans; the holes may be a single False."""
        ones, holes = (
            part.toarray() if issparse(part) else part for part in (self.ones, self.holes)
        )
        return ones > 0, np.zeros(1, dtype=bool) if holes is None else holes > 0

    @property
    def seen_as_ones_or_holes(self) -> Any:
        """1.0 wherever there is no zero, (d, n)."""
        return self.ones if self.holes is None else self.ones + self.holes


def _dense(X: Array, threshold: float) -> Tosses:
    ones = np.greater(X.T, threshold, out=np.empty(X.shape[::-1]))
    missing = np.isnan(X.T) if X.dtype.kind == "f" else np.zeros(0)
    return Tosses(ones, np.ascontiguousarray(missing, float) if missing.any() else None)


def _sparse(X: Any, threshold: float) -> Tosses:
    missing = np.isnan(X.data) if X.data.dtype.kind == "f" else np.zeros(0)
    holes = _indicator(X, missing).T if missing.any() else None
    return Tosses(_indicator(X, X.data > threshold).T, holes)


def _indicator(X: Any, where: Array) -> Any:
    """1.0 at some of the stored entries of a CSR table."""
    if where.all():
        return csr_array((np.ones(len(where)), X.indices, X.indptr), shape=X.shape)
    before = np.concatenate([[0], np.cumsum(where)])
    return csr_array(
        (np.ones(before[-1]), X.indices[where], before[X.indptr].astype(X.indptr.dtype)),
        shape=X.shape,
    )


@dataclass(frozen=True)
class Sides:
    """Which side of its coin an entry is: the units in which models of coins compute.

    A one is an entry above the threshold. Log-probabilities need no Jacobian, and rows come back as
    zeros and ones.
    """

    threshold: float
    log_jacobian: float = 0.0

    def enter(self, X: Any) -> Tosses:
        """Rows (n, d) as tosses (d, n)."""
        return Tosses.of(X, self.threshold)

    def leave(self, Z: Array) -> Array:
        """Rows of zeros and ones are what they are."""
        return Z

    def keeps(self, X: Any) -> bool:
        """Whether blocks are kept, or made anew from small entries at each look."""
        return not on_disk(X) and (issparse(X) or 8 * X.size <= max(KEPT_BYTES, X.nbytes))

    def distinct(
        self, X: Any, w: Array, blocks: Iterable[tuple[Tosses, Array]], size: int
    ) -> WeightedSet:
        """About ``size`` distinct rows of zeros, ones and holes, with their weights."""
        return subsample_by_key(np.concatenate([_codes(Z) for Z, _ in blocks]), w, size)

    def points(self, tosses: Tosses, w: Array) -> Any:
        """Rows (n, d) for clustering, sparse if they came so; a hole is the mean of its column."""
        if tosses.holes is None:
            return tosses.ones.T
        ones, holes = (w @ part.T for part in (tosses.ones, tosses.holes))
        seen = w.sum() - holes
        mean = np.where(seen > 0, ones / np.where(seen > 0, seen, 1.0), 0.5)
        return (tosses.ones + tosses.holes * mean[:, None]).T


def _codes(tosses: Tosses) -> Array:
    """Numbers that equal rows share and others do not, (n, N_CODES).

    Each is the sum of random integers, one for each one and each hole: small enough to be exact in
    floating point, so that dense and sparse rows, in whatever blocks, have the same codes.
    """
    d = tosses.ones.shape[0]
    most = 1 << (51 - d.bit_length())
    drawn = (
        np.random.RandomState(d % (1 << 32)).randint(1, most, size=(2, N_CODES, d)).astype(float)
    )
    codes = drawn[0] @ tosses.ones
    if tosses.holes is not None:
        codes += drawn[1] @ tosses.holes
    return np.ascontiguousarray(codes.T)
