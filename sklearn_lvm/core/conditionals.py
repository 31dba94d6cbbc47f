"""What the observed entries of rows say of the missing ones."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import sqrt, tau
from typing import Self

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from .._typing import AnySlice, Floats
from .log_gamma import log_gamma_ratio

ValueAndSlope = Callable[[Floats], tuple[Floats, Floats]]

MAX_STEPS = 100  # of a search, of which about ten are needed
LEAST_STEP = 1e-12  # share of a standard deviation


@dataclass(frozen=True, eq=False)
class Conditionals:
    """Each missing entry of n rows given the observed ones, under each of K densities.

    The density of a missing entry is a Gaussian, or a Student-t with some degrees of freedom. Only of
    entries one by one is it known here, not of several together.

    Attributes
    ----------
    mean : ndarray of shape (K, d, n)
        Conditional means; where an entry was observed, the entry itself.
    square : ndarray of shape (K, d, n)
        Squared scales: variances of Gaussians; 0 where an entry was observed.
    dof : ndarray of shape (K, n) or (K, d, n)
        Degrees of freedom; infinite for Gaussians.
    """

    mean: Floats
    square: Floats
    dof: Floats

    @classmethod
    def of_gaussians(cls, mean: Floats, variance: Floats) -> Self:
        """Gaussians of these means and variances, (K, d, n)."""
        return cls(mean, variance, np.full((len(mean), mean.shape[2]), np.inf))

    @property
    def variance(self) -> Floats:
        """Variances of the entries, (K, d, n); infinite with two degrees of freedom or less."""
        dof = self.dof_of_entries
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(np.isinf(dof), 1.0, np.where(dof > 2, dof / (dof - 2), np.inf))
            return np.where(self.square > 0, self.square * ratio, 0.0)

    @property
    def dof_of_entries(self) -> Floats:
        """Degrees of freedom as an array that broadcasts over entries."""
        return self.dof if self.dof.ndim == 3 else self.dof[:, None, :]

    def rescaled(self, shift: Floats, scale: Floats) -> Self:
        """The same entries after x_j = scale_j z_j + shift_j."""
        scale, shift = scale[:, None], shift[:, None]
        return replace(self, mean=self.mean * scale + shift, square=self.square * scale**2)

    def moments(self, resp: Floats) -> tuple[Floats, Floats]:
        """Means and variances under responsibilities (K, n): (d, n) twice.

        Var x = sum_k r_k (v_k + (m_k - m)^2).
        """
        mean = np.einsum("kn,kdn->dn", resp, self.mean)
        spread = self.variance + (self.mean - mean) ** 2
        return mean, np.einsum("kn,kdn->dn", resp, spread)

    def of_entries(self, entries: AnySlice) -> Self:
        """Some of the entries of each row."""
        dof = self.dof[:, entries] if self.dof.ndim == 3 else self.dof
        return type(self)(self.mean[:, entries], self.square[:, entries], dof)

    def cdf(self, resp: Floats, x: Floats) -> Floats:
        """The probability that an entry is at most x, under responsibilities (K, n): (d, n)."""
        t = (x - self.mean) / np.sqrt(self.square)
        return np.asarray(np.einsum("kn,kdn->dn", resp, _cdf(t, self.dof_of_entries)))

    def pdf(self, resp: Floats, x: Floats) -> Floats:
        """The density of an entry at x, under responsibilities (K, n): (d, n)."""
        size = np.sqrt(self.square)
        density = _pdf((x - self.mean) / size, self.dof_of_entries) / size
        return np.asarray(np.einsum("kn,kdn->dn", resp, density))

    def quantile(self, resp: Floats, level: float) -> Floats:
        """Where the distribution function of each entry has a value, (d, n).

        That of a mixture lies between the least and the largest quantile of its components. It is
        found by Newton's method, with bisection where steps leave the bracket or do not shrink.

        Examples
        --------
        Of two far apart Gaussians the median of the lower one is the first quartile:

        >>> import numpy as np
        >>> from sklearn_lvm.core.conditionals import Conditionals
        >>> found = Conditionals.of_gaussians(np.array([[[-9.0]], [[9.0]]]), np.ones((2, 1, 1)))
        >>> found.quantile(np.full((2, 1), 0.5), 0.25).round(6)
        array([[-9.]])
        """
        if level > 0.5:  # where the distribution function is near 1 it has few digits
            return -replace(self, mean=-self.mean).quantile(resp, 1.0 - level)
        size = np.sqrt(self.square)
        each, held = self.mean + size * _quantile(level, self.dof_of_entries), resp[:, None] > 0
        low = np.where(held, each, np.inf).min(axis=0)
        high = np.where(held, each, -np.inf).max(axis=0)
        return _root(
            lambda x: (self.cdf(resp, x) - level, self.pdf(resp, x)),
            low,
            high,
            LEAST_STEP * size.min(axis=0) + 2.0 * np.spacing(np.maximum(np.abs(low), np.abs(high))),
        )


@np.errstate(divide="ignore", invalid="ignore", over="ignore")
def _root(function: ValueAndSlope, low: Floats, high: Floats, least: Floats) -> Floats:
    """Where an increasing function is 0, within brackets and up to a least step, entry by entry."""
    x, step = 0.5 * (low + high), high - low
    for _ in range(MAX_STEPS):
        value, slope = function(x)
        low, high = np.where(value < 0, x, low), np.where(value < 0, high, x)
        newton = x - value / slope
        good = (low <= newton) & (newton <= high) & (2.0 * np.abs(newton - x) <= step)
        following = np.where(good, newton, 0.5 * (low + high))
        # What has been found stays: the next steps would be rounding errors.
        x, step = np.where(step > least, following, x), np.minimum(step, np.abs(following - x))
        if (step <= least).all():
            break
    return np.asarray(x)


def _cdf(t: Floats, dof: Floats) -> Floats:
    """The distribution function of t variables, or of Gaussian ones where dof is infinite."""
    gaussian = np.isinf(dof)
    if gaussian.all():
        return np.asarray(ndtr(t))
    return np.asarray(np.where(gaussian, ndtr(t), stdtr(np.where(gaussian, 1.0, dof), t)))


def _pdf(t: Floats, dof: Floats) -> Floats:
    """Their density."""
    gaussian = np.isinf(dof)
    finite = np.where(gaussian, 1.0, dof)
    tail = (finite + 1.0) / 2 * np.log1p(t**2 / finite) - log_gamma_ratio(finite / 2, 0.5)
    return np.asarray(np.exp(-np.where(gaussian, t**2 / 2, tail)) / sqrt(tau))


def _quantile(level: float, dof: Floats) -> Floats:
    """Their quantiles."""
    gaussian = np.isinf(dof)
    finite = np.where(gaussian, 1.0, dof)
    return np.asarray(np.where(gaussian, ndtri(level), stdtrit(finite, level)))
