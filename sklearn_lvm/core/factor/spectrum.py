"""Eigenvalues and principal axes of a covariance matrix, from the matrix or from the rows.

A covariance matrix costs n d^2 operations and has eigenvalues accurate to eps lambda_1. Singular
values of the centered rows cost more, and their squares are accurate to eps^2 lambda_1.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from scipy.linalg import eigh, svd

from ..._typing import Floats
from ..linalg import EPS, fix_signs, orthonormal, triangular


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The largest eigenvalues of a d x d covariance, their axes, and the sum of all eigenvalues.

    Attributes
    ----------
    mean : ndarray of shape (d,)
        The mean of the rows.
    variance : ndarray of shape (k,)
        The k largest eigenvalues, in falling order.
    axes : ndarray of shape (k, d)
        Orthonormal eigenvectors, each with its largest entry positive.
    total : float
        The sum of all d eigenvalues.
    rank : int or None
        The number of eigenvalues that are not zero; None where it is not known.
    """

    mean: Floats
    variance: Floats
    axes: Floats
    total: float
    rank: int | None = None

    @classmethod
    def from_covariance(cls, mean: Floats, covariance: Floats, k: int) -> "Spectrum":
        """Compute the k largest eigenvalues of a covariance (d, d)."""
        d = len(mean)
        if k == 0:
            return cls.without_axes(mean, float(np.trace(covariance)))
        chosen = None if k == d else [d - k, d - 1]
        variance, axes = eigh(covariance, subset_by_index=chosen, check_finite=False)
        variance = np.maximum(variance[::-1], 0.0)
        rank = int(np.count_nonzero(variance > d * EPS * variance[0])) if k == d else None
        return cls(mean, variance, fix_signs(axes.T[::-1]), float(np.trace(covariance)), rank)

    @classmethod
    def without_axes(cls, mean: Floats, total: float) -> "Spectrum":
        """The sum of the eigenvalues alone."""
        return cls(mean, np.empty(0), np.empty((0, len(mean))), total)

    @classmethod
    def from_blocks(
        cls,
        mean: Floats,
        blocks: Iterable[Floats],
        n: int,
        combine: Callable[[Floats], Floats],
        rounding_error: Floats,
    ) -> "Spectrum":
        """Compute all eigenvalues from the singular values of n rows.

        A singular value below max(n, d) eps times the largest counts as zero. The others are raised
        to eps times the largest.

        Parameters
        ----------
        mean : ndarray of shape (d,)
        blocks : iterable of ndarray of shape (m, min(n, d))
            Consecutive rows of the (n, d) matrix, or of its transpose if d > n.
        n : int
        combine : callable
            From coefficients (k, n) to linear combinations of the rows, (k, d).
        rounding_error : ndarray of shape (d,)
            The norm below which a column counts as constant.
        """
        d, R = len(mean), triangular(blocks)
        _, singular, right = svd(R, full_matrices=False, check_finite=False)
        rank = _rank(R, singular, rounding_error, n) if n >= d else _count(singular, max(n, d))
        singular = np.maximum(singular, EPS * singular[0])[:rank]
        axes = right if n >= d else orthonormal(combine(right[:rank] / singular[:, None]))
        variance = singular**2
        if n >= d:
            variance = np.append(variance, np.zeros(len(axes) - rank))
        return cls(mean, variance, fix_signs(axes), float(variance.sum()), rank)

    def leading(self, k: int) -> "Spectrum":
        """The spectrum with no more than the first k axes, in memory of their own."""
        return replace(self, axes=self.axes[:k].copy()) if k < len(self.axes) else self

    @property
    def complete(self) -> bool:
        """Whether the axes leave nothing of the covariance out."""
        return self.rank is not None and self.rank <= len(self.axes)

    @cached_property
    def known(self) -> bool:
        """Whether all eigenvalues beyond the k largest are zero."""
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

    def covariance(self) -> Floats:
        """The covariance (d, d): exact if all axes are there, else with equal variance beyond them."""
        k, d = self.axes.shape
        noise = self.rest(k) / (d - k) if k < d else 0.0
        matrix: Floats = (self.axes.T * (self.variance[:k] - noise)) @ self.axes
        matrix.flat[:: d + 1] += noise
        return matrix

    def resolved(self, q: int, condition_number: float) -> bool:
        """Whether the largest eigenvalue is less than ``condition_number`` times the noise."""
        largest = float(self.variance[0]) if len(self.variance) else self.total
        return self.noise(q) * condition_number > largest


def _rank(R: Floats, singular: Floats, rounding_error: Floats, length: int) -> int:
    """The rank of a matrix with the triangular factor R.

    Columns of very different norm make small singular values of a matrix that has full rank. Where
    the singular values leave a doubt, those of the columns scaled to unit norm decide.
    """
    rank = _count(singular, length)
    if rank in (0, len(singular)):
        return rank
    norm = np.linalg.norm(R, axis=0)
    unit = R / np.where(norm > rounding_error, norm, np.inf)
    return _count(svd(unit, compute_uv=False, check_finite=False), length)


def _count(singular: Floats, length: int) -> int:
    """The number of singular values that are not zero."""
    return int(np.count_nonzero(singular > length * EPS * singular[0]))
