"""K densities of independent columns of exponential families, by one matrix product."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Self

import numpy as np

from ..._typing import Floats, Ints
from ..conditionals import Conditionals
from .columns import Column, possible
from .rows import FeatureRows, feature_rows


@dataclass(frozen=True, eq=False)
class FeatureSums:
    """Summed features of K sets of weighted rows; ``a + b`` pools two of them.

    Attributes
    ----------
    weight : ndarray of shape (K,)
        The summed weight of the rows.
    total : ndarray of shape (K, P)
        The weighted sums of the features of all columns.
    """

    weight: Floats
    total: Floats

    @classmethod
    def of(cls, rows: FeatureRows, w: Floats) -> Self:
        """Those of n rows under K sets of weights (K, n)."""
        return cls(w @ np.ones(w.shape[1]), w @ rows.phi.T)

    def __add__(self, other: Self) -> Self:
        return type(self)(self.weight + other.weight, self.total + other.total)

    def tiled(self, n: int) -> Self:
        """Those of K densities n times over, for n K densities."""
        return type(self)(np.tile(self.weight, n), np.tile(self.total, (n, 1)))

    def subset(self, chosen: Ints) -> Self:
        """Those of some of the densities."""
        return type(self)(self.weight[chosen], self.total[chosen])


@dataclass(frozen=True, eq=False)
class ExponentialComponents:
    """K densities of d independent columns, log p_k(x) = theta_k . phi(x) + base(x).

    Attributes
    ----------
    columns : tuple of Column
        The families of the d columns.
    theta : ndarray of shape (K, P)
        The parameters of all columns, one column after another.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lvm.core.exponential.columns import BERNOULLI, Poisson
    >>> from sklearn_lvm.core.exponential.density import ExponentialFamily
    >>> from sklearn_lvm.core.exponential.rows import FeatureMap
    >>> columns = (BERNOULLI, Poisson())
    >>> rows = FeatureMap(columns).transform(np.array([[1.0, 2.0], [0.0, np.nan], [1.0, 4.0]]))
    >>> family = ExponentialFamily(columns)
    >>> components = family.estimate(family.statistics(rows, np.ones((1, 3))))
    >>> components.means.round(3)
    array([[0.667, 3.   ]])
    """

    columns: tuple[Column, ...]
    theta: Floats

    @cached_property
    def parts(self) -> tuple[Floats, ...]:
        """The parameters of each column, (K, p)."""
        return _split(self.theta, [column.n_features for column in self.columns])

    @cached_property
    def _moments(self) -> Floats:
        """Means and variances, (2, K, d)."""
        found = [column.moments(t) for column, t in zip(self.columns, self.parts, strict=True)]
        return np.stack([np.stack(pair) for pair in found], axis=-1)

    @property
    def means(self) -> Floats:
        """Expected entries, (K, d)."""
        return np.asarray(self._moments[0])

    def kernel(self, log_weights: Floats) -> "ExponentialKernel":
        """The E-step kernel of these densities; log-weights (K,) are added."""
        return ExponentialKernel(self.theta, log_weights)

    def entries(self, rows: FeatureRows) -> Floats:
        """The log-density of each entry, (K, d, n); 0 where it is missing."""
        triples = zip(self.columns, self.parts, rows.values, strict=True)
        found = [t @ column.features(x) + column.base(x) for column, t, x in triples]
        return np.where(np.isnan(rows.values), 0.0, np.stack(found, axis=1))

    def sample(self, labels: Ints, rng: np.random.RandomState) -> Floats:
        """Draw a row for each label, (n, d)."""
        pairs = zip(self.columns, self.parts, strict=True)
        return np.stack([column.sample(t, labels, rng) for column, t in pairs], axis=1)

    def conditionals(self, rows: FeatureRows) -> Conditionals:
        """Each missing entry: its mean and its variance, whatever the others are."""
        missing = np.isnan(rows.values)
        mean, variance = self._moments[:, :, :, None]
        return Conditionals.of_gaussians(
            np.where(missing, mean, rows.values), np.where(missing, variance, 0.0)
        )

    def draw_missing(self, rows: FeatureRows, labels: Ints, rng: np.random.RandomState) -> Floats:
        """Rows (n, d) with a draw in place of missing entries, each from the density of its label."""
        values = rows.values.T
        return np.where(np.isnan(values), self.sample(labels, rng), values)

    def marginal(self, features: Ints) -> Self:
        """The densities of some of the columns."""
        columns = tuple(self.columns[j] for j in features)
        return type(self)(columns, np.concatenate([self.parts[j] for j in features], axis=1))

    def conditional(self, features: Ints, values: Floats) -> tuple[Floats, Self]:
        """Log-densities (K,) of values of some columns, and the densities of the others."""
        known = self.marginal(features)
        rows = feature_rows(known.columns, values[:, None])
        others = np.delete(np.arange(len(self.columns)), features)
        log_prob = known.kernel(np.zeros(len(self.theta))).log_prob(rows)[:, 0]
        return possible(log_prob), self.marginal(others)

    def n_parameters(self) -> int:
        """Count free parameters."""
        return len(self.theta) * sum(column.n_parameters for column in self.columns)

    def subset(self, chosen: Ints) -> Self:
        """Some of the densities."""
        return replace(self, theta=self.theta[chosen])

    def pooled(self, weights: Floats) -> Self:
        """These densities: their coordinates need no reference."""
        return self

    def to_coordinates(self, reference: Self) -> tuple[Floats, ...]:
        """Logarithms of rates and of ratios of probabilities, an array of K rows for each column."""
        pairs = zip(self.columns, self.parts, strict=True)
        return tuple(column.to_coordinates(t) for column, t in pairs)

    def from_coordinates(self, coordinates: tuple[Floats, ...]) -> Self:
        """The densities that have these coordinates."""
        pairs = zip(self.columns, coordinates, strict=True)
        return replace(
            self, theta=np.concatenate([c.from_coordinates(u) for c, u in pairs], axis=1)
        )


@dataclass(frozen=True, eq=False)
class ExponentialKernel:
    """E-step kernel: one product of parameters (K, P) and features (P, n)."""

    theta: Floats
    log_weights: Floats
    condition_number: ClassVar[float] = np.inf  # rows are not rounded to single precision

    def features(self, rows: FeatureRows) -> FeatureRows:
        return rows

    def log_prob(self, features: FeatureRows) -> Floats:
        return np.asarray(self.theta @ features.phi + features.base + self.log_weights[:, None])

    def accumulate(self, features: FeatureRows, resp: Floats) -> tuple[Floats, ...]:
        sums = FeatureSums.of(features, resp)
        return sums.weight, sums.total

    def statistics(self, total: tuple[Floats, ...]) -> FeatureSums:
        return FeatureSums(*total)


@dataclass(frozen=True, eq=False)
class ExponentialFamily:
    """Estimation of independent columns of exponential families from summed features.

    Attributes
    ----------
    columns : tuple of Column
    prior : ndarray of shape (P,) or None
        A conjugate prior, as the summed features of pseudo-observations, which are added to those of
        every estimate. Its log-density is theta . prior, up to a constant (Bishop, 2006, equation
        2.229).
    """

    columns: tuple[Column, ...]
    prior: Floats | None = None

    @property
    def n_parts(self) -> int:
        return 1

    def statistics(self, rows: FeatureRows, resp: Floats) -> FeatureSums:
        """Summed features of rows under K sets of weights (K, n)."""
        return FeatureSums.of(rows, resp)

    def estimate(
        self, sums: FeatureSums, current: ExponentialComponents | None = None
    ) -> ExponentialComponents:
        """The maximum of the likelihood, or the posterior mode if there is a prior."""
        total = sums.total if self.prior is None else sums.total + self.prior
        parts = _split(total, [column.n_features for column in self.columns])
        pairs = zip(self.columns, parts, strict=True)
        theta = np.concatenate([column.estimate(part) for column, part in pairs], axis=1)
        return ExponentialComponents(self.columns, theta)

    def kernel(self, components: ExponentialComponents, log_weights: Floats) -> ExponentialKernel:
        """The kernel of the E-step: plain log-densities."""
        return components.kernel(log_weights)

    def log_prior(self, components: ExponentialComponents) -> float:
        """The log-density of the pseudo-observations, without their base, in nats."""
        return 0.0 if self.prior is None else float((components.theta @ self.prior).sum())

    def predictive(self, components: ExponentialComponents) -> ExponentialComponents:
        """The densities that score rows: these."""
        return components


def _split(stacked: Floats, sizes: list[int]) -> tuple[Floats, ...]:
    """Columns of an array (K, P), so many of them at a time."""
    return tuple(np.split(stacked, np.cumsum(sizes)[:-1], axis=1))
