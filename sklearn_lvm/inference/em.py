"""Expectation-maximisation for any model that has an E-step and an M-step."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from math import inf, isfinite
from typing import Any, Protocol

import numpy as np

from .acceleration import WALKS, Coordinates, Point, Walk, attempt
from .distribute import Walker
from .stopping import Summit

ROUNDING = 1e-9  # nats per unit of weight below which two objectives are the same
DRAFT = 1e-6  # nats per unit of weight that a sketch can still tell apart
FINISH = 2  # E-steps that a sketch leaves for the end
SHORT = 10  # climbs of fewer E-steps are not worth a sketch


class Steps(Protocol):
    """What the loop asks of a model.

    ``e_step`` returns a function of a block; its values add, and their sum has ``statistics`` and the
    ``objective`` of the model that was given. ``m_step`` turns statistics into the next model.
    ``coordinates`` tells how models around the one given are written as vectors.
    """

    def e_step(self, model: Any) -> Callable[[Any], Any]: ...
    def m_step(self, statistics: Any) -> Any: ...
    def coordinates(self, model: Any) -> Coordinates: ...


@dataclass(frozen=True)
class Climb:
    """How far one run has come.

    Attributes
    ----------
    model : object
    trace : tuple of float
        The objective of the start and of every model accepted since; the last is that of ``model``.
    n_iter : int
        E-steps after that of the start, rejected ones included.
    converged : bool
        Whether what remains to be gained is estimated to be less than the tolerance.
    stopped : bool
        Whether somebody who watched asked for an end.
    """

    model: Any
    trace: tuple[float, ...]
    n_iter: int = 0
    converged: bool = False
    stopped: bool = False

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


@dataclass(frozen=True, eq=False)
class Data:
    """The rows a model is climbed on: what makes points of models."""

    steps: Steps
    blocks: Sequence[Any]
    walker: Walker

    def evaluate(self, model: Any) -> Point:
        """Run an E-step."""
        expected = self.walker.sum(self.steps.e_step(model), self.blocks)
        if not isfinite(expected.objective):
            raise FloatingPointError(f"the objective became {expected.objective}")
        return Point(model, expected.statistics, expected.objective)

    def improve(self, point: Point) -> Any:
        """Run an M-step."""
        return self.steps.m_step(point.statistics)

    def coordinates(self, model: Any) -> Coordinates:
        return self.steps.coordinates(model)


class RoughData(Data):
    """The same rows for steps with fewer digits, where numbers overflow that may be fine with more."""

    def evaluate(self, model: Any) -> Point:
        with np.errstate(all="ignore"):
            return super().evaluate(model)


def climb(
    steps: Steps,
    model: Any,
    blocks: Sequence[Any],
    walker: Walker,
    *,
    max_iter: int,
    tol: float,
    acceleration: str | None = None,
    sketch: Steps | None = None,
    watcher: Watcher | None = None,
) -> Climb:
    """Raise the objective until no more than ``tol`` seems to be left, or for ``max_iter`` E-steps.

    The objective of an exact step cannot fall. Where it seems to by no more than rounding the step
    counts as level; by more, arithmetic has nothing left to climb, and the better model stays.
    ``watcher`` sees every step and may ask for an end. ``sketch``, if given, are the same steps with
    fewer digits: they go first, as far as their digits lead.
    """
    watcher, summit = watcher or Watcher(), Summit(tol)
    data, walk = Data(steps, blocks, walker), WALKS[acceleration]
    if sketch is None or max_iter < SHORT:
        start = data.evaluate(model)
        points = walk(data, start)
    else:
        rough = RoughData(sketch, blocks, walker)
        start = attempt(rough.evaluate, model) or data.evaluate(model)
        points = sketched(walk, rough, data, start, max_iter - FINISH, tol)
    now = Climb(model, (start.objective,))
    while not (now.converged or now.stopped) and now.n_iter < max_iter:
        watcher.begin(now)
        now = _advance(now, next(points), summit)
        now = replace(now, stopped=watcher.end(now))
    return now


def sketched(
    walk: Walk, rough: Data, data: Data, start: Point, max_iter: int, tol: float
) -> Iterator[Point]:
    """Walk on rough data until their digits give out or tell of the top, then on from there."""
    best, summit = start, Summit(max(tol, DRAFT))
    try:
        for point in islice(walk(rough, start), max_iter):
            risen = point.objective >= best.objective
            yield replace(point, gain=None, accepted=point.accepted and risen)
            if not point.accepted:
                continue
            best = point if risen else best
            if not risen or summit.reached(point):
                break
    except (np.linalg.LinAlgError, FloatingPointError):
        pass  # with all digits it may make sense
    again = data.evaluate(best.model)
    yield replace(again, anew=True)
    yield from walk(data, again)


def _advance(now: Climb, point: Point, summit: Summit) -> Climb:
    n_iter = now.n_iter + 1
    if not point.accepted:
        return replace(now, n_iter=n_iter)
    if point.anew:
        known = tuple(min(objective, point.objective) for objective in now.trace)
        return Climb(point.model, (*known, point.objective), n_iter)
    if point.objective < now.objective - ROUNDING:
        return replace(now, n_iter=n_iter, converged=True)
    trace = (*now.trace, max(point.objective, now.objective))
    return Climb(point.model, trace, n_iter, converged=summit.reached(point))


def best_of(runs: Sequence[Climb]) -> Climb:
    """The run that climbed highest; a later one wins only by more than rounding."""
    best, height = runs[0], -inf
    for run in runs:
        if run.objective > height + ROUNDING:
            best, height = run, run.objective
    return best
