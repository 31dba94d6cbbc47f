"""Expectation-maximization for probabilistic PCA.

PCA has a closed form. EM is for where there is none; its statistics are moments of the latent variable.
"""

from dataclasses import dataclass
from functools import cached_property
from math import inf, log, tau
from typing import ClassVar

import numpy as np
from scipy.linalg import solve, svd

from ..._typing import Floats
from ..family import BlockSums
from ..linalg import fix_signs
from .centered_block import RowBlock
from .spectrum import Spectrum


@dataclass(frozen=True, eq=False)
class PPCAParameters:
    """The parameters of an EM iterate; the mean of the rows is zero.

    Attributes
    ----------
    W : ndarray of shape (d, q)
        Loadings, up to a rotation of the latent variable.
    noise : float
        The noise variance.
    """

    W: Floats
    noise: float

    @cached_property
    def M(self) -> Floats:
        """W' W + s^2 I, (q, q)."""
        matrix: Floats = self.W.T @ self.W
        matrix.flat[:: len(matrix) + 1] += self.noise
        return matrix

    def spectrum(self, mean: Floats) -> Spectrum:
        """The q largest eigenvalues of W W' + s^2 I and their axes."""
        d, q = self.W.shape
        axes, norms, _ = svd(self.W, full_matrices=False, check_finite=False)
        variance = norms**2 + self.noise
        total = float(variance.sum()) + (d - q) * self.noise
        return Spectrum(mean, variance, fix_signs(axes.T), total)


@dataclass(frozen=True, eq=False)
class LatentMoments:
    """Weighted sums of posterior moments of the latent variable u.

    Attributes
    ----------
    cross : ndarray of shape (q, d)
        sum_i w_i E[u_i] z_i'.
    second : ndarray of shape (q, q)
        sum_i w_i E[u_i u_i'].
    square : float
        sum_i w_i |z_i|^2.
    weight : float
        sum_i w_i.
    """

    cross: Floats
    second: Floats
    square: float
    weight: float


@dataclass(frozen=True, eq=False)
class PPCAEStep:
    """The E-step of one model: posterior moments of the latent variable.

    Attributes
    ----------
    W : ndarray of shape (d, q)
    noise : float
    M_inverse : ndarray of shape (q, q)
        The inverse of W' W + s^2 I.
    log_det : float
        log |W W' + s^2 I|.
    """

    W: Floats
    noise: float
    M_inverse: Floats
    log_det: float
    condition_number: ClassVar[float] = inf  # rows are not rounded to float32

    @classmethod
    def of(cls, model: PPCAParameters) -> "PPCAEStep":
        """Invert M of a model."""
        d, q = model.W.shape
        inverse = np.linalg.inv(model.M)
        log_det = float(np.linalg.slogdet(model.M)[1]) + (d - q) * log(model.noise)
        return cls(model.W, model.noise, inverse, log_det)

    def __call__(self, block: RowBlock) -> BlockSums:
        """Sum up one block (Tipping & Bishop, 1999, eqs. 25 and 26)."""
        d, w = len(self.W), block.weight
        y = block.project(self.W.T)
        u = self.M_inverse @ y
        square, weight = block.squared_norms(), float(w.sum())
        exponent = (square - np.einsum("qb,qb->b", y, u)) / self.noise
        log_likelihood = -0.5 * (w @ exponent + weight * (d * log(tau) + self.log_det))
        second = (u * w) @ u.T + weight * self.noise * self.M_inverse
        sums = (block.project_back(u * w), second, np.asarray(w @ square))
        return BlockSums(sums, float(log_likelihood), weight)

    def statistics(self, total: BlockSums) -> LatentMoments:
        """The posterior moments of all rows from their sums."""
        cross, second, square = total.arrays
        return LatentMoments(cross, second, float(square), total.weight)


class PPCASteps:
    """EM for probabilistic PCA of centered rows (Tipping & Bishop, 1999, eqs. 25 to 28)."""

    def e_step(self, model: PPCAParameters) -> PPCAEStep:
        """The E-step of a model."""
        return PPCAEStep.of(model)

    def log_prior(self, model: PPCAParameters) -> float:
        """0: there is no prior."""
        return 0.0

    def m_step(
        self, statistics: LatentMoments, model: PPCAParameters | None = None
    ) -> PPCAParameters:
        """The parameters that maximize the expected log-likelihood.

        The prior covariance of the latent variable is estimated too and then absorbed into W. This
        is parameter-expanded EM (Liu, Rubin & Wu, 1998). It maximizes the likelihood of plain EM in
        fewer steps: plain EM changes the length of a loading by a factor of 1 + O(s^2 / l_j) a step,
        which is slow where the variance l_j is far above the noise.
        """
        cross, second = statistics.cross, statistics.second
        W = solve(second, cross, assume_a="pos").T
        residual = statistics.square - float(np.einsum("qd,dq->", cross, W))
        noise = residual / (statistics.weight * len(W))
        if not noise > 0.0:
            raise FloatingPointError("the noise variance vanished")
        return PPCAParameters(W @ np.linalg.cholesky(second / statistics.weight), noise)

    def coordinates(self, model: PPCAParameters) -> "PPCACoordinates":
        """Coordinates in units of a model's standard deviation."""
        d = len(model.W)
        return PPCACoordinates(np.sqrt((model.W**2).sum() / d + model.noise))


@dataclass(frozen=True)
class PPCACoordinates:
    """The map between models and vectors: W over a common unit, and the log of the noise variance.

    Attributes
    ----------
    unit : float
    """

    unit: float

    def vector(self, model: PPCAParameters) -> Floats:
        """From a model to a vector, (d q + 1,)."""
        return np.append(model.W.ravel() / self.unit, log(model.noise))

    def model(self, vector: Floats, like: PPCAParameters) -> PPCAParameters:
        """From a vector to a model of the shape of another."""
        W = (vector[:-1] * self.unit).reshape(like.W.shape)
        return PPCAParameters(W, float(np.exp(vector[-1])))
