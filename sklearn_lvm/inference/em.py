"""Expectation-maximisation for any model that has an E-step and an M-step."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import inf, isfinite
from typing import Any, Protocol

from .distribute import Walker

ROUNDING = 1e-9  # nats per unit of weight below which two objectives are the same


class Steps(Protocol):
    """What the loop asks of a model.

    ``e_step`` returns a function of a block; its values add, and their sum has ``statistics`` and the
    ``objective`` of the model that was given. ``m_step`` turns statistics into the next model.
    """

    def e_step(self, model: Any) -> Callable[[Any], Any]: ...
    def m_step(self, statistics: Any) -> Any: ...


@dataclass(frozen=True)
class Climb:
    """How far one run has come.

    Attributes
    ----------
    model : object
    trace : tuple of float
        The objective of the start and after each step; the last entry is that of ``model``.
    converged : bool
        Whether the last step gained less than the tolerance.
    stopped : bool
        Whether somebody who watched asked for an end.
    """

    model: Any
    trace: tuple[float, ...] = field(default=())
    converged: bool = False
    stopped: bool = False

    @property
    def n_iter(self) -> int:
        return len(self.trace) - 1

    @property
    def objective(self) -> float:
        return self.trace[-1]


class Watcher:
    """Sees every step of a climb; this one does nothing."""

    def begin(self, now: Climb) -> None:
        """Before a step."""

    def end(self, now: Climb) -> bool:
        """After a step; True asks for an end."""
        return False


def climb(
    steps: Steps,
    model: Any,
    blocks: Sequence[Any],
    walker: Walker,
    *,
    max_iter: int,
    tol: float,
    watcher: Watcher | None = None,
) -> Climb:
    """Raise the objective until a step gains less than ``tol``.

    The objective of an exact step cannot fall. Where it seems to by no more than rounding the step
    counts as level; by more, arithmetic has nothing left to climb, and the better model stays.
    ``watcher`` sees every step and may ask for an end.
    """
    watcher = watcher or Watcher()
    expected = walker.total(steps.e_step(model), blocks)
    now = Climb(model, (_finite(expected.objective),))
    while not (now.converged or now.stopped) and now.n_iter < max_iter:
        watcher.begin(now)
        model = steps.m_step(expected.statistics)
        expected = walker.total(steps.e_step(model), blocks)
        now = _advance(now, model, _finite(expected.objective), tol)
        now = replace(now, stopped=watcher.end(now))
    return now


def _advance(now: Climb, model: Any, objective: float, tol: float) -> Climb:
    gain = objective - now.objective
    if gain < -ROUNDING:
        return Climb(now.model, (*now.trace, now.objective), converged=True)
    return Climb(model, (*now.trace, max(objective, now.objective)), converged=max(gain, 0.0) < tol)


def _finite(objective: float) -> float:
    if not isfinite(objective):
        raise FloatingPointError(f"the objective became {objective}")
    return objective


def best_of(runs: Sequence[Climb]) -> Climb:
    """The run that climbed highest; a later one wins only by more than rounding."""
    best, height = runs[0], -inf
    for run in runs:
        if run.objective > height + ROUNDING:
            best, height = run, run.objective
    return best
