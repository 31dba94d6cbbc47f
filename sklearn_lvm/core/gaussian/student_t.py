"""K Student-t densities that are estimated: Gaussians whose rows weigh less the further out."""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
from scipy.optimize import brentq
from scipy.special import digamma

from ..._typing import Floats, Rows
from .density import GaussianFamily, Gaussians
from .kernels import ResidualKernel, Sums, in_float64
from .moments import Moments
from .partial import moments_of
from .student import StudentKernel, StudentTs

MIN_DOF, MAX_DOF = 1.0, 1e6  # of estimates: a Cauchy density, and what no rows tell from a Gaussian
START_DOF = 10.0  # of estimates that begin at the moments of the rows


@dataclass(frozen=True, eq=False)
class StudentTComponents(StudentTs):
    """Student-t densities with scale matrices C_k, which can be estimated: all factors are 1."""

    @classmethod
    def of(cls, gaussians: Gaussians, dof: Floats) -> Self:
        """The densities with the means of Gaussians, and their covariances as scale matrices."""
        return cls(gaussians.mean, gaussians.covariance, np.ones(len(dof)), dof)

    @property
    def gaussians(self) -> Gaussians:
        """The Gaussians of the same means, with the scale matrices as covariances."""
        return Gaussians(self.mean, self.covariance)

    def kernel(self, log_weights: Floats) -> "StudentTKernel":
        """The densities prepared to score and to measure rows; log-weights (K,) are added."""
        return StudentTKernel.of(self, log_weights)

    def pooled(self, weights: Floats) -> Self:
        """The density in units of which coordinates are."""
        return type(self).of(self.gaussians.pooled(weights), self.dof[:1])

    def to_coordinates(self, reference: Self) -> tuple[Floats, ...]:
        """Means, scale matrices, and logarithms of the degrees of freedom, (K, 1)."""
        places = self.gaussians.to_coordinates(reference.gaussians)
        return *places, np.log(self.dof / reference.dof)[:, None]

    def from_coordinates(self, coordinates: tuple[Floats, ...]) -> Self:
        """The densities that have these coordinates in the units of this one."""
        *places, tails = coordinates
        least, most = min(MIN_DOF, self.dof[0]), max(MAX_DOF, self.dof[0])
        dof = np.clip(self.dof * np.exp(tails[:, 0]), least, most)
        return type(self).of(self.gaussians.from_coordinates(tuple(places)), dof)


@dataclass(frozen=True, eq=False)
class StudentTMoments:
    """What is remembered of rows, of which each has an expected precision u; a value with ``+``.

    Attributes
    ----------
    weight : ndarray of shape (K,)
        Summed responsibilities.
    moments : Moments
        Weight, mean and scatter of rows that weigh u; its ``dof`` is the summed responsibilities.
    tails : ndarray of shape (K,)
        Summed E[log u] - E[u], of which degrees of freedom are made.
    """

    weight: Floats
    moments: Moments
    tails: Floats

    def __add__(self, other: Self) -> Self:
        weight, tails = self.weight + other.weight, self.tails + other.tails
        return type(self)(weight, self.moments + other.moments, tails)

    def tiled(self, n: int) -> Self:
        """The moments of K densities n times over, for n K densities."""
        weight, tails = np.tile(self.weight, n), np.tile(self.tails, n)
        return type(self)(weight, self.moments.tiled(n), tails)


