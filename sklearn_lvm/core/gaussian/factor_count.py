"""How many factors a covariance of few rows shows: parallel analysis, by what noise alone explains.

A factor counts if its eigenvalue exceeds the largest that so many rows of noise alone would show, but
for one table of noise in twenty. Horn (1965) draws such tables; here their largest eigenvalue has the
distribution of Tracy and Widom, centered and scaled by Johnstone (2001, equations 1.3 to 1.5).
"""

from math import sqrt

import numpy as np

from ..._typing import Floats

TRACY_WIDOM = 0.9793  # the 95 % quantile of the law of order 1
LEAST_SHARE = 1e-3  # of a variance that noise keeps
N_STEPS = 3  # in which noise is found
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
    S = _with_variance(S)
    noise, most, q = np.diagonal(S), _most(len(S), n_rows), 0
    while q < most:
        found = _beyond(np.linalg.eigvalsh(_whitened(S, noise))[::-1], q, n_rows)
        if found <= q:
            break
        q = min(found, most)
        for _ in range(N_STEPS):
            noise = _noise_left(S, noise, q)
    return q


def _with_variance(S: Floats) -> Floats:
    kept = np.diagonal(S) > 0
    return S[np.ix_(kept, kept)]


def _most(d: int, n_rows: float) -> int:
    return max(min(d - 1, int(n_rows) - SPARE), 0)


def _whitened(S: Floats, noise: Floats) -> Floats:
    size = np.sqrt(noise)
    return np.asarray(S / size[:, None] / size)


def _noise_left(S: Floats, noise: Floats, q: int) -> Floats:
    """The variances less those of the q best factors given some noise, (d,).

    Where nothing changes any more, it is that of the highest likelihood.
    """
    values, axes = np.linalg.eigh(_whitened(S, noise))
    first = len(S) - q
    factors = axes[:, first:] ** 2 @ np.maximum(values[first:] - 1.0, 0.0) * noise
    variance = np.diagonal(S)
    return np.asarray(np.maximum(variance - factors, LEAST_SHARE * variance))


def _beyond(values: Floats, q: int, n_rows: float) -> int:
    """How many of the eigenvalues exceed those of noise, the first q being known to."""
    while q < len(values) - 1 and values[q] > largest_noise_eigenvalue(n_rows - q, len(values) - q):
        q += 1
    return q
