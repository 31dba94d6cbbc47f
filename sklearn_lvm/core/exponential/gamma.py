"""Gamma posteriors of the rates of counts: updates, evidence, and the predictive density."""

from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from scipy.special import gammaln

from ..._typing import Floats, Ints
from ..conditionals import Conditionals
from ..log_gamma import log1p_ratio, log_gamma_ratio
from .columns import Poisson, draw_counts
from .density import ExponentialComponents
from .rows import FeatureRows


@dataclass(frozen=True, eq=False)
class CountSums:
    """Counts of d columns, summed over weighted rows; ``a + b`` pools two of them.

    Attributes
    ----------
    weight : float
        The summed weight of the rows.
    observed, total, base : ndarray of shape (d,)
        For each column the summed weight of its observed entries, their sum, and the sum of -log x!.
    """

    weight: float
    observed: Floats
    total: Floats
    base: Floats

    @classmethod
    def of(cls, values: Floats, w: Floats) -> Self:
        """Those of entries (d, n) under weights (n,)."""
        seen = ~np.isnan(values)
        x = np.where(seen, values, 0.0)
        return cls(float(w.sum()), seen @ w, x @ w, -gammaln(x + 1.0) @ w)

    def __add__(self, other: Self) -> Self:
        return type(self)(
            self.weight + other.weight,
            self.observed + other.observed,
            self.total + other.total,
            self.base + other.base,
        )

    def marginal(self, features: Ints) -> Self:
        """Those of some of the columns."""
        parts = (self.observed, self.total, self.base)
        return type(self)(self.weight, *(part[features] for part in parts))


@dataclass(frozen=True, eq=False)
class GammaPosterior:
    """Independent Gamma(shape, rate) distributions of the rates of d columns of counts.

    Adding sums is Bayes' rule; without sums it is the prior.

    Attributes
    ----------
    shape, rate : ndarray of shape (d,)

    Examples
    --------
    A prior is updated entry by entry or at once:

    >>> import numpy as np
    >>> from sklearn_lvm.core.exponential.gamma import CountSums, GammaPosterior
    >>> prior = GammaPosterior(np.ones(1), np.ones(1))
    >>> (prior + CountSums.of(np.array([[2.0, 4.0]]), np.ones(2))).mean
    array([2.33333333])
    """

    shape: Floats
    rate: Floats

    def __add__(self, sums: CountSums) -> Self:
        return type(self)(self.shape + sums.total, self.rate + sums.observed)

    @property
    def mean(self) -> Floats:
        """Expected rates, (d,)."""
        return self.shape / self.rate

    @property
    def pseudo_sums(self) -> Floats:
        """Features of the pseudo-observations that a mode is estimated with, (d, 2)."""
        return np.stack([self.rate, self.shape - 1.0], axis=1)

    def log_evidence(self, sums: CountSums) -> Floats:
        """The log-probability of counts, their rates integrated out, in nats, (d,)."""
        return log_marginal(self.shape, self.rate, sums.observed, sums.total) + sums.base


@dataclass(frozen=True, eq=False)
class NegativeBinomials:
    """K densities of counts whose rates have Gamma distributions.

    log p(x) = log Gamma(x + a) - log Gamma(a) - log x! + a log(b / (b + 1)) - x log(b + 1).

    Attributes
    ----------
    shape, rate : ndarray of shape (K, d)
        a and b, of the distributions of the rates.
    """

    shape: Floats
    rate: Floats

    @property
    def means(self) -> Floats:
        """Expected entries, (K, d)."""
        return self.shape / self.rate

    def entries(self, rows: FeatureRows) -> Floats:
        """The log-probability of each entry, (K, d, n); 0 where it is missing."""
        observed, total = (~np.isnan(rows.values)).astype(np.float64), np.nan_to_num(rows.values)
        a, b = self.shape[:, :, None], self.rate[:, :, None]
        return np.asarray(log_marginal(a, b, observed, total) - gammaln(total + 1.0))

    def kernel(self, log_weights: Floats) -> "NegativeBinomialKernel":
        """Prepare log-densities plus log-weights (K,)."""
        return NegativeBinomialKernel(self, log_weights)

    def sample(self, labels: Ints, rng: np.random.RandomState) -> Floats:
        """Draw a row for each label, (n, d)."""
        return draw_counts(rng.gamma(self.shape[labels]) / self.rate[labels], rng)

    def conditionals(self, rows: FeatureRows) -> Conditionals:
        """Each missing entry: its mean and its variance, whatever the others are."""
        missing, mean = np.isnan(rows.values), self.means[:, :, None]
        variance = mean * (1.0 + 1.0 / self.rate[:, :, None])
        return Conditionals.of_gaussians(
            np.where(missing, mean, rows.values), np.where(missing, variance, 0.0)
        )

    def draw_missing(self, rows: FeatureRows, labels: Ints, rng: np.random.RandomState) -> Floats:
        """Rows (n, d) with a draw in place of missing entries."""
        values = rows.values.T
        return np.where(np.isnan(values), self.sample(labels, rng), values)

    def marginal(self, features: Ints) -> Self:
        """The densities of some of the columns."""
        return type(self)(self.shape[:, features], self.rate[:, features])

    def conditional(self, features: Ints, values: Floats) -> tuple[Floats, Self]:
        """Log-probabilities (K,) of values of some columns, and the densities of the others."""
        rows = FeatureRows(values[:, None], np.zeros((0, 1)), np.zeros(1))
        others = np.delete(np.arange(self.shape.shape[1]), features)
        return self.marginal(features).entries(rows).sum(axis=1)[:, 0], self.marginal(others)

    def n_parameters(self) -> int:
        """Count free parameters, the rates."""
        return self.shape.size

    def subset(self, chosen: Ints) -> Self:
        """Some of the densities."""
        return type(self)(self.shape[chosen], self.rate[chosen])


@dataclass(frozen=True, eq=False)
class NegativeBinomialKernel:
    """Negative binomial densities prepared to score blocks of rows."""

    components: NegativeBinomials
    log_weights: Floats
    condition_number: ClassVar[float] = np.inf

    def features(self, rows: FeatureRows) -> FeatureRows:
        return rows

    def log_prob(self, features: FeatureRows) -> Floats:
        entries = self.components.entries(features)
        return np.asarray(entries.sum(axis=1) + self.log_weights[:, None])


def poissons(rate: Floats) -> ExponentialComponents:
    """One Poisson density of each column, of these rates (d,)."""
    column = Poisson()
    theta = column.estimate(np.stack([np.ones(len(rate)), rate], axis=1))
    return ExponentialComponents((column,) * len(rate), theta.reshape(1, -1))


def log_marginal(shape: Floats, rate: Floats, observed: Floats, total: Floats) -> Floats:
    """The log-probability of counts whose rate is Gamma(shape, rate), without the sum of -log x!.

    With n observed counts of the sum S it is log Gamma(a + S) - log Gamma(a) + a log b -
    (a + S) log(b + n), of which large terms are paired.
    """
    level = total * np.log(shape / (rate + observed))
    return log_gamma_ratio(shape, total) + level - shape * log1p_ratio(observed, rate)
