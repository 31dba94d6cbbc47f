"""What a model of coins remembers of its data, of its prior, and of both: a value with ``+``."""

from dataclasses import dataclass

import numpy as np

from ..._typing import Array
from .binary_rows import Tosses


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

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(self.weight + other.weight, self.ones + other.ones, self.zeros + other.zeros)

    def scaled(self, factor: float) -> "Counts":
        """The counts of the same rows with their weights multiplied."""
        return Counts(self.weight * factor, self.ones * factor, self.zeros * factor)
