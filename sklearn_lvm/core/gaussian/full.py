"""Full covariances: any positive definite matrix, by its Cholesky factor."""

from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from itertools import pairwise
from typing import Self

import numpy as np

from ..._typing import Floats, Ints
from ..linalg import cholesky, inverse_triangular, lower_factor
from .completion import Completer, FullCompleter
from .covariance import Covariances, Structure, Whitener, per_weight
from .orthogonal_completion import OrthogonalCompleter

NEGLIGIBLE = 1e-24  # share of the largest weight below which a weight is below rounding
SPARSE = 0.7  # share of rows of some weight from which on picking them is not worth it
N_STRIPS, MIN_STRIPED = 4, 32  # strips of a triangular product; from how many features on

# P_jj C_jj, by how much a variance exceeds that given all others: beyond, squares of precisions lose
# too many digits.
MAX_INFLATION = 1e6

_lower, _upper = cache(np.tril_indices), cache(np.triu_indices)


@dataclass(frozen=True)
class Full(Structure):
    """Any positive definite matrix; all entries are stored."""

    per_feature = True
    max_natural_features = 24

    @property
    def n_parameters(self) -> int:
        return self.d * (self.d + 1) // 2

    @property
    def wishart_size(self) -> int:
        return self.d

    def outer(self, v: Floats) -> Floats:
        return v[:, :, None] * v[:, None, :]

    def gram(self, R: Floats, w: Floats) -> Floats:
        return self.accumulate(R, w)[1]

    def accumulate(self, R: Floats, w: Floats) -> tuple[Floats, Floats]:
        K, d = len(w), R.shape[1]
        R = np.broadcast_to(R, (K, *R.shape[1:]))
        first, second = np.empty((K, d), R.dtype), np.empty((K, d, d), R.dtype)
        heavy = w > NEGLIGIBLE * w.max(axis=1, keepdims=True, initial=0.0)
        for k, count in enumerate(np.count_nonzero(heavy, axis=1)):
            # Few rows belong to a component where components lie apart: leave the others out.
            rows = heavy[k] if count < SPARSE * w.shape[1] else slice(None)
            root = np.sqrt(w[k, rows])
            V = R[k][:, rows] * root
            np.matmul(V, root, out=first[k])
            np.matmul(V, V.T, out=second[k])  # numpy sees its own transpose and does half the work
        return first, second

    def diagonal(self, stored: Floats) -> Floats:
        return np.diagonal(stored, axis1=1, axis2=2)

    def uncorrelated(self, stored: Floats) -> Floats:
        return stored * np.eye(self.d)

    def monomials(self, Z: Floats, out: Floats) -> None:
        start = 0
        for j in range(len(Z)):
            np.multiply(Z[j], Z[j:], out=out[start : start + len(Z) - j])
            start += len(Z) - j

    def from_monomials(self, m: Floats) -> Floats:
        i, j = _upper(self.d)
        stored = np.empty((len(m), self.d, self.d))
        stored[:, i, j] = stored[:, j, i] = m
        return stored

    def estimate(
        self,
        scatter: Floats,
        dof: Floats,
        added_variance: Floats,
        current: Covariances | None = None,
    ) -> Covariances:
        covariance = per_weight(scatter, dof) + np.diag(added_variance)
        covariance[dof <= 0] += np.eye(self.d)
        return FullCovariances(self, cholesky(covariance))

    def public_shape(self, n_components: int) -> tuple[int, ...]:
        return (self.d, self.d) if self.tied else (n_components, self.d, self.d)

    def to_public(self, stored: Floats) -> Floats:
        return self.public(stored)

    def _from_matrices(self, matrices: Floats) -> Covariances:
        return FullCovariances(self, cholesky(matrices))

    def _from_precisions(self, precisions: Floats) -> Covariances:
        # With rows and columns in reverse order, a lower factor of P becomes U, P = U U', L = inv(U)'.
        upper = cholesky(precisions[:, ::-1, ::-1])[:, ::-1, ::-1]
        return FullCovariances(self, np.stack([inverse_triangular(U.T) for U in upper]))


