"""Arrays of covariances of low rank plus noise; no matrix is formed unless one is asked for."""

from dataclasses import dataclass, fields, replace
from functools import cached_property, partial
from typing import Self

import numpy as np

from ..._typing import Bools, Floats, Ints
from ..linalg import cholesky
from .completion import Completer, FullCompleter
from .covariance import Covariances, Structure, Whitener
from .full import MAX_INFLATION, FullCovariances
from .orthogonal_completion import OrthogonalCompleter

NO_LOADINGS, LEAST_SIZE = 1e-6, 0.1  # in units of the noise
AT_FLOOR = 1.0 + 1e-9  # times the least noise, up to which noise counts as that


@dataclass(frozen=True, eq=False)
class LowRankCovariances(Covariances):
    """K covariances W W' + Psi, by their loadings and their noise.

    With inv(Psi)^(1/2) W = Q diag(s) R', a thin singular value decomposition, and r = sqrt(1 + s^2),
    the square root by which rows are whitened is L = Psi^(1/2) (I + Q (diag(r) - I) Q').

    Attributes
    ----------
    structure : Structure
    loadings : ndarray of shape (K, d, q)
        W, in any rotation.
    noise : ndarray of shape (K, d)
        Psi.
    least_noise : ndarray of shape (K, d)
        What noise may not fall below.
    """

    structure: Structure
    loadings: Floats
    noise: Floats
    least_noise: Floats

    def __getstate__(self) -> dict[str, object]:
        # What is computed from the rest, such as matrices, is left out of pickles and copies.
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @cached_property
    def _deviation(self) -> Floats:
        """Psi^(1/2), (K, d, 1)."""
        return np.sqrt(self.noise)[:, :, None]

    @cached_property
    def _decomposed(self) -> tuple[Floats, Floats, Floats]:
        """Q (K, d, p), s (K, p) and R' (K, p, q), p = min(d, q)."""
        Q, s, turn = np.linalg.svd(self.loadings / self._deviation, full_matrices=False)
        return Q, s, turn

    @property
    def axes(self) -> Floats:
        """Q, (K, d, p)."""
        return self._decomposed[0]

    @property
    def sizes(self) -> Floats:
        """s, (K, p)."""
        return self._decomposed[1]

    @cached_property
    def lengths(self) -> Floats:
        """r, (K, p, 1)."""
        return np.hypot(1.0, self._decomposed[1])[:, :, None]

    @property
    def at_floor(self) -> Bools:
        """Where noise is the least it may be, (K, d)."""
        return self.noise <= AT_FLOOR * self.least_noise

    def with_least_noise(self, least: Floats) -> Self:
        """The same with another floor of the noise, which is raised to it."""
        least = np.broadcast_to(least, self.noise.shape)
        return replace(self, noise=np.maximum(self.noise, least), least_noise=least)

    def with_least_loadings(self) -> Self:
        """The same, but that Gaussians without any loadings have small ones, in some directions.

        A step of EM that expects latent coordinates leaves loadings of zero where they are.
        """
        none = self.sizes.max(axis=1, initial=0.0) < NO_LOADINGS
        if not (none.any() and self.loadings.shape[2]):
            return self
        directions = np.random.RandomState(0).standard_normal(self.loadings.shape[1:])
        small = LEAST_SIZE * self._deviation * np.linalg.qr(directions)[0]
        return replace(self, loadings=np.where(none[:, None, None], small, self.loadings))

    # -- latent coordinates --------------------------------------------------------------------------

    def latent_mean(self, deviation: Floats) -> Floats:
        """E[t | z] of rows that lie z - m off the means, (K, d, n) -> (K, q, n)."""
        Q, s, turn = self._decomposed
        along = (s / (1.0 + s**2))[:, :, None] * (Q.mT @ (deviation / self._deviation))
        return turn.mT @ along

    # -- as matrices ---------------------------------------------------------------------------------

    @property
    def scatter(self) -> Floats:
        return self.loadings @ self.loadings.mT + self.noise[:, :, None] * np.eye(self.structure.d)

    @property
    def matrix(self) -> Floats:
        return self.structure.public(self.scatter)

    @cached_property
    def precisions(self) -> Floats:
        """The inverses, (K, d, d).

        As a square: Woodbury's identity subtracts, and where noise is small beside the loadings it
        loses as many digits as the one exceeds the other.
        """
        root = self._inverse_root
        return root.mT @ root

    @property
    def precision(self) -> Floats:
        return self.structure.public(self.precisions)

    @property
    def precision_factor(self) -> Floats:
        return self._as_full.precision_factor

    @property
    def _as_full(self) -> FullCovariances:
        return FullCovariances(self.structure, cholesky(self.scatter))

    @property
    def _inverse_root(self) -> Floats:
        """inv(L), (K, d, d)."""
        return self._shrunk(np.eye(self.structure.d) / self._deviation)

    # -- numbers -------------------------------------------------------------------------------------

    @property
    def log_det(self) -> Floats:
        return np.asarray(
            np.log(self.noise).sum(axis=1) + 2.0 * np.log(self.lengths).sum(axis=(1, 2))
        )

    @property
    def variances(self) -> Floats:
        return np.asarray(self.noise + (self.loadings**2).sum(axis=2))

    @cached_property
    def precision_diagonal(self) -> Floats:
        shrinkage = self._decomposed[1][:, :, None] / self.lengths
        return np.asarray((1.0 - ((self.axes * shrinkage.mT) ** 2).sum(axis=2)) / self.noise)

    def traces(self, stored: Floats) -> Floats:
        if stored.ndim == 2:  # of diagonal matrices
            return np.asarray((self.precision_diagonal * stored).sum(axis=1))
        if self.structure.projected:
            variance = np.diagonal(stored, axis1=1, axis2=2)
            along = self.axes * (self.sizes[:, :, None] / self.lengths).mT / self._deviation
            explained = (along * (stored @ along)).sum(axis=(1, 2))
            return np.asarray((variance / self.noise).sum(axis=1) - explained)
        return np.asarray((self.precisions * stored).sum(axis=(1, 2)))

    def log_det_growth(self, stored: Floats) -> Floats:
        return self._as_full.log_det_growth(stored)

    @np.errstate(over="ignore")
    def cancellation(self, mean: Floats) -> Floats:
        square = (mean**2).sum(axis=1) + self.variances.sum(axis=1)
        return np.asarray(square * self.precision_diagonal.max(axis=1))

    def natural_parameters(self, v: Floats) -> tuple[Floats, Floats]:
        P, (i, j) = self.precisions, np.triu_indices(self.structure.d)
        return (P @ v[:, :, None])[:, :, 0], np.where(i == j, -0.5, -1.0) * P[:, i, j]

    # -- square roots --------------------------------------------------------------------------------

    def _shrunk(self, u: Floats) -> Floats:
        """(I + Q (1 / r - 1) Q') u, (K, d, n)."""
        return u + self.axes @ ((1.0 / self.lengths - 1.0) * (self.axes.mT @ u))

    def _grown(self, u: Floats) -> Floats:
        """(I + Q (r - 1) Q') u, (K, d, n)."""
        return u + self.axes @ ((self.lengths - 1.0) * (self.axes.mT @ u))

    def whitener(self, mean: Floats) -> Whitener:
        shrinkage = 1.0 / self.lengths - 1.0
        return partial(
            _whiten, mean[:, :, None], 1.0 / self._deviation, self.axes, self.axes.mT * shrinkage
        )

    def completer(self, mean: Floats) -> Completer:
        if (self.precision_diagonal * self.variances).max() > MAX_INFLATION:
            return OrthogonalCompleter(mean, self._inverse_root)
        return FullCompleter(mean, self._inverse_root, self.precisions)

    def whiten_each(self, v: Floats) -> Floats:
        return self._shrunk(v[:, :, None] / self._deviation)[:, :, 0]

    def times(self, v: Floats) -> Floats:
        latent = self.loadings.mT @ v[:, :, None]
        return np.asarray((self.loadings @ latent)[:, :, 0] + self.noise * v)

    def colorize(self, e: Floats, k: int) -> Floats:
        Q, growth = self.axes[k], self.lengths[k, :, 0] - 1.0
        return np.asarray((e + ((e @ Q) * growth) @ Q.T) * self._deviation[k, :, 0])

    def colorize_each(self, v: Floats) -> Floats:
        return (self._deviation * self._grown(v[:, :, None]))[:, :, 0]

    def restore(self, stored: Floats) -> Floats:
        half = self._deviation * self._grown(stored)
        return self._deviation * self._grown(half.mT)

    # -- other units, other covariances --------------------------------------------------------------

    def rescale(self, s: Floats) -> Self:
        return replace(
            self,
            loadings=self.loadings * s[:, None],
            noise=self.noise * s**2,
            least_noise=self.least_noise * s**2,
        )

    def at_least(self, variance: Floats) -> Self:
        least = variance if self.structure.per_feature else variance.mean()
        return replace(self, noise=np.maximum(self.noise, least))

    def pooled(self, mean: Floats, weights: Floats) -> tuple[Floats, Self]:
        # The axes of one Gaussian are no basis for those of another: each is its own reference.
        return mean, self

    def to_coordinates(self, reference: Self) -> Floats:
        """Logarithms of the noise, and whitened loadings in the rotation nearest to the reference."""
        own, other = self.loadings / self._deviation, reference.loadings / reference._deviation
        U, _, V = np.linalg.svd(own.mT @ other)
        turned = own @ (U @ V)
        noise = np.log(self.noise / reference.noise)[:, : self._n_noise]
        return np.concatenate([noise, turned.reshape(len(turned), -1)], axis=1)

    def from_coordinates(self, coordinates: Floats) -> Self:
        n = self._n_noise
        noise = np.maximum(self.noise * np.exp(coordinates[:, :n]), self.least_noise)
        turned = coordinates[:, n:].reshape(self.loadings.shape)
        return replace(self, noise=noise, loadings=turned * np.sqrt(noise)[:, :, None])

    @property
    def _n_noise(self) -> int:
        """Free entries of the noise of one covariance."""
        return self.structure.d if self.structure.per_feature else 1

    def subset(self, chosen: Ints) -> Self:
        return replace(
            self,
            loadings=self.loadings[chosen],
            noise=self.noise[chosen],
            least_noise=self.least_noise[chosen],
        )

    def restructured(self, structure: Structure) -> Self:
        return replace(self, structure=structure)

    # -- some of the features ------------------------------------------------------------------------

    def marginal(self, features: Ints) -> Self:
        return replace(
            self,
            structure=replace(self.structure, d=len(features)),
            loadings=self.loadings[:, features],
            noise=self.noise[:, features],
            least_noise=self.least_noise[:, features],
        )

    def split(self, p: int) -> tuple[Self, Self]:
        # Given the first features t has the covariance R inv(diag(r^2)) R', or 1 where R says nothing.
        places = np.arange(self.structure.d)
        first, others = self.marginal(places[:p]), self.marginal(places[p:])
        turn, shrinkage = first._decomposed[2], 1.0 / first.lengths - 1.0
        loadings = others.loadings + (others.loadings @ turn.mT) @ (shrinkage * turn)
        return first, replace(others, loadings=loadings)

    def regress(self, e: Floats) -> Floats:
        p = e.shape[1]
        first = self.marginal(np.arange(p))
        Q, s, turn = first._decomposed
        latent = turn.mT @ (s[:, :, None] / first.lengths * (Q.mT @ e[:, :, None]))
        return (self.loadings[:, p:] @ latent)[:, :, 0]


def _whiten(mean: Floats, inverse: Floats, axes: Floats, shrinkage: Floats, Z: Floats) -> Floats:
    """inv(L_k) (z - m_k) of rows (d, n), with means and inverse deviations (K, d, 1)."""
    mean, inverse, axes, shrinkage = (
        array.astype(Z.dtype, copy=False) for array in (mean, inverse, axes, shrinkage)
    )
    u = (Z - mean) * inverse
    u += axes @ (shrinkage @ u)
    return u
