"""Moments: what a Gaussian model remembers of its data and of its prior, a value with ``+``."""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from ..._typing import Floats, Ints
from .covariance import Structure


@dataclass(frozen=True, eq=False)
class Moments:
    """K weighted counts, means and scatters about those means; ``a + b`` pools two of them.

    Adding is the pairwise merge of Chan, Golub & LeVeque (1979, eq. 2.1); with a prior on one side the
    same formula is the Normal-inverse-Wishart update. Scatter is kept about the mean, never about
    zero, so that an offset of the data costs no digits.

    Attributes
    ----------
    weight : ndarray of shape (K,)
        The summed weight of the rows, or of the pseudo-observations of a prior of the mean.
    dof : ndarray of shape (K,)
        The summed weight behind the scatter, in copies of -log|covariance|/2; ``weight`` for data.
    mean : ndarray of shape (K, d)
    scatter : ndarray of shape (K, *S)
        S is the shape of the stored form of the covariance structure. Where the structure is tied,
        ``dof`` and ``scatter`` are those of all K Gaussians together, with a leading axis of 1.
    structure : Structure
    """

    weight: Floats
    dof: Floats
    mean: Floats
    scatter: Floats
    structure: Structure

    @classmethod
    def of(cls, Z: Floats, w: Floats, structure: Structure) -> Self:
        """Measure rows, feature-major (d, n), under K sets of weights, (K, n)."""
        weight = w.sum(axis=1)
        mean = (w @ Z.T) / np.where(weight > 0, weight, 1.0)[:, None]
        scatter = [_scatter(Z, m, v, structure) for m, v in zip(mean, w, strict=True)]
        pooled = structure.pooled
        return cls(weight, pooled(weight), mean, pooled(np.stack(scatter)), structure)

    def __add__(self, other: Self) -> Self:
        weight = self.weight + other.weight
        share = other.weight / np.where(weight > 0, weight, 1.0)
        shift = other.mean - self.mean
        gap = self.structure.outer(shift * np.sqrt(self.weight * share)[:, None])
        return type(self)(
            weight,
            self.dof + other.dof,
            self.mean + share[:, None] * shift,
            self.scatter + other.scatter + self.structure.pooled(gap),
            self.structure,
        )

    def tiled(self, n: int) -> Self:
        """The moments of K Gaussians n times over, for n K Gaussians."""
        weight, dof = np.tile(self.weight, n), np.tile(self.dof, n)
        mean, scatter = (np.concatenate([a] * n) for a in (self.mean, self.scatter))
        return type(self)(weight, dof, mean, scatter, self.structure)

    def subset(self, chosen: Ints) -> Self:
        """The moments of some of the Gaussians; what is tied stays that of all."""
        own = slice(None) if self.structure.tied else chosen
        weight, mean = self.weight[chosen], self.mean[chosen]
        return type(self)(weight, self.dof[own], mean, self.scatter[own], self.structure)

    def shifted(self, shift: Floats) -> Self:
        """The moments of the same rows after z -> z + shift."""
        return replace(self, mean=self.mean + shift)

    def rescaled(self, factor: Floats) -> Self:
        """The moments of the same rows after z_j -> factor_j z_j, one common factor if spherical."""
        growth = self.structure.growth(factor)
        return type(self)(
            self.weight, self.dof, self.mean * factor, self.scatter * growth, self.structure
        )


def _scatter(Z: Floats, mean: Floats, w: Floats, structure: Structure) -> Floats:
    """The scatter of rows of one set of weights; where few have a weight, of these alone."""
    held = np.flatnonzero(w)
    if 2 * len(held) < len(w):
        Z, w = Z[:, held], w[held]
    return np.asarray(structure.gram((Z - mean[:, None])[None], w[None])[0])
