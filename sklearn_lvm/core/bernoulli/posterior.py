"""Posteriors of K rows of probabilities: expected log-densities, and how they follow from counts."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np

from ..._typing import Floats, Ints
from .beta import BetaPosterior
from .binary_rows import BinaryRows
from .counts import Counts
from .density import BernoulliKernel, Bernoullis


@dataclass(frozen=True, eq=False)
class BernoulliPosteriors:
    """What is known of K rows of probabilities: counts of ones and zeros, and their prior.

    The counts are kept and not the sums with the prior, so that a large prior costs them no digits.

    Attributes
    ----------
    counts : Counts
        Expected ones and zeros of K densities, (K, d).
    prior : BetaPosterior
        One row of Beta distributions, (1, d), the same for all densities.

    Examples
    --------
    What is not known for sure costs a nat or so: expected log-probabilities are below those of the
    means.

    >>> import numpy as np
    >>> from sklearn_lvm.core.bernoulli.beta import BetaPosterior
    >>> from sklearn_lvm.core.bernoulli.counts import Counts
    >>> from sklearn_lvm.core.bernoulli.posterior import BernoulliPosteriors
    >>> prior = BetaPosterior(np.ones((1, 1)), np.ones((1, 1)))
    >>> coin = BernoulliPosteriors(Counts(np.full(1, 2.0), np.ones((1, 1)), np.ones((1, 1))), prior)
    >>> np.exp(coin.expected_logs.log_p).round(2), coin.predictive().probability
    (array([[0.43]]), array([[0.5]]))
    """

    counts: Counts
    prior: BetaPosterior

    @cached_property
    def posterior(self) -> BetaPosterior:
        """q(p_kj) = Beta(alpha_j + ones_kj, beta_j + zeros_kj)."""
        return self.prior + self.counts

    @cached_property
    def expected_logs(self) -> Bernoullis:
        """E log p and E log(1 - p) as if they were log-probabilities, in nats."""
        return self.posterior.expected_logs()

    def kernel(self, log_weights: Floats) -> BernoulliKernel:
        """The E-step kernel: expected log-densities, plus log-weights (K,)."""
        return self.expected_logs.kernel(log_weights)

    def divergence(self) -> float:
        """The Kullback-Leibler divergence from the prior, in nats, summed over k and j.

        It is what the counts are expected to say of themselves, less their evidence.
        """
        evidence = float(self.prior.log_evidence(self.counts).sum())
        return self.expected_logs.log_likelihood_of_counts(self.counts) - evidence

    def predictive(self) -> Bernoullis:
        """The densities of the next row, whose probabilities are the posterior means."""
        return self.posterior.predictive()

    @property
    def probability(self) -> Floats:
        """Expected probabilities of a one, (K, d)."""
        return self.predictive().probability

    def expected(self, weight: Floats, pseudo_counts: Counts) -> Counts:
        """The counts that they follow from, whatever weight and prior others had."""
        return self.counts

    def with_prior_of(self, other: Self) -> Self:
        """What the same counts say under the prior of others."""
        return replace(self, prior=other.prior)

    def sample(self, labels: Ints, rng: np.random.RandomState) -> Floats:
        """Draw a row for each label from the predictive densities, (n, d)."""
        return self.predictive().sample(labels, rng)

    def n_parameters(self) -> int:
        """Count free parameters, the probabilities."""
        return self.counts.ones.size

    def subset(self, chosen: Ints) -> Self:
        """Some of the posteriors."""
        return replace(self, counts=self.counts.subset(chosen))

    def pooled(self, weights: Floats) -> Self:
        """These posteriors: their coordinates need no reference but the prior."""
        return self

    @property
    def _observed(self) -> Floats:
        """The share of each column that was observed, (K, d)."""
        observed, weight = self.counts.ones + self.counts.zeros, self.counts.weight[:, None]
        share = np.divide(observed, weight, where=weight > 0, out=np.ones(observed.shape))
        return np.minimum(share, 1.0)

    def to_coordinates(self, reference: Self) -> tuple[Floats, Floats]:
        """Log-odds of the means, and the shares of columns that were observed, (K, d) each."""
        means = self.predictive()
        return (*means.to_coordinates(means), self._observed)

    def from_coordinates(self, coordinates: tuple[Floats, ...]) -> Self:
        """Posteriors that have these coordinates, as from one row each.

        Where one row is not enough for a mean, a count is negative until there are more.
        """
        log_odds, observed = coordinates
        observed, prior = np.clip(observed, 0.0, 1.0), self.prior
        mean = Bernoullis.of_log_odds(log_odds).probability
        ones = (prior.alpha + prior.beta + observed) * mean - prior.alpha
        return replace(self, counts=Counts(np.ones(len(ones)), ones, observed - ones))

    def known_from(self, counts: Floats) -> Self:
        """Posteriors with the same means, or the nearest there are, after so many rows each."""
        observed, prior = self._observed * counts[:, None], self.prior
        total = prior.alpha + prior.beta + observed
        ones = np.clip(total * self.probability - prior.alpha, 0.0, observed)
        return replace(self, counts=Counts(counts, ones, observed - ones))


@dataclass(frozen=True, eq=False)
class BernoulliPosteriorFamily:
    """Posteriors of probabilities from counts.

    Attributes
    ----------
    prior : BetaPosterior
        One row, (1, d), the same for all densities.
    """

    prior: BetaPosterior

    @property
    def n_parts(self) -> int:
        return 1

    def statistics(self, rows: BinaryRows, resp: Floats) -> Counts:
        """Counts of rows under K sets of weights (K, n)."""
        return Counts.of(rows, resp)

    def estimate(
        self, counts: Counts, current: BernoulliPosteriors | None = None
    ) -> BernoulliPosteriors:
        """The posteriors under the prior of current ones, by default under that of the family."""
        return BernoulliPosteriors(counts, self.prior if current is None else current.prior)

    def under_prior(self, components: BernoulliPosteriors) -> BernoulliPosteriors:
        """What the same counts say under the prior of this family."""
        return replace(components, prior=self.prior)

    def kernel(self, components: BernoulliPosteriors, log_weights: Floats) -> BernoulliKernel:
        """The kernel of the E-step: expected log-densities."""
        return components.kernel(log_weights)

    def log_prior(self, components: BernoulliPosteriors) -> float:
        """-KL(q || p), in nats."""
        return -components.divergence()

    def predictive(self, components: BernoulliPosteriors) -> Bernoullis:
        """The densities that score rows: those of the posterior means."""
        return components.predictive()
