"""The steps of a climb: plain EM, or EM that leaps ahead along its own path.

A walk is a generator of evaluated points, one for each E-step; it knows no model, only points, the
step from one to the next, and a vector for each model.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import inf
from typing import Any, Protocol, TypeVar

import numpy as np

from .._typing import Array
from .leaps import Leaps


@dataclass(frozen=True, eq=False)
class Point:
    """A model that an E-step has looked at.

    Attributes
    ----------
    model, statistics : object
        The model, and what the M-step needs to improve it.
    objective : float
    gain : float or None
        What the plain EM step to this point gained; None if it was reached by a leap.
    rate : float
        By what factor the gain of the next plain step is smaller, as far as one can tell.
    accepted : bool
        False for a leap that did not pay.
    anew : bool
        True for a model that was looked at before, with fewer digits.
    """

    model: Any
    statistics: Any
    objective: float
    gain: float | None = None
    rate: float = inf
    accepted: bool = True
    anew: bool = False


class Coordinates(Protocol):
    """Models as vectors, in units in which one entry is about as large as another."""

    def vector(self, model: Any) -> Array: ...
    def model(self, vector: Array, like: Any) -> Any: ...


class Terrain(Protocol):
    """What a walk asks: the next model, what a model is worth, and vectors."""

    def improve(self, point: Point) -> Any: ...
    def evaluate(self, model: Any) -> Point: ...
    def coordinates(self, model: Any) -> Coordinates: ...


T = TypeVar("T")
Walk = Callable[[Terrain, Point], Iterator[Point]]


def attempt(trial: Callable[..., T], *arguments: Any) -> T | None:
    """What a trial gives, or None where its model makes no sense."""
    try:
        return trial(*arguments)
    except (np.linalg.LinAlgError, FloatingPointError):
        return None


def plain(terrain: Terrain, point: Point) -> Iterator[Point]:
    """One EM step after the other; the rate is the ratio of two gains in a row."""
    while True:
        point = _step(terrain, point, terrain.improve(point))
        yield point


def squarem(terrain: Terrain, point: Point) -> Iterator[Point]:
    """Squared extrapolation (Varadhan & Roland, 2008, scheme S3), kept monotone.

    From two EM steps a -> b -> c, with r = b - a and v = (c - b) - r, the walk leaps to
    a + 2 s r + s^2 v, where s is |r| / |v|, but at least 1 and no more than lately paid; or, where
    steps are gentle, in several directions at once. A leap counts if its objective is finite and no
    lower than that of the last EM point that was evaluated; else c is taken. The first two steps are
    plain.
    """
    a, b = point, _step(terrain, point, terrain.improve(point))
    yield b
    second = _step(terrain, b, terrain.improve(b))
    yield second
    axes = terrain.coordinates(second.model)
    path = [axes.vector(p.model) for p in (a, b, second)]
    c: Point | None = second
    ahead = second.model
    leaps = Leaps()
    leaps.see(path, second.gain)
    while True:
        with np.errstate(all="ignore"):
            leap = attempt(terrain.evaluate, axes.model(leaps.next(), like=ahead))
        if leap is not None and leap.objective >= (c or b).objective:
            leaps.paid()
            a = leap
        else:
            leaps.failed()
            yield replace(b, accepted=False)
            a = c or _step(terrain, b, ahead)
        if a is not c:
            yield a
        b, c = _step(terrain, a, terrain.improve(a)), None
        try:
            ahead = terrain.improve(b)
        except np.linalg.LinAlgError:
            yield b  # the last model that makes sense
            raise
        path = [axes.vector(model) for model in (a.model, b.model, ahead)]
        yield replace(b, rate=leaps.see(path, b.gain))


WALKS: dict[str | None, Walk] = {None: plain, "squarem": squarem}


def _step(terrain: Terrain, point: Point, model: Any) -> Point:
    """Evaluate the model that a plain step from ``point`` led to."""
    there = terrain.evaluate(model)
    gain = there.objective - point.objective
    return replace(there, gain=gain, rate=gain / point.gain if point.gain else inf)
