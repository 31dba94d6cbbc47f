"""K rows of coins at once: their probabilities, the Beta belief about them, and how rows look."""

from dataclasses import dataclass
from math import log

import numpy as np
from scipy.special import gammaln

from .._typing import Array
from .counts import Counts
from .mixture import Mixture, MixtureLens
from .tosses import Tosses

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

    def lens(self, offset: Array) -> "TossLens":
        """Look at rows; ``offset`` (K,) is added to the log-densities."""
        return TossLens(self, offset)

    def overall(self, weights: Array) -> "Bernoullis":
        """Log-odds are coordinates already: no density of the whole is needed to measure them."""
        return self

    def relative(self, axes: "Bernoullis") -> tuple[Array]:
        """Log-odds, (K, d); those of coins that are certain are finite, and stay where they are."""
        return (np.clip(self.log_p - self.log_q, -CERTAIN, CERTAIN),)

    def absolute(self, log_odds: Array) -> "Bernoullis":
        """The coins that have these coordinates."""
        return Bernoullis.of_log_odds(log_odds)


class TossLens:
    """Rows seen through K rows of coins: entries weighed by the logarithms of their probabilities."""

    # Tables are looked up no faster in single precision: rows are not rounded.
    amplification = np.inf

    def __init__(self, coins: Bernoullis, offset: Array) -> None:
        self.offset = offset
        self.logs = [np.maximum(part, -SURPRISE) for part in (coins.log_p, coins.log_q)]

    def look(self, Z: Tosses) -> Tosses:
        return Z

    def log_prob(self, seen: Tosses) -> Array:
        one, zero = self.logs
        return seen.weigh(one, zero, base=self.offset)

    def sums(self, seen: Tosses, R: Array) -> Counts:
        return Counts.of(seen, R)


@dataclass(frozen=True)
class BernoulliFamily:
    """How coins are estimated: counts in, densities out."""

    def statistics(self, Z: Tosses, w: Array) -> Counts:
        """Counts of tosses (d, n) under K sets of weights (K, n)."""
        return Counts.of(Z, w)

    def estimate(self, counts: Counts) -> Bernoullis:
        """Maximum likelihood, or the posterior mode if a prior was added to the counts."""
        return Bernoullis.of(counts.ones, counts.zeros)

    def tilt(self, coins: Bernoullis) -> Array:
        """Nothing: the objective is the plain log-likelihood."""
        return np.zeros(1)


@dataclass(frozen=True, eq=False)
class Betas:
    """Independent Beta(alpha, beta) beliefs about K rows of coins; adding counts is Bayes' rule.

    Attributes
    ----------
    alpha, beta : ndarray of shape (K, d)

    Examples
    --------
    A belief is updated toss by toss or at once:

    >>> import numpy as np
    >>> from sklearn_lvm.core.bernoulli import Betas
    >>> from sklearn_lvm.core.counts import Counts
    >>> prior = Betas(np.ones((1, 1)), np.ones((1, 1)))
    >>> head = Counts(np.ones(1), np.ones((1, 1)), np.zeros((1, 1)))
    >>> ((prior + head) + head).predictive().probability
    array([[0.75]])
    """

    alpha: Array
    beta: Array

    def __add__(self, counts: Counts) -> "Betas":
        return Betas(self.alpha + counts.ones, self.beta + counts.zeros)

    def predictive(self) -> Bernoullis:
        """The density of the next toss, p = alpha / (alpha + beta)."""
        return Bernoullis.of(self.alpha, self.beta)

    def pseudo_counts(self, weight: Array) -> Counts:
        """The tosses that this belief is worth where modes are sought: alpha - 1 and beta - 1."""
        return Counts(weight, self.alpha - 1.0, self.beta - 1.0)

    def sample(self, n: int, rng: np.random.RandomState) -> Array:
        """Biases of the coins, (n, K, d)."""
        return rng.beta(self.alpha, self.beta, size=(n, *self.alpha.shape))

    def log_evidence(self, counts: Counts) -> Array:
        """log B(alpha + ones, beta + zeros) - log B(alpha, beta), in nats, (K, d).

        The probability of the tosses in the order in which they fell, their biases integrated out.
        Stirling's formula is paired term by term, so that a prior of 1e12 tosses costs no digits.
        """
        a, b, heads, tails = self.alpha, self.beta, counts.ones, counts.zeros
        s, n = a + b, heads + tails
        pairs = [(a, heads, 1.0), (b, tails, 1.0), (s, n, -1.0)]
        rest = sum(
            sign * ((x - 0.5) * np.log1p(m / x) + _remainder(x + m) - _remainder(x))
            for x, m, sign in pairs
        )
        return heads * np.log((a + heads) / (s + n)) + tails * np.log((b + tails) / (s + n)) + rest


@dataclass(frozen=True, eq=False)
class Coins:
    """One row of coins with known biases."""

    parts: Bernoullis

    def lens(self) -> MixtureLens:
        """Look at rows through the only component there is."""
        return Mixture(np.zeros(1), self.parts).lens()

    def sample(self, n: int, rng: np.random.RandomState) -> tuple[Array, Array]:
        """Draw n rows (n, d), and the biases that they were tossed with (n, d)."""
        biases = self.biases(n, rng)
        return (rng.random_sample(biases.shape) < biases).astype(np.float64), biases

    def biases(self, n: int, rng: np.random.RandomState) -> Array:
        """The same for every row."""
        return np.repeat(self.parts.probability, n, axis=0)


@dataclass(frozen=True, eq=False)
class BelievedCoins(Coins):
    """One row of coins of which no more is known than a belief; its predictive density."""

    belief: Betas

    @classmethod
    def of(cls, belief: Betas) -> "BelievedCoins":
        return cls(belief.predictive(), belief)

    def biases(self, n: int, rng: np.random.RandomState) -> Array:
        """Drawn anew for every row."""
        return self.belief.sample(n, rng)[:, 0]


def _remainder(x: Array) -> Array:
    """log Gamma(x) less Stirling's (x - 1/2) log x - x + log(2 pi) / 2."""
    large = np.maximum(x, 10.0)
    series = (1 / 12 - (1 / 360 - (1 / 1260 - 1 / 1680 / large**2) / large**2) / large**2) / large
    small = np.minimum(x, 10.0)
    exact = gammaln(small) - (small - 0.5) * np.log(small) + small - 0.5 * np.log(2 * np.pi)
    return np.where(x < 10.0, exact, series)
