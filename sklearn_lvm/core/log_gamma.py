"""Differences of log-gamma functions, exact where their arguments are large."""

import numpy as np
from scipy.special import gammaln

from .._typing import Floats

# Stirling's series in 1 / x^2, from the last term to the first; from 10 on it is exact.
SERIES = (1 / 156, -691 / 360360, 1 / 1188, -1 / 1680, 1 / 1260, -1 / 360, 1 / 12)
LARGE = 10.0


def log_gamma_ratio(x: Floats, m: Floats | float) -> Floats:
    """log Gamma(x + m) - log Gamma(x) - m log x, which tends to 0 as x grows.

    Stirling's formula is paired term by term, so that the error is a few roundings of m, however
    large the three terms are.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lvm.core.log_gamma import log_gamma_ratio
    >>> print(log_gamma_ratio(np.array([2.0, 1e4]), 2.0))  # log(1 + 1 / x)
    [4.05465108e-01 9.99950003e-05]
    """
    level = (x + m - 0.5) * log1p_ratio(np.asarray(m), x) - m
    return np.asarray(level + stirling_remainder(x + m) - stirling_remainder(x))


def log1p_ratio(m: Floats, x: Floats) -> Floats:
    """log(1 + m / x), where the ratio may overflow."""
    with np.errstate(over="ignore", divide="ignore"):
        ratio, apart = m / x, np.log(m) - np.log(x)
    return np.asarray(np.where(np.isfinite(ratio), np.log1p(ratio), apart))


def stirling_remainder(x: Floats) -> Floats:
    """log Gamma(x) less Stirling's (x - 1/2) log x - x + log(2 pi) / 2."""
    large = np.maximum(x, LARGE)
    with np.errstate(over="ignore"):  # its inverse is 0 then
        series = np.polyval(SERIES, 1.0 / large**2) / large
    small = np.minimum(x, LARGE)
    exact = gammaln(small) - (small - 0.5) * np.log(small) + small - 0.5 * np.log(2 * np.pi)
    return np.asarray(np.where(x < LARGE, exact, series))
