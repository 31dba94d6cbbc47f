"""EMGaussianMixture: mixtures of Gaussians by expectation-maximization."""

from collections.abc import Mapping
from dataclasses import replace
from numbers import Integral, Real
from typing import ClassVar, Literal

from numpy.typing import ArrayLike

from .._compat import Interval, StrOptions
from .._typing import Floats, Ints, RandomState
from ..core.gaussian.density import GaussianFamily, Gaussians
from ..core.gaussian.low_rank import LowRank
from ..core.gaussian.moments import Moments
from ..core.gaussian.projected import family_of
from ..core.linalg import SingularCovarianceError
from ..core.mixture import Mixture
from ..core.mixture_em import MixtureSteps
from ..core.rows import RowSource
from ..core.standardization import Standardization
from ..fitting.gaussian_priors import FEW, Chosen
from .base.conditioning import Restriction
from .base.docs import documented
from .base.gaussian_parameters import check_given
from .base.gaussian_priors import chosen_prior, described, refined_prior
from .base.known_mixture import KnownGaussianMixture
from .base.low_rank_mixture import ALL_COVARIANCE_TYPES, AnyCovarianceType
from .base.mixture import COUNT, EM_CONSTRAINTS, Acceleration, InitParams


@documented
class EMGaussianMixture(KnownGaussianMixture):
    """Mixture of Gaussians, p(x) = sum_k w_k N(x | m_k, C_k), fitted by expectation-maximization.

    EM finds a mode of the posterior. The likelihood alone has no bound: a component that shrinks
    onto few rows makes it as high as one likes. Every covariance is therefore estimated with A more
    observations, of scatter Psi0 in all, C_k = (scatter_k + Psi0) / (n_k + A) + E. By default both are
    chosen by the likelihood of rows that are held back while others are fitted to. The objective adds
    the log-density of these pseudo-observations to that of the rows, less tr(E inv(C_k)) / 2 for each
    of all these, with E = diag(reg_covar * s_j**2), and never falls. Scores, labels and samples are
    those of the plain mixture.

    Entries that are NaN were not observed, and are missing at random. They are latent variables like
    the components (Ghahramani & Jordan, 1994): a fit maximizes the density of what was observed, scores
    and responsibilities are those of what was observed, and ``impute`` says what is expected of the
    rest. Starts complete rows by one Gaussian of all of them.

    A user of :class:`sklearn.mixture.GaussianMixture` changes the import. Deliberate differences: the
    prior, which ``covariance_prior=None`` takes away, ``reg_covar`` is in units of the data,
    ``sample`` returns rows alone and in random order, rows may have weights, starts can run side by
    side, and a fit ends when its estimated remaining gain is small. Accelerated fits to many rows run
    on float32 rows first and end on float64 rows.

    Parameters
    ----------
    n_components : int, default=1
    covariance_type : {'full', 'tied', 'diag', 'spherical', 'factor', 'ppca'}, default='full'
        A full matrix for each component, one for all, a diagonal for each, a variance for each, or a
        matrix of low rank plus noise, C_k = W_k W_k' + Psi_k, with W_k of ``n_factors`` columns. Of
        'factor' Psi_k is diagonal, and features may have any units (mixtures of factor analyzers); of
        'ppca' it is a number times I (of probabilistic PCA), for features of one common unit.
    n_factors : int or 'auto', default='auto'
        From 0 to n_features - 1, only with 'factor' and 'ppca'. 'auto' takes the smallest number, the
        same of all components, under which rows that are held back are about as likely as under any; of
        100 features and more as many as rows show (parallel analysis: Horn, 1965). With 0 'factor' is
        'diag' and 'ppca' 'spherical'; with n_features - 1 'ppca' is 'full'. With 'factor' an integer
        beyond Ledermann's bound, (2 d + 1 - sqrt(8 d + 1)) / 2 with d features, has a warning.
    reg_covar : float, default=1e-6
        The j-th diagonal entry of E is reg_covar * s_j**2, s_j being the standard deviation of feature
        j without outliers, which a few rows far out do not move, or the median of the others' where the
        feature is constant.
    covariance_prior : 'auto', None or array-like, default='auto'
        'auto' chooses how rows scatter, as within clusters of theirs or within fewer, and A. None is
        maximum likelihood; then the other priors stay as they are. Else Psi0, of shape (n_features,)
        if 'diag', a number if 'spherical', and otherwise (n_features, n_features). Of 'factor' and
        'ppca' it may be a diagonal, (n_features,), as is chosen for more than 1000 features.
    degrees_of_freedom_prior : float, default=None
        nu0 = A - n_features - 2, greater than -n_features - 2, which goes with a matrix. Of a tied
        covariance Psi0 and A count once.
    mean_prior : array-like of shape (n_features,), default=None
        Where means are expected; None for the center of the rows.
    mean_precision_prior : float, default=0.0
        How many observations at ``mean_prior`` each mean is estimated with; 0 is flat.
    weight_concentration_prior : float, default=1.0
        Dirichlet prior of the weights, at least 1, below which there is no mode; 1 is flat.
    {em_parameters}
    init_params : {'auto', 'kmeans', 'k-means++', 'random', 'random_from_data'}, default='auto'
        Where a start comes from: clusters of k-means, rows by the nearest of its seeds, random
        responsibilities, or rows by the nearest of n_components random rows. 'auto' searches on samples
        of the rows: several clusterings run a few steps and the best goes on, and components that are
        hardly missed are moved to where one is missing (split-and-merge EM: Ueda, Nakano, Ghahramani
        & Hinton, 2000). With fewer than two rows a parameter, or very many components, it is 'kmeans'.
        All are drawn from the weighted set of distinct rows (a subsample of it if there are many), so
        that weights count as repetitions and the order of the rows does not matter. With fewer distinct
        rows than components, each component starts at one of them.
    weights_init : array-like of shape (n_components,), default=None
    means_init : array-like of shape (n_components, n_features), default=None
    precisions_init : array-like, default=None
        Initial inverse covariances, in the shape of ``precisions_``; the covariances of low rank plus
        noise that are most likely under these stand for them.
    {run_parameters}

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
    means_ : ndarray of shape (n_components, n_features)
    covariances_ : ndarray
        (n_features, n_features) if 'tied', (n_components, n_features) if 'diag', (n_components,) if
        'spherical', otherwise (n_components, n_features, n_features). With 'factor' and 'ppca' this and
        the next two are computed whenever they are read.
    precisions_ : ndarray
        Inverses of the covariances, in the same shape.
    precisions_cholesky_ : ndarray
        Upper triangular U with U U' = precision, or its square root, in the same shape.
    loadings_ : ndarray of shape (n_components, n_features, n_factors)
        W_k, only with 'factor' and 'ppca', as are the next three. Any rotation of the columns gives the
        same density.
    noise_variance_ : ndarray of shape (n_components, n_features) or (n_components,)
        Psi_k: its diagonal if 'factor', a number if 'ppca'.
    heywood_ : ndarray of shape (n_components,)
        How many features have no more noise than ``reg_covar`` adds, or a share 1e-8 of the variance
        (Heywood cases): there the factors explain all of them.
    n_factors_ : int
    covariance_prior_, degrees_of_freedom_prior_, mean_prior_, mean_precision_prior_ : ndarray or float
        The prior that was used, in the units of the data; None with ``covariance_prior=None``. Given to
        another mixture of as many components it is used again.
    weight_concentration_prior_ : float
    prior_ : dict
        How it was found. 'kind' is 'given', None or what was chosen: the scatter 'within' clusters,
        'shrunk' to half of its correlations, within half as many clusters ('fewer'), of all rows
        ('total'), or 'variances' alone if no choice was made, since rows tell enough or are too few.
        'n_pseudo_observations' is A, and 'held_out_scores' lists the candidates, (kind, A, log-density
        of a row held back).
    {em_attributes}
    {fitted_features}

    See Also
    --------
    GaussianMLE : One Gaussian, without a prior.
    sklearn.mixture.BayesianGaussianMixture : Whose priors have the same names.

    References
    ----------
    C. M. Bishop, Pattern Recognition and Machine Learning (2006), equations 9.23 to 9.28.

    Z. Ghahramani & M. I. Jordan, Supervised learning from incomplete data via an EM approach (1994),
    Advances in Neural Information Processing Systems 6.

    Z. Ghahramani & G. E. Hinton, The EM algorithm for mixtures of factor analyzers (1996), University
    of Toronto, CRG-TR-96-1.

    M. E. Tipping & C. M. Bishop, Mixtures of probabilistic principal component analyzers (1999), Neural
    Computation 11.

    J.-H. Zhao, P. L. H. Yu & Q. Jiang, ML estimation for factor analysis: EM or non-EM? (2008),
    Statistics and Computing 18.

    C. Fraley & A. E. Raftery, Bayesian regularization for normal mixture estimation and model-based
    clustering (2007), Journal of Classification 24.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lvm import EMGaussianMixture
    >>> X = np.concatenate([np.random.RandomState(0).normal(c, 1.0, (200, 2)) for c in (-4, 4)])
    >>> mixture = EMGaussianMixture(n_components=2, random_state=0).fit(X)
    >>> np.sort(mixture.means_[:, 0].round())
    array([-4.,  4.])

    Changing the units changes the log-density by the logarithm of the change, and nothing else:

    >>> other = EMGaussianMixture(n_components=2, random_state=0).fit(1000.0 * X)
    >>> bool(np.isclose(other.score(1000.0 * X), mixture.score(X) - 2 * np.log(1000.0)))
    True

    A feature says more of another where the rows come in groups:

    >>> mixture.impute([[4.2, np.nan], [-4.2, np.nan]]).round()
    array([[ 4.,  4.],
           [-4., -4.]])

    Where columns are many and rows few, a few factors say more of new rows than a full covariance:

    >>> rng = np.random.RandomState(0)
    >>> rows = rng.normal(size=(400, 2)) @ rng.normal(size=(2, 30)) + rng.normal(size=(400, 30))
    >>> full, factor = EMGaussianMixture(), EMGaussianMixture(covariance_type="factor")
    >>> full.fit(rows[:60]).score(rows[60:]) < factor.fit(rows[:60]).score(rows[60:]) - 1
    True
    >>> factor.n_factors_, factor.n_parameters_, full.n_parameters_
    (2, 119, 495)

    Components that are too many do not collapse onto rows:

    >>> few, new = X[::10], X[1::10]
    >>> by_likelihood = EMGaussianMixture(15, covariance_prior=None, random_state=0).fit(few)
    >>> by_posterior = EMGaussianMixture(15, random_state=0).fit(few)
    >>> by_likelihood.score(new) < -9 < -4 < by_posterior.score(new)
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "n_components": [COUNT],
        "covariance_type": [StrOptions(ALL_COVARIANCE_TYPES)],
        "n_factors": [StrOptions({"auto"}), Interval(Integral, 0, None, closed="left")],
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
        "covariance_prior": [StrOptions({"auto"}), "array-like", Real, None],
        "degrees_of_freedom_prior": [Interval(Real, None, None, closed="neither"), None],
        "mean_prior": ["array-like", None],
        "mean_precision_prior": [Interval(Real, 0.0, None, closed="left")],
        "weight_concentration_prior": [Interval(Real, 1.0, None, closed="left")],
        "weights_init": ["array-like", None],
        "means_init": ["array-like", None],
        "precisions_init": ["array-like", None],
        **EM_CONSTRAINTS,
    }

    prior_: dict[str, object]
    covariance_prior_: Floats | None
    degrees_of_freedom_prior_: float | None
    mean_prior_: Floats | None
    mean_precision_prior_: float | None
    weight_concentration_prior_: float

    _chosen_prior: Chosen

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: AnyCovarianceType = "full",
        n_factors: int | Literal["auto"] = "auto",
        reg_covar: float = 1e-6,
        covariance_prior: Literal["auto"] | ArrayLike | None = "auto",
        degrees_of_freedom_prior: float | None = None,
        mean_prior: ArrayLike | None = None,
        mean_precision_prior: float = 0.0,
        weight_concentration_prior: float = 1.0,
        tol: float | Literal["auto"] = "auto",
        max_iter: int = 1000,
        n_init: int = 1,
        acceleration: Acceleration = "auto",
        init_params: InitParams = "auto",
        weights_init: ArrayLike | None = None,
        means_init: ArrayLike | None = None,
        precisions_init: ArrayLike | None = None,
        random_state: RandomState = None,
        n_jobs: int | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.n_factors = n_factors
        self.reg_covar = reg_covar
        self.covariance_prior = covariance_prior
        self.degrees_of_freedom_prior = degrees_of_freedom_prior
        self.mean_prior = mean_prior
        self.mean_precision_prior = mean_precision_prior
        self.weight_concentration_prior = weight_concentration_prior
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.acceleration = acceleration
        self.init_params = init_params
        self.weights_init = weights_init
        self.means_init = means_init
        self.precisions_init = precisions_init
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval

    # -- some of the features ----------------------------------------------------------------------

    def _restricted(self, kept: Ints, restrict: Restriction) -> dict[str, object]:
        found = super()._restricted(kept, restrict)
        return found | {"_model": found["_density"]}

    def _params_of_features(self, kept: Ints) -> dict[str, object]:
        found, freedom = super()._params_of_features(kept), self.degrees_of_freedom_prior
        if freedom is None:
            return found
        # As many pseudo-observations, A = nu0 + n_features + 2.
        return found | {"degrees_of_freedom_prior": freedom + self.n_features_in_ - len(kept)}

    # -- what the fit asks for ---------------------------------------------------------------------

    def _gaussians(self, model: Mixture[Gaussians]) -> Gaussians:
        return model.components

    def _steps(self, standardization: Standardization) -> MixtureSteps[Gaussians, Moments]:
        family = replace(self._family(standardization), prior=self._chosen_prior.prior)
        return MixtureSteps(family, self.weight_concentration_prior)

    def _family(self, standardization: Standardization) -> GaussianFamily:
        return family_of(self._structure, self.reg_covar * standardization.feature_variance)

    def _choose_prior(self, rows: RowSource, standardization: Standardization, warm: bool) -> None:
        if warm:  # it says whether the last solution can be continued
            self._keep_factors()
        else:
            self._choose_factors_of_many(rows)
        known: Chosen | None = getattr(self, "_chosen_prior", None) if warm else None
        if known is not None and known.prior is not None:
            moved = known.prior.rescale(*self._change_of_units(standardization))
            known = replace(known, prior=moved)
        family = self._family(standardization)
        self._chosen_prior = chosen_prior(self, rows, standardization, family, known)
        if not warm and isinstance(self._structure, LowRank):
            self._refine_choices(rows, standardization)

    def _refine_choices(self, rows: RowSource, standardization: Standardization) -> None:
        """Choose the factors under the prior of full covariances, and then the prior once more."""
        chosen = self._chosen_prior
        if not self._structure.projected:
            family = self._family(standardization)
            self._choose_factors(rows, replace(family, prior=chosen.prior))
        elif chosen.strength > FEW:  # else as many as before
            self._choose_factors_of_many(rows, chosen.strength)
        family = self._family(standardization)
        self._chosen_prior = refined_prior(self, rows, standardization, family, chosen)

    def _described_prior(self, standardization: Standardization) -> Mapping[str, object]:
        shown = described(self._chosen_prior, standardization, self._dtype)
        return {**shown, "weight_concentration_prior_": self.weight_concentration_prior}

    def _given_model(
        self, standardization: Standardization, model: Mixture[Gaussians] | None
    ) -> Mixture[Gaussians] | None:
        given = check_given(
            self._structure,
            self.n_components,
            weights=self.weights_init,
            means=self.means_init,
            precisions=self.precisions_init,
            suffix="_init",
        )
        start = given.completed(standardization, model)
        return start if start is None else self._with_loadings(start)

    def _warm_model(self, standardization: Standardization) -> Mixture[Gaussians]:
        gaussians = self._model.components
        shift, scale = self._change_of_units(standardization)
        known = Gaussians(gaussians.mean, gaussians.covariance.restructured(self._structure))
        return self._with_loadings(Mixture(self._model.log_weights, known.rescale(shift, scale)))

    def _failure_message(self, failure: Exception) -> str:
        remedy = "Raise reg_covar, lower n_components, or try another start."
        if isinstance(failure, SingularCovarianceError):
            return (
                f"In every start a covariance became singular, the likelihood being unbounded there: "
                f"first that of component {failure.component}, in features "
                f"{list(failure.features)}. {remedy}"
            )
        return f"Every start failed: {failure}. {remedy}"
