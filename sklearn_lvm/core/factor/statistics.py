"""Statistics of batches of rows from which principal components are estimated: values with ``+``."""

from dataclasses import dataclass, replace
from typing import Protocol, Self

import numpy as np
from scipy.linalg import svd

from ..._typing import Floats
from ..gaussian.full import Full
from ..gaussian.moments import Moments
from ..linalg import EPS, fix_signs
from .spectrum import Spectrum


class Scatter(Protocol):
    """The weight, mean and scatter of rows; ``a + b`` is that of the rows of both."""

    @property
    def mean(self) -> Floats:
        """The mean of the rows, (d,)."""
        ...

    @property
    def weight(self) -> float:
        """The summed weight of the rows."""
        ...

    @property
    def is_constant(self) -> bool:
        """Whether all rows are equal."""
        ...

    def __add__(self, other: Self, /) -> Self: ...

    def rescaled(self, factor: float) -> Self:
        """The statistics of the rows after z -> factor z."""
        ...

    def shifted(self, shift: Floats) -> Self:
        """The statistics of the rows after z -> z + shift."""
        ...

    def spectrum(self, q: int | None) -> Spectrum:
        """The q largest eigenvalues of the covariance, or all; more where that costs nothing."""
        ...


@dataclass(frozen=True, eq=False)
class FullScatter:
    """The moments of rows with the whole d x d scatter matrix.

    Attributes
    ----------
    moments : Moments
        Of one Gaussian.
    """

    moments: Moments

    @classmethod
    def of(cls, V: Floats, w: Floats) -> "FullScatter":
        """Measure rows (n, d) with weights (n,)."""
        return cls(Moments.of(V.T, w[None], Full(V.shape[1])))

    @classmethod
    def of_covariance(cls, mean: Floats, covariance: Floats, weight: float) -> "FullScatter":
        """The scatter of rows of a summed weight, of which mean and covariance are known."""
        count, structure = np.full(1, weight), Full(len(mean))
        return cls(Moments(count, count, mean[None], weight * covariance[None], structure))

    @classmethod
    def of_spectrum(cls, spectrum: Spectrum, weight: float) -> "FullScatter":
        """The scatter that a spectrum tells of; where axes are missing, all directions are alike."""
        covariance = spectrum.covariance()
        return cls.of_covariance(spectrum.mean, covariance, weight)

    def __add__(self, other: "FullScatter") -> "FullScatter":
        return FullScatter(self.moments + other.moments)

    @property
    def weight(self) -> float:
        """The summed weight of the rows."""
        return float(self.moments.weight[0])

    @property
    def mean(self) -> Floats:
        """The mean of the rows, (d,)."""
        return np.asarray(self.moments.mean[0])

    @property
    def is_constant(self) -> bool:
        """Whether all rows are equal."""
        return not self.moments.scatter.any()

    def rescaled(self, factor: float) -> "FullScatter":
        """The statistics of the rows after z -> factor z."""
        return FullScatter(self.moments.rescaled(np.full(self.moments.mean.shape[1], factor)))

    def shifted(self, shift: Floats) -> "FullScatter":
        """The statistics of the rows after z -> z + shift."""
        return FullScatter(replace(self.moments, mean=self.moments.mean + shift))

    def spectrum(self, q: int | None) -> Spectrum:
        """The q largest eigenvalues of the covariance; all of them if these leave no noise."""
        mean, d = self.moments.mean[0], self.moments.mean.shape[1]
        covariance = self.moments.scatter[0] / self.moments.weight[0]
        found = Spectrum.from_covariance(mean, covariance, d if q is None else q)
        if found.known or found.resolved(q or d, 1.0 / (d * EPS)):
            return found
        return Spectrum.from_covariance(mean, covariance, d)


@dataclass(frozen=True, eq=False)
class LowRankScatter:
    """The moments of rows with a low-rank approximation of the scatter matrix.

    Weight, mean and the trace of the scatter are exact. The scatter itself is approximated by R'R with
    at most ``max_rank`` rows in R: each addition leaves out the smallest singular values, as in
    incremental principal components (Ross, Lim, Lin & Yang, 2008). It is exact as long as the rank of
    all rows together is at most ``max_rank``.

    Attributes
    ----------
    weight : float
        The summed weight of the rows.
    mean : ndarray of shape (d,)
    root : ndarray of shape (k, d)
        R, with orthogonal rows.
    trace : float
        The trace of the scatter.
    max_rank : int
    complete : bool
        Whether fewer than ``max_rank`` rows of R leave nothing of the scatter out.
    """

    weight: float
    mean: Floats
    root: Floats
    trace: float
    max_rank: int
    complete: bool = True

    @classmethod
    def of(cls, V: Floats, w: Floats, max_rank: int) -> "LowRankScatter":
        """Measure rows (n, d) with weights (n,)."""
        weight = float(w.sum())
        mean = w @ V / weight
        gaps = (V - mean) * np.sqrt(w)[:, None]
        trace = float(np.einsum("nd,nd->", gaps, gaps))
        return cls(weight, mean, _truncated(gaps, max_rank), trace, max_rank)

    def __add__(self, other: "LowRankScatter") -> "LowRankScatter":
        weight = self.weight + other.weight
        share = other.weight / weight
        shift = other.mean - self.mean
        gap = shift * np.sqrt(self.weight * share)
        root = _truncated(np.vstack([self.root, other.root, gap]), self.max_rank)
        trace = self.trace + other.trace + float(gap @ gap)
        mean, complete = self.mean + share * shift, self.complete and other.complete
        return LowRankScatter(weight, mean, root, trace, self.max_rank, complete)

    @property
    def is_constant(self) -> bool:
        """Whether all rows are equal."""
        return self.trace == 0.0

    def rescaled(self, factor: float) -> "LowRankScatter":
        """The statistics of the rows after z -> factor z."""
        mean, root = self.mean * factor, self.root * factor
        return replace(self, mean=mean, root=root, trace=self.trace * factor**2)

    def shifted(self, shift: Floats) -> "LowRankScatter":
        """The statistics of the rows after z -> z + shift."""
        return replace(self, mean=self.mean + shift)

    @classmethod
    def of_spectrum(cls, spectrum: Spectrum, weight: float, max_rank: int) -> "LowRankScatter":
        """The scatter along the axes of a spectrum of rows of a summed weight."""
        axes = spectrum.axes[:max_rank]
        length = np.sqrt(weight * spectrum.variance[: len(axes)])
        root = axes[length > 0] * length[length > 0, None]
        trace = weight * spectrum.total
        return cls(weight, spectrum.mean, root, trace, max_rank, spectrum.complete)

    def spectrum(self, q: int | None) -> Spectrum:
        """All eigenvalues of R'R over the weight; their number is the rank if nothing was left out."""
        length = np.linalg.norm(self.root, axis=1)
        axes = self.root / np.where(length > 0, length, 1.0)[:, None]
        rank = len(length) if self.complete and len(length) < self.max_rank else None
        variance = length**2 / self.weight
        return Spectrum(self.mean, variance, fix_signs(axes), self.trace / self.weight, rank)


def _truncated(rows: Floats, max_rank: int) -> Floats:
    """At most ``max_rank`` orthogonal rows R with the same R'R, or with the nearest to it."""
    _, length, axes = svd(rows, full_matrices=False, check_finite=False)
    nonzero = int(np.count_nonzero(length > length[0] * max(rows.shape) * EPS))
    rank = min(max_rank, nonzero)
    return np.asarray(length[:rank, None] * axes[:rank])
