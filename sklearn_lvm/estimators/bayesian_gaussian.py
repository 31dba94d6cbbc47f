"""One Gaussian: maximum likelihood, posterior mode, or the whole posterior."""

from collections.abc import Callable
from numbers import Real
from typing import ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone

from .._compat import RANDOM_STATE, Interval, StrOptions
from .._typing import Floats, Ints, RandomState
from ..core.gaussian.column_density import ColumnStudentTs
from ..core.gaussian.density import GaussianFamily, Gaussians
from ..core.gaussian.missing import ObservedStandardization
from ..core.gaussian.normal_wishart import NormalWisharts
from ..core.gaussian.parameters import weak_prior
from ..core.gaussian.student import StudentTs
from ..core.linalg import SingularCovarianceError
from ..core.mixture import Mixture
from ..core.standardization import Standardization
from ..fitting.incomplete_rows import observed_units
from ..fitting.one_gaussian import Posterior
from .base.closed_form import NoDensityError
from .base.gaussian_posterior import GaussianPosteriorEstimator
from .base.moments import OneGaussianRows
from .base.normal_wishart_priors import described_prior, given_prior, marginal_freedom
from .base.one_gaussian import EM_CONSTRAINTS, SEPARATE, OneGaussianEstimator
from .base.validation import too_few_rows

LARGER_PRIOR = "give a larger covariance_prior."

OneGaussian = Mixture[Gaussians] | Mixture[StudentTs] | Mixture[ColumnStudentTs]


class Inference(NamedTuple):
    """How moments become a density and the Gaussian that whitens rows, and what else is known then."""

    density: Callable[
        ["BayesianGaussian", OneGaussianRows, Standardization], tuple[OneGaussian, Gaussians]
    ]
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
    "map": Inference(lambda model, *rows: _gaussian(model._mode(*rows)), POSTERIOR),
    "mle": Inference(lambda model, *rows: _gaussian(model._finished(model._maximum(*rows))), ()),
}


def _gaussian(gaussian: Gaussians) -> tuple[OneGaussian, Gaussians]:
    return Mixture(np.zeros(1), gaussian), gaussian


