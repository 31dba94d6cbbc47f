"""Rows with missing entries under Gaussians whose features nearly follow from each other.

Blocks of precisions lose twice the digits that the whitened columns A_u of the missing entries do, for
P_uu = A_u' A_u. With A_u = Q R, Q having orthonormal columns, nothing is squared: y = (I - Q Q') y_o is
the whitened row at its conditional mean, where y_o is the one with zeros for what is missing, and
e = -inv(R) Q' y_o, log |P_uu| = 2 sum log |R_jj|, and Q Q' is the whitened conditional covariance.
"""

from dataclasses import dataclass

import numpy as np

from ..._typing import Bools, Floats
from .completion import (
    FullCompletion,
    Group,
    StoredForm,
    deviations_with_room,
    with_stand_ins,
)


@dataclass(frozen=True, eq=False)
class OrthogonalCompleter:
    """Features that nearly follow from each other.

    Attributes
    ----------
    mean : ndarray of shape (K, d)
    inverse : ndarray of shape (K, d, d) or (1, d, d)
        inv(L).
    """

    mean: Floats
    inverse: Floats

    def complete(self, rows: Floats, observed: Bools, group: Group) -> "OrthogonalCompletion":
        X = deviations_with_room(rows, observed, group, self.mean)
        Q, R = np.linalg.qr(self._columns(group, X.shape[1]))
        of_rows, n = group.pattern, (len(X), *group.pattern.shape)
        bases = np.broadcast_to(Q[:, of_rows], (*n, *Q.shape[2:]))
        whitened = np.zeros_like(X)
        d = len(rows)
        np.matmul(self.inverse, X[:, :d], out=whitened[:, :d])
        along = np.einsum("kgdi,kdg->kgi", bases, whitened)
        whitened -= np.einsum("kgdi,kgi->kdg", bases, along)
        u, every = group.missing[of_rows], np.arange(len(of_rows))[:, None]
        X[:, u, every] = -np.linalg.solve(R[:, of_rows], along[..., None])[..., 0]
        log_det = 2.0 * np.log(np.abs(np.diagonal(R, axis1=2, axis2=3))).sum(axis=2)
        roots = np.linalg.inv(R)
        blocks = (roots @ roots.mT).transpose(2, 3, 0, 1)
        return OrthogonalCompletion(
            whitened[:, :d], log_det[:, of_rows], self.inverse, X, blocks, group, Q
        )

    def _columns(self, group: Group, size: int) -> Floats:
        """The whitened columns of the missing entries of each pattern, (K, p, d + padding, k)."""
        padded = with_stand_ins(self.inverse, size)
        return padded[:, :, group.missing].transpose(0, 2, 1, 3)


@dataclass(frozen=True, eq=False)
class OrthogonalCompletion(FullCompletion):
    """Rows of features that nearly follow from each other.

    Attributes
    ----------
    bases : ndarray of shape (K, p, d + padding, k), or of one for all K
        Q of each pattern.
    """

    bases: Floats

    def spread(self, resp: Floats, structure: StoredForm) -> Floats:
        d, weight = self.whitened.shape[1], np.add.reduceat(resp, self.group.first, axis=1)
        found = np.empty((len(resp), d, d))
        for k, w in enumerate(weight):
            Q = self.bases[k % len(self.bases)][:, :d] * np.sqrt(w)[:, None, None]
            columns = Q.transpose(1, 0, 2).reshape(d, -1)
            found[k] = columns @ columns.T
        return found
