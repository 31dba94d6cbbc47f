"""One Gaussian, fitted in closed form."""

from numbers import Real
from typing import ClassVar, Literal

import numpy as np

from .._compat import RANDOM_STATE, Interval, StrOptions
from .._typing import RandomState
from ..core.gaussian.density import Gaussians
from ..core.gaussian.moments import Moments
from ..core.mixture import Mixture
from ..core.standardization import Standardization
from .base.one_gaussian import SEPARATE, OneGaussianEstimator


class GaussianMLE(OneGaussianEstimator[Mixture[Gaussians]]):
    """Gaussian density with the maximum-likelihood mean and covariance.

    log p(x) = -(d log 2 pi + log|S| + (x - m)' inv(S) (x - m)) / 2, with m the weighted mean of the
    rows and S = 1/N sum_i (x_i - m)(x_i - m)', or its diagonal, or the mean of its diagonal; N is the
    sum of the weights.

    Parameters
    ----------
    covariance_type : {'full', 'diag', 'spherical'}, default='full'
        What is kept of the covariance.
    reg_covar : float, default=1e-6
        Used only where the covariance is singular to working precision: then reg_covar * s_j**2 is
        added to the variance of each feature j, s_j**2 being the feature's own variance, or the median
        of the others' where it is constant. Otherwise the estimate is the exact maximum.
    random_state : int, RandomState instance or None, default=None
        Used by ``sample``.

    Attributes
    ----------
    mean_ : ndarray of shape (n_features,)
    covariance_ : ndarray of shape (n_features, n_features), (n_features,) or ()
        According to ``covariance_type``. In units so extreme that its entries are no floating point
        numbers it holds zeros or infinities; scores do not depend on it.
    precision_ : ndarray
        The inverse of the covariance, in the same shape.
    n_samples_seen_ : int or float
        The summed weight of all rows so far.
    log_likelihood_ : float
        The log-likelihood of these rows in total, in nats.
    n_parameters_ : int
        Free parameters.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (`n_features_in_`,)

    Warns
    -----
    CovarianceWarning
        If the covariance was singular and ``reg_covar`` was used; it names the features.

    See Also
    --------
    BayesianGaussian : What is known of the mean and the covariance, and what remains uncertain.
    EMGaussianMixture : Several Gaussians; with ``n_components=1`` one, by the posterior mode under a
        prior, which few rows of many features need.

    References
    ----------
    C. M. Bishop, Pattern Recognition and Machine Learning (2006), equations 2.121 and 2.122.

    Examples
    --------
    The estimate of a stream does not depend on how the stream is cut:

    >>> import numpy as np
    >>> from sklearn_lvm import GaussianMLE
    >>> X = np.random.RandomState(0).normal(size=(100, 2)) @ [[2.0, 0.0], [1.0, 0.5]]
    >>> whole = GaussianMLE().fit(X)
    >>> parts = GaussianMLE().partial_fit(X[:30]).partial_fit(X[30:])
    >>> np.allclose(whole.covariance_, parts.covariance_, rtol=1e-13)
    True

    Whitened rows have no mean and unit covariance:

    >>> Z = whole.transform(X)
    >>> np.allclose(Z.T @ Z / len(Z), np.eye(2))
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "covariance_type": [StrOptions(SEPARATE)],
        "reg_covar": [Interval(Real, 0, None, closed="left")],
        "random_state": RANDOM_STATE,
    }
    _of_density = (*OneGaussianEstimator._of_density, "log_likelihood_")

    log_likelihood_: float

    def __init__(
        self,
        *,
        covariance_type: Literal["full", "diag", "spherical"] = "full",
        reg_covar: float = 1e-6,
        random_state: RandomState = None,
    ) -> None:
        self.covariance_type = covariance_type
        self.reg_covar = reg_covar
        self.random_state = random_state

    def _estimate(self, moments: Moments, standardization: Standardization) -> Mixture[Gaussians]:
        return Mixture(np.zeros(1), self._maximum(moments, standardization))

    def _summary(self, moments: Moments, standardization: Standardization) -> dict[str, object]:
        mean = self._mean(moments.mean[0], standardization)
        return super()._summary(moments, standardization) | {"mean_": mean}

    def _described(
        self, density: Mixture[Gaussians], moments: Moments, standardization: Standardization
    ) -> dict[str, object]:
        gaussian = density.components
        loss = gaussian.trace_penalty(self._added_variance)
        mean_log_prob = float((gaussian.max_log_prob - loss)[0]) - len(standardization.scale) / 2
        log_likelihood = float(moments.weight[0]) * (mean_log_prob - standardization.log_jacobian)
        described = self._gaussian_attributes(gaussian, standardization)
        return described | {"log_likelihood_": log_likelihood}
