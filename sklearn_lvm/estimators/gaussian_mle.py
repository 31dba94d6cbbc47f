"""One Gaussian, fitted in closed form."""

from numbers import Real
from typing import ClassVar, Literal

import numpy as np

from .._compat import RANDOM_STATE, Interval, StrOptions
from .._typing import Floats, RandomState
from ..core.gaussian.density import GaussianFamily, Gaussians
from ..core.gaussian.missing import ObservedStandardization
from ..core.gaussian.structure_names import COVARIANCE_TYPES
from ..core.mixture import Mixture
from ..core.standardization import Standardization
from ..fitting.incomplete_rows import observed_units
from ..fitting.one_gaussian import IncompleteTable
from .base.moments import OneGaussianRows
from .base.one_gaussian import EM_CONSTRAINTS, SEPARATE, OneGaussianEstimator
from .base.validation import standardization_of


class GaussianMLE(OneGaussianEstimator[Mixture[Gaussians]]):
    """Gaussian density with the maximum-likelihood mean and covariance.

    log p(x) = -(d log 2 pi + log|S| + (x - m)' inv(S) (x - m)) / 2, with m the weighted mean of the
    rows and S = 1/N sum_i (x_i - m)(x_i - m)', or its diagonal, or the mean of its diagonal; N is the
    sum of the weights.

    An entry that is NaN was not observed, and scores nothing. The fit maximizes the likelihood of the
    observed entries, which suits entries missing at random. With 'diag' and 'spherical', where features
    are independent, that still has a closed form: each column has the mean of its own observed entries,
    and their variance, or the average of all. With 'full' it is found by expectation-maximization, in
    which missing entries are latent variables (Dempster, Laird & Rubin, 1977).

    Parameters
    ----------
    covariance_type : {'full', 'diag', 'spherical'}, default='full'
        What is kept of the covariance.
    reg_covar : float, default=1e-6
        Used only where the covariance is singular to working precision: then reg_covar * s_j**2 is
        added to the variance of each feature j, s_j**2 being the feature's own variance, or the median
        of the others' where it is constant. Otherwise the estimate is the exact maximum. With 'full'
        and NaN the covariance is singular where EM has shrunk a variance to 1e-10 of those of the
        features, which ``reg_covar`` must therefore exceed. Where several Gaussians are fitted together
        as parts of a mixture it is added to every estimate, as in :class:`EMGaussianMixture`.
    tol : float, default=1e-8
        With 'full' and NaN only: EM ends when the estimated remaining gain of the objective is below
        it, in nats per unit of weight.
    max_iter : int, default=1000
        With 'full' and NaN only: the most steps of EM.
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
    n_iter_ : int
        Steps of EM; 1 for the closed form.
    converged_ : bool
        Whether EM converged; True for the closed form.
    lower_bound_ : float
        Only after EM: the log-likelihood less the penalty tr(E inv(S)) / 2 of variances E that
        ``reg_covar`` added, in nats per row.
    lower_bounds_ : list of float
        Only after EM: that of each model that was accepted. It never falls.
    n_parameters_ : int
        Free parameters.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (`n_features_in_`,)

    Warns
    -----
    CovarianceWarning
        If the covariance was singular and ``reg_covar`` was used; it names the features.
    ConvergenceWarning
        If EM had not converged after ``max_iter`` steps.

    See Also
    --------
    BayesianGaussian : What is known of the mean and the covariance, and what remains uncertain.
    EMGaussianMixture : Several Gaussians; with ``n_components=1`` one, by the posterior mode under a
        prior, which few rows of many features need.

    References
    ----------
    C. M. Bishop, Pattern Recognition and Machine Learning (2006), equations 2.121 and 2.122.

    R. J. A. Little & D. B. Rubin, Statistical Analysis with Missing Data (2002), section 11.2.

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

    Where large entries of one column hide the other, the mean of what is left of that is too small. A
    Gaussian knows how both depend on each other:

    >>> many = np.random.RandomState(0).normal(size=(10000, 2)) @ [[1.0, 1.0], [0.0, 0.5]]
    >>> many[many[:, 0] > 0, 1] = np.nan
    >>> print(np.nanmean(many[:, 1]).round(1), abs(GaussianMLE().fit(many).mean_[1]).round(1))
    -0.8 0.0
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "covariance_type": [StrOptions(SEPARATE)],
        "reg_covar": [Interval(Real, 0, None, closed="left")],
        **EM_CONSTRAINTS,
        "random_state": RANDOM_STATE,
    }
    _of_density = (*OneGaussianEstimator._of_density, "log_likelihood_")

    log_likelihood_: float

    def __init__(
        self,
        *,
        covariance_type: Literal["full", "diag", "spherical"] = "full",
        reg_covar: float = 1e-6,
        tol: float = 1e-8,
        max_iter: int = 1000,
        random_state: RandomState = None,
    ) -> None:
        self.covariance_type = covariance_type
        self.reg_covar = reg_covar
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state

    # -- as a part of a mixture --------------------------------------------------------------------

    def _family(self, X: Floats, w: Floats) -> tuple[ObservedStandardization, GaussianFamily]:
        """Units and estimation of Gaussians of these rows (n, d): ``reg_covar`` is always added."""
        structure = COVARIANCE_TYPES[self.covariance_type](X.shape[1])
        measure = Standardization.of_observed
        units = standardization_of(X, w, measure, per_feature=structure.per_feature)
        family = GaussianFamily(structure, self.reg_covar * units.feature_variance)
        return observed_units(X, w, units, structure), family

    # -- the density -------------------------------------------------------------------------------

    def _estimate(
        self, rows: OneGaussianRows, standardization: Standardization
    ) -> Mixture[Gaussians]:
        return Mixture(np.zeros(1), self._finished(self._maximum(rows, standardization)))

    def _summary(
        self, rows: OneGaussianRows, standardization: Standardization
    ) -> dict[str, object]:
        known = super()._summary(rows, standardization)
        if isinstance(rows, IncompleteTable):  # the mean of which depends on the covariance
            return known
        return known | {"mean_": self._mean(rows.typical.mean[0], standardization)}

    def _described(
        self,
        density: Mixture[Gaussians],
        rows: OneGaussianRows,
        standardization: Standardization,
    ) -> dict[str, object]:
        gaussian = density.components
        run = self._run.with_model(gaussian)
        return {
            "mean_": self._mean(gaussian.mean[0], standardization),
            **self._gaussian_attributes(gaussian, standardization),
            **self._run_attributes(rows, standardization, 1.0),
            "log_likelihood_": rows.log_likelihood(run, self._added_variance, standardization),
        }
