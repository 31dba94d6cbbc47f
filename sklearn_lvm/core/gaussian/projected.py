"""Low-rank covariances of many features, which are estimated without any d x d matrix.

With d features a scatter S has d^2 entries. An EM step over the latent coordinates needs but S Q, with
Q the p axes of the present covariance, and the diagonal of S (Rubin & Thayer, 1982).
"""

from dataclasses import dataclass

import numpy as np

from ..._typing import Floats, Rows
from ..linalg import deviations
from .covariance import Structure, per_weight
from .density import GaussianFamily, Gaussians
from .low_rank import LowRank
from .low_rank_covariances import LowRankCovariances
from .moments import Moments
from .partial import filled, moments_of
from .projected_moments import ProjectedMoments, diagonal_of


@dataclass(frozen=True, eq=False)
class ProjectedFamily(GaussianFamily):
    """Estimation of Gaussians of low rank from projected moments."""

    @property
    def n_parts(self) -> int:
        return self.structure.d

    def statistics(self, rows: Rows, resp: Floats) -> ProjectedMoments:
        assert isinstance(self.structure, LowRank)
        moments = moments_of(rows, resp, self.structure)
        known = diagonal_of(moments)
        if self.prior is not None:
            known = known + diagonal_of(self.prior.moments)
        variance = per_weight(known.scatter, known.dof) + self.added_variance
        deviation = np.sqrt(np.where(variance > 0, variance, 1.0))
        return ProjectedMoments.of_rows(moments, deviation, filled(rows), resp, self.structure.q)

    def estimate(self, moments: Moments, current: Gaussians | None = None) -> Gaussians:
        """A higher objective than that of the covariances which the moments are projected on."""
        known = self.with_prior(moments)
        assert isinstance(known, ProjectedMoments)
        return Gaussians(known.mean, expanded_step(known, self.added_variance))


def expanded_step(moments: ProjectedMoments, added_variance: Floats) -> LowRankCovariances:
    """A step of parameter-expanded EM (Liu, Rubin & Wu, 1998, section 4.2).

    In units in which the noise is 1, with s the sizes of the loadings along the axes Q, the expected
    latent coordinates of rows are B u, B = diag(s / (1 + s^2)) Q'. With the covariance of these free,
    W = S B' inv(L'), where L L' = inv(I + diag(s^2)) + B S B', and psi_j = S_jj - sum_i W_ji^2.
    """
    structure, held = moments.structure, moments.dof > 0
    assert isinstance(structure, LowRank)
    share = 1.0 / np.where(held, moments.dof, 1.0)
    variance = moments.scatter * share[:, None] + added_variance
    variance[~held] += 1.0
    deviations(structure.shared_noise(variance))  # what has no variance is refused by name
    S_axes = moments.projected * share[:, None, None] + moments.with_diagonal(added_variance)
    gain = moments.sizes / (1.0 + moments.sizes**2)
    S_latent = S_axes * gain[:, None]
    spread = gain[:, :, None] * (moments.axes.mT @ S_latent)
    spread += np.eye(gain.shape[1]) / (1.0 + moments.sizes**2)[:, None]
    root = np.linalg.cholesky(0.5 * (spread + spread.mT))
    W = np.linalg.solve(root, S_latent.mT).mT * held[:, None, None]
    least = structure.least_noise(variance, added_variance)
    loadings = W * moments.deviation[:, :, None]
    noise = structure.shared_noise(variance - (loadings**2).sum(axis=2))
    return LowRankCovariances(structure, loadings, np.maximum(noise, least), least)


def family_of(structure: Structure, added_variance: Floats) -> GaussianFamily:
    """The family of Gaussians that a structure of covariances takes."""
    kind = ProjectedFamily if structure.projected else GaussianFamily
    return kind(structure, added_variance)
