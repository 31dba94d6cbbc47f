"""One Gaussian of low rank plus noise, with its latent coordinates."""

from dataclasses import dataclass

import numpy as np

from ..._typing import Floats, Ints, Rows
from ..mixture import Mixture, MixtureKernel
from .density import Gaussians
from .latent import latent_means
from .low_rank_covariances import LowRankCovariances


@dataclass(frozen=True, eq=False)
class FactorAnalyzer:
    """z = m + W t + noise, with t ~ N(0, I_q) and noise ~ N(0, diag(psi)).

    Attributes
    ----------
    mean : ndarray of shape (d,)
    covariance : LowRankCovariances
        Of one Gaussian.
    """

    mean: Floats
    covariance: LowRankCovariances

    @property
    def gaussians(self) -> Gaussians:
        return Gaussians(self.mean[None], self.covariance)

    @property
    def mixture(self) -> Mixture[Gaussians]:
        """The same as a mixture of one Gaussian."""
        return Mixture(np.zeros(1), self.gaussians)

    @property
    def loadings(self) -> Floats:
        """W, (d, q)."""
        return np.asarray(self.covariance.loadings[0])

    @property
    def noise(self) -> Floats:
        """The variances of the noise, (d,)."""
        return np.asarray(self.covariance.noise[0])

    def kernel(self) -> MixtureKernel:
        """The density prepared to score blocks of rows."""
        return self.mixture.kernel()

    def sample(self, n: int, rng: np.random.RandomState) -> tuple[Floats, Floats]:
        """Draw rows (n, d) and the latent coordinates that they come from (n, q)."""
        latent = rng.standard_normal((n, self.loadings.shape[1]))
        rows = rng.standard_normal((n, len(self.mean)))
        rows *= np.sqrt(self.noise)
        rows += self.expected(latent)
        return rows, latent

    def expected(self, latent: Floats) -> Floats:
        """m + W t of latent coordinates, (n, q) -> (n, d)."""
        return latent @ self.loadings.T + self.mean

    def latent_mean(self, rows: Rows) -> Floats:
        """E[t | z] given what was observed of each row, (q, n)."""
        return np.asarray(latent_means(self.gaussians, rows)[0])

    def marginal(self, features: Ints) -> "FactorAnalyzer":
        """The density of some of the features; columns of W stay what they are."""
        return FactorAnalyzer(self.mean[features], self.covariance.marginal(features))

    def conditional(self, features: Ints, values: Floats) -> tuple[Floats, "FactorAnalyzer"]:
        """The log-density (1,) of values of some features, and the density of the others."""
        log_prob, others = self.gaussians.conditional(features, values)
        assert isinstance(others.covariance, LowRankCovariances)
        return log_prob, FactorAnalyzer(others.mean[0], others.covariance)

    def n_parameters(self) -> int:
        """Count the mean, the noise, and W up to a rotation."""
        return self.gaussians.n_parameters()
