"""The leading eigenpairs of a symmetric operator that is known by its products alone.

Block Lanczos with full orthogonalisation: each round multiplies the newest block of a basis, and the
operator restricted to the basis gives Ritz pairs. The walk ends when what is left to gain of an
objective, a function of the eigenvalues, is estimated to be less than a tolerance.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, log

import numpy as np
from scipy.linalg import eigh, qr

from ..._typing import Array

BLOCKS = 12  # of the basis before it is condensed
SAFETY = 10.0
PATIENCE, SPAN = 2, 6  # over how many rounds the pace is judged, at least and at most


@dataclass(frozen=True)
class Operator:
    """A symmetric operator C without a matrix.

    Attributes
    ----------
    multiply : callable
        From vectors V (b, d) to V C, (b, d).
    form : callable
        From vectors V (b, d) to V C V', (b, b), which may cost half as much.
    """

    multiply: Callable[[Array], Array]
    form: Callable[[Array], Array]


@dataclass(frozen=True, eq=False)
class Eigenpairs:
    """Ritz values (q,) in falling order, vectors (q, d), rounds, and how the walk ended."""

    values: Array
    vectors: Array
    n_iter: int
    converged: bool


@dataclass(frozen=True, eq=False)
class _Ritz:
    """Ritz pairs of a basis: values (m,) in falling order; vectors and their products, (m, d)."""

    values: Array
    vectors: Array
    products: Array

    @classmethod
    def of(cls, basis: Array, products: Array, count: int) -> "_Ritz":
        matrix = basis @ products.T
        m = len(matrix)
        chosen = [max(m - count, 0), m - 1]
        values, s = eigh((matrix + matrix.T) / 2, subset_by_index=chosen, check_finite=False)
        s = s.T[::-1]
        return cls(values[::-1], s @ basis, s @ products)

    def left(self, q: int, slope: Callable[[Array], Array]) -> float:
        """What the objective may still gain: eigenvalues are off by |residual|^2 / gap at most."""
        values = self.values[:q]
        residual = self.products[:q] - values[:, None] * self.vectors[:q]
        size = np.linalg.norm(residual, axis=1)
        gap = np.maximum(values - self.values[q], np.finfo(float).tiny)
        return float(slope(values) @ np.minimum(size * np.minimum(size / gap, 1.0), values))


def leading(
    operator: Operator,
    start: Array,
    q: int,
    slope: Callable[[Array], Array],
    *,
    tol: float,
    max_iter: int,
) -> Eigenpairs:
    """The q largest eigenvalues of a positive operator and their vectors.

    Parameters
    ----------
    operator : Operator
    start : ndarray of shape (b, d)
        Where to begin, with b > q.
    q : int
    slope : callable
        By how much the objective grows with each of q eigenvalues, (q,) -> (q,).
    tol : float
        Of the objective.
    max_iter : int
        The most products. The walk also gives up as soon as these seem too few.
    """
    block = orthonormal(start)
    basis = products = np.empty((0, start.shape[1]))
    lefts: list[float] = []
    for n_iter in range(1, max_iter + 1):
        basis, products = np.vstack([basis, block]), np.vstack([products, operator.multiply(block)])
        ritz = _Ritz.of(basis, products, len(start))
        lefts.append(ritz.left(q, slope))
        if lefts[-1] < tol:
            return Eigenpairs(ritz.values[:q], ritz.vectors[:q], n_iter, True)
        if (
            n_iter < max_iter
            and lefts[-1] * SAFETY * (ritz.values[q] / ritz.values[q - 1]) ** 2 < tol
        ):
            return _polished(operator, ritz.products, q, n_iter + 1)
        if n_iter + _needed(lefts, tol) > max_iter:
            break
        block = _outside(products[-len(block) :], basis)
        if len(basis) >= BLOCKS * len(start):
            basis, products = ritz.vectors, ritz.products
            block = _outside(products - ritz.values[:, None] * basis, basis)
    return Eigenpairs(ritz.values[:q], ritz.vectors[:q], n_iter, False)


def _polished(operator: Operator, products: Array, q: int, n_iter: int) -> Eigenpairs:
    """One step of power iteration, which shrinks the error by the ratio of eigenvalues, squared."""
    block = orthonormal(products)
    values, s = eigh(operator.form(block), check_finite=False)
    return Eigenpairs(values[::-1][:q], s.T[::-1][:q] @ block, n_iter, True)


def _needed(lefts: list[float], tol: float) -> float:
    """How many more rounds there will be at the pace of the last few."""
    span = min(len(lefts) - 1, SPAN)
    if span < PATIENCE:
        return 0.0
    pace = log(lefts[-1 - span] / lefts[-1]) / span if 0 < lefts[-1] < lefts[-1 - span] else 0.0
    return log(lefts[-1] / tol) / pace if pace > 0 else inf


def _outside(block: Array, basis: Array) -> Array:
    """An orthonormal block of what lies outside a basis; projected twice, for the digits."""
    for _ in range(2):
        block = block - (block @ basis.T) @ basis
        block = orthonormal(block)
    return block


def orthonormal(block: Array) -> Array:
    """Orthonormal rows that span those of a block (b, d)."""
    return np.asarray(qr(block.T, mode="economic", check_finite=False)[0].T)
