"""Diagonal and spherical covariances: independent features, by their standard deviations."""

from dataclasses import dataclass, replace
from functools import partial
from typing import Self

import numpy as np

from ..._typing import Floats, Ints
from ..linalg import deviations
from .completion import DiagonalCompleter
from .covariance import Covariances, Structure, Whitener, per_weight


@dataclass(frozen=True)
class Diagonal(Structure):
    """Independent features; the diagonal is stored."""

    per_feature = True
    max_natural_features = np.inf

    @property
    def n_parameters(self) -> int:
        return self.d

    @property
    def wishart_size(self) -> int:
        return 1

    def outer(self, v: Floats) -> Floats:
        return v * v

    def gram(self, R: Floats, w: Floats) -> Floats:
        V = R * np.sqrt(w)[:, None, :]
        return np.asarray(np.einsum("kdn,kdn->kd", V, V))

    def diagonal(self, stored: Floats) -> Floats:
        return stored

    def uncorrelated(self, stored: Floats) -> Floats:
        return stored

    def monomials(self, Z: Floats, out: Floats) -> None:
        np.multiply(Z, Z, out=out)

    def from_monomials(self, m: Floats) -> Floats:
        return m

    def estimate(
        self,
        scatter: Floats,
        dof: Floats,
        added_variance: Floats,
        current: Covariances | None = None,
    ) -> "DiagonalCovariances":
        variance = per_weight(scatter, dof) + added_variance
        variance[dof <= 0] += 1.0
        return DiagonalCovariances(self, deviations(variance))

    def public_shape(self, n_components: int) -> tuple[int, ...]:
        return (self.d,) if self.tied else (n_components, self.d)

    def to_public(self, stored: Floats) -> Floats:
        return self.public(stored)

    def _from_matrices(self, matrices: Floats) -> "DiagonalCovariances":
        return DiagonalCovariances(self, deviations(matrices))

    def _from_precisions(self, precisions: Floats) -> "DiagonalCovariances":
        return DiagonalCovariances(self, 1.0 / deviations(precisions))


@dataclass(frozen=True, eq=False)
class DiagonalCovariances(Covariances):
    """Diagonal covariances by their standard deviations, (K, d)."""

    structure: Structure
    deviation: Floats

    def traces(self, stored: Floats) -> Floats:
        return np.asarray((self.precision_diagonal * stored).sum(axis=1))

    @np.errstate(divide="ignore")
    def log_det_growth(self, stored: Floats) -> Floats:
        added = self.structure.diagonal(stored)
        ratio = np.log(added) - 2.0 * np.log(self.deviation)
        return np.asarray(np.logaddexp(0.0, ratio).sum(axis=1))

    @property
    def scatter(self) -> Floats:
        return self.deviation**2

    @property
    def matrix(self) -> Floats:
        return self.structure.public(self.deviation**2)

    @property
    def precision(self) -> Floats:
        return self.structure.public(self.deviation**-2)

    @property
    def precision_factor(self) -> Floats:
        return self.structure.public(1.0 / self.deviation)

    def whitener(self, mean: Floats) -> Whitener:
        return partial(_whiten_each_feature, mean[:, :, None], 1.0 / self.deviation[:, :, None])

    def completer(self, mean: Floats) -> DiagonalCompleter:
        return DiagonalCompleter(mean, self.deviation)

    def whiten_each(self, v: Floats) -> Floats:
        return v / self.deviation

    def times(self, v: Floats) -> Floats:
        return v * self.deviation**2

    def colorize(self, e: Floats, k: int) -> Floats:
        return np.asarray(e * self.deviation[k])

    def colorize_each(self, v: Floats) -> Floats:
        return v * self.deviation

    def restore(self, stored: Floats) -> Floats:
        return stored * self.deviation**2

    def rescale(self, s: Floats) -> Self:
        return type(self)(self.structure, self.deviation * s)

    def at_least(self, variance: Floats) -> Self:
        return type(self)(self.structure, np.maximum(self.deviation, np.sqrt(variance)))

    @property
    def log_det(self) -> Floats:
        return np.asarray(2.0 * np.log(self.deviation).sum(axis=1))

    @property
    def variances(self) -> Floats:
        return self.deviation**2

    @property
    def precision_diagonal(self) -> Floats:
        return self.deviation**-2

    def to_coordinates(self, reference: Self) -> Floats:
        return np.log(self.deviation / reference.deviation)

    def from_coordinates(self, coordinates: Floats) -> Self:
        return type(self)(self.structure, self.deviation * np.exp(coordinates))

    def subset(self, chosen: Ints) -> Self:
        return type(self)(self.structure, self.deviation[chosen])

    def restructured(self, structure: Structure) -> Self:
        return replace(self, structure=structure)

    def marginal(self, features: Ints) -> Self:
        structure = replace(self.structure, d=len(features))
        return type(self)(structure, self.deviation[:, features])

    def split(self, p: int) -> tuple[Self, Self]:
        places = np.arange(self.structure.d)
        return self.marginal(places[:p]), self.marginal(places[p:])

    def regress(self, e: Floats) -> Floats:
        return np.zeros((len(e), self.structure.d - e.shape[1]))

    @np.errstate(over="ignore")
    def cancellation(self, mean: Floats) -> Floats:
        return np.asarray(((mean / self.deviation) ** 2).max(axis=1) + 1.0)

    def natural_parameters(self, v: Floats) -> tuple[Floats, Floats]:
        return v * self.precision_diagonal, -0.5 * self.precision_diagonal


