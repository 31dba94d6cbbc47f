"""Differences of log-gamma functions keep their digits where the functions are large."""

import numpy as np
from numpy.testing import assert_allclose
from scipy.special import gammaln

from sklearn_lvm.core.log_gamma import log_gamma_ratio, stirling_remainder

EVERYWHERE = np.geomspace(1e-3, 1e14, 400)


def test_small_arguments_agree_with_scipy():
    x = np.geomspace(1e-3, 5.0, 50)
    for m in (0.5, 1.0, 3.5):
        plain = gammaln(x + m) - gammaln(x) - m * np.log(x)
        assert_allclose(log_gamma_ratio(x, m), plain, rtol=1e-13, atol=1e-14)


def test_whole_steps_are_a_product():
    """Gamma(x + 3) / Gamma(x) = x (x + 1) (x + 2), everywhere; for large x what is left is 3 / x."""
    exact = np.log1p(1 / EVERYWHERE) + np.log1p(2 / EVERYWHERE)
    assert_allclose(log_gamma_ratio(EVERYWHERE, 3.0), exact, rtol=1e-14, atol=2e-15)


def test_two_half_steps_are_a_whole_one():
    x = EVERYWHERE
    halves = log_gamma_ratio(x, 0.5) + log_gamma_ratio(x + 0.5, 0.5) + 0.5 * np.log1p(0.5 / x)
    assert_allclose(halves, 0.0, atol=4e-15)


def test_series_and_exact_remainder_meet():
    below, above = stirling_remainder(np.array([10.0 - 1e-13, 10.0]))
    assert abs(below - above) < 1e-14
