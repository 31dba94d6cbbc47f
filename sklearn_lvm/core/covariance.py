"""Covariance structures are values, ``Full(d, tied)``; covariances are arrays of one structure.

A structure stores the entries of a symmetric d x d matrix that it uses (all, the diagonal, the trace)
in an array of shape S, the stored form. The public form is that of scikit-learn's ``covariances_``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from itertools import pairwise
from typing import ClassVar, Self

import numpy as np
from scipy.linalg.lapack import dpstrf, dtrtri

from .._typing import Array


class SingularCovarianceError(np.linalg.LinAlgError):
    """A covariance has no inverse to working precision.

    Attributes
    ----------
    component : int
        Which of the K covariances.
    features : tuple of int
        The features that are constant or follow from the others.
    """

    def __init__(self, component: int, features: tuple[int, ...]) -> None:
        super().__init__(f"covariance {component} is singular in features {features}")
        self.component, self.features = component, features


Whitener = Callable[[Array], Array]

EPS = float(np.finfo(np.float64).eps)
NEGLIGIBLE = (
    1e-24  # weights this small beside the largest are below rounding, whatever the residual
)
SPARSE = 0.7  # the share of heavy rows from which on picking them is not worth it
STRIPS, STRIPED = 4, 32  # strips of a triangular product, and from how many features on


@dataclass(frozen=True)
class Structure(ABC):
    """Which entries of a covariance of d features are free, and whether K Gaussians share one.

    Attributes
    ----------
    d : int
        Features.
    tied : bool
        Whether all K Gaussians share one covariance; its arrays have a leading axis of 1.
    """

    d: int
    tied: bool = False
    per_feature: ClassVar[bool]  # the same model when each feature gets its own unit
    natural_features: ClassVar[float]  # up to how many features monomials are the cheaper form

    @property
    @abstractmethod
    def size(self) -> int:
        """Free parameters of one covariance, and how many monomials it needs."""

    @abstractmethod
    def outer(self, v: Array) -> Array:
        """The stored form of v v', (K, d) -> (K, *S)."""

    @abstractmethod
    def gram(self, R: Array, w: Array) -> Array:
        """The stored form of sum_i w_i r_i r_i', (K or 1, d, n) and (K, n) -> (K, *S)."""

    def accumulate(self, R: Array, w: Array) -> tuple[Array, Array]:
        """sum_i w_i r_i, (K, d), and the gram."""
        return (R @ w[:, :, None])[..., 0], self.gram(R, w)

    def pooled(self, sums: Array) -> Array:
        """Sums of each component, (K, ...), as those of each covariance, (1, ...) if tied."""
        return sums.sum(axis=0, keepdims=True) if self.tied else sums

    @abstractmethod
    def diagonal(self, part: Array) -> Array:
        """The diagonal of a stored form, or what is known of it, (K, *S) -> (K, d)."""

    @abstractmethod
    def monomials(self, Z: Array, out: Array) -> None:
        """The products of two features that a density needs, (d, n) -> (size, n)."""

    @abstractmethod
    def assemble(self, m: Array) -> Array:
        """The stored form of sum_i w_i z_i z_i' from sums of monomials, (K, size) -> (K, *S)."""

    @abstractmethod
    def estimate(self, scatter: Array, dof: Array, extra: Array) -> "Covariances":
        """Covariances scatter / dof + diag(extra); the unit covariance where dof is 0."""

    def fits(self, covariances: "Covariances", n_components: int) -> bool:
        """Whether these are covariances of so many components in this structure, but for its name.

        A single component has one covariance, tied or not.
        """
        same = replace(covariances.structure, tied=self.tied) == self
        return same and len(covariances) == (1 if self.tied else n_components)

    # -- the public form -----------------------------------------------------------------------------

    @abstractmethod
    def public_shape(self, n_components: int) -> tuple[int, ...]:
        """The shape of the public form."""

    def public(self, matrices: Array) -> Array:
        """The public form of arrays of covariances, which drops the leading axis of a tied one."""
        return matrices[0] if self.tied else matrices

    def from_public(self, matrix: Array) -> "Covariances":
        """Covariances from their public form."""
        return self._from_matrices(matrix[None] if self.tied else matrix)

    def from_public_precision(self, precision: Array) -> "Covariances":
        """Covariances from the public form of their inverses."""
        return self._from_precisions(precision[None] if self.tied else precision)

    @abstractmethod
    def _from_matrices(self, matrices: Array) -> "Covariances": ...
    @abstractmethod
    def _from_precisions(self, precisions: Array) -> "Covariances": ...


