"""The stopping rule of EM: the estimated remaining gain is small, not the last one."""

from collections import deque
from math import inf

WINDOW = 8  # iterates: the slowest rate among them counts, and what they gained together
N_CONFIRMATIONS = 2  # estimates in a row that must be below the tolerance
MIN_GAIN = 1e-12  # nats per unit of weight; smaller gains are rounding


class StoppingRule:
    """Estimates how far an objective is below the optimum that EM converges to.

    If gains g shrink by a factor r a step, g r / (1 - r) remains (Aitken). It is estimated from plain
    EM steps alone, with the slowest recent rate, and counts as unknown unless 0 < r < 1. What the last
    iterates gained together, extrapolations included, must be as small.

    Parameters
    ----------
    tol : float
        In nats per unit of weight.
    """

    def __init__(self, tol: float) -> None:
        self.tol, self.confirmations = tol, 0
        self.rates: deque[float] = deque(maxlen=WINDOW)
        self.objectives: deque[float] = deque(maxlen=WINDOW)

    def is_met(self, objective: float, gain: float | None = None, rate: float = inf) -> bool:
        """Whether less than the tolerance remains, by this iterate and those before it.

        Parameters
        ----------
        objective : float
        gain : float or None
            What the plain step to this iterate gained; None after an extrapolation.
        rate : float
            By what factor the gain of the next plain step is smaller.
        """
        self.objectives.append(objective)
        if gain is not None:
            small = self._remaining(gain, rate) < self.tol
            self.confirmations = self.confirmations + 1 if small else 0
        recent = objective - self.objectives[0]
        return self.confirmations >= N_CONFIRMATIONS and recent < self.tol

    def _remaining(self, gain: float, rate: float) -> float:
        if gain <= MIN_GAIN:
            return 0.0
        if not 0.0 < rate < 1.0:
            return inf
        self.rates.append(rate)
        slowest = max(self.rates)
        return gain * slowest / (1.0 - slowest)
