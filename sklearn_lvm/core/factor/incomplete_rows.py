"""Rows of probabilistic PCA with missing entries, and the latent variable given the observed ones.

In units of the noise, with V = W / s, the latent variable of a row given its observed entries x_o is
Gaussian with covariance C = inv(I + V_o' V_o) and mean C V_o' (x_o - m_o) / s (Tipping & Bishop, 1999,
section 4.1). Each row has a matrix of its own: those of a block come from one product with their mask.

Symmetric matrices are packed: the rows of the lower triangle, one after the other.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from math import log, sqrt, tau

import numpy as np

from ..._typing import Bools, Floats, Ints
from ..conditionals import Conditionals
from ..family import BlockSums
from ..linalg import inverses
from .density import PPCADensity

MIN_PATTERN_ROWS = 128  # rows from which those with the same entries observed share their matrix


@dataclass(frozen=True, eq=False)
class LinearGaussian:
    """x = W u + mean + noise, with the axes in any rotation.

    Attributes
    ----------
    W : ndarray of shape (d, q)
    mean : ndarray of shape (d,)
    noise : float
        The noise variance.
    """

    W: Floats
    mean: Floats
    noise: float

    @classmethod
    def of(cls, density: PPCADensity) -> "LinearGaussian":
        """The parameters of a density, in its own rotation."""
        return cls(density.loadings, density.mean, density.noise)

    @cached_property
    def V(self) -> Floats:
        """Loadings in units of the noise, (d, q)."""
        return self.W / sqrt(self.noise)

    @cached_property
    def products(self) -> Floats:
        """The packed v_j v_j' of each feature j, (q (q + 1) / 2, d)."""
        rows, columns = np.tril_indices(self.W.shape[1])
        return np.ascontiguousarray((self.V[:, rows] * self.V[:, columns]).T)

    def latent(self, Z: Floats) -> "LatentGaussians":
        """The latent variables of rows (d, n), in which NaN was not observed."""
        return IncompleteBlock.of(Z, np.ones(Z.shape[1])).latent(self)

    def conditional_mean(self, Z: Floats) -> Floats:
        """Means of all entries of rows given the observed ones, (d, n)."""
        return np.asarray(self.W @ self.latent(Z).mean + self.mean[:, None])

    def conditionals(self, Z: Floats) -> Conditionals:
        """Each missing entry of rows (d, n) given the observed ones, under this one density."""
        missing, found = np.isnan(Z), self.latent(Z)
        spread = np.einsum("dij,ijn->dn", self.V[:, :, None] * self.V[:, None, :], found.covariance)
        mean = np.where(missing, self.W @ found.mean + self.mean[:, None], Z)
        variance = np.where(missing, self.noise * (1.0 + spread), 0.0)
        return Conditionals.of_gaussians(mean[None], variance[None])

    def draw(self, Z: Floats, rng: np.random.RandomState) -> Floats:
        """Draw all entries of rows (d, n) anew, together, given the observed ones."""
        u = self.latent(Z).draw(rng)
        noise = sqrt(self.noise) * rng.standard_normal(Z.T.shape).T
        return np.asarray(self.W @ u + self.mean[:, None] + noise)


@dataclass(frozen=True, eq=False)
class LatentGaussians:
    """The latent variable of b rows given what was observed of each.

    Attributes
    ----------
    mean : ndarray of shape (q, b)
    covariance : ndarray of shape (q, q, b)
    log_prob : ndarray of shape (b,)
        Log-densities of the observed entries, in nats.
    square : ndarray of shape (b,)
        Expected squared distances of the observed entries from W u + mean, over the noise variance.
    """

    mean: Floats
    covariance: Floats
    log_prob: Floats
    square: Floats

    def draw(self, rng: np.random.RandomState) -> Floats:
        """One latent variable for each row, (q, b)."""
        q, b = self.mean.shape
        factor = np.linalg.cholesky(np.moveaxis(self.covariance, -1, 0))
        noise = np.einsum("bij,bj->ib", factor, rng.standard_normal((b, q)))
        return np.asarray(self.mean + noise)


