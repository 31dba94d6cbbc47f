"""One Gaussian: maximum likelihood, posterior mode, or the whole posterior."""

from collections.abc import Callable
from dataclasses import replace
from numbers import Real
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from .._compat import RANDOM_STATE, Interval, StrOptions
from .._typing import Floats, Ints, RandomState
from ..core.gaussian.density import Gaussians
from ..core.gaussian.moments import Moments
from ..core.gaussian.normal_wishart import NormalWisharts
from ..core.gaussian.parameters import GaussianPosterior, suggested_prior
from ..core.gaussian.student import StudentTs
from ..core.linalg import SingularCovarianceError
from ..core.mixture import Mixture
from ..core.standardization import Standardization
from .base.closed_form import NoDensityError
from .base.normal_wishart_priors import described_prior, given_prior, marginal_freedom
from .base.one_gaussian import SEPARATE, OneGaussianEstimator
from .base.validation import check_level, too_few_rows

OneGaussian = Mixture[Gaussians] | Mixture[StudentTs]


class Inference(NamedTuple):
    """How moments become a density and the Gaussian that whitens rows, and what else is known then."""

    density: Callable[["BayesianGaussian", Moments, Standardization], tuple[OneGaussian, Gaussians]]
    known: tuple[str, ...]


POSTERIOR = (
    "mean_prior_",
    "mean_precision_prior_",
    "degrees_of_freedom_prior_",
    "covariance_prior_",
    "mean_precision_",
    "degrees_of_freedom_",
)
INFERENCES = {
    "bayes": Inference(
        lambda model, *rows: model._predictive(*rows), (*POSTERIOR, "log_evidence_")
    ),
    "map": Inference(lambda model, *rows: _gaussian(model._updated(*rows).mode()), POSTERIOR),
    "mle": Inference(lambda model, *rows: _gaussian(model._maximum(*rows)), ()),
}


def _gaussian(gaussian: Gaussians) -> tuple[OneGaussian, Gaussians]:
    return Mixture(np.zeros(1), gaussian), gaussian


