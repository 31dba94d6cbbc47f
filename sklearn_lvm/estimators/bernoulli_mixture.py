"""Mixtures of coins, fitted by expectation-maximisation."""

from collections.abc import Callable
from dataclasses import replace
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from scipy.sparse import issparse

from .._compat import Interval, StrOptions
from .._typing import Array
from ..core.bernoulli.beta import BetaPosterior
from ..core.bernoulli.counts import Counts
from ..core.bernoulli.density import BernoulliFamily, Bernoullis
from ..core.bernoulli.threshold import Binarization, BinaryRowSource
from ..core.mixture import Mixture
from ..core.mixture_em import MixtureSteps
from ..core.rows import RowSource
from ..fitting.starts import STARTS
from ..inference.block_map import ThreadMap
from ..inference.em import EMRun
from ..inference.problem import Problem
from ..inference.stepwise import StepwiseStatistics
from .base.binary import BINARIZE, BinaryEstimator, check_prior
from .base.gaussian_parameters import check_distribution, check_shape
from .base.mixture import MixtureEstimator
from .base.transaction import transactional
from .base.validation import result_dtype


class BernoulliMixture(BinaryEstimator, MixtureEstimator):
    """Mixture of coins, p(x) = sum_k w_k prod_j p_kj^x_j (1 - p_kj)^(1 - x_j).

    Each row is d tosses with one of K sets of coins, and which set it was is hidden. The objective
    is the log-posterior: the log-likelihood of the rows, plus (alpha - 1) log p_kj + (beta - 1)
    log(1 - p_kj) for every coin and (c - 1) log w_k for every weight, c being
    ``weight_concentration_prior``. It never falls. An entry that is NaN was not observed, and is
    summed out; sparse rows are never made dense.

    Parameters
    ----------
    n_components : int, default=1
    alpha, beta : float or array-like of shape (n_features,), default=1.5
        Beta priors of the probabilities, at least 1: the modes that are sought have as many ones and
        zeros more as alpha - 1 and beta - 1 say. Above 1 no probability is ever exactly 0 or 1.
    weight_concentration_prior : float, default=1.0
        Dirichlet prior of the weights, at least 1; above 1 no weight is ever exactly 0.
    inference : {'map', 'mle'}, default='map'
        The mode of the posterior, or the maximum of the likelihood, for which priors are not used.
    tol : float, default=1e-5
        The fit ends when an estimate of what is still to be gained in this start's basin is less than
        this, in nats per unit of weight, twice in a row. 0 goes on to ``max_iter``.
    max_iter : int, default=1000
        The most E-steps of one start, after that of the start itself.
    n_init : int, default=1
        Starts; the one that climbs highest is kept, the first among equals.
    acceleration : {'auto', 'squarem'} or None, default='auto'
        Whether EM leaps ahead along its own path where that pays (Varadhan & Roland, 2008), or walks
        step by step. 'auto' leaps, unless ``tol=0`` asks for a given number of steps.
    init_params : {'auto', 'kmeans', 'k-means++', 'random', 'random_from_data'}, default='auto'
        Where a start comes from; see :class:`EMGaussianMixture`. With fewer distinct rows than
        components it is 'random'.
    weights_init : array-like of shape (n_components,), default=None
    probabilities_init : array-like of shape (n_components, n_features), default=None
        Initial probabilities of ones, in [0, 1].
    binarize : float or None, default=0.0
        Entries above it are ones, others zeros; with sparse rows it must be at least 0. With None X
        must hold nothing but 0, 1 and NaN.
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
    probabilities_ : ndarray of shape (n_components, n_features)
        Of a one.
    converged_ : bool
    n_iter_ : int
        E-steps of the best start, leaps that did not pay included.
    lower_bound_ : float
        What is maximised, per unit of weight, in nats: the log-likelihood plus the log-prior, this
        without its constants.
    lower_bounds_ : list of float
        The objective of each model that the best start accepted; the last is ``lower_bound_``.
    n_parameters_ : int
        Free parameters.
    n_features_in_ : int
    feature_names_in_ : ndarray of shape (`n_features_in_`,)

    See Also
    --------
    BetaBernoulli : One row of coins, with all of its posterior.
    EMGaussianMixture : The same loop over Gaussians.

    References
    ----------
    C. M. Bishop, Pattern Recognition and Machine Learning (2006), equations 9.44 to 9.60.

    Examples
    --------
    Two coins, tossed ten times a row. Which coin a row came from is never seen, and yet both biases
    are found:

    >>> import numpy as np
    >>> from sklearn_lvm import BernoulliMixture
    >>> rng = np.random.RandomState(0)
    >>> coin = rng.randint(2, size=1000)
    >>> X = rng.uniform(size=(1000, 10)) < np.array([0.2, 0.7])[coin][:, None]
    >>> mixture = BernoulliMixture(2, random_state=0).fit(X)
    >>> np.sort(mixture.probabilities_.mean(axis=1).round(1))
    array([0.2, 0.7])

    The probabilities of all tables of three entries sum to one:

    >>> rows = np.array(list(np.ndindex(2, 2, 2)))
    >>> mixture = BernoulliMixture(2, random_state=0).fit(X[:, :3])
    >>> round(float(np.exp(mixture.score_samples(rows)).sum()), 12)
    1.0
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "alpha": [Interval(Real, 1, None, closed="left"), "array-like"],
        "beta": [Interval(Real, 1, None, closed="left"), "array-like"],
        "weight_concentration_prior": [Interval(Real, 1, None, closed="left")],
        "inference": [StrOptions({"map", "mle"})],
        "tol": [Interval(Real, 0.0, None, closed="left")],
        "max_iter": [Interval(Integral, 0, None, closed="left")],
        "n_init": [Interval(Integral, 1, None, closed="left")],
        "acceleration": [StrOptions({"auto", "squarem"}), None],
        "init_params": [StrOptions(set(STARTS))],
        "weights_init": ["array-like", None],
        "probabilities_init": ["array-like", None],
        **BINARIZE,
        "random_state": ["random_state"],
        "n_jobs": [Integral, None],
        "warm_start": ["boolean"],
        "verbose": ["verbose"],
        "verbose_interval": [Interval(Integral, 1, None, closed="left")],
    }

    _few_rows = STARTS["random"]  # fewer distinct rows than components: some will be much alike
    _density: Mixture[Bernoullis]
    _stepwise: StepwiseStatistics | None  # of batches since the last fit

    def __init__(
        self,
        n_components: int = 1,
        *,
        alpha: Any = 1.5,
        beta: Any = 1.5,
        weight_concentration_prior: float = 1.0,
        inference: str = "map",
        tol: float = 1e-5,
        max_iter: int = 1000,
        n_init: int = 1,
        acceleration: str | None = "auto",
        init_params: str = "auto",
        weights_init: Any = None,
        probabilities_init: Any = None,
        binarize: float | None = 0.0,
        random_state: Any = None,
        n_jobs: int | None = None,
        warm_start: bool = False,
        verbose: int = 0,
        verbose_interval: int = 10,
    ) -> None:
        self.n_components = n_components
        self.alpha = alpha
        self.beta = beta
        self.weight_concentration_prior = weight_concentration_prior
        self.inference = inference
        self.tol = tol
        self.max_iter = max_iter
        self.n_init = n_init
        self.acceleration = acceleration
        self.init_params = init_params
        self.weights_init = weights_init
        self.probabilities_init = probabilities_init
        self.binarize = binarize
        self.random_state = random_state
        self.n_jobs = n_jobs
        self.warm_start = warm_start
        self.verbose = verbose
        self.verbose_interval = verbose_interval

    def partial_fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Learn from one more batch of rows: one step of stepwise EM (Cappe & Moulines, 2009).

        The first batch is fitted as ``fit`` does it, and a fitted mixture goes on from what it has
        learned. Each further batch is one E-step, of which the statistics join those of all batches
        before; early batches fade, since poorer models looked at them. Batches should be random
        samples of the rows; their order and size matter, unlike with models in closed form.

        Parameters
        ----------
        X : {array-like, CSR matrix} of shape (n_samples, n_features)
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self : BernoulliMixture
            ``lower_bound_`` is the objective on this batch before the step, ``converged_`` is False.
        """
        go_on = self._step if hasattr(self, "_density") else self.fit
        return go_on(X, y, sample_weight)

    @transactional
    def _step(self, X: Any, y: Any, sample_weight: Any) -> Self:
        X, w = self._check_training(X, sample_weight, reset=False)
        standardization, old = self._binarization(), self._continued(None)
        steps, stepwise = self._steps(standardization), self._stepwise
        with ThreadMap() as block_map:
            blocks = self._row_source(X, w, standardization).blocks
            now = Problem(steps, blocks, block_map).evaluate(old)
        if stepwise is None:
            by_component = self._total_weight * np.exp(old.log_weights)
            stepwise = StepwiseStatistics(
                old.components.expected(by_component), *2 * (self._total_weight,)
            )
        stepwise = stepwise.updated(now.statistics, float(w.sum()))
        run = EMRun(steps.m_step(stepwise.statistics, old), (now.objective,), self.n_iter_ + 1)
        self._set_fitted(self._attributes(standardization, result_dtype(X), run))
        self._stepwise, self._total_weight = stepwise, stepwise.total_weight
        return self

    def predict_proba(self, X: Any) -> Array:
        """Compute the responsibilities p(k | x) of the components, for dense rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        resp : ndarray of shape (n_samples, n_components)
            Rows sum to 1.

        Raises
        ------
        ValueError
            If X is sparse: scikit-learn holds whatever has probabilities for sparse rows to be a
            classifier. ``transform`` returns the same for them.
        """
        X = self._check_rows(X)
        if issparse(X):
            raise ValueError(
                "predict_proba takes no sparse X; transform(X) returns the same responsibilities."
            )
        return self._shares(X)

    # -- what the fit asks for -----------------------------------------------------------------------

    def _units(self, X: Any, w: Array) -> Binarization:
        return self._binarization()

    def _row_source(self, X: Any, w: Array, transformation: Any) -> RowSource:
        return BinaryRowSource(X, w, transformation, self._slices)

    def _steps(self, standardization: Any) -> MixtureSteps[Bernoullis, Counts]:
        return STEPS[self.inference](self._prior(), self.weight_concentration_prior)

    def _prior(self) -> BetaPosterior:
        """The priors of all coins."""
        d, K = self.n_features_in_, self.n_components
        alpha, beta = (
            np.repeat(check_prior(name, getattr(self, name), d, least=1.0), K, axis=0)
            for name in ("alpha", "beta")
        )
        return BetaPosterior(alpha, beta)

    def _with_given(
        self, standardization: Any, model: Mixture[Bernoullis] | None
    ) -> Mixture[Bernoullis] | None:
        weights, p = self._check_given()
        if model is None and (weights is None or p is None):
            return None
        given: dict[str, Any] = {
            "log_weights": None if weights is None else _log(weights),
            "parts": None if p is None else Bernoullis.of(p, 1.0 - p),
        }
        given = {name: value for name, value in given.items() if value is not None}
        return replace(model, **given) if model else Mixture(**given)

    def _check_given(self) -> tuple[Array | None, Array | None]:
        """Weights and probabilities to start with, None where they are not given."""
        weights, p = self.weights_init, self.probabilities_init
        K, d = self.n_components, self.n_features_in_
        if weights is not None:
            weights = check_distribution("weights_init", check_shape("weights_init", weights, (K,)))
        if p is not None:
            p = check_shape("probabilities_init", p, (K, d))
            if p.min() < 0 or p.max() > 1:
                raise ValueError(
                    f"probabilities_init must be in [0, 1], got {p.min():g} to {p.max():g}."
                )
        return weights, p

    def _continued(self, standardization: Any) -> Mixture[Bernoullis]:
        if self._density.components.log_p.shape != (self.n_components, self.n_features_in_):
            raise ValueError(
                "a solution with another n_components or number of features cannot be continued: "
                "call fit with warm_start=False."
            )
        return self._density

    def _complaint(self, failure: Exception) -> str:
        return (
            f"Every start failed: {failure}. A start with a probability or a weight of exactly 0 or "
            "1 has no log-prior: give another start, set warm_start=False, or inference='mle'."
        )

    def _attributes(
        self, standardization: Any, dtype: Any, run: EMRun[Mixture[Bernoullis]]
    ) -> dict[str, Any]:
        return {
            "weights_": np.exp(run.model.log_weights).astype(dtype),
            "probabilities_": run.model.components.probability.astype(dtype),
            "n_parameters_": run.model.n_parameters(),
            "converged_": run.converged,
            "n_iter_": run.n_iter,
            "lower_bound_": run.objective,
            "lower_bounds_": list(run.trace[1:] or run.trace),
            "_stepwise": None,
            "_transformation": standardization,
            "_density": run.model,
            "_dtype": dtype,
        }

    def _n_components_per_column(self) -> int:
        return self.n_components


def _log(weights: Array) -> Array:
    with np.errstate(divide="ignore"):
        log_weights: Array = np.log(weights)
    return log_weights


# inference -> the steps that seek it, given the priors of coins and of weights.
STEPS: dict[str, Callable[[BetaPosterior, float], MixtureSteps[Bernoullis, Counts]]] = {
    "map": lambda prior, concentration: MixtureSteps(
        BernoulliFamily(prior.pseudo_counts()), concentration
    ),
    "mle": lambda prior, concentration: MixtureSteps(BernoulliFamily()),
}
