"""Weighted rows about their mean, in one common unit: dense or sparse, and never all of them at once.

Principal axes are those of V = (X - 1 c') / s. Products with V need no V: V a' = (X a' - c a') / s. That
is how sparse rows stay sparse, and how dense ones save a copy where the centre is not far from zero.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from scipy.sparse import issparse

from .._types import Array
from .frame import Frame

ENTRIES = 1 << 19  # of a slab of rows: 4 MB
NEAR = 1e2  # how often the squared centre may exceed the variance before rows are centred one by one
UNIT = 2.0**200  # scales within this of 1 are taken as 1: squares are safe
PROBE_SEED = 0


def slab_slices(n: int, d: int, at_least: int = 64, entries: int = ENTRIES) -> list[slice]:
    """Consecutive slices of rows that make slabs."""
    size = max(at_least, min(8192, entries // max(d, 1)))
    return [slice(start, min(start + size, n)) for start in range(0, n, size)]


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
    centre: Array | None
    weight: Array

    def project(self, axes: Array) -> Array:
        """Multiply by axes (k, d): axes V', (k, b)."""
        found: Array = (self.body @ axes.T).T if issparse(self.body) else axes @ self.body.T
        return found if self.centre is None else found - (axes @ self.centre)[:, None]

    def gather(self, R: Array) -> Array:
        """Add up rows with coefficients R (k, b): R V, (k, d)."""
        found: Array = (self.body.T @ R.T).T if issparse(self.body) else R @ self.body
        return found if self.centre is None else found - R.sum(axis=1)[:, None] * self.centre

    def squares(self) -> Array:
        """|v|^2 of each row, (b,)."""
        if issparse(self.body):
            own = np.asarray(self.body.multiply(self.body).sum(axis=1)).ravel()
        else:
            own = np.einsum("bd,bd->b", self.body, self.body)
        if self.centre is None:
            return own
        cross = self.body @ self.centre
        return np.maximum(own - 2.0 * cross + self.centre @ self.centre, 0.0)

    def dense(self) -> Array:
        """The rows V themselves, (b, d); a new array if a centre has to be subtracted."""
        body = self.body.toarray() if issparse(self.body) else self.body
        return body if self.centre is None else body - self.centre


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
    implicit : bool
        Whether the centre is left in the rows and taken out of products instead.
    probe : ndarray of shape (n,)
        The rows along one direction, the same for all data of that width: an order of the rows that
        their content decides.
    """

    def __init__(
        self,
        X: Any,
        share: Array,
        centre: Array,
        mean: Array,
        scale: float,
        implicit: bool,
        probe: Array,
    ) -> None:
        self.X, self.share, self.centre, self.mean, self.scale = X, share, centre, mean, scale
        self.implicit, self.probe = implicit, probe
        self.slices = slab_slices(*X.shape)

    @classmethod
    def of(cls, X: Any, share: Array, total: Callable[..., Any]) -> "CentredRows":
        """Find centre and scale. ``total(function, items)`` adds a function of slices up.

        The scale is 1, or a power of two where squares could leave the range of floating point.
        The centre is NaN or infinite if an entry of X is.
        """
        n, d = X.shape
        direction = np.random.RandomState(PROBE_SEED).uniform(-1.0, 1.0, d) / d
        probe = np.empty(n)

        def look(rows: slice) -> Array:
            block = _body(X, rows)
            probe[rows] = block @ direction
            sums: Array = block.T @ share[rows] if issparse(block) else share[rows] @ block
            return sums

        with np.errstate(all="ignore"):
            centre = total(look, slab_slices(n, d))
            # The variance along a random direction, its entries of variance 1 / (3 d^2), tells the
            # order of magnitude of the total variance.
            size = _deviation(probe, share) * np.sqrt(3.0) * d
            far = np.linalg.norm(centre / size)
        scale = _power_of_two(size / np.sqrt(d))
        implicit = bool(scale == 1.0 and far**2 < NEAR)
        mean = np.zeros(d)
        if not implicit:  # the centre is rounded in its own size, what is left in that of the rows
            gap = partial(_left, X, share, centre, scale)
            mean = total(gap, slab_slices(n, d))
        return cls(X, share, centre, mean, scale, implicit, probe)

    @property
    def shape(self) -> tuple[int, int]:
        n, d = self.X.shape
        return n, d

    @property
    def frame(self) -> Frame:
        """The standard units of V."""
        d = len(self.centre)
        return Frame(self.centre, np.full(d, self.scale), np.ones(d), np.ones(d, dtype=bool))

    def __len__(self) -> int:
        return len(self.slices)

    def __getitem__(self, i: Any) -> Any:
        return self.slab(self.slices[i])

    def slab(self, rows: slice | Array, *, implicit: bool | None = None) -> Slab:
        """Some rows; ``implicit=False`` asks for them centred one by one."""
        body, weight = _body(self.X, rows), self.share[rows]
        if self.implicit if implicit is None else implicit:
            return Slab(body, self.centre, weight)
        V = _standard(body, self.centre, self.scale)
        if self.mean.any():
            V -= self.mean
        return Slab(V, None, weight)

    def representatives(self, size: int) -> Array:
        """Positions of ``size`` rows, evenly spread by weight along the probe.

        Neither the order of rows nor copies in place of weights change which rows these are.
        """
        order = np.argsort(self.probe, kind="stable")
        mass = np.cumsum(self.share[order])
        points = (np.arange(size) + 0.5) / size * mass[-1]
        return order[np.minimum(np.searchsorted(mass, points), len(order) - 1)]

    def long_side(self) -> Iterator[Array]:
        """The rows sqrt(share) V, or the columns if these are more, in pieces (m, min(n, d))."""
        n, d = self.shape
        root = np.sqrt(self.share)
        if n >= d:
            for rows in slab_slices(n, d, at_least=2 * d):
                yield self.slab(rows, implicit=False).dense() * root[rows, None]
            return
        X = self.X.tocsc() if issparse(self.X) else self.X
        for columns in slab_slices(d, n, at_least=2 * n):
            body = _body(X, (slice(None), columns))
            V = _standard(body, self.centre[columns], self.scale) - self.mean[columns]
            yield (V * root[:, None]).T


def _body(X: Any, rows: Any) -> Any:
    return X[rows].astype(np.float64, copy=False)


def _standard(body: Any, centre: Array, scale: float) -> Array:
    """(x - centre) / scale of rows, as a new array."""
    V: Array = (body.toarray() if issparse(body) else body) - centre
    if scale != 1.0:
        V /= scale
    return V


def _left(X: Any, share: Array, centre: Array, scale: float, rows: slice) -> Array:
    """What rows add to the mean of (x - centre) / scale."""
    mean: Array = share[rows] @ _standard(_body(X, rows), centre, scale)
    return mean


def _deviation(values: Array, share: Array) -> Any:
    """The weighted standard deviation of numbers of any size."""
    gaps = values - share @ values
    reach = np.abs(gaps).max()
    return reach * np.sqrt(share @ (gaps / reach) ** 2) if reach > 0.0 else reach


def _power_of_two(size: float) -> float:
    """1 where that will do, else the power of two next to a size."""
    if size == 0.0 or 1.0 / UNIT < size < UNIT:
        return 1.0
    return float(2.0 ** np.clip(np.rint(np.log2(size)), -1000, 1000))
