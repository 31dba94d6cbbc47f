"""Beta posteriors of Bernoulli probabilities: updates, evidence, and the predictive density."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from scipy.special import digamma

from ..._typing import Floats, Ints
from ..log_gamma import log1p_ratio, stirling_remainder
from .counts import Counts
from .density import Bernoullis, IndependentBernoulli

TINY = np.finfo(np.float64).smallest_subnormal  # for shares that are too small to be numbers


@dataclass(frozen=True, eq=False)
class BetaPosterior:
    """Independent Beta(alpha, beta) distributions of K rows of probabilities.

    Adding counts is Bayes' rule (Bishop, 2006, equation 2.18); without counts it is the prior.

    Attributes
    ----------
    alpha, beta : ndarray of shape (K, d)

    Examples
    --------
    A prior is updated entry by entry or at once:

    >>> import numpy as np
    >>> from sklearn_lvm.core.bernoulli.beta import BetaPosterior
    >>> from sklearn_lvm.core.bernoulli.counts import Counts
    >>> prior = BetaPosterior(np.ones((1, 1)), np.ones((1, 1)))
    >>> one = Counts(np.ones(1), np.ones((1, 1)), np.zeros((1, 1)))
    >>> ((prior + one) + one).predictive().probability
    array([[0.75]])
    """

    alpha: Floats
    beta: Floats

    def __add__(self, counts: Counts) -> Self:
        return type(self)(self.alpha + counts.ones, self.beta + counts.zeros)

    def predictive(self) -> Bernoullis:
        """The density of the next row, p = alpha / (alpha + beta)."""
        return Bernoullis.of(self.alpha, self.beta)

    def expected_logs(self) -> Bernoullis:
        """E log p and E log(1 - p) in place of log-probabilities (Bishop, 2006, equation B.21).

        They are digamma(alpha) and digamma(beta), less digamma(alpha + beta), in nats. Their
        exponentials sum to less than 1.
        """
        level = digamma(self.alpha + self.beta)
        return Bernoullis(digamma(self.alpha) - level, digamma(self.beta) - level)

    def with_a_mode(self) -> Self:
        """The nearest prior under which the mode is never at infinity: alpha and beta at least 1."""
        return type(self)(np.maximum(self.alpha, 1.0), np.maximum(self.beta, 1.0))

    def pseudo_counts(self) -> Counts:
        """The pseudo-observations that a mode is estimated with: alpha - 1 ones, beta - 1 zeros."""
        return Counts(np.zeros(len(self.alpha)), self.alpha - 1.0, self.beta - 1.0)

    def sample(self, n: int, rng: np.random.RandomState) -> Floats:
        """Draw probabilities, (n, K, d)."""
        return rng.beta(self.alpha, self.beta, size=(n, *self.alpha.shape))

    def log_evidence(self, counts: Counts) -> Floats:
        """log B(alpha + ones, beta + zeros) - log B(alpha, beta), in nats, (K, d).

        The log-probability of the entries in their order, the probabilities integrated out. Stirling's
        formula is paired term by term, so that a prior of 1e12 pseudo-observations costs no digits.
        """
        a, b, ones, zeros = self.alpha, self.beta, counts.ones, counts.zeros
        s, n = a + b, ones + zeros
        pairs = [(a, ones, 1.0), (b, zeros, 1.0), (s, n, -1.0)]
        rest = sum(
            sign
            * ((x - 0.5) * log1p_ratio(m, x) + stirling_remainder(x + m) - stirling_remainder(x))
            for x, m, sign in pairs
        )
        shares = ((a + ones) / (s + n), (b + zeros) / (s + n))
        means = sum(
            m * np.log(np.maximum(p, TINY)) for m, p in zip((ones, zeros), shares, strict=True)
        )
        return np.asarray(means + rest)


@dataclass(frozen=True, eq=False)
class BetaBernoulliPredictive(IndependentBernoulli):
    """The posterior predictive density of rows of independent entries."""

    posterior: BetaPosterior

    @classmethod
    def of(cls, posterior: BetaPosterior) -> Self:
        return cls(posterior.predictive(), posterior)

    def marginal(self, features: Ints) -> Self:
        """The density of some of the columns."""
        posterior = self.posterior
        return self.of(BetaPosterior(posterior.alpha[:, features], posterior.beta[:, features]))

    def probabilities(self, n: int, rng: np.random.RandomState) -> Floats:
        """Probabilities of ones for n rows, drawn from the posterior anew for every row."""
        return self.posterior.sample(n, rng)[:, 0]
