"""The loop of expectation-maximization, for any model that has an E-step and an M-step."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Generic, TypeVar

import numpy as np

from .acceleration import ACCELERATIONS
from .problem import Iterate, M, Problem, S, V, attempt
from .stopping import EQUAL, StoppingRule

N = TypeVar("N")


@dataclass(frozen=True)
class EMRun(Generic[M]):
    """The state of a run after an E-step.

    Attributes
    ----------
    model : object
        The best model so far.
    trace : tuple of float
        The objective of the start and of every model accepted since; the last is that of ``model``.
    n_iter : int
        E-steps after that of the start, those of rejected proposals included.
    converged : bool
        Whether the estimated remaining gain is below the tolerance.
    stopped : bool
        Whether a callback asked for an end.
    rule : StoppingRule or None
        What decides whether it has converged, as it is after these steps.
    fell_to : float or None
        The objective of a step that ended the run by a fall, of more than rounding.
    """

    model: M
    trace: tuple[float, ...]
    n_iter: int = 0
    converged: bool = False
    stopped: bool = False
    rule: StoppingRule | None = None
    fell_to: float | None = None

    @property
    def objective(self) -> float:
        return self.trace[-1]

    def with_model(self, model: N) -> "EMRun[N]":
        """The same run with its model in another form."""
        known = (self.trace, self.n_iter, self.converged, self.stopped, self.rule, self.fell_to)
        return EMRun(model, *known)

    def rejected(self) -> "EMRun[M]":
        """The run after a proposal that was not accepted."""
        return replace(self, n_iter=self.n_iter + 1)

    def moved(self, current: Iterate[M, S]) -> "EMRun[M]":
        """The run after a step to another model.

        The objective of an exact step cannot fall. A fall by no more than rounding counts as level.
        After a larger one rounding errors dominate, or the step was not exact: the run ends as
        converged with the better model.
        """
        if current.objective < self.objective - EQUAL:
            fell_to = current.objective
            return replace(self, n_iter=self.n_iter + 1, converged=True, fell_to=fell_to)
        trace = (*self.trace, max(current.objective, self.objective))
        return EMRun(current.model, trace, self.n_iter + 1)

    def reevaluated(self, current: Iterate[M, S]) -> "EMRun[M]":
        """The run after its model was evaluated again, more exactly; the trace still never falls."""
        known = tuple(min(objective, current.objective) for objective in self.trace)
        return EMRun(current.model, (*known, current.objective), self.n_iter + 1)


class Callback(Generic[M]):
    """Sees every iteration of a run; this one does nothing."""

    def begin(self, run: EMRun[M]) -> None:
        """Before an iteration."""

    def end(self, run: EMRun[M]) -> bool:
        """After an iteration; True asks for an end."""
        return False


def run_em(
    problem: Problem[M, V, S],
    model: M,
    *,
    max_iter: int,
    tol: float,
    acceleration: str | None = None,
    callback: Callback[M] | None = None,
    rule: StoppingRule | None = None,
) -> EMRun[M]:
    """Raise the objective until its estimated remaining gain is below a tolerance.

    Parameters
    ----------
    problem : Problem
    model : object
        Where to start.
    max_iter : int
        The most E-steps, after that of the start.
    tol : float
        In nats per unit of weight; 0 goes on to ``max_iter``.
    acceleration : str or None
        A key of ``ACCELERATIONS``.
    callback : Callback, optional
    rule : StoppingRule, optional
        That of an earlier run, whose last model is the start of this one.

    Raises
    ------
    FloatingPointError, numpy.linalg.LinAlgError
        If the objective of a plain EM step is not finite, or its model cannot be estimated.
    """
    return run_to_end(
        em_states(problem, model, tol=tol, acceleration=acceleration, rule=rule),
        max_iter,
        callback,
    )


def run_to_end(states: Iterator[EMRun[M]], max_iter: int, callback: Callback[M] | None) -> EMRun[M]:
    """The state in which a run ends: converged, stopped by a callback, or after ``max_iter`` steps."""
    callback = callback or Callback()
    run = next(states)
    while not (run.converged or run.stopped) and run.n_iter < max_iter:
        callback.begin(run)
        run = next(states)
        run = replace(run, stopped=callback.end(run))
    return run


def em_states(
    problem: Problem[M, V, S],
    model: M,
    *,
    tol: float,
    acceleration: str | None,
    earlier: EMRun[M] | None = None,
    rule: StoppingRule | None = None,
) -> Iterator[EMRun[M]]:
    """The states of a run, one after each E-step.

    ``earlier`` is a run that this one continues; ``rule`` is that of a run that ended at its start.
    """
    current = problem.evaluate(model)
    if earlier is None:
        run = EMRun(model, (current.objective,))
        rule = (rule or StoppingRule(tol)).resumed(current.objective, tol)
    else:
        run = earlier.reevaluated(current)
        rule = (earlier.rule or StoppingRule(tol)).reevaluated(current.objective, tol)
    method = ACCELERATIONS[acceleration](problem.steps, current, tol)
    while True:
        yield run
        if not method.ready:
            previous, current = current, problem.evaluate(current.following)
            gain = current.objective - previous.objective
            rule = rule.after_step(current.objective, gain, method.after_step(current, gain))
            run = run.moved(current)
            run = replace(run, converged=run.converged or rule.is_met, rule=rule)
            continue
        with np.errstate(all="ignore"):
            candidate = attempt(lambda: problem.evaluate(method.propose()))
        if candidate is None or candidate.objective < current.objective:
            method.after_proposal(current, False)
            run = run.rejected()
            continue
        current = candidate
        method.after_proposal(current, True)
        rule = rule.after_proposal(current.objective)
        run = replace(run.moved(current), converged=rule.is_met, rule=rule)


def best_run(runs: Sequence[EMRun[M]]) -> EMRun[M]:
    """The run of the highest objective; a later one wins only by more than rounding."""
    best, highest = runs[0], -inf
    for run in runs:
        if run.objective > highest + EQUAL:
            best, highest = run, run.objective
    return best
