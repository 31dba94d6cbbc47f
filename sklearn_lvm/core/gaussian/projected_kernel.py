"""The E-step kernel of Gaussians of low rank plus noise, for many features."""

from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from ..._typing import Floats
from .kernels import Sums, in_float64, in_precision_of, measurable
from .low_rank_covariances import LowRankCovariances
from .projected_moments import ProjectedMoments


class ProjectedFeatures(NamedTuple):
    """A block (d, n), its coordinates along the axes (K, p, n), and squared distances (K, n)."""

    rows: Floats
    along: Floats
    distance: Floats


@dataclass(frozen=True, eq=False)
class ProjectedKernel:
    """Gaussians by rows in units of the noise, u = inv(Psi)^(1/2) (z - m), and along the axes Q.

    By Woodbury's identity the squared distance is |u - Q a|^2 + |a / r|^2 with a = Q'u. Sums of u,
    u u' Q and the squares of u need d p numbers a Gaussian: d x d matrices are never formed, nor is an
    array of K x d x n. One Gaussian is done after the other.
    """

    mean: Floats
    covariance: LowRankCovariances
    max_log_prob: Floats
    n_sums: ClassVar[int] = 4

    @property
    def condition_number(self) -> float:
        # Squares are those of whitened coordinates, of rows about the mean.
        C = self.covariance
        with np.errstate(over="ignore"):
            return float(np.sqrt(((self.mean**2).sum(axis=1) / C.noise.min(axis=1)).max()))

    def _whitened(self, rows: Floats, k: int) -> Floats:
        """u_k, (d, n)."""
        mean = in_precision_of(self.mean[k, :, None], rows)
        u = rows - mean
        u *= in_precision_of(1.0 / np.sqrt(self.covariance.noise[k, :, None]), rows)
        return u

    def features(self, rows: Floats) -> ProjectedFeatures:
        C, n = self.covariance, rows.shape[1]
        along = np.empty((len(C), C.axes.shape[2], n), rows.dtype)
        distance = np.empty((len(C), n), rows.dtype)
        for k in range(len(C)):
            u, Q = self._whitened(rows, k), in_precision_of(C.axes[k], rows)
            np.matmul(Q.T, u, out=along[k])
            u -= Q @ along[k]
            np.einsum("dn,dn->n", u, u, out=distance[k])
            distance[k] += np.square(along[k] / in_precision_of(C.lengths[k], rows)).sum(axis=0)
        return ProjectedFeatures(rows, along, distance)

    def log_prob(self, features: ProjectedFeatures) -> Floats:
        log_prob = -0.5 * features.distance
        log_prob += in_precision_of(self.max_log_prob[:, None], features.rows)
        return log_prob

    def accumulate(self, features: ProjectedFeatures, resp: Floats) -> Sums:
        rows, along, _ = features
        (K, p, _), d = along.shape, len(rows)
        first, squares = np.empty((K, d), rows.dtype), np.empty((K, d), rows.dtype)
        projected = np.empty((K, d, p), rows.dtype)
        for k in range(K):
            u = self._whitened(rows, k)
            np.matmul(u, resp[k], out=first[k])
            np.matmul(u, (along[k] * resp[k]).T, out=projected[k])
            u *= u
            np.matmul(u, resp[k], out=squares[k])
        return in_float64(resp.sum(axis=1), first, squares, projected)

    def statistics(self, total: Sums) -> ProjectedMoments:
        """Undo the whitening, and move from the old means to the new."""
        weight, first, squares, projected = total
        weight, divisor = measurable(weight)
        held = weight > 0
        shift = np.where(held[:, None], first / divisor[:, None], 0.0)
        axes, deviation = self.covariance.axes, np.sqrt(self.covariance.noise)
        gap = shift * np.sqrt(weight)[:, None]
        squares = np.where(held[:, None], squares - gap**2, 0.0)
        across = (gap[:, None] @ axes)[:, 0]
        projected = np.where(
            held[:, None, None], projected - gap[:, :, None] * across[:, None], 0.0
        )
        return ProjectedMoments(
            weight,
            weight,
            self.mean + deviation * shift,
            deviation**2 * squares,
            self.covariance.structure,
            axes=axes,
            sizes=self.covariance.sizes,
            deviation=deviation,
            projected=projected,
        )
