"""Leading eigenpairs of a symmetric matrix that is known by its products: block Lanczos.

Each iteration multiplies the newest block of an orthonormal basis. The matrix restricted to the basis
gives Ritz pairs. The iteration stops when the estimated remaining gain of an objective, a function of
the eigenvalues, is less than a tolerance.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import inf, log
from typing import Protocol

import numpy as np
from scipy.linalg import eigh

from ..._typing import Floats
from ..linalg import orthonormal

MAX_BASIS_BLOCKS = 12  # blocks in the basis before it is restarted from the Ritz vectors
SAFETY_FACTOR = 10.0  # by which the predicted gain after a power step must be below the tolerance
MIN_RATE_SPAN, MAX_RATE_SPAN = 2, 6  # iterations over which the rate of convergence is averaged


class SymmetricOperator(Protocol):
    """A symmetric d x d matrix C that can be multiplied."""

    def multiply(self, vectors: Floats, /) -> Floats:
        """From V (b, d) to V C, (b, d)."""
        ...

    def project(self, vectors: Floats, /) -> Floats:
        """From V (b, d) to V C V', (b, b), which may cost half as much."""
        ...


@dataclass(frozen=True, eq=False)
class Eigenpairs:
    """Leading eigenvalues and eigenvectors.

    Attributes
    ----------
    values : ndarray of shape (q,)
        In falling order.
    vectors : ndarray of shape (q, d)
        Orthonormal.
    n_iter : int
        Products with a block.
    converged : bool
        Whether the remaining gain is estimated to be less than the tolerance.
    """

    values: Floats
    vectors: Floats
    n_iter: int
    converged: bool


@dataclass(frozen=True, eq=False)
class _RitzPairs:
    """Ritz pairs of a basis: values (m,) in falling order; vectors and their products, (m, d)."""

    values: Floats
    vectors: Floats
    products: Floats

    @classmethod
    def of(cls, basis: Floats, products: Floats, count: int) -> "_RitzPairs":
        matrix = basis @ products.T
        m = len(matrix)
        chosen = [max(m - count, 0), m - 1]
        values, s = eigh((matrix + matrix.T) / 2, subset_by_index=chosen, check_finite=False)
        s = s.T[::-1]
        return cls(values[::-1], s @ basis, s @ products)

    def remaining_gain(self, q: int, gradient: Callable[[Floats], Floats]) -> float:
        """Bound the gain of the objective: eigenvalues are off by at most |residual|^2 / gap."""
        values = self.values[:q]
        residual = self.products[:q] - values[:, None] * self.vectors[:q]
        norm = np.linalg.norm(residual, axis=1)
        gap = np.maximum(values - self.values[q], np.finfo(float).tiny)
        return float(gradient(values) @ np.minimum(norm * np.minimum(norm / gap, 1.0), values))


def leading_eigenpairs(
    operator: SymmetricOperator,
    start: Floats,
    q: int,
    gradient: Callable[[Floats], Floats],
    *,
    tol: float,
    max_iter: int,
) -> Eigenpairs:
    """Compute the q largest eigenvalues of a positive semidefinite operator and their vectors.

    Parameters
    ----------
    operator : SymmetricOperator
    start : ndarray of shape (b, d)
        The first block, with b > q.
    q : int
    gradient : callable
        The derivative of the objective with respect to each of q eigenvalues, (q,) -> (q,).
    tol : float
        The remaining gain of the objective at which the iteration stops.
    max_iter : int
        The largest number of products. The iteration also stops as soon as it is predicted to need
        more.

    Returns
    -------
    eigenpairs : Eigenpairs
    """
    block = orthonormal(start)
    basis: Floats = np.empty((0, start.shape[1]))
    products = basis
    gains: list[float] = []
    for n_iter in range(1, max_iter + 1):
        basis, products = np.vstack([basis, block]), np.vstack([products, operator.multiply(block)])
        ritz = _RitzPairs.of(basis, products, len(start))
        gains.append(ritz.remaining_gain(q, gradient))
        if gains[-1] < tol:
            return Eigenpairs(ritz.values[:q], ritz.vectors[:q], n_iter, True)
        if (
            n_iter < max_iter
            and gains[-1] * SAFETY_FACTOR * (ritz.values[q] / ritz.values[q - 1]) ** 2 < tol
        ):
            return _power_step(operator, ritz.products, q, n_iter + 1)
        if n_iter + _rounds_needed(gains, tol) > max_iter:
            break
        block = _orthogonal_complement(products[-len(block) :], basis)
        if len(basis) >= MAX_BASIS_BLOCKS * len(start):
            basis, products = ritz.vectors, ritz.products
            block = _orthogonal_complement(products - ritz.values[:, None] * basis, basis)
    return Eigenpairs(ritz.values[:q], ritz.vectors[:q], n_iter, False)


def _power_step(operator: SymmetricOperator, products: Floats, q: int, n_iter: int) -> Eigenpairs:
    """One step of power iteration: the error shrinks by the squared ratio of eigenvalues."""
    block = orthonormal(products)
    values, s = eigh(operator.project(block), check_finite=False)
    return Eigenpairs(values[::-1][:q], s.T[::-1][:q] @ block, n_iter, True)


def _rounds_needed(gains: list[float], tol: float) -> float:
    """Predict how many more iterations it takes, from the rate of the last few."""
    span = min(len(gains) - 1, MAX_RATE_SPAN)
    if span < MIN_RATE_SPAN:
        return 0.0
    rate = log(gains[-1 - span] / gains[-1]) / span if 0 < gains[-1] < gains[-1 - span] else 0.0
    return log(gains[-1] / tol) / rate if rate > 0 else inf


def _orthogonal_complement(block: Floats, basis: Floats) -> Floats:
    """Orthonormalize the part of a block that is orthogonal to a basis.

    The projection is done twice: the first leaves rounding errors along the basis.
    """
    for _ in range(2):
        block = block - (block @ basis.T) @ basis
        block = orthonormal(block)
    return block
