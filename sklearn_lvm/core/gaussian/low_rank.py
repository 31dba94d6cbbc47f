"""Covariances of low rank plus noise, C = W W' + Psi: factor analyzers, and probabilistic PCA.

The latent coordinates t ~ N(0, I_q) of a row z = m + W t + noise are integrated out, so that the E-step
and the statistics are those of full covariances. Only the estimate is constrained: with S the scatter
of a component over its degrees of freedom, the variances that are added included, it raises
-(log |C| + tr(inv(C) S)) / 2.
"""

from dataclasses import dataclass, field, replace
from math import sqrt

import numpy as np

from ..._typing import Floats
from ..linalg import EPS, SingularCovarianceError, cholesky, deviations
from .covariance import Covariances, Structure, per_weight
from .decomposition import most_likely_noise
from .diagonal import Diagonal
from .full import Full
from .low_rank_covariances import LowRankCovariances

FIRST_SWEEPS = 10  # of an estimate that begins with half of each variance as noise
MANY_FEATURES = 100  # from which on moments are projected: estimates of whole scatters take d^3
MAX_PRIOR_FEATURES = 1000  # up to which priors have correlations: one matrix of them is small
N_COPIES = 3  # of a row, which the E-step of projected moments holds
LEAST_SHARE = 1e-8  # of a variance that noise keeps: whitened eigenvalues have eight more digits


@dataclass(frozen=True)
class LowRank(Structure):
    """W W' + diag(psi), with W (d, q): the covariance of a factor analyzer.

    Attributes
    ----------
    q : int
        Columns of W, or factors.
    projected : bool
        Whether the stored form is the diagonal, and statistics are projected moments.
    """

    q: int = 0
    projected: bool = field(default=False, compare=False)
    per_feature = True
    max_natural_features = Full.max_natural_features

    @property
    def n_parameters(self) -> int:
        return self._n_loadings + self.d

    @property
    def n_monomials(self) -> int:
        return self.unconstrained.n_monomials

    @property
    def unconstrained(self) -> Full | Diagonal:
        return (Diagonal if self.projected else Full)(self.d, self.tied)

    @property
    def of_priors(self) -> "LowRank":
        return self if self.d > MAX_PRIOR_FEATURES else replace(self, projected=False)

    def row_width(self, n_components: int) -> int:
        if self.projected:  # one Gaussian after the other
            return n_components * (self.q + 1) + N_COPIES * self.d
        return super().row_width(n_components)

    @property
    def wishart_size(self) -> int:
        return self.unconstrained.wishart_size

    def outer(self, v: Floats) -> Floats:
        return self.unconstrained.outer(v)

    def gram(self, R: Floats, w: Floats) -> Floats:
        return self.unconstrained.gram(R, w)

    def accumulate(self, R: Floats, w: Floats) -> tuple[Floats, Floats]:
        return self.unconstrained.accumulate(R, w)

    def diagonal(self, stored: Floats) -> Floats:
        return self.unconstrained.diagonal(stored)

    def uncorrelated(self, stored: Floats) -> Floats:
        return self.unconstrained.uncorrelated(stored)

    def monomials(self, Z: Floats, out: Floats) -> None:
        self.unconstrained.monomials(Z, out)

    def from_monomials(self, m: Floats) -> Floats:
        return self.unconstrained.from_monomials(m)

    def public_shape(self, n_components: int) -> tuple[int, ...]:
        return self._matrices.public_shape(n_components)

    def to_public(self, stored: Floats) -> Floats:
        return self.public(stored)

    @property
    def _matrices(self) -> Full:
        """The structure of the public form."""
        return Full(self.d, self.tied)

    def least_noise(self, variance: Floats, added_variance: Floats) -> Floats:
        """What noise may not fall below, (K, d): what is added, or next to nothing of the variances."""
        return np.asarray(np.maximum(added_variance, LEAST_SHARE * variance))

    def shared_noise(self, noise: Floats) -> Floats:
        """The noise of each feature, (K, d), as far as these differ."""
        return noise

    @property
    def max_identified(self) -> float:
        """Up to how many factors their number is no more than a full matrix has (Ledermann, 1937)."""
        return 0.5 * (2 * self.d + 1 - sqrt(8 * self.d + 1))

    def public_noise(self, noise: Floats) -> Floats:
        """The free entries of the noise, (K, d) -> (K, d)."""
        return noise

    @property
    def _n_loadings(self) -> int:
        """Entries of W up to a rotation."""
        q = min(self.q, self.d)
        return self.d * q - q * (q - 1) // 2

    def estimate(
        self,
        scatter: Floats,
        dof: Floats,
        added_variance: Floats,
        current: Covariances | None = None,
    ) -> LowRankCovariances:
        """A higher objective than that of ``current``, or where there is none nearly the highest.

        Given Psi the best W is known, and given W each entry of Psi (Zhao, Yu & Jiang, 2008): either
        raises the objective. Noise is no less than the variances that are added.
        """
        S = per_weight(scatter, dof) + np.diag(added_variance)
        S[dof <= 0] += np.eye(self.d)
        variance = np.diagonal(S, axis1=1, axis2=2)
        deviations(variance)  # a feature without any variance is refused by name
        least = self.least_noise(variance, added_variance)
        if isinstance(current, LowRankCovariances):
            return self._swept(S, current.with_least_noise(least))
        start = LowRankCovariances(
            self, np.zeros((*variance.shape, self.q)), np.maximum(0.5 * variance, least), least
        )
        start = replace(start, loadings=best_loadings(S, start.noise, self.q))
        for _ in range(FIRST_SWEEPS):
            start = self._swept(S, start)
        return start

    def _swept(self, S: Floats, current: LowRankCovariances) -> LowRankCovariances:
        """Psi given W, and then W given Psi, each the best."""
        noise = best_noise(S, current)
        loadings = best_loadings(S, noise, self.q)
        # What is raised may have had another number of factors.
        return replace(current, structure=self, noise=noise, loadings=loadings)

    def _from_matrices(self, matrices: Floats) -> LowRankCovariances:
        cholesky(matrices)  # refuses what is not positive definite
        return self._nearest(matrices)

    def _nearest(self, matrices: Floats) -> LowRankCovariances:
        """The covariances that are about the most likely under positive definite matrices."""
        noise = np.stack([most_likely_noise(S, self.q, LEAST_SHARE) for S in matrices])
        loadings = best_loadings(matrices, noise, self.q)
        variance = np.diagonal(matrices, axis1=1, axis2=2)
        return LowRankCovariances(self, loadings, noise, LEAST_SHARE * variance)

    def _from_precisions(self, precisions: Floats) -> LowRankCovariances:
        return self._from_matrices(self._matrices.from_public_precision(precisions).scatter)


