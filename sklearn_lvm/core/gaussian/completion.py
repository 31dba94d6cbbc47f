"""Rows with missing entries under K Gaussians: what is expected of these, and how far rows lie off.

With P = inv(C), x the deviation of a row from a mean, o what was observed of it and u what was not, the
conditional mean is e = -inv(P_uu) P_uo x_o and the conditional covariance inv(P_uu). Only blocks of the
missing entries are inverted, once for each pattern of these. Whitened, the row at its conditional mean
is y = inv(L) (x_o, e). Of all values in place of them e gives the least |y|^2, which therefore is the
distance of what was observed, x_o' inv(C_oo) x_o, and has twice the digits of e; and
log |C_oo| = log |C| + log |P_uu|.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import numpy as np

from ..._typing import Bools, Floats, Ints, Slice
from ..linalg import inverses

MAX_NUMBERS = 1 << 21  # in blocks of missing entries that are inverted at once: 16 MB


class Group(NamedTuple):
    """Consecutive rows with about as many missing entries, sorted by which these are.

    Where a pattern has fewer missing entries than the group has places, the places left over are those
    of stand-ins: features d, d + 1, ... that depend on nothing.

    Attributes
    ----------
    rows : slice
    missing : ndarray of int of shape (p, k)
        The missing features of each of p patterns, in rising order.
    first : ndarray of int of shape (p,)
        The first row of each pattern, counted from that of the group.
    pattern : ndarray of int of shape (g,)
        The pattern of each row.
    """

    rows: Slice
    missing: Ints
    first: Ints
    pattern: Ints

    def places(self, size: int) -> Ints:
        """Where the blocks of the patterns stand in a matrix of this size, (k, k, p)."""
        u = self.missing.T
        return u[:, None] * size + u


class StoredForm(Protocol):
    """How the entries of symmetric matrices are stored."""

    def outer(self, v: Floats, /) -> Floats:
        """The stored form of v v', (K, d) -> (K, *S)."""
        ...


class Completion(Protocol):
    """The rows of a group under K Gaussians, with conditional means in place of what is missing.

    Attributes
    ----------
    whitened : ndarray of shape (K, d, g)
        inv(L_k) (x - m_k).
    log_det : ndarray of shape (K, g)
        log |P_uu|.
    """

    @property
    def whitened(self) -> Floats: ...
    @property
    def log_det(self) -> Floats: ...
    @property
    def deviation(self) -> Floats:
        """x - m_k, (K, d, g)."""
        ...

    @property
    def variances(self) -> Floats:
        """Conditional variances, 0 where an entry was observed, (K, d, g)."""
        ...

    def spread(self, resp: Floats, structure: StoredForm) -> Floats:
        """Conditional covariances, whitened, summed under responsibilities (K, g), in stored form."""
        ...

    def noise(self, e: Floats) -> Floats:
        """Noise of the conditional covariances from white noise, (d, g), of a single Gaussian."""
        ...


class Completer(Protocol):
    """K Gaussians prepared to complete rows."""

    def complete(self, rows: Floats, observed: Bools, group: Group) -> Completion:
        """The rows of a group, (d, g), with zeros where an entry is missing."""
        ...


@dataclass(frozen=True, eq=False)
class DiagonalCompleter:
    """Independent features: an entry says nothing of another.

    Attributes
    ----------
    mean : ndarray of shape (K, d)
    deviations : ndarray of shape (K, d) or (1, d)
        Standard deviations.
    """

    mean: Floats
    deviations: Floats

    def complete(self, rows: Floats, observed: Bools, group: Group) -> "DiagonalCompletion":
        size = self.deviations[:, :, None]
        whitened = (rows - self.mean[:, :, None]) / size
        whitened *= observed
        log_det = -2.0 * (np.log(self.deviations) @ ~observed)
        return DiagonalCompletion(whitened, log_det, ~observed, size)


@dataclass(frozen=True, eq=False)
class DiagonalCompletion:
    """Rows of independent features, whose missing entries are at the means."""

    whitened: Floats
    log_det: Floats
    missing: Bools
    size: Floats

    @property
    def deviation(self) -> Floats:
        return self.whitened * self.size

    @property
    def variances(self) -> Floats:
        return np.asarray(self.missing * self.size**2 + np.zeros_like(self.whitened))

    def spread(self, resp: Floats, structure: StoredForm) -> Floats:
        return structure.outer(np.sqrt(resp @ self.missing.T))

    def noise(self, e: Floats) -> Floats:
        return np.asarray(e * self.missing * self.size[0])


