"""Weighted rows about their mean, in one common unit: dense or sparse, never all of them at once.

Principal axes are those of V = (X - 1 c') / s. Products with V need no V: V a' = (X a' - c a') / s.
That is how sparse rows stay sparse, and how dense ones save a copy where the centre is near zero.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.sparse import issparse

from .._typing import Array, BlockMap
from .blocks import row_slices
from .standardization import Standardization

ENTRIES = 1 << 19  # of a slab of rows: 4 MB
# How often the squared centre may exceed the variance before rows are centred one by one, where they
# are multiplied, and where they are squared.
NEAR, CLOSE = 1e2, 1.0
GRAM = 1 << 17  # entries of a block of rows that is squared
UNIT = 2.0**200  # scales within this of 1 are taken as 1: squares are safe
GLANCE = 128  # rows that tell how large they are
PROBE_SEED = 0
NEW = hasattr(np, "vecdot")


def is_sparse(body: Any) -> bool:
    """Whether rows are a sparse matrix."""
    return bool(issparse(body))


def row_dot(a: Array, b: Array) -> Array:
    """Inner products of rows, (b, d) and (b, d) -> (b,); NumPy 2 has a faster way."""
    return np.asarray(np.vecdot(a, b) if NEW else np.einsum("bd,bd->b", a, b))


def slab_slices(n: int, d: int, at_least: int = 64, entries: int = ENTRIES) -> list[slice]:
    """Consecutive slices of rows that make slabs."""
    return list(row_slices(n, d, entries, at_least=at_least, at_most=8192))


@dataclass(frozen=True, eq=False)
class Slab:
    """Some rows V = B - 1 c', of which B and c are kept, and their weights.

    Attributes
    ----------
    body : ndarray or CSR matrix of shape (b, d)
    centre : ndarray of shape (d,) or None
        None where it is already subtracted.
    weight : ndarray of shape (b,)
    """

    body: Any
    center: Array | None
    weight: Array

    def project(self, axes: Array) -> Array:
        """Multiply by axes (k, d): axes V', (k, b)."""
        found: Array = (self.body @ axes.T).T if is_sparse(self.body) else axes @ self.body.T
        return found if self.center is None else found - (axes @ self.center)[:, None]

    def gather(self, R: Array) -> Array:
        """Add up rows with coefficients R (k, b): R V, (k, d)."""
        found: Array = (self.body.T @ R.T).T if is_sparse(self.body) else R @ self.body
        return found if self.center is None else found - R.sum(axis=1)[:, None] * self.center

    def form(self, axes: Array) -> Array:
        """sum_i w_i (axes v_i) (axes v_i)', (k, k)."""
        y = self.project(axes)
        return (y * self.weight) @ y.T

    def gram(self) -> Array:
        """sum_i w_i b_i b_i' of the rows as they are kept, (d, d)."""
        w, body = self.weight, self.body
        if is_sparse(body):
            found: Array = (body.multiply(w[:, None]).T @ body).toarray()
        elif (w == w[0]).all():
            found = body.T @ body
            found *= w[0]
        else:
            root = body * np.sqrt(w)[:, None]
            found = root.T @ root
        return found

    def squares(self) -> Array:
        """|v|^2 of each row, (b,)."""
        if is_sparse(self.body):
            own = np.asarray(self.body.multiply(self.body).sum(axis=1)).ravel()
        else:
            own = row_dot(self.body, self.body)
        if self.center is None:
            return own
        cross = self.body @ self.center
        return np.maximum(own - 2.0 * cross + self.center @ self.center, 0.0)

    def dense(self) -> Array:
        """The rows V themselves, (b, d); a new array if a centre has to be subtracted."""
        body = self.body.toarray() if is_sparse(self.body) else self.body
        return body if self.center is None else body - self.center