class Covariances(ABC):
    """K covariances of one structure, or one that K Gaussians share."""

    structure: Structure

    @property
    @abstractmethod
    def matrix(self) -> Array:
        """The public form."""

    @property
    @abstractmethod
    def precision(self) -> Array:
        """The public form of the inverses."""

    @property
    @abstractmethod
    def precision_factor(self) -> Array:
        """U with U U' = precision (upper triangular, or its diagonal), in the public form."""

    @property
    @abstractmethod
    def log_det(self) -> Array:
        """log |covariance|, (K,)."""

    @property
    @abstractmethod
    def variances(self) -> Array:
        """Diagonals of the covariances, (K, d)."""

    @property
    @abstractmethod
    def precision_diagonal(self) -> Array:
        """Diagonals of their inverses, (K, d)."""

    @property
    @abstractmethod
    def scatter(self) -> Array:
        """The stored form, (K, *S)."""

    @abstractmethod
    def whitener(self, mean: Array) -> Whitener:
        """The function (d, n) -> (K, d, n) of rows that gives inv(L_k) (z - m_k)."""

    @abstractmethod
    def whiten_each(self, v: Array) -> Array:
        """inv(L_k) v_k, (K, d) -> (K, d)."""

    @abstractmethod
    def colour(self, e: Array, k: int) -> Array:
        """L_k e, white noise into samples of one Gaussian, (n, d) -> (n, d)."""

    @abstractmethod
    def colour_each(self, v: Array) -> Array:
        """L_k v_k, (K, d) -> (K, d)."""

    @abstractmethod
    def restore(self, part: Array) -> Array:
        """The stored form of L P L' from that of P, undoing ``gram`` of whitened rows."""

    @abstractmethod
    def rescale(self, s: Array) -> Self:
        """Covariances after x_j -> s_j x_j."""

    @abstractmethod
    def relative(self, axes: Self) -> Array:
        """Real coordinates of the covariances in units of one, ``axes``, (K, size)."""

    @abstractmethod
    def absolute(self, relative: Array) -> Self:
        """The covariances that have these coordinates in units of this one."""

    @abstractmethod
    def part(self, chosen: Array) -> Self:
        """A subset of the covariances."""

    @abstractmethod
    def moment_loss(self, mean: Array) -> Array:
        """By how much squares about zero exceed squares about means, (K,)."""

    @abstractmethod
    def couple(self, v: Array) -> tuple[Array, Array]:
        """Coefficients: v_k' inv(C_k), and of the monomials in -z' inv(C_k) z / 2."""

    @abstractmethod
    def restructured(self, structure: Structure) -> Self:
        """The same covariances in a structure that they fit."""

    def __len__(self) -> int:
        return len(self.variances)


def _per_weight(scatter: Array, dof: Array) -> Array:
    """Scatter / dof; a Gaussian that holds no data keeps unit covariance, whatever its extra."""
    held = dof.reshape(-1, *[1] * (scatter.ndim - 1))
    return scatter / np.where(held > 0, held, 1.0)


# -- any positive definite matrix ----------------------------------------------------------------------


@dataclass(frozen=True)
class Full(Structure):
    """Any positive definite matrix; all entries are stored."""

    per_feature = True
    natural_features = 24

    @property
    def size(self) -> int:
        return self.d * (self.d + 1) // 2

    def outer(self, v: Array) -> Array:
        return v[:, :, None] * v[:, None, :]

    def gram(self, R: Array, w: Array) -> Array:
        return self.accumulate(R, w)[1]

    def accumulate(self, R: Array, w: Array) -> tuple[Array, Array]:
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

    def diagonal(self, part: Array) -> Array:
        return np.diagonal(part, axis1=1, axis2=2)

    def monomials(self, Z: Array, out: Array) -> None:
        start = 0
        for j in range(len(Z)):
            np.multiply(Z[j], Z[j:], out=out[start : start + len(Z) - j])
            start += len(Z) - j

    def assemble(self, m: Array) -> Array:
        i, j = _upper(self.d)
        part = np.empty((len(m), self.d, self.d))
        part[:, i, j] = part[:, j, i] = m
        return part

    def estimate(self, scatter: Array, dof: Array, extra: Array) -> "FullCovariances":
        covariance = _per_weight(scatter, dof) + np.diag(extra)
        covariance[dof <= 0] += np.eye(self.d)
        return FullCovariances(self, _cholesky(covariance))

    def public_shape(self, n_components: int) -> tuple[int, ...]:
        return (self.d, self.d) if self.tied else (n_components, self.d, self.d)

    def _from_matrices(self, matrices: Array) -> "FullCovariances":
        return FullCovariances(self, _cholesky(matrices))

    def _from_precisions(self, precisions: Array) -> "FullCovariances":
        # With rows and columns in reverse order, a lower factor of P becomes U, P = U U', L = inv(U)'.
        upper = _cholesky(precisions[:, ::-1, ::-1])[:, ::-1, ::-1]
        return FullCovariances(self, np.stack([_invert(U.T) for U in upper]))


