"""The spectrum of a covariance: its largest eigenvalues, their axes, and what the others add up to.

Each way of finding it has its price and its digits. A covariance matrix costs n d^2 and holds
eigenvalues to eps lambda_1; the singular values of the centred rows cost more and hold them to
eps^2 lambda_1; products with rows cost little if few axes are asked for and these stand out.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import eigh, qr, svd

from .._typing import Array

EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Eigenvalues and principal axes of a d x d covariance.

    Attributes
    ----------
    mean : ndarray of shape (d,)
    variance : ndarray of shape (k,)
        The k largest eigenvalues, in falling order.
    axes : ndarray of shape (k, d)
        Orthonormal, each with its largest entry positive.
    total : float
        The sum of all d eigenvalues.
    rank : int or None
        How many eigenvalues are not zero; None where that is not known.
    """

    mean: Array
    variance: Array
    axes: Array
    total: float
    rank: int | None = None

    @cached_property
    def known(self) -> bool:
        """Whether no eigenvalue beyond these is other than zero."""
        return self.rank is not None and self.rank <= len(self.variance)

    def rest(self, q: int) -> float:
        """The sum of all eigenvalues but the q largest."""
        if self.known:
            return float(self.variance[q:].sum())
        return max(self.total - float(self.variance[:q].sum()), 0.0)

    def noise(self, q: int) -> float:
        """The mean of all d eigenvalues but the q largest; the smallest of them if q = d."""
        d = len(self.mean)
        below = min(q, d - 1)
        return self.rest(below) / (d - below)

    def resolved(self, q: int, condition: float) -> bool:
        """Whether the noise stands above what rounding leaves at this condition number."""
        largest = float(self.variance[0]) if len(self.variance) else self.total
        return self.noise(q) * condition > largest


def upright(axes: Array) -> Array:
    """Turn axes so that the largest entry of each is positive."""
    if not axes.size:
        return axes
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    return np.ascontiguousarray(axes * np.where(largest < 0, -1.0, 1.0))


def of_covariance(mean: Array, covariance: Array, k: int) -> Spectrum:
    """The k largest eigenvalues of a covariance (d, d)."""
    d = len(mean)
    chosen = None if k == d else [d - k, d - 1]
    variance, axes = eigh(covariance, subset_by_index=chosen, check_finite=False)
    variance = np.maximum(variance[::-1], 0.0)
    rank = int(np.count_nonzero(variance > d * EPS * variance[0])) if k == d else None
    return Spectrum(mean, variance, upright(axes.T[::-1]), float(np.trace(covariance)), rank)


def of_pieces(
    mean: Array,
    pieces: Iterable[Array],
    n: int,
    gather: Callable[[Array], Array],
    grain: Array,
) -> Spectrum:
    """The whole spectrum from the singular values of n rows, given in pieces of their long side.

    The pieces, (m, min(n, d)) each, are reduced to one triangular factor, piece after piece. A
    singular value counts as zero below max(n, d) eps times the largest, and others as no less than eps
    times that.
    ``gather`` adds the rows up with coefficients, (k, n) -> (k, d); ``grain`` (d,) is how finely the
    features are given.
    """
    d, factor = len(mean), triangular(pieces)
    _, size, side = svd(factor, full_matrices=False, check_finite=False)
    rank = _rank(factor, size, grain, n) if n >= d else _count(size, max(n, d))
    size = np.maximum(size, EPS * size[0])[:rank]
    axes = side if n >= d else orthonormal(gather(side[:rank] / size[:, None]))
    variance = np.append(size**2, np.zeros(len(axes) - rank)) if n >= d else size**2
    return Spectrum(mean, variance, upright(axes), float(variance.sum()), rank)


def _rank(factor: Array, size: Array, grain: Array, length: int) -> int:
    """The rank of a matrix with these singular values.

    Small columns beside large ones do not make a matrix singular, though its singular values may seem
    to say so: where these leave a doubt, columns of unit length decide. A column shorter than the grain
    of its feature is constant.
    """
    rank = _count(size, length)
    if rank in (0, len(size)):
        return rank
    column = np.linalg.norm(factor, axis=0)
    unit = factor / np.where(column > grain, column, np.inf)
    return _count(svd(unit, compute_uv=False, check_finite=False), length)


def _count(size: Array, length: int) -> int:
    """How many singular values are not zero."""
    return int(np.count_nonzero(size > length * EPS * size[0]))


def orthonormal(axes: Array) -> Array:
    """Gram-Schmidt, from the first of axes (k, d) to the last."""
    basis = qr(axes.T, mode="economic", check_finite=False)[0].T
    return np.asarray(basis)


def triangular(pieces: Iterable[Array]) -> Array:
    """R of the QR factorisation of pieces (m, k) stacked."""
    factor: Array | None = None
    for piece in pieces:
        stacked = piece if factor is None else np.concatenate([factor, piece])
        factor = qr(stacked, mode="r", overwrite_a=True, check_finite=False)[0][: stacked.shape[1]]
    assert factor is not None
    return factor