def _whiten_each_feature(mean: Floats, inverse: Floats, Z: Floats) -> Floats:
    """(z - m_k) / s_k of rows (d, n), with means and inverse deviations (K, d, 1)."""
    return (Z - mean.astype(Z.dtype)) * inverse.astype(Z.dtype)


@dataclass(frozen=True)
class Spherical(Diagonal):
    """One variance for all features: a diagonal of equal entries, of which the trace is stored."""

    per_feature = False

    @property
    def n_parameters(self) -> int:
        return 1

    @property
    def dof_per_row(self) -> int:
        return self.d

    def outer(self, v: Floats) -> Floats:
        return np.asarray((v * v).sum(axis=1))

    def gram(self, R: Floats, w: Floats) -> Floats:
        V = R * np.sqrt(w)[:, None, :]
        return np.asarray(np.einsum("kdn,kdn->k", V, V))

    def diagonal(self, stored: Floats) -> Floats:
        return np.repeat(stored[:, None] / self.d, self.d, axis=1)

    def monomials(self, Z: Floats, out: Floats) -> None:
        np.einsum("dn,dn->n", Z, Z, out=out[0])

    def from_monomials(self, m: Floats) -> Floats:
        return m[:, 0]

    def estimate(
        self,
        scatter: Floats,
        dof: Floats,
        added_variance: Floats,
        current: Covariances | None = None,
    ) -> "SphericalCovariances":
        variance = (per_weight(scatter, dof) + added_variance.sum()) / self.d
        variance[dof <= 0] += 1.0
        return self._from_matrices(variance)

    def public_shape(self, n_components: int) -> tuple[int, ...]:
        return () if self.tied else (n_components,)

    def to_public(self, stored: Floats) -> Floats:
        return self.public(stored / self.d)

    def _from_matrices(self, matrices: Floats) -> "SphericalCovariances":
        return SphericalCovariances(self, deviations(self._repeated(matrices)))

    def _from_precisions(self, precisions: Floats) -> "SphericalCovariances":
        return SphericalCovariances(self, 1.0 / deviations(self._repeated(precisions)))

    def _repeated(self, variance: Floats) -> Floats:
        return np.repeat(variance[:, None], self.d, axis=1)


@dataclass(frozen=True, eq=False)
class SphericalCovariances(DiagonalCovariances):
    """Spherical covariances by their standard deviations, equal along each row, (K, d)."""

    structure: Structure

    def traces(self, stored: Floats) -> Floats:
        return np.asarray(self.precision_diagonal[:, 0] * stored)

    @property
    def scatter(self) -> Floats:
        return np.asarray((self.deviation**2).sum(axis=1))

    @property
    def matrix(self) -> Floats:
        return self.structure.public(self.deviation[:, 0] ** 2)

    @property
    def precision(self) -> Floats:
        return self.structure.public(self.deviation[:, 0] ** -2)

    @property
    def precision_factor(self) -> Floats:
        return self.structure.public(1.0 / self.deviation[:, 0])

    def restore(self, stored: Floats) -> Floats:
        return stored * self.deviation[:, 0] ** 2

    def at_least(self, variance: Floats) -> Self:
        return super().at_least(np.full_like(variance, variance.mean()))

    def to_coordinates(self, reference: Self) -> Floats:
        return np.log(self.deviation[:, :1] / reference.deviation[:, :1])

    def natural_parameters(self, v: Floats) -> tuple[Floats, Floats]:
        return v * self.precision_diagonal, -0.5 * self.precision_diagonal[:, :1]
