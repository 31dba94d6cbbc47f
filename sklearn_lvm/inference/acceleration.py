"""Accelerations of EM: they propose models that may lie further along than the next EM step.

The loop evaluates a proposal, and accepts it only if the objective does not fall. An acceleration
knows no model: it sees iterates of the loop, and a vector for each of them.
"""

from typing import Generic, Protocol

from .extrapolation import Extrapolation
from .problem import Coordinates, Iterate, M, S, Steps, V, attempt


class Acceleration(Protocol[M, S]):
    """What the loop asks between two E-steps.

    Attributes
    ----------
    ready : bool
        Whether it has a model to propose; else the next step is a plain one.
    """

    ready: bool

    def propose(self) -> M:
        """A model to evaluate next.

        Raises
        ------
        numpy.linalg.LinAlgError, FloatingPointError
            If it cannot be made, which counts as a proposal that was not accepted.
        """
        ...

    def after_proposal(self, current: Iterate[M, S], accepted: bool, /) -> None:
        """Take note of whether the proposal was accepted; ``current`` is where the loop stands."""
        ...

    def after_step(self, current: Iterate[M, S], gain: float, /) -> float | None:
        """Take note of a plain step to ``current`` and its gain.

        Returns by what factor the next gain is smaller; None leaves that to the ratio of gains.
        """
        ...


class PlainEM(Generic[M, S]):
    """EM as it is: nothing is proposed."""

    ready = False

    def __init__(self, steps: Steps[M, V, S], start: Iterate[M, S], tol: float) -> None:
        pass

    def propose(self) -> M:
        raise AssertionError("plain EM proposes nothing")

    def after_proposal(self, current: Iterate[M, S], accepted: bool) -> None:
        raise AssertionError("plain EM proposes nothing")

    def after_step(self, current: Iterate[M, S], gain: float) -> float | None:
        return None


class Squarem(Generic[M, S]):
    """Squared extrapolation (Varadhan & Roland, 2008, scheme S3), kept monotone by the loop.

    From two EM steps a -> b -> c, with r = b - a and v = (c - b) - r, it proposes a + 2 s r + s^2 v,
    where s is |r| / |v|, but at least 1 and no more than was lately accepted; or, where gains are
    small, an extrapolation in several directions at once. Usually c is not evaluated, so that a cycle
    costs two E-steps. In the first cycle both steps are evaluated, before anything is proposed.
    """

    def __init__(self, steps: Steps[M, V, S], start: Iterate[M, S], tol: float) -> None:
        self.steps, self.path = steps, [start.model]
        self.coordinates: Coordinates[M] | None = None
        self.extrapolation = Extrapolation(tol)
        self.ready = False

    def propose(self) -> M:
        assert self.coordinates is not None
        return self.coordinates.model(self.extrapolation.propose(), like=self.path[-1])

    def after_proposal(self, current: Iterate[M, S], accepted: bool) -> None:
        if accepted:
            self.extrapolation.accepted()
        else:
            self.extrapolation.rejected()
        self.path = [current.model] if accepted or self.path[-1] is current.model else []
        self.ready = False

    def after_step(self, current: Iterate[M, S], gain: float) -> float | None:
        self.path.append(current.model)
        if self.coordinates is None:
            self._after_first_steps(current, gain)
            return None
        if len(self.path) < 2 or (following := attempt(lambda: current.following)) is None:
            return None
        self.path.append(following)
        return self._observe(gain, self.coordinates)

    def _after_first_steps(self, current: Iterate[M, S], gain: float) -> None:
        if len(self.path) == 3:
            self.coordinates = self.steps.coordinates(current.model)
            self._observe(gain, self.coordinates)

    def _observe(self, gain: float, coordinates: Coordinates[M]) -> float:
        self.ready = True
        return self.extrapolation.update([coordinates.vector(model) for model in self.path], gain)


class AccelerationFactory(Protocol):
    """Makes the acceleration of a run from its steps, its start and its tolerance."""

    def __call__(
        self, steps: Steps[M, V, S], start: Iterate[M, S], tol: float
    ) -> PlainEM[M, S] | Squarem[M, S]: ...


ACCELERATIONS: dict[str | None, AccelerationFactory] = {
    None: PlainEM,
    "squarem": Squarem,
}
