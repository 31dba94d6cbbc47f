"""What every mixture estimator shares: restarts of the one loop, and what it says of a row."""

from collections.abc import Callable
from functools import partial
from threading import Event
from typing import Any, Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from ..._compat import CallbackSupportMixin
from ..._typing import Array
from ...core.linalg import SingularCovarianceError
from ...core.mixture import Mixture
from ...core.mixture_em import MixtureSteps
from ...core.rows import RowSource, Transformation
from ...fitting.mixture import MixtureSearch, Outcome
from ...fitting.starts import STARTS, DrawnStart, KnownStart, Start, StartStrategy
from ...inference.em import EMRun, best_run
from .callbacks import FitCallback
from .density import DensityEstimator
from .transaction import transactional, warn
from .validation import check_weights, result_dtype


class MixtureEstimator(CallbackSupportMixin, DensityEstimator):
    """Base of the mixtures: fits by restarts of expectation-maximisation.

    A subclass says in which units it computes (``_units``), how its components are estimated
    (``_steps``), which model continues a fit (``_continued``), what the parameters that a user has
    given make of a start (``_with_given``), and how a fitted model is described (``_attributes``).
    """

    n_components: int
    tol: float
    max_iter: int
    n_init: int
    acceleration: str | None
    init_params: str
    n_jobs: int | None
    warm_start: bool
    _density: Mixture[Any]
    _few_rows: StartStrategy | None = None  # what to do with fewer distinct rows than components
    _total_weight: float

    def _units(self, X: Array, w: Array) -> Transformation:
        raise NotImplementedError

    def _row_source(self, X: Any, w: Array, transformation: Any) -> RowSource:
        return RowSource(X, w, transformation, self._slices)

    def _steps(self, transformation: Any) -> MixtureSteps[Any, Any]:
        raise NotImplementedError

    def _continued(self, transformation: Any) -> Mixture[Any]:
        raise NotImplementedError

    def _with_given(self, transformation: Any, model: Mixture[Any] | None) -> Mixture[Any] | None:
        raise NotImplementedError

    def _attributes(self, transformation: Any, dtype: Any, run: EMRun[Any]) -> dict[str, Any]:
        raise NotImplementedError

    # -- fitting -----------------------------------------------------------------------------------

    @transactional
    def fit(self, X: Any, y: Any = None, sample_weight: Any = None) -> Self:
        """Fit the mixture from ``n_init`` starts and keep the one that climbed highest.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None
            A weight of two equals a row given twice.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If there are fewer distinct rows than components, unless these are coins, or if no start
            succeeds, since a covariance became singular, say; the message names the cause, such as
            the component, and the remedy.

        Warns
        -----
        ConvergenceWarning
            If the best start was still climbing after ``max_iter`` steps.
        """
        X, w = self._check_training(X, sample_weight)
        transformation = self._units(X, w)
        metadata = {} if sample_weight is None else {"sample_weight": sample_weight}
        best = self._search(X, w, transformation, {"X": X, "y": y, "metadata": metadata})
        self._set_fitted(self._attributes(transformation, result_dtype(X), best))
        self._total_weight = float(w.sum())
        if self.max_iter and not (best.converged or best.stopped):
            warn(
                f"The best of {self.n_init} starts was still climbing after "
                f"max_iter={self.max_iter} E-steps. Raise max_iter or tol, or try another start.",
                ConvergenceWarning,
            )
        return self

    def fit_predict(self, X: Any, y: Any = None, sample_weight: Any = None) -> Array:
        """Fit the mixture and label each row; equals ``fit(X).predict(X)``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        labels : ndarray of shape (n_samples,)
        """
        return self.fit(X, y, sample_weight=sample_weight).predict(X)

    def _search(
        self, X: Any, w: Array, transformation: Transformation, data: dict[str, Any]
    ) -> EMRun[Any]:
        """Run all starts, and choose."""
        warm = self.warm_start and hasattr(self, "_density")
        n_starts = 1 if warm else self.n_init
        seeds = check_random_state(self.random_state).randint(np.iinfo(np.int32).max, size=n_starts)
        context = self._init_callback_context(max_subtasks=n_starts, sequential_subtasks=False)
        context.call_on_fit_task_begin(estimator=self, **data)
        attributes, stop = partial(self._attributes, transformation, result_dtype(X)), Event()
        search = MixtureSearch(
            self._steps(transformation),
            self._row_source(X, w, transformation),
            max_iter=self.max_iter,
            tol=self.tol,
            acceleration=self.acceleration,
            n_jobs=self.n_jobs,
        )
        start = KnownStart(self._continued(transformation)) if warm else self._start(transformation)
        outcomes = search.runs(
            start,
            seeds,
            lambda i: FitCallback(self, context, i, data, attributes, stop),
            stop.is_set,
        )
        best = self._choose(outcomes)
        context.call_on_fit_task_end(
            estimator=self, reconstruction_attributes=lambda: attributes(best), **data
        )
        return best

    def _start(self, transformation: Transformation) -> Start[Any]:
        given = self._with_given(transformation, None)
        if given is not None:
            return KnownStart(given)
        return DrawnStart(
            self.n_components,
            STARTS[self.init_params],
            self._few_rows,
            lambda model: self._with_given(transformation, model) or model,
        )

    def _choose(self, outcomes: list[Outcome[Any]]) -> EMRun[Any]:
        runs = [outcome for outcome in outcomes if isinstance(outcome, EMRun)]
        if runs:
            return best_run(runs)
        failure: Any = outcomes[0]
        raise ValueError(self._complaint(failure)) from failure

    def _complaint(self, failure: Exception) -> str:
        remedy = "Raise reg_covar, lower n_components, or try another start."
        if isinstance(failure, SingularCovarianceError):
            return (
                f"In every start a covariance became singular, the likelihood being unbounded there: "
                f"first that of component {failure.component}, in features "
                f"{list(failure.features)}. {remedy}"
            )
        return f"Every start failed: {failure}. {remedy}"

    # -- what a mixture says of a row ----------------------------------------------------------------

    def _responsibilities(self, X: Array) -> Array:
        def prepare() -> Callable[[Any], Array]:
            kernel = self._density.kernel()
            return lambda rows: kernel.posterior(rows)[1]

        return self._by_block(X, prepare).T

    def _shares(self, X: Any) -> Array:
        return np.ascontiguousarray(self._responsibilities(X), dtype=result_dtype(X))

    def predict_proba(self, X: Any) -> Array:
        """Compute the responsibilities p(k | x) of the components.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        resp : ndarray of shape (n_samples, n_components)
            Rows sum to 1.
        """
        return self._shares(self._check_rows(X))

    def predict(self, X: Any) -> Array:
        """Label each row with its most probable component.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        labels : ndarray of shape (n_samples,)
        """
        X = self._check_rows(X)
        return self._by_block(X, lambda: self._density.kernel().labels)

    def transform(self, X: Any) -> Array:
        """Compute the responsibilities, as features.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        resp : ndarray of shape (n_samples, n_components)
            ``predict_proba(X)``.
        """
        return self._shares(self._check_rows(X))

    def icl(self, X: Any, sample_weight: Any = None) -> float:
        """Compute the integrated completed likelihood, bic(X) + 2 sum_i H(p(k | x_i)).

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        icl : float
            Lower is better; unlike ``bic`` it prefers components that do not overlap (Biernacki,
            Celeux & Govaert, 2000).
        """
        rows = self._check_rows(X)
        resp = self._responsibilities(rows)
        logs = np.log(resp, where=resp > 0, out=np.zeros_like(resp))
        entropy = -float(check_weights(sample_weight, rows) @ (resp * logs).sum(axis=1))
        return self.bic(X, sample_weight) + 2.0 * entropy

    @property
    def _n_features_out(self) -> int:
        return self.n_components
