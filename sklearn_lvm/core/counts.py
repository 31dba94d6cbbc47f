"""What a model of coins remembers of its data, of its prior, and of both: a value with ``+``."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._typing import Array
from .tosses import Tosses


@dataclass(frozen=True, eq=False)
class Counts:
    """Ones and zeros of K sets of weighted rows; ``a + b`` pools two of them.

    Where an entry was not observed neither side gains: ones + zeros may be less than the weight.
    A Beta(a, b) prior is a - 1 ones and b - 1 zeros that nobody saw.

    Attributes
    ----------
    weight : ndarray of shape (K,)
        The summed weight of the rows.
    ones, zeros : ndarray of shape (K, d)
        The summed weight of the rows that showed a one, or a zero, in each column.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lvm.core.counts import Counts
    >>> from sklearn_lvm.core.tosses import tosses
    >>> rows = tosses(np.array([[1, 0], [1, np.nan], [0, 0]]), threshold=0.5)
    >>> counts = Counts.of(rows, np.ones((1, 3)))
    >>> (counts + counts).ones, (counts + counts).zeros
    (array([[4., 0.]]), array([[2., 4.]]))
    """

    weight: Array
    ones: Array
    zeros: Array

    @classmethod
    def of(cls, tosses: Tosses, w: Array) -> "Counts":
        """Count n rows of tosses under K sets of weights (K, n)."""
        return cls(w @ np.ones(w.shape[1]), *tosses.add_up(w))

    @classmethod
    def expected(cls, mixture: Any, weight: float) -> "Counts":
        """What a mixture of coins expects of rows of some weight in all."""
        by_component = weight * np.exp(mixture.log_weights)
        p, q = np.exp(mixture.parts.log_p), np.exp(mixture.parts.log_q)
        return cls(by_component, by_component[:, None] * p, by_component[:, None] * q)

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.weight + other.weight, self.ones + other.ones, self.zeros + other.zeros)

    def scaled(self, factor: float) -> "Counts":
        """The counts of the same rows with their weights multiplied."""
        return Counts(self.weight * factor, self.ones * factor, self.zeros * factor)

    def moments(self) -> "Counts":
        """Sums over rows are all that an estimate needs."""
        return self

    def log_likelihood(self, mixture: Any) -> float:
        """log p of these tosses and of their components, in nats, under a mixture of coins."""
        amounts = (self.weight, self.ones, self.zeros)
        logs = (mixture.log_weights, mixture.parts.log_p, mixture.parts.log_q)
        return sum(float(_times(a, log).sum()) for a, log in zip(amounts, logs, strict=True))


def _times(amount: Array, log: Array) -> Array:
    """amount * log, and nothing where the amount is: what never happened may be impossible."""
    return np.multiply(amount, log, where=amount != 0, out=np.zeros(np.shape(log)))
