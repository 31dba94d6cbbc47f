"""The base of estimators that are fitted by EM from several starts."""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from threading import Event
from typing import Generic

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import check_random_state

from ..._compat import CallbackContext, CallbackSupportMixin, has_callbacks
from ..._typing import RandomState
from ...fitting.restarts import Outcome, RunCallback
from ...inference.em import EMRun, best_run
from ...inference.problem import M
from .callbacks import FitCallback
from .transaction import warn

MakeCallback = Callable[[int], RunCallback[M]]
Runs = Callable[[Sequence[int], MakeCallback[M], Callable[[], bool]], list[Outcome[M]]]
"""From the seeds of starts, their callbacks, and whether to stop, to how each of them ended."""


class RestartedEstimator(CallbackSupportMixin, Generic[M]):
    """Base of fits from several starts, of which the best is kept."""

    random_state: RandomState
    max_iter: int
    n_init: int
    verbose: int
    verbose_interval: int

    def _best_of_starts(
        self,
        runs: Runs[M],
        n_starts: int,
        data: Mapping[str, object],
        attributes: Callable[[EMRun[M]], dict[str, object]],
    ) -> EMRun[M]:
        """Run all starts, in sight of callbacks, and choose the best."""
        seeds = check_random_state(self.random_state).randint(np.iinfo(np.int32).max, size=n_starts)
        context: CallbackContext = self._init_callback_context(
            max_subtasks=n_starts, sequential_subtasks=False
        )
        context.call_on_fit_task_begin(estimator=self, **data)
        stop = Event()

        def make_callback(i: int) -> RunCallback[M]:
            # A step may take less time than a report to nobody.
            heard = self.verbose or has_callbacks(self)
            return FitCallback(self, context, i, data, attributes, stop) if heard else RunCallback()

        best = self._best(runs(seeds, make_callback, stop.is_set))
        context.call_on_fit_task_end(
            estimator=self, reconstruction_attributes=partial(attributes, best), **data
        )
        return best

    def _best(self, outcomes: list[Outcome[M]]) -> EMRun[M]:
        runs = [outcome for outcome in outcomes if isinstance(outcome, EMRun)]
        if runs:
            return best_run(runs)
        failure = next(outcome for outcome in outcomes if isinstance(outcome, Exception))
        raise ValueError(self._failure_message(failure)) from failure

    @abstractmethod
    def _failure_message(self, failure: Exception) -> str:
        """Why every start failed, and what to do."""

    def _warn_of_run(self, run: EMRun[M]) -> None:
        if self.max_iter and not (run.converged or run.stopped):
            warn(
                f"The best of {self.n_init} starts had not converged after max_iter={self.max_iter} "
                "E-steps. Raise max_iter or tol, or try another start.",
                ConvergenceWarning,
            )
