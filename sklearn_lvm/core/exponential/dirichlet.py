"""Counts of the levels of categorical columns, their evidence, and the densities they determine."""

from dataclasses import dataclass
from typing import Self

import numpy as np

from ..._typing import Floats, Ints
from ..log_gamma import log_gamma_ratio
from .columns import Categorical
from .density import ExponentialComponents


@dataclass(frozen=True, eq=False)
class LevelCounts:
    """How often each value of d columns was seen; ``a + b`` pools two of them, and their values.

    Attributes
    ----------
    weight : float
        The summed weight of the rows.
    values : tuple of ndarray
        The levels of each column, increasing.
    counts : tuple of ndarray
        The summed weight of the rows that have each of them.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lvm.core.exponential.dirichlet import LevelCounts
    >>> one = LevelCounts.of(np.array([[1.0], [5.0], [np.nan]]), np.ones(3))
    >>> other = LevelCounts.of(np.array([[3.0], [5.0]]), np.ones(2))
    >>> (one + other).values, (one + other).counts
    ((array([1., 3., 5.]),), (array([1., 1., 2.]),))
    """

    weight: float
    values: tuple[Floats, ...]
    counts: tuple[Floats, ...]

    @classmethod
    def of(cls, X: Floats, w: Floats) -> Self:
        """Those of rows (n, d) under weights (n,); a value without weight is none."""
        pairs = [_counted(x[(w > 0) & ~np.isnan(x)], w[(w > 0) & ~np.isnan(x)]) for x in X.T]
        values, counts = zip(*pairs, strict=True)
        return cls(float(w.sum()), values, counts)

    @classmethod
    def none_of(cls, values: tuple[Floats, ...]) -> Self:
        """Levels that were not seen."""
        return cls(0.0, values, tuple(np.zeros(len(v)) for v in values))

    def __add__(self, other: Self) -> Self:
        pairs = [
            _counted(np.concatenate(values), np.concatenate(counts))
            for values, counts in zip(
                zip(self.values, other.values, strict=True),
                zip(self.counts, other.counts, strict=True),
                strict=True,
            )
        ]
        values, counts = zip(*pairs, strict=True)
        return type(self)(self.weight + other.weight, values, counts)

    @property
    def columns(self) -> tuple[Categorical, ...]:
        """The families of the columns."""
        return tuple(Categorical(tuple(values.tolist())) for values in self.values)

    @property
    def n_parameters(self) -> int:
        """How many probabilities are free."""
        return sum(column.n_parameters for column in self.columns)

    def marginal(self, features: Ints) -> Self:
        """Those of some of the columns."""
        return type(self)(
            self.weight,
            tuple(self.values[j] for j in features),
            tuple(self.counts[j] for j in features),
        )

    def density(self, pseudo_counts: Floats) -> ExponentialComponents:
        """Probabilities in the ratio of counts, with so many more for each level of a column, (d,)."""
        pairs = zip(self.columns, self.counts, pseudo_counts, strict=True)
        parts = [column.estimate((n + more)[None]) for column, n, more in pairs]
        return ExponentialComponents(self.columns, np.concatenate(parts, axis=1))

    def log_evidence(self, alpha: Floats) -> Floats:
        """The log-probability of entries in their order under Dirichlet priors, in nats, (d,).

        The L levels of a column have the parameter alpha_j each:
        log Gamma(L a) - log Gamma(L a + N) + sum_l log Gamma(a + n_l) - log Gamma(a).
        """
        pairs = zip(self.counts, alpha, strict=True)
        return np.array([_rising(a, n).sum() - _rising(len(n) * a, n.sum()) for n, a in pairs])


def _counted(x: Floats, w: Floats) -> tuple[Floats, Floats]:
    values, codes = np.unique(x, return_inverse=True)
    return values, np.bincount(codes, weights=w, minlength=len(values)).astype(np.float64)


def _rising(a: Floats, n: Floats) -> Floats:
    """log Gamma(a + n) - log Gamma(a)."""
    return np.asarray(log_gamma_ratio(a, n) + n * np.log(a))
