"""Fits that consist of epochs, each of which is a task of scikit-learn's callbacks."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol


class Training(Protocol):
    """A fit that runs epoch by epoch; ``str`` is a line about the last epoch."""

    @property
    def finished(self) -> bool:
        """Whether no epoch is left."""
        ...

    def advance(self) -> None:
        """Run an epoch."""
        ...


class EpochEstimator(Protocol):
    """An estimator that supports callbacks and is fitted in epochs."""

    max_iter: int
    verbose: int

    def _init_callback_context(self, *, max_subtasks: int) -> Any: ...


def run_epochs(
    estimator: EpochEstimator,
    training: Training,
    attributes: Callable[[], dict[str, object]],
    data: Mapping[str, object],
) -> None:
    """Run epochs until training is finished or a callback asks for an end.

    Parameters
    ----------
    estimator : estimator
        Its ``verbose`` decides whether a line is printed after each epoch.
    training : Training
    attributes : callable
        Makes the fitted attributes after the epochs so far; called only if a callback needs them.
    data : dict
        X, y and metadata, as callbacks receive them.
    """
    context = estimator._init_callback_context(max_subtasks=estimator.max_iter)
    context.call_on_fit_task_begin(estimator=estimator, **data)
    report = {"estimator": estimator, "reconstruction_attributes": attributes, **data}
    stop = False
    while not (training.finished or stop):
        epoch = context.subcontext(task_name="epoch")
        epoch.call_on_fit_task_begin(estimator=estimator, **data)
        training.advance()
        if estimator.verbose:
            print(training)
        stop = bool(epoch.call_on_fit_task_end(**report))
    context.call_on_fit_task_end(**report)
