"""Exponential families of one column: features, parameters that multiply them, and estimates."""

from dataclasses import dataclass
from math import log
from typing import ClassVar, Protocol

import numpy as np
from scipy.special import gammaln, log_softmax

from ..._typing import Floats, Ints

# Nats that an impossible entry costs: finite, so that densities compare by the number of such
# entries, and a power of two, which stays exact in sums.
IMPOSSIBLE_COST = 2.0**100
MIN_LOG_PROB = -1e20  # nats below which a log-probability is that of an impossible row
MAX_COORDINATE = 700.0  # of a logarithm, whose exponential is still a number
LARGEST_RATE = 1e15  # of which counts are drawn


class Column(Protocol):
    """The family of one column, log p(x) = theta . features(x) + base(x), in nats.

    Features, and the base, of an entry that is missing (NaN) are 0: nothing of it is scored, and
    nothing is counted. A constant of a density therefore multiplies a feature that is 1 where the
    entry was observed.
    """

    @property
    def n_features(self) -> int:
        """p, the number of features."""
        ...

    @property
    def n_parameters(self) -> int:
        """How many parameters of a density are free."""
        ...

    def features(self, x: Floats, /) -> Floats:
        """What is remembered of entries (n,), (p, n)."""
        ...

    def base(self, x: Floats, /) -> Floats:
        """What no parameter changes of the log-density of entries, (n,)."""
        ...

    def estimate(self, sums: Floats, /) -> Floats:
        """The parameters (K, p) that maximize theta . sums, from summed features (K, p)."""
        ...

    def sample(self, theta: Floats, labels: Ints, rng: np.random.RandomState, /) -> Floats:
        """Draw an entry for each label, (n,)."""
        ...

    def moments(self, theta: Floats, /) -> tuple[Floats, Floats]:
        """Means and variances, (K,) each."""
        ...

    def to_coordinates(self, theta: Floats, /) -> Floats:
        """Finite coordinates without units, K rows."""
        ...

    def from_coordinates(self, coordinates: Floats, /) -> Floats:
        """The parameters (K, p) that have these coordinates."""
        ...


@dataclass(frozen=True)
class Categorical:
    """One of several values, each with a probability: log p(x) = sum_l [x = value_l] log p_l.

    Attributes
    ----------
    values : tuple of float
        Different from each other. Any other value is impossible.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lvm.core.exponential.columns import Categorical
    >>> sides = Categorical((0.0, 1.0, 2.0))
    >>> sides.features(np.array([0.0, 2.0, np.nan, 2.0])).sum(axis=1)
    array([1., 0., 2.])
    """

    values: tuple[float, ...]

    @property
    def n_features(self) -> int:
        return len(self.values)

    @property
    def n_parameters(self) -> int:
        return len(self.values) - 1

    def features(self, x: Floats) -> Floats:
        return np.asarray(x == np.array(self.values)[:, None], dtype=np.float64)

    def base(self, x: Floats) -> Floats:
        known = np.isin(x, self.values) | np.isnan(x)
        return np.where(known, 0.0, -IMPOSSIBLE_COST)

    def estimate(self, sums: Floats) -> Floats:
        total = sums.sum(axis=1, keepdims=True)
        even = np.full(sums.shape, 1.0 / self.n_features)  # where nothing was observed
        return _log(np.divide(sums, total, where=total > 0, out=even))

    def sample(self, theta: Floats, labels: Ints, rng: np.random.RandomState) -> Floats:
        steps = np.cumsum(np.exp(theta), axis=1)
        # The last step is 1 up to rounding: it is not compared, so that every draw has a value.
        chosen = (rng.random_sample(len(labels))[:, None] >= steps[labels, :-1]).sum(axis=1)
        return np.asarray(np.array(self.values)[chosen])

    def moments(self, theta: Floats) -> tuple[Floats, Floats]:
        p, values = np.exp(theta), np.array(self.values)
        mean = p @ values
        return mean, (p * (values - mean[:, None]) ** 2).sum(axis=1)

    def to_coordinates(self, theta: Floats) -> Floats:
        logs = np.maximum(theta, -MAX_COORDINATE)
        return np.asarray(logs - logs.mean(axis=1, keepdims=True))

    def from_coordinates(self, coordinates: Floats) -> Floats:
        return np.asarray(log_softmax(coordinates, axis=1))


