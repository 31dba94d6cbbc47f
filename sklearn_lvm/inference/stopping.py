"""The stopping rule of EM: the estimated remaining gain is small, not the last one."""

from dataclasses import dataclass, replace
from math import inf
from typing import Self

WINDOW = 4  # iterates: the slowest rate among them counts, and what they gained together
N_CONFIRMATIONS = 2  # estimates in a row that must be below the tolerance
MIN_GAIN = 1e-12  # nats per unit of weight; smaller gains are rounding
EQUAL = 1e-9  # nats per unit of weight below which two objectives are the same

PRECISION_SHARE = 0.2  # of the optimism p / n, which may be left to gain
MIN_AUTO_TOL, MAX_AUTO_TOL = 1e-5, 3e-2  # nats per unit of weight


def precision_of(n_parameters: int, n_observations: float) -> float:
    """How precisely observations know the objective of a model, in nats per observation.

    The likelihood of p parameters fitted to n observations overstates that of new ones by about p / n
    nats each (Akaike, 1974). Differences that are small beside that mean nothing.
    """
    return PRECISION_SHARE * n_parameters / n_observations


def automatic_tolerance(n_parameters: int, n_observations: float) -> float:
    """The remaining gain, per unit of weight, at which a fit is good enough by default."""
    precision = precision_of(n_parameters, n_observations)
    return min(max(precision, MIN_AUTO_TOL), MAX_AUTO_TOL)


def evidence_tolerance(n_parameters: int, n_observations: float) -> float:
    """The remaining gain, per unit of weight, of a bound of the evidence: one nat in all.

    By so little one model can hardly be preferred to another (Kass & Raftery, 1995), however many
    parameters are integrated out.
    """
    return min(max(1.0 / n_observations, MIN_AUTO_TOL), MAX_AUTO_TOL)


@dataclass(frozen=True)
class StoppingRule:
    """Estimates how far an objective is below the optimum that EM converges to.

    If gains g shrink by a factor r a step, g r / (1 - r) remains (Aitken). It is estimated from plain
    EM steps alone, with the slowest recent rate, and counts as unknown unless 0 < r < 1. What the last
    iterates gained together, extrapolations included, must be as small.

    Attributes
    ----------
    tol : float
        In nats per unit of weight.
    confirmations : int
        Estimates below the tolerance, in a row.
    last_gain : float or None
        That of the last iterate, if a plain step led to it.
    rates, objectives : tuple of float
        Of the last iterates.
    """

    tol: float
    confirmations: int = 0
    last_gain: float | None = None
    rates: tuple[float, ...] = ()
    objectives: tuple[float, ...] = ()

    @property
    def is_met(self) -> bool:
        """Whether less than the tolerance remains, by the last iterate and those before it."""
        if self.confirmations < N_CONFIRMATIONS:
            return False
        return self.objectives[-1] - self.objectives[0] < self.tol

    def after_proposal(self, objective: float) -> Self:
        """The rule after an iterate that was extrapolated."""
        return replace(self, last_gain=None, objectives=_latest(self.objectives, objective))

    def after_step(self, objective: float, gain: float, rate: float | None = None) -> Self:
        """The rule after a plain step.

        Parameters
        ----------
        objective : float
        gain : float
            What the step gained.
        rate : float or None
            By what factor the gain of the next plain step is smaller; None for the ratio of the last
            two gains, or, if only one is known, for the slowest recent rate.
        """
        if rate is None:
            rate = gain / self.last_gain if self.last_gain else max(self.rates, default=inf)
        known = gain > MIN_GAIN and 0.0 < rate < 1.0
        rates = _latest(self.rates, rate) if known else self.rates
        small = _remaining(gain, max(rates) if known else inf) < self.tol
        return replace(
            self,
            confirmations=self.confirmations + 1 if small else 0,
            last_gain=gain,
            rates=rates,
            objectives=_latest(self.objectives, objective),
        )

    def reevaluated(self, objective: float, tol: float) -> Self:
        """The rule after its last iterate was evaluated more exactly; one more estimate confirms."""
        left = min(self.confirmations, N_CONFIRMATIONS - 1)
        return replace(self, tol=tol, confirmations=left, last_gain=None, objectives=(objective,))

    def resumed(self, objective: float, tol: float) -> Self:
        """The rule of a run from the last iterate on; a new one if the objective is another there."""
        last = self.objectives[-1] if self.objectives else objective
        if tol != self.tol or abs(objective - last) > EQUAL:
            return type(self)(tol)
        # What was met stays so, whatever the steps before it gained.
        return replace(self, objectives=(objective,)) if self.is_met else self


def _latest(values: tuple[float, ...], value: float) -> tuple[float, ...]:
    return (*values, value)[-WINDOW:]


def _remaining(gain: float, rate: float) -> float:
    if gain <= MIN_GAIN:
        return 0.0
    return gain * rate / (1.0 - rate) if rate < 1.0 else inf
