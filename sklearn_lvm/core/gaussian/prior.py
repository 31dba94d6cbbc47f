"""Priors of means and covariances: what would be known of every Gaussian had some rows been seen."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np

from ..._typing import Floats
from .covariance import Structure
from .moments import Moments


@dataclass(frozen=True, eq=False)
class GaussianPrior:
    """A Normal-inverse-Wishart prior, the same for all of K Gaussians or one for each.

    A mode needs no proper density: nu0 > -d - 2 is enough, and the prior of a mean may be flat.

    Attributes
    ----------
    structure : Structure
    scatter : ndarray of shape (1, *S) or (K, *S)
        Psi0, the scatter of the pseudo-observations, in the stored form of the structure.
    strength : ndarray of shape (1,) or (K,)
        A = nu0 + d + 2, how many pseudo-observations each covariance has.
    mean : ndarray of shape (d,)
        Where means are expected.
    mean_precision : float
        How many observations that is worth; 0 is flat.
    n_means : int
        How many means share a covariance: K if it is tied.
    """

    structure: Structure
    scatter: Floats
    strength: Floats
    mean: Floats
    mean_precision: float = 0.0
    n_means: int = 1

    def rescale(self, shift: Floats, scale: Floats) -> Self:
        """The prior of the Gaussians of scale * z + shift, one common scale if they are spherical."""
        scatter = self.scatter * self.structure.growth(scale)
        return replace(self, scatter=scatter, mean=self.mean * scale + shift)

    def in_units_of(self, weight: float) -> Self:
        """The prior in numbers of observations that weigh so much, as weights of a sample are."""
        return replace(
            self,
            scatter=self.scatter / weight,
            strength=self.strength / weight,
            mean_precision=self.mean_precision / weight,
        )

    def with_mean_of(self, other: Self) -> Self:
        """The same prior of covariances, with the prior of means of another, in its structure."""
        return replace(other, scatter=self.scatter, strength=self.strength)

    @classmethod
    def side_by_side(cls, priors: Sequence[Self], n_components: int) -> Self:
        """Those of several mixtures of K Gaussians each, as of one mixture; of one, if it is tied."""
        if len(priors) == 1:
            return priors[0]
        n = 1 if priors[0].structure.tied else n_components
        scatter = np.concatenate([np.repeat(prior.scatter, n, axis=0) for prior in priors])
        strength = np.concatenate([np.repeat(prior.strength, n) for prior in priors])
        return replace(priors[0], scatter=scatter, strength=strength)

    @cached_property
    def moments(self) -> Moments:
        """The moments of the pseudo-observations.

        Their density holds -log|C| / 2 A times, of which one is that of a mean. A covariance that is
        tied has one for each of its means; flat priors of these have one in all.
        """
        dof = self.strength + (self.n_means - 1 if self.mean_precision else 0)
        weight = np.array([self.mean_precision])
        return Moments(weight, dof, self.mean[None], self.scatter, self.structure)
