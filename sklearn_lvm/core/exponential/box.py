"""The least and the largest entry of each column: what a uniform density remembers of its rows."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from ..._typing import Floats, Ints
from .columns import Uniform
from .density import ExponentialComponents, ExponentialFamily, FeatureSums


@dataclass(frozen=True, eq=False)
class Box:
    """The smallest box of weighted rows; ``a + b`` is that of both.

    Attributes
    ----------
    weight : float
        The summed weight of the rows.
    low, high : ndarray of shape (d,)
        The least and the largest observed entry of each column.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lvm.core.exponential.box import Box
    >>> one = Box.of(np.array([[1.0, 2.0], [3.0, np.nan]]), np.ones(2))
    >>> both = one + Box.of(np.array([[-1.0, 2.5]]), np.ones(1))
    >>> both.low, both.high
    (array([-1.,  2.]), array([3. , 2.5]))
    """

    weight: float
    low: Floats
    high: Floats

    @classmethod
    def of(cls, X: Floats, w: Floats) -> Self:
        """That of rows (n, d) under weights (n,); a row without weight is none."""
        held = X[w > 0]
        return cls(float(w.sum()), np.fmin.reduce(held), np.fmax.reduce(held))

    def __add__(self, other: Self) -> Self:
        return type(self)(
            self.weight + other.weight,
            np.fmin(self.low, other.low),
            np.fmax(self.high, other.high),
        )

    def marginal(self, features: Ints) -> Self:
        """That of some of the columns."""
        return type(self)(self.weight, self.low[features], self.high[features])

    @property
    def columns(self) -> tuple[Uniform, ...]:
        """The families of the columns."""
        ends = zip(self.low.tolist(), self.high.tolist(), strict=True)
        return tuple(Uniform(low, high) for low, high in ends)

    @property
    def constant(self) -> Ints:
        """The columns that have no width, or none that is a number."""
        return np.flatnonzero(~(0.5 * self.high - 0.5 * self.low > 0))

    def density(self) -> ExponentialComponents:
        """The uniform density inside."""
        none = FeatureSums(np.zeros(1), np.zeros((1, len(self.low))))
        return ExponentialFamily(self.columns).estimate(none)
