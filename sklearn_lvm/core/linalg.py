"""Linear algebra on rows: inner products, orthonormal bases, QR in blocks, signs of axes."""

from collections.abc import Iterable

import numpy as np
from scipy.linalg import qr

from .._typing import Floats

EPS = float(np.finfo(np.float64).eps)  # relative distance from 1 to the next float64
HAS_VECDOT = hasattr(np, "vecdot")  # NumPy 2


def row_dot(a: Floats, b: Floats) -> Floats:
    """Inner products of corresponding rows, (b, d) and (b, d) -> (b,)."""
    return np.asarray(np.vecdot(a, b) if HAS_VECDOT else np.einsum("bd,bd->b", a, b))


def orthonormal(vectors: Floats) -> Floats:
    """Orthonormalize the rows of an array (k, d), from the first to the last."""
    return np.asarray(qr(vectors.T, mode="economic", check_finite=False)[0].T)


def triangular(blocks: Iterable[Floats]) -> Floats:
    """The factor R, (k, k), of the QR decomposition of stacked blocks (m, k)."""
    R: Floats | None = None
    for block in blocks:
        stacked = block if R is None else np.concatenate([R, block])
        R = qr(stacked, mode="r", overwrite_a=True, check_finite=False)[0][: stacked.shape[1]]
    assert R is not None
    return R


def fix_signs(axes: Floats) -> Floats:
    """Flip rows (k, d) so that the entry of largest magnitude in each is positive."""
    if not axes.size:
        return axes
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
    return np.ascontiguousarray(axes * np.where(largest < 0, -1.0, 1.0))
