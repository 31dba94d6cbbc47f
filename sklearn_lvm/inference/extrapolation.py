"""Extrapolation of EM: the next parameter vector from the last iterates, and the convergence rate."""

from collections import deque
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import inf

import numpy as np

from .._typing import Floats

LIMIT_FACTOR = 4.0  # by which the limit of step lengths changes
LINEAR_GAIN = 1e-5  # nats per unit of weight; where steps gain less, EM is close to linear
LINEAR_TOLERANCES = 3.0  # or less than so many tolerances, where that is more
ROUNDING_GAIN = 1e-11  # nats per unit of weight; steps that gain less are rounding
MIN_PAIRS, MAX_PAIRS = 4, 10  # steps that a Jacobian is estimated from
MAX_NUMBERS = 1 << 22  # in the iterates of so many steps: of long vectors fewer are kept
MAX_DOUBLINGS = 40  # of the number of steps ahead: beyond, only directions away from a saddle go on
RANK_TOL = 3e-3  # share of the largest singular value below which a direction of the steps is noise


class StepLength:
    """The step length of squared extrapolation, and its limit.

    The limit grows after an extrapolation of full length that was accepted, and shrinks after one
    that was rejected.
    """

    def __init__(self) -> None:
        self.limit, self.used = LIMIT_FACTOR, 1.0

    def extrapolate(self, path: list[Floats]) -> Floats:
        """Squared extrapolation of two steps, with a length of at least that of plain EM."""
        a, b, c = path
        r, v = b - a, (c - b) - (b - a)
        size = np.linalg.norm(v)
        length = float(np.linalg.norm(r) / size) if size > 0 else 1.0
        self.used = s = float(np.clip(length, 1.0, self.limit))
        return a + 2.0 * s * r + s * s * v

    def accepted(self) -> None:
        if self.used == self.limit:
            self.limit *= LIMIT_FACTOR

    def rejected(self) -> None:
        self.limit = max(LIMIT_FACTOR, self.used / LIMIT_FACTOR)


@dataclass(frozen=True, eq=False)
class Jacobian:
    """The Jacobian J (m, m) of an EM step in the space of an orthonormal basis U (P, m)."""

    U: Floats
    J: Floats

    @cached_property
    def spectral_radius(self) -> float:
        """The largest eigenvalue: 1 or more where EM moves away, as it does from a saddle."""
        return float(np.linalg.eigvals(self.J).real.max(initial=0.0))

    def extrapolate(self, a: Floats, b: Floats, doublings: int) -> Floats:
        """Where EM, a -> b, is 2^doublings steps after b, were it linear in this space."""
        total, power = np.eye(len(self.J)), self.J  # the sum of the first powers of J, and the next
        for _ in range(doublings):
            total, power = total + power @ total, power @ power
        ahead: Floats = b + self.U @ (total @ (self.J @ (self.U.T @ (b - a))))
        return ahead


class SecantHistory:
    """The last EM steps x -> EM(x), and how many steps ahead they are extrapolated.

    That number doubles after an extrapolation that was accepted, and is a quarter after one that was
    rejected.
    """

    def __init__(self) -> None:
        self.pairs: deque[tuple[Floats, Floats]] = deque(maxlen=MAX_PAIRS)
        self.doublings = 4

    def add(self, path: list[Floats]) -> None:
        self.pairs.extend(pairwise(path))
        while len(self.pairs) > max(MIN_PAIRS, MAX_NUMBERS // max(path[0].size, 1)):
            self.pairs.popleft()

    def jacobian(self) -> Jacobian | None:
        """The Jacobian of EM in the space of the last steps, if these determine it."""
        if len(self.pairs) < MIN_PAIRS:
            return None
        before, after = (np.stack(side, axis=1) for side in zip(*self.pairs, strict=True))
        steps, images = np.diff(before), np.diff(after)
        length = np.linalg.norm(steps, axis=0)
        if not (length > 0).all():
            return None
        steps = steps / length
        square, V = np.linalg.eigh(steps.T @ steps)  # of singular values, which need few digits
        kept = square > RANK_TOL**2 * square[-1]
        V = V[:, kept] / np.sqrt(square[kept])
        U = steps @ V
        return Jacobian(U, U.T @ (images / length) @ V)

    def extrapolate(self, jacobian: Jacobian, path: list[Floats]) -> Floats:
        """From the end of a path of two steps, as many steps ahead as is due."""
        _, a, b = path
        return jacobian.extrapolate(a, b, self.doublings)

    def accepted(self) -> None:
        self.doublings = min(self.doublings + 1, MAX_DOUBLINGS)

    def rejected(self) -> None:
        self.doublings = max(self.doublings - 2, 1)
        self.pairs.clear()


class Extrapolation:
    """Chooses how to extrapolate: along one curve, or, near an optimum, in several directions at once.

    Where gains are small EM is all but linear, and its Jacobian in the space of the last steps tells
    where many more would lead: to the optimum where they shrink, away from a saddle where they grow.
    Squared extrapolation alternates between these directions.

    Parameters
    ----------
    tol : float
        That of the run: to come as near as that, a rough linearity is enough.
    """

    def __init__(self, tol: float = 0.0) -> None:
        self.linear_gain = max(LINEAR_GAIN, LINEAR_TOLERANCES * tol)
        self.step_length, self.history = StepLength(), SecantHistory()
        self.last: StepLength | SecantHistory = self.step_length

    def update(self, path: list[Floats], gain: float | None) -> float:
        """Take note of two steps, the first of which gained so much.

        Returns by what factor the gain of the next is smaller, as far as one can tell: gains shrink
        like the squares of steps, and in the end like those in the slowest direction.
        """
        self.path = path
        self.history.add(path)
        linear = gain is not None and ROUNDING_GAIN < gain < self.linear_gain
        self.jacobian = self.history.jacobian() if linear else None
        rate = _contraction(path)
        if self.jacobian is None:
            return rate
        slowest = self.jacobian.spectral_radius
        return max(rate, slowest**2) if slowest < 1.0 else inf

    def propose(self) -> Floats:
        """Extrapolate from the end of the path."""
        if self.jacobian is None:
            self.last = self.step_length
            return self.step_length.extrapolate(self.path)
        self.last = self.history
        return self.history.extrapolate(self.jacobian, self.path)

    def accepted(self) -> None:
        self.last.accepted()

    def rejected(self) -> None:
        self.last.rejected()


def _contraction(path: list[Floats]) -> float:
    """The squared ratio of the lengths of two steps."""
    first, second = (float(np.linalg.norm(b - a)) for a, b in pairwise(path))
    return (second / first) ** 2 if first > 0 else inf
