"""How many factors a covariance of few rows shows: parallel analysis, by what noise alone explains.

A factor counts if its eigenvalue exceeds the largest that so many rows of noise alone would show, but
for one table of noise in twenty. Horn (1965) draws such tables; here their largest eigenvalue has the
distribution of Tracy and Widom, centered and scaled by Johnstone (2001, equations 1.3 to 1.5).
"""

from collections.abc import Callable
from math import sqrt

import numpy as np

from ..._typing import Floats

Eigenpairs = tuple[Floats, Floats]
"""Eigenvalues in falling order, (m,), and eigenvectors, (d, m)."""
SharedNoise = Callable[[Floats], Floats]

TRACY_WIDOM = 0.9793  # the 95 % quantile of the law of order 1
LEAST_SHARE = 1e-3  # of a variance that noise keeps
N_STEPS = 3  # in which noise is found
TINY = 1e-300  # in place of no variance at all
SPARE = 2  # rows beyond one a factor, so that some scatter is left to the noise


def largest_noise_eigenvalue(n_rows: float, d: int) -> float:
    """Up to what the largest eigenvalue of a covariance of d units of noise reaches in n rows."""
    n, p = sqrt(max(n_rows - 1.0, 1.0)), sqrt(d)
    edge, width = (n + p) ** 2, (n + p) * (1.0 / n + 1.0 / p) ** (1.0 / 3.0)
    return float((edge + TRACY_WIDOM * width) / n**2)


def n_factors_beyond_noise(S: Floats, n_rows: float) -> int:
    """The number of factors that a covariance of n rows shows, each column with noise of its own.

    With q factors found, S is whitened by the noise that these leave; the next is one if its
    eigenvalue exceeds that of noise in the other d - q directions.

    Parameters
    ----------
    S : ndarray of shape (d, d)
    n_rows : float

    Returns
    -------
    q : int
        At most d - 1 and n_rows - 2. Columns of zeros do not count.

    References
    ----------
    J. L. Horn, A rationale and test for the number of factors in factor analysis (1965),
    Psychometrika 30.

    I. M. Johnstone, On the distribution of the largest eigenvalue in principal components analysis
    (2001), Annals of Statistics 29.

    Examples
    --------
    Few rows show less than many:

    >>> import numpy as np
    >>> from sklearn_lvm.core.gaussian.factor_count import n_factors_beyond_noise
    >>> W = np.array([[3.0, 0.0], [3.0, 0.0], [3.0, 0.5], [3.0, 0.5], [3.0, -0.5], [3.0, -0.5]])
    >>> [n_factors_beyond_noise(W @ W.T + np.eye(6), n) for n in (4, 20, 1000)]
    [0, 1, 2]
    """
    kept = np.diagonal(S) > 0
    S = S[np.ix_(kept, kept)]

    def eigenpairs(noise: Floats) -> Eigenpairs:
        size = np.sqrt(noise)
        values, axes = np.linalg.eigh(S / size[:, None] / size)
        return values[::-1], axes[:, ::-1]

    return _count(eigenpairs, np.diagonal(S), n_rows, own_noise)


def n_factors_in_rows(U: Floats, n_rows: float, shared_noise: SharedNoise) -> int:
    """The same of U U', (d, m), without any d x d matrix if the columns of U are fewer than d.

    Parameters
    ----------
    U : ndarray of shape (d, m)
        Rows about a mean, times the square roots of their shares.
    n_rows : float
    shared_noise : callable
        The noise of features, (1, d), as far as these differ.
    """
    U = U[(U**2).any(axis=1)]

    def eigenpairs(noise: Floats) -> Eigenpairs:
        W = U / np.sqrt(noise)[:, None]
        if len(W) <= W.shape[1]:
            values, axes = np.linalg.eigh(W @ W.T)
            return values[::-1], axes[:, ::-1]
        values, axes = np.linalg.eigh(W.T @ W)  # the same eigenvalues, but for zeros
        return values[::-1], W @ (axes[:, ::-1] / np.sqrt(np.maximum(values[::-1], TINY)))

    return _count(eigenpairs, (U**2).sum(axis=1), n_rows, shared_noise)


def own_noise(noise: Floats) -> Floats:
    """That of each feature."""
    return noise


def _count(
    eigenpairs: Callable[[Floats], Eigenpairs],
    variance: Floats,
    n_rows: float,
    shared_noise: SharedNoise,
) -> int:
    """Whiten by the noise that the factors leave which were found, and look for more of them."""
    d = len(variance)
    most, q = max(min(d - 1, int(n_rows) - SPARE), 0), 0
    noise = shared_noise(variance[None])[0]
    while q < most:
        found = _beyond(eigenpairs(noise)[0], q, n_rows, d)
        if found <= q:
            break
        q = min(found, most)
        for _ in range(N_STEPS):
            noise = shared_noise(_noise_left(eigenpairs(noise), noise, variance, q)[None])[0]
    return q


def _noise_left(pairs: Eigenpairs, noise: Floats, variance: Floats, q: int) -> Floats:
    """The variances less those of the q best factors given some noise, (d,).

    Where nothing changes any more, it is that of the highest likelihood.
    """
    values, axes = pairs
    factors = axes[:, :q] ** 2 @ np.maximum(values[:q] - 1.0, 0.0) * noise
    return np.asarray(np.maximum(variance - factors, LEAST_SHARE * variance))


def _beyond(values: Floats, q: int, n_rows: float, d: int) -> int:
    """How many of the eigenvalues exceed those of noise, the first q being known to."""
    most = min(len(values), d - 1)
    while q < most and values[q] > largest_noise_eigenvalue(n_rows - q, d - q):
        q += 1
    return q
