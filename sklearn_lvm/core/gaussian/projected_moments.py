"""Moments of many features: of a scatter its diagonal is kept, and its products with a few axes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from ..._typing import Floats, Ints
from .diagonal import Diagonal
from .low_rank_covariances import LEAST_SIZE
from .moments import Moments

# Of the axes of a start: more of them than are kept, and products with the scatter.
OVERSAMPLED, N_PRODUCTS = 8, 6


@dataclass(frozen=True, eq=False)
class ProjectedMoments(Moments):
    """Moments whose scatter S is kept as its diagonal, and as S Q in units of a deviation.

    With D the diagonal matrix of the deviations it is inv(D) S inv(D) Q that is kept. Moments of the
    same axes add, and so do those of a prior, whose scatter is a matrix or its diagonal.

    Attributes
    ----------
    axes : ndarray of shape (K, d, p)
        Q, orthonormal columns.
    sizes : ndarray of shape (K, p)
        The lengths of the whitened loadings along the axes.
    deviation : ndarray of shape (K, d)
    projected : ndarray of shape (K, d, p)
    """

    axes: Floats
    sizes: Floats
    deviation: Floats
    projected: Floats

    @classmethod
    def of_rows(
        cls, moments: Moments, deviation: Floats, Z: Floats, w: Floats, n_axes: int
    ) -> Self:
        """Moments of rows (d, n) under K sets of weights, (K, n), on their own principal axes.

        These are the axes of rows in units of the deviations, (K, d).
        """
        found = [
            _principal(Z, v, m, s, n_axes)
            for v, m, s in zip(w, moments.mean, deviation, strict=True)
        ]
        axes, sizes, projected = (np.stack(parts) for parts in zip(*found, strict=True))
        return cls(
            moments.weight,
            moments.dof,
            moments.mean,
            moments.scatter,
            moments.structure,
            axes,
            sizes,
            deviation,
            projected,
        )

    def __add__(self, other: Moments) -> Self:
        sums = diagonal_of(self) + diagonal_of(other)
        share = other.weight / np.where(sums.weight > 0, sums.weight, 1.0)
        gap = (other.mean - self.mean) * np.sqrt(self.weight * share)[:, None] / self.deviation
        between = gap[:, :, None] * (gap[:, None] @ self.axes)
        return replace(
            self,
            weight=sums.weight,
            dof=sums.dof,
            mean=sums.mean,
            scatter=sums.scatter,
            projected=self.projected + self._projected_of(other) + between,
        )

    def _projected_of(self, other: Moments) -> Floats:
        """The products of the axes with the scatter of other moments."""
        if isinstance(other, ProjectedMoments):
            return other.projected
        if other.scatter.ndim == 2:
            return self.with_diagonal(other.scatter)
        unit = self.deviation[:, :, None]
        return np.asarray(other.scatter @ (self.axes / unit) / unit)

    def with_diagonal(self, variance: Floats) -> Floats:
        """The products of the axes with a diagonal scatter, (d,) or (K, d)."""
        return np.asarray((variance / self.deviation**2)[:, :, None] * self.axes)

    def tiled(self, n: int) -> Self:
        def repeated(array: Floats) -> Floats:
            return np.concatenate([array] * n)

        return self._with_each(repeated)

    def subset(self, chosen: Ints) -> Self:
        return self._with_each(lambda array: array[chosen])

    def _with_each(self, change: Callable[[Floats], Floats]) -> Self:
        return type(self)(
            change(self.weight),
            change(self.dof),
            change(self.mean),
            change(self.scatter),
            self.structure,
            change(self.axes),
            change(self.sizes),
            change(self.deviation),
            change(self.projected),
        )


def diagonal_of(moments: Moments) -> Moments:
    """The moments of features one by one, without what is known of two together."""
    scatter = moments.structure.diagonal(moments.scatter)
    structure = Diagonal(moments.structure.d)
    return Moments(moments.weight, moments.dof, moments.mean, scatter, structure)


def _principal(
    Z: Floats, w: Floats, mean: Floats, deviation: Floats, n_axes: int
) -> tuple[Floats, Floats, Floats]:
    """Leading axes (d, p) of weighted rows (d, n), sizes of loadings along them, and S Q, whitened.

    By products of a random basis with the scatter (Halko, Martinsson & Tropp, 2011, algorithm 4.4).
    """
    held = np.flatnonzero(w)
    U = (Z[:, held] - mean[:, None]) / deviation[:, None]
    U *= np.sqrt(w[held])
    weight = max(float(w.sum()), np.finfo(np.float64).tiny)
    n_columns = min(n_axes + OVERSAMPLED, len(Z))
    basis = np.linalg.qr(np.random.RandomState(0).standard_normal((len(Z), n_columns)))[0]
    for _ in range(N_PRODUCTS):
        basis = np.linalg.qr(U @ (U.T @ basis))[0]
    product = U @ (U.T @ basis)
    values, turn = np.linalg.eigh(basis.T @ product)
    turn = turn[:, ::-1][:, :n_axes]
    excess = values[::-1][:n_axes] / weight - 1.0
    return basis @ turn, np.sqrt(np.maximum(excess, LEAST_SIZE**2)), product @ turn