@dataclass(frozen=True, eq=False)
class StudentTFamily:
    """Estimation of Student-t densities of full scale matrices.

    A row is Gaussian given a precision u, which is Gamma distributed and not seen (Liu & Rubin, 1995).

    Attributes
    ----------
    gaussian : GaussianFamily
        How means and scale matrices follow from moments.
    dof : float or None
        Degrees of freedom; None estimates those of each density.
    """

    gaussian: GaussianFamily
    dof: float | None = None

    @property
    def n_parts(self) -> int:
        return 1

    def statistics(self, rows: Rows, resp: Floats) -> StudentTMoments:
        """Moments of rows (d, n) under K sets of weights (K, n), each with a precision of 1."""
        moments = moments_of(rows, resp, self.gaussian.structure)
        return StudentTMoments(moments.weight, moments, -moments.weight * (1.0 + _gap(START_DOF)))

    def estimate(
        self, statistics: StudentTMoments, current: StudentTComponents | None = None
    ) -> StudentTComponents:
        """The maximum of the expected likelihood: means and scales, and degrees of freedom."""
        start = None if current is None else current.gaussians
        gaussians = self.gaussian.estimate(statistics.moments, start)
        if self.dof is not None:
            return StudentTComponents.of(gaussians, np.full(len(statistics.weight), self.dof))
        mean_tails = statistics.tails / np.where(statistics.weight > 0, statistics.weight, 1.0)
        return StudentTComponents.of(gaussians, np.array([most_likely_dof(t) for t in mean_tails]))

    def kernel(self, components: StudentTComponents, log_weights: Floats) -> "StudentTKernel":
        """The kernel of the E-step: log-densities less the trace penalty."""
        penalty = components.gaussians.trace_penalty(self.gaussian.added_variance)
        return components.kernel(log_weights + penalty)

    def log_prior(self, components: StudentTComponents) -> float:
        """The expected log-density of the pseudo-observations, up to a constant."""
        return self.gaussian.log_prior(components.gaussians)

    def predictive(self, components: StudentTComponents) -> StudentTComponents:
        """The densities that score rows: these."""
        return components


class StudentTKernel(StudentKernel):
    """Student-t densities prepared to score complete rows, and to measure them."""

    @cached_property
    def _residuals(self) -> ResidualKernel:
        """Of the Gaussians of the same means and scales."""
        known = self.densities
        return ResidualKernel(known.mean, known.covariance, self.log_weights, self.whiten)

    def accumulate(self, features: Floats, resp: Floats) -> Sums:
        """Sums of rows that weigh E[u] = (dof + d) / (dof + D), and of E[log u] - E[u]."""
        rate = (self.densities.dof[:, None] + np.einsum("kdn,kdn->kn", features, features)) / 2
        u = self.power / rate
        tails = (resp * (digamma(self.power) - np.log(rate) - u)).sum(axis=1)
        return in_float64(resp.sum(axis=1), tails, *self._residuals.accumulate(features, resp * u))

    def statistics(self, total: Sums) -> StudentTMoments:
        """The statistics of which these are the sums over all rows."""
        weight, tails, *sums = total
        moments = self._residuals.statistics(tuple(sums))
        dof = moments.structure.pooled(np.where(moments.weight > 0, weight, 0.0))
        return StudentTMoments(weight, replace(moments, dof=dof), tails)


def most_likely_dof(mean_tails: float) -> float:
    """The root of log(dof / 2) - digamma(dof / 2) + 1 + mean(E[log u] - E[u]), within bounds.

    The expected log-likelihood has one maximum, so that a bound is the best where the root lies beyond.

    Examples
    --------
    Precisions that do not differ at all are those of a Gaussian:

    >>> from sklearn_lvm.core.gaussian.student_t import MAX_DOF, most_likely_dof
    >>> most_likely_dof(-1.0) == MAX_DOF
    True
    """

    def slope(log_dof: float) -> float:
        return _gap(float(np.exp(log_dof))) + 1.0 + mean_tails

    low, high = np.log(MIN_DOF), np.log(MAX_DOF)
    if slope(low) <= 0:
        return MIN_DOF
    if slope(high) >= 0:
        return MAX_DOF
    return float(np.exp(brentq(slope, low, high, xtol=1e-13)))


def _gap(dof: float) -> float:
    """log(dof / 2) - digamma(dof / 2), which falls from infinity to zero."""
    return float(np.log(dof / 2) - digamma(dof / 2))
