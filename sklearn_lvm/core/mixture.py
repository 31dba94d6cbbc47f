"""A mixture of densities of any family: p(z) = sum_k weight_k p_k(z), and its E- and M-step."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from typing import Any, Generic, Protocol, TypeVar

import numpy as np

from .._typing import Array
from .lens import Lens, Sums

SINGLE = float(np.finfo(np.float32).eps)
SKETCHED = 1e-3  # nats by which rounding may move the log-density of a row in a sketch
ROOM = 0.4  # how much of the range of exp is used where rows share a level


class Densities(Protocol):
    """K densities of one family, seen through a lens."""

    def lens(self, offset: Array) -> Lens: ...
    def sample(self, labels: Array, rng: np.random.RandomState) -> Array: ...
    def n_parameters(self) -> int: ...


class Family(Protocol):
    """How K densities of one family are estimated from their statistics."""

    def statistics(self, Z: Any, w: Array) -> Any: ...
    def estimate(self, moments: Any) -> Any: ...
    def tilt(self, densities: Any) -> Array: ...


D = TypeVar("D", bound=Densities)


@dataclass(frozen=True, eq=False)
class Mixture(Generic[D]):
    """Log-weights (K,) and K densities."""

    log_weights: Array
    parts: D

    def lens(self) -> "MixtureLens":
        """Look at rows through this mixture."""
        return MixtureLens(self.parts.lens(self.log_weights))

    def sample(self, n: int, rng: np.random.RandomState) -> tuple[Array, Array]:
        """Draw n rows (n, d) and the components that they come from (n,)."""
        weights = np.exp(self.log_weights)
        labels = rng.choice(len(weights), size=n, p=weights / weights.sum())
        return self.parts.sample(labels, rng), labels

    def n_parameters(self) -> int:
        """Free parameters: those of the densities, and K - 1 weights."""
        return self.parts.n_parameters() + len(self.log_weights) - 1


@dataclass(frozen=True, eq=False)
class MixtureLens:
    """Rows seen through a mixture: which component they come from, and how likely they are."""

    parts: Lens

    def log_prob(self, Z: Array) -> Array:
        """log p(z), (d, n) -> (n,)."""
        return _evidence(self.parts.log_prob(self.parts.look(Z)))[0]

    def posterior(self, Z: Array) -> tuple[Array, Array]:
        """log p(z) and p(k | z): (n,) and (K, n)."""
        return _normalise(self.parts.log_prob(self.parts.look(Z)), 1.0)

    def labels(self, Z: Array) -> Array:
        """The most probable component of each row, (n,)."""
        return self.parts.log_prob(self.parts.look(Z)).argmax(axis=0)

    def expect(self, Z: Array, w: Array) -> "Expected":
        """Expected statistics of the rows with their components filled in, and the evidence."""
        seen = self.parts.look(Z)
        joint = self.parts.log_prob(seen)
        evidence, resp = _normalise(joint, w.astype(joint.dtype, copy=False))
        return Expected(self.parts.sums(seen, resp), float(w @ evidence), float(w.sum()))


def _evidence(joint: Array) -> tuple[Array, Array, Array]:
    """log p(z) of rows from their log p(k, z), which is used up; multiples of p(k | z), and totals."""
    level, share = _levelled(joint)
    total: Array = np.ones(len(share), share.dtype) @ np.exp(share, out=share)
    return level + np.log(total), share, total


def _normalise(joint: Array, w: Array | float) -> tuple[Array, Array]:
    """log p(z) and w p(k | z) of rows from their log p(k, z), which is used up."""
    evidence, share, total = _evidence(joint)
    share *= w / total
    return evidence, share


def _levelled(joint: Array) -> tuple[Array, Array]:
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


@dataclass(frozen=True, eq=False)
class Expected:
    """What an E-step finds: statistics, the objective summed over rows, their weight; ``+`` joins."""

    statistics: Sums
    evidence: float
    weight: float
    log_prior: float = 0.0  # of the model, which is the same in every block

    def __add__(self, other: "Expected") -> "Expected":
        return Expected(
            self.statistics + other.statistics,
            self.evidence + other.evidence,
            self.weight + other.weight,
            self.log_prior,
        )

    @property
    def objective(self) -> float:
        """The objective per unit of weight, in nats."""
        return (self.evidence + self.log_prior) / self.weight


@dataclass(frozen=True)
class MixtureSteps:
    """Expectation-maximisation of a mixture (Dempster, Laird & Rubin, 1977)."""

    family: Family

    def e_step(self, model: Mixture[Any]) -> Callable[[tuple[Array, Array]], Expected]:
        """What to do with each block (rows, weights) to know the model's expectations."""
        lens = self._lens(model)
        return lambda block: lens.expect(*block)

    def _lens(self, model: Mixture[Any]) -> MixtureLens:
        offset = model.log_weights + self.family.tilt(model.parts)
        return MixtureLens(model.parts.lens(offset))

    def sketch(self) -> "SketchSteps":
        """The same steps with fewer digits, in half the time."""
        return SketchSteps(self)

    def m_step(self, statistics: Sums) -> Mixture[Any]:
        """The mixture that makes these expectations most likely."""
        return self.fit(statistics.moments())

    def coordinates(self, model: Mixture[Any]) -> "MixtureCoordinates":
        """Vectors for mixtures like this one."""
        return MixtureCoordinates.around(model)

    def fit(self, moments: Any) -> Mixture[Any]:
        """The same from moments."""
        with np.errstate(divide="ignore"):  # a component without weight has log-weight -inf
            log_weights = np.log(moments.weight / moments.weight.sum())
        return Mixture(log_weights, self.family.estimate(moments))


