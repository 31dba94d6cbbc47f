"""K Gaussian densities at once, and how they are estimated from moments."""

from dataclasses import dataclass
from functools import cached_property
from math import log, tau
from typing import Self

import numpy as np

from ..._typing import Floats, Ints, Rows
from ..conditionals import Conditionals
from .conditioning import Conditioned
from .covariance import Covariances, Structure
from .kernel_choice import kernel_of
from .missing import IncompleteRows, incomplete
from .moments import Moments
from .partial import (
    GaussianKernel,
    PartialKernel,
    drawn_missing,
    moments_of,
    partial_kernel_of,
)
from .prior import GaussianPrior
from .projected_partial import ProjectedPartialKernel


@dataclass(frozen=True, eq=False)
class Gaussians:
    """K Gaussian densities: means (K, d) and covariances of one structure.

    log N(z | m, C) = -(d log 2 pi + log |C| + |inv(L) (z - m)|^2) / 2, with C = L L'.
    """

    mean: Floats
    covariance: Covariances

    @property
    def shared(self) -> bool:
        """Whether one covariance is that of all: it is tied, or there is one Gaussian."""
        return len(self.covariance) == 1

    @cached_property
    def max_log_prob(self) -> Floats:
        """The log-density at each mean, (K,)."""
        K, d = self.mean.shape
        return np.asarray(-0.5 * (d * log(tau) + self.covariance.log_det) + np.zeros(K))

    def trace_penalty(self, added_variance: Floats) -> Floats:
        """-tr(E inv(C_k)) / 2 with E = diag(added_variance), (K,) or (1,).

        It is what the expected log-density loses on rows that are spread with covariance E.
        """
        traces = (self.covariance.precision_diagonal * added_variance).sum(axis=1)
        return np.asarray(-0.5 * traces)

    def log_density_of(self, moments: Moments, added_variance: Floats) -> float:
        """The expected log-density of rows of these moments, less the penalty, up to a constant."""
        C = self.covariance
        gap = (C.whiten_each(moments.mean - self.mean) ** 2).sum(axis=1)
        level = C.log_det - 2.0 * self.trace_penalty(added_variance)
        spread = C.traces(moments.scatter).sum() + (moments.weight * gap).sum()
        return float(-0.5 * ((moments.dof * level).sum() + spread))

    def rescale(self, shift: Floats, scale: Floats) -> Self:
        """The densities of scale * z + shift."""
        return type(self)(self.mean * scale + shift, self.covariance.rescale(scale))

    def pooled(self, weights: Floats) -> Self:
        """The Gaussians in units of which coordinates are."""
        return type(self)(*self.covariance.pooled(self.mean, weights))

    def to_coordinates(self, reference: Self) -> tuple[Floats, Floats]:
        """Means and covariances in the units of one Gaussian, as (K, d) and (K or 1, P)."""
        mean = reference.covariance.whiten_each(self.mean - reference.mean)
        return mean, self.covariance.to_coordinates(reference.covariance)

    def from_coordinates(self, coordinates: tuple[Floats, ...]) -> Self:
        """The Gaussians that have these coordinates in the units of this one."""
        mean, covariance = coordinates
        center = self.mean + self.covariance.colorize_each(mean)
        return type(self)(center, self.covariance.from_coordinates(covariance))

    def subset(self, chosen: Ints) -> Self:
        """Some of the Gaussians; a tied covariance stays that of all."""
        tied = self.covariance.structure.tied
        covariance = self.covariance if tied else self.covariance.subset(chosen)
        return type(self)(self.mean[chosen], covariance)

    def sample(self, labels: Ints, rng: np.random.RandomState) -> Floats:
        """Draw a row for each label, (n, d)."""
        rows = rng.standard_normal((len(labels), self.mean.shape[1]))
        for k in range(len(self.mean)):
            chosen = labels == k
            rows[chosen] = self.covariance.colorize(rows[chosen], 0 if self.shared else k)
        return rows + self.mean[labels]

    def marginal(self, features: Ints) -> Self:
        """The Gaussians of some of the features."""
        return type(self)(self.mean[:, features], self.covariance.marginal(features))

    def conditional(self, features: Ints, values: Floats) -> tuple[Floats, Self]:
        """Log-densities (K,) of values of some features, and Gaussians of the others given these."""
        found = Conditioned.of(self.mean, self.covariance, features, values)
        log_prob = -0.5 * (len(features) * log(tau) + found.known.log_det + found.square)
        return log_prob, type(self)(found.mean, found.covariance)

    def n_parameters(self) -> int:
        """Count free parameters of means and covariances."""
        return self.mean.size + len(self.covariance) * self.covariance.structure.n_parameters

    def kernel(self, log_weights: Floats) -> GaussianKernel:
        """The E-step kernel that suits these Gaussians; log-weights (K,) are added."""
        parts = self.mean, self.covariance, self.max_log_prob + log_weights
        return GaussianKernel(kernel_of(*parts), *parts)

    # -- missing entries ---------------------------------------------------------------------------

    def conditionals(self, rows: Rows) -> Conditionals:
        """Each missing entry given the observed ones: Gaussians."""
        return Conditionals.of_gaussians(*self._partial().conditional_moments(incomplete(rows)))

    def draw_missing(self, rows: Rows, labels: Ints, rng: np.random.RandomState) -> Floats:
        """Rows (n, d) with a draw in place of missing entries, each from the density of its label."""
        noise = rng.standard_normal((self.mean.shape[1], len(labels)))

        def draw(label: Ints, rows: IncompleteRows, noise: Floats) -> Floats:
            return self.subset(label)._partial().drawn(rows, noise)

        return drawn_missing(rows, labels, noise, draw)

    def _partial(self) -> PartialKernel | ProjectedPartialKernel:
        return partial_kernel_of(self.mean, self.covariance, self.max_log_prob)


