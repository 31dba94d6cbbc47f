"""Several mixtures of one family side by side: one pass of a kernel serves all of them."""

from dataclasses import dataclass
from typing import Generic, Self

import numpy as np

from .._typing import Block, Floats, Ints
from .family import BlockSums, C, Kernel, S
from .mixture import Mixture, normalize
from .mixture_em import MixtureSteps


@dataclass(frozen=True, eq=False)
class MixtureBatch(Generic[C]):
    """G mixtures of K densities each.

    Attributes
    ----------
    log_weights : ndarray of shape (G, K)
    components : object
        G K densities, those of one mixture after those of another. What densities share, such as a
        tied covariance, all mixtures share.
    """

    log_weights: Floats
    components: C

    def __len__(self) -> int:
        return len(self.log_weights)

    def subset(self, chosen: Ints) -> Self:
        """Some of the mixtures."""
        index = np.arange(self.log_weights.size).reshape(self.log_weights.shape)
        return type(self)(self.log_weights[chosen], self.components.subset(index[chosen].ravel()))

    def without(self, component: int) -> Self:
        """The mixtures but for the one to which a density belongs."""
        mixture = component // self.log_weights.shape[1]
        return self.subset(np.delete(np.arange(len(self)), mixture))

    def mixture(self, i: int) -> Mixture[C]:
        """One of the mixtures."""
        one = self.subset(np.array([i]))
        return Mixture(one.log_weights[0], one.components)


@dataclass(frozen=True, eq=False)
class BatchSums:
    """Sums over the rows of a block, as ``BlockSums``, with a log-likelihood for each mixture."""

    arrays: tuple[Floats, ...]
    log_likelihood: Floats

    def __add__(self, other: Self) -> Self:
        return type(self)(
            tuple(a + b for a, b in zip(self.arrays, other.arrays, strict=True)),
            self.log_likelihood + other.log_likelihood,
        )


@dataclass(frozen=True, eq=False)
class BatchEStep(Generic[S]):
    """The E-step of several mixtures of rows, whose weights are (n,), or (G, n) if they differ."""

    kernel: Kernel[S]
    n_mixtures: int

    @property
    def condition_number(self) -> float:
        """By how much a rounding error of a row grows in its log-density."""
        return self.kernel.condition_number

    def __call__(self, block: Block) -> BatchSums:
        """Sum up one block, rows (d, n) and their weights."""
        rows, w = block
        features = self.kernel.features(rows)
        joint = np.ascontiguousarray(self.kernel.log_prob(features))
        w = w.astype(joint.dtype, copy=False)
        log_prob, resp = normalize(joint.reshape(self.n_mixtures, -1, joint.shape[1]), w)
        sums = self.kernel.accumulate(features, resp.reshape(joint.shape))
        log_likelihood = np.broadcast_to(w, log_prob.shape) * log_prob
        return BatchSums(sums, log_likelihood.sum(axis=1, dtype=np.float64))


@dataclass(frozen=True, eq=False)
class SharedSums(Generic[S]):
    """Sums over a block of rows under given shares, (K, n)."""

    kernel: Kernel[S]

    def __call__(self, block: Block) -> BlockSums:
        rows, shares = block
        features = self.kernel.features(rows)
        return BlockSums(self.kernel.accumulate(features, shares), 0.0, 0.0)


def batch_m_step(
    steps: MixtureSteps[C, S], statistics: S, n_mixtures: int, current: C | None = None
) -> MixtureBatch[C]:
    """The mixtures that make expected statistics most likely."""
    log_weights = steps.log_weights(statistics.weight.reshape(n_mixtures, -1))
    return MixtureBatch(log_weights, steps.family.estimate(statistics, current))
