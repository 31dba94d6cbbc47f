"""K Gaussian densities at once, and how they are estimated."""

from dataclasses import dataclass
from functools import cached_property
from math import log, tau

import numpy as np

from ..._typing import Array, Floats
from .covariance import Covariances, Structure
from .kernels import GaussianKernel, kernel_of
from .moments import Moments


@dataclass(frozen=True, eq=False)
class Gaussians:
    """K Gaussian densities: means (K, d) and a covariance structure.

    log N(z | m, C) = -(d log 2 pi + log |C| + |inv(L) (z - m)|^2) / 2, with C = L L'.
    """

    mean: Array
    covariance: Covariances

    @property
    def shared(self) -> bool:
        """Whether one covariance is that of all: it is tied, or there is one Gaussian."""
        return len(self.covariance) == 1

    @cached_property
    def max_log_prob(self) -> Array:
        """The log-density at each mean, (K,)."""
        K, d = self.mean.shape
        return -0.5 * (d * log(tau) + self.covariance.log_det) + np.zeros(K)

    def trace_penalty(self, added_variance: Array) -> Array:
        """-tr(diag(extra) inv(C_k)) / 2: what log N loses on a ball of that scatter, (K,) or (1,)."""
        return -0.5 * (self.covariance.precision_diagonal * added_variance).sum(axis=1)

    def rescale(self, shift: Array, scale: Array) -> "Gaussians":
        """The densities of scale * z + shift."""
        return Gaussians(self.mean * scale + shift, self.covariance.rescale(scale))

    def pooled(self, weights: Array) -> "Gaussians":
        """The one Gaussian with the mean and the covariance of their mixture."""
        mean = weights @ self.mean
        structure = self.covariance.structure
        spread = structure.outer((self.mean - mean) * np.sqrt(weights)[:, None]).sum(axis=0)
        scatter = self.covariance.scatter
        within = np.tensordot(
            weights, np.broadcast_to(scatter, (len(weights), *scatter.shape[1:])), 1
        )
        total = (within + spread)[None]
        return Gaussians(mean[None], structure.estimate(total, np.ones(1), np.zeros(len(mean))))

    def to_coordinates(self, reference: "Gaussians") -> tuple[Array, Array]:
        """Means and covariances in the units of one Gaussian, as (K, d) and (K or 1, P)."""
        mean = reference.covariance.whiten_each(self.mean - reference.mean)
        return mean, self.covariance.to_coordinates(reference.covariance)

    def from_coordinates(self, coordinates: tuple[Floats, ...]) -> "Gaussians":
        """The Gaussians that have these coordinates in the units of this one."""
        mean, covariance = coordinates
        center = self.mean + self.covariance.colorize_each(mean)
        return Gaussians(center, self.covariance.from_coordinates(covariance))

    def subset(self, chosen: Array) -> "Gaussians":
        """Some of the Gaussians."""
        return Gaussians(self.mean[chosen], self.covariance.subset(chosen))

    def sample(self, labels: Array, rng: np.random.RandomState) -> Array:
        """One row for each label, (n, d)."""
        rows = rng.standard_normal((len(labels), self.mean.shape[1]))
        for k in range(len(self.mean)):
            chosen = labels == k
            rows[chosen] = self.covariance.colorize(rows[chosen], 0 if self.shared else k)
        return rows + self.mean[labels]

    def n_parameters(self) -> int:
        """Free parameters of means and covariances."""
        return self.mean.size + len(self.covariance) * self.covariance.structure.n_parameters

    def kernel(self, log_weights: Floats) -> GaussianKernel:
        """The E-step kernel that suits these Gaussians; log-weights (K,) are added."""
        return kernel_of(self.mean, self.covariance, self.max_log_prob + log_weights)


@dataclass(frozen=True)
class GaussianFamily:
    """How Gaussians are estimated: statistics in, densities out.

    Attributes
    ----------
    structure : Structure
    extra : ndarray of shape (d,)
        Added to the variances: the exact M-step when each row is a small ball of that scatter.
    """

    structure: Structure
    added_variance: Array

    def statistics(self, Z: Array, w: Array) -> Moments:
        """Moments of rows (d, n) under K sets of weights (K, n)."""
        return Moments.of(Z, w, self.structure)

    def estimate(self, moments: Moments, current: Gaussians | None = None) -> Gaussians:
        """Maximum likelihood (of balls), or the posterior mode if a prior was added to the moments."""
        covariance = self.structure.estimate(moments.scatter, moments.dof, self.added_variance)
        return Gaussians(moments.mean, covariance)

    def kernel(self, gaussians: Gaussians, log_weights: Floats) -> GaussianKernel:
        """The kernel of the E-step, in which balls take their part from each log-density."""
        return gaussians.kernel(log_weights + gaussians.trace_penalty(self.added_variance))

    def log_prior(self, gaussians: Gaussians) -> float:
        """Nothing: there is no prior."""
        return 0.0

    def predictive(self, gaussians: Gaussians) -> Gaussians:
        """What rows are scored by: the Gaussians themselves."""
        return gaussians