class CentredRows(Sequence[Slab]):
    """All rows as a sequence of slabs, with weights that sum to one.

    Parameters
    ----------
    X : ndarray or CSR matrix of shape (n, d)
    share : ndarray of shape (n,)
        Weights of sum 1.
    centre : ndarray of shape (d,)
    mean : ndarray of shape (d,)
        The mean of (x - centre) / scale, all but zero, which is subtracted too.
    scale : float
    remote : float
        How large the squared centre is beside the total variance, about. Where it is moderate the
        centre is left in the rows and taken out of products instead; infinite where it is not.
    """

    def __init__(
        self,
        X: Any,
        share: Array,
        center: Array,
        mean: Array,
        scale: float,
        remote: float,
    ) -> None:
        self.X, self.share, self.center, self.mean, self.scale = X, share, center, mean, scale
        self.remote = remote
        self.slices = slab_slices(*X.shape)

    @classmethod
    def of(cls, X: Any, share: Array, block_map: BlockMap) -> "CentredRows":
        """Find centre and scale.

        The scale is 1, or a power of two where squares could leave the range of floating point.
        The centre is NaN or infinite if an entry of X is.
        """
        n, d = X.shape
        slices = slab_slices(n, d)
        with np.errstate(all="ignore"):
            sums = np.stack(block_map.map(partial(_sum, X, share), slices))
            center = sums.sum(axis=0)
            mass = np.add.reduceat(share, [rows.start for rows in slices])
            glance = _standard(_body(X[:: -(-n // GLANCE)], ...), center, 1.0)
            # A row out of all proportion shows in the mean of its slab.
            size = max(np.abs(glance).max(), np.abs(sums / mass[:, None] - center).max())
            total = (((glance / size) ** 2).sum()) / len(glance)
            remote = float(((center / size) ** 2).sum() / total)
        scale = _power_of_two(size)
        near = scale == 1.0 and remote < NEAR
        rows = cls(X, share, center, np.zeros(d), scale, remote if near else np.inf)
        return rows if near or not np.isfinite(size) else rows.refined(block_map)

    def refined(self, block_map: BlockMap) -> "CentredRows":
        """The same rows, about their mean to the last digit, and centred one by one.

        The centre is rounded in its own size, what is left of the mean in that of the rows.
        """
        left = partial(_left, self.X, self.share, self.center, self.scale)
        mean = np.sum(block_map.map(left, self.slices), axis=0)
        return CentredRows(self.X, self.share, self.center, mean, self.scale, np.inf)

    @property
    def shape(self) -> tuple[int, int]:
        n, d = self.X.shape
        return n, d

    @property
    def standardization(self) -> Standardization:
        """The standard units of V."""
        d = len(self.center)
        return Standardization(
            self.center, np.full(d, self.scale), np.ones(d), np.zeros(d, dtype=bool)
        )

    @property
    def stored(self) -> int:
        """How many entries are kept."""
        return int(self.X.nnz if is_sparse(self.X) else self.X.size)

    @property
    def grain(self) -> Array:
        """How finely features are given, in standard units, (d,)."""
        rounding: Array = np.abs(self.center) * (4 * np.finfo(np.float64).eps / self.scale)
        return rounding

    def __len__(self) -> int:
        return len(self.slices)

    def __getitem__(self, i: Any) -> Any:
        return self.slab(self.slices[i])

    def slab(self, rows: slice | Array, near: float = NEAR) -> Slab:
        """Some rows, centred one by one unless the centre is near; ``near=0`` insists on it."""
        body, weight = _body(self.X, rows), self.share[rows]
        if self.remote < near:
            return Slab(body, self.center, weight)
        V = _standard(body, self.center, self.scale)
        if self.mean.any():
            V -= self.mean
        return Slab(V, None, weight)

    def covariance(self, block_map: BlockMap) -> Array:
        """sum_i share_i v_i v_i', (d, d)."""
        pieces = slab_slices(*self.shape, at_least=self.shape[1], entries=GRAM)
        matrix = block_map.sum(lambda piece: self.slab(piece, CLOSE).gram(), pieces)
        if self.remote < CLOSE:
            matrix -= np.outer(self.center, self.center)
        return matrix

    def representatives(self, size: int) -> Array:
        """Positions of ``size`` rows, evenly spread by weight along one direction.

        Neither the order of rows nor copies in place of weights change which rows these are: the
        direction is the same for all data of this width.
        """
        direction = np.random.RandomState(PROBE_SEED).uniform(-1.0, 1.0, self.shape[1])
        order = np.argsort(self.X @ (direction / self.shape[1]), kind="stable")
        mass = np.cumsum(self.share[order])
        points = (np.arange(size) + 0.5) / size * mass[-1]
        return order[np.minimum(np.searchsorted(mass, points), len(order) - 1)]

    def long_side(self) -> Iterator[Array]:
        """The rows sqrt(share) V, or the columns if these are more, in pieces (m, min(n, d))."""
        n, d = self.shape
        root = np.sqrt(self.share)
        if n >= d:
            for rows in slab_slices(n, d, at_least=2 * d):
                yield self.slab(rows, near=0.0).dense() * root[rows, None]
            return
        X = self.X.tocsc() if is_sparse(self.X) else self.X
        for columns in slab_slices(d, n, at_least=2 * n):
            body = _body(X, (slice(None), columns))
            V = _standard(body, self.center[columns], self.scale) - self.mean[columns]
            yield (V * root[:, None]).T


def _body(X: Any, rows: Any) -> Any:
    return X[rows].astype(np.float64, copy=False)


def _standard(body: Any, center: Array | float, scale: float) -> Array:
    """(x - centre) / scale of rows, as a new array."""
    V: Array = (body.toarray() if is_sparse(body) else body) - center
    if scale != 1.0:
        V /= scale
    return V


@np.errstate(all="ignore")
def _sum(X: Any, share: Array, rows: slice) -> Array:
    """The weighted sum of rows."""
    body = _body(X, rows)
    return np.asarray(body.T @ share[rows] if is_sparse(body) else share[rows] @ body)


def _left(X: Any, share: Array, center: Array, scale: float, rows: slice) -> Array:
    """What rows add to the mean of (x - centre) / scale."""
    mean: Array = share[rows] @ _standard(_body(X, rows), center, scale)
    return mean


def _power_of_two(size: float) -> float:
    """1 where that will do, else the power of two next to a size."""
    if size == 0.0 or 1.0 / UNIT < size < UNIT:
        return 1.0
    return float(2.0 ** np.clip(np.rint(np.log2(size)), -1000, 1000))
