"""K rows of coins at once: their probabilities, the Beta belief about them, and how rows look."""

from dataclasses import dataclass
from math import log
from typing import ClassVar

import numpy as np

from ..._typing import Array
from ..mixture import Mixture, MixtureKernel
from .binary_rows import Tosses
from .counts import Counts

# Nats that an impossible toss costs: finite, so that models compare by their number, which a power of
# two keeps exact in sums.
SURPRISE = 2.0**100
IMPOSSIBLE = -1e20  # log-probabilities below this are those of impossible rows
CERTAIN = 700.0  # a coin of a log-odds beyond this always falls on one side


@dataclass(frozen=True, eq=False)
class Bernoullis:
    """K densities of d independent coins, log p(x) = sum_j x_j log p_j + (1 - x_j) log q_j.

    Both logarithms are kept, each to full precision: p = 1 - 1e-20 is a density like any other.

    Attributes
    ----------
    log_p, log_q : ndarray of shape (K, d)
        Of a one and of a zero, in nats.
    """

    log_p: Array
    log_q: Array

    @classmethod
    def of(cls, ones: Array, zeros: Array) -> "Bernoullis":
        """Probabilities in the ratio of two amounts; where there is neither, even."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            logs = [-np.log1p(zeros / ones), -np.log1p(ones / zeros)]
        neither = (ones == 0) & (zeros == 0)
        return cls(*(np.where(neither, -log(2.0), part) for part in logs))

    @classmethod
    def of_log_odds(cls, t: Array) -> "Bernoullis":
        """Coins of log-odds t = log p - log q; certain where these are CERTAIN or beyond."""
        log_p, log_q = -np.logaddexp(0.0, -t), -np.logaddexp(0.0, t)
        return cls(
            np.where(t <= -CERTAIN, -np.inf, np.where(t >= CERTAIN, 0.0, log_p)),
            np.where(t >= CERTAIN, -np.inf, np.where(t <= -CERTAIN, 0.0, log_q)),
        )

    @property
    def probability(self) -> Array:
        """Of a one, (K, d)."""
        return np.exp(self.log_p)

    def sample(self, labels: Array, rng: np.random.RandomState) -> Array:
        """One row of zeros and ones for each label, (n, d)."""
        p = self.probability
        return (rng.random_sample((len(labels), p.shape[1])) < p[labels]).astype(np.float64)

    def n_parameters(self) -> int:
        """One for each coin."""
        return self.log_p.size

    def expected(self, weight: Array) -> Counts:
        """The counts that are expected of rows of so much weight for each of K rows of coins."""
        p, q = np.exp(self.log_p), np.exp(self.log_q)
        return Counts(weight, weight[:, None] * p, weight[:, None] * q)

    def log_likelihood(self, counts: Counts) -> float:
        """log p of counted tosses, in nats."""
        pairs = (counts.ones, self.log_p), (counts.zeros, self.log_q)
        return sum(float(_times(amount, log).sum()) for amount, log in pairs)

    def kernel(self, log_weights: Array) -> "BernoulliKernel":
        """Prepare to score rows; log-weights (K,) are added."""
        return BernoulliKernel(self._bounded(self.log_p), self._bounded(self.log_q), log_weights)

    @staticmethod
    def _bounded(log: Array) -> Array:
        return np.maximum(log, -SURPRISE)

    def pooled(self, weights: Array) -> "Bernoullis":
        """Log-odds are coordinates already: no density of the whole is needed to measure them."""
        return self

    def to_coordinates(self, reference: "Bernoullis") -> tuple[Array]:
        """Log-odds, (K, d); those of coins that are certain are finite, and stay where they are."""
        return (np.clip(self.log_p - self.log_q, -CERTAIN, CERTAIN),)

    def from_coordinates(self, coordinates: tuple[Array, ...]) -> "Bernoullis":
        """The coins that have these coordinates."""
        (log_odds,) = coordinates
        return Bernoullis.of_log_odds(log_odds)


@dataclass(frozen=True, eq=False)
class BernoulliKernel:
    """Rows of coins by the logarithms of their probabilities, (K, d), none of them infinite."""

    log_p: Array
    log_q: Array
    log_weights: Array
    # Tables are looked up no faster in single precision: rows are not rounded.
    condition_number: ClassVar[float] = np.inf

    def features(self, rows: Tosses) -> Tosses:
        return rows

    def log_prob(self, features: Tosses) -> Array:
        return features.weigh(self.log_p, self.log_q, base=self.log_weights)

    def accumulate(self, features: Tosses, resp: Array) -> tuple[Array, ...]:
        counts = Counts.of(features, resp)
        return counts.weight, counts.ones, counts.zeros

    def statistics(self, total: tuple[Array, ...]) -> Counts:
        return Counts(*total)


@dataclass(frozen=True, eq=False)
class BernoulliFamily:
    """How coins are estimated: counts in, densities out.

    Attributes
    ----------
    prior : Counts or None
        Ones and zeros that a Beta prior is worth, which join those of every estimate.
    """

    prior: Counts | None = None

    def statistics(self, rows: Tosses, resp: Array) -> Counts:
        """Counts of tosses (d, n) under K sets of weights (K, n)."""
        return Counts.of(rows, resp)

    def estimate(self, counts: Counts, current: Bernoullis | None = None) -> Bernoullis:
        """Maximum likelihood, or the posterior mode if there is a prior."""
        known = counts if self.prior is None else counts + self.prior
        return Bernoullis.of(known.ones, known.zeros)

    def kernel(self, coins: Bernoullis, log_weights: Array) -> BernoulliKernel:
        """The kernel of the E-step: plain log-probabilities."""
        return coins.kernel(log_weights)

    def log_prior(self, coins: Bernoullis) -> float:
        """The log-probability of the ones and zeros that the prior is worth."""
        return 0.0 if self.prior is None else coins.log_likelihood(self.prior)

    def predictive(self, coins: Bernoullis) -> Bernoullis:
        """What rows are scored by: the coins themselves."""
        return coins


@dataclass(frozen=True, eq=False)
class Coins:
    """One row of coins with known biases."""

    components: Bernoullis

    def kernel(self) -> MixtureKernel:
        """The only component there is, prepared to score rows."""
        return Mixture(np.zeros(1), self.components).kernel()

    def sample(self, n: int, rng: np.random.RandomState) -> tuple[Array, Array]:
        """Draw n rows (n, d), and the biases that they were tossed with (n, d)."""
        biases = self.biases(n, rng)
        return (rng.random_sample(biases.shape) < biases).astype(np.float64), biases

    def biases(self, n: int, rng: np.random.RandomState) -> Array:
        """The same for every row."""
        return np.repeat(self.components.probability, n, axis=0)


def _times(amount: Array, log: Array) -> Array:
    """amount * log, and nothing where the amount is: what never happened may be impossible."""
    return np.multiply(amount, log, where=amount != 0, out=np.zeros(np.shape(log)))
