"""Scales without outliers: unmoved by a few rows far out, and never zero where values vary."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits, load_wine

from sklearn_lvm.core.outliers import MIN_PROBED_ROWS, outlier_limits, quantile, tail_quantiles
from sklearn_lvm.core.standardization import Standardization

COLUMNS = {
    "normal": lambda rng, n: rng.normal(size=n),
    "uniform": lambda rng, n: rng.uniform(size=n),
    "two hills": lambda rng, n: rng.normal(size=n) + 6.0 * rng.integers(2, size=n),
    "t(3)": lambda rng, n: rng.standard_t(3, size=n),
}
rows = st.integers(1, 300)
seeds = st.integers(0, 2**32 - 1)


def mixed(seed, n):
    """Columns without ties, with many, with one value in most rows, and with heavy tails."""
    rng = np.random.default_rng(seed)
    rare = np.where(rng.uniform(size=n) < 0.03, rng.normal(size=n), 0.0)
    return np.c_[rng.normal(size=n), rng.integers(0, 3, n), rare, rng.standard_cauchy(n)]


def scale(x):
    return Standardization.of(x[:, None], np.ones(len(x)), per_feature=True).scale[0]


@given(seeds, rows, st.sampled_from([1.0, 0.1]))
def test_quantiles_are_those_of_numpy(seed, n, weight):
    X = mixed(seed, n)
    found = tail_quantiles(X, np.full(n, weight))
    expected = np.quantile(X, [0.01, 0.99], axis=0, method="averaged_inverted_cdf")
    assert_allclose(found, expected, rtol=1e-15)
    for percent in (0.5, 1, 50, 99):
        expected = np.quantile(X[:, 0], percent / 100, method="averaged_inverted_cdf")
        assert_allclose(quantile(X[:, 0], np.full(n, weight), percent), expected, rtol=1e-15)


@pytest.mark.parametrize("n", [200, MIN_PROBED_ROWS + 1, 20_000])
@pytest.mark.parametrize("order", ["as drawn", "sorted"])
def test_weights_are_repetitions_and_a_reflection_reflects(n, order):
    X = mixed(n, n)
    X = np.sort(X, axis=0) if order == "sorted" else X
    times = np.random.default_rng(0).integers(0, 5, n)
    w, repeated = times.astype(float), np.repeat(X, times, axis=0)
    low, high = tail_quantiles(X, w)
    assert_array_equal((low, high), tail_quantiles(repeated, np.ones(len(repeated))))
    assert_array_equal((low, high), tail_quantiles(X, 0.1 * w))
    assert_array_equal((-high, -low), tail_quantiles(-X, w))
    assert_array_equal(X[:, 0], mixed(n, n)[:, 0] if order == "as drawn" else np.sort(X[:, 0]))


def test_rows_that_stand_for_no_others_do_not_mislead():
    """Every 16th row is far above the others, and most of the weight lies in one row."""
    n = 16 * 1024
    X = np.random.default_rng(0).normal(size=(n, 1))
    X[::16] += 100.0
    expected = np.quantile(X[:, 0], [0.01, 0.99], method="averaged_inverted_cdf")
    assert_array_equal(np.ravel(tail_quantiles(X, np.ones(n))), expected)
    w = np.ones(n)
    w[5] = 1e9
    assert_array_equal(np.ravel(tail_quantiles(X, w)), [X[5, 0]] * 2)


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("n", [400, 1000, 5000, 20_000])
@pytest.mark.parametrize("seed", range(5))
def test_one_row_in_two_hundred_far_out_moves_the_scale_by_less_than_five_percent(name, n, seed):
    x = COLUMNS[name](np.random.default_rng(seed), n)
    far = x.copy()
    far[: n // 200] = 1e6
    assert scale(far) == pytest.approx(scale(x), rel=0.05)
    assert scale(-far) == pytest.approx(scale(far), rel=1e-9)


@given(seeds, st.integers(2, 300), st.sampled_from([1e-300, 1e-8, 1.0, 1e8, 1e300]))
def test_a_column_that_varies_has_a_scale(seed, n, unit):
    rng = np.random.default_rng(seed)
    x = np.where(rng.uniform(size=n) < rng.uniform(0, 0.1), rng.normal(size=n), 0.0)
    x[rng.integers(n)] += 1.0
    assert 0 < scale(unit * x) <= 1.01 * unit * np.ptp(x)


def test_ordinary_columns_keep_their_plain_deviation():
    digits = load_digits().data
    noisy = digits + np.random.default_rng(0).uniform(size=digits.shape)
    for X in (digits[:, digits.std(axis=0) > 0], noisy, load_wine().data):
        found = Standardization.of(X, np.ones(len(X)), per_feature=True)
        assert_allclose(found.scale, X.std(axis=0), rtol=1e-12)
        assert_allclose(found.center, X.mean(axis=0), rtol=1e-12)


def test_limits_are_ten_distances_away_and_nowhere_around_a_single_value():
    X = np.c_[np.arange(101.0), np.r_[np.zeros(100), 1e9]]
    low, high = outlier_limits(X, np.ones(101))
    assert_array_equal(low, [1 - 980, -np.inf])
    assert_array_equal(high, [99 + 980, np.inf])


@pytest.mark.parametrize("share", [0.005, 0.0099, 0.01, 0.0101, 0.5])
def test_two_values_have_their_plain_deviation(share):
    x = np.zeros(10_000)
    x[: int(share * len(x))] = 3.0
    assert scale(x) == pytest.approx(x.std(), rel=1e-12)
