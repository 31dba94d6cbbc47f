"""The base of densities whose log-likelihood is known, and which have information criteria."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from ..._typing import Weights
from .density import DensityEstimator
from .docs import documented
from .imputation import ImputingEstimator
from .validation import check_weights, weighted_total


class InformationCriteria(DensityEstimator):
    """Criteria of densities with exact scores; those of a bound would compare nothing."""

    def _criterion(
        self, X: ArrayLike, sample_weight: Weights, penalty: Callable[[float], float]
    ) -> float:
        rows = self._check_rows(X)
        w = check_weights(sample_weight, rows)
        log_likelihood = weighted_total(w, self._log_prob(rows))
        return -2.0 * log_likelihood + float(penalty(w.sum())) * self.n_parameters_

    def bic(self, X: ArrayLike, sample_weight: Weights = None) -> float:
        """Compute the Bayesian information criterion, ``-2 log L + n_parameters_ log n``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        sample_weight : array-like of shape (n_samples,), default=None
            The weights count as rows: n is their sum.

        Returns
        -------
        bic : float
            Lower is better (Schwarz, 1978).
        """
        return self._criterion(X, sample_weight, np.log)

    @documented
    def aic(self, X: ArrayLike, sample_weight: Weights = None) -> float:
        """Compute the Akaike information criterion, ``-2 log L + 2 n_parameters_``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        {sample_weight}

        Returns
        -------
        aic : float
            Lower is better (Akaike, 1974).
        """
        return self._criterion(X, sample_weight, lambda n: 2.0)


class ExactDensityEstimator(InformationCriteria, ImputingEstimator):
    """Base of densities with exact scores that fill in missing entries."""

    @property
    def _has_evidence_bound(self) -> bool:
        """Whether ``lower_bound_`` is a lower bound of the log-evidence of all rows, in nats."""
        return False
