"""As many factors are found as rows show beyond noise: those that are there, and none in noise."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import wishart

from sklearn_lvm.core.gaussian.factor_count import largest_noise_eigenvalue, n_factors_beyond_noise


def covariance_of_rows(n, d, q, strength=3.0, seed=0):
    """That of n rows with q factors, each as large as ``strength`` units of noise in each column."""
    rng = np.random.default_rng(seed)
    deviation = np.sqrt(rng.uniform(0.3, 3.0, d))
    W = np.linalg.qr(rng.normal(size=(d, d)))[0][:, :q] * np.sqrt(strength * d)
    X = (rng.normal(size=(n, q)) @ W.T + rng.normal(size=(n, d))) * deviation
    return np.cov(X.T)


@pytest.mark.parametrize(("d", "q"), [(5, 1), (20, 3), (60, 8)])
@pytest.mark.parametrize("n", [100, 2000])
def test_factors_are_counted_that_exceed_noise(d, q, n):
    S = covariance_of_rows(n, d, q)
    assert n_factors_beyond_noise(S, n) == q


@pytest.mark.parametrize(("n", "d"), [(5, 3), (10, 40), (30, 20), (100, 10), (1000, 20)])
def test_noise_has_no_factors(n, d):
    """But for one table in twenty, about."""
    found = [
        n_factors_beyond_noise(covariance_of_rows(n, d, 0, seed=seed), n) for seed in range(100)
    ]
    assert np.count_nonzero(found) <= 10
    assert max(found) <= 1


@pytest.mark.parametrize(("n", "d"), [(20, 4), (100, 10), (50, 80)])
def test_the_largest_eigenvalue_of_noise_has_its_quantile(n, d):
    draws = wishart(n - 1, np.eye(d)).rvs(2000, random_state=0) if d < n else None
    if draws is None:
        rows = np.random.default_rng(0).normal(size=(500, n - 1, d))
        draws = rows.mT @ rows
    largest = np.linalg.eigvalsh(draws / (n - 1))[:, -1]
    share = np.mean(largest <= largest_noise_eigenvalue(n, d))
    assert abs(share - 0.95) < 0.03


def test_few_rows_show_few_factors():
    S = covariance_of_rows(2000, 12, 6)
    found = [n_factors_beyond_noise(S, n) for n in (0.0, 1.0, 2.0, 4.0, 8.0, 20.0, 2000.0)]
    assert found == sorted(found)
    assert found[:3] == [0, 0, 0]
    assert found[3] <= 2
    assert found[-1] == 6


def test_one_dimension_is_left_to_the_noise():
    S = np.cov(np.random.default_rng(0).normal(size=(3, 500))) + 100.0 * np.diag([1.0, 2.0, 3.0])
    assert n_factors_beyond_noise(S, 1e9) <= 2
    assert n_factors_beyond_noise(np.ones((1, 1)), 100.0) == 0


def test_units_of_columns_do_not_matter():
    S, unit = covariance_of_rows(200, 10, 2), 10.0 ** np.arange(-5, 5)
    assert n_factors_beyond_noise(S, 200) == 2
    assert n_factors_beyond_noise(S * np.outer(unit, unit), 200) == 2


def test_constant_columns_are_left_out():
    S = np.zeros((12, 12))
    S[1:11, 1:11] = covariance_of_rows(200, 10, 2)
    assert n_factors_beyond_noise(S, 200) == 2
    assert n_factors_beyond_noise(np.zeros((4, 4)), 200) == 0


def test_a_weak_factor_is_found_beside_a_strong_one():
    """The first takes most of the variance: eigenvalues of correlations fall below those of noise."""
    rng = np.random.default_rng(0)
    strong, weak = np.full((20, 1), 3.0), np.zeros((20, 1))
    weak[:5] = 1.0
    S = wishart(199, strong @ strong.T + weak @ weak.T + np.eye(20)).rvs(random_state=rng) / 199
    unit = np.sqrt(np.diag(S))
    second = np.linalg.eigvalsh(S / unit / unit[:, None])[-2]
    assert second < 1.0 < largest_noise_eigenvalue(200, 20)
    assert n_factors_beyond_noise(S, 200) == 2


def test_a_column_that_another_repeats_is_no_harm():
    S = covariance_of_rows(300, 6, 1)
    S = S[np.ix_([0, 1, 2, 3, 4, 5, 0], [0, 1, 2, 3, 4, 5, 0])]
    assert 1 <= n_factors_beyond_noise(S, 300) <= 2


def test_rows_move_the_level_as_in_the_limit_of_many():
    """The edge of Marchenko & Pastur."""
    assert_allclose(largest_noise_eigenvalue(1e8, 50_000_000), (1 + np.sqrt(0.5)) ** 2, rtol=1e-4)
