"""Moments of columns that were observed in different rows, a value with ``+``.

Where features are independent, a missing entry says nothing: each column has the moments of its own
observed entries.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from ..._typing import Floats
from .covariance import Structure
from .moments import Moments
from .parameters import weak_prior


@dataclass(frozen=True, eq=False)
class ColumnMoments:
    """Weights, means and scatters of the observed entries of columns; ``a + b`` pools two of them.

    The formula is that of :class:`~sklearn_lvm.core.gaussian.moments.Moments`, column by column; with a
    prior on one side it is Bayes' rule.

    Attributes
    ----------
    n_rows : float
        The summed weight of the rows, whatever was observed of them.
    weight : ndarray of shape (d,)
        The summed weight of the observed entries of each column, or of the pseudo-observations of a
        prior of its mean.
    dof : ndarray of shape (1, *S)
        The summed weight of the entries behind each number of the scatter, or degrees of freedom.
    mean : ndarray of shape (d,)
    scatter : ndarray of shape (1, *S)
        S is the shape of the stored form of the covariance structure: one number for each column, or
        one for all.
    structure : Structure
        Of independent features: diagonal or spherical.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lvm.core.gaussian.columns import ColumnMoments
    >>> from sklearn_lvm.core.gaussian.diagonal import Diagonal
    >>> Z = np.array([[1.0, 3.0, np.nan], [np.nan, 5.0, 8.0]])
    >>> columns = ColumnMoments.of(Z, np.array([1.0, 1.0, 2.0]), Diagonal(2))
    >>> columns.n_rows, columns.weight, columns.mean, columns.scatter
    (4.0, array([2., 3.]), array([2., 7.]), array([[2., 6.]]))
    """

    n_rows: float
    weight: Floats
    dof: Floats
    mean: Floats
    scatter: Floats
    structure: Structure

    @classmethod
    def of(cls, Z: Floats, w: Floats, structure: Structure) -> Self:
        """Measure rows, feature-major (d, n), in which NaN was not observed, with weights (n,)."""
        observed = ~np.isnan(Z)
        weight = observed @ w
        values = np.where(observed, Z, 0.0)
        mean = (values @ w) / np.where(weight > 0, weight, 1.0)
        gaps = (values - mean[:, None]) * observed
        scatter = structure.gram(gaps[None], w[None])
        return cls(float(w.sum()), weight, _stored(weight, structure), mean, scatter, structure)

    @classmethod
    def of_moments(cls, moments: Moments) -> Self:
        """The same moments where each column was observed in all rows (K = 1)."""
        structure, weight = moments.structure, float(moments.weight[0])
        dof = moments.dof[0] * _stored(np.ones(structure.d), structure)
        columns = np.full(structure.d, weight)
        return cls(weight, columns, dof, moments.mean[0], moments.scatter, structure)

    def __add__(self, other: Self) -> Self:
        weight = self.weight + other.weight
        share = other.weight / np.where(weight > 0, weight, 1.0)
        shift = other.mean - self.mean
        gap = self.structure.outer((shift * np.sqrt(self.weight * share))[None])
        return type(self)(
            self.n_rows + other.n_rows,
            weight,
            self.dof + other.dof,
            self.mean + share * shift,
            self.scatter + other.scatter + gap,
            self.structure,
        )

    def rescaled(self, factor: Floats) -> Self:
        """The moments of the same rows after z_j -> factor_j z_j, one common factor if spherical."""
        growth = self.structure.growth(factor)
        return replace(self, mean=self.mean * factor, scatter=self.scatter * growth)

    def without_scatter(self) -> Self:
        """The same weights and means, with no scatter about them."""
        return replace(self, scatter=np.zeros_like(self.scatter))

    def covariance(self, dof: Floats) -> Floats:
        """Scatter by other degrees of freedom, (1, *S), as the stored form of a covariance."""
        one = _stored(np.ones(self.structure.d), self.structure)
        return np.asarray(self.scatter / np.where(dof > 0, dof, 1.0) * one)

    @property
    def of_one_row(self) -> Moments:
        """The moments of a single row that has these means, and these variances as its scatter."""
        one = np.ones(1)
        return Moments(one, one, self.mean[None], self.covariance(self.dof), self.structure)

    def suggested_prior(self) -> Moments:
        """A weak prior: each mean is known from one entry, nu = d, and Psi is the sample covariance.

        Its denominators are those of each column, max(n - 1, n / 2).
        """
        divisor = _stored(np.maximum(self.weight - 1.0, self.weight / 2.0), self.structure)
        scatter = self.scatter / np.where(divisor > 0, divisor, 1.0)
        return weak_prior(self.mean[None], scatter, self.structure)

    def log_likelihood(self, variances: Floats) -> float:
        """The log-density of the entries, in nats, about their means with these variances, (d,)."""
        level = float(self.weight @ np.log(2.0 * np.pi * variances))
        ratio = self.structure.of_variances(np.ones_like(variances)) * self.scatter
        return -0.5 * (level + float((ratio / self.structure.of_variances(variances)).sum()))


def _stored(numbers: Floats, structure: Structure) -> Floats:
    """Numbers of columns, (d,), added up as a structure does, (1, *S)."""
    return structure.of_variances(numbers)
