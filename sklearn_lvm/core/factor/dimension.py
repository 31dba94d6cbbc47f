"""The number of principal components: criteria that need the spectrum and the weight of the rows."""

from collections.abc import Callable
from math import log, pi, tau
from numbers import Integral

import numpy as np
from scipy.special import gammaln

from ..._typing import Floats, Ints
from ..linalg import EPS
from .spectrum import Spectrum


def candidate_dimensions(spectrum: Spectrum) -> Ints:
    """The numbers of components, from 1 on, that leave some noise."""
    assert spectrum.rank is not None
    return np.arange(1, max(spectrum.rank, 2))


def max_dimension(spectrum: Spectrum) -> int:
    """The largest number of components whose likelihood is bounded."""
    return max(1, (spectrum.rank or 0) - 1)


def dimension_explaining(spectrum: Spectrum, ratio: float) -> int:
    """The least number of components that explain more than a ratio of the variance."""
    explained = np.cumsum(spectrum.variance) / spectrum.total
    return min(int(np.searchsorted(explained, ratio, side="right")) + 1, len(explained))


def best_bic(spectrum: Spectrum, weight: float) -> int:
    """The candidate with the lowest Bayesian information criterion."""
    return int(candidate_dimensions(spectrum)[bic(spectrum, weight).argmin()])


def best_evidence(spectrum: Spectrum, weight: float) -> int:
    """The candidate with the largest approximate evidence."""
    return int(candidate_dimensions(spectrum)[evidence(spectrum, weight).argmax()])


CRITERIA: dict[str, Callable[[Spectrum, float], int]] = {"bic": best_bic, "mle": best_evidence}
"""Criteria by the names that users give: from a spectrum and a weight to a number of components."""


def choose_dimension(
    n_components: int | float | str | None, spectrum: Spectrum, weight: float
) -> int:
    """The number of components, given as such, as a ratio, as a criterion, or as None for the most."""
    if n_components is None:
        return max_dimension(spectrum)
    if isinstance(n_components, str):
        several = spectrum.rank is None or spectrum.rank > 1  # dimensions, between which to choose
        return CRITERIA[n_components](spectrum, weight) if several else 1
    if isinstance(n_components, Integral):
        return int(n_components)
    return dimension_explaining(spectrum, float(n_components))


def check_dimension(q: int, spectrum: Spectrum) -> None:
    """Raise a ValueError if q components leave no noise, where the likelihood has no bound."""
    d, rank = len(spectrum.mean), spectrum.rank
    if rank is None or rank > q or rank == d:
        return
    remedy = (
        f"n_components can be at most {rank - 1}"
        if rank > 1
        else "no n_components works: add rows that do not lie on one line"
    )
    raise ValueError(
        f"n_components={q} leaves no noise: the rows vary in {rank} of {d} dimensions, and their "
        f"likelihood has no bound where all of these are components; {remedy}."
    )


def noise_variances(spectrum: Spectrum) -> Floats:
    """The noise variance of each candidate."""
    tails = np.cumsum(spectrum.variance[::-1])[::-1]
    q = candidate_dimensions(spectrum)
    return np.asarray(tails[q] / (len(spectrum.mean) - q))


def bic(spectrum: Spectrum, weight: float) -> Floats:
    """The Bayesian information criterion of each candidate; lower is better (Schwarz, 1978)."""
    d, q = len(spectrum.mean), candidate_dimensions(spectrum)
    logs = np.cumsum(np.log(spectrum.variance[: len(q)]))
    noise = np.log(noise_variances(spectrum))
    mean_log_prob = -0.5 * (d * (log(tau) + 1.0) + logs + (d - q) * noise)
    n_parameters = d + 1 + d * q - q * (q - 1) // 2
    return np.asarray(-2.0 * weight * mean_log_prob + n_parameters * log(weight))


def evidence(spectrum: Spectrum, weight: float) -> Floats:
    """Laplace's approximation of the log-evidence of each candidate (Minka, 2000, eq. 78)."""
    d, q, v = len(spectrum.mean), candidate_dimensions(spectrum), noise_variances(spectrum)
    rank, top = len(q) + 1, spectrum.variance[: len(q)]
    logs = np.cumsum(np.log(top))
    halves = (d - np.arange(len(q))) / 2.0
    prior = np.cumsum(gammaln(halves) - halves * log(pi)) - q * log(2.0)
    likelihood = -0.5 * weight * (logs + (d - q) * np.log(v))
    m = d * q - q * (q + 1) / 2.0
    curvature = _log_gaps(spectrum.variance[:rank]) + (d - rank) * logs - (q - 1) * logs
    curvature += (d - q) * _log_precision_gaps(top, v) + m * log(weight)
    volume = 0.5 * (m + q) * log(tau) - 0.5 * q * log(weight)
    return np.asarray(prior + likelihood + volume - 0.5 * curvature)


def _log_gaps(variance: Floats) -> Floats:
    """Sums of log(l_i - l_j) over i <= q, j > i, those with j <= q counted twice, for each q."""
    gaps = variance[:, None] - variance[None, :]
    floor = EPS * variance[:, None]  # equal eigenvalues have no order
    logs = np.triu(np.log(np.maximum(gaps, floor)), 1)
    inside = np.cumsum(logs.sum(axis=0))
    return np.asarray((inside + np.cumsum(logs.sum(axis=1)))[:-1])


def _log_precision_gaps(top: Floats, v: Floats) -> Floats:
    """Sums of log(1 / v - 1 / l_i) over i <= q, for each q."""
    gaps = 1.0 / v[:, None] - 1.0 / top[None, :]
    floor = EPS / v[:, None]
    return np.asarray(np.tril(np.log(np.maximum(gaps, floor))).sum(axis=1))
