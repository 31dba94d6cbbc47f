"""K densities of independent zeros and ones, their E-step kernel, and how they are estimated."""

from dataclasses import dataclass, replace
from math import log
from typing import ClassVar, Self

import numpy as np

from ..._typing import Floats, Ints
from ..conditionals import Conditionals
from ..mixture import Mixture, MixtureKernel
from .binary_rows import MISSING, ONE, BinaryRows
from .counts import Counts

# Nats that an impossible entry costs: finite, so that densities compare by the number of such
# entries, and a power of two, which stays exact in sums.
IMPOSSIBLE_COST = 2.0**100
MIN_LOG_PROB = -1e20  # nats below which a log-probability is that of an impossible row
MAX_LOG_ODDS = 700.0  # log-odds from which on a probability counts as 0 or 1


@dataclass(frozen=True, eq=False)
class Bernoullis:
    """K densities of d independent entries, log p(x) = sum_j x_j log p_j + (1 - x_j) log q_j.

    Both logarithms are kept, each to full precision: p = 1 - 1e-20 is a density like any other.

    Attributes
    ----------
    log_p, log_q : ndarray of shape (K, d)
        Log-probabilities of a one and of a zero, in nats.
    """

    log_p: Floats
    log_q: Floats

    @classmethod
    def of(cls, ones: Floats, zeros: Floats) -> Self:
        """Probabilities in the ratio of two amounts; where there is neither, one half."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            logs = [-np.log1p(zeros / ones), -np.log1p(ones / zeros)]
        neither = (ones == 0) & (zeros == 0)
        return cls(*(np.where(neither, -log(2.0), values) for values in logs))

    @classmethod
    def of_log_odds(cls, t: Floats) -> Self:
        """Probabilities of log-odds t = log p - log q; 0 or 1 from MAX_LOG_ODDS on."""
        log_p, log_q = -np.logaddexp(0.0, -t), -np.logaddexp(0.0, t)
        high, low = t >= MAX_LOG_ODDS, t <= -MAX_LOG_ODDS
        return cls(
            np.where(low, -np.inf, np.where(high, 0.0, log_p)),
            np.where(high, -np.inf, np.where(low, 0.0, log_q)),
        )

    @property
    def probability(self) -> Floats:
        """Probabilities of a one, (K, d)."""
        return np.exp(self.log_p)

    def sample(self, labels: Ints, rng: np.random.RandomState) -> Floats:
        """Draw a row of zeros and ones for each label, (n, d)."""
        p = self.probability
        return (rng.random_sample((len(labels), p.shape[1])) < p[labels]).astype(np.float64)

    def conditionals(self, rows: BinaryRows) -> Conditionals:
        """Each missing entry: its probability and its variance, whatever the others are."""
        codes = rows.codes().T
        missing, p = codes == MISSING, self.probability[:, :, None]
        variance = p * np.exp(self.log_q)[:, :, None]
        return Conditionals.of_gaussians(
            np.where(missing, p, codes == ONE), np.where(missing, variance, 0.0)
        )

    def draw_missing(self, rows: BinaryRows, labels: Ints, rng: np.random.RandomState) -> Floats:
        """Rows (n, d) with a draw in place of missing entries, each from the density of its label."""
        codes = rows.codes()
        return np.where(codes == MISSING, self.sample(labels, rng), codes == ONE)

    def n_parameters(self) -> int:
        """Count free parameters, the probabilities."""
        return self.log_p.size

    def expected(self, weight: Floats, pseudo_counts: Counts) -> Counts:
        """The counts of rows of so much weight each that have, with a prior, these as estimates."""
        total = weight[:, None] + pseudo_counts.ones + pseudo_counts.zeros
        ones = total * np.exp(self.log_p) - pseudo_counts.ones
        zeros = total * np.exp(self.log_q) - pseudo_counts.zeros
        return Counts(weight, np.maximum(ones, 0.0), np.maximum(zeros, 0.0))

    def log_likelihood_of_counts(self, counts: Counts) -> float:
        """The log-probability of counted entries, in nats."""
        pairs = (counts.ones, self.log_p), (counts.zeros, self.log_q)
        return sum(float(_times(amount, logs).sum()) for amount, logs in pairs)

    def kernel(self, log_weights: Floats) -> "BernoulliKernel":
        """The E-step kernel of these densities; log-weights (K,) are added."""
        log_p, log_q = (np.maximum(values, -IMPOSSIBLE_COST) for values in (self.log_p, self.log_q))
        return BernoulliKernel(log_p, log_q, log_weights)

    def subset(self, chosen: Ints) -> Self:
        """Some of the densities."""
        return type(self)(self.log_p[chosen], self.log_q[chosen])

    def marginal(self, features: Ints) -> Self:
        """The densities of some of the columns."""
        return type(self)(self.log_p[:, features], self.log_q[:, features])

    def conditional(self, features: Ints, values: Floats) -> tuple[Floats, Self]:
        """Log-probabilities (K,) of zeros and ones in some columns, and the densities of the others."""
        known, others = self.marginal(features), np.delete(np.arange(self.log_p.shape[1]), features)
        logs = np.where(values > 0, known.log_p, known.log_q)
        return logs.sum(axis=1), self.marginal(others)

    def pooled(self, weights: Floats) -> Self:
        """These densities: log-odds are coordinates without a reference."""
        return self

    def to_coordinates(self, reference: Self) -> tuple[Floats]:
        """Log-odds, (K, d), clipped where probabilities are 0 or 1."""
        return (np.clip(self.log_p - self.log_q, -MAX_LOG_ODDS, MAX_LOG_ODDS),)

    def from_coordinates(self, coordinates: tuple[Floats, ...]) -> Self:
        """The densities that have these coordinates."""
        (log_odds,) = coordinates
        return self.of_log_odds(log_odds)


def expected_entries(mixture: Mixture[Bernoullis], rows: BinaryRows) -> Floats:
    """The probability of a one at every entry as if it were missing, sum_k p(k | x_o) p_kj, (d, n).

    It is ``conditional_means`` where entries are missing, by one matrix product.
    """
    resp = mixture.kernel().posterior(rows)[1]
    return np.asarray(mixture.components.probability.T @ resp)


def _times(amount: Floats, logs: Floats) -> Floats:
    """amount * logs, and 0 where the amount is: what never happened may be impossible."""
    return np.multiply(amount, logs, where=amount != 0, out=np.zeros(np.shape(logs)))


@dataclass(frozen=True, eq=False)
class BernoulliKernel:
    """E-step kernel: sums over entries of their log-probabilities, (K, d), none of them infinite."""

    log_p: Floats
    log_q: Floats
    log_weights: Floats
    # Tables of patterns are no faster in single precision: rows are not rounded.
    condition_number: ClassVar[float] = np.inf

    def features(self, rows: BinaryRows) -> BinaryRows:
        return rows

    def log_prob(self, features: BinaryRows) -> Floats:
        return features.row_sums(self.log_p, self.log_q, base=self.log_weights)

    def accumulate(self, features: BinaryRows, resp: Floats) -> tuple[Floats, ...]:
        counts = Counts.of(features, resp)
        return counts.weight, counts.ones, counts.zeros

    def statistics(self, total: tuple[Floats, ...]) -> Counts:
        return Counts(*total)


@dataclass(frozen=True, eq=False)
class BernoulliFamily:
    """Estimation of Bernoulli densities from counts.

    Attributes
    ----------
    prior : Counts or None
        The pseudo-observations of a Beta prior, which are added to the counts of every estimate.
    """

    prior: Counts | None = None

    @property
    def n_parts(self) -> int:
        return 1

    def statistics(self, rows: BinaryRows, resp: Floats) -> Counts:
        """Counts of rows under K sets of weights (K, n)."""
        return Counts.of(rows, resp)

    def estimate(self, counts: Counts, current: Bernoullis | None = None) -> Bernoullis:
        """The maximum of the likelihood, or the posterior mode if there is a prior."""
        known = counts if self.prior is None else counts + self.prior
        return Bernoullis.of(known.ones, known.zeros)

    def kernel(self, components: Bernoullis, log_weights: Floats) -> BernoulliKernel:
        """The kernel of the E-step: plain log-probabilities."""
        return components.kernel(log_weights)

    def log_prior(self, components: Bernoullis) -> float:
        """The log-probability of the pseudo-observations."""
        return 0.0 if self.prior is None else components.log_likelihood_of_counts(self.prior)

    def predictive(self, components: Bernoullis) -> Bernoullis:
        """The densities that score rows: these."""
        return components


@dataclass(frozen=True, eq=False)
class IndependentBernoulli:
    """The density of rows of independent entries: one component."""

    components: Bernoullis

    @property
    def mixture(self) -> Mixture[Bernoullis]:
        """The only component there is, as a mixture."""
        return Mixture(np.zeros(1), self.components)

    def kernel(self) -> MixtureKernel:
        """The density prepared to score rows."""
        return self.mixture.kernel()

    def marginal(self, features: Ints) -> Self:
        """The density of some of the columns."""
        return replace(self, components=self.components.marginal(features))

    def conditional(self, features: Ints, values: Floats) -> tuple[Floats, Self]:
        """The log-probability (1,) of zeros and ones in some columns, and the density of the others."""
        others = np.delete(np.arange(self.components.log_p.shape[1]), features)
        return self.components.conditional(features, values)[0], self.marginal(others)

    def sample(self, n: int, rng: np.random.RandomState) -> tuple[Floats, Floats]:
        """Draw n rows (n, d), and the probabilities that they were drawn with (n, d)."""
        p = self.probabilities(n, rng)
        return (rng.random_sample(p.shape) < p).astype(np.float64), p

    def probabilities(self, n: int, rng: np.random.RandomState) -> Floats:
        """Probabilities of ones for n rows: the estimates."""
        return np.repeat(self.components.probability, n, axis=0)
