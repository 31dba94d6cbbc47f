"""Mixtures of Gaussians, fitted by expectation-maximisation."""

from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np

from .._compat import Interval, StrOptions
from .._typing import Array
from ..core.gaussian.covariance import Structure
from ..core.gaussian.density import GaussianFamily, Gaussians
from ..core.gaussian.kernels import row_width
from ..core.gaussian.moments import Moments
from ..core.gaussian.structures import COVARIANCE_TYPES
from ..core.mixture import Mixture
from ..core.mixture_em import MixtureSteps
from ..core.standardization import Standardization
from ..fitting.starts import STARTS
from ..inference.em import EMRun
from .base.gaussian_parameters import Given, check_given
from .base.mixture import MixtureEstimator


class EMGaussianMixture(MixtureEstimator):
    """Mixture of Gaussians, p(x) = sum_k w_k N(x | m_k, C_k), fitted by expectation-maximisation.

    The objective is the log-likelihood in which each row is a small ball of scatter E, E being
    diagonal with entries reg_covar * s_j**2: the log-density of a component loses tr(E inv(C_k)) / 2.
    For it the M-step C_k = scatter_k / n_k + E is exact, so that the objective never falls. Scores,
    labels and samples are those of the plain mixture.

    A user of :class:`sklearn.mixture.GaussianMixture` changes the import. Deliberate differences:
    ``reg_covar`` is in units of the data, ``sample`` returns rows alone and in random order, rows may
    have weights, restarts can run side by side, and fits go on until little is left to gain.

    Parameters
    ----------
    n_components : int, default=1
    covariance_type : {'full', 'tied', 'diag', 'spherical'}, default='full'
        Own full matrix for each component, one for all, own diagonals, or own single variances.
    tol : float, default=1e-5
        The fit ends when an estimate of what is still to be gained in this start's basin is less than
        this, in nats per unit of weight, twice in a row. It is an estimate: gains that shrink ever
        more slowly make it too small. 0 goes on to ``max_iter``.
    reg_covar : float, default=1e-6
        The scatter of the balls in units of the data: reg_covar * s_j**2 is added to the j-th variance
        of every component, s_j**2 being the variance of the feature over all rows, or the median of
        the others' where the feature is constant.
    max_iter : int, default=1000
        The most E-steps of one start, after that of the start itself.
    n_init : int, default=1
        Starts; the one that climbs highest is kept, the first among equals.
    acceleration : {'auto', 'squarem'} or None, default='auto'
        Whether EM leaps ahead along its own path where that pays (Varadhan & Roland, 2008), or walks
        step by step. 'auto' leaps, unless ``tol=0`` asks for a given number of steps. The first two
        steps are plain in any case, and the objective never falls. Over more than 65536 rows a climb
        that leaps is sketched in single precision first, and ends in double.
    init_params : {'auto', 'kmeans', 'k-means++', 'random', 'random_from_data'}, default='auto'
        Where a start comes from: clusters of k-means, rows by the nearest of its seeds, random
        responsibilities, or rows by the nearest of n_components random rows; 'auto' lets several
        draws of k-means climb a few steps on a subsample where rows are many, and takes the highest.
        All are drawn from the weighted set of distinct rows (a subsample of it if there are many), so
        that weights count as repetitions and the order of the rows does not matter.
    weights_init : array-like of shape (n_components,), default=None
    means_init : array-like of shape (n_components, n_features), default=None
    precisions_init : array-like, default=None
        Initial inverse covariances, in the shape of ``precisions_``.
    random_state : int, RandomState instance or None, default=None
        Used for starts and by ``sample``.
    n_jobs : int, default=None
        How many starts run side by side, in threads.
    warm_start : bool, default=False
        Whether ``fit`` continues from the last solution, with a single start.
    verbose : int, default=0
        1 prints starts and steps, 2 also lower bounds and times.
    verbose_interval : int, default=10
        Steps between printed lines.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
    means_ : ndarray of shape (n_components, n_features)
    covariances_ : ndarray
        (n_components, n_features, n_features) if 'full', (n_features, n_features) if 'tied',
        (n_components, n_features) if 'diag', (n_components,) if 'spherical'.
    precisions_ : ndarray
        Inverses of the covariances, in the same shape.
    precisions_cholesky_ : ndarray
        Upper triangular U with U U' = precision, or its square root, in the same shape.
    converged_ : bool
    n_iter_ : int
        E-steps of the best start, leaps that did not pay included.
    lower_bound_ : float
        The objective of the fitted model per unit of weight, in nats.
    lower_bounds_ : list of float
        The objective of each model that the best start accepted; the last is ``lower_bound_``.
    n_parameters_ : int
        Free parameters.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (`n_features_in_`,)

    See Also
    --------
    GaussianMLE : One Gaussian.

    References
    ----------
    C. M. Bishop, Pattern Recognition and Machine Learning (2006), equations 9.23 to 9.28.

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
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "covariance_type": [StrOptions(set(COVARIANCE_TYPES))],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "reg_covar": [Interval(Real, 0.0, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "acceleration": [StrOptions({"auto", "squarem"}), None],
        "init_params": [StrOptions(set(STARTS))],
        "weights_init": ["array-like", None],
        "means_init": ["array-like", None],
        "precisions_init": ["array-like", None],
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
    }

    _transformation: Standardization

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        tol: float = 1e-5,
        reg_covar: float = 1e-6,
        max_iter: int = 1000,
        n_init: int = 1,
        acceleration: str | None = "auto",
        init_params: str = "auto",
        weights_init: Any = None,
        means_init: Any = None,
        precisions_init: Any = None,
        random_state: Any = None,
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

    @classmethod
    def from_parameters(
        cls,
        weights: Any,
        means: Any,
        covariances: Any,
        *,
        covariance_type: str = "full",
        **params: Any,
    ) -> Self:
        """Build a fitted mixture from known parameters.

        Parameters
        ----------
        weights : array-like of shape (n_components,)
            Non-negative, with sum 1.
        means : array-like of shape (n_components, n_features)
        covariances : array-like
            In the shape of ``covariances_``.
        covariance_type : {'full', 'tied', 'diag', 'spherical'}, default='full'
        **params
            Further parameters of the estimator.

        Returns
        -------
        mixture : EMGaussianMixture
            Fitted: it scores, predicts and samples.

        Raises
        ------
        ValueError
            If a shape does not fit, the weights do not sum to 1, or a covariance is not positive
            definite.

        Examples
        --------
        >>> from sklearn_lvm import EMGaussianMixture
        >>> coin = EMGaussianMixture.from_parameters(
        ...     [0.5, 0.5], [[-1.0], [1.0]], [0.1, 0.1], covariance_type="spherical"
        ... )
        >>> coin.predict([[-2.0], [3.0]])
        array([0, 1])
        """
        if covariance_type not in COVARIANCE_TYPES:
            raise ValueError(
                f"covariance_type={covariance_type!r} is not one of {sorted(COVARIANCE_TYPES)}."
            )
        means = np.asarray(means)
        if means.ndim != 2:
            raise ValueError(
                f"means must be of shape (n_components, n_features), got {means.shape}."
            )
        mixture = cls(len(means), covariance_type=covariance_type, **params)
        mixture.n_features_in_ = means.shape[1]
        given = check_given(
            mixture._structure(),
            mixture.n_components,
            weights=weights,
            means=means,
            covariances=covariances,
        )
        standardization = given.standardization()
        dtype = np.result_type(means.dtype, np.float32)
        public = mixture._public(standardization, dtype, given.mixture(standardization))
        mixture._adopt({**public, "converged_": True, "n_iter_": 0})
        return mixture

    def _structure(self) -> Structure:
        """What the covariances that are asked for have in common."""
        return COVARIANCE_TYPES[self.covariance_type](self.n_features_in_)

    def _width(self) -> int:
        return row_width(self._structure(), self.n_components)

    def _units(self, X: Array, w: Array) -> Standardization:
        return Standardization.of(X, w, per_feature=self._structure().per_feature)

    def _steps(self, standardization: Standardization) -> MixtureSteps[Gaussians, Moments]:
        return MixtureSteps(
            GaussianFamily(self._structure(), self.reg_covar * standardization.feature_variance)
        )

    def _given(self) -> Given:
        return check_given(
            self._structure(),
            self.n_components,
            weights_init=self.weights_init,
            means_init=self.means_init,
            precisions_init=self.precisions_init,
        )

    def _with_given(
        self, standardization: Standardization, model: Mixture[Gaussians] | None
    ) -> Mixture[Gaussians] | None:
        given = self._given()
        return (
            given.mixture(standardization, model) if model is not None or given.complete else None
        )

    def _continued(self, standardization: Standardization) -> Mixture[Gaussians]:
        """The last solution, in the units of the new rows."""
        old, gaussians = self._transformation, self._density.components
        K, structure = len(gaussians.mean), self._structure()
        if self.n_components != K or not structure.fits(gaussians.covariance, K):
            raise ValueError(
                "warm_start=True cannot continue from a solution with another n_components, "
                "covariance_type or number of features: set warm_start=False."
            )
        known = Gaussians(gaussians.mean, gaussians.covariance.restructured(structure))
        shift = (old.center - standardization.center) / standardization.scale
        return Mixture(
            self._density.log_weights, known.rescale(shift, old.scale / standardization.scale)
        )

    def _attributes(
        self, standardization: Standardization, dtype: Any, run: EMRun[Mixture[Gaussians]]
    ) -> dict[str, Any]:
        bounds = [bound - standardization.log_jacobian for bound in run.trace]
        return {
            **self._public(standardization, dtype, run.model),
            "converged_": run.converged,
            "n_iter_": run.n_iter,
            "lower_bound_": bounds[-1],
            "lower_bounds_": bounds[1:] or bounds,
        }

    def _public(
        self, standardization: Standardization, dtype: Any, density: Mixture[Gaussians]
    ) -> dict[str, Any]:
        """The model under the names that users know, in their units and in their precision."""
        gaussians = density.components
        covariance = gaussians.covariance.rescale(standardization.scale)
        with np.errstate(all="ignore"):  # in extreme units
            shapes = {
                "covariances_": covariance.matrix.astype(dtype),
                "precisions_": covariance.precision.astype(dtype),
                "precisions_cholesky_": covariance.precision_factor.astype(dtype),
            }
        return {
            "weights_": np.exp(density.log_weights).astype(dtype),
            "means_": standardization.inverse_transform(gaussians.mean).astype(dtype),
            **shapes,
            "n_parameters_": density.n_parameters(),
            "_transformation": standardization,
            "_density": density,
            "_dtype": dtype,
        }
