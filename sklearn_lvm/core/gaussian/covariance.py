"""Covariance structures are values, ``Full(d, tied)``; covariances are arrays of one structure.

A structure stores the entries of a symmetric d x d matrix that it uses (all, the diagonal, the trace)
in an array of shape S, the stored form. The public form is that of scikit-learn's ``covariances_``.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from ..._typing import Floats, Ints
from ..linalg import SingularCovarianceError
from .completion import Completer

Whitener = Callable[[Floats], Floats]


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
    max_natural_features: ClassVar[float]  # up to how many features monomials are the cheaper form

    @property
    @abstractmethod
    def n_parameters(self) -> int:
        """Free parameters of one covariance."""

    @property
    def n_monomials(self) -> int:
        """How many monomials its density needs, or entries of the stored form are free."""
        return self.n_parameters

    def row_width(self, n_components: int) -> int:
        """How many numbers a row grows into in the E-step of K Gaussians."""
        if self.d > self.max_natural_features:
            return n_components * (self.d + 1)
        return 1 + self.d + self.n_monomials + n_components

    @property
    def projected(self) -> bool:
        """Whether moments keep, beside what is stored of scatters, their products with a few axes."""
        return False

    @property
    def of_priors(self) -> "Structure":
        """The structure in whose stored form priors have their scatters."""
        return self

    @property
    def unconstrained(self) -> "Structure":
        """The structure of all covariances of this stored form."""
        return self

    @property
    @abstractmethod
    def wishart_size(self) -> int:
        """Features of each independent block of a precision: all, or one.

        A block of p features has a Wishart distribution as its conjugate prior; a number, p = 1, a
        Gamma distribution.
        """

    @property
    def dof_per_row(self) -> int:
        """Degrees of freedom that a row adds to that distribution: how often it shows the block."""
        return 1

    @property
    def n_wisharts(self) -> int:
        """How many independent blocks a precision has."""
        return self.d // (self.wishart_size * self.dof_per_row)

    @abstractmethod
    def outer(self, v: Floats) -> Floats:
        """The stored form of v v', (K, d) -> (K, *S)."""

    def of_variances(self, variance: Floats) -> Floats:
        """The stored form of a diagonal matrix, (d,) -> (1, *S)."""
        return self.uncorrelated(self.outer(np.sqrt(variance)[None]))

    def growth(self, factor: Floats) -> Floats:
        """By what a stored form grows when each feature is multiplied by a factor, (d,) -> (1, *S)."""
        return self.outer(factor[None]) / self.outer(np.ones_like(factor)[None])

    @abstractmethod
    def gram(self, R: Floats, w: Floats) -> Floats:
        """The stored form of sum_i w_i r_i r_i', (K or 1, d, n) and (K, n) -> (K, *S)."""

    def accumulate(self, R: Floats, w: Floats) -> tuple[Floats, Floats]:
        """sum_i w_i r_i, (K, d), and the gram."""
        return (R @ w[:, :, None])[..., 0], self.gram(R, w)

    def pooled(self, sums: Floats) -> Floats:
        """Sums of each component, (K, ...), as those of each covariance, (1, ...) if tied."""
        return sums.sum(axis=0, keepdims=True) if self.tied else sums

    @abstractmethod
    def diagonal(self, stored: Floats) -> Floats:
        """The diagonal of a stored form, or what is known of it, (K, *S) -> (K, d)."""

    @abstractmethod
    def uncorrelated(self, stored: Floats) -> Floats:
        """The stored form with all covariances of two features set to zero, (K, *S) -> (K, *S)."""

    @abstractmethod
    def monomials(self, Z: Floats, out: Floats) -> None:
        """The products of two features that a density needs, (d, n) -> (size, n)."""

    @abstractmethod
    def from_monomials(self, m: Floats) -> Floats:
        """The stored form of sum_i w_i z_i z_i' from sums of monomials, (K, size) -> (K, *S)."""

    @abstractmethod
    def estimate(
        self,
        scatter: Floats,
        dof: Floats,
        added_variance: Floats,
        current: "Covariances | None" = None,
    ) -> "Covariances":
        """Covariances scatter / dof + diag(added_variance); the unit covariance where dof is 0.

        Where these are not of the structure, those that are more likely than ``current``, or nearly the
        most likely ones.
        """

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

    def public(self, matrices: Floats) -> Floats:
        """The public form of arrays of covariances, which drops the leading axis of a tied one."""
        return matrices[0] if self.tied else matrices

    @abstractmethod
    def to_public(self, stored: Floats) -> Floats:
        """The public form of stored forms, (K, *S)."""

    def from_public(self, matrix: Floats) -> "Covariances":
        """Covariances from their public form."""
        return self._from_matrices(matrix[None] if self.tied else matrix)

    def from_public_precision(self, precision: Floats) -> "Covariances":
        """Covariances from the public form of their inverses."""
        return self._from_precisions(precision[None] if self.tied else precision)

    @abstractmethod
    def _from_matrices(self, matrices: Floats) -> "Covariances": ...
    @abstractmethod
    def _from_precisions(self, precisions: Floats) -> "Covariances": ...


