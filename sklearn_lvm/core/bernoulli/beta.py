"""Beta beliefs about coins: conjugate updates, evidence, and the predictive density."""

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from ..._typing import Array
from .counts import Counts
from .density import Bernoullis, Coins


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
