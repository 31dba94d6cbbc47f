"""A mixture of densities of any family: p(z) = sum_k weight_k p_k(z)."""

from dataclasses import dataclass
from typing import Generic

import numpy as np

from .._typing import Floats, Ints, Rows
from .family import C, Kernel

ROOM = 0.4  # how much of the range of exp is used where rows share a level


@dataclass(frozen=True, eq=False)
class Mixture(Generic[C]):
    """Log-weights (K,) and K densities."""

    log_weights: Floats
    components: C

    def kernel(self) -> "MixtureKernel":
        """The mixture prepared to score blocks of rows."""
        return MixtureKernel(self.components.kernel(self.log_weights))

    def sample(self, n: int, rng: np.random.RandomState) -> tuple[Floats, Ints]:
        """Draw n rows (n, d) and the components that they come from (n,)."""
        weights = np.exp(self.log_weights)
        labels = rng.choice(len(weights), size=n, p=weights / weights.sum())
        return self.components.sample(labels, rng), labels

    def n_parameters(self) -> int:
        """Free parameters: those of the densities, and K - 1 weights."""
        return self.components.n_parameters() + len(self.log_weights) - 1


@dataclass(frozen=True, eq=False)
class MixtureKernel:
    """A mixture prepared for one pass: log-densities of rows, and their components."""

    components: Kernel[object]

    def joint(self, rows: Rows) -> Floats:
        """log p(k, z), (K, n)."""
        return self.components.log_prob(self.components.features(rows))

    def log_prob(self, rows: Rows) -> Floats:
        """log p(z), (d, n) -> (n,)."""
        return _evidence(self.joint(rows))[0]

    def posterior(self, rows: Rows) -> tuple[Floats, Floats]:
        """log p(z) and p(k | z): (n,) and (K, n)."""
        return normalize(self.joint(rows), 1.0)

    def labels(self, rows: Rows) -> Ints:
        """The most probable component of each row, (n,)."""
        labels: Ints = self.joint(rows).argmax(axis=0)
        return labels


def _evidence(joint: Floats) -> tuple[Floats, Floats, Floats]:
    """log p(z) of rows from their log p(k, z), which is used up; multiples of p(k | z), and totals."""
    level, share = _levelled(joint)
    total: Floats = np.ones(len(share), share.dtype) @ np.exp(share, out=share)
    return level + np.log(total), share, total


def normalize(joint: Floats, w: Floats | float) -> tuple[Floats, Floats]:
    """log p(z) and w p(k | z) of rows from their log p(k, z), which is used up."""
    evidence, share, total = _evidence(joint)
    share *= w / total
    return evidence, share


def _levelled(joint: Floats) -> tuple[Floats, Floats]:
    """A level for each row, and how far its numbers are below: the largest of them not too far for exp.

    The level is the largest number of the row. Where those of a row lie side by side in memory this
    is slow to find; the largest number of all does as well, as long as no row's mean is far below.
    """
    if not joint.flags.c_contiguous:
        level, mean = joint.max(), np.full(len(joint), 1.0 / len(joint), joint.dtype) @ joint
        if level - mean.min() < ROOM * np.log(np.finfo(joint.dtype).max):
            joint -= level
            return level, joint
        joint = np.ascontiguousarray(joint)
    level = joint.max(axis=0)
    joint -= level
    return level, joint