@dataclass(frozen=True, eq=False)
class FullCompleter:
    """Features that depend on each other.

    Attributes
    ----------
    mean : ndarray of shape (K, d)
    inverse : ndarray of shape (K, d, d) or (1, d, d)
        inv(L).
    precision : ndarray of shape (K, d, d) or (1, d, d)
        P = inv(L)' inv(L).
    """

    mean: Floats
    inverse: Floats
    precision: Floats

    def complete(self, rows: Floats, observed: Bools, group: Group) -> "FullCompletion":
        X = deviations_with_room(rows, observed, group, self.mean)
        (d, g), (_, size, _), k = rows.shape, X.shape, group.missing.shape[1]
        blocks, log_det = self._inverted(group, size)
        if k:
            pulls = np.zeros_like(X)
            np.matmul(self.precision, X[:, :d], out=pulls[:, :d])
            entries = _positions(group.missing[group.pattern].T, len(X), size, g)
            of_rows = blocks if len(group.first) == g else blocks[..., group.pattern]
            inverse = np.broadcast_to(of_rows, (k, *entries.shape))
            X.ravel()[entries] = -np.einsum("ijkg,jkg->ikg", inverse, pulls.ravel()[entries])
        whitened = self.inverse @ X[:, :d]
        return FullCompletion(whitened, log_det[:, group.pattern], self.inverse, X, blocks, group)

    def _inverted(self, group: Group, size: int) -> tuple[Floats, Floats]:
        """inv(P_uu) of the patterns, (k, k, K, p), and log |P_uu|, (K, p)."""
        K, places = len(self.precision), group.places(size)
        padded = with_stand_ins(self.precision, size)
        blocks = np.empty((*places.shape[:2], K, places.shape[2]))
        for k in range(K):
            np.take(padded[k], places, out=blocks[:, :, k], mode="clip")
        step = max(MAX_NUMBERS // max(places.size, 1), 1)
        parts = [inverses(blocks[:, :, k : k + step]) for k in range(0, K, step)]
        found, log_det = zip(*parts, strict=True)
        return joined(found, axis=2), joined(log_det, axis=0)


def with_stand_ins(matrices: Floats, size: int) -> Floats:
    """Matrices (K, d, d) with stand-ins, which depend on nothing, up to so many features."""
    d = matrices.shape[1]
    padded = np.zeros((len(matrices), size, size))
    padded[:, range(size), range(size)] = 1.0
    padded[:, :d, :d] = matrices
    return padded


def deviations_with_room(rows: Floats, observed: Bools, group: Group, mean: Floats) -> Floats:
    """Rows less means (K, d), with zeros for what is missing and for stand-ins, (K, d + padding, g)."""
    d, g = rows.shape
    padding = max(int(group.missing.max(initial=0)) + 1 - d, 0)
    X = np.zeros((len(mean), d + padding, g))
    np.subtract(rows, mean[:, :, None], out=X[:, :d])
    X[:, :d] *= observed
    return X


def joined(parts: Sequence[Floats], axis: int) -> Floats:
    """Arrays in one; a single one is not copied."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=axis)


@dataclass(frozen=True, eq=False)
class FullCompletion:
    """Rows of features that depend on each other.

    Attributes
    ----------
    whitened, log_det : ndarray
    inverse : ndarray of shape (K, d, d) or (1, d, d)
        inv(L).
    padded : ndarray of shape (K, d + padding, g)
        Deviations from the means, with room for stand-ins.
    blocks : ndarray of shape (k, k, K, p), or of one for all K
        inv(P_uu) of each pattern.
    group : Group
    """

    whitened: Floats
    log_det: Floats
    inverse: Floats
    padded: Floats
    blocks: Floats
    group: Group

    @property
    def deviation(self) -> Floats:
        return self.padded[:, : self.whitened.shape[1]]

    @property
    def variances(self) -> Floats:
        K, size, g = self.padded.shape
        k = len(self.blocks)
        diagonal = self.blocks[range(k), range(k)][..., self.group.pattern]
        found = np.zeros(self.padded.shape)
        entries = _positions(self.group.missing[self.group.pattern].T, K, size, g)
        found.ravel()[entries] = np.broadcast_to(diagonal, entries.shape)
        return found[:, : self.whitened.shape[1]]

    def spread(self, resp: Floats, structure: StoredForm) -> Floats:
        size, d = self.padded.shape[1], self.whitened.shape[1]
        weight = np.add.reduceat(resp, self.group.first, axis=1)
        places, n_blocks = self.group.places(size).ravel(), self.blocks.shape[2]
        sums = np.empty((len(resp), size * size))
        for k, w in enumerate(weight):
            of_patterns = self.blocks[:, :, k % n_blocks] * w
            sums[k] = np.bincount(places, of_patterns.ravel(), minlength=size * size)
        spread = sums.reshape(-1, size, size)[:, :d, :d]
        return self.inverse @ spread @ self.inverse.mT

    def noise(self, e: Floats) -> Floats:
        k, pattern = len(self.blocks), self.group.pattern
        values, axes = np.linalg.eigh(self.blocks[:, :, 0].transpose(2, 0, 1))
        roots = axes * np.sqrt(np.maximum(values, 0.0))[:, None]
        padded = np.zeros(self.padded.shape[1:])
        u, rows = self.group.missing[pattern], np.arange(len(pattern))[:, None]
        white = np.zeros_like(padded)
        white[: len(e)] = e
        padded[u, rows] = (roots[pattern] @ white[u, rows][..., None])[..., 0] if k else 0.0
        return padded[: len(e)]


def _positions(missing: Ints, K: int, size: int, g: int) -> Ints:
    """Where the missing entries (k, g) of rows stand in an array (K, size, g), (k, K, g)."""
    within = missing * g + np.arange(g)
    return np.asarray(within[:, None] + (np.arange(K) * size * g)[:, None])
