"""What a fitted mixture says of rows: which component they come from, and how clearly."""

from collections.abc import Callable
from typing import Self, cast

import numpy as np
from numpy.typing import ArrayLike

from ..._typing import Floats, Ints, Rows, Table, Weights
from ...core.family import PartialComponents, ScoringComponents
from ...core.mixture import Mixture
from ...fitting.bootstrap import matching_components
from .conditioning import ConditioningEstimator, Restriction
from .docs import documented
from .exact import ExactDensityEstimator
from .validation import check_weights, result_dtype, weighted_total


class ComponentDensityEstimator(ExactDensityEstimator, ConditioningEstimator):
    """Base of densities that are mixtures, however these were found."""

    weights_: Floats

    _density: Mixture[ScoringComponents]  # which scores rows
    _n_fitted_components: int  # which n_components is no longer once a user has changed it

    def _parameters_like(self, other: Self, X: Table, w: Floats) -> dict[str, Floats]:
        mine, theirs = self._responsibilities(X), other._responsibilities(X)
        order = matching_components(theirs, mine, w)
        found = super()._parameters_like(other, X, w)
        own = found.keys() - set(self._shared_names)
        return {name: value[order] if name in own else value for name, value in found.items()}

    @property
    def _shared_names(self) -> tuple[str, ...]:
        """The parameters that all components share."""
        return ()

    def _restricted(self, kept: Ints, restrict: Restriction) -> dict[str, object]:
        density = restrict(cast("Mixture[PartialComponents]", self._density))
        return {
            "weights_": np.exp(density.log_weights).astype(self._dtype),
            "n_parameters_": density.n_parameters(),
            "_density": density,
            "_n_fitted_components": self._n_fitted_components,
        }

    # -- rows --------------------------------------------------------------------------------------

    def _responsibilities(self, X: Table) -> Floats:
        def prepare() -> Callable[[Rows], Floats]:
            kernel = self._density.kernel()
            return lambda rows: kernel.posterior(rows)[1]

        return self._by_block(X, prepare).T

    def _shares(self, X: Table) -> Floats:
        """Responsibilities in the precision of the rows, row by row in memory."""
        return np.ascontiguousarray(self._responsibilities(X), dtype=result_dtype(X))

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Compute the responsibilities p(k | x) of the components.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        resp : ndarray of shape (n_samples, n_components)
            Rows sum to 1.
        """
        return self._shares(self._check_rows(X))

    def predict(self, X: ArrayLike) -> Ints:
        """Label each row with its most probable component.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples,)
        """
        return self._by_block(self._check_rows(X), lambda: self._density.kernel().labels)

    def transform(self, X: ArrayLike) -> Floats:
        """Compute the responsibilities, as features.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        resp : ndarray of shape (n_samples, n_components)
            ``predict_proba(X)``.
        """
        return self._shares(self._check_rows(X))

    @documented
    def icl(self, X: ArrayLike, sample_weight: Weights = None) -> float:
        """Compute the integrated completed likelihood, bic(X) + 2 sum_i H(p(k | x_i)).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        {sample_weight}

        Returns
        -------
        icl : float
            Lower is better; unlike ``bic`` it prefers components that do not overlap (Biernacki,
            Celeux & Govaert, 2000).
        """
        rows = self._check_rows(X)
        resp = self._responsibilities(rows)
        logs = np.log(resp, where=resp > 0, out=np.zeros_like(resp))
        entropy = -weighted_total(check_weights(sample_weight, rows), (resp * logs).sum(axis=1))
        return self.bic(X, sample_weight) + 2.0 * entropy

    @property
    def _n_features_out(self) -> int:
        return self._n_fitted_components
