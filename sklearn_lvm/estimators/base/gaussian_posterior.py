"""What the posterior of one Gaussian says of its mean and covariance."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..._typing import Floats, RandomState
from ...fitting.one_gaussian import Posterior
from .moments import M
from .one_gaussian import OneGaussianEstimator
from .validation import check_level


class GaussianPosteriorEstimator(OneGaussianEstimator[M]):
    """Base of estimators of one Gaussian that may have a posterior."""

    _posterior: Posterior  # in standard units

    def _posterior_or_raise(self) -> Posterior:
        check_is_fitted(self)
        self._density_or_raise()
        if not hasattr(self, "_posterior"):
            raise AttributeError(
                "a fit with inference='mle' has no posterior; set inference='bayes' or 'map', and fit "
                "again. Nor has one a density that condition or marginal made."
            )
        return self._posterior

    def credible_interval(self, level: float = 0.95) -> tuple[Floats, Floats]:
        """Compute the central interval that holds each coordinate of the mean with a probability.

        Parameters
        ----------
        level : float, default=0.95
            The posterior probability of each interval, in (0, 1).

        Returns
        -------
        low, high : ndarray of shape (n_features,)
            Quantiles of (1 - level) / 2 and (1 + level) / 2 of the marginal posterior, a t density.

        Raises
        ------
        ValueError
            If ``level`` is not inside (0, 1).
        AttributeError
            If there is no posterior, with inference='mle'.
        """
        known = self._posterior_or_raise()
        low, high = known.interval_of_mean(check_level(level))
        return self._mean(low, self._transformation), self._mean(high, self._transformation)

    def credible_region(self, level: float = 0.95) -> tuple[Floats, Floats]:
        """Compute the ellipsoid that holds the mean, all coordinates at once, with a probability.

        It is (m - center)' inv(shape) (m - center) <= 1. The squared radius is a quantile of an F
        distribution; with covariance_type='diag', where each coordinate has a precision of its own, of
        the sum of squares of independent t variables, and the ellipsoid is not the smallest region.
        After a fit to rows with NaN and 'full' it is that of the variational posterior.

        Parameters
        ----------
        level : float, default=0.95
            The posterior probability of the ellipsoid, in (0, 1).

        Returns
        -------
        center : ndarray of shape (n_features,)
        shape : ndarray of shape (n_features, n_features), (n_features,) or ()
            In the form of ``covariance_``: a matrix, its diagonal, or a number; with NaN and
            'spherical' a diagonal, as each coordinate is known from its own entries.

        Raises
        ------
        ValueError
            If ``level`` is not inside (0, 1).
        AttributeError
            If there is no posterior, with inference='mle'.
        """
        known = self._posterior_or_raise()
        region = known.region_of_mean(check_level(level))
        with np.errstate(all="ignore"):  # in extreme units
            shape = region.covariance.rescale(self._transformation.scale).matrix[0]
            return self._mean(region.mean[0], self._transformation), shape.astype(self._dtype)

    def sample_posterior(
        self, n_samples: int = 1, *, random_state: RandomState = None
    ) -> tuple[Floats, Floats]:
        """Draw means and covariances from the posterior.

        Parameters
        ----------
        n_samples : int, default=1
        random_state : int, RandomState instance or None, default=None
            None falls back to the estimator's own ``random_state``.

        Returns
        -------
        means : ndarray of shape (n_samples, n_features)
        covariances : ndarray of shape (n_samples, n_features, n_features), (n_samples, n_features) or \
(n_samples,)

        Raises
        ------
        ValueError
            If ``n_samples`` is not a positive integer, or the random state is none.
        AttributeError
            If there is no posterior, with inference='mle'.
        """
        known = self._posterior_or_raise()
        rng = self._drawing("sample_posterior", n_samples, random_state)
        mean, stored = known.draw(int(n_samples), rng)
        with np.errstate(all="ignore"):  # in extreme units
            stored = stored * known.structure.growth(self._transformation.scale)
            covariances = known.structure.to_public(stored)
            return self._mean(mean, self._transformation), covariances.astype(self._dtype)