@dataclass(frozen=True)
class IsotropicLowRank(LowRank):
    """W W' + s^2 I: the covariance of probabilistic PCA, whose estimate has a closed form."""

    per_feature = False

    @property
    def n_parameters(self) -> int:
        return self._n_loadings + 1

    def least_noise(self, variance: Floats, added_variance: Floats) -> Floats:
        least: Floats = np.maximum(added_variance.min(), LEAST_SHARE * self.shared_noise(variance))
        return least

    def shared_noise(self, noise: Floats) -> Floats:
        return np.broadcast_to(noise.mean(axis=1, keepdims=True), noise.shape)

    @property
    def max_identified(self) -> float:
        return self.d - 1

    def public_noise(self, noise: Floats) -> Floats:
        """The one number that the noise of all features is, (K, d) -> (K,)."""
        return noise[:, 0]

    def estimate(
        self,
        scatter: Floats,
        dof: Floats,
        added_variance: Floats,
        current: Covariances | None = None,
    ) -> LowRankCovariances:
        """The maximum of the objective (Tipping & Bishop, 1999, equations 7 and 8)."""
        S = per_weight(scatter, dof) + np.diag(added_variance)
        S[dof <= 0] += np.eye(self.d)
        values, axes = np.linalg.eigh(S)
        n_noise = self.d - self.q
        noise = values[:, :n_noise].mean(axis=1)
        lost = noise <= 4 * self.d * EPS * values[:, -1]
        if lost.any():
            raise _most_singular(S, int(lost.argmax()))
        size = np.sqrt(np.maximum(values[:, n_noise:] - noise[:, None], 0.0))
        loadings = with_signs((axes[:, :, n_noise:] * size[:, None])[:, :, ::-1])
        each = np.repeat(noise[:, None], self.d, axis=1)
        least = self.least_noise(each, added_variance)
        return LowRankCovariances(self, loadings, each, least)

    def _nearest(self, matrices: Floats) -> LowRankCovariances:
        return self.estimate(matrices, np.ones(len(matrices)), np.zeros(self.d))


def best_loadings(S: Floats, noise: Floats, q: int) -> Floats:
    """W given the noise, (K, d, q): leading eigenpairs of the whitened S, as far as these exceed 1."""
    size = np.sqrt(noise)
    values, axes = np.linalg.eigh(S / size[:, :, None] / size[:, None, :])
    first = S.shape[1] - q
    length = np.sqrt(np.maximum(values[:, first:] - 1.0, 0.0))
    return with_signs((size[:, :, None] * axes[:, :, first:] * length[:, None])[:, :, ::-1])


def with_signs(loadings: Floats) -> Floats:
    """Loadings (K, d, q) with the signs by which the largest entry of each column is positive."""
    if not loadings.size:
        return loadings
    largest = np.take_along_axis(loadings, np.abs(loadings).argmax(axis=1)[:, None], axis=1)
    return np.asarray(loadings * np.where(largest < 0, -1.0, 1.0))


def best_noise(S: Floats, current: LowRankCovariances) -> Floats:
    """The noise given W, (K, d), one entry after the other, each at its own maximum.

    With b the j-th column of inv(C), psi_j + (b'S b / b_j - 1) / b_j is that (Zhao, Yu & Jiang, 2008,
    equation 12), and inv(C) changes by a multiple of b b'. Only the column that is next is computed,
    from those before it.
    """
    precisions, noise = current.precisions, current.noise.copy()
    columns, share = np.empty_like(precisions), np.empty_like(noise)
    for j in range(S.shape[1]):
        earlier = columns[:, :j]
        b = precisions[:, j : j + 1] - (share[:, :j] * earlier[:, :, j])[:, None] @ earlier
        columns[:, j] = b[:, 0]
        own, known = b[:, 0, j], noise[:, j].copy()
        square = (b @ S @ b.mT)[:, 0, 0]
        noise[:, j] = np.maximum(known + (square / own - 1.0) / own, current.least_noise[:, j])
        change = noise[:, j] - known
        share[:, j] = change / (1.0 + change * own)
    return noise


def _most_singular(S: Floats, k: int) -> SingularCovarianceError:
    """Name the features that are constant, or follow from others, in the k-th of some matrices."""
    try:
        cholesky(S[k : k + 1])
    except SingularCovarianceError as found:
        return SingularCovarianceError(k, found.features)
    return SingularCovarianceError(k, tuple(range(S.shape[1])))