@dataclass(frozen=True, eq=False)
class GaussianFamily:
    """Estimation of Gaussians from moments.

    Attributes
    ----------
    structure : Structure
        Of the covariances.
    added_variance : ndarray of shape (d,)
        Added to the variances in every estimate. It is the maximum of the likelihood of rows that are
        spread with these variances, so that their expected log-density is what EM maximizes.
    prior : GaussianPrior or None
        Of means and covariances: pseudo-observations, which are added to the moments of every estimate.
    """

    structure: Structure
    added_variance: Floats
    prior: GaussianPrior | None = None

    @property
    def n_parts(self) -> int:
        return 1

    def statistics(self, rows: Rows, resp: Floats) -> Moments:
        """Moments of rows (d, n) under K sets of weights (K, n)."""
        return moments_of(rows, resp, self.structure)

    def with_prior(self, moments: Moments) -> Moments:
        """Moments of rows, and of the pseudo-observations."""
        return moments if self.prior is None else moments + self.prior.moments

    def estimate(self, moments: Moments, current: Gaussians | None = None) -> Gaussians:
        """The maximum of the likelihood, or the posterior mode if there is a prior."""
        known = self.with_prior(moments)
        start = None if current is None else current.covariance
        covariance = self.structure.estimate(known.scatter, known.dof, self.added_variance, start)
        return Gaussians(known.mean, covariance)

    def kernel(self, components: Gaussians, log_weights: Floats) -> GaussianKernel:
        """The kernel of the E-step: log-densities less the trace penalty."""
        return components.kernel(log_weights + components.trace_penalty(self.added_variance))

    def log_prior(self, components: Gaussians) -> float:
        """The expected log-density of the pseudo-observations, up to a constant."""
        if self.prior is None:
            return 0.0
        return components.log_density_of(self.prior.moments, self.added_variance)

    def predictive(self, components: Gaussians) -> Gaussians:
        """The densities that score rows: these."""
        return components
