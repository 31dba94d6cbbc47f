"""A block of centered rows, dense or sparse: projections, scatter, norms.

The centered rows are V = B - 1 c'. Their products need no copy of B: V a' = B a' - c a'. Sparse rows
stay sparse in this way, and dense rows with a small center are used as they lie in memory.
"""

from dataclasses import dataclass
from typing import TypeAlias, TypeGuard

import numpy as np
from scipy.sparse import csr_array, issparse

from ..._typing import Floats
from ..linalg import row_dot

Rows: TypeAlias = Floats | csr_array
"""A table (n, d): a dense array, or a sparse matrix in CSR format."""


def is_sparse(rows: object) -> TypeGuard[csr_array]:
    """Whether rows are a sparse matrix."""
    return bool(issparse(rows))


def dense(rows: Rows) -> Floats:
    """The rows as a dense array."""
    found: Floats = rows.toarray() if is_sparse(rows) else rows
    return found


def float64(rows: Rows) -> Rows:
    """The rows in double precision."""
    return rows.astype(np.float64, copy=False)


@dataclass(frozen=True, eq=False)
class RowBlock:
    """A block of centered rows V = B - 1 c', kept as B and c, with weights.

    Attributes
    ----------
    body : ndarray or CSR matrix of shape (b, d)
        B, in float64.
    center : ndarray of shape (d,) or None
        c, or None if B is centered already.
    weight : ndarray of shape (b,)
    """

    body: Rows
    center: Floats | None
    weight: Floats

    def project(self, axes: Floats) -> Floats:
        """Inner products of axes (k, d) and rows: axes V', (k, b)."""
        body = self.body
        y: Floats = (body @ axes.T).T if is_sparse(body) else axes @ body.T
        return y if self.center is None else y - (axes @ self.center)[:, None]

    def project_back(self, coefficients: Floats) -> Floats:
        """Linear combinations of the rows with coefficients (k, b): coefficients V, (k, d)."""
        R, body = coefficients, self.body
        found: Floats = (body.T @ R.T).T if is_sparse(body) else R @ body
        return found if self.center is None else found - R.sum(axis=1)[:, None] * self.center

    def multiply_scatter(self, axes: Floats) -> Floats:
        """Axes (k, d) times the weighted scatter of the rows: sum_i w_i (axes v_i) v_i', (k, d)."""
        return self.project_back(self.project(axes) * self.weight)

    def project_scatter(self, axes: Floats) -> Floats:
        """The weighted scatter of the projected rows: sum_i w_i (axes v_i) (axes v_i)', (k, k)."""
        y = self.project(axes)
        return (y * self.weight) @ y.T

    def gram(self) -> Floats:
        """The weighted scatter of the uncentered rows: sum_i w_i b_i b_i', (d, d)."""
        w, body = self.weight, self.body
        gram: Floats
        if is_sparse(body):
            gram = (body.multiply(w[:, None]).T @ body).toarray()
        elif (w == w[0]).all():
            gram = body.T @ body
            gram *= w[0]
        else:
            root = body * np.sqrt(w)[:, None]
            gram = root.T @ root
        return gram

    def squared_norms(self) -> Floats:
        """|v|^2 of each row, (b,)."""
        body = self.body
        if is_sparse(body):
            squares = np.asarray(body.multiply(body).sum(axis=1)).ravel()
        else:
            squares = row_dot(body, body)
        if self.center is None:
            return squares
        cross = body @ self.center
        return np.maximum(squares - 2.0 * cross + self.center @ self.center, 0.0)

    def weighted_square(self) -> float:
        """The trace of the weighted scatter: sum_i w_i |v_i|^2."""
        return float(self.weight @ self.squared_norms())

    def dense(self) -> Floats:
        """The rows V themselves, (b, d); a view of B if it is dense and centered already."""
        body = dense(self.body)
        return body if self.center is None else body - self.center
