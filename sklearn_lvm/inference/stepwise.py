"""Stepwise EM: statistics of batch after batch, of which the early ones fade."""

from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar

DECAY = 0.7  # between 1/2, which forgets fastest and still converges, and 1, which forgets nothing


class ScalableStatistics(Protocol):
    """A value with ``+`` that can be weighted anew."""

    def __add__(self, other: Self, /) -> Self: ...
    def scaled(self, factor: float, /) -> Self: ...


S = TypeVar("S", bound=ScalableStatistics)


@dataclass(frozen=True, eq=False)
class StepwiseStatistics(Generic[S]):
    """Statistics of a stream of batches (Cappe & Moulines, 2009).

    Per unit of weight, s becomes (1 - g) s + g s_new, with the step g = (w / W)**DECAY for a batch of
    weight w when W is the weight of all batches so far: t**-DECAY for the t-th of equal batches. The
    statistics are then worth w / g rows.

    Attributes
    ----------
    statistics : object
        Summed over the effective weight.
    effective_weight, total_weight : float
        The weight that the statistics are worth, and that of all batches.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lvm.core.bernoulli.counts import Counts
    >>> from sklearn_lvm.inference.stepwise import StepwiseStatistics
    >>> ones = Counts(np.ones(1), np.ones((1, 1)), np.zeros((1, 1)))
    >>> zeros = Counts(np.ones(1), np.zeros((1, 1)), np.ones((1, 1)))
    >>> both = StepwiseStatistics(ones, 1.0, 1.0).updated(zeros, 1.0).statistics
    >>> bool(both.zeros[0, 0] > both.ones[0, 0])
    True
    """

    statistics: S
    effective_weight: float
    total_weight: float

    def updated(self, statistics: S, weight: float) -> Self:
        """The statistics after one more batch."""
        total = self.total_weight + weight
        effective = weight * (total / weight) ** DECAY
        faded = self.statistics.scaled((effective - weight) / self.effective_weight)
        return type(self)(faded + statistics, effective, total)

    @property
    def of_all_batches(self) -> S:
        """The statistics at the weight of all batches: a prior counts for no more as they fade."""
        return self.statistics.scaled(self.total_weight / self.effective_weight)
