"""VariationalGaussianMixture: mixtures of Gaussians of which all parameters have posteriors."""

from collections.abc import Mapping
from dataclasses import replace
from numbers import Real
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import ArrayLike

from .._compat import Interval, StrOptions
from .._typing import Floats, Ints, RandomState
from ..core.gaussian.density import GaussianFamily, Gaussians
from ..core.gaussian.moments import Moments
from ..core.gaussian.normal_wishart import NormalWisharts
from ..core.gaussian.parameters import weak_prior
from ..core.gaussian.posterior import GaussianPosteriorFamily, GaussianPosteriors
from ..core.gaussian.structure_names import COVARIANCE_TYPES
from ..core.linalg import SingularCovarianceError
from ..core.mixing import WEIGHT_POSTERIORS
from ..core.mixture import Mixture
from ..core.mixture_em import MixtureSteps
from ..core.mixture_variational import EmpiricalSteps, VariationalSteps, posteriors_of, weights_of
from ..core.rows import RowSource
from ..core.standardization import Standardization
from ..fitting.posterior_start import PosteriorStart
from ..fitting.start_search import SearchedStart
from ..fitting.starts import Start
from ..fitting.typical_prior import typical_scatter
from .base.docs import documented
from .base.gaussian_mixture import CovarianceType, GaussianMixtureEstimator
from .base.mixture import COUNT, EM_CONSTRAINTS, Acceleration, InitParams
from .base.normal_wishart_priors import described_prior, given_prior, marginal_freedom

POSITIVE: list[object] = [Interval(Real, 0.0, None, closed="neither"), None]
# How priors are found -> the steps of variational EM.
STEPS: dict[str, type[VariationalSteps[GaussianPosteriors, Moments]]] = {
    "fixed": VariationalSteps,
    "empirical": EmpiricalSteps,
}


