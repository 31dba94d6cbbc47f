"""Posteriors of K Gaussians: their expected log-densities, and how they follow from moments."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from ..._typing import Floats, Ints, Rows
from .density import Gaussians
from .empirical_prior import fitted_prior
from .moments import Moments
from .normal_wishart import NormalWisharts
from .partial import GaussianKernel, moments_of
from .student import StudentTs


@dataclass(frozen=True, eq=False)
class GaussianPosteriors:
    """What is known of K Gaussians: posteriors q(m_k, P_k) of means and precisions, and their prior.

    Attributes
    ----------
    posterior, prior : NormalWisharts
    least_variance : ndarray of shape (d,)
        The least variances that a fitted prior expects.
    """

    posterior: NormalWisharts
    prior: NormalWisharts
    least_variance: Floats

    @property
    def expected(self) -> Gaussians:
        """The Gaussians of the expected means and precisions."""
        return self.posterior.expected

    def kernel(self, log_weights: Floats) -> GaussianKernel:
        """The E-step kernel: expected log-densities, plus log-weights (K,)."""
        return self.expected.kernel(log_weights + self.posterior.log_prob_gap)

    def divergence(self) -> float:
        """The Kullback-Leibler divergence from the prior, in nats, summed over k."""
        return self.posterior.divergence(self.prior)

    def with_prior_of(self, other: Self) -> Self:
        """The same posteriors under the prior of others."""
        return replace(self, prior=other.prior)

    def with_fitted_prior(self) -> Self:
        """The same posteriors, and of all priors the one that they diverge least from."""
        return replace(self, prior=fitted_prior(self.posterior, self.least_variance))

    def predictive(self) -> StudentTs:
        """The densities of the next row of each Gaussian."""
        return self.posterior.predictive()

    def sample(self, labels: Ints, rng: np.random.RandomState) -> Floats:
        """Draw a row for each label from the predictive densities, (n, d)."""
        return self.predictive().sample(labels, rng)

    def n_parameters(self) -> int:
        """Count free parameters, those of the Gaussians."""
        return self.expected.n_parameters()

    def rescale(self, shift: Floats, scale: Floats) -> Self:
        """Posteriors and prior for rows scale * z + shift."""
        posterior, prior = (part.rescale(shift, scale) for part in (self.posterior, self.prior))
        return type(self)(posterior, prior, self.least_variance * scale**2)

    def subset(self, chosen: Ints) -> Self:
        """Some of the posteriors; a tied covariance stays that of all."""
        return replace(self, posterior=self.posterior.subset(chosen))

    def pooled(self, weights: Floats) -> Self:
        """One posterior, whose expected Gaussian has the moments of the mixture: a reference."""
        return self._expecting(self.expected.pooled(weights))

    def to_coordinates(self, reference: Self) -> tuple[Floats, Floats]:
        """Those of the expected Gaussians."""
        return self.expected.to_coordinates(reference.expected)

    def from_coordinates(self, coordinates: tuple[Floats, ...]) -> Self:
        """Posteriors whose expected Gaussians have these coordinates, as from one row each."""
        return self._expecting(self.expected.from_coordinates(coordinates))

    def _expecting(self, expected: Gaussians) -> Self:
        """Posteriors with these expectations, as from one row each."""
        one = np.ones(len(expected.mean))
        dof = expected.covariance.structure.pooled(one)
        return replace(self, posterior=NormalWisharts.expecting(expected, one, dof))

    def known_from(self, counts: Floats) -> Self:
        """Posteriors with the same expectations, after so many rows each."""
        prior, structure = self.prior.moments, self.posterior.structure
        weight, dof = prior.weight + counts, prior.dof + structure.pooled(counts)
        return replace(self, posterior=NormalWisharts.expecting(self.expected, weight, dof))


@dataclass(frozen=True, eq=False)
class GaussianPosteriorFamily:
    """Posteriors of Gaussians from moments.

    Attributes
    ----------
    prior : NormalWisharts
        One, the same for all Gaussians; a tied covariance has it once.
    least_variance : ndarray of shape (d,)
        The least variances that a fitted prior expects.
    """

    prior: NormalWisharts
    least_variance: Floats

    @property
    def n_parts(self) -> int:
        return 1

    def statistics(self, rows: Rows, resp: Floats) -> Moments:
        """Moments of rows (d, n) under K sets of weights (K, n)."""
        return moments_of(rows, resp, self.prior.structure)

    def estimate(
        self, moments: Moments, current: GaussianPosteriors | None = None
    ) -> GaussianPosteriors:
        """The posteriors under the prior of current ones, by default under that of the family."""
        prior = self.prior if current is None else current.prior
        posterior = NormalWisharts.of(moments + prior.moments)
        return GaussianPosteriors(posterior, prior, self.least_variance)

    def under_prior(self, components: GaussianPosteriors) -> GaussianPosteriors:
        """The same posteriors, with the prior of this family."""
        return replace(components, prior=self.prior)

    def kernel(self, components: GaussianPosteriors, log_weights: Floats) -> GaussianKernel:
        """The kernel of the E-step: expected log-densities."""
        return components.kernel(log_weights)

    def log_prior(self, components: GaussianPosteriors) -> float:
        """-KL(q || p), in nats."""
        return -components.divergence()

    def predictive(self, components: GaussianPosteriors) -> StudentTs:
        """The densities that score rows: Student-t."""
        return components.predictive()
