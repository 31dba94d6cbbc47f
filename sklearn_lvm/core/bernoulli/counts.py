"""Counts of ones and zeros: what a Bernoulli model remembers of its data, as a value with ``+``."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from ..._typing import Floats, Ints
from .binary_rows import BinaryRows


@dataclass(frozen=True, eq=False)
class Counts:
    """Ones and zeros of K sets of weighted rows; ``a + b`` pools two of them.

    A missing entry adds to neither: ones + zeros may be less than the weight. A Beta(a, b) prior is
    a - 1 ones and b - 1 zeros of pseudo-observations.

    Attributes
    ----------
    weight : ndarray of shape (K,)
        The summed weight of the rows.
    ones, zeros : ndarray of shape (K, d)
        The summed weight of the rows that have a one, or a zero, in each column.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lvm.core.bernoulli.binary_rows import binary_rows
    >>> from sklearn_lvm.core.bernoulli.counts import Counts
    >>> rows = binary_rows(np.array([[1, 0], [1, np.nan], [0, 0]]), threshold=0.5)
    >>> counts = Counts.of(rows, np.ones((1, 3)))
    >>> (counts + counts).ones, (counts + counts).zeros
    (array([[4., 0.]]), array([[2., 4.]]))
    """

    weight: Floats
    ones: Floats
    zeros: Floats

    @classmethod
    def of(cls, rows: BinaryRows, w: Floats) -> Self:
        """Count n rows under K sets of weights (K, n)."""
        return cls(w @ np.ones(w.shape[1]), *rows.column_sums(w))

    @property
    def share_of_ones(self) -> Floats:
        """The share of ones in what was observed of each column; one half where nothing was."""
        observed = self.ones + self.zeros
        half = np.full(observed.shape, 0.5)
        return np.asarray(np.divide(self.ones, observed, where=observed > 0, out=half))

    def __add__(self, other: Self) -> Self:
        return type(self)(
            self.weight + other.weight, self.ones + other.ones, self.zeros + other.zeros
        )

    def tiled(self, n: int) -> Self:
        """The counts of K densities n times over, for n K densities."""
        return type(self)(*(np.concatenate([a] * n) for a in (self.weight, self.ones, self.zeros)))

    def subset(self, chosen: Ints) -> Self:
        """The counts of some of the densities."""
        return type(self)(self.weight[chosen], self.ones[chosen], self.zeros[chosen])

    def marginal(self, features: Ints) -> Self:
        """The counts of some of the columns."""
        return type(self)(self.weight, self.ones[:, features], self.zeros[:, features])

    def scaled(self, factor: float) -> Self:
        """The counts of the same rows with their weights multiplied."""
        return type(self)(self.weight * factor, self.ones * factor, self.zeros * factor)