@dataclass(frozen=True, eq=False)
class FullCovariances(Covariances):
    """Covariances by their lower Cholesky factors L, (K, d, d)."""

    structure: Structure
    factor: Floats

    @cached_property
    def inverse(self) -> Floats:
        """Inverses of the Cholesky factors, (K, d, d)."""
        return np.stack([inverse_triangular(L) for L in self.factor])

    def traces(self, stored: Floats) -> Floats:
        return np.asarray((self._precisions * stored).sum(axis=(1, 2)))

    def log_det_growth(self, stored: Floats) -> Floats:
        with np.errstate(over="ignore", invalid="ignore"):
            whitened = self.inverse @ stored @ self.inverse.mT
            small = np.trace(whitened, axis1=1, axis2=2) < 1.0
        if not small.all():  # of what is large the difference is as good
            return (
                FullCovariances(self.structure, cholesky(self.scatter + stored)).log_det
                - self.log_det
            )
        return np.asarray(np.log1p(np.linalg.eigvalsh(whitened)).sum(axis=1))

    @property
    def scatter(self) -> Floats:
        return self.factor @ self.factor.mT

    @property
    def matrix(self) -> Floats:
        return self.structure.public(self.scatter)

    @cached_property
    def _precisions(self) -> Floats:
        return self.inverse.mT @ self.inverse

    @property
    def precision(self) -> Floats:
        return self.structure.public(self._precisions)

    @property
    def precision_factor(self) -> Floats:
        return self.structure.public(self.inverse.mT)

    def whitener(self, mean: Floats) -> Whitener:
        K, d = mean.shape
        inverse = np.broadcast_to(self.inverse, (K, d, d))
        shift = -(inverse @ mean[:, :, None])
        affine = np.concatenate([shift, inverse], axis=2).transpose(1, 0, 2)
        # Rows of a lower triangular matrix end in zeros: strips of rows leave most of them out.
        ends = [d * (i + 1) // N_STRIPS for i in range(N_STRIPS)] if d >= MIN_STRIPED else [d]
        strips = [np.ascontiguousarray(affine[a:b, :, : b + 1]) for a, b in pairwise([0, *ends])]
        return partial(_whiten_in_strips, tuple(strips))

    def completer(self, mean: Floats) -> Completer:
        if (self.precision_diagonal * self.variances).max() > MAX_INFLATION:
            return OrthogonalCompleter(mean, self.inverse)
        return FullCompleter(mean, self.inverse, self._precisions)

    def whiten_each(self, v: Floats) -> Floats:
        return (self.inverse @ v[..., None])[..., 0]

    def times(self, v: Floats) -> Floats:
        return (self.factor @ (self.factor.mT @ v[..., None]))[..., 0]

    def colorize(self, e: Floats, k: int) -> Floats:
        return np.asarray(e @ self.factor[k].T)

    def colorize_each(self, v: Floats) -> Floats:
        return (self.factor @ v[..., None])[..., 0]

    def restore(self, stored: Floats) -> Floats:
        return self.factor @ stored @ self.factor.mT

    def rescale(self, s: Floats) -> Self:
        return type(self)(self.structure, self.factor * s[:, None])

    def at_least(self, variance: Floats) -> Self:
        if not variance.all():
            return self
        unit = np.sqrt(variance)
        values, axes = np.linalg.eigh(self.scatter / np.outer(unit, unit))
        if values.min() >= 1.0:
            return self
        raised = (axes * np.maximum(values, 1.0)[:, None]) @ axes.mT
        return type(self)(self.structure, unit[:, None] * cholesky(raised))

    @property
    def log_det(self) -> Floats:
        return np.asarray(2.0 * np.log(np.diagonal(self.factor, axis1=1, axis2=2)).sum(axis=1))

    @property
    def variances(self) -> Floats:
        return np.asarray((self.factor**2).sum(axis=2))

    @cached_property
    def precision_diagonal(self) -> Floats:
        return np.asarray((self.inverse**2).sum(axis=1))

    def to_coordinates(self, reference: Self) -> Floats:
        """Entries of inv(A) L, which is lower triangular too; logarithms on the diagonal."""
        i, j = _lower(self.structure.d)
        entries = (reference.inverse @ self.factor)[:, i, j]
        entries[:, i == j] = np.log(entries[:, i == j])
        return entries

    def from_coordinates(self, coordinates: Floats) -> Self:
        i, j = _lower(self.structure.d)
        entries = coordinates.copy()
        entries[:, i == j] = np.exp(entries[:, i == j])
        factor = np.zeros((len(coordinates), *self.factor.shape[1:]))
        factor[:, i, j] = entries
        return type(self)(self.structure, self.factor @ factor)

    def subset(self, chosen: Ints) -> Self:
        return type(self)(self.structure, self.factor[chosen])

    def restructured(self, structure: Structure) -> Self:
        return replace(self, structure=structure)

    def marginal(self, features: Ints) -> Self:
        structure = replace(self.structure, d=len(features))
        return type(self)(structure, lower_factor(self.factor[:, features]))

    def split(self, p: int) -> tuple[Self, Self]:
        # A factor of the Schur complement stands in the lower corner: nothing is subtracted.
        first, rest = (replace(self.structure, d=n) for n in (p, self.structure.d - p))
        return type(self)(first, self.factor[:, :p, :p]), type(self)(rest, self.factor[:, p:, p:])

    def regress(self, e: Floats) -> Floats:
        p = e.shape[1]
        return (self.factor[:, p:, :p] @ e[..., None])[..., 0]

    @np.errstate(over="ignore")
    def cancellation(self, mean: Floats) -> Floats:
        square = (mean**2).sum(axis=1) + self.variances.sum(axis=1)
        return np.asarray(square * self.precision_diagonal.max(axis=1))

    def natural_parameters(self, v: Floats) -> tuple[Floats, Floats]:
        P = self._precisions
        i, j = _upper(self.structure.d)
        return (P @ v[..., None])[..., 0], np.where(i == j, -0.5, -1.0) * P[:, i, j]


def _whiten_in_strips(strips: tuple[Floats, ...], Z: Floats) -> Floats:
    """Affine images of rows (d, n) under K triangular matrices in strips (m, K, width), (K, d, n)."""
    (d, n), K = Z.shape, strips[0].shape[1]
    lifted, out = np.empty((d + 1, n), Z.dtype), np.empty((d * K, n), Z.dtype)
    lifted[0], lifted[1:] = 1.0, Z
    start = 0
    for strip in strips:
        width = strip.shape[2]
        flat = strip.reshape(-1, width).astype(Z.dtype, copy=False)
        np.matmul(flat, lifted[:width], out=out[start : start + len(flat)])
        start += len(flat)
    return out.reshape(d, K, n).transpose(1, 0, 2)