@dataclass(frozen=True)
class PosteriorSteps(MixtureSteps):
    """The same for the mode of the posterior: a prior is rows that nobody saw.

    Their statistics join those of the data in every M-step, and their log-likelihood joins the
    objective, so that it cannot fall.
    """

    prior: Any

    def e_step(self, model: Mixture[Any]) -> Callable[[tuple[Array, Array]], Expected]:
        plain, log_prior = super().e_step(model), self.prior.log_likelihood(model)
        return lambda block: replace(plain(block), log_prior=log_prior)

    def fit(self, moments: Any) -> Mixture[Any]:
        return super().fit(moments + self.prior)


@dataclass(frozen=True)
class SketchSteps:
    """Steps in single precision, wherever that keeps three digits of a nat."""

    steps: MixtureSteps

    def e_step(self, model: Mixture[Any]) -> Callable[[tuple[Any, Array]], Expected]:
        """What to do with each block, which is rounded if the model can stand it."""
        step = self.steps.e_step(model)
        if model.parts.lens(model.log_weights).amplification * SINGLE > SKETCHED:
            return step
        return lambda block: step((block[0].astype(np.float32), block[1]))

    def m_step(self, statistics: Any) -> Mixture[Any]:
        """The next model, with all digits."""
        return self.steps.m_step(statistics)

    def coordinates(self, model: Mixture[Any]) -> "MixtureCoordinates":
        """Vectors for mixtures like this one."""
        return self.steps.coordinates(model)


@dataclass(frozen=True, eq=False)
class MixtureCoordinates:
    """Mixtures as vectors: log-weights, and densities in the units of one density of the whole.

    In these units no entry is large beside another because of how a feature is measured. Components
    without weight keep none.
    """

    axes: Any
    shapes: tuple[tuple[int, ...], ...]

    @classmethod
    def around(cls, model: Mixture[Any]) -> "MixtureCoordinates":
        """Vectors for mixtures of as many densities as this one."""
        axes = model.parts.overall(np.exp(model.log_weights))
        parts = model.parts.relative(axes)
        return cls(axes, (model.log_weights.shape, *(part.shape for part in parts)))

    def vector(self, model: Mixture[Any]) -> Array:
        """All coordinates in a row."""
        held = np.isfinite(model.log_weights)
        weights = np.where(held, model.log_weights, 0.0)
        return np.concatenate(
            [weights, *(part.ravel() for part in model.parts.relative(self.axes))]
        )

    def model(self, vector: Array, like: Mixture[Any]) -> Mixture[Any]:
        """The mixture that has these coordinates, and weight where another has."""
        ends = np.cumsum([prod(shape) for shape in self.shapes])
        pieces = np.split(vector, ends[:-1])
        with np.errstate(over="ignore", invalid="ignore"):
            weights, *parts = (v.reshape(s) for v, s in zip(pieces, self.shapes, strict=True))
            log_weights = np.where(np.isfinite(like.log_weights), weights, -np.inf)
            log_weights = log_weights - np.logaddexp.reduce(log_weights)
            return Mixture(log_weights, self.axes.absolute(*parts))
