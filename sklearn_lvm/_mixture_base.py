"""What every mixture estimator shares: restarts of the one loop, and what it says of a row."""

from collections.abc import Callable
from functools import partial
from threading import Event
from typing import Any, ClassVar, Protocol, Self

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel, delayed

from ._compat import CallbackSupportMixin
from ._typing import Array
from ._watch import FitWatcher
from .base import DensityEstimator, Units, _weights, fitting, precision, warn
from .core.covariance import SingularCovarianceError
from .core.frame import Blocks
from .core.mixture import Mixture, MixtureSteps
from .core.rows import WeightedSet
from .inference.distribute import Walker
from .inference.em import Climb, best_of, climb
from .inference.initialise import STARTS, Policy

# What a user may ask for, and how it walks at a given tolerance: a fit of a given number of steps,
# tol=0, is there to be compared step by step, and does not leap unless told to.
ACCELERATIONS: dict[str | None, Callable[[float], str | None]] = {
    "auto": lambda tol: "squarem" if tol > 0 else None,
    "squarem": lambda tol: "squarem",
    None: lambda tol: None,
}

MANY = 1 << 16  # rows from which on a sketch saves enough to be worth ends that agree only to tol

Model = Callable[[np.random.RandomState], Mixture[Any]]


class MixtureUnits(Units, Protocol):
    """What a fit asks of units beyond: which rows are kept in them, and where starts come from."""

    def keeps(self, X: Any) -> bool: ...
    def merged(self, X: Any, w: Array, slices: list[slice]) -> tuple[Any, Array]: ...
    def distinct(self, X: Any, w: Array, blocks: Any, size: int) -> WeightedSet: ...
    def split(self, Z: Any, w: Array, slices: list[slice]) -> list[tuple[Any, Array]]: ...
    def points(self, Z: Any, w: Array) -> Any: ...


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
    _many: ClassVar[float] = MANY
    _weight_seen: float

    def _units(self, X: Array, w: Array) -> MixtureUnits:
        raise NotImplementedError

    def _steps(self, frame: Any) -> MixtureSteps:
        raise NotImplementedError

    def _continued(self, frame: Any) -> Mixture[Any]:
        raise NotImplementedError

    def _with_given(self, frame: Any, model: Mixture[Any] | None) -> Mixture[Any] | None:
        raise NotImplementedError

    def _attributes(self, frame: Any, dtype: Any, run: Climb) -> dict[str, Any]:
        raise NotImplementedError

    # -- fitting -----------------------------------------------------------------------------------

    @fitting
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
        frame = self._units(X, w)
        metadata = {} if sample_weight is None else {"sample_weight": sample_weight}
        best = self._search(X, w, frame, {"X": X, "y": y, "metadata": metadata})
        self._adopt(self._attributes(frame, precision(X), best))
        self._weight_seen = float(w.sum())
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

    def _search(self, X: Array, w: Array, frame: MixtureUnits, data: dict[str, Any]) -> Climb:
        """Run all starts, side by side if asked for, and choose."""
        warm = self.warm_start and hasattr(self, "_density")
        n_starts = 1 if warm else self.n_init
        seeds = check_random_state(self.random_state).randint(np.iinfo(np.int32).max, size=n_starts)
        context = self._init_callback_context(max_subtasks=n_starts, sequential_subtasks=False)
        context.call_on_fit_task_begin(estimator=self, **data)
        attributes = partial(self._attributes, frame, precision(X))
        stop = Event()
        X, w = frame.merged(X, w, self._cut(X))
        with Walker() as walker:
            blocks = Blocks(X, w, frame, self._cut(X))
            walk = ACCELERATIONS[self.acceleration](self.tol)
            steps = self._steps(frame)
            ascend = partial(climb, steps, walker=walker, acceleration=walk)
            start = self._warm_start(frame) if warm else self._starts(X, w, frame, blocks, ascend)
            blocks = blocks.held() if frame.keeps(X) else blocks
            ascend = partial(ascend, blocks=blocks, max_iter=self.max_iter, tol=self.tol)
            if walk and self.tol > 0 and X.shape[0] > self._many:
                ascend = partial(ascend, sketch=steps.sketch())

            def run(i: int) -> Climb | Exception | None:
                if stop.is_set():
                    return None
                watcher = FitWatcher(self, context, i, data, attributes, stop)
                try:
                    end = ascend(start(np.random.RandomState(seeds[i])), watcher=watcher)
                except (SingularCovarianceError, FloatingPointError) as failure:
                    return failure
                watcher.close(end)
                return end

            runs = Parallel(n_jobs=self.n_jobs, prefer="threads")
            best = self._choose(runs(delayed(run)(i) for i in range(n_starts)))
        context.call_on_fit_task_end(
            estimator=self, reconstruction_attributes=lambda: attributes(best), **data
        )
        return best

    def _choose(self, runs: list[Any]) -> Climb:
        ended = [run for run in runs if isinstance(run, Climb)]
        if ended:
            return best_of(ended)
        raise ValueError(self._complaint(runs[0])) from runs[0]

    def _complaint(self, failure: Exception) -> str:
        remedy = "Raise reg_covar, lower n_components, or try another start."
        if isinstance(failure, SingularCovarianceError):
            return (
                f"In every start a covariance became singular, the likelihood being unbounded there: "
                f"first that of component {failure.component}, in features "
                f"{list(failure.features)}. {remedy}"
            )
        return f"Every start failed: {failure}. {remedy}"

    def _warm_start(self, frame: MixtureUnits) -> Model:
        model = self._continued(frame)
        return lambda rng: model

    def _starts(
        self, X: Array, w: Array, frame: MixtureUnits, blocks: Blocks, ascend: Callable[..., Climb]
    ) -> Model:
        """A function that finds a start on the weighted set of distinct rows."""
        given = self._with_given(frame, None)
        if given is not None:
            return lambda rng: given
        policy, steps = STARTS[self.init_params], self._steps(frame)
        rows = frame.distinct(X, w, blocks, max(policy.rows, 100 * self.n_components))
        if len(rows) < self.n_components:
            policy = self._few(len(rows))
        sample = X[rows.index]
        Z = frame.enter(sample)
        points = frame.points(Z, rows.weight)
        short = partial(ascend, blocks=frame.split(Z, rows.weight, self._cut(sample)), tol=0.0)

        def draw(rng: np.random.RandomState) -> Mixture[Any]:
            resp = policy.draw(points, rows.weight, self.n_components, rng)
            model = steps.fit(steps.family.statistics(Z, resp * rows.weight))
            return self._with_given(frame, model) or model

        return policy.contest(draw, short, len(rows), rows.drawn_from)

    def _few(self, n_rows: int) -> Policy:
        """What to do with fewer distinct rows than components."""
        raise ValueError(
            f"n_components={self.n_components}, but X has n_samples={n_rows} distinct rows of "
            "positive weight: lower n_components to at most that."
        )

    # -- what a mixture says of a row ----------------------------------------------------------------

    def _responsibilities(self, X: Array) -> Array:
        def prepare() -> Callable[[Any], Array]:
            lens = self._density.lens()
            return lambda Z: lens.posterior(Z)[1]

        return self._by_block(X, prepare).T

    def _shares(self, X: Any) -> Array:
        return np.ascontiguousarray(self._responsibilities(X), dtype=precision(X))

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
        return self._by_block(X, lambda: self._density.lens().labels)

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
        entropy = -float(_weights(sample_weight, rows) @ (resp * logs).sum(axis=1))
        return self.bic(X, sample_weight) + 2.0 * entropy

    @property
    def _n_features_out(self) -> int:
        return self.n_components