@documented
class VariationalGaussianMixture(GaussianMixtureEstimator[GaussianPosteriors]):
    """Mixture of Gaussians whose weights, means and covariances have posteriors.

    Variational EM finds q(z) q(w) prod_k q(m_k, P_k), with P_k the inverse of the k-th covariance,
    which is the nearest to the posterior of labels z, weights w and Gaussians in Kullback-Leibler
    divergence. Each q(m_k, P_k) is Normal-Wishart, m_k | P_k ~ N(M_k, inv(kappa_k P_k)) and P_k ~
    W(nu_k, inv(Psi_k)), and q(w) is a Dirichlet distribution, or that of the sticks of a Dirichlet
    process. The bound of the log-evidence, which no step lets fall, is

    L = sum_i log sum_k exp(E log w_k + E log N(x_i | m_k, inv(P_k))) - KL(q(w) || p(w))
    - sum_k KL(q(m_k, P_k) || p(m_k, P_k)).

    Rows are scored by the posterior predictive density, a mixture of Student-t densities: sum_k E[w_k]
    t(x | M_k, Psi_k (kappa_k + 1) / (kappa_k (nu_k - d + 1)), nu_k - d + 1). Labels and samples are of
    this density. ``n_components`` is the most components there can be: those that the rows do not ask
    for lose theirs.

    Entries that are NaN were not observed, and are missing at random. Given its component, what a row
    lacks has a Gaussian posterior too, independent of the parameters: with missing entries
    ``lower_bound_`` is a bound of the evidence of what was observed, and the rows are scored by the
    predictive density of q(w) and q(m_k, P_k).

    A user of :class:`sklearn.mixture.BayesianGaussianMixture` changes the import. Deliberate
    differences: scores are those of a density that integrates to one, ``lower_bound_`` is the whole
    bound, 'tied', 'diag' and 'spherical' covariances have their own conjugate posteriors, default
    priors take the scale of features without outliers, ``sample`` returns rows alone and in random
    order, rows may have weights, and a fit ends when its estimated remaining gain is small.

    Parameters
    ----------
    n_components : int, default=1
    covariance_type : {'full', 'tied', 'diag', 'spherical'}, default='full'
        A full matrix for each component, one for all, a diagonal for each, or a variance for each. The
        precisions of a diagonal are independent, P_kj ~ Gamma(nu_k / 2, Psi_kj / 2); of a variance
        there is one, Gamma(nu_k / 2, Psi_k / 2), to which each row adds n_features degrees of freedom.
    tol : float or 'auto', default='auto'
        The fit ends when the estimated remaining gain of this start is below ``tol``, in nats per unit
        of weight, twice in a row. 0 goes on to ``max_iter``. 'auto' is 1 / n, between 1e-5 and 3e-2:
        one nat of the evidence of n rows, by which one model can hardly be preferred to another (Kass &
        Raftery, 1995). Whole weights are counts; of others one row has the median.
    reg_covar : float, default=1e-6
        In units of s_j**2, s_j being the standard deviation of feature j without outliers, or the
        median of the others' where it is constant: what is added to variances, for each row, where the
        default ``covariance_prior`` is singular to working precision, and the least variance of priors
        that are fitted. Otherwise it is not used.
    max_iter : int, default=1000
        The most E-steps of one start, after that of the start itself.
    n_init : int, default=1
        Starts; the one of the highest bound is kept, the first among equals.
    init_params : {'auto', 'kmeans', 'k-means++', 'random', 'random_from_data'}, default='auto'
        Where a start comes from. 'auto' takes the responsibilities of a mixture that a search finds, as
        that of :class:`EMGaussianMixture`, for the mode of the posterior, the largest component first.
        The others are clusters of k-means, rows by the nearest of its seeds, random responsibilities,
        or rows by the nearest of n_components random rows.
    weight_concentration_prior_type : {'dirichlet_process', 'dirichlet_distribution'}, \
default='dirichlet_process'
    weight_concentration_prior : float, default=None
        Concentration of the prior of the weights, positive. None is 1 / n_components. The smaller, the
        fewer components are kept.
    mean_precision_prior : float, default=None
        kappa0, how many rows the expectation of means is worth, positive. None is 1.
    mean_prior : array-like of shape (n_features,), default=None
        Where means are expected. None is the mean of the rows, or their median where outliers move it.
    degrees_of_freedom_prior : float, default=None
        nu0, greater than n_features - 1. None is n_features.
    covariance_prior : array-like or float, default=None
        Psi0, of shape (n_features, n_features) if 'full' or 'tied', (n_features,) if 'diag', a number
        if 'spherical'; covariances of about Psi0 / nu0 are expected. None is the covariance of the
        rows, without outliers, its diagonal, or the mean of that.
    priors : {'fixed', 'empirical'}, default='fixed'
        'empirical' fits all priors along with the posteriors, by type-II maximum likelihood, from those
        that are given or default on. Components then tell each other how Gaussians of this table look,
        which often serves the next row where they are several. The fitted prior becomes as certain as
        the likelihood where one component is alone, and where rows have no variance in some direction,
        since they are fewer than features, say, the evidence has no maximum: variances of the prior end
        at reg_covar * s_j**2. Then 'fixed' is the better choice.
    acceleration : {'auto', 'squarem'} or None, default='auto'
        'squarem' extrapolates the iterates (Varadhan & Roland, 2008), and keeps a proposal only if the
        bound does not fall. None takes plain steps. 'auto' is 'squarem' unless ``tol=0`` asks for a
        given number of steps.
    {run_parameters}

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        Expected weights, of the components that there can be.
    means_ : ndarray of shape (n_components, n_features)
        Expected means, M_k.
    covariances_ : ndarray
        Psi_k / nu_k, the inverses of expected precisions, in the shapes of ``covariance_prior``, with a
        leading axis of n_components unless 'tied'.
    precisions_ : ndarray
        Expected precisions, in the same shape.
    precisions_cholesky_ : ndarray
        Upper triangular U with U U' = precision, or its square root, in the same shape.
    n_components_ : int
        How many components hold more than one row; at least 1.
    weight_concentration_ : ndarray or tuple of two ndarray of shape (n_components,)
        The parameters of the Dirichlet distribution, or of the Beta distributions of the sticks.
    mean_precision_ : ndarray of shape (n_components,)
        kappa_k.
    degrees_of_freedom_ : ndarray of shape (n_components,), or a number if 'tied'
        nu_k.
    weight_concentration_prior_, mean_precision_prior_, degrees_of_freedom_prior_ : float
    mean_prior_, covariance_prior_ : ndarray or float
        The priors that were used, or fitted, in the units of the data.
    converged_ : bool
        Whether the estimated remaining gain of the best start was below ``tol``.
    n_iter_ : int
        E-steps of the best start, those of rejected proposals included.
    lower_bound_ : float
        L, in nats: a lower bound of the log-evidence of all rows together.
    lower_bounds_ : list of float
        That of each model that the best start accepted; the last is ``lower_bound_``.
    {fitted_features}

    See Also
    --------
    BayesianGaussian : One component, of which the posterior and the evidence are exact.
    EMGaussianMixture : The mode of the posterior, under a prior that rows held back choose.

    References
    ----------
    C. M. Bishop, Pattern Recognition and Machine Learning (2006), equations 10.46 to 10.83.

    D. M. Blei & M. I. Jordan, Variational inference for Dirichlet process mixtures (2006), Bayesian
    Analysis 1.

    Examples
    --------
    Two clouds need two components, and the others are left empty:

    >>> import numpy as np
    >>> from sklearn_lvm import VariationalGaussianMixture
    >>> rng = np.random.RandomState(0)
    >>> X = np.concatenate([rng.normal(c, 1.0, (100, 2)) for c in (-4, 4)])
    >>> mixture = VariationalGaussianMixture(10, random_state=0).fit(X)
    >>> mixture.n_components_, mixture.weights_[:2].round(1)
    (2, array([0.5, 0.5]))

    Scores are those of a density, however few the rows: over a wide grid it sums to one.

    >>> few = VariationalGaussianMixture(3, random_state=0).fit(X[::40])
    >>> side = np.linspace(-200, 200, 1601)
    >>> grid = np.stack(np.meshgrid(side, side), axis=-1).reshape(-1, 2)
    >>> bool(abs(np.exp(few.score_samples(grid)).sum() * 0.25**2 - 1.0) < 0.01)
    True

    The bound of one component is its evidence:

    >>> from sklearn_lvm import BayesianGaussian
    >>> prior = {"mean_prior": [0.0, 0.0], "covariance_prior": np.eye(2)}
    >>> one = VariationalGaussianMixture(**prior, random_state=0).fit(X)
    >>> bool(np.isclose(one.lower_bound_, BayesianGaussian(**prior).fit(X).log_evidence_))
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "n_components": [COUNT],
        "covariance_type": [StrOptions(set(COVARIANCE_TYPES))],
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
        "weight_concentration_prior_type": [StrOptions(set(WEIGHT_POSTERIORS))],
        "weight_concentration_prior": POSITIVE,
        "mean_precision_prior": POSITIVE,
        "mean_prior": ["array-like", None],
        "degrees_of_freedom_prior": POSITIVE,
        "covariance_prior": ["array-like", Real, None],
        "priors": [StrOptions(set(STEPS))],
        **EM_CONSTRAINTS,
    }

    n_components_: int
    weight_concentration_: Floats | tuple[Floats, Floats]
    mean_precision_: Floats
    degrees_of_freedom_: Floats
    weight_concentration_prior_: float
    mean_precision_prior_: float
    mean_prior_: Floats
    degrees_of_freedom_prior_: float
    covariance_prior_: Floats

    _prior: NormalWisharts
    _least_weight: float  # that of a row, or 1

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: CovarianceType = "full",
        tol: float | Literal["auto"] = "auto",
        reg_covar: float = 1e-6,
        max_iter: int = 1000,
        n_init: int = 1,
        init_params: InitParams = "auto",
        weight_concentration_prior_type: Literal[
            "dirichlet_process", "dirichlet_distribution"
        ] = "dirichlet_process",
        weight_concentration_prior: float | None = None,
        mean_precision_prior: float | None = None,
        mean_prior: ArrayLike | None = None,
        degrees_of_freedom_prior: float | None = None,
        covariance_prior: ArrayLike | None = None,
        priors: Literal["fixed", "empirical"] = "fixed",
        acceleration: Acceleration = "auto",
        random_state: RandomState = None,
        n_jobs: int | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.tol = tol
        self.reg_covar = reg_covar
        self.max_iter = max_iter
        self.n_init = n_init
        self.init_params = init_params
        self.weight_concentration_prior_type = weight_concentration_prior_type
        self.weight_concentration_prior = weight_concentration_prior
        self.mean_precision_prior = mean_precision_prior
        self.mean_prior = mean_prior
        self.degrees_of_freedom_prior = degrees_of_freedom_prior
        self.covariance_prior = covariance_prior
        self.priors = priors
        self.acceleration = acceleration
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval

    # -- what the fit asks for ---------------------------------------------------------------------

    def _gaussians(self, model: Mixture[GaussianPosteriors]) -> Gaussians:
        return model.components.expected

    def _steps(
        self, standardization: Standardization
    ) -> VariationalSteps[GaussianPosteriors, Moments]:
        K, concentration = self.n_components, self.weight_concentration_prior
        prior = WEIGHT_POSTERIORS[self.weight_concentration_prior_type].of(
            np.zeros(K), 1.0 / K if concentration is None else float(concentration)
        )
        least_variance = self.reg_covar * standardization.feature_variance
        family = GaussianPosteriorFamily(self._prior, least_variance)
        return STEPS[self.priors](family, weights=prior)

    def _choose_prior(self, rows: RowSource, standardization: Standardization, warm: bool) -> None:
        self._least_weight = min(rows.unit, 1.0)
        if warm:
            default = self._prior.rescale(*self._change_of_units(standardization)).moments
        else:
            default = self._typical_prior(rows, standardization)
        try:
            self._prior = given_prior(self, standardization, default)
        except SingularCovarianceError as failure:
            raise ValueError(
                f"covariance_prior is singular in features {list(failure.features)}; by default it is "
                "the covariance of all rows. Raise reg_covar, or give another covariance_prior."
            ) from failure

    def _typical_prior(self, rows: RowSource, standardization: Standardization) -> Moments:
        """As many degrees of freedom as features, and the scatter of all rows, at their center."""
        structure, variance = self._structure, standardization.feature_variance
        scatter = typical_scatter(rows, structure, variance, self.reg_covar * variance)
        return weak_prior(np.zeros((1, structure.d)), scatter, structure)

    def _given_model(
        self, standardization: Standardization, model: Mixture[GaussianPosteriors] | None
    ) -> Mixture[GaussianPosteriors] | None:
        # No parameters are given to start with, but an order of the components is.
        return None if model is None else posteriors_of(model).in_order()

    def _start(self, standardization: Standardization) -> Start[GaussianPosteriors, Moments]:
        if self.init_params != "auto":
            return super()._start(standardization)
        search = SearchedStart[Gaussians](self.n_components, self._few_rows, lambda model: model)
        modes, steps = self._steps_to_modes(standardization), self._steps(standardization)
        return PosteriorStart(search, modes, steps)

    def _steps_to_modes(self, standardization: Standardization) -> MixtureSteps[Gaussians, Moments]:
        """EM for the posterior mode under the same prior of means and covariances."""
        added_variance = self.reg_covar * standardization.feature_variance
        prior = self._prior.pseudo_observations(self.n_components)
        return MixtureSteps(GaussianFamily(self._structure, added_variance, prior))

    def _warm_model(self, standardization: Standardization) -> Mixture[GaussianPosteriors]:
        known = self._model
        moved = known.components.rescale(*self._change_of_units(standardization))
        return self._steps(standardization).continued(replace(known, components=moved))

    @property
    def _has_evidence_bound(self) -> bool:
        return True

    def _failure_message(self, failure: Exception) -> str:
        if isinstance(failure, SingularCovarianceError):
            return (
                "In every start the posterior of a covariance became singular to working precision: "
                f"first that of component {failure.component}, in features {list(failure.features)}. "
                "Its rows lie too far apart beside the others, or on a line: remove outliers, give a "
                "larger covariance_prior, or use covariance_type='diag'."
            )
        return (
            f"Every start failed: {failure}. Give priors nearer to the rows, or set priors='fixed'."
        )

    def _params_of_features(self, kept: Ints) -> dict[str, object]:
        return super()._params_of_features(kept) | marginal_freedom(self, self._structure, kept)

    # -- what a user is told -----------------------------------------------------------------------

    def _described(
        self, model: Mixture[GaussianPosteriors], standardization: Standardization
    ) -> Mapping[str, object]:
        weights, components = weights_of(model), model.components
        posterior = components.posterior
        freedom = self._structure.public(posterior.degrees_of_freedom)
        parameters = weights.parameters
        concentration = (
            tuple(part.astype(self._dtype) for part in parameters)
            if isinstance(parameters, tuple)
            else parameters.astype(self._dtype)
        )
        return {
            **super()._described(model, standardization),
            **described_prior(components.prior, standardization, self._dtype),
            "n_components_": posteriors_of(model).n_occupied(self._least_weight),
            "mean_precision_": posterior.mean_precision.astype(self._dtype),
            "degrees_of_freedom_": freedom.astype(self._dtype),
            "weight_concentration_": concentration,
            "weight_concentration_prior_": weights.concentration,
        }