class BayesianGaussian(OneGaussianEstimator[OneGaussian]):
    """Gaussian density whose mean and covariance have a Normal-inverse-Wishart prior.

    With weighted rows of sum N, mean x and scatter S, the posterior has k = k0 + N, nu = nu0 + N,

    m = (k0 m0 + N x) / k, Psi = Psi0 + S + k0 N / k (x - m0)(x - m0)'.

    The next row is t-distributed with nu - d + 1 degrees of freedom about m, and the scale matrix
    Psi (k + 1) / (k (nu - d + 1)). ``inference="map"`` is the Gaussian at the mode of the joint
    posterior, with covariance Psi / (nu + d + 2), and ``inference="mle"`` that of the highest
    likelihood, as of :class:`GaussianMLE`. 'diag' has an inverse-gamma prior for each variance,
    precisions Gamma(nu / 2, Psi_j / 2): the next row is a product of t densities with nu degrees of
    freedom, the mode Psi_j / (nu + 3). 'spherical' has one precision in all, Gamma(nu / 2, Psi / 2),
    nu = nu0 + N d and Psi = Psi0 + tr S + k0 N / k |x - m0|^2: t with nu degrees of freedom and scale
    Psi (k + 1) / (k nu), the mode Psi / (nu + d + 2).

    Parameters
    ----------
    covariance_type : {'full', 'diag', 'spherical'}, default='full'
        What is kept of the covariance.
    inference : {'bayes', 'map', 'mle'}, default='bayes'
        What scores rows: the predictive density, the Gaussian at the mode of the posterior, or the
        maximum of the likelihood.
    mean_prior : array-like of shape (n_features,), default=None
        m0, where the mean is expected. None is the mean of the rows.
    mean_precision_prior : float, default=None
        k0, how many rows that expectation is worth. None is 1.
    degrees_of_freedom_prior : float, default=None
        nu0, greater than n_features - 1. None is n_features.
    covariance_prior : array-like or float, default=None
        Psi0: a matrix (n_features, n_features), its diagonal (n_features,) or a number according to
        ``covariance_type``. Covariances of about Psi0 / nu0 are expected. None is the sample covariance
        with denominator max(N - 1, N / 2), its diagonal, or the mean of that.
    reg_covar : float, default=1e-6
        Used only where the default ``covariance_prior`` is singular to working precision, or with
        'mle' the covariance: then reg_covar * s_j**2 is added to the variance of each feature j, s_j**2
        being the feature's own variance, or the median of the others' where it is constant.
    random_state : int, RandomState instance or None, default=None
        Used by ``sample`` and ``sample_posterior``.

    Attributes
    ----------
    mean_ : ndarray of shape (n_features,)
        m, the mean of the predictive density and of the mean's posterior.
    covariance_ : ndarray of shape (n_features, n_features), (n_features,) or ()
        With 'bayes' Psi / nu, the inverse of the expected precision, as in
        :class:`sklearn.mixture.BayesianGaussianMixture`; with 'map' the mode, with 'mle' the maximum.
    precision_ : ndarray
        Its inverse, in the same shape: the expected precision with 'bayes'.
    mean_precision_, degrees_of_freedom_ : float
        k and nu of the posterior; not with 'mle', which has none.
    mean_prior_, mean_precision_prior_, degrees_of_freedom_prior_, covariance_prior_ : ndarray or float
        The prior that was used, in the units of the data; not with 'mle'.
    log_evidence_ : float
        Only with 'bayes': the log marginal likelihood of all rows so far, in nats. It compares models
        only where the prior was given: a default prior has seen the rows that it predicts.
    n_samples_seen_ : int or float
        The summed weight of all rows so far.
    n_parameters_ : int
        Free parameters of the Gaussian.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (`n_features_in_`,)

    Warns
    -----
    CovarianceWarning
        If ``reg_covar`` was used; it names the features.

    See Also
    --------
    GaussianMLE : The maximum of the likelihood.
    BetaBernoulli : The same three readings of a table of zeros and ones.

    References
    ----------
    K. P. Murphy, Conjugate Bayesian analysis of the Gaussian distribution (2007), equations 250 to 266.

    Examples
    --------
    Three rows say little of a variance. The maximum of the likelihood is sure of it nevertheless; the
    predictive density expects rows further out:

    >>> import numpy as np
    >>> from sklearn_lvm import BayesianGaussian
    >>> X, far = np.array([[-1.0], [0.0], [1.0]]), [[4.0]]
    >>> print(BayesianGaussian(inference="mle").fit(X).score(far))  # doctest: +ELLIPSIS
    -12.7...
    >>> prior = {"mean_prior": [0.0], "covariance_prior": [[1.0]]}
    >>> model = BayesianGaussian(**prior).fit(X)
    >>> print(model.score(far))  # doctest: +ELLIPSIS
    -5.1...

    The evidence is the product of what was predicted for each row before it was seen:

    >>> stream, log_evidence = BayesianGaussian(**prior).partial_fit(X[:1]), 0.0
    >>> for row in X[1:]:
    ...     log_evidence += stream.score([row])
    ...     stream = stream.partial_fit([row])
    >>> first = BayesianGaussian(**prior).fit(X[:1]).log_evidence_
    >>> bool(np.isclose(first + log_evidence, model.log_evidence_))
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "covariance_type": [StrOptions(SEPARATE)],
        "inference": [StrOptions(set(INFERENCES))],
        "mean_prior": ["array-like", None],
        "mean_precision_prior": [Interval(Real, 0, None, closed="neither"), None],
        "degrees_of_freedom_prior": [Interval(Real, 0, None, closed="neither"), None],
        "covariance_prior": ["array-like", Interval(Real, 0, None, closed="neither"), None],
        "reg_covar": [Interval(Real, 0, None, closed="left")],
        "random_state": RANDOM_STATE,
    }
    _of_density = (
        *OneGaussianEstimator._of_density,
        *INFERENCES["bayes"].known,
        "mean_",
        "_posterior",
    )

    mean_prior_: Floats
    mean_precision_prior_: float
    degrees_of_freedom_prior_: float
    covariance_prior_: Floats
    mean_precision_: float
    degrees_of_freedom_: float
    log_evidence_: float

    _posterior: GaussianPosterior  # in standard units

    def __init__(
        self,
        *,
        covariance_type: Literal["full", "diag", "spherical"] = "full",
        inference: Literal["bayes", "map", "mle"] = "bayes",
        mean_prior: ArrayLike | None = None,
        mean_precision_prior: float | None = None,
        degrees_of_freedom_prior: float | None = None,
        covariance_prior: ArrayLike | None = None,
        reg_covar: float = 1e-6,
        random_state: RandomState = None,
    ) -> None:
        self.covariance_type = covariance_type
        self.inference = inference
        self.mean_prior = mean_prior
        self.mean_precision_prior = mean_precision_prior
        self.degrees_of_freedom_prior = degrees_of_freedom_prior
        self.covariance_prior = covariance_prior
        self.reg_covar = reg_covar
        self.random_state = random_state

    # -- the density -------------------------------------------------------------------------------

    def _estimate(self, moments: Moments, standardization: Standardization) -> OneGaussian:
        make = INFERENCES[self.inference].density
        density, self._gaussian = make(self, moments, standardization)
        return density

    def _predictive(
        self, moments: Moments, standardization: Standardization
    ) -> tuple[OneGaussian, Gaussians]:
        known = self._updated(moments, standardization)
        return known.predictive(), known.posterior.expected

    def _updated(self, moments: Moments, standardization: Standardization) -> GaussianPosterior:
        default = self._default_prior(moments, standardization)
        prior = given_prior(self, standardization, default.moments)
        try:
            self._posterior = GaussianPosterior.of(moments, prior)
        except SingularCovarianceError as singular:
            cause = self._cause("the posterior of the covariance is singular", singular)
            raise NoDensityError(f"{cause}; give a larger covariance_prior.") from None
        return self._posterior

    def _default_prior(self, moments: Moments, standardization: Standardization) -> NormalWisharts:
        """The prior that the rows suggest; its scatter is a stand-in where one is given."""
        structure, prior = moments.structure, suggested_prior(moments)
        if self.covariance_prior is not None:
            return NormalWisharts.of(
                replace(prior, scatter=structure.of_variances(np.ones(structure.d)))
            )
        self._check_spread(moments, too_few_rows("a default covariance_prior", 1))
        try:
            return NormalWisharts.of(prior)
        except SingularCovarianceError as singular:
            cause = self._cause("the covariance is singular", singular)
        remedy = "set reg_covar > 0, give covariance_prior, or drop these features."
        added = self._share_of_variances(moments, standardization, cause, remedy)
        share = structure.of_variances(added) / structure.dof_per_row
        return NormalWisharts.of(replace(prior, scatter=prior.scatter + share))

    def _described(
        self, density: OneGaussian, moments: Moments, standardization: Standardization
    ) -> dict[str, object]:
        names = INFERENCES[self.inference].known
        known = self._known(standardization) if names else {}
        return {
            "mean_": self._mean(self._gaussian.mean[0], standardization),
            **self._gaussian_attributes(self._gaussian, standardization),
            **{name: known[name] for name in names},
        }

    def _known(self, standardization: Standardization) -> dict[str, object]:
        """What the posterior says, in the units of the data."""
        known = self._posterior
        log_jacobian = float(known.rows.weight[0]) * standardization.log_jacobian
        return {
            **described_prior(known.prior, standardization, self._dtype),
            "mean_precision_": float(known.posterior.mean_precision[0]),
            "degrees_of_freedom_": float(known.posterior.degrees_of_freedom[0]),
            "log_evidence_": known.log_evidence - log_jacobian,
        }

    def _params_of_features(self, kept: Ints) -> dict[str, object]:
        return super()._params_of_features(kept) | marginal_freedom(self, self._structure(), kept)

    # -- the posterior -----------------------------------------------------------------------------

    def _posterior_or_raise(self) -> GaussianPosterior:
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

        Parameters
        ----------
        level : float, default=0.95
            The posterior probability of the ellipsoid, in (0, 1).

        Returns
        -------
        center : ndarray of shape (n_features,)
        shape : ndarray of shape (n_features, n_features), (n_features,) or ()
            In the form of ``covariance_``: a matrix, its diagonal, or a number.

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
            stored = stored * known.posterior.structure.growth(self._transformation.scale)
            covariances = known.posterior.structure.to_public(stored)
            return self._mean(mean, self._transformation), covariances.astype(self._dtype)
