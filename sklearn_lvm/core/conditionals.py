"""What the observed entries of rows say of the missing ones."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from .._typing import Floats


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
