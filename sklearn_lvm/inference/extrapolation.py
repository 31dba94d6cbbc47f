"""Where to leap from a path of EM steps, and how fast that path ends: vectors in, a vector out."""

from collections import deque
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from math import inf

import numpy as np

from .._typing import Array

GROWTH = 4.0  # by what factor the reach of leaps changes
GENTLE = 1e-5  # steps that gain less, in nats per unit of weight, are close to where they lead
SILENT = 1e-11  # steps that gain less are made of rounding, and lead nowhere
FEW, PAIRS = 4, 10  # how many steps a leap in several directions at once remembers
ENDLESS = 40  # doublings of steps after which only those of a saddle still lead on
FLAT = 3e-3  # directions in which the remembered steps differ by less than this share are noise


class Reach:
    """How far leaps may go: further after one that paid at full reach, less after one that failed."""

    def __init__(self) -> None:
        self.limit, self.used = GROWTH, 1.0

    def leap(self, path: list[Array]) -> Array:
        """Squared extrapolation of two steps, with a length of at least that of plain EM."""
        a, b, c = path
        r, v = b - a, (c - b) - (b - a)
        size = np.linalg.norm(v)
        length = float(np.linalg.norm(r) / size) if size > 0 else 1.0
        self.used = s = float(np.clip(length, 1.0, self.limit))
        return a + 2.0 * s * r + s * s * v

    def paid(self) -> None:
        if self.used == self.limit:
            self.limit *= GROWTH

    def failed(self) -> None:
        self.limit = max(GROWTH, self.used / GROWTH)


@dataclass(frozen=True, eq=False)
class Slope:
    """What EM does to small moves, in the space that an orthonormal basis U (P, m) spans: J (m, m)."""

    U: Array
    J: Array

    @cached_property
    def slowest(self) -> float:
        """The largest eigenvalue: 1 or more where EM moves away, as it does from a saddle."""
        return float(np.linalg.eigvals(self.J).real.max(initial=0.0))

    def ahead(self, a: Array, b: Array, doublings: int) -> Array:
        """Where EM, a -> b, is 2^doublings steps after b, were it linear in this space."""
        total, power = np.eye(len(self.J)), self.J  # the sum of the first powers of J, and the next
        for _ in range(doublings):
            total, power = total + power @ total, power @ power
        return b + self.U @ (total @ (self.J @ (self.U.T @ (b - a))))


class Secants:
    """What EM did to the last vectors on its path, x -> EM(x), and how far ahead that could tell.

    Leaps go twice as many steps after one that paid, a quarter as many after one that failed.
    """

    def __init__(self) -> None:
        self.pairs: deque[tuple[Array, Array]] = deque(maxlen=PAIRS)
        self.doublings = 4

    def add(self, path: list[Array]) -> None:
        self.pairs.extend(pairwise(path))

    def slope(self) -> Slope | None:
        """The slope of EM in the space of the last steps, if these are known well enough."""
        if len(self.pairs) < FEW:
            return None
        before, after = (np.stack(side, axis=1) for side in zip(*self.pairs, strict=True))
        steps, images = np.diff(before), np.diff(after)
        length = np.linalg.norm(steps, axis=0)
        if not (length > 0).all():
            return None
        U, size, Vt = np.linalg.svd(steps / length, full_matrices=False)
        seen = size > FLAT * size[0]
        U = U[:, seen]
        return Slope(U, U.T @ (images / length) @ (Vt[seen].T / size[seen]))

    def leap(self, slope: Slope, path: list[Array]) -> Array:
        """From the end of a path of two steps to where it leads."""
        _, a, b = path
        return slope.ahead(a, b, self.doublings)

    def paid(self) -> None:
        self.doublings = min(self.doublings + 1, ENDLESS)

    def failed(self) -> None:
        self.doublings = max(self.doublings - 2, 1)
        self.pairs.clear()


class Leaps:
    """Chooses how to leap: far along one curve, or, by gentle steps, in several directions at once.

    Where steps are gentle EM is all but linear, and its slope in the space of the last steps tells
    where many more would lead: to the summit where they shrink, away from a saddle where they grow. A
    single extrapolation swings between these directions.
    """

    def __init__(self) -> None:
        self.reach, self.secants = Reach(), Secants()
        self.last: Reach | Secants = self.reach

    def see(self, path: list[Array], gain: float | None) -> float:
        """Take note of two steps, of which the first gained so much.

        Returns by what factor the gain of the next is smaller, as far as one can tell: gains shrink
        like the squares of steps, and in the end like those in the slowest direction.
        """
        self.path = path
        self.secants.add(path)
        gentle = gain is not None and SILENT < gain < GENTLE
        self.slope = self.secants.slope() if gentle else None
        rate = _contraction(path)
        if self.slope is None:
            return rate
        return max(rate, self.slope.slowest**2) if self.slope.slowest < 1.0 else inf

    def next(self) -> Array:
        """Where to leap from the end of the path."""
        if self.slope is None:
            self.last = self.reach
            return self.reach.leap(self.path)
        self.last = self.secants
        return self.secants.leap(self.slope, self.path)

    def paid(self) -> None:
        self.last.paid()

    def failed(self) -> None:
        self.last.failed()


def _contraction(path: list[Array]) -> float:
    first, second = (float(np.linalg.norm(b - a)) for a, b in pairwise(path))
    return (second / first) ** 2 if first > 0 else inf