@dataclass(frozen=True, eq=False)
class FullCovariances(Covariances):
    """Covariances by their lower Cholesky factors L, (K, d, d)."""

    structure: Structure
    factor: Array

    @cached_property
    def inverse(self) -> Array:
        """Inverses of the Cholesky factors, (K, d, d)."""
        return np.stack([_invert(L) for L in self.factor])

    @property
    def scatter(self) -> Array:
        return self.factor @ self.factor.mT

    @property
    def matrix(self) -> Array:
        return self.structure.public(self.scatter)

    @property
    def _precisions(self) -> Array:
        return self.inverse.mT @ self.inverse

    @property
    def precision(self) -> Array:
        return self.structure.public(self._precisions)

    @property
    def precision_factor(self) -> Array:
        return self.structure.public(self.inverse.mT)

    def whitener(self, mean: Array) -> Whitener:
        K, d = mean.shape
        inverse = np.broadcast_to(self.inverse, (K, d, d))
        shift = -(inverse @ mean[:, :, None])
        affine = np.concatenate([shift, inverse], axis=2).transpose(1, 0, 2)
        # Rows of a lower triangular matrix end in zeros: strips of rows leave most of them out.
        ends = [d * (i + 1) // STRIPS for i in range(STRIPS)] if d >= STRIPED else [d]
        strips = [np.ascontiguousarray(affine[a:b, :, : b + 1]) for a, b in pairwise([0, *ends])]
        return partial(_whiten_in_strips, tuple(strips))

    def whiten_each(self, v: Array) -> Array:
        return (self.inverse @ v[..., None])[..., 0]

    def colour(self, e: Array, k: int) -> Array:
        return e @ self.factor[k].T

    def colour_each(self, v: Array) -> Array:
        return (self.factor @ v[..., None])[..., 0]

    def restore(self, part: Array) -> Array:
        return self.factor @ part @ self.factor.mT

    def rescale(self, s: Array) -> Self:
        return type(self)(self.structure, self.factor * s[:, None])

    @property
    def log_det(self) -> Array:
        return 2.0 * np.log(np.diagonal(self.factor, axis1=1, axis2=2)).sum(axis=1)

    @property
    def variances(self) -> Array:
        return (self.factor**2).sum(axis=2)

    @property
    def precision_diagonal(self) -> Array:
        return (self.inverse**2).sum(axis=1)

    def relative(self, axes: Self) -> Array:
        """Entries of inv(A) L, which is lower triangular too; logarithms on the diagonal."""
        i, j = _lower(self.structure.d)
        entries = (axes.inverse @ self.factor)[:, i, j]
        entries[:, i == j] = np.log(entries[:, i == j])
        return entries

    def absolute(self, relative: Array) -> Self:
        i, j = _lower(self.structure.d)
        entries = relative.copy()
        entries[:, i == j] = np.exp(entries[:, i == j])
        factor = np.zeros((len(relative), *self.factor.shape[1:]))
        factor[:, i, j] = entries
        return type(self)(self.structure, self.factor @ factor)

    def part(self, chosen: Array) -> Self:
        return type(self)(self.structure, self.factor[chosen])

    def restructured(self, structure: Structure) -> Self:
        return replace(self, structure=structure)

    def moment_loss(self, mean: Array) -> Array:
        size = (mean**2).sum(axis=1) + self.variances.sum(axis=1)
        return size * self.precision_diagonal.max(axis=1)

    def couple(self, v: Array) -> tuple[Array, Array]:
        P = self._precisions
        i, j = _upper(self.structure.d)
        return (P @ v[..., None])[..., 0], np.where(i == j, -0.5, -1.0) * P[:, i, j]


def _whiten_in_strips(strips: tuple[Array, ...], Z: Array) -> Array:
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


# -- a variance for each feature -----------------------------------------------------------------------


@dataclass(frozen=True)
class Diagonal(Structure):
    """Independent features; the diagonal is stored."""

    per_feature = True
    natural_features = np.inf

    @property
    def size(self) -> int:
        return self.d

    def outer(self, v: Array) -> Array:
        return v * v

    def gram(self, R: Array, w: Array) -> Array:
        V = R * np.sqrt(w)[:, None, :]
        return np.einsum("kdn,kdn->kd", V, V)

    def diagonal(self, part: Array) -> Array:
        return part

    def monomials(self, Z: Array, out: Array) -> None:
        np.multiply(Z, Z, out=out)

    def assemble(self, m: Array) -> Array:
        return m

    def estimate(self, scatter: Array, dof: Array, extra: Array) -> "DiagonalCovariances":
        variance = _per_weight(scatter, dof) + extra
        variance[dof <= 0] += 1.0
        return DiagonalCovariances(self, _deviations(variance))

    def public_shape(self, n_components: int) -> tuple[int, ...]:
        return (self.d,) if self.tied else (n_components, self.d)

    def _from_matrices(self, matrices: Array) -> "DiagonalCovariances":
        return DiagonalCovariances(self, _deviations(matrices))

    def _from_precisions(self, precisions: Array) -> "DiagonalCovariances":
        return DiagonalCovariances(self, 1.0 / _deviations(precisions))


@dataclass(frozen=True, eq=False)
class DiagonalCovariances(Covariances):
    """Diagonal covariances by their standard deviations, (K, d)."""

    structure: Structure
    deviation: Array

    @property
    def scatter(self) -> Array:
        return self.deviation**2

    @property
    def matrix(self) -> Array:
        return self.structure.public(self.deviation**2)

    @property
    def precision(self) -> Array:
        return self.structure.public(self.deviation**-2)

    @property
    def precision_factor(self) -> Array:
        return self.structure.public(1.0 / self.deviation)

    def whitener(self, mean: Array) -> Whitener:
        return partial(_whiten_each_feature, mean[:, :, None], 1.0 / self.deviation[:, :, None])

    def whiten_each(self, v: Array) -> Array:
        return v / self.deviation

    def colour(self, e: Array, k: int) -> Array:
        return e * self.deviation[k]

    def colour_each(self, v: Array) -> Array:
        return v * self.deviation

    def restore(self, part: Array) -> Array:
        return part * self.deviation**2

    def rescale(self, s: Array) -> Self:
        return type(self)(self.structure, self.deviation * s)

    @property
    def log_det(self) -> Array:
        return 2.0 * np.log(self.deviation).sum(axis=1)

    @property
    def variances(self) -> Array:
        return self.deviation**2

    @property
    def precision_diagonal(self) -> Array:
        return self.deviation**-2

    def relative(self, axes: Self) -> Array:
        return np.log(self.deviation / axes.deviation)

    def absolute(self, relative: Array) -> Self:
        return type(self)(self.structure, self.deviation * np.exp(relative))

    def part(self, chosen: Array) -> Self:
        return type(self)(self.structure, self.deviation[chosen])

    def restructured(self, structure: Structure) -> Self:
        return replace(self, structure=structure)

    def moment_loss(self, mean: Array) -> Array:
        return ((mean / self.deviation) ** 2).max(axis=1) + 1.0

    def couple(self, v: Array) -> tuple[Array, Array]:
        return v * self.precision_diagonal, -0.5 * self.precision_diagonal


def _whiten_each_feature(mean: Array, inverse: Array, Z: Array) -> Array:
    """(z - m_k) / s_k of rows (d, n), with means and inverse deviations (K, d, 1)."""
    return (Z - mean.astype(Z.dtype)) * inverse.astype(Z.dtype)


# -- one variance --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Spherical(Diagonal):
    """One variance for all features: a diagonal of equal entries, of which the trace is stored."""

    per_feature = False

    @property
    def size(self) -> int:
        return 1

    def outer(self, v: Array) -> Array:
        return (v * v).sum(axis=1)

    def gram(self, R: Array, w: Array) -> Array:
        V = R * np.sqrt(w)[:, None, :]
        return np.einsum("kdn,kdn->k", V, V)

    def diagonal(self, part: Array) -> Array:
        return np.repeat(part[:, None] / self.d, self.d, axis=1)

    def monomials(self, Z: Array, out: Array) -> None:
        np.einsum("dn,dn->n", Z, Z, out=out[0])

    def assemble(self, m: Array) -> Array:
        return m[:, 0]

    def estimate(self, scatter: Array, dof: Array, extra: Array) -> "SphericalCovariances":
        variance = (_per_weight(scatter, dof) + extra.sum()) / self.d
        variance[dof <= 0] += 1.0
        return self._from_matrices(variance)

    def public_shape(self, n_components: int) -> tuple[int, ...]:
        return () if self.tied else (n_components,)

    def _from_matrices(self, matrices: Array) -> "SphericalCovariances":
        return SphericalCovariances(self, _deviations(self._repeated(matrices)))

    def _from_precisions(self, precisions: Array) -> "SphericalCovariances":
        return SphericalCovariances(self, 1.0 / _deviations(self._repeated(precisions)))

    def _repeated(self, variance: Array) -> Array:
        return np.repeat(variance[:, None], self.d, axis=1)


@dataclass(frozen=True, eq=False)
class SphericalCovariances(DiagonalCovariances):
    """Spherical covariances by their standard deviations, equal along each row, (K, d)."""

    structure: Structure

    @property
    def scatter(self) -> Array:
        return (self.deviation**2).sum(axis=1)

    @property
    def matrix(self) -> Array:
        return self.structure.public(self.deviation[:, 0] ** 2)

    @property
    def precision(self) -> Array:
        return self.structure.public(self.deviation[:, 0] ** -2)

    @property
    def precision_factor(self) -> Array:
        return self.structure.public(1.0 / self.deviation[:, 0])

    def restore(self, part: Array) -> Array:
        return part * self.deviation[:, 0] ** 2

    def relative(self, axes: Self) -> Array:
        return np.log(self.deviation[:, :1] / axes.deviation[:, :1])

    def couple(self, v: Array) -> tuple[Array, Array]:
        return v * self.precision_diagonal, -0.5 * self.precision_diagonal[:, :1]


# covariance_type -> the structure for so many features.
COVARIANCE_TYPES: dict[str, Callable[[int], Structure]] = {
    "full": Full,
    "tied": partial(Full, tied=True),
    "diag": Diagonal,
    "spherical": Spherical,
}


_lower, _upper = cache(np.tril_indices), cache(np.triu_indices)


def _cholesky(C: Array) -> Array:
    """Factor covariances (K, d, d) through their correlations: no unit is smaller than another."""
    size = _deviations(np.diagonal(C, axis1=1, axis2=2))
    correlation = C / size[:, None, :] / size[:, :, None]
    floor = 4 * C.shape[1] * EPS
    try:
        factor = np.linalg.cholesky(correlation)
    except np.linalg.LinAlgError:
        raise _culprit(correlation, floor) from None
    if np.diagonal(factor, axis1=1, axis2=2).min() ** 2 < floor:
        raise _culprit(correlation, floor)
    return size[:, :, None] * factor


def _culprit(correlation: Array, floor: float) -> SingularCovarianceError:
    """Name the most nearly singular matrix, and the features that a pivoted factor leaves over."""
    smallest = [np.linalg.eigvalsh(R)[0] for R in correlation]
    k = int(np.argmin(smallest))
    _, order, rank, _ = dpstrf(correlation[k], tol=floor, lower=1)
    rank = min(rank, len(order) - 1)
    return SingularCovarianceError(k, tuple(sorted((order[rank:] - 1).tolist())))


def _invert(L: Array) -> Array:
    """Invert a lower triangular matrix by substitution, exact in each entry's own size."""
    upper, _ = dtrtri(L.T)  # LAPACK reads columns first, and leaves the zeros below alone
    return upper.T


def _deviations(variance: Array) -> Array:
    """Square roots of variances, all of which must be positive."""
    bad = np.argwhere(~(variance > 0) | ~np.isfinite(variance))
    if len(bad):
        k = int(bad[0, 0])
        raise SingularCovarianceError(k, tuple(bad[bad[:, 0] == k, 1].tolist()))
    return np.sqrt(variance)
