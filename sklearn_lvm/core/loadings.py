"""Expectation-maximisation for probabilistic principal components: loadings of any rotation, and noise.

For where there is no closed form; the latent variable's expectations are the statistics.
"""

from dataclasses import dataclass
from functools import cached_property
from math import inf, log, tau

import numpy as np
from scipy.linalg import solve, svd

from .._typing import Array
from .centred import Slab
from .family import BlockSums
from .spectrum import Spectrum, upright


@dataclass(frozen=True, eq=False)
class Loadings:
    """A model on its way: W of any rotation, (d, q), and the noise."""

    W: Array
    noise: float

    @cached_property
    def inner(self) -> Array:
        """M = W' W + s^2 I, (q, q)."""
        matrix: Array = self.W.T @ self.W
        matrix.flat[:: len(matrix) + 1] += self.noise
        return matrix

    def spectrum(self, mean: Array) -> Spectrum:
        """The eigenvalues and axes of W W' + s^2 I."""
        d, q = self.W.shape
        axes, size, _ = svd(self.W, full_matrices=False, check_finite=False)
        variance = size**2 + self.noise
        total = float(variance.sum()) + (d - q) * self.noise
        return Spectrum(mean, variance, upright(axes.T), total)


@dataclass(frozen=True, eq=False)
class Latent:
    """Sums of what is expected of the latent variable.

    Attributes
    ----------
    cross : ndarray of shape (q, d)
        sum_i w_i E[u_i] z_i'.
    second : ndarray of shape (q, q)
        sum_i w_i E[u_i u_i'].
    square, weight : float
        Sums of w |z|^2 and of w.
    """

    cross: Array
    second: Array
    square: float
    weight: float


@dataclass(frozen=True, eq=False)
class FactorEStep:
    """The E-step of one model: W, the inverse of M, and the noise."""

    W: Array
    inverse: Array
    noise: float
    log_det: float
    condition_number = inf  # rows are not rounded

    @classmethod
    def of(cls, model: Loadings) -> "FactorEStep":
        d, q = model.W.shape
        log_det = np.linalg.slogdet(model.inner)[1] + (d - q) * log(model.noise)
        return cls(model.W, np.linalg.inv(model.inner), model.noise, float(log_det))

    def __call__(self, slab: Slab) -> BlockSums:
        """Expect the latent variables of a slab of rows."""
        w, y = slab.weight, slab.project(self.W.T)
        u = self.inverse @ y
        square, weight = slab.squares(), float(w.sum())
        exponent = (square - np.einsum("qb,qb->b", y, u)) / self.noise
        log_prob = -0.5 * (w @ exponent + weight * (len(self.W) * log(tau) + self.log_det))
        second = (u * w) @ u.T + weight * self.noise * self.inverse
        arrays = (slab.gather(u * w), second, np.asarray(w @ square))
        return BlockSums(arrays, float(log_prob), weight)

    def statistics(self, total: BlockSums) -> Latent:
        cross, second, square = total.arrays
        return Latent(cross, second, float(square), total.weight)


class FactorSteps:
    """EM for probabilistic PCA of centred rows (Tipping & Bishop, 1999, eqs. 25 to 28)."""

    def e_step(self, model: Loadings) -> FactorEStep:
        """What to do with each slab of rows."""
        return FactorEStep.of(model)

    def log_prior(self, model: Loadings) -> float:
        """Nothing: there is no prior."""
        return 0.0

    def m_step(self, latent: Latent, model: Loadings | None = None) -> Loadings:
        """The loadings and the noise that make these expectations most likely.

        The prior covariance of the latent variable is estimated along with them and then absorbed
        into W. This is the parameter-expanded EM of Liu, Rubin & Wu (1998): it climbs the same
        likelihood, and the lengths of loadings that stand far above the noise, which plain EM changes
        by a factor of 1 + O(s^2 / l_j) a step, are right at once.
        """
        W = solve(latent.second, latent.cross, assume_a="pos").T
        left = latent.square - float(np.einsum("qd,dq->", latent.cross, W))
        noise = left / (latent.weight * len(W))
        if not noise > 0.0:
            raise FloatingPointError("the noise variance vanished")
        return Loadings(W @ np.linalg.cholesky(latent.second / latent.weight), noise)

    def coordinates(self, model: Loadings) -> "LoadingsCoordinates":
        """Vectors for models about as large as this one."""
        d = len(model.W)
        return LoadingsCoordinates(np.sqrt((model.W**2).sum() / d + model.noise))


@dataclass(frozen=True)
class LoadingsCoordinates:
    """Models as vectors: W in one common unit, and the logarithm of the noise."""

    unit: float

    def vector(self, model: Loadings) -> Array:
        """All coordinates in a row."""
        return np.append(model.W.ravel() / self.unit, log(model.noise))

    def model(self, vector: Array, like: Loadings) -> Loadings:
        """The model that has these coordinates."""
        W = (vector[:-1] * self.unit).reshape(like.W.shape)
        return Loadings(W, float(np.exp(vector[-1])))