class BayesianGaussian(GaussianPosteriorEstimator[OneGaussian]):
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

    An entry that is NaN was not observed, and scores nothing. With 'diag' and 'spherical' each column
    j has the posterior of its own n_j observed entries: k_j = k0 + n_j, and nu_j = nu0 + n_j, or nu =
    nu0 + sum n_j of the one precision. The next row is t with scales Psi_j (k_j + 1) / (k_j nu_j), and
    all is exact. With 'full' the posterior is variational, q(mean, covariance) q(missing entries),
    found by expectation-maximization: scores are those of its predictive density, ``log_evidence_`` is
    a lower bound, and intervals are somewhat too narrow. Without NaN they are exact. 'map' is then a
    mode of the posterior given the observed entries, by EM as well.

    Parameters
    ----------
    covariance_type : {'full', 'diag', 'spherical'}, default='full'
        What is kept of the covariance.
    inference : {'bayes', 'map', 'mle'}, default='bayes'
        What scores rows: the predictive density, the Gaussian at the mode of the posterior, or the
        maximum of the likelihood. As parts of a mixture, Gaussians are fitted by their modes also with
        'bayes'.
    mean_prior : array-like of shape (n_features,), default=None
        m0, where the mean is expected. None is the mean of the rows; with NaN that of the observed
        entries of each column, or with 'full', unless ``covariance_prior`` is given, that of the
        highest likelihood.
    mean_precision_prior : float, default=None
        k0, how many rows that expectation is worth. None is 1.
    degrees_of_freedom_prior : float, default=None
        nu0, greater than n_features - 1. None is n_features.
    covariance_prior : array-like or float, default=None
        Psi0: a matrix (n_features, n_features), its diagonal (n_features,) or a number according to
        ``covariance_type``. Covariances of about Psi0 / nu0 are expected. None is the sample covariance
        with denominator max(N - 1, N / 2), its diagonal, or the mean of that. With NaN, N is the number
        of observed entries of a column, or with 'full' the covariance is that of the highest likelihood
        times N / max(N - 1, N / 2).
    reg_covar : float, default=1e-6
        Used only where the default ``covariance_prior`` is singular to working precision, or with
        'mle' the covariance: then reg_covar * s_j**2 is added to the variance of each feature j, s_j**2
        being the feature's own variance, or the median of the others' where it is constant. With 'full'
        and NaN a covariance is singular where EM has shrunk a variance to 1e-10 of those of the
        features.
    tol : float, default=1e-8
        With 'full' and NaN only: EM ends when the estimated remaining gain of the objective is below
        it, in nats per unit of weight.
    max_iter : int, default=1000
        With 'full' and NaN only: the most steps of EM.
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
    mean_precision_, degrees_of_freedom_ : float or ndarray of shape (n_features,)
        k and nu of the posterior; not with 'mle', which has none. With NaN and 'diag' they are those of
        each column, with 'spherical' k is.
    mean_prior_, mean_precision_prior_, degrees_of_freedom_prior_, covariance_prior_ : ndarray or float
        The prior that was used, in the units of the data; not with 'mle'.
    log_evidence_ : float
        Only with 'bayes': the log marginal likelihood of all rows so far, in nats; with 'full' and NaN
        a lower bound of it. It compares models only where the prior was given: a default prior has
        seen the rows that it predicts.
    n_iter_ : int
        Steps of EM; 1 for the closed form.
    converged_ : bool
        Whether EM converged; True for the closed form.
    lower_bound_ : float
        Only after EM. With 'bayes' it is ``log_evidence_``; otherwise the log-likelihood in nats per
        row, with the log-prior of 'map', up to a constant, or less what ``reg_covar`` costs.
    lower_bounds_ : list of float
        Only after EM: that of each model that was accepted. It never falls.
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
    ConvergenceWarning
        If EM had not converged after ``max_iter`` steps.

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
        **EM_CONSTRAINTS,
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
        tol: float = 1e-8,
        max_iter: int = 1000,
        random_state: RandomState = None,
    ) -> None:
        self.covariance_type = covariance_type
        self.inference = inference
        self.mean_prior = mean_prior
        self.mean_precision_prior = mean_precision_prior
        self.degrees_of_freedom_prior = degrees_of_freedom_prior
        self.covariance_prior = covariance_prior
        self.reg_covar = reg_covar
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state

    # -- as a part of a mixture --------------------------------------------------------------------

    def _family(self, X: Floats, w: Floats) -> tuple[ObservedStandardization, GaussianFamily]:
        """Units and estimation of Gaussians of these rows (n, d): modes under one prior.

        'bayes' is read as 'map'. What the prior takes from the data it takes from these rows, once.
        With 'mle' there is no prior, and ``reg_covar`` is always added.

        Raises
        ------
        ValueError
            If the prior is none.
        """
        known, some = clone(self), ~np.isnan(X).all(axis=1)
        known.n_features_in_ = X.shape[1]
        structure = known._structure()
        units, rows = known._measured(X[some], w[some])
        if self.inference == "mle":
            family = GaussianFamily(structure, self.reg_covar * units.feature_variance)
        else:
            default = known._default_prior(rows, units)
            prior = given_prior(known, units, default.moments).pseudo_observations(1)
            family = GaussianFamily(structure, np.zeros(structure.d), prior)
        return observed_units(X, w, units, structure), family

    # -- the density -------------------------------------------------------------------------------

    def _estimate(self, rows: OneGaussianRows, standardization: Standardization) -> OneGaussian:
        make = INFERENCES[self.inference].density
        density, self._gaussian = make(self, rows, standardization)
        return density

    def _predictive(
        self, rows: OneGaussianRows, standardization: Standardization
    ) -> tuple[OneGaussian, Gaussians]:
        known = self._updated(rows, standardization)
        return known.predictive(), known.expected()

    def _mode(self, rows: OneGaussianRows, standardization: Standardization) -> Gaussians:
        known = self._updated(rows, standardization)
        with self._singular_means("the mode of the covariance is singular", LARGER_PRIOR):
            return self._finished(rows.mode(known))

    def _updated(self, rows: OneGaussianRows, standardization: Standardization) -> Posterior:
        default = self._default_prior(rows, standardization)
        prior = given_prior(self, standardization, default.moments)
        try:
            self._posterior = self._finished(rows.posterior(prior))
        except SingularCovarianceError as singular:
            cause = self._cause("the posterior of the covariance is singular", singular)
            raise NoDensityError(f"{cause}; {LARGER_PRIOR}") from None
        return self._posterior

    def _default_prior(
        self, rows: OneGaussianRows, standardization: Standardization
    ) -> NormalWisharts:
        """The prior that the rows suggest; its scatter is a stand-in where one is given."""
        structure = rows.structure
        if self.covariance_prior is not None:
            ones = structure.of_variances(np.ones(structure.d))
            return NormalWisharts.of(weak_prior(rows.typical.mean, ones, structure))
        self._check_spread(rows, too_few_rows("a default covariance_prior", 1))
        try:
            return NormalWisharts.of(rows.suggested_prior(np.zeros(structure.d)))
        except SingularCovarianceError as singular:
            cause = self._cause("the covariance is singular", singular)
        remedy = "set reg_covar > 0, give covariance_prior, or drop these features."
        added = self._share_of_variances(rows, standardization, cause, remedy)
        with self._singular_means(cause, "raise reg_covar."):
            return NormalWisharts.of(rows.suggested_prior(added))

    def _described(
        self, density: OneGaussian, rows: OneGaussianRows, standardization: Standardization
    ) -> dict[str, object]:
        inference = INFERENCES[self.inference]
        known = self._known(rows, standardization) if inference.known else {}
        unit = rows.n_rows if "log_evidence_" in inference.known else 1.0
        return {
            "mean_": self._mean(self._gaussian.mean[0], standardization),
            **self._gaussian_attributes(self._gaussian, standardization),
            **self._run_attributes(rows, standardization, unit),
            **{name: known[name] for name in inference.known},
        }

    def _known(self, rows: OneGaussianRows, standardization: Standardization) -> dict[str, object]:
        """What the posterior says, in the units of the data."""
        known = self._posterior
        return {
            **described_prior(known.prior, standardization, self._dtype),
            "mean_precision_": self._number_or_array(known.mean_precision),
            "degrees_of_freedom_": self._number_or_array(known.degrees_of_freedom),
            "log_evidence_": known.log_evidence - rows.log_jacobian(standardization),
        }

    def _number_or_array(self, values: Floats) -> float | Floats:
        """One number, or numbers of the columns."""
        return float(values[0]) if len(values) == 1 else values.astype(self._dtype)

    def _params_of_features(self, kept: Ints) -> dict[str, object]:
        return super()._params_of_features(kept) | marginal_freedom(self, self._structure(), kept)
