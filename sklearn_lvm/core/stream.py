"""What a stream of rows leaves behind for principal components: values with ``+``."""

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import svd

from .._typing import Array
from .gaussian.full import Full
from .gaussian.moments import Moments
from .spectrum import EPS, Spectrum, of_covariance, upright


@dataclass(frozen=True, eq=False)
class Scatter:
    """The moments of the rows, with their whole scatter matrix."""

    moments: Moments

    @classmethod
    def of(cls, V: Array, w: Array) -> "Scatter":
        """Measure rows (n, d)."""
        return cls(Moments.of(V.T, w[None], Full(V.shape[1])))

    def __add__(self, other: "Scatter") -> "Scatter":
        return Scatter(self.moments + other.moments)

    @property
    def weight(self) -> float:
        return float(self.moments.weight[0])

    @property
    def still(self) -> bool:
        """Whether no row differs from another."""
        return not self.moments.scatter.any()

    def rescaled(self, factor: float) -> "Scatter":
        """The same rows after z -> factor z."""
        return Scatter(self.moments.rescaled(np.full(self.moments.mean.shape[1], factor)))

    def moved(self, shift: Array) -> "Scatter":
        """The same rows after z -> z + shift."""
        return Scatter(replace(self.moments, mean=self.moments.mean + shift))

    def spectrum(self, q: int | None) -> Spectrum:
        """The q largest eigenvalues of the covariance; all of them if these leave no noise."""
        mean, d = self.moments.mean[0], self.moments.mean.shape[1]
        matrix = self.moments.scatter[0] / self.moments.weight[0]
        found = of_covariance(mean, matrix, d if q is None else q)
        if found.known or found.resolved(q or d, 1.0 / (d * EPS)):
            return found
        return of_covariance(mean, matrix, d)


@dataclass(frozen=True, eq=False)
class Sketch:
    """The scatter of rows about their mean, up to a given rank.

    Weight, mean and total scatter are exact. The scatter itself is kept as R'R with at most ``size``
    rows in R: after each addition the smallest singular values are left out, as in incremental
    principal components (Ross, Lim, Lin & Yang, 2008). Nothing is lost as long as the rank of all
    rows together is at most ``size``.

    Attributes
    ----------
    weight : float
    mean : ndarray of shape (d,)
    root : ndarray of shape (k, d)
        R, of orthogonal rows.
    square : float
        The trace of the scatter.
    size : int
    """

    weight: float
    mean: Array
    root: Array
    square: float
    size: int

    @classmethod
    def of(cls, V: Array, w: Array, size: int) -> "Sketch":
        """Measure rows (n, d)."""
        weight = float(w.sum())
        mean = w @ V / weight
        gaps = (V - mean) * np.sqrt(w)[:, None]
        square = float(np.einsum("nd,nd->", gaps, gaps))
        return cls(weight, mean, _condensed(gaps, size), square, size)

    def __add__(self, other: "Sketch") -> "Sketch":
        weight = self.weight + other.weight
        share = other.weight / weight
        shift = other.mean - self.mean
        gap = shift * np.sqrt(self.weight * share)
        root = _condensed(np.vstack([self.root, other.root, gap]), self.size)
        square = self.square + other.square + float(gap @ gap)
        return Sketch(weight, self.mean + share * shift, root, square, self.size)

    @property
    def still(self) -> bool:
        """Whether no row differs from another."""
        return self.square == 0.0

    def rescaled(self, factor: float) -> "Sketch":
        """The same rows after z -> factor z."""
        mean, root = self.mean * factor, self.root * factor
        return Sketch(self.weight, mean, root, self.square * factor**2, self.size)

    def moved(self, shift: Array) -> "Sketch":
        """The same rows after z -> z + shift."""
        return replace(self, mean=self.mean + shift)

    def spectrum(self, q: int | None) -> Spectrum:
        """What is known of the spectrum of the covariance.

        Its rank is known as long as nothing was left out.
        """
        length = np.linalg.norm(self.root, axis=1)
        axes = self.root / np.where(length > 0, length, 1.0)[:, None]
        total = self.square / self.weight
        variance = length**2 / self.weight
        whole = len(length) < self.size
        return Spectrum(self.mean, variance, upright(axes), total, len(length) if whole else None)


def _condensed(rows: Array, size: int) -> Array:
    """At most ``size`` orthogonal rows with the same R'R, or the nearest to it."""
    _, length, axes = svd(rows, full_matrices=False, check_finite=False)
    held = min(size, int(np.count_nonzero(length > length[0] * max(rows.shape) * EPS)))
    return np.asarray(length[:held, None] * axes[:held])
