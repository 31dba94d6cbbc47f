"""Expectation-maximization for probabilistic PCA of rows of which some entries are missing.

Missing entries are integrated out exactly: the latent variable is all that EM has to guess. Each
feature is regressed on the latent variable in the rows in which it was observed (Ilin & Raiko, 2010).
"""

from dataclasses import dataclass
from math import inf, log, sqrt
from typing import ClassVar

import numpy as np

from ..._typing import Floats
from ..family import BlockSums
from ..linalg import fix_signs
from .incomplete_rows import IncompleteBlock, LinearGaussian, PatternBlock, unpacked
from .spectrum import Spectrum

# Of the variance of a feature. Where the likelihood has no bound the noise shrinks step by step; below
# this share rounding errors of the regressions may end that.
MIN_NOISE = 1e-9


@dataclass(frozen=True, eq=False)
class IncompleteMoments:
    """Weighted sums of posterior moments of (u, 1), each over the rows in which a feature was observed.

    Attributes
    ----------
    second : ndarray of shape ((q + 1) (q + 2) / 2, d)
        For each feature, packed sums of E[(u, 1) (u, 1)'].
    cross : ndarray of shape (q + 1, d)
        For each feature, the sum of x E[(u, 1)].
    square : float
        The expected squared distance of the observed entries from W u + mean, over the noise variance.
    total : ndarray of shape ((q + 1) (q + 2) / 2,)
        The packed sum of E[(u, 1) (u, 1)'] over all rows.
    """

    second: Floats
    cross: Floats
    square: float
    total: Floats


@dataclass(frozen=True, eq=False)
class IncompleteEStep:
    """The E-step of one model.

    Attributes
    ----------
    model : LinearGaussian
    """

    model: LinearGaussian
    condition_number: ClassVar[float] = inf  # rows are not rounded to float32

    def __call__(self, block: IncompleteBlock | PatternBlock) -> BlockSums:
        """Sum up one block."""
        return block.sums(self.model)

    def statistics(self, total: BlockSums) -> IncompleteMoments:
        """The moments of all rows from their sums."""
        second, cross, square, everywhere = total.arrays
        return IncompleteMoments(second, cross, float(square), everywhere)


class IncompletePPCASteps:
    """EM for probabilistic PCA of rows with missing entries."""

    def e_step(self, model: LinearGaussian) -> IncompleteEStep:
        """The E-step of a model."""
        return IncompleteEStep(model)

    def log_prior(self, model: LinearGaussian) -> float:
        """0: there is no prior."""
        return 0.0

    def m_step(self, statistics: IncompleteMoments, model: LinearGaussian) -> LinearGaussian:
        """The parameters that maximize the expected log-likelihood of the observed entries.

        Mean and covariance of the latent variable are estimated too, and then absorbed into the mean
        and the loadings (parameter-expanded EM; Liu, Rubin & Wu, 1998).

        Raises
        ------
        FloatingPointError
            If the noise vanishes.
        """
        d, q = model.W.shape
        old = np.column_stack([model.W, model.mean])
        second = np.moveaxis(unpacked(statistics.second), -1, 0)
        # From the old residuals, which are as small as the noise: no digits cancel.
        rest = statistics.cross.T - np.einsum("dij,dj->di", second, old)
        change = np.linalg.solve(second, rest[:, :, None])[:, :, 0]
        square = model.noise * statistics.square - float(np.einsum("di,di->", rest, change))
        noise = square / float(statistics.second[-1].sum())
        if not noise > MIN_NOISE * ((model.W**2).sum() / d + model.noise):
            raise FloatingPointError("the noise variance vanished")
        W, mean = (old + change)[:, :q], (old + change)[:, q]
        everywhere = unpacked(statistics.total[:, None])[:, :, 0]
        center = everywhere[q, :q] / everywhere[q, q]
        spread = everywhere[:q, :q] / everywhere[q, q] - np.outer(center, center)
        return LinearGaussian(W @ np.linalg.cholesky(spread), mean + W @ center, noise)

    def coordinates(self, model: LinearGaussian) -> "LinearGaussianCoordinates":
        """Coordinates in units of a model's standard deviation."""
        return LinearGaussianCoordinates(sqrt((model.W**2).sum() / len(model.W) + model.noise))


@dataclass(frozen=True)
class LinearGaussianCoordinates:
    """The map between models and vectors: W and mean over a common unit, and the log of the noise.

    Attributes
    ----------
    unit : float
    """

    unit: float

    def vector(self, model: LinearGaussian) -> Floats:
        """From a model to a vector, (d q + d + 1,)."""
        return np.concatenate(
            [model.W.ravel() / self.unit, model.mean / self.unit, [log(model.noise)]]
        )

    def model(self, vector: Floats, like: LinearGaussian) -> LinearGaussian:
        """From a vector to a model of the shape of another."""
        d, q = like.W.shape
        W, mean, noise = np.split(vector, [d * q, d * q + d])
        if not 0.0 < (variance := float(np.exp(noise[0]))) < inf:
            raise FloatingPointError("the noise variance left the range of numbers")
        return LinearGaussian((W * self.unit).reshape(d, q), mean * self.unit, variance)


def spectrum_of(model: LinearGaussian) -> Spectrum:
    """All eigenvalues of W W' + s^2 I, and the q axes of the largest; with d - 1 all axes are known."""
    d, q = model.W.shape
    axes, norms, _ = np.linalg.svd(model.W, full_matrices=q == d - 1)
    variance = np.append(norms**2, np.zeros(d - q)) + model.noise
    return Spectrum(model.mean, variance, fix_signs(axes.T), float(variance.sum()), d)
