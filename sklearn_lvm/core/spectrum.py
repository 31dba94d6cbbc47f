"""The spectrum of a covariance: its largest eigenvalues, their axes, and what the others add up to.

Each way of finding it has its price and its digits. A covariance matrix costs n d^2 and holds eigenvalues
to eps lambda_1, the singular values of the centred rows cost more and hold them to eps^2 lambda_1, and
products with rows cost little if few axes are asked for and these stand out.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.linalg import eigh, qr, svd

from .._types import Array

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
        return float(self.variance[-1]) if q == d else self.rest(q) / (d - q)

    def resolved(self, q: int, condition: float) -> bool:
        """Whether the noise stands above what rounding leaves at this condition number."""
        largest = self.variance[0] if len(self.variance) else self.total
        return self.noise(q) * condition > largest


def upright(axes: Array) -> Array:
    """Turn axes so that the largest entry of each is positive."""
    if not axes.size:
        return axes
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    return axes * np.where(largest < 0, -1.0, 1.0)


def of_covariance(mean: Array, covariance: Array, k: int) -> Spectrum:
    """The k largest eigenvalues of a covariance (d, d)."""
    d = len(mean)
    chosen = None if k == d else [d - k, d - 1]
    variance, axes = eigh(covariance, subset_by_index=chosen, check_finite=False)
    variance = np.maximum(variance[::-1], 0.0)
    rank = int(np.count_nonzero(variance > d * EPS * variance[0])) if k == d else None
    return Spectrum(mean, variance, upright(axes.T[::-1]), float(np.trace(covariance)), rank)


def of_pieces(
    mean: Array, pieces: Iterable[Array], n: int, gather: Callable[[Array], Array]
) -> Spectrum:
    """The whole spectrum from the singular values of n rows, given in pieces of their long side.

    The pieces, (m, min(n, d)) each, are reduced to one triangular factor, piece after piece. An
    eigenvalue counts as zero if its singular value is below max(n, d) eps times the largest.
    ``gather`` adds the rows up with coefficients, (k, n) -> (k, d).
    """
    d = len(mean)
    _, size, side = svd(triangular(pieces), full_matrices=False, check_finite=False)
    held = size > max(n, d) * EPS * size[0]
    rank = int(np.count_nonzero(held))
    variance = np.where(held, size, 0.0) ** 2
    axes = side if n >= d else orthonormal(gather(side[:rank] / size[:rank, None]))
    variance = variance[: len(axes)]
    return Spectrum(mean, variance, upright(axes), float(variance.sum()), rank)


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
