"""BernoulliMixture: mixtures of rows of independent zeros and ones, by expectation-maximization."""

from collections.abc import Mapping
from numbers import Real
from typing import ClassVar, Literal, Self, cast

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array, issparse
from sklearn.utils.metaestimators import available_if

from .._compat import Interval, StrOptions
from .._typing import Floats, Ints, RandomState, Table, Weights
from ..core.bernoulli.binarization import Binarization, BinaryRowSource
from ..core.bernoulli.counts import Counts
from ..core.bernoulli.density import Bernoullis
from ..core.mixture import Mixture
from ..core.rows import RowSource
from ..fitting.bernoulli_inference import BernoulliComponents, BernoulliModel, BernoulliSteps, Modes
from ..fitting.bernoulli_priors import Chosen
from ..fitting.starts import FEW_ROWS, Start, StartStrategy
from ..inference.block_map import ThreadMap
from ..inference.em import EMRun
from ..inference.problem import Problem
from ..inference.stepwise import StepwiseStatistics
from .base.bernoulli_inference import INFERENCES, OF_POSTERIORS
from .base.bernoulli_priors import chosen_prior, described
from .base.binary import BINARIZE, BinaryEstimator
from .base.conditioning import Restriction, takes_batches
from .base.docs import documented
from .base.gaussian_parameters import check_distribution, check_shape, log_of
from .base.mixture import COUNT, EM_CONSTRAINTS, Acceleration, InitParams
from .base.standard_errors import BernoulliMixtureWithErrors
from .base.transaction import transactional
from .base.validation import result_dtype

PRIOR: list[object] = [
    StrOptions({"auto"}),
    Interval(Real, 0, None, closed="neither"),
    "array-like",
]


