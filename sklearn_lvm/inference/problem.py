"""A model, the two steps of its EM, and the rows to fit it to: all that the algorithms know."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import isfinite
from typing import Generic, ParamSpec, Protocol, Self, TypeVar

import numpy as np

from .._typing import Block, BlockMap, Floats

M = TypeVar("M")
M_contra = TypeVar("M_contra", contravariant=True)
S = TypeVar("S")
S_co = TypeVar("S_co", covariant=True)
V = TypeVar("V", bound="Total")
T = TypeVar("T")
P = ParamSpec("P")


class Total(Protocol):
    """What an E-step finds in a block; the values of all blocks add."""

    @property
    def log_likelihood(self) -> float: ...
    @property
    def weight(self) -> float: ...
    def __add__(self, other: Self, /) -> Self: ...


class Conditioned(Protocol):
    """What rounds rows off in its results."""

    @property
    def condition_number(self) -> float:
        """By how much a rounding error of a row grows in its log-density."""
        ...


class EStep(Conditioned, Protocol[V, S_co]):
    """The E-step of one model, a task for each block; it pickles."""

    def __call__(self, block: Block, /) -> V: ...

    def statistics(self, total: V, /) -> S_co:
        """What the M-step needs of the values of all blocks."""
        ...


class Coordinates(Protocol[M]):
    """Models as vectors, in units in which one entry is about as large as another."""

    def vector(self, model: M, /) -> Floats: ...
    def model(self, vector: Floats, /, like: M) -> M: ...


class Steps(Protocol[M, V, S]):
    """The two steps of EM, and what the algorithms need to know of a model besides."""

    def e_step(self, model: M, /) -> EStep[V, S]:
        """The E-step of a model."""
        ...

    def m_step(self, statistics: S, model: M, /) -> M:
        """The next model; ``model`` is the one whose E-step found the statistics."""
        ...

    def log_prior(self, model: M, /) -> float:
        """What the objective adds to the log-likelihood of all rows, in nats."""
        ...

    def coordinates(self, model: M, /) -> Coordinates[M]:
        """How models around this one are written as vectors."""
        ...


@dataclass(frozen=True, eq=False)
class Iterate(Generic[M, S]):
    """A model after its E-step.

    Attributes
    ----------
    model : object
    statistics : object
        What the M-step needs.
    objective : float
        Log-likelihood and log-prior per unit of weight, in nats.
    m_step : callable
    """

    model: M
    statistics: S
    objective: float
    m_step: Callable[[S, M], M]

    @cached_property
    def following(self) -> M:
        """The next model, by an M-step."""
        return self.m_step(self.statistics, self.model)


@dataclass(frozen=True, eq=False)
class Problem(Generic[M, V, S]):
    """The rows that a model is fitted to, in blocks, and its steps."""

    steps: Steps[M, V, S]
    blocks: Sequence[Block]
    block_map: BlockMap

    def evaluate(self, model: M) -> Iterate[M, S]:
        """Run the E-step of a model.

        Raises
        ------
        FloatingPointError
            If the objective is not finite.
        """
        step = self.steps.e_step(model)
        total = self.block_map.sum(step, self.blocks_for(step, self.blocks))
        objective = (total.log_likelihood + self.steps.log_prior(model)) / total.weight
        if not isfinite(objective):
            raise FloatingPointError(f"the objective became {objective}")
        return Iterate(model, step.statistics(total), objective, self.steps.m_step)

    @staticmethod
    def blocks_for(step: Conditioned, blocks: Sequence[Block]) -> Sequence[Block]:
        """Blocks in the precision that suits an E-step: as they are."""
        return blocks


def attempt(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
    """The value of a function, or None where a covariance is singular or an objective not finite."""
    try:
        return function(*args, **kwargs)
    except (np.linalg.LinAlgError, FloatingPointError):
        return None
