"""Rows with missing entries under Gaussians of low rank plus noise, by their latent coordinates.

In units of the noise, with A = Q diag(s) the whitened loadings and u_o what was observed of a row, the
latent coordinates are Gaussian with the covariance V = inv(I + A_o'A_o) and the mean V A_o'u_o. Given
these the entries of a row are independent.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import log, tau
from typing import NamedTuple

import numpy as np

from ..._typing import Bools, Floats
from ..linalg import inverses
from .completion import Group
from .kernels import CompletedGroup, Sums
from .low_rank_covariances import LowRankCovariances
from .missing import IncompleteRows
from .projected_kernel import ProjectedKernel
from .projected_moments import ProjectedMoments


class LatentMoments(NamedTuple):
    """The latent coordinates of rows under one Gaussian: means (p, g), covariances (p, p, g).

    ``log_det`` is log |A_o'A_o + I|, (g,).
    """

    mean: Floats
    covariance: Floats
    log_det: Floats


class ProjectedCompletion(NamedTuple):
    """The rows of a group (d, g), what was observed of them, and their latent coordinates, K times."""

    values: Floats
    observed: Bools
    latent: tuple[LatentMoments, ...]
    distance: Floats


@dataclass(frozen=True, eq=False)
class ProjectedPartialKernel:
    """K Gaussians of low rank for incomplete rows: scores of what was observed, and expected sums."""

    mean: Floats
    covariance: LowRankCovariances
    max_log_prob: Floats

    @property
    def _complete(self) -> ProjectedKernel:
        return ProjectedKernel(self.mean, self.covariance, self.max_log_prob)

    @cached_property
    def _loadings(self) -> Floats:
        """A, (K, d, p)."""
        return np.asarray(self.covariance.axes * self.covariance.sizes[:, None])

    @cached_property
    def _products(self) -> tuple[Floats, ...]:
        """a_j a_j' of the rows of each A, (p * p, d)."""
        return tuple(products(A, A) for A in self._loadings)

    def _whitened(self, values: Floats, observed: Bools, k: int) -> Floats:
        """u of the entries that were observed, 0 for the others, (d, g)."""
        deviation = np.sqrt(self.covariance.noise[k, :, None])
        return np.asarray((values - self.mean[k, :, None]) / deviation * observed)

    def complete(self, rows: IncompleteRows, group: Group) -> ProjectedCompletion:
        """What is known of the rows of a group."""
        values, observed = rows.values[:, group.rows], rows.observed[:, group.rows]
        latent = tuple(self._latent(values, observed, k) for k in range(len(self.mean)))
        distance = np.stack([self._distance(values, observed, k, t) for k, t in enumerate(latent)])
        return ProjectedCompletion(values, observed, latent, distance)

    def _latent(self, values: Floats, observed: Bools, k: int) -> LatentMoments:
        A = self._loadings[k]
        p = A.shape[1]
        information = (self._products[k] @ observed).reshape(p, p, values.shape[1])
        information[range(p), range(p)] += 1.0
        covariance, log_det = inverses(information)
        mean = np.einsum("pqg,qg->pg", covariance, A.T @ self._whitened(values, observed, k))
        return LatentMoments(mean, covariance, log_det)

    def _distance(self, values: Floats, observed: Bools, k: int, latent: LatentMoments) -> Floats:
        """Squared distances of what was observed, (g,)."""
        residual = (
            self._whitened(values, observed, k) - (self._loadings[k] @ latent.mean) * observed
        )
        return np.asarray((residual**2).sum(axis=0) + (latent.mean**2).sum(axis=0))

    def completed(self, rows: IncompleteRows, group: Group) -> CompletedGroup[ProjectedCompletion]:
        """The rows of a group, to be scored and summed up."""
        n_missing = rows.n_missing[group.rows]
        return CompletedGroup(self, group.rows, self.complete(rows, group), n_missing)

    def log_prob(self, completion: ProjectedCompletion, n_missing: Floats) -> Floats:
        """Log-densities of the observed entries of a group, (K, g)."""
        C, missing = self.covariance, ~completion.observed
        log_det = np.stack([latent.log_det for latent in completion.latent])
        log_det -= 2.0 * np.log(C.lengths).sum(axis=(1, 2))[:, None] + np.log(C.noise) @ missing
        log_prob = self.max_log_prob[:, None] - 0.5 * (completion.distance + log_det)
        return np.asarray(log_prob + 0.5 * log(tau) * n_missing)

    def accumulate(self, completion: ProjectedCompletion, resp: Floats) -> Sums:
        """Expected sums over the rows of a group, as those of complete rows."""
        parts = zip(*(self._sums(completion, k, r) for k, r in enumerate(resp)), strict=True)
        return (resp.sum(axis=1), *(np.stack(sums) for sums in parts))

    def _sums(self, completion: ProjectedCompletion, k: int, resp: Floats) -> Sums:
        values, observed, latent, _ = completion
        (mean, covariance, _), missing = latent[k], ~observed
        A, Q = self._loadings[k], self.covariance.axes[k]
        (d, p), g = A.shape, len(resp)
        u = self._whitened(values, observed, k) + (A @ mean) * missing
        first, squares = u @ resp, (u * u) @ resp
        projected = u @ ((Q.T @ u) * resp).T
        weight, spread = missing @ resp, covariance * resp
        of_feature = (missing @ spread.reshape(p * p, g).T).reshape(d, p, p)
        squares += np.einsum("dp,dpq,dq->d", A, of_feature, A) + weight
        across = (products(A, Q) @ missing).reshape(p, p, g)
        across = np.einsum("pqg,qrg->prg", spread, across)
        of_axes = (missing @ across.reshape(p * p, g).T).reshape(d, p, p)
        projected += np.einsum("dp,dpq->dq", A, of_axes) + weight[:, None] * Q
        return first, squares, projected

    @property
    def no_sums(self) -> Sums:
        """Those of no rows at all."""
        axes = self.covariance.axes
        return np.zeros(len(axes)), np.zeros_like(self.mean), np.zeros_like(self.mean), 0.0 * axes

    def statistics(self, total: Sums) -> ProjectedMoments:
        """The moments of which these are the sums over all rows."""
        return self._complete.statistics(total)

    def conditional_moments(self, rows: IncompleteRows) -> tuple[Floats, Floats]:
        """The rows with conditional means in place of what is missing, and its variances, (K, d, n)."""
        mean = np.repeat(rows.values[None], len(self.mean), axis=0)
        variance = np.zeros_like(mean)
        for group, k, latent, missing in self._missing(rows):
            A, deviation = self._loadings[k], np.sqrt(self.covariance.noise[k, :, None])
            expected = self.mean[k, :, None] + deviation * (A @ latent.mean)
            np.copyto(mean[k][:, group.rows], expected, where=missing)
            spread = np.einsum("dp,pqg,dq->dg", A, latent.covariance, A, optimize=True)
            variance[k][:, group.rows] = deviation**2 * (1.0 + spread) * missing
        return rows.unsorted(mean), rows.unsorted(variance)

    def drawn(self, rows: IncompleteRows, noise: Floats) -> Floats:
        """Rows (d, n) of one Gaussian with conditional means plus noise, made of white noise (d, n)."""
        values, noise = rows.values.copy(), rows.sorted(noise)
        for group, k, latent, missing in self._missing(rows):
            A, deviation = self._loadings[k], np.sqrt(self.covariance.noise[k, :, None])
            drawn = A @ latent.mean + correlated(
                A, latent.covariance, noise[:, group.rows], missing
            )
            np.copyto(
                values[:, group.rows], self.mean[k, :, None] + deviation * drawn, where=missing
            )
        return rows.unsorted(values)

    def _missing(self, rows: IncompleteRows) -> Iterator[tuple[Group, int, LatentMoments, Bools]]:
        """The groups of incomplete rows under each Gaussian, and what is missing."""
        for group in rows.parts[1]:
            completion = self.complete(rows, group)
            for k, latent in enumerate(completion.latent):
                yield group, k, latent, ~completion.observed