@documented
class BernoulliMixture(BinaryEstimator, BernoulliMixtureWithErrors):
    """Mixture of Bernoulli densities, p(x) = sum_k w_k prod_j p_kj^x_j (1 - p_kj)^(1 - x_j).

    Each row is drawn with one of K sets of probabilities, and which set it was is hidden. EM
    maximizes the log-posterior: the log-likelihood of the rows, plus (alpha - 1) log p_kj +
    (beta - 1) log(1 - p_kj) for every probability and (c - 1) log w_k for every weight, c being
    ``weight_concentration_prior``. It never falls. Variational EM finds posteriors instead, and its
    objective is the evidence lower bound. An entry that is NaN was not observed, and is summed out;
    sparse rows are never made dense.

    Parameters
    ----------
    n_components : int, default=1
    alpha, beta : 'auto', float or array-like of shape (n_features,), default='auto'
        Beta priors of the probabilities. With 'map' they are at least 1: the mode is estimated with
        alpha - 1 ones and beta - 1 zeros more, and above 1 no probability is ever exactly 0 or 1. With
        'variational' they are positive, and the posterior has alpha ones and beta zeros more; what
        'auto' finds is 1 less than what follows. 'auto' adds s observations that are nearly as the
        column is: alpha is 1 + s p and beta is 1 + s (1 - p), with p nine
        tenths of the column's share of ones and a tenth of one half. Of several s from 1/4 to 32 it
        takes the one under which rows that were held back are most likely, after a few EM steps on the
        others, and of up to 128 rows the geometric mean of five such s. Copies of a row, or a row of
        several times the weight, are held back one by one. Of 16 rows or fewer none is held back, and s
        is 2. If only one of both is 'auto', the other is kept. ``partial_fit`` after the first call and
        ``warm_start`` keep what was chosen.
    weight_concentration_prior : float, default=1.0
        Dirichlet prior of the weights. With 'map' it is at least 1, and above 1 no weight is ever
        exactly 0. With 'variational' it is positive; below 1 components that are not needed lose rows.
    inference : {'map', 'mle', 'variational'}, default='map'
        The mode of the posterior; the maximum of the likelihood, for which priors are not used; or a
        posterior of all parameters, independent of each other and of which component made a row
        (Attias, 1999). It begins after an E-step of a start of 'map'.
    {em_parameters}
    init_params : {'auto', 'kmeans', 'k-means++', 'random', 'random_from_data'}, default='auto'
        Where a start comes from; see :class:`EMGaussianMixture`. With fewer distinct rows than
        components it is 'random'.
    weights_init : array-like of shape (n_components,), default=None
    probabilities_init : array-like of shape (n_components, n_features), default=None
        Initial probabilities of ones, in [0, 1].
    {binarize}
    {run_parameters}

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
    probabilities_ : ndarray of shape (n_components, n_features)
        Probabilities of ones. With 'variational' both are means of posteriors, and so are those of the
        next row: ``score_samples`` is the posterior predictive.
    alpha_, beta_ : ndarray of shape (n_features,)
        The prior of the probabilities; ones with ``inference='mle'``.
    prior_ : dict
        'kind' is 'columns' if the prior was chosen, 'alpha' or 'beta' if only that one was, 'given', or
        None; 'n_pseudo_observations' is s, or if both were given the mean over columns of alpha + beta,
        less 2 with 'map'; 'held_out_scores' lists the candidates, (kind, s, log-probability of a row
        held back).
    weight_concentration_ : ndarray of shape (n_components,)
        Only with 'variational': the Dirichlet posterior of the weights.
    probability_alpha_, probability_beta_ : ndarray of shape (n_components, n_features)
        Only with 'variational': the posterior Beta(probability_alpha_, probability_beta_) of each
        probability.
    n_components_ : int
        Only with 'variational': how many components hold more than one row; at least 1.
    {em_attributes}
        With 'variational' it is the evidence lower bound of all rows, a total, at most
        the log of their marginal likelihood.
    {fitted_features}

    See Also
    --------
    BetaBernoulli : One component, with its posterior.
    EMGaussianMixture : Mixtures of Gaussians.

    References
    ----------
    C. M. Bishop, Pattern Recognition and Machine Learning (2006), equations 9.44 to 9.60.

    Examples
    --------
    Rows of ten throws of one of two coins. Which coin made a row is not known, and yet the biases of
    both are found:

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

    _parameter_constraints: ClassVar[dict[str, list[object]]] = {
        "n_components": [COUNT],
        "alpha": PRIOR,
        "beta": PRIOR,
        "weight_concentration_prior": [Interval(Real, 0, None, closed="neither")],
        "inference": [StrOptions(set(INFERENCES))],
        "weights_init": ["array-like", None],
        "probabilities_init": ["array-like", None],
        **BINARIZE,
        **EM_CONSTRAINTS,
    }

    probabilities_: Floats
    alpha_: Floats
    beta_: Floats
    prior_: dict[str, object]
    n_components_: int
    weight_concentration_: Floats
    probability_alpha_: Floats
    probability_beta_: Floats

    _chosen_prior: Chosen
    _stepwise: StepwiseStatistics[Counts] | None  # of batches since the last fit
    _flat_prior: float  # which adds nothing, of the last inference
    _least_weight: float  # of a component that counts

    def __init__(
        self,
        n_components: int = 1,
        *,
        alpha: Literal["auto"] | float | ArrayLike = "auto",
        beta: Literal["auto"] | float | ArrayLike = "auto",
        weight_concentration_prior: float = 1.0,
        inference: Literal["map", "mle", "variational"] = "map",
        tol: float | Literal["auto"] = "auto",
        max_iter: int = 1000,
        n_init: int = 1,
        acceleration: Acceleration = "auto",
        init_params: InitParams = "auto",
        weights_init: ArrayLike | None = None,
        probabilities_init: ArrayLike | None = None,
        binarize: float | None = 0.0,
        random_state: RandomState = None,
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

    @available_if(takes_batches)
    @documented
    def partial_fit(
        self, X: ArrayLike | csr_array, y: object = None, sample_weight: Weights = None
    ) -> Self:
        """Fit one more batch of rows, by one step of stepwise EM (Cappe & Moulines, 2009).

        The first batch is fitted as ``fit`` does it. Each further batch is one E-step, whose
        statistics are added to those of the batches before. Early batches fade, since their
        expectations were those of poorer models. Batches should be random samples of the rows; their
        order and size matter, unlike with models in closed form.

        Parameters
        ----------
        X : {array-like, CSR matrix} of shape (n_samples, n_features)
        y : Ignored
        {sample_weight}

        Returns
        -------
        self : BernoulliMixture
            ``lower_bound_`` is the objective on this batch before the step, ``converged_`` is False.
        """
        fit = self._fit_batch if hasattr(self, "_density") else self.fit
        return fit(X, y, sample_weight)

    @transactional
    def _fit_batch(self, X: ArrayLike | csr_array, y: object, sample_weight: Weights) -> Self:
        rows, w = self._check_training(X, sample_weight, reset=False)
        self._dtype = result_dtype(rows)
        binarization = self._binarization()
        source = self._row_source(rows, w, binarization)
        self._find_prior(source, warm=True)
        steps, stepwise, model = (
            self._steps(binarization),
            self._stepwise,
            self._warm_model(binarization),
        )
        with ThreadMap() as block_map:
            now = Problem(steps, source.streamed, block_map).evaluate(model)
        if stepwise is None:
            weight = self._total_weight
            stepwise = StepwiseStatistics(self._counts(), weight, weight)
        stepwise = stepwise.updated(now.statistics, float(w.sum()))
        following = steps.m_step(stepwise.of_all_batches, model)
        run = EMRun(following, (now.objective,), self.n_iter_ + 1)
        self._total_weight = float(w.sum())  # of which the bound is
        self._set_fitted(self._attributes(binarization, run))
        self._stepwise, self._total_weight = stepwise, stepwise.total_weight
        self._warn_of_empty_components()
        return self

    def predict_proba(self, X: ArrayLike) -> Floats:
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
        rows = self._check_rows(X)
        if issparse(rows):
            raise ValueError(
                "predict_proba takes no sparse X; transform(X) returns the same responsibilities."
            )
        return self._shares(rows)

    def _restricted(self, kept: Ints, restrict: Restriction) -> dict[str, object]:
        found = super()._restricted(kept, restrict)
        density = cast(Mixture[Bernoullis], found["_density"])
        return found | {
            "probabilities_": density.components.probability.astype(self._dtype),
            "_transformation": self._transformation,
            "_fitted_binarize": self._fitted_binarize,
        }

    # -- what the fit asks for ---------------------------------------------------------------------

    def _fit_transformation(self, X: Table, w: Floats) -> Binarization:
        self._warn_if_one_sided(X, w)
        return self._binarization()

    def _row_source(self, X: Table, w: Floats, binarization: Binarization) -> BinaryRowSource:
        return BinaryRowSource(X, w, binarization, self._slices)

    @property
    def _inference(self) -> Modes:
        return INFERENCES[self.inference].of(
            self._chosen_prior.prior, float(self.weight_concentration_prior), self.n_components
        )

    def _steps(self, binarization: Binarization) -> BernoulliSteps:
        return self._inference.steps

    def _start(self, binarization: Binarization) -> Start[BernoulliComponents, Counts]:
        return self._inference.start(super()._start(binarization))

    @property
    def _has_evidence_bound(self) -> bool:
        return INFERENCES[self.inference].of.bounds_evidence

    def _choose_prior(self, rows: RowSource, binarization: Binarization, warm: bool) -> None:
        self._find_prior(rows, warm)
        self._least_weight = INFERENCES[self.inference].least_weight(rows)

    def _find_prior(self, rows: RowSource, warm: bool) -> None:
        flat = INFERENCES[self.inference].flat
        kept = warm and self._flat_prior == flat
        self._chosen_prior = chosen_prior(self, rows, self._chosen_prior if kept else None)
        self._flat_prior = flat

    def _described_prior(self, binarization: Binarization) -> Mapping[str, object]:
        return described(self._chosen_prior, self._dtype)

    def _given_model(
        self, binarization: Binarization, model: BernoulliModel | None
    ) -> BernoulliModel | None:
        log_weights, components = self._given_parameters()
        if model is not None:
            log_weights = model.log_weights if log_weights is None else log_weights
            components = components or model.components
        if log_weights is None or components is None:
            return None
        return Mixture(log_weights, components)

    def _given_parameters(self) -> tuple[Floats | None, BernoulliComponents | None]:
        """Log-weights and components to start with, None where they are not given."""
        log_weights = components = None
        K, d = self.n_components, self.n_features_in_
        if self.weights_init is not None:
            log_weights = log_of(check_distribution("weights_init", self.weights_init, K))
        if self.probabilities_init is not None:
            p = check_shape("probabilities_init", self.probabilities_init, (K, d))
            if p.min() < 0 or p.max() > 1:
                raise ValueError(
                    f"probabilities_init must be in [0, 1], got {p.min():g} to {p.max():g}."
                )
            components = Bernoullis.of(p, 1.0 - p)
        return log_weights, components

    def _warm_model(self, binarization: Binarization) -> BernoulliModel:
        if self._model.components.probability.shape != (self.n_components, self.n_features_in_):
            raise ValueError(
                "a solution with another n_components or number of features cannot be continued: "
                "call fit with warm_start=False."
            )
        # The last fit may have been one of another inference.
        return self._inference.continued(cast(BernoulliModel, self._density), self._counts())

    def _counts(self) -> Counts:
        """The expected statistics of the rows so far."""
        model = self._model
        weight = self._total_weight * np.exp(model.log_weights)
        return model.components.expected(weight, self._inference.pseudo_counts)

    def _described(self, model: BernoulliModel, binarization: Binarization) -> Mapping[str, object]:
        described = INFERENCES[self.inference].described
        return {
            "probabilities_": model.components.probability.astype(self._dtype),
            **described(model, self._least_weight, self._dtype),
            "_stepwise": None,
        }

    def _set_fitted(self, attributes: Mapping[str, object]) -> None:
        for name in OF_POSTERIORS:
            self.__dict__.pop(name, None)  # of another inference
        super()._set_fitted(attributes)

    def _few_rows(self, n_rows: int, weight: float) -> StartStrategy:
        return FEW_ROWS["random"]  # some components are much alike

    def _failure_message(self, failure: Exception) -> str:
        return (
            f"Every start failed: {failure}. A start with a probability or a weight of exactly 0 or "
            "1 has no log-prior: give another start, set warm_start=False, or inference='mle'."
        )

    def _n_components_per_column(self) -> int:
        return self._n_fitted_components
