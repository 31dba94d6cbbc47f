"""How many factors a covariance of few rows shows: parallel analysis, by what noise alone explains.

A factor counts if its eigenvalue exceeds the largest that so many rows of noise alone would show, but
for one table of noise in twenty. Horn (1965) draws such tables; here their largest eigenvalue has the
distribution of Tracy and Widom, centered and scaled by Johnstone (2001, equations 1.3 to 1.5).
"""

from math import sqrt

import numpy as np

from ..._typing import Floats
from .low_rank import LowRank

TRACY_WIDOM = 0.9793  # the 95 % quantile of the law of order 1
SPARE = 2  # rows beyond one a factor, so that some scatter is left to the noise


def largest_noise_eigenvalue(n_rows: float, d: int) -> float:
    """Up to what the largest eigenvalue of a covariance of d units of noise reaches in n rows."""
    n, p = sqrt(max(n_rows - 1.0, 1.0)), sqrt(d)
    edge, width = (n + p) ** 2, (n + p) * (1.0 / n + 1.0 / p) ** (1.0 / 3.0)
    return float((edge + TRACY_WIDOM * width) / n**2)


def n_factors_beyond_noise(S: Floats, n_rows: float) -> int:
    """The number of factors of a covariance (d, d) in n rows, each column with noise of its own.

    With q factors found, S is whitened by the noise that these leave; the next is one if its
    eigenvalue exceeds that of noise in the other d - q directions.
    """
    S = _with_variance(S)
    most, q = _most(len(S), n_rows), 0
    while q < most:
        found = _beyond(_whitened_eigenvalues(S, q), q, n_rows)
        if found <= q:
            break
        q = min(found, most)
    return q


def n_components_beyond_noise(S: Floats, n_rows: float) -> int:
    """The number of factors of a covariance (d, d) in n rows, the noise being the same in all columns.

    With q factors found, the noise is the mean of the other d - q eigenvalues.
    """
    values = np.linalg.eigvalsh(_with_variance(S))[::-1]
    most, q = _most(len(values), n_rows), 0
    while q < most and values[q] > values[q:].mean() * largest_noise_eigenvalue(
        n_rows - q, len(values) - q
    ):
        q += 1
    return q


def _with_variance(S: Floats) -> Floats:
    kept = np.diagonal(S) > 0
    return S[np.ix_(kept, kept)]


def _most(d: int, n_rows: float) -> int:
    return max(min(d - 1, int(n_rows) - SPARE), 0)


def _whitened_eigenvalues(S: Floats, q: int) -> Floats:
    """Eigenvalues of S in units of the noise that q factors leave, the largest first."""
    d = len(S)
    structure = LowRank(d, q=q)
    noise = structure.estimate(S[None], np.ones(1), np.zeros(d)).noise[0] if q else np.diagonal(S)
    size = np.sqrt(noise)
    return np.linalg.eigvalsh(S / size[:, None] / size)[::-1]


def _beyond(values: Floats, q: int, n_rows: float) -> int:
    """How many of the eigenvalues exceed those of noise, the first q being known to."""
    while q < len(values) - 1 and values[q] > largest_noise_eigenvalue(n_rows - q, len(values) - q):
        q += 1
    return q
