"""How many principal components: criteria that need no more than the spectrum."""

from math import log, pi, tau

import numpy as np
from scipy.special import gammaln

from .._typing import Array
from .spectrum import Spectrum


def candidates(spectrum: Spectrum) -> Array:
    """The numbers of components, from 1 on, that leave some noise."""
    assert spectrum.rank is not None
    return np.arange(1, max(spectrum.rank, 2))


def most(spectrum: Spectrum) -> int:
    """As many components as have a likelihood."""
    return max(1, (spectrum.rank or 0) - 1)


def explaining(spectrum: Spectrum, share: float) -> int:
    """How many components explain more than a share of the variance."""
    explained = np.cumsum(spectrum.variance) / spectrum.total
    return min(int(np.searchsorted(explained, share, side="right")) + 1, len(explained))


def by_bic(spectrum: Spectrum, weight: float) -> int:
    """The candidate of the least Bayesian information criterion."""
    return int(candidates(spectrum)[bic(spectrum, weight).argmin()])


def by_evidence(spectrum: Spectrum, weight: float) -> int:
    """The candidate of the most evidence."""
    return int(candidates(spectrum)[evidence(spectrum, weight).argmax()])


def noises(spectrum: Spectrum) -> Array:
    """The noise variance of each candidate."""
    tails = np.cumsum(spectrum.variance[::-1])[::-1]
    q = candidates(spectrum)
    return np.asarray(tails[q] / (len(spectrum.mean) - q))


def bic(spectrum: Spectrum, weight: float) -> Array:
    """The Bayesian information criterion of each candidate; lower is better (Schwarz, 1978)."""
    d, q = len(spectrum.mean), candidates(spectrum)
    logs = np.cumsum(np.log(spectrum.variance[: len(q)]))
    height = -0.5 * (d * (log(tau) + 1.0) + logs + (d - q) * np.log(noises(spectrum)))
    n_parameters = d + 1 + d * q - q * (q - 1) // 2
    return np.asarray(-2.0 * weight * height + n_parameters * log(weight))


def evidence(spectrum: Spectrum, weight: float) -> Array:
    """Laplace's approximation of the log-evidence of each candidate (Minka, 2000, eq. 78)."""
    d, q, v = len(spectrum.mean), candidates(spectrum), noises(spectrum)
    rank, top = len(q) + 1, spectrum.variance[: len(q)]
    logs = np.cumsum(np.log(top))
    halves = (d - np.arange(len(q))) / 2.0
    prior = np.cumsum(gammaln(halves) - halves * log(pi)) - q * log(2.0)
    likelihood = -0.5 * weight * (logs + (d - q) * np.log(v))
    m = d * q - q * (q + 1) / 2.0
    curvature = _gaps(spectrum.variance[:rank]) + (d - rank) * logs - (q - 1) * logs
    curvature += (d - q) * _excess(top, v) + m * log(weight)
    volume = 0.5 * (m + q) * log(tau) - 0.5 * q * log(weight)
    return np.asarray(prior + likelihood + volume - 0.5 * curvature)


def _gaps(variance: Array) -> Array:
    """Sums of log(l_i - l_j) over i <= q, j > i, those with j <= q counted twice, for each q."""
    gaps = variance[:, None] - variance[None, :]
    floor = np.finfo(float).eps * variance[:, None]  # equal eigenvalues have no order
    logs = np.triu(np.log(np.maximum(gaps, floor)), 1)
    inside = np.cumsum(logs.sum(axis=0))
    return np.asarray((inside + np.cumsum(logs.sum(axis=1)))[:-1])


def _excess(top: Array, v: Array) -> Array:
    """Sums of log(1 / v - 1 / l_i) over i <= q, for each q."""
    excess = 1.0 / v[:, None] - 1.0 / top[None, :]
    floor = np.finfo(float).eps / v[:, None]
    return np.asarray(np.tril(np.log(np.maximum(excess, floor))).sum(axis=1))
