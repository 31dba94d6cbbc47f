"""The base of mixtures: fits by several starts of EM, and responsibilities of rows."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from numbers import Integral, Real
from typing import Generic, Literal, Self, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning

from ..._compat import (
    RANDOM_STATE,
    Interval,
    StrOptions,
)
from ..._typing import Floats, Ints, Table, Weights
from ...core.family import C, S
from ...core.mixture import Mixture
from ...core.mixture_em import MixtureSteps
from ...core.rows import RowSource, Transformation
from ...fitting.mixture import MixtureSearch
from ...fitting.restarts import Outcome
from ...fitting.start_search import SearchedStart
from ...fitting.starts import STARTS, DrawnStart, KnownStart, Start, StartStrategy
from ...inference.em import EMRun
from ...inference.stopping import StoppingRule, automatic_tolerance, evidence_tolerance
from .component_density import ComponentDensityEstimator
from .docs import documented
from .restarted import MakeCallback, RestartedEstimator
from .transaction import transactional, warn
from .validation import listed, result_dtype

MAX_COUNT = 2**31 - 1
REFIT_SHARE = 1e-3  # of the automatic tolerance: refits start near their ends, and are compared
COUNT = Interval(Integral, 1, MAX_COUNT, closed="both")  # of components, starts or threads
# What the parameters that all mixtures share may be.
EM_CONSTRAINTS: dict[str, list[object]] = {
    "tol": [StrOptions({"auto"}), Interval(Real, 0.0, None, closed="left")],
    "max_iter": [Interval(Integral, 0, None, closed="left")],
    "n_init": [COUNT],
    "acceleration": [StrOptions({"auto", "squarem"}), None],
    "init_params": [StrOptions({"auto", *STARTS})],
    "random_state": RANDOM_STATE,
    "n_jobs": [
        Interval(Integral, -MAX_COUNT, -1, closed="both"),
        COUNT,
        None,
    ],
    "warm_start": ["boolean"],
    "verbose": ["verbose"],
    "verbose_interval": [Interval(Integral, 1, None, closed="left")],
}

Acceleration = Literal["auto", "squarem"] | None
InitParams = Literal["auto", "kmeans", "k-means++", "random", "random_from_data"]
U = TypeVar("U", bound=Transformation)


class MixtureEstimator(RestartedEstimator[Mixture[C]], ComponentDensityEstimator, Generic[U, C, S]):
    """Base of the mixtures: fits by several starts of expectation-maximization.

    A subclass measures the units in which it computes (``_fit_transformation``), and says how its
    components are estimated (``_steps``) and under which prior (``_choose_prior``), which model
    continues a fit (``_warm_model``), what the parameters that a user gave make of a start
    (``_given_model``), and how fitted components and priors are described (``_described``,
    ``_described_prior``).
    """

    n_components: int
    tol: float | Literal["auto"]
    acceleration: Acceleration
    init_params: InitParams
    n_jobs: int | None
    warm_start: bool

    weights_: Floats
    converged_: bool
    n_iter_: int
    lower_bound_: float
    lower_bounds_: list[float]

    _transformation: U
    _model: Mixture[C]  # of the objective, which a warm start continues
    _fitted_steps: MixtureSteps[C, S]  # whose objective was fitted, and under which prior
    _total_weight: float
    _fitted_log_jacobian = 0.0  # log |dx / dz| of a typical row, what was observed of it
    _prefers_weak_prior = False  # that leaves the maximum of the likelihood, where one is chosen
    _shares_starts = True  # by splits and merges, with mixtures of other numbers of components
    _stopping_rule: StoppingRule | None = None  # of the last run, which a warm start continues

    @abstractmethod
    def _fit_transformation(self, X: Table, w: Floats) -> U:
        """The units in which rows are fitted."""

    @abstractmethod
    def _steps(self, transformation: U) -> MixtureSteps[C, S]:
        """The E- and M-step."""

    def _choose_prior(self, rows: RowSource, transformation: U, warm: bool) -> None:
        """Choose the prior of a fit; a warm start keeps the one that it has."""

    def _described_prior(self, transformation: U) -> Mapping[str, object]:
        """Fitted attributes of the prior, in the units of the data."""
        return {}

    @abstractmethod
    def _warm_model(self, transformation: U) -> Mixture[C]:
        """The last solution, in the units of new rows."""

    @abstractmethod
    def _given_model(self, transformation: U, model: Mixture[C] | None) -> Mixture[C] | None:
        """A model with the parameters that the user gave; None if some are left open."""

    @abstractmethod
    def _few_rows(self, n_rows: int, weight: float) -> StartStrategy:
        """The start from fewer distinct rows than components, of a summed weight.

        Raises
        ------
        ValueError
            If there are too few.
        """

    @abstractmethod
    def _described(self, model: Mixture[C], transformation: U) -> Mapping[str, object]:
        """Fitted attributes of a model, in the units and the precision of the data."""

    @property
    def _bound_unit(self) -> float:
        """By what objectives are multiplied, which are in nats per unit of weight."""
        return self._total_weight if self._has_evidence_bound else 1.0

    def _row_source(self, X: Table, w: Floats, transformation: U) -> RowSource:
        return RowSource(X, w, transformation, self._slices)

    # -- fitting -----------------------------------------------------------------------------------

    @transactional
    @documented
    def fit(self, X: ArrayLike, y: object = None, sample_weight: Weights = None) -> Self:
        """Fit the mixture from ``n_init`` starts, and keep the one of the highest objective.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN was not observed; rows of which nothing was are left out.
        y : Ignored
        {sample_weight}

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If nothing was observed of a column, if there are more components than rows, repetitions and
            weights counted, unless these are Bernoulli densities, or if no start succeeds, since a
            covariance became singular, say; the message names the cause, such as the component, and the
            remedy.

        Warns
        -----
        ConvergenceWarning
            If the best start had not converged after ``max_iter`` steps, or left components without
            weight.
        """
        rows, transformation = self._prepared(X, sample_weight)
        metadata = {} if sample_weight is None else {"sample_weight": sample_weight}
        best = self._search(rows, transformation, {"X": X, "y": y, "metadata": metadata})
        self._set_fitted(self._attributes(transformation, best))
        self._warn_of_run(best)
        return self

    def _prepared(self, X: ArrayLike, sample_weight: Weights) -> tuple[RowSource, U]:
        """Validated rows, and the units in which they are fitted."""
        self._n_fitted_components = self.n_components
        table, w = self._check_training(X, sample_weight)
        self._dtype, self._total_weight = result_dtype(table), float(w.sum())
        transformation = self._fit_transformation(table, w)
        return self._row_source(table, w, transformation), transformation

    def _warn_of_run(self, run: EMRun[Mixture[C]]) -> None:
        super()._warn_of_run(run)
        self._warn_of_empty_components()

    def _warn_of_empty_components(self) -> None:
        empty = np.flatnonzero(self.weights_ == 0).tolist()
        if empty:
            warn(
                f"No weight is left to components {listed(empty)} of {len(self.weights_)}: no row "
                "belongs to them. Lower n_components, or raise n_init for other starts.",
                ConvergenceWarning,
            )

    @documented
    def fit_predict(self, X: ArrayLike, y: object = None, sample_weight: Weights = None) -> Ints:
        """Fit the mixture and label each row; equals ``fit(X).predict(X)``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : Ignored
        {sample_weight}

        Returns
        -------
        labels : ndarray of shape (n_samples,)
        """
        return self.fit(X, y, sample_weight=sample_weight).predict(X)

    def _mixture_search(
        self, rows: RowSource, transformation: U, rule: StoppingRule | None = None
    ) -> MixtureSearch[C, S]:
        """How runs are made; a rule is that of a run whose last model is the start."""
        return MixtureSearch(
            self._steps(transformation),
            rows,
            max_iter=self.max_iter,
            tol=self.tol,
            acceleration=self.acceleration,
            n_jobs=self.n_jobs,
            rule=rule,
            automatic=evidence_tolerance if self._has_evidence_bound else automatic_tolerance,
        )

    def _search(
        self, rows: RowSource, transformation: U, data: Mapping[str, object]
    ) -> EMRun[Mixture[C]]:
        """Run all starts, in sight of callbacks, and choose the best."""
        warm = self.warm_start and hasattr(self, "_density")
        if warm and not hasattr(self, "_model"):
            raise ValueError(
                "warm_start=True cannot continue a mixture that condition or marginal made, which has "
                "no posteriors and no prior to start from: set warm_start=False."
            )

        def runs(
            seeds: Sequence[int],
            make_callback: MakeCallback[Mixture[C]],
            stopped: Callable[[], bool],
        ) -> list[Outcome[Mixture[C]]]:
            self._choose_prior(rows, transformation, warm)
            search = self._mixture_search(
                rows, transformation, self._stopping_rule if warm else None
            )
            known = warm and KnownStart(self._warm_model(transformation))
            return search.runs(known or self._start(transformation), seeds, make_callback, stopped)

        attributes = partial(self._attributes, transformation)
        return self._best_of_starts(runs, 1 if warm else self.n_init, data, attributes)

    def _start(self, transformation: U) -> Start[C, S]:
        given = self._given_model(transformation, None)
        if given is not None:
            return KnownStart(given)

        def complete(model: Mixture[C]) -> Mixture[C]:
            return self._given_model(transformation, model) or model

        if self.init_params == "auto":
            return SearchedStart(self.n_components, self._few_rows, complete)
        strategy = STARTS[self.init_params]
        return DrawnStart(self.n_components, strategy, self._few_rows, complete)

    def _attributes(self, transformation: U, run: EMRun[Mixture[C]]) -> dict[str, object]:
        """The fitted attributes of a run."""
        unit = self._bound_unit
        bounds = [unit * (bound - self._fitted_log_jacobian) for bound in run.trace]
        steps = self._steps(transformation)
        density = steps.predictive(run.model)
        return {
            "weights_": np.exp(density.log_weights).astype(self._dtype),
            **self._described(run.model, transformation),
            **self._described_prior(transformation),
            "n_parameters_": run.model.n_parameters(),
            "converged_": run.converged,
            "n_iter_": run.n_iter,
            "lower_bound_": bounds[-1],
            "lower_bounds_": bounds[1:] or bounds,
            "_transformation": transformation,
            "_model": run.model,
            "_density": density,
            "_fitted_steps": steps,
            "_stopping_rule": run.rule,
        }

    # -- refits ------------------------------------------------------------------------------------

    def _refit_params(self, weight: float) -> dict[str, object]:
        small = REFIT_SHARE * automatic_tolerance(self.n_parameters_, weight)
        tol = small if isinstance(self.tol, str) else min(self.tol, small)
        return {"warm_start": True, "tol": tol, "verbose": 0}
