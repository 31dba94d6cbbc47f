"""Covariance structures: one class a shape, with the same verbs, so that nothing asks which it is.

Every class holds K covariances, or one that K Gaussians share (a leading axis of 1, 'tied'). What a
structure keeps of a symmetric d x d matrix is called its part; it has the shape S.

============================  ================================================================
``outer(v)``                  the part of v v', (K, d) -> (K, *S)
``gram(R, w)``                the part of sum_i w_i r_i r_i', (K, d, n) and (K, n) -> (K, *S)
``accumulate(R, w)``          sum_i w_i r_i, (K, d), and the gram
``estimate(scatter, dof, e)`` covariances scatter / dof + diag(e)
``from_matrix``, ``matrix``   to and from the public form of the covariance
``from_precision``            from the public form of the inverse
``precision``                 that inverse
``precision_factor``          U with U U' = precision (upper triangular, or its diagonal)
``whitener(m)``               the function (d, n) -> (K, d, n) of rows that gives inv(L_k) (z - m_k)
``whiten_each(v)``            inv(L_k) v_k, (K, d) -> (K, d)
``colour(e, k)``              L_k e, white noise into samples of one Gaussian, (n, d) -> (n, d)
``colour_each(v)``            L_k v_k, (K, d) -> (K, d)
``restore(part)``             the part of L P L' from that of P, undoing ``gram`` of whitened rows
``rescale(s)``                the same covariances after x_j -> s_j x_j
``log_det``                   log |covariance|, (K,)
``variances``                 diagonals of the covariances, (K, d)
``precision_diagonal``        diagonals of their inverses, (K, d)
``diagonal(part, d)``         the diagonal, or what is known of it, of a kept part, (K, d)
``scatter``                   the part of the covariances, (K, *S)
``relative(axes)``            real coordinates of the covariances in units of one, ``axes``, (K, P)
``absolute(relative)``        the covariances that have these coordinates in units of this one
``part(chosen)``              some of the covariances
``moment_loss(m)``            by how much squares about zero exceed squares about means m, (K,)
``monomials(Z, out)``         the products of two features that a density needs, (d, n) -> (P, n)
``couple(v)``                 coefficients: v_k' inv(C_k), and of the monomials in -z' inv(C_k) z / 2
``assemble(m)``               the part of sum_i w_i z_i z_i' from weighted sums of monomials
``size(d)``                   free parameters of one covariance, and how many monomials it needs
============================  ================================================================
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, cached_property
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


class Covariance(ABC):
    """The verbs that every structure has; see the table above."""

    per_feature: ClassVar[bool]  # the same model when each feature gets its own unit
    natural_features: ClassVar[float]  # up to how many features monomials are the cheaper form

    @staticmethod
    @abstractmethod
    def outer(v: Array) -> Array: ...
    @classmethod
    @abstractmethod
    def gram(cls, R: Array, w: Array) -> Array: ...
    @classmethod
    def accumulate(cls, R: Array, w: Array) -> tuple[Array, Array]:
        return (R @ w[:, :, None])[..., 0], cls.gram(R, w)

    @staticmethod
    @abstractmethod
    def diagonal(part: Array, d: int) -> Array: ...
    @staticmethod
    @abstractmethod
    def size(d: int) -> int: ...
    @classmethod
    @abstractmethod
    def estimate(cls, scatter: Array, dof: Array, extra: Array) -> Self: ...
    @classmethod
    @abstractmethod
    def from_matrix(cls, matrix: Array, d: int) -> Self: ...
    @classmethod
    @abstractmethod
    def from_precision(cls, precision: Array, d: int) -> Self: ...
    @property
    @abstractmethod
    def matrix(self) -> Array: ...
    @property
    @abstractmethod
    def precision(self) -> Array: ...
    @property
    @abstractmethod
    def precision_factor(self) -> Array: ...
    @property
    @abstractmethod
    def log_det(self) -> Array: ...
    @property
    @abstractmethod
    def variances(self) -> Array: ...
    @property
    @abstractmethod
    def precision_diagonal(self) -> Array: ...
    @abstractmethod
    def whitener(self, mean: Array) -> Whitener: ...
    @abstractmethod
    def whiten_each(self, v: Array) -> Array: ...
    @abstractmethod
    def colour(self, e: Array, k: int) -> Array: ...
    @abstractmethod
    def colour_each(self, v: Array) -> Array: ...
    @abstractmethod
    def restore(self, part: Array) -> Array: ...
    @abstractmethod
    def rescale(self, s: Array) -> Self: ...
    @property
    @abstractmethod
    def scatter(self) -> Array: ...
    @abstractmethod
    def relative(self, axes: Self) -> Array: ...
    @abstractmethod
    def absolute(self, relative: Array) -> Self: ...
    @abstractmethod
    def part(self, chosen: Array) -> Self: ...
    @abstractmethod
    def moment_loss(self, mean: Array) -> Array: ...
    @staticmethod
    @abstractmethod
    def monomials(Z: Array, out: Array) -> None: ...
    @abstractmethod
    def couple(self, v: Array) -> tuple[Array, Array]: ...
    @staticmethod
    @abstractmethod
    def assemble(m: Array, d: int) -> Array: ...


def _per_weight(scatter: Array, dof: Array) -> Array:
    """Scatter / dof; a Gaussian that holds no data keeps unit covariance, whatever its extra."""
    held = dof.reshape(-1, *[1] * (scatter.ndim - 1))
    return scatter / np.where(held > 0, held, 1.0)


@dataclass(frozen=True, eq=False)
class Full(Covariance):
    """Any positive definite matrix, kept as its lower Cholesky factor L, (K, d, d)."""

    factor: Array
    per_feature = True
    natural_features = 24

    @staticmethod
    def outer(v: Array) -> Array:
        return v[:, :, None] * v[:, None, :]

    @classmethod
    def gram(cls, R: Array, w: Array) -> Array:
        return cls.accumulate(R, w)[1]

    @staticmethod
    def accumulate(R: Array, w: Array) -> tuple[Array, Array]:
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

    @staticmethod
    def diagonal(part: Array, d: int) -> Array:
        return np.diagonal(part, axis1=1, axis2=2)

    @classmethod
    def estimate(cls, scatter: Array, dof: Array, extra: Array) -> Self:
        covariance = _per_weight(scatter, dof) + np.diag(extra)
        covariance[dof <= 0] += np.eye(len(extra))
        return cls(_cholesky(covariance))

    @classmethod
    def from_matrix(cls, matrix: Array, d: int) -> Self:
        return cls(_cholesky(matrix))

    @classmethod
    def from_precision(cls, precision: Array, d: int) -> Self:
        # With rows and columns in reverse order, a lower factor of P becomes U, P = U U', L = inv(U)'.
        upper = _cholesky(precision[:, ::-1, ::-1])[:, ::-1, ::-1]
        return cls(np.stack([_invert(U.T) for U in upper]))

    @cached_property
    def inverse(self) -> Array:
        """Inverses of the Cholesky factors, (K, d, d)."""
        return np.stack([_invert(L) for L in self.factor])

    @property
    def matrix(self) -> Array:
        return self.factor @ self.factor.mT

    @property
    def precision(self) -> Array:
        return self.inverse.mT @ self.inverse

    @property
    def precision_factor(self) -> Array:
        return self.inverse.mT

    def whitener(self, mean: Array) -> Whitener:
        K, d = mean.shape
        inverse = np.broadcast_to(self.inverse, (K, d, d))
        shift = -(inverse @ mean[:, :, None])
        affine = np.concatenate([shift, inverse], axis=2).transpose(1, 0, 2)
        # Rows of a lower triangular matrix end in zeros: strips of rows leave most of them out.
        ends = [d * (i + 1) // STRIPS for i in range(STRIPS)] if d >= STRIPED else [d]
        strips = [
            (slice(start * K, end * K), np.ascontiguousarray(affine[start:end, :, : end + 1]))
            for start, end in pairwise([0, *ends])
        ]

        def whiten(Z: Array) -> Array:
            n = Z.shape[1]
            lifted, out = np.empty((d + 1, n), Z.dtype), np.empty((d * K, n), Z.dtype)
            lifted[0], lifted[1:] = 1.0, Z
            for rows, strip in strips:
                width = strip.shape[2]
                flat = strip.reshape(-1, width).astype(Z.dtype, copy=False)
                np.matmul(flat, lifted[:width], out=out[rows])
            return out.reshape(d, K, n).transpose(1, 0, 2)

        return whiten

    def whiten_each(self, v: Array) -> Array:
        return (self.inverse @ v[..., None])[..., 0]

    def colour(self, e: Array, k: int) -> Array:
        return e @ self.factor[k].T

    def colour_each(self, v: Array) -> Array:
        return (self.factor @ v[..., None])[..., 0]

    def restore(self, part: Array) -> Array:
        return self.factor @ part @ self.factor.mT

    def rescale(self, s: Array) -> Self:
        return type(self)(self.factor * s[:, None])

    @property
    def log_det(self) -> Array:
        return 2.0 * np.log(np.diagonal(self.factor, axis1=1, axis2=2)).sum(axis=1)

    @property
    def variances(self) -> Array:
        return (self.factor**2).sum(axis=2)

    @property
    def precision_diagonal(self) -> Array:
        return (self.inverse**2).sum(axis=1)

    @property
    def scatter(self) -> Array:
        return self.matrix

    def relative(self, axes: Self) -> Array:
        """Entries of inv(A) L, which is lower triangular too; logarithms on the diagonal."""
        i, j = _lower(self.factor.shape[1])
        entries = (axes.inverse @ self.factor)[:, i, j]
        entries[:, i == j] = np.log(entries[:, i == j])
        return entries

    def absolute(self, relative: Array) -> Self:
        i, j = _lower(self.factor.shape[1])
        entries = relative.copy()
        entries[:, i == j] = np.exp(entries[:, i == j])
        factor = np.zeros((len(relative), *self.factor.shape[1:]))
        factor[:, i, j] = entries
        return type(self)(self.factor @ factor)

    def part(self, chosen: Array) -> Self:
        return type(self)(self.factor[chosen])

    def moment_loss(self, mean: Array) -> Array:
        size = (mean**2).sum(axis=1) + self.variances.sum(axis=1)
        return size * self.precision_diagonal.max(axis=1)

    @staticmethod
    def monomials(Z: Array, out: Array) -> None:
        start = 0
        for j in range(len(Z)):
            np.multiply(Z[j], Z[j:], out=out[start : start + len(Z) - j])
            start += len(Z) - j

    def couple(self, v: Array) -> tuple[Array, Array]:
        P = self.precision
        i, j = _upper(P.shape[1])
        return (P @ v[..., None])[..., 0], np.where(i == j, -0.5, -1.0) * P[:, i, j]

    @staticmethod
    def assemble(m: Array, d: int) -> Array:
        i, j = _upper(d)
        part = np.empty((len(m), d, d))
        part[:, i, j] = part[:, j, i] = m
        return part

    @staticmethod
    def size(d: int) -> int:
        return d * (d + 1) // 2


@dataclass(frozen=True, eq=False)
class Diagonal(Covariance):
    """Independent features, kept as their standard deviations, (K, d)."""

    deviation: Array
    per_feature = True
    natural_features = np.inf

    @staticmethod
    def outer(v: Array) -> Array:
        return v * v

    @classmethod
    def gram(cls, R: Array, w: Array) -> Array:
        V = R * np.sqrt(w)[:, None, :]
        return np.einsum("kdn,kdn->kd", V, V)

    @staticmethod
    def diagonal(part: Array, d: int) -> Array:
        return part

    @classmethod
    def estimate(cls, scatter: Array, dof: Array, extra: Array) -> Self:
        variance = _per_weight(scatter, dof) + extra
        variance[dof <= 0] += 1.0
        return cls(_deviations(variance))

    @classmethod
    def from_matrix(cls, matrix: Array, d: int) -> Self:
        return cls(_deviations(matrix))

    @classmethod
    def from_precision(cls, precision: Array, d: int) -> Self:
        return cls(1.0 / _deviations(precision))

    @property
    def matrix(self) -> Array:
        return self.deviation**2

    @property
    def precision(self) -> Array:
        return self.deviation**-2

    @property
    def precision_factor(self) -> Array:
        return 1.0 / self.deviation

    def whitener(self, mean: Array) -> Whitener:
        centre, precision = mean[:, :, None], 1.0 / self.deviation[:, :, None]
        return lambda Z: (Z - centre.astype(Z.dtype)) * precision.astype(Z.dtype)

    def whiten_each(self, v: Array) -> Array:
        return v / self.deviation

    def colour(self, e: Array, k: int) -> Array:
        return e * self.deviation[k]

    def colour_each(self, v: Array) -> Array:
        return v * self.deviation

    def restore(self, part: Array) -> Array:
        return part * self.deviation**2

    def rescale(self, s: Array) -> Self:
        return type(self)(self.deviation * s)

    @property
    def log_det(self) -> Array:
        return 2.0 * np.log(self.deviation).sum(axis=1)

    @property
    def variances(self) -> Array:
        return self.deviation**2

    @property
    def precision_diagonal(self) -> Array:
        return self.deviation**-2

    @property
    def scatter(self) -> Array:
        return self.deviation**2

    def relative(self, axes: Self) -> Array:
        return np.log(self.deviation / axes.deviation)

    def absolute(self, relative: Array) -> Self:
        return type(self)(self.deviation * np.exp(relative))

    def part(self, chosen: Array) -> Self:
        return type(self)(self.deviation[chosen])

    def moment_loss(self, mean: Array) -> Array:
        return ((mean / self.deviation) ** 2).max(axis=1) + 1.0

    @staticmethod
    def monomials(Z: Array, out: Array) -> None:
        np.multiply(Z, Z, out=out)

    def couple(self, v: Array) -> tuple[Array, Array]:
        return v * self.precision_diagonal, -0.5 * self.precision_diagonal

    @staticmethod
    def assemble(m: Array, d: int) -> Array:
        return m

    @staticmethod
    def size(d: int) -> int:
        return d


@dataclass(frozen=True, eq=False)
class Spherical(Diagonal):
    """One variance for all features: a diagonal of equal entries, of which the trace is the part."""

    per_feature = False

    @staticmethod
    def outer(v: Array) -> Array:
        return (v * v).sum(axis=1)

    @classmethod
    def gram(cls, R: Array, w: Array) -> Array:
        V = R * np.sqrt(w)[:, None, :]
        return np.einsum("kdn,kdn->k", V, V)

    @staticmethod
    def diagonal(part: Array, d: int) -> Array:
        return np.repeat(part[:, None] / d, d, axis=1)

    @classmethod
    def estimate(cls, scatter: Array, dof: Array, extra: Array) -> Self:
        variance = (_per_weight(scatter, dof) + extra.sum()) / len(extra)
        variance[dof <= 0] += 1.0
        return cls.from_matrix(variance, len(extra))

    @classmethod
    def from_matrix(cls, matrix: Array, d: int) -> Self:
        return cls(_deviations(np.repeat(matrix[:, None], d, axis=1)))

    @classmethod
    def from_precision(cls, precision: Array, d: int) -> Self:
        return cls(1.0 / _deviations(np.repeat(precision[:, None], d, axis=1)))

    @property
    def matrix(self) -> Array:
        return self.deviation[:, 0] ** 2

    @property
    def scatter(self) -> Array:
        return (self.deviation**2).sum(axis=1)

    def relative(self, axes: Self) -> Array:
        return np.log(self.deviation[:, :1] / axes.deviation[:, :1])

    @property
    def precision(self) -> Array:
        return self.deviation[:, 0] ** -2

    @property
    def precision_factor(self) -> Array:
        return 1.0 / self.deviation[:, 0]

    def restore(self, part: Array) -> Array:
        return part * self.deviation[:, 0] ** 2

    @staticmethod
    def monomials(Z: Array, out: Array) -> None:
        np.einsum("dn,dn->n", Z, Z, out=out[0])

    def couple(self, v: Array) -> tuple[Array, Array]:
        return v * self.precision_diagonal, -0.5 * self.precision_diagonal[:, :1]

    @staticmethod
    def assemble(m: Array, d: int) -> Array:
        return m[:, 0]

    @staticmethod
    def size(d: int) -> int:
        return 1


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
