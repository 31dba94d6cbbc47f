"""Where to leap from a path of EM steps: vectors in, a vector out."""

from collections import deque
from itertools import pairwise

import numpy as np

from .._types import Array

GROWTH = 4.0  # by what factor the reach of leaps changes
GENTLE = 1e-5  # steps that gain less, in nats per unit of weight, are close to where they lead
SILENT = 1e-11  # steps that gain less are made of rounding, and lead nowhere
FEW, PAIRS = 4, 10  # how many steps a leap in several directions at once remembers
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


class Secants:
    """What EM did to the last vectors on its path, x -> EM(x), for a leap in all their directions.

    Close to a summit EM is linear. Where a single extrapolation swings between its slow directions,
    Newton's method in the space of the last steps, with EM itself in all others, takes them at once.
    """

    def __init__(self) -> None:
        self.pairs: deque[tuple[Array, Array]] = deque(maxlen=PAIRS)

    def add(self, path: list[Array]) -> None:
        self.pairs.extend(pairwise(path))

    def leap(self) -> Array | None:
        """Where EM would stand still, if it draws nearer in every direction that was seen.

        Near a saddle it moves away in some, and Newton's method would go to the saddle instead.
        """
        before, after = (np.stack(side, axis=1) for side in zip(*self.pairs, strict=True))
        steps, images = np.diff(before), np.diff(after)
        length = np.linalg.norm(steps, axis=0)
        if not (length > 0).all():
            return None
        U, size, Vt = np.linalg.svd(steps / length, full_matrices=False)
        seen = size > FLAT * size[0]
        U = U[:, seen]
        slope = U.T @ (images / length) @ (Vt[seen].T / size[seen])
        if not np.linalg.eigvals(slope).real.max() < 1.0:
            return None
        step = U.T @ (after[:, -1] - before[:, -1])
        return after[:, -1] + U @ (np.linalg.solve(np.eye(len(slope)) - slope, step) - step)

    def paid(self) -> None:
        """Nothing to learn."""

    def failed(self) -> None:
        self.pairs.clear()


class Leaps:
    """Chooses how to leap: far along one curve, or, close to the top, in several directions at once."""

    def __init__(self) -> None:
        self.reach, self.secants = Reach(), Secants()
        self.last: Reach | Secants = self.reach

    def next(self, path: list[Array], gain: float | None) -> Array:
        """Where to leap from the end of a path of two steps, the first of which gained so much."""
        self.secants.add(path)
        close = gain is not None and SILENT < gain < GENTLE and len(self.secants.pairs) >= FEW
        target = self.secants.leap() if close else None
        self.last = self.reach if target is None else self.secants
        return self.reach.leap(path) if target is None else target

    def paid(self) -> None:
        self.last.paid()

    def failed(self) -> None:
        self.last.failed()
