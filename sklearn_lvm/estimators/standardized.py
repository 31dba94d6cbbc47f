"""Density estimation on standardized columns, scored in the units of the data."""

from __future__ import annotations

from typing import Protocol, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import check_is_fitted, validate_data

from .._typing import Floats

__all__ = ["DensityLike", "StandardizedDensity"]


class DensityLike(Protocol):
    """An estimator with ``fit`` and ``score_samples``: all that scoring held-out rows asks for."""

    def fit(self, X: Floats, /) -> object:
        """Fit the density to rows (n, d)."""
        ...

    def score_samples(self, X: Floats, /) -> Floats:
        """Compute the log-density (n,) of each row."""
        ...


class StandardizedDensity(BaseEstimator):
    r"""Density of rows whose columns are standardized, scored in the data's own units.

    With :math:`z_j = (x_j - m_j) / s_j` and the inner density :math:`p_z`,

    .. math:: \log p(x) = \log p_z(z) - \sum_j \log s_j .

    A ``Pipeline`` of a scaler and a density leaves the last term out, so its scores are in other
    units than those of a density that was fitted to the columns as they are.

    Parameters
    ----------
    density : estimator
        Any estimator with ``fit`` and ``score_samples``.
    per_feature : bool, default=True
        Whether each column is divided by its own standard deviation. If False, all columns are
        divided by one number, the root of their mean variance, which keeps the directions and the
        ratios of distances that an isotropic model depends on.

    Attributes
    ----------
    density_ : estimator
        The inner density, fitted to the standardized rows.
    mean_, scale_ : ndarray of shape (n_features,)
        The shift and the divisor of each column. A column that does not vary has divisor one.
    n_features_in_ : int
        Number of columns seen in ``fit``.

    Examples
    --------
    A change of units moves every score by the logarithm of the factor, exactly:

    >>> import numpy as np
    >>> from sklearn.neighbors import KernelDensity
    >>> from sklearn_lvm import StandardizedDensity
    >>> metres = np.random.default_rng(0).normal(size=(50, 1))
    >>> model = StandardizedDensity(KernelDensity(bandwidth=0.4))
    >>> in_metres = model.fit(metres).score_samples(metres)
    >>> in_millimetres = model.fit(1000 * metres).score_samples(1000 * metres)
    >>> bool(np.allclose(in_metres - in_millimetres, np.log(1000)))
    True
    """

    density_: DensityLike
    mean_: Floats
    scale_: Floats
    n_features_in_: int

    def __init__(self, density: DensityLike, *, per_feature: bool = True) -> None:
        self.density = density
        self.per_feature = per_feature

    def fit(self, X: ArrayLike, y: object = None) -> Self:
        """Standardize the columns of X and fit a clone of the density to them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training rows.
        y : None
            Ignored.

        Returns
        -------
        self : StandardizedDensity
            The fitted estimator.
        """
        rows: Floats = validate_data(self, X, dtype=np.float64)
        self.mean_ = rows.mean(axis=0)
        self.scale_ = _divisors(rows.std(axis=0), self.per_feature)
        self.density_ = clone(self.density).fit(self._standardize(rows))
        return self

    def score_samples(self, X: ArrayLike) -> Floats:
        """Compute the log-density of each row, in nats in the units of X.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to score.

        Returns
        -------
        log_density : ndarray of shape (n_samples,)
            Log-density of each row, with the log-Jacobian of the standardization.
        """
        check_is_fitted(self)
        rows: Floats = validate_data(self, X, dtype=np.float64, reset=False)
        return self.density_.score_samples(self._standardize(rows)) - np.log(self.scale_).sum()

    def score(self, X: ArrayLike, y: object = None) -> float:
        """Compute the mean log-density of the rows, in nats per row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Rows to score.
        y : None
            Ignored.

        Returns
        -------
        log_density : float
            Mean of ``score_samples(X)``.
        """
        return float(np.mean(self.score_samples(X)))

    def _standardize(self, X: Floats) -> Floats:
        return (X - self.mean_) / self.scale_


def _divisors(std: Floats, per_feature: bool) -> Floats:
    scale = std if per_feature else np.full_like(std, np.sqrt(np.mean(std**2)))
    return np.where(scale > 0, scale, 1.0)
