"""Expectation-maximisation for probabilistic principal components: loadings of any rotation, and noise.

For where there is no closed form; the latent variable's expectations are the statistics.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from math import log, tau

import numpy as np
from scipy.linalg import solve, svd

from .._typing import Array
from .centred import Slab
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
    """Sums of what is expected of the latent variable: a value with ``+``.

    Attributes
    ----------
    cross : ndarray of shape (q, d)
        sum_i w_i E[u_i] z_i'.
    second : ndarray of shape (q, q)
        sum_i w_i E[u_i u_i'].
    square, weight, evidence : float
        Sums of w |z|^2, of w, and of w log p(z).
    """

    cross: Array
    second: Array
    square: float
    weight: float
    evidence: float

    def __add__(self, other: "Latent") -> "Latent":
        pairs = zip(vars(self).values(), vars(other).values(), strict=True)
        return Latent(*(a + b for a, b in pairs))

    @property
    def statistics(self) -> "Latent":
        return self

    @property
    def objective(self) -> float:
        """The log-likelihood per unit of weight, in nats."""
        return self.evidence / self.weight


class FactorSteps:
    """EM for probabilistic PCA of centred rows (Tipping & Bishop, 1999, eqs. 25 to 28)."""

    def e_step(self, model: Loadings) -> Callable[[Slab], Latent]:
        """What to do with each slab of rows."""
        d, q = model.W.shape
        inverse = np.linalg.inv(model.inner)
        log_det = np.linalg.slogdet(model.inner)[1] + (d - q) * log(model.noise)

        def expect(slab: Slab) -> Latent:
            w, y = slab.weight, slab.project(model.W.T)
            u = inverse @ y
            square, weight = slab.squares(), float(w.sum())
            exponent = (square - np.einsum("qb,qb->b", y, u)) / model.noise
            evidence = -0.5 * (w @ exponent + weight * (d * log(tau) + log_det))
            second = (u * w) @ u.T + weight * model.noise * inverse
            return Latent(slab.gather(u * w), second, float(w @ square), weight, float(evidence))

        return expect

    def m_step(self, latent: Latent) -> Loadings:
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
