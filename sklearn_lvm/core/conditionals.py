"""What the observed entries of rows say of the missing ones."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from .._typing import AnySlice, Floats

N_BISECTIONS = 64  # which leave nothing of a bracket


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
        dof = self._dof_of_entries
        with np.errstate(divide="ignore", invalid="ignore"):
            ratio = np.where(np.isinf(dof), 1.0, np.where(dof > 2, dof / (dof - 2), np.inf))
            return np.where(self.square > 0, self.square * ratio, 0.0)

    @property
    def _dof_of_entries(self) -> Floats:
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
        probability = _standard_cdf((x - self.mean) / np.sqrt(self.square), self._dof_of_entries)
        return np.asarray(np.einsum("kn,kdn->dn", resp, probability))

    def quantile(self, resp: Floats, level: float) -> Floats:
        """Where the distribution function of each entry has a value, (d, n).

        That of a mixture lies between the least and the largest quantile of its components, and is
        found by bisection.

        Examples
        --------
        Of two far apart Gaussians the median of the lower one is the first quartile:

        >>> import numpy as np
        >>> from sklearn_lvm.core.conditionals import Conditionals
        >>> found = Conditionals.of_gaussians(np.array([[[-9.0]], [[9.0]]]), np.ones((2, 1, 1)))
        >>> found.quantile(np.full((2, 1), 0.5), 0.25).round(6)
        array([[-9.]])
        """
        reach = np.sqrt(self.square) * _standard_quantile(level, self._dof_of_entries)
        each, held = self.mean + reach, resp[:, None] > 0
        low = np.where(held, each, np.inf).min(axis=0)
        high = np.where(held, each, -np.inf).max(axis=0)
        for _ in range(N_BISECTIONS):
            middle = 0.5 * (low + high)
            if ((middle == low) | (middle == high)).all():
                break
            below = self.cdf(resp, middle) < level
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        return np.asarray(0.5 * (low + high))


def _standard_cdf(t: Floats, dof: Floats) -> Floats:
    """The distribution function of standard t variables, Gaussian where dof is infinite."""
    gaussian = np.isinf(dof)
    if gaussian.all():
        return np.asarray(ndtr(t))
    return np.asarray(np.where(gaussian, ndtr(t), stdtr(np.where(gaussian, 1.0, dof), t)))


def _standard_quantile(level: float, dof: Floats) -> Floats:
    """The inverse of that."""
    gaussian = np.isinf(dof)
    finite = np.where(gaussian, 1.0, dof)
    return np.asarray(np.where(gaussian, ndtri(level), stdtrit(finite, level)))
