"""Deviations without the tails: unmoved by a few rows far out, and never zero where values vary."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.datasets import load_digits

from sklearn_lvm.core.standardization import Standardization
from sklearn_lvm.core.trimmed_scale import (
    MIN_PROBED_ROWS,
    quantile,
    tail_quantiles,
    trimmed_deviation,
)

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


def deviation(x, w=None):
    return trimmed_deviation(x[:, None], np.ones(len(x)) if w is None else w)[0]


@given(seeds, rows, st.sampled_from([1.0, 0.1]))
def test_quantiles_are_those_of_numpy(seed, n, weight):
    X = mixed(seed, n)
    found = tail_quantiles(X, np.full(n, weight))
    expected = np.quantile(X, [0.02, 0.98], axis=0, method="averaged_inverted_cdf")
    assert_allclose(found, expected, rtol=1e-15)
    for percent in (0.5, 2, 50, 98):
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
    expected = np.quantile(X[:, 0], [0.02, 0.98], method="averaged_inverted_cdf")
    assert_array_equal(np.ravel(tail_quantiles(X, np.ones(n))), expected)
    w = np.ones(n)
    w[5] = 1e9
    assert_array_equal(np.ravel(tail_quantiles(X, w)), [X[5, 0]] * 2)


@pytest.mark.parametrize("name", COLUMNS)
@pytest.mark.parametrize("n", [400, 1000, 10_000])
@pytest.mark.parametrize("seed", range(5))
def test_one_row_in_two_hundred_far_out_moves_the_scale_by_less_than_five_percent(name, n, seed):
    x = COLUMNS[name](np.random.default_rng(seed), n)
    far = x.copy()
    far[: n // 200] = 1e6
    assert deviation(far) == pytest.approx(deviation(x), rel=0.05)
    assert deviation(-far) == pytest.approx(deviation(far), rel=1e-9)


@given(seeds, st.integers(2, 300), st.sampled_from([1e-300, 1e-8, 1.0, 1e8, 1e300]))
def test_a_column_that_varies_has_a_scale(seed, n, unit):
    rng = np.random.default_rng(seed)
    x = np.where(rng.uniform(size=n) < rng.uniform(0, 0.1), rng.normal(size=n), 0.0)
    x[rng.integers(n)] += 1.0
    scale = Standardization.of(unit * x[:, None], np.ones(n), per_feature=True).scale[0]
    assert 0 < scale < np.inf
    assert scale <= 1.01 * unit * np.ptp(x)


def test_pixels_that_are_seldom_lit_keep_their_plain_deviation():
    X = load_digits().data
    scale = Standardization.of(X, np.ones(len(X)), per_feature=True).scale
    plain, trimmed = X.std(axis=0), trimmed_deviation(X, np.ones(len(X)))
    seldom = (trimmed == 0) & (plain > 0)
    assert seldom.sum() > 5
    assert_allclose(scale[seldom], plain[seldom], rtol=1e-12)
    assert_allclose(scale[trimmed > 0], trimmed[trimmed > 0], rtol=1e-12)


@pytest.mark.parametrize("share", [0.005, 0.0199, 0.02, 0.0201, 0.5])
def test_two_values_have_their_plain_deviation(share):
    x = np.zeros(10_000)
    x[: int(share * len(x))] = 3.0
    scale = Standardization.of(x[:, None], np.ones(len(x)), per_feature=True).scale[0]
    assert scale == pytest.approx(x.std(), rel=1e-12)


@given(seeds, st.sampled_from([1e4, 1e8]))
def test_an_offset_costs_no_digits(seed, offset):
    near = (mixed(seed, 200) + offset) - offset
    ones = np.ones(200)
    expected = trimmed_deviation(near, ones)
    assert_allclose(trimmed_deviation(near + offset, ones), expected, rtol=1e-9, atol=1e-15)
