"""When a climb is over: when what remains to be gained is small, not when the last step was."""

from collections import deque
from math import inf

from .acceleration import Point

MEMORY = 8  # how many rates are remembered: the slowest of them counts
CALM = 2  # how many estimates in a row must agree
NOISE = 1e-12  # a gain below this, in nats per unit of weight, is rounding


class Summit:
    """Estimates how far below the top of its basin a walk is.

    If gains g shrink by a factor r a step, g r / (1 - r) remains (Aitken). It is read off plain EM
    steps alone, with the slowest rate seen recently, and counts as unknown unless 0 < r < 1. What the
    last points gained together, leaps included, must be as small: as long as leaps pay there is more.
    """

    def __init__(self, tol: float) -> None:
        self.tol, self.calm = tol, 0
        self.rates: deque[float] = deque(maxlen=MEMORY)
        self.objectives: deque[float] = deque(maxlen=MEMORY)

    def reached(self, point: Point) -> bool:
        """Whether less than the tolerance remains, by this point and the one before it."""
        self.objectives.append(point.objective)
        if point.gain is not None:
            self.calm = self.calm + 1 if self._remaining(point.gain, point.rate) < self.tol else 0
        return self.calm >= CALM and point.objective - self.objectives[0] < self.tol

    def _remaining(self, gain: float, rate: float) -> float:
        if gain <= NOISE:
            return 0.0
        if not 0.0 < rate < 1.0:
            return inf
        self.rates.append(rate)
        slowest = max(self.rates)
        return gain * slowest / (1.0 - slowest)
