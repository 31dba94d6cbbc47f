"""Callbacks of a fit: printed lines, and scikit-learn's callbacks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from threading import Event
from time import perf_counter
from typing import Generic, Protocol

from ..._compat import CallbackContext
from ...fitting.restarts import RunCallback
from ...inference.em import EMRun
from ...inference.problem import M


class VerboseEstimator(Protocol):
    """An estimator that says how much of a fit is printed."""

    max_iter: int
    verbose: int
    verbose_interval: int


@dataclass
class FitCallback(RunCallback[M], Generic[M]):
    """Reports the steps of one start.

    Attributes
    ----------
    estimator : object
        The estimator that is being fitted.
    context : CallbackContext
        That of the whole fit.
    start : int
        The number of the start.
    data : mapping
        X, y and metadata, handed on to callbacks.
    attributes : callable
        The fitted attributes of a run; made only if a callback asks.
    stop : Event
        Set when a callback asks for an end; all starts share it.
    """

    estimator: VerboseEstimator
    context: CallbackContext
    start: int
    data: Mapping[str, object]
    attributes: Callable[[EMRun[M]], Mapping[str, object]]
    stop: Event
    began: float = field(default_factory=perf_counter)

    def __post_init__(self) -> None:
        self._print(1, f"Initialization {self.start}")
        self.task = self.context.subcontext(
            task_name="start", task_id=self.start, max_subtasks=self.estimator.max_iter
        )
        self.task.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def begin(self, run: EMRun[M]) -> None:
        self.step = self.task.subcontext(task_name="EM step")
        self.step.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def end(self, run: EMRun[M]) -> bool:
        if run.n_iter % self.estimator.verbose_interval == 0:
            self._print(1, f"  Iteration {run.n_iter}", f"\t lower bound {run.objective:.6f}")
        if self._report(self.step, run):
            self.stop.set()
        return self.stop.is_set()

    def close(self, run: EMRun[M]) -> None:
        """Report the end of this start."""
        outcome = "converged" if run.converged else "did not converge"
        self._print(1, f"Initialization {outcome}.", f"\t lower bound {run.objective:.5f}")
        self._report(self.task, run)

    def _report(self, task: CallbackContext, run: EMRun[M]) -> bool:
        attributes = partial(self.attributes, run)
        asked = task.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes=attributes, **self.data
        )
        return bool(asked)

    def _print(self, level: int, text: str, detail: str = "") -> None:
        if self.estimator.verbose > level:
            detail += f"\t {perf_counter() - self.began:.3f} s"
            print(text + detail)
        elif self.estimator.verbose == level:
            print(text)
