"""Derivatives of Gaussian log-densities, in coordinates in which each has unit information."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from ..._typing import Floats, Ints
from .covariance import Structure
from .density import GaussianFamily, Gaussians


@dataclass(frozen=True, eq=False)
class GaussianScores:
    """Derivatives of the penalized log-densities of K Gaussians, in natural parameters of their own.

    With y = inv(L_k) (z - m_k) the k-th Gaussian is the standard normal. The coordinates are those of
    its natural parameters there: d of the mean, and one for each monomial of the structure, divided by
    the standard deviation of that monomial. In these the information of a row is the identity.

    Attributes
    ----------
    gaussians : Gaussians
    family : GaussianFamily
        How they were estimated: what was added to the variances, and the prior.
    """

    gaussians: Gaussians
    family: GaussianFamily

    @property
    def _structure(self) -> Structure:
        return self.gaussians.covariance.structure

    @property
    def n_coordinates(self) -> int:
        """K d of means, and those of each covariance."""
        size = self._structure.n_parameters
        return self.gaussians.mean.size + len(self.gaussians.covariance) * size

    @cached_property
    def positions(self) -> Ints:
        """Those of the mean and of the covariance of each Gaussian, (K, q)."""
        (K, d), size = self.gaussians.mean.shape, self._structure.n_parameters
        means = np.arange(K * d).reshape(K, d)
        covariances = K * d + np.arange(len(self.gaussians.covariance) * size).reshape(-1, size)
        return np.concatenate([means, np.broadcast_to(covariances, (K, size))], axis=1)

    @cached_property
    def _squares(self) -> Floats:
        """The expected monomials of a standard normal, how many squares each one holds, (size,)."""
        return _summed_monomials(np.eye(self._structure.d), self._structure)

    @cached_property
    def _unit(self) -> Floats:
        """One over the standard deviations of these monomials: 2 a square, 1 a product, (size,)."""
        return 1.0 / np.sqrt(np.where(self._squares > 0, 2.0 * self._squares, 1.0))

    @cached_property
    def _added(self) -> Floats:
        """The expected monomials of what was added to the variances, whitened, (K or 1, size)."""
        return self._whitened_monomials(np.diag(np.sqrt(self.family.added_variance)))

    def _whitened_monomials(self, rows: Floats) -> Floats:
        """The monomials of rows (d, n), whitened by each covariance and added up, (K or 1, size)."""
        covariance = self.gaussians.covariance
        nothing = np.zeros((len(covariance), self._structure.d))
        whitened = covariance.whitener(nothing)(rows)
        return np.stack([_summed_monomials(each, self._structure) for each in whitened])

    def first(self, rows: Floats) -> Floats:
        """First derivatives, of rows (d, n), (K, q, n)."""
        y = self.gaussians.covariance.whitener(self.gaussians.mean)(rows)
        K, d, n = y.shape
        scores = np.empty((K, self.positions.shape[1], n))
        scores[:, :d] = y
        for residuals, out in zip(y, scores[:, d:], strict=True):
            self._structure.monomials(residuals, out)
        scores[:, d:] += (self._added - self._squares)[:, :, None]
        scores[:, d:] *= self._unit[:, None]
        return scores

    def second(self, rows: Floats, resp: Floats) -> Floats:
        """The summed responsibilities of the Gaussian that each coordinate is of."""
        weight = resp.sum(axis=1)
        return self._repeated(weight, self._structure.pooled(weight))

    def first_of_prior(self) -> Floats:
        """Those of the log-density of the pseudo-observations, (n_coordinates,)."""
        prior, structure = self.family.prior, self._structure
        if prior is None:
            return np.zeros(self.n_coordinates)
        known, covariance = prior.moments, self.gaussians.covariance
        gap = covariance.whiten_each(prior.mean - self.gaussians.mean)
        gaps = np.stack([_summed_monomials(each[:, None], structure) for each in gap])
        scatter = structure.estimate(
            known.scatter, np.ones(len(known.scatter)), np.zeros(structure.d)
        )
        roots = [scatter.colorize(np.eye(structure.d), i).T for i in range(len(scatter))]
        spread = np.stack([self._whitened_monomials(root) for root in roots])
        own = np.minimum(np.arange(len(covariance)), len(roots) - 1)  # which of them is of which
        second = spread[own, np.arange(len(covariance))]
        second += known.dof[:, None] * (self._added - self._squares)
        second += structure.pooled(known.weight[:, None] * gaps)
        means = known.weight[:, None] * gap
        return np.concatenate([means.ravel(), (second * self._unit).ravel()])

    def second_of_prior(self) -> Floats:
        """How many pseudo-observations the mean, or the covariance, of each coordinate has."""
        prior = self.family.prior
        if prior is None:
            return np.zeros(self.n_coordinates)
        K, n_covariances = len(self.gaussians.mean), len(self.gaussians.covariance)
        known = prior.moments
        return self._repeated(
            np.broadcast_to(known.weight, (K,)), np.broadcast_to(known.dof, (n_covariances,))
        )

    def _repeated(self, of_means: Floats, of_covariances: Floats) -> Floats:
        size = self._structure.n_parameters
        means = np.repeat(of_means, self._structure.d)
        return np.concatenate([means, np.repeat(of_covariances, size)])

    def mean_images(self, k: int) -> Floats:
        """Derivatives of the k-th mean by its coordinates, (d, d)."""
        return self.gaussians.covariance.colorize(
            np.eye(self._structure.d), 0 if self.gaussians.shared else k
        )

    def covariance_images(self, k: int) -> Floats:
        """Derivatives of the k-th covariance, in the public form, by its coordinates, (size, ...)."""
        stored = self._structure.from_monomials(np.diag(1.0 / self._unit))
        images = self.gaussians.covariance.subset(np.array([k])).restore(stored)
        return replace(self._structure, tied=False).to_public(images)


def _summed_monomials(rows: Floats, structure: Structure) -> Floats:
    """The monomials of rows (d, n), added up, (size,)."""
    out = np.empty((structure.n_parameters, rows.shape[1]))
    structure.monomials(rows, out)
    return np.asarray(out.sum(axis=1))
