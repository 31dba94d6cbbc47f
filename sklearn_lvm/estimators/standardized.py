"""Density estimation on standardized columns, scored in the units of the data."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, DensityMixin, clone
from sklearn.utils import Tags, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from .._compat import HasMethods, _fit_context
from .._typing import Floats, RandomState, Table, Weights
from ..core.standardization import Standardization, log_jacobians
from ..fitting.drawn_tables import drawn_rows
from .base.completed_tables import GivenTable
from .base.docs import documented
from .base.transaction import unchanged_on_failure
from .base.validation import (
    FLOATS,
    check_observed,
    check_weights,
    fit_weights,
    missing_entries,
    result_dtype,
    standardization_of,
    weighted_total,
)

__all__ = ["DensityLike", "StandardizedDensity"]


class DensityLike(Protocol):
    """An estimator with ``fit`` and ``score_samples``: all that scoring held-out rows asks for."""

    def fit(self, X: Floats, /) -> object:
        """Fit the density to rows (n, d)."""
        ...

    def score_samples(self, X: Floats, /) -> Floats:
        """Compute the log-density (n,) of each row."""
        ...


def _density_has(method: str) -> Callable[[StandardizedDensity], bool]:
    """Whether the density inside has a method."""
    return lambda self: hasattr(getattr(self, "density_", self.density), method)


class StandardizedDensity(DensityMixin, BaseEstimator):
    r"""Density of rows whose columns are standardized, scored in the data's own units.

    With :math:`z_j = (x_j - m_j) / s_j` and the inner density :math:`p_z`,

    .. math:: \log p(x) = \log p_z(z) - \sum_j \log s_j .

    A ``Pipeline`` of a scaler and a density leaves the last term out, so its scores are in other
    units than those of a density that was fitted to the columns as they are. A few rows far out move
    neither :math:`m_j` nor :math:`s_j`.

    Parameters
    ----------
    density : estimator
        Any estimator with ``fit`` and ``score_samples``. NaN, sample weights, ``sample``, ``impute``,
        ``bic`` and ``aic`` are there where it has them.
    per_feature : bool, default=True
        Whether each column is divided by a scale of its own, its standard deviation without
        outliers. If False, all columns are divided by one number, the root of the mean square of
        these, which keeps the directions and the ratios of distances that an isotropic model depends
        on.

    Attributes
    ----------
    density_ : estimator
        The inner density, fitted to the standardized rows.
    mean_, scale_ : ndarray of shape (n_features,)
        The shift and the divisor of each column. The shift is the median where rows far out have moved
        the mean. A column that does not vary has the median of the other divisors.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (`n_features_in_`,)

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

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "density": [HasMethods(["fit", "score_samples"])],
        "per_feature": ["boolean"],
    }

    density_: Any
    mean_: Floats
    scale_: Floats
    n_features_in_: int
    _standardization: Standardization

    def __init__(self, density: DensityLike, *, per_feature: bool = True) -> None:
        self.density = density
        self.per_feature = per_feature

    @_fit_context(prefer_skip_nested_validation=False)
    @documented
    def fit(self, X: ArrayLike, y: object = None, sample_weight: Weights = None) -> Self:
        """Standardize the columns of X and fit a clone of the density to them.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN is not observed, if the density takes it.
        y : Ignored
        {sample_weight}
            Only if the density takes weights.

        Returns
        -------
        self : StandardizedDensity

        Raises
        ------
        ValueError
            If the rows do not suit the density, or weights are given to one that takes none.
        """
        with unchanged_on_failure(self):
            rows = self._check_rows(X, reset=True)
            w = check_weights(sample_weight, rows)
            check_observed(rows, w, getattr(self, "feature_names_in_", None))
            found = standardization_of(
                rows, w, Standardization.of_observed, per_feature=bool(self.per_feature)
            )
            self._standardization = found
            self.mean_, self.scale_ = found.center, found.scale
            weights = fit_weights("density", self.density, sample_weight, w)
            self.density_ = clone(self.density).fit(self._standardize(rows), **weights)
        return self

    def _check_rows(self, X: ArrayLike, *, reset: bool = False) -> Floats:
        """Validated rows, in which NaN stays where the density takes it."""
        finite = "allow-nan" if get_tags(self).input_tags.allow_nan else True
        rows: Floats = validate_data(self, X, dtype=FLOATS, ensure_all_finite=finite, reset=reset)
        return rows

    def _scored(self, X: ArrayLike) -> Floats:
        """Validated rows for a fitted estimator."""
        check_is_fitted(self)
        return self._check_rows(X)

    def _standardize(self, rows: Floats) -> Floats:
        return self._standardization.transform(rows).T

    def _log_prob(self, rows: Floats) -> Floats:
        log_prob = np.asarray(self.density_.score_samples(self._standardize(rows)))
        return log_prob - self._log_jacobian(rows)

    def _log_jacobian(self, rows: Floats) -> float | Floats:
        """log |dx / dz| of what was observed of each row, in nats; one number if all are complete."""
        found = self._standardization
        if missing_entries(rows) is None:
            return found.log_jacobian
        return log_jacobians(found.scale, rows)

    def score_samples(self, X: ArrayLike) -> Floats:
        """Compute the log-density of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN was not observed, if the density takes it.

        Returns
        -------
        log_prob : ndarray of shape (n_samples,)
            log p(x) in nats, in the units of the data.
        """
        rows = self._scored(X)
        return self._log_prob(rows).astype(result_dtype(rows), copy=False)

    @documented
    def score(self, X: ArrayLike, y: object = None, sample_weight: Weights = None) -> float:
        """Compute the mean log-density of the rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : Ignored
        {sample_weight}

        Returns
        -------
        log_prob : float
            In nats per unit of weight.
        """
        rows = self._scored(X)
        w = check_weights(sample_weight, rows)
        return weighted_total(w, self._log_prob(rows)) / float(w.sum())

    @available_if(_density_has("sample"))
    def sample(self, n_samples: int = 1, *, random_state: RandomState = None) -> Floats:
        """Draw new rows from the fitted density.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState instance or None, default=None
            None falls back to that of the density.

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
            Rows in the order in which the density draws them.
        """
        check_is_fitted(self)
        Z = drawn_rows(self.density_, n_samples, random_state)
        return self._standardization.inverse_transform(np.asarray(Z, dtype=np.float64))

    @available_if(_density_has("impute"))
    def impute(
        self,
        X: ArrayLike,
        *,
        n_draws: int | None = None,
        mode: bool = False,
        parameter_draws: bool = False,
        random_state: RandomState = None,
    ) -> Table | list[Table]:
        """Fill in missing entries by the density, in the units of the data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN is not observed. X is not changed.
        n_draws, mode, parameter_draws, random_state : optional
            As in :meth:`EMGaussianMixture.impute`.

        Returns
        -------
        X : array or frame, or a list of them
            Of the kind of X. Observed entries are the same, bit for bit.
        """
        table = GivenTable.of(X, self._scored(X))

        def completed(Z: Floats) -> Table:
            filled = self._standardization.inverse_transform(np.asarray(Z, dtype=np.float64))
            return table.completed(filled[np.isnan(table.rows)])

        found = self.density_.impute(
            self._standardize(table.rows),
            n_draws=n_draws,
            mode=mode,
            parameter_draws=parameter_draws,
            random_state=random_state,
        )
        return completed(found) if n_draws is None else [completed(Z) for Z in found]

    @available_if(_density_has("bic"))
    def bic(self, X: ArrayLike) -> float:
        """Compute the Bayesian information criterion of the density, in the units of the data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        bic : float
            Lower is better (Schwarz, 1978).
        """
        return self._criterion("bic", X)

    @available_if(_density_has("aic"))
    def aic(self, X: ArrayLike) -> float:
        """Compute the Akaike information criterion of the density, in the units of the data.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        aic : float
            Lower is better (Akaike, 1974).
        """
        return self._criterion("aic", X)

    def _criterion(self, name: str, X: ArrayLike) -> float:
        rows = self._scored(X)
        of_standardized = float(getattr(self.density_, name)(self._standardize(rows)))
        return of_standardized + 2.0 * len(rows) * float(np.mean(self._log_jacobian(rows)))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = get_tags(self.density).input_tags.allow_nan
        return tags