@dataclass(frozen=True, eq=False)
class IncompleteBlock:
    """Rows with a pattern each.

    Attributes
    ----------
    Z : ndarray of shape (d, b)
        0 where an entry is missing.
    observed : ndarray of bool of shape (d, b)
    weight : ndarray of shape (b,)
    """

    Z: Floats
    observed: Bools
    weight: Floats

    @classmethod
    def of(cls, Z: Floats, weight: Floats) -> "IncompleteBlock":
        """Rows (d, b), in which NaN was not observed."""
        observed = ~np.isnan(Z)
        return cls(np.where(observed, Z, 0.0), observed, weight)

    def latent(self, model: LinearGaussian) -> LatentGaussians:
        """The latent variables under a model."""
        q, mask = model.W.shape[1], self.observed.astype(np.float64)
        R = (self.Z - model.mean[:, None]) * (mask / sqrt(model.noise))
        matrix = unpacked(model.products @ mask)
        matrix[range(q), range(q)] += 1.0
        covariance, log_det = inverses(matrix)
        mean = np.einsum("ijb,jb->ib", covariance, model.V.T @ R)
        R -= (model.V @ mean) * mask
        residual, n_observed = np.einsum("db,db->b", R, R), mask.sum(axis=0)
        exponent = n_observed * log(tau * model.noise) + log_det + residual
        log_prob = 0.0 - 0.5 * (exponent + np.einsum("qb,qb->b", mean, mean))  # never minus zero
        square = residual + q - np.einsum("iib->b", covariance)  # tr V C V' = tr (inv(C) - I) C
        return LatentGaussians(mean, covariance, log_prob, square)

    def sums(self, model: LinearGaussian) -> BlockSums:
        """What the M-step adds up: moments of (u, 1) for each feature, and of all rows."""
        found, q, w = self.latent(model), model.W.shape[1], self.weight
        rows, columns = np.tril_indices(q)
        second = np.empty(((q + 1) * (q + 2) // 2, len(w)))
        np.multiply(found.mean[rows], found.mean[columns], out=second[: len(rows)])
        second[: len(rows)] += found.covariance[rows, columns]
        second[len(rows) : -1], second[-1] = found.mean, 1.0
        second *= w
        cross = second[len(rows) :] @ self.Z.T
        square = np.asarray(w @ found.square)
        arrays = (second @ self.observed.T.astype(np.float64), cross, square, second.sum(axis=1))
        return BlockSums(arrays, float(w @ found.log_prob), float(w.sum()))


@dataclass(frozen=True, eq=False)
class PatternBlock:
    """Rows of which the same entries were observed: they share one matrix.

    Attributes
    ----------
    Z : ndarray of shape (k, b)
        The observed entries alone.
    features : ndarray of shape (k,)
        Which entries were observed.
    d : int
        The number of all features.
    weight : ndarray of shape (b,)
    """

    Z: Floats
    features: Ints
    d: int
    weight: Floats

    def sums(self, model: LinearGaussian) -> BlockSums:
        """What the M-step adds up, as of rows with a pattern each."""
        V, q, w = model.V[self.features], model.W.shape[1], self.weight
        R = (self.Z - model.mean[self.features, None]) / sqrt(model.noise)
        matrix, weight = np.eye(q) + V.T @ V, float(w.sum())
        covariance, u = np.linalg.inv(matrix), np.ones((q + 1, len(w)))
        u[:q] = covariance @ (V.T @ R)
        R -= V @ u[:q]
        residual = float(w @ np.einsum("db,db->b", R, R))
        second = (u * w) @ u.T
        distance = residual + float(np.trace(second[:q, :q]))
        constant = len(R) * log(tau * model.noise) + float(np.linalg.slogdet(matrix)[1])
        square = np.asarray(residual + weight * (q - np.trace(covariance)))
        second[:q, :q] += weight * covariance
        packed = second[np.tril_indices(q + 1)]
        moments, cross = np.zeros((len(packed), self.d)), np.zeros((q + 1, self.d))
        moments[:, self.features] = packed[:, None]
        cross[:, self.features] = (u * w) @ self.Z.T
        log_likelihood = -0.5 * (distance + weight * constant)
        return BlockSums((moments, cross, square, packed), log_likelihood, weight)


def blocks_of(Z: Floats, weight: Floats, size: int) -> list[IncompleteBlock | PatternBlock]:
    """Blocks of at most ``size`` of the rows (d, n), in which NaN was not observed.

    Rows whose pattern is frequent stand beside each other; the others are in blocks of many patterns.
    """
    observed = ~np.isnan(Z)
    pattern, count = _patterns(observed)
    frequent = count >= MIN_PATTERN_ROWS
    found: list[IncompleteBlock | PatternBlock] = []
    for g in np.flatnonzero(frequent):
        members = np.flatnonzero(pattern == g)
        features = np.flatnonzero(observed[:, members[0]])
        found.extend(
            PatternBlock(Z[np.ix_(features, rows)], features, len(Z), weight[rows])
            for rows in _parts(members, size)
        )
    others = np.flatnonzero(~frequent[pattern])
    return found + [IncompleteBlock.of(Z[:, rows], weight[rows]) for rows in _parts(others, size)]


def _patterns(observed: Bools) -> tuple[Ints, Ints]:
    """The pattern of each row by number, (n,), and how many rows have each."""
    packed = np.ascontiguousarray(np.packbits(observed, axis=0).T)
    keys = packed.view(np.dtype((np.void, packed.shape[1]))).ravel()
    _, pattern, count = np.unique(keys, return_inverse=True, return_counts=True)
    return pattern, count


def _parts(rows: Ints, size: int) -> Iterator[Ints]:
    return (rows[start : start + size] for start in range(0, len(rows), size))


# -- packed symmetric matrices -------------------------------------------------------------------------


def unpacked(packed: Floats) -> Floats:
    """Symmetric matrices (q, q, n) of their packed lower triangles (q (q + 1) / 2, n)."""
    q = int(sqrt(2 * len(packed)))
    rows, columns = np.tril_indices(q)
    full = np.empty((q, q, packed.shape[1]))
    full[rows, columns] = full[columns, rows] = packed
    return full
