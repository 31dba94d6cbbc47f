"""K Student-t densities of independent columns, each of which is known as well as it was observed."""

from dataclasses import dataclass
from math import tau
from typing import Self

import numpy as np

from ..._typing import Bools, Floats, Ints, Rows
from ..conditionals import Conditionals
from ..log_gamma import log_gamma_ratio
from .missing import incomplete
from .student import positive_chi2


@dataclass(frozen=True, eq=False)
class ColumnStudentTs:
    """K densities of columns that are uncorrelated: means, scales, and degrees of freedom.

    Columns that share one precision are jointly t, those with a precision of their own independent.
    Of p observed columns of such a block, with y = (z - m) / scale, the log-density is

    log t(z) = log Gamma((dof + p) / 2) - log Gamma(dof / 2) - p/2 log(dof pi)
    - (dof + p) / 2 log(1 + |y|^2 / dof) - sum log scale.

    Attributes
    ----------
    mean, scale : ndarray of shape (K, d)
    dof : ndarray of shape (K, d) or (K, 1)
        Degrees of freedom of columns that have a precision each, or of all together.

    Examples
    --------
    The second column was observed less often, and is known less well:

    >>> import numpy as np
    >>> from sklearn_lvm.core.gaussian.column_density import ColumnStudentTs
    >>> zero = np.zeros((1, 2))
    >>> kernel = ColumnStudentTs(zero, zero + 1.0, np.array([[30.0, 3.0]])).kernel(np.zeros(1))
    >>> rows = np.array([[4.0, np.nan, np.nan], [np.nan, 4.0, np.nan]])
    >>> kernel.log_prob(kernel.features(rows)).round(2)
    array([[-7.55, -4.69,  0.  ]])
    """

    mean: Floats
    scale: Floats
    dof: Floats

    def kernel(self, log_weights: Floats) -> "ColumnStudentKernel":
        """The densities prepared to score rows; log-weights (K,) are added."""
        return ColumnStudentKernel(self, log_weights[:, None])

    def sample(self, labels: Ints, rng: np.random.RandomState) -> Floats:
        """Draw a row for each label, (n, d)."""
        e = rng.standard_normal((len(labels), self.mean.shape[1]))
        dof = self.dof[labels]
        stretch = np.sqrt(dof / positive_chi2(dof, dof.shape, rng))
        return np.asarray(self.mean[labels] + self.scale[labels] * e * stretch)

    def n_parameters(self) -> int:
        """Count free parameters: those of means and variances."""
        return self.mean.size + self.dof.size

    def subset(self, chosen: Ints) -> Self:
        """Some of the densities."""
        return type(self)(self.mean[chosen], self.scale[chosen], self.dof[chosen])

    # -- missing entries ---------------------------------------------------------------------------

    def conditionals(self, rows: Rows) -> Conditionals:
        """Each missing entry given the observed ones of its block: Student-t."""
        Z = with_nan(rows)
        squares, counts, observed = self.distances(Z)
        dof = self.dof[:, :, None] + counts
        square = self.scale[:, :, None] ** 2 * self._growth(squares, counts) * ~observed
        mean = np.where(observed, Z, self.mean[:, :, None])
        return Conditionals(mean, square, dof + np.zeros_like(square))

    def draw_missing(self, rows: Rows, labels: Ints, rng: np.random.RandomState) -> Floats:
        """Rows (n, d) with a draw in place of missing entries, each from the density of its label."""
        Z = with_nan(rows)
        squares, counts, observed = self.distances(Z)
        own = labels, slice(None), np.arange(len(labels))
        dof = self.dof[labels] + counts.T
        growth = self._growth(squares, counts)[own] * dof / positive_chi2(dof, dof.shape, rng)
        e = rng.standard_normal((len(labels), len(Z)))
        drawn = self.mean[labels] + self.scale[labels] * e * np.sqrt(growth)
        return np.where(observed.T, Z.T, drawn)

    def distances(self, Z: Floats) -> tuple[Floats, Ints, Bools]:
        """Squared distances of blocks, (K, G, n), their observed entries, (G, n), and the mask."""
        observed = ~np.isnan(Z)
        gaps = np.where(observed, (Z - self.mean[:, :, None]) / self.scale[:, :, None], 0.0)
        K, _, n = gaps.shape
        with np.errstate(over="ignore"):
            squares = (gaps**2).reshape(K, self._n_blocks, -1, n).sum(axis=2)
        return squares, observed.reshape(self._n_blocks, -1, n).sum(axis=1), observed

    def _growth(self, squares: Floats, counts: Ints) -> Floats:
        """By what the squared scales of missing entries grow, (K, G, n)."""
        dof = self.dof[:, :, None]
        return np.asarray((dof + squares) / (dof + counts))

    @property
    def _n_blocks(self) -> int:
        return int(self.dof.shape[1])

    def marginal(self, features: Ints) -> Self:
        """The densities of some of the features, in their order."""
        own = self.dof[:, features] if self._n_blocks > 1 else self.dof
        return type(self)(self.mean[:, features], self.scale[:, features], own)

    def conditional(self, features: Ints, values: Floats) -> tuple[Floats, Self]:
        """Log-densities (K,) of values of some features, and densities of the others given these."""
        rest = self.marginal(np.delete(np.arange(self.mean.shape[1]), features))
        known, Z = self.marginal(features), values[:, None]
        kernel = known.kernel(np.zeros(len(self.mean)))
        log_prob = kernel.log_prob(kernel.features(Z))[:, 0]
        if self._n_blocks > 1:
            return log_prob, rest
        squares, counts, _ = known.distances(Z)
        scale = rest.scale * np.sqrt(known._growth(squares, counts)[:, :, 0])
        return log_prob, type(self)(rest.mean, scale, self.dof + counts[:, 0])


@dataclass(frozen=True, eq=False)
class ColumnStudentKernel:
    """Densities of independent columns prepared to score rows in which NaN was not observed.

    Attributes
    ----------
    densities : ColumnStudentTs
    log_weights : ndarray of shape (K, 1)
    """

    densities: ColumnStudentTs
    log_weights: Floats

    @property
    def condition_number(self) -> float:
        """By how much a rounding error of a row grows in its log-density."""
        return float(np.abs(self.densities.mean / self.densities.scale).max() + 1.0)

    def features(self, rows: Rows) -> Floats:
        """Rows (d, n) with NaN in place of what is missing."""
        return with_nan(rows)

    def log_prob(self, features: Floats) -> Floats:
        """Log-densities of the observed entries, log-weights included, (K, n)."""
        dof = self.densities.dof[:, :, None]
        squares, counts, observed = self.densities.distances(features)
        p = np.arange(len(features) // dof.shape[1] + 1.0)
        level = log_gamma_ratio(dof / 2, p / 2) - p / 2 * np.log(tau)
        blocks = np.arange(dof.shape[1])[:, None]
        with np.errstate(over="ignore"):  # the logarithm of a square is one where this is none
            ratio = np.minimum(squares / dof, np.finfo(np.float64).max)
        log_prob = (level[:, blocks, counts] - (dof + counts) / 2 * np.log1p(ratio)).sum(axis=1)
        return np.asarray(log_prob - np.log(self.densities.scale) @ observed + self.log_weights)


def with_nan(rows: Rows) -> Floats:
    """Rows of either kind as (d, n) with NaN in place of what is missing."""
    return rows if isinstance(rows, np.ndarray) else incomplete(rows).with_nan
