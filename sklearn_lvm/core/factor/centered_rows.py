"""Weighted rows minus their mean, V = (X - 1 c') / s, as a sequence of blocks."""

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TypeVar, overload

import numpy as np

from ..._typing import AnySlice, BlockMap, Floats, Ints, Slice
from ..blocks import row_slices
from ..standardization import Standardization
from .centered_block import RowBlock, Rows, dense, float64, is_sparse

T = TypeVar("T")

BLOCK_ENTRIES = 1 << 19  # numbers in a block of rows: 4 MB
GRAM_ENTRIES = 1 << 17  # numbers in a block of rows whose Gram matrix is formed: 1 MB
MAX_BLOCK_ROWS = 8192
# Squared norm of the center over the total variance, above which each row is centered by itself
# because products of uncentered rows lose digits: where they are projected, and where they are squared.
MAX_PROJECTION_OFFSET, MAX_GRAM_OFFSET = 1e2, 1.0
UNSCALED_LIMIT = (
    2.0**200
)  # sizes from its inverse to it have squares within float64: their scale is 1
PROBE_ROWS = 128  # rows from which the size of all rows is estimated
DIRECTION_SEED = 0  # of the direction along which representative rows are spread


def block_slices(n: int, d: int, at_least: int = 64, entries: int = BLOCK_ENTRIES) -> list[Slice]:
    """Consecutive slices of n rows of d numbers, one for each block."""
    return list(row_slices(n, d, entries, at_least=at_least, at_most=MAX_BLOCK_ROWS))


