"""What a user sees of a fit while it runs: printed lines and scikit-learn's callbacks."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from threading import Event
from time import perf_counter
from typing import Any

from ...fitting.mixture import RunCallback
from ...inference.em import EMRun


@dataclass
class FitCallback(RunCallback[Any]):
    """Reports the steps of one start.

    Attributes
    ----------
    estimator : object
        The estimator that is being fitted; its ``verbose`` and ``verbose_interval`` decide what is
        printed.
    context : object
        The callback context of the whole fit.
    start : int
        Which start this is.
    data : dict
        X, y and metadata, handed on to callbacks.
    attributes : callable
        The fitted attributes that belong to a climb; made only if a callback asks.
    stop : Event
        Set when a callback asks for an end; all starts share it.
    """

    estimator: Any
    context: Any
    start: int
    data: dict[str, Any]
    attributes: Callable[[EMRun[Any]], dict[str, Any]]
    stop: Event
    began: float = field(default_factory=perf_counter)

    def __post_init__(self) -> None:
        self._print(1, f"Initialization {self.start}")
        self.task = self.context.subcontext(
            task_name="start", task_id=self.start, max_subtasks=self.estimator.max_iter
        )
        self.task.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def begin(self, now: EMRun[Any]) -> None:
        self.step = self.task.subcontext(task_name="EM step")
        self.step.call_on_fit_task_begin(estimator=self.estimator, **self.data)

    def end(self, now: EMRun[Any]) -> bool:
        if now.n_iter % self.estimator.verbose_interval == 0:
            self._print(1, f"  Iteration {now.n_iter}", f"\t lower bound {now.objective:.6f}")
        if self._report(self.step, now):
            self.stop.set()
        return self.stop.is_set()

    def close(self, now: EMRun[Any]) -> None:
        """Report the end of this start."""
        outcome = "converged" if now.converged else "did not converge"
        self._print(1, f"Initialization {outcome}.", f"\t lower bound {now.objective:.5f}")
        self._report(self.task, now)

    def _report(self, task: Any, now: EMRun[Any]) -> bool:
        made = partial(self.attributes, now)
        asked = task.call_on_fit_task_end(
            estimator=self.estimator, reconstruction_attributes=made, **self.data
        )
        return bool(asked)

    def _print(self, level: int, text: str, detail: str = "") -> None:
        if self.estimator.verbose > level:
            detail += f"\t {perf_counter() - self.began:.3f} s"
            print(text + detail)
        elif self.estimator.verbose == level:
            print(text)
