"""Linear algebra that several models share: factors of covariances, orthonormal bases, QR in blocks."""

from collections.abc import Callable, Iterable, Sized
from typing import TypeVar

import numpy as np
from scipy.linalg import qr
from scipy.linalg.lapack import dpstrf, dtrtri

from .._typing import Floats

T = TypeVar("T")
Many = TypeVar("Many", bound=Sized)

EPS = float(np.finfo(np.float64).eps)  # the relative distance from 1 to the next float64
SMALL_PRODUCT = 10**6  # multiplications: up to so many OpenBLAS copies no operand, with AVX-512
MIN_STRIP = 128  # columns of a product, below which calls cost more
MAX_SWEPT = 10  # rows of a matrix, up to which halves are not worth it
HAS_VECDOT = hasattr(np, "vecdot")  # NumPy 2


# -- covariances ---------------------------------------------------------------------------------------


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


def without_failures(
    function: Callable[[Many], T], items: Many, drop: Callable[[Many, int], Many]
) -> T:
    """The value of a function of several items, without those whose covariance is singular.

    Parameters
    ----------
    function : callable
    items : sequence
    drop : callable
        From the items and the component that failed to the items without it.

    Raises
    ------
    SingularCovarianceError
        If no item is left: that of the last.
    """
    while True:
        try:
            return function(items)
        except SingularCovarianceError as failure:
            if len(items) == 1:
                raise
            items = drop(items, failure.component)


def cholesky(C: Floats) -> Floats:
    """Factor covariances (K, d, d) through their correlations: no unit is smaller than another."""
    size = deviations(np.diagonal(C, axis1=1, axis2=2))
    correlation = C / size[:, None, :] / size[:, :, None]
    floor = 4 * C.shape[1] * EPS
    try:
        factor = np.linalg.cholesky(correlation)
    except np.linalg.LinAlgError:
        raise _most_singular(correlation, floor) from None
    if np.diagonal(factor, axis1=1, axis2=2).min() ** 2 < floor:
        raise _most_singular(correlation, floor)
    return size[:, :, None] * factor


def _most_singular(correlation: Floats, floor: float) -> SingularCovarianceError:
    """Name the most nearly singular matrix, and the features that a pivoted factor leaves over."""
    smallest = [np.linalg.eigvalsh(R)[0] for R in correlation]
    k = int(np.argmin(smallest))
    _, order, rank, _ = dpstrf(correlation[k], tol=floor, lower=1)
    rank = min(rank, len(order) - 1)
    return SingularCovarianceError(k, tuple(sorted((order[rank:] - 1).tolist())))


def inverse_triangular(L: Floats) -> Floats:
    """Invert a lower triangular matrix by substitution, exact in each entry's own size."""
    upper, _ = dtrtri(L.T)  # LAPACK reads columns first, and leaves the zeros below alone
    return np.asarray(upper.T)


def lower_factor(A: Floats) -> Floats:
    """Lower triangular L with L L' = A A', (K, p, d) -> (K, p, p) for p <= d.

    By an orthogonal transformation of the columns, so that no square is ever formed.
    """
    R = np.asarray(np.linalg.qr(A.mT, mode="r"))
    diagonal = np.diagonal(R, axis1=1, axis2=2)
    return np.ascontiguousarray((R * np.where(diagonal < 0, -1.0, 1.0)[:, :, None]).mT)


def deviations(variance: Floats) -> Floats:
    """Square roots of variances, all of which must be positive."""
    good = (variance > 0) & (variance < np.inf)
    if not good.all():
        bad = np.argwhere(~good)
        k = int(bad[0, 0])
        raise SingularCovarianceError(k, tuple(bad[bad[:, 0] == k, 1].tolist()))
    return np.asarray(np.sqrt(variance))


# -- products ------------------------------------------------------------------------------------------


def strip_width(n_rows: int, n_columns: int) -> int:
    """Columns of a strip that is multiplied without copies, or 0 if such strips are too narrow."""
    width = SMALL_PRODUCT // (n_rows * n_columns) // 32 * 32
    return width if width >= MIN_STRIP else 0


def product(A: Floats, B: Floats) -> Floats:
    """A @ B, (m, k) and (k, n) with few rows and many columns, by strips of the columns."""
    (m, k), n = A.shape, B.shape[1]
    width = strip_width(m, k)
    if not 0 < width < n:
        return np.asarray(A @ B)
    out = np.empty((m, n), B.dtype)
    for start in range(0, n, width):
        np.matmul(A, B[:, start : start + width], out=out[:, start : start + width])
    return out


def transposed_product(A: Floats, B: Floats) -> Floats:
    """A @ B.T, (m, n) and (k, n) with few rows and many columns, by strips of the columns."""
    (m, n), k = A.shape, len(B)
    width = strip_width(m, k)
    if not 0 < width < n:
        return np.asarray((B @ A.T).T)
    out, rows = np.zeros((k, m), B.dtype), np.ascontiguousarray(A.T)
    for start in range(0, n, width):
        out += B[:, start : start + width] @ rows[start : start + width]
    return out.T


# -- rows and axes -------------------------------------------------------------------------------------


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


# -- many small matrices -------------------------------------------------------------------------------


def inverses(A: Floats) -> tuple[Floats, Floats]:
    """Invert positive definite matrices (k, k, ...) side by side, and take their log-determinants.

    Each operation is done on one entry, or one block, of all matrices at a time. For small ones that is
    much faster than one matrix after the other. Large ones are halved, by the Schur complement.

    Parameters
    ----------
    A : ndarray of shape (k, k, ...)
        Overwritten.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lvm.core.linalg import inverses
    >>> inverse, log_det = inverses(np.array([[2.0, 1.0], [1.0, 3.0]])[:, :, None])
    >>> inverse[..., 0], np.exp(log_det).round(12)
    (array([[ 0.6, -0.2],
           [-0.2,  0.4]]), array([5.]))
    """
    if len(A) <= MAX_SWEPT:
        return _swept(A)
    h = len(A) // 2
    first, log_det = inverses(np.ascontiguousarray(A[:h, :h]))
    gain = np.einsum("ij...,jk...->ik...", first, A[:h, h:])
    rest = A[h:, h:] - np.einsum("ij...,ik...->jk...", A[:h, h:], gain)
    last, log_det_of_rest = inverses(rest)
    cross = np.einsum("ij...,jk...->ik...", gain, last)
    A[:h, :h] = first + np.einsum("ij...,kj...->ik...", cross, gain)
    A[:h, h:] = np.negative(cross, out=cross)
    A[h:, :h] = cross.swapaxes(0, 1)
    A[h:, h:] = last
    return A, log_det + log_det_of_rest


def _swept(A: Floats) -> tuple[Floats, Floats]:
    """By the sweep operator (Goodnight, 1979).

    A pivot that rounding has taken below the last digit of its own diagonal entry counts as that.
    """
    least = EPS * A[range(len(A)), range(len(A))]
    log_det: Floats = np.zeros(A.shape[2:])
    change = np.empty_like(A)
    for j, row in enumerate(A):
        pivot = np.maximum(row[j], least[j])
        log_det += np.log(pivot)
        own = row.copy()
        share = own / pivot
        A -= np.multiply(own[:, None], share, out=change)
        A[j] = A[:, j] = share
        A[j, j] = -1.0 / pivot
    return np.negative(A, out=A), log_det