BERNOULLI = Categorical((1.0, 0.0))
"""Zeros and ones: theta is log p and log(1 - p), each to full precision."""


@dataclass(frozen=True)
class Poisson:
    """Counts: log p(x) = -rate + x log rate - log x!, by the gamma function also of fractions.

    Examples
    --------
    The rate that is estimated is the mean:

    >>> import numpy as np
    >>> from sklearn_lvm.core.exponential.columns import Poisson
    >>> counts = Poisson()
    >>> sums = counts.features(np.array([3.0, 5.0, np.nan])).sum(axis=1)
    >>> np.exp(counts.estimate(sums[None])[0, 1]).round(6)
    np.float64(4.0)
    """

    n_features: ClassVar[int] = 2
    n_parameters: ClassVar[int] = 1

    def features(self, x: Floats) -> Floats:
        observed = ~np.isnan(x)
        return np.stack([observed.astype(np.float64), np.where(observed, x, 0.0)])

    def base(self, x: Floats) -> Floats:
        counted = np.where(x >= 0, x, 0.0)
        return np.where(x < 0, -IMPOSSIBLE_COST, -gammaln(counted + 1.0))

    def estimate(self, sums: Floats) -> Floats:
        observed, total = sums.T
        # Where nothing was observed the rate is 1, of which nothing follows.
        rate = np.divide(total, observed, where=observed > 0, out=np.ones(len(sums)))
        return np.stack([-rate, _log(rate)], axis=1)

    def sample(self, theta: Floats, labels: Ints, rng: np.random.RandomState) -> Floats:
        return draw_counts(-theta[labels, 0], rng)

    def moments(self, theta: Floats) -> tuple[Floats, Floats]:
        rate: Floats = -theta[:, 0]
        return rate, rate

    def to_coordinates(self, theta: Floats) -> Floats:
        return np.asarray(np.maximum(theta[:, 1:], -MAX_COORDINATE))

    def from_coordinates(self, coordinates: Floats) -> Floats:
        logs = np.clip(coordinates, -MAX_COORDINATE, MAX_COORDINATE)
        return np.concatenate([-np.exp(logs), logs], axis=1)


@dataclass(frozen=True)
class Uniform:
    """An interval that is known: log p(x) = -log(high - low) inside, impossible outside.

    Attributes
    ----------
    low, high : float
        The ends of the interval, which belong to it; low < high.
    """

    low: float
    high: float
    n_features: ClassVar[int] = 1
    n_parameters: ClassVar[int] = 0

    def features(self, x: Floats) -> Floats:
        return (~np.isnan(x))[None].astype(np.float64)

    def base(self, x: Floats) -> Floats:
        return np.where((x < self.low) | (x > self.high), -IMPOSSIBLE_COST, 0.0)

    def estimate(self, sums: Floats) -> Floats:
        # Half the width is a number where the width may be none.
        return np.full((len(sums), 1), -log(0.5 * self.high - 0.5 * self.low) - log(2.0))

    def sample(self, theta: Floats, labels: Ints, rng: np.random.RandomState) -> Floats:
        share = rng.random_sample(len(labels))
        return self.low * (1.0 - share) + self.high * share

    def moments(self, theta: Floats) -> tuple[Floats, Floats]:
        center, width = 0.5 * self.low + 0.5 * self.high, self.high - self.low
        return np.full(len(theta), center), np.full(len(theta), width * width / 12.0)

    def to_coordinates(self, theta: Floats) -> Floats:
        return np.zeros((len(theta), 0))

    def from_coordinates(self, coordinates: Floats) -> Floats:
        return self.estimate(coordinates)


def _log(values: Floats) -> Floats:
    """The logarithm, and minus a large number of 0."""
    with np.errstate(divide="ignore"):
        return np.maximum(np.log(values), -IMPOSSIBLE_COST)


def possible(log_prob: Floats) -> Floats:
    """Log-probabilities in which impossible entries cost infinitely much."""
    return np.where(log_prob < MIN_LOG_PROB, -np.inf, log_prob)


def draw_counts(rate: Floats, rng: np.random.RandomState) -> Floats:
    """A count of each rate; of the largest, which spread by less than a part in 10^7, their rates."""
    drawn = rng.poisson(np.minimum(rate, LARGEST_RATE)).astype(np.float64)
    return np.where(rate < LARGEST_RATE, drawn, np.round(rate))