def products(A: Floats, B: Floats) -> Floats:
    """a_j b_j' of the rows of two matrices (d, p), (p * p, d)."""
    return np.asarray((A.T[:, None] * B.T).reshape(-1, len(A)))


def correlated(A: Floats, covariance: Floats, e: Floats, missing: Bools) -> Floats:
    """(I + A_u V A_u')^(1/2) e_u of white noise e, with u what is missing, and 0 elsewhere, (d, g).

    With F F' = V and A_u F = U diag(l^(1/2)) R' it is e + A_u F R diag(f(l)) R' F'A_u'e, with
    f(l) = ((1 + l)^(1/2) - 1) / l.
    """
    e, p = e * missing, A.shape[1]
    F = np.linalg.cholesky(covariance.transpose(2, 0, 1))
    squares = (products(A, A) @ missing).reshape(p, p, e.shape[1]).transpose(2, 0, 1)
    values, R = np.linalg.eigh(F.mT @ squares @ F)
    growth = 1.0 / (np.sqrt(1.0 + np.maximum(values, 0.0)) + 1.0)  # f(l), whatever the size of l
    basis = F @ R
    inner = (basis.mT @ (A.T @ e).T[:, :, None]) * growth[:, :, None]
    return np.asarray(e + (A @ (basis @ inner)[:, :, 0].T) * missing)