class Covariances(ABC):
    """K covariances of one structure, or one that K Gaussians share."""

    structure: Structure

    @property
    @abstractmethod
    def matrix(self) -> Floats:
        """The public form."""

    @property
    @abstractmethod
    def precision(self) -> Floats:
        """The public form of the inverses."""

    @property
    @abstractmethod
    def precision_factor(self) -> Floats:
        """U with U U' = precision (upper triangular, or its diagonal), in the public form."""

    @property
    @abstractmethod
    def log_det(self) -> Floats:
        """log |covariance|, (K,)."""

    @property
    @abstractmethod
    def variances(self) -> Floats:
        """Diagonals of the covariances, (K, d)."""

    @property
    @abstractmethod
    def precision_diagonal(self) -> Floats:
        """Diagonals of their inverses, (K, d)."""

    @abstractmethod
    def traces(self, stored: Floats) -> Floats:
        """tr(inv(C_k) S_k) for symmetric matrices S_k in the stored form, (K or 1, *S) -> (K,)."""

    @abstractmethod
    def log_det_growth(self, stored: Floats) -> Floats:
        """log |C_k + S_k| - log |C_k| for S_k in stored form, to its own last digits, (K,)."""

    @property
    @abstractmethod
    def scatter(self) -> Floats:
        """The stored form, (K, *S)."""

    @abstractmethod
    def whitener(self, mean: Floats) -> Whitener:
        """The function (d, n) -> (K, d, n) of rows that gives inv(L_k) (z - m_k)."""

    @abstractmethod
    def completer(self, mean: Floats) -> Completer:
        """What completes rows with missing entries under Gaussians of these means, (K, d)."""

    @abstractmethod
    def whiten_each(self, v: Floats) -> Floats:
        """inv(L_k) v_k, (K, d) -> (K, d)."""

    @abstractmethod
    def times(self, v: Floats) -> Floats:
        """C_k v_k, (K, d) -> (K, d)."""

    @abstractmethod
    def colorize(self, e: Floats, k: int) -> Floats:
        """L_k e, white noise into samples of one Gaussian, (n, d) -> (n, d)."""

    @abstractmethod
    def colorize_each(self, v: Floats) -> Floats:
        """L_k v_k, (K, d) -> (K, d)."""

    @abstractmethod
    def restore(self, stored: Floats) -> Floats:
        """The stored form of L P L' from that of P, undoing ``gram`` of whitened rows."""

    @abstractmethod
    def rescale(self, s: Floats) -> Self:
        """Covariances after x_j -> s_j x_j."""

    @abstractmethod
    def at_least(self, variance: Floats) -> Self:
        """The covariances whose variances in any direction are no less than those of diag(variance).

        Along the principal axes, in units of these variances, (d,), what is below 1 is raised to 1. Of
        such covariances they maximize -log |C| - tr(inv(S) C), S being these ones.
        """

    def pooled(self, mean: Floats, weights: Floats) -> tuple[Floats, "Covariances"]:
        """Means and covariances in units of which coordinates are: one of each, those of the mixture.

        A mean too far from the others makes that covariance singular by rounding; then it is the
        average of theirs.
        """
        center, structure = weights @ mean, self.structure
        between = structure.outer((mean - center) * np.sqrt(weights)[:, None]).sum(axis=0)
        scatter = self.scatter
        each = np.broadcast_to(scatter, (len(weights), *scatter.shape[1:]))
        within = np.tensordot(weights, each, 1)
        one, nothing = np.ones(1), np.zeros(len(center))
        try:
            covariance = structure.estimate((within + between)[None], one, nothing)
        except SingularCovarianceError:
            covariance = structure.estimate(within[None], one, nothing)
        return center[None], covariance

    @abstractmethod
    def to_coordinates(self, reference: Self) -> Floats:
        """Real coordinates of the covariances in units of one, ``reference``, (K, size)."""

    @abstractmethod
    def from_coordinates(self, coordinates: Floats) -> Self:
        """The covariances that have these coordinates in units of this one."""

    @abstractmethod
    def subset(self, chosen: Ints) -> Self:
        """A subset of the covariances."""

    @abstractmethod
    def cancellation(self, mean: Floats) -> Floats:
        """By how much squares about zero exceed squares about means, (K,)."""

    @abstractmethod
    def natural_parameters(self, v: Floats) -> tuple[Floats, Floats]:
        """Coefficients: v_k' inv(C_k), and of the monomials in -z' inv(C_k) z / 2."""

    @abstractmethod
    def restructured(self, structure: Structure) -> Self:
        """The same covariances in a structure that they fit."""

    # -- some of the features ------------------------------------------------------------------------

    @abstractmethod
    def marginal(self, features: Ints) -> Self:
        """The covariances of some features, or of all, in any order."""

    @abstractmethod
    def split(self, p: int) -> tuple[Self, Self]:
        """The covariances of the first p features, and those of the others given these."""

    @abstractmethod
    def regress(self, e: Floats) -> Floats:
        """How far whitened first features move the means of the others, (K, p) -> (K, d - p)."""

    def __len__(self) -> int:
        return len(self.variances)


def along(values: Floats, stored: Floats) -> Floats:
    """One number for each stored form, (K,), as an array to multiply these with, (K, *S)."""
    return values.reshape(-1, *[1] * (stored.ndim - 1))


def per_weight(scatter: Floats, dof: Floats) -> Floats:
    """Scatter / dof; a Gaussian that holds no data keeps unit covariance, whatever is added."""
    held = along(dof, scatter)
    return scatter / np.where(held > 0, held, 1.0)
