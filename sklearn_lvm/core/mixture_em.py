"""Expectation-maximization of a mixture of any family: its two steps, and its coordinates."""

from dataclasses import dataclass
from itertools import accumulate, pairwise
from math import prod
from typing import Generic, Self

import numpy as np

from .._typing import Block, Floats
from .family import BlockSums, C, Family, Kernel, S, ScoringComponents
from .mixture import Mixture, normalize


@dataclass(frozen=True, eq=False)
class MixtureEStep(Generic[S]):
    """The E-step of one mixture: expected statistics of weighted rows, given their responsibilities."""

    kernel: Kernel[S]

    @property
    def condition_number(self) -> float:
        """By how much a rounding error of a row grows in its log-density."""
        return self.kernel.condition_number

    def __call__(self, block: Block) -> BlockSums:
        """Sum up one block, rows (d, n) and their weights (n,)."""
        rows, w = block
        features = self.kernel.features(rows)
        joint = self.kernel.log_prob(features)
        log_prob, resp = normalize(joint, w.astype(joint.dtype, copy=False))
        sums = self.kernel.accumulate(features, resp)
        with np.errstate(over="ignore"):  # an objective that is not finite is refused elsewhere
            log_likelihood = float(w @ log_prob)
        return BlockSums(sums, log_likelihood, float(w.sum()))

    def statistics(self, total: BlockSums) -> S:
        """The statistics of all rows from their sums."""
        return self.kernel.statistics(total.arrays)


@dataclass(frozen=True)
class MixtureSteps(Generic[C, S]):
    """Expectation-maximization of a mixture (Dempster, Laird & Rubin, 1977).

    With priors the maximum is that of the posterior. The pseudo-observations of the priors are added
    to the statistics in every M-step, and their log-densities to the objective, which never falls.

    Attributes
    ----------
    family : Family
    concentration : float
        Of the symmetric Dirichlet prior of the weights; 1 is flat.
    """

    family: Family[C, S]
    concentration: float = 1.0

    def e_step(self, model: Mixture[C]) -> MixtureEStep[S]:
        """The E-step of a mixture."""
        return MixtureEStep(self.family.kernel(model.components, model.log_weights))

    def m_step(self, statistics: S, model: Mixture[C] | None = None) -> Mixture[C]:
        """The mixture that makes expected statistics most likely."""
        current = None if model is None else model.components
        log_weights = self.log_weights(statistics.weight)
        return Mixture(log_weights, self.family.estimate(statistics, current))

    def log_weights(self, weight: Floats) -> Floats:
        """Log-weights from the summed responsibilities of components, (..., K)."""
        amount = weight + (self.concentration - 1.0)
        with np.errstate(divide="ignore"):  # a component without weight has log-weight -inf
            return np.asarray(np.log(amount / amount.sum(axis=-1, keepdims=True)))

    def log_prior(self, model: Mixture[C]) -> float:
        """The log-prior of weights and densities, in nats, up to a constant."""
        pseudo = self.concentration - 1.0
        weights = pseudo * float(model.log_weights.sum()) if pseudo else 0.0
        return weights + self.family.log_prior(model.components)

    def predictive(self, model: Mixture[C]) -> Mixture[ScoringComponents]:
        """The mixture that scores rows."""
        return Mixture(model.log_weights, self.family.predictive(model.components))

    def coordinates(self, model: Mixture[C]) -> "MixtureCoordinates[C]":
        """Vectors for mixtures like this one."""
        return MixtureCoordinates.around(model)


@dataclass(frozen=True, eq=False)
class MixtureCoordinates(Generic[C]):
    """Mixtures as vectors: log-weights, and densities in the units of one density, the reference.

    In these units no entry is large beside another because of how a feature is measured. Components
    without weight keep none.
    """

    reference: C
    shapes: tuple[tuple[int, ...], ...]

    @classmethod
    def around(cls, model: Mixture[C]) -> Self:
        """Vectors for mixtures of as many densities as this one."""
        reference = model.components.pooled(np.exp(model.log_weights))
        arrays = model.components.to_coordinates(reference)
        return cls(reference, (model.log_weights.shape, *(array.shape for array in arrays)))

    def vector(self, model: Mixture[C]) -> Floats:
        """All coordinates in one vector."""
        held = np.isfinite(model.log_weights)
        weights = np.where(held, model.log_weights, 0.0)
        arrays = model.components.to_coordinates(self.reference)
        return np.concatenate([weights, *(array.ravel() for array in arrays)])

    def model(self, vector: Floats, like: Mixture[C]) -> Mixture[C]:
        """The mixture that has these coordinates, and weight where another has."""
        with np.errstate(over="ignore", invalid="ignore"):
            weights, *arrays = unpacked(vector, self.shapes)
            log_weights = np.where(np.isfinite(like.log_weights), weights, -np.inf)
            log_weights = log_weights - np.logaddexp.reduce(log_weights)
            return Mixture(log_weights, self.reference.from_coordinates(tuple(arrays)))


def unpacked(vector: Floats, shapes: tuple[tuple[int, ...], ...]) -> list[Floats]:
    """The arrays of these shapes that a vector holds one after the other."""
    ends = list(accumulate((prod(shape) for shape in shapes), initial=0))
    pieces = (vector[start:end] for start, end in pairwise(ends))
    return [piece.reshape(shape) for piece, shape in zip(pieces, shapes, strict=True)]