class CenteredRows(Sequence[RowBlock]):
    """All rows as a sequence of blocks, with weights that sum to one.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n, d)
    share : ndarray of shape (n,)
        Weights of sum 1.
    center : ndarray of shape (d,)
    mean : ndarray of shape (d,)
        The mean of (x - center) / scale: the rounding error of the center, which is subtracted too.
    scale : float
    offset_ratio : float
        The squared norm of the center over the total variance, estimated from a few rows. Blocks stay
        uncentered below a limit of it, and their products are corrected; infinity forces centering.
    block_map : BlockMap
        Where functions of blocks are applied.
    """

    def __init__(
        self,
        X: Rows,
        share: Floats,
        center: Floats,
        mean: Floats,
        scale: float,
        offset_ratio: float,
        block_map: BlockMap,
    ) -> None:
        self.X, self.share, self.center, self.mean, self.scale = X, share, center, mean, scale
        self.offset_ratio, self.block_map = offset_ratio, block_map
        self.slices = block_slices(*self.shape)

    @classmethod
    def of(cls, X: Rows, share: Floats, block_map: BlockMap) -> "CenteredRows":
        """Compute center and scale of weighted rows.

        The scale is 1, or a power of two where squares could leave the range of float64. The center
        is NaN or infinite if an entry of X is.
        """
        n, d = X.shape
        slices = block_slices(n, d)
        with np.errstate(all="ignore"):
            sums = np.stack(block_map.map(partial(_weighted_sum, X, share), slices))
            center = sums.sum(axis=0)
            mass = np.add.reduceat(share, [rows.start for rows in slices])
            probe = _standardized(float64(X[:: -(-n // PROBE_ROWS)]), center, 1.0)
            # An outlier that the probe misses shows in the mean of its block.
            size = max(np.abs(probe).max(), np.abs(sums / mass[:, None] - center).max())
            total = (((probe / size) ** 2).sum()) / len(probe)
            offset_ratio = float(((center / size) ** 2).sum() / total)
        scale = _power_of_two(size)
        near = scale == 1.0 and offset_ratio < MAX_PROJECTION_OFFSET
        rows = cls(
            X, share, center, np.zeros(d), scale, offset_ratio if near else np.inf, block_map
        )
        return rows if near or not np.isfinite(size) else rows.refined()

    def refined(self) -> "CenteredRows":
        """The rows minus their mean to the last digit: each is centered by itself.

        The center has rounding errors relative to its own size; the mean that remains has rounding
        errors relative to the size of the rows.
        """
        residual = partial(_mean_residual, self.X, self.share, self.center, self.scale)
        mean = np.sum(self.block_map.map(residual, self.slices), axis=0)
        return CenteredRows(
            self.X, self.share, self.center, mean, self.scale, np.inf, self.block_map
        )

    @property
    def shape(self) -> tuple[int, int]:
        n, d = self.X.shape
        return n, d

    @property
    def complete(self) -> bool:
        """Whether every entry is a number, none of them missing or infinite."""
        return bool(np.isfinite(self.center).all())

    @property
    def standardization(self) -> Standardization:
        """The affine map from X to V."""
        d = len(self.center)
        return Standardization(
            self.center, np.full(d, self.scale), np.ones(d), np.ones(d, dtype=bool)
        )

    @property
    def stored(self) -> int:
        """The number of entries that X stores."""
        X = self.X
        return int(X.nnz if is_sparse(X) else X.size)

    @property
    def rounding_error(self) -> Floats:
        """The rounding error of each feature on the scale of V, (d,)."""
        error: Floats = np.abs(self.center) * (4 * np.finfo(np.float64).eps / self.scale)
        return error

    def __len__(self) -> int:
        return len(self.slices)

    @overload
    def __getitem__(self, i: int) -> RowBlock: ...
    @overload
    def __getitem__(self, i: AnySlice) -> list[RowBlock]: ...
    def __getitem__(self, i: int | AnySlice) -> RowBlock | list[RowBlock]:
        if isinstance(i, slice):
            return [self.block(rows) for rows in self.slices[i]]
        return self.block(self.slices[i])

    def block(
        self, rows: Slice | Ints, max_offset_ratio: float = MAX_PROJECTION_OFFSET
    ) -> RowBlock:
        """Some of the rows, left uncentered where ``offset_ratio`` is below a limit."""
        body, weight = float64(self.X[rows]), self.share[rows]
        if self.offset_ratio < max_offset_ratio:
            return RowBlock(body, self.center, weight)
        return RowBlock(self._centered(body), None, weight)

    def dense(self, rows: Slice | Ints) -> Floats:
        """Some of the rows V, (b, d)."""
        return self.block(rows, max_offset_ratio=0.0).dense()

    def _centered(self, body: Rows) -> Floats:
        V = _standardized(body, self.center, self.scale)
        if self.mean.any():
            V -= self.mean
        return V

    def sum(self, function: Callable[[RowBlock], T]) -> T:
        """The sum of a function over all blocks."""
        return self.block_map.sum(function, self)

    def total_variance(self) -> float:
        """The trace of the covariance, sum_i share_i |v_i|^2."""
        return float(self.sum(RowBlock.weighted_square))

    def covariance(self) -> Floats:
        """sum_i share_i v_i v_i', (d, d)."""
        slices = block_slices(*self.shape, at_least=self.shape[1], entries=GRAM_ENTRIES)
        matrix = self.block_map.sum(self._gram, slices)
        if self.offset_ratio < MAX_GRAM_OFFSET:
            matrix -= np.outer(self.center, self.center)
        return matrix

    def _gram(self, rows: Slice) -> Floats:
        return self.block(rows, MAX_GRAM_OFFSET).gram()

    def combine(self, coefficients: Floats) -> Floats:
        """Linear combinations of the rows sqrt(share) V with coefficients (k, n): (k, d)."""
        slices = block_slices(*self.shape, at_least=len(coefficients))
        return self.block_map.sum(partial(self._combine_block, coefficients), slices)

    def _combine_block(self, coefficients: Floats, rows: Slice) -> Floats:
        block = self.block(rows)
        return block.project_back(coefficients[:, rows] * np.sqrt(block.weight))

    def representative_rows(self, size: int) -> Ints:
        """Positions of ``size`` rows, evenly spread by weight along one direction.

        The direction depends on the number of features alone. So neither the order of the rows nor
        copies in place of weights change which rows are chosen.
        """
        direction = np.random.RandomState(DIRECTION_SEED).uniform(-1.0, 1.0, self.shape[1])
        order: Ints = np.argsort(self.X @ (direction / self.shape[1]), kind="stable")
        mass = np.cumsum(self.share[order])
        points = (np.arange(size) + 0.5) / size * mass[-1]
        chosen: Ints = order[np.minimum(np.searchsorted(mass, points), len(order) - 1)]
        return chosen

    def tall_blocks(self) -> Iterator[Floats]:
        """The rows of sqrt(share) V, or of its transpose if d > n, in blocks (m, min(n, d))."""
        n, d = self.shape
        root = np.sqrt(self.share)
        if n >= d:
            for rows in block_slices(n, d, at_least=2 * d):
                yield self.dense(rows) * root[rows, None]
            return
        X = self.X.tocsc() if is_sparse(self.X) else self.X
        for columns in block_slices(d, n, at_least=2 * n):
            body = float64(X[:, columns])
            V = _standardized(body, self.center[columns], self.scale) - self.mean[columns]
            yield (V * root[:, None]).T


def _standardized(rows: Rows, center: Floats, scale: float) -> Floats:
    """(x - center) / scale of each row, as a new array."""
    V: Floats = dense(rows) - center
    if scale != 1.0:
        V /= scale
    return V


@np.errstate(all="ignore")
def _weighted_sum(X: Rows, share: Floats, rows: Slice) -> Floats:
    body = float64(X[rows])
    return np.asarray(body.T @ share[rows] if is_sparse(body) else share[rows] @ body)


def _mean_residual(X: Rows, share: Floats, center: Floats, scale: float, rows: Slice) -> Floats:
    """The part of some rows in the mean of (x - center) / scale."""
    residual: Floats = share[rows] @ _standardized(float64(X[rows]), center, scale)
    return residual


def _power_of_two(size: float) -> float:
    """1 if squares of this size are within float64, else the power of two nearest to it.

    Infinity or NaN, of rows that hold such entries or spread beyond float64, stays what it is.
    """
    if not np.isfinite(size):
        return float(size)
    if size == 0.0 or 1.0 / UNSCALED_LIMIT < size < UNSCALED_LIMIT:
        return 1.0
    return float(2.0 ** np.clip(np.rint(np.log2(size)), -1000, 1000))
