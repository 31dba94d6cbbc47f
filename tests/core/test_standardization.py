"""Standard units: into them and back, whatever the place and the size of the data."""

from math import fsum

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_lvm.core.standardization import (
    MAX_DEVIATIONS,
    CenteredStandardization,
    Standardization,
    root_of_average,
)

from ..helpers import scale_of
from ..laws.specs import features, seeds

N = 50
per_feature = pytest.mark.parametrize("per_feature", [True, False], ids=["each", "common"])
powers = st.integers(-150, 150)


def table(seed, d, n=N):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) * rng.uniform(0.5, 2.0, d) + rng.normal(size=d)


def weights(seed, n=N):
    return np.random.default_rng(seed + 1).uniform(0.1, 2.0, n)


@per_feature
@given(seed=seeds, d=features, power=powers)
def test_the_inverse_undoes_the_transform(per_feature, seed, d, power):
    X = table(seed, d) * 10.0**power
    standardization = Standardization.of(X, weights(seed), per_feature=per_feature)
    Z = standardization.transform(X)
    assert Z.shape == (d, N)
    assert Z.flags.c_contiguous
    assert_allclose(standardization.inverse_transform(Z.T), X, rtol=0, atol=1e-15 * abs(X).max())


@given(seed=seeds, d=features)
def test_transformed_rows_have_mean_zero_and_variance_one(seed, d):
    X, w = table(seed, d), weights(seed)
    Z = Standardization.of(X, w, per_feature=True).transform(X)
    assert_allclose(Z @ w / w.sum(), 0.0, atol=1e-14)
    assert_allclose([scale_of(z, w) for z in Z], 1.0, rtol=1e-12)


@given(seed=seeds, d=features)
def test_a_common_scale_is_the_root_of_the_mean_variance(seed, d):
    X, w = table(seed, d), weights(seed)
    standardization = Standardization.of(X, w, per_feature=False)
    assert (standardization.scale == standardization.scale[0]).all()
    variance = np.array([scale_of(x, w) for x in X.T]) ** 2
    assert_allclose(standardization.scale**2, variance.mean(), rtol=1e-13)
    assert_allclose(
        standardization.feature_variance * standardization.scale**2, variance, rtol=1e-13
    )


@per_feature
@given(seed=seeds, power=powers, offset=st.sampled_from([0.0, 1.0, 100.0]))
def test_standard_units_do_not_know_the_units_of_the_data(per_feature, seed, power, offset):
    X, w = table(seed, 3), weights(seed)
    plain = Standardization.of(X, w, per_feature=per_feature)
    scaled = Standardization.of((X + offset) * 10.0**power, w, per_feature=per_feature)
    moved = scaled.transform((X + offset) * 10.0**power)
    assert_allclose(moved, plain.transform(X), rtol=0, atol=1e-14 * (10 + 10 * offset))
    change = scaled.log_jacobian - plain.log_jacobian
    assert_allclose(change, 3 * power * np.log(10.0), rtol=1e-12, atol=1e-12)
    assert_allclose(scaled.feature_variance, plain.feature_variance, rtol=1e-11)


@per_feature
def test_the_jacobian_is_that_of_the_map(per_feature):
    X = table(0, 3) * [1.0, 10.0, 0.01]
    standardization = Standardization.of(X, weights(0), per_feature=per_feature)
    corner = standardization.inverse_transform(np.zeros(3))
    edges = standardization.inverse_transform(np.eye(3)) - corner
    assert_allclose(standardization.log_jacobian, np.linalg.slogdet(edges)[1], rtol=1e-12)


def test_mixed_units_span_three_hundred_powers_of_ten():
    X = table(0, 3)
    s = np.array([1e-150, 1.0, 1e150])
    standardization, plain = (
        Standardization.of(Y, weights(0), per_feature=True) for Y in (X * s, X)
    )
    assert_allclose(standardization.transform(X * s), plain.transform(X), rtol=1e-13)
    assert_allclose(standardization.scale, plain.scale * s, rtol=1e-14)


@per_feature
@pytest.mark.parametrize("value", [0.0, 0.1, 1e8 + 0.1, -1e-300, 5e-324])
def test_a_constant_column_is_exactly_zero_and_takes_a_typical_scale(per_feature, value):
    X = table(0, 4)
    X[:, 1] = value
    standardization = Standardization.of(X, weights(0), per_feature=per_feature)
    assert not standardization.transform(X)[1].any()
    assert standardization.center[1] == value
    assert_allclose(standardization.inverse_transform(np.zeros((1, 4)))[0, 1], value, rtol=0)
    variance = [scale_of(X[:, j], weights(0)) ** 2 for j in (0, 2, 3)]
    assert_allclose(
        standardization.feature_variance[1] * standardization.scale[1] ** 2,
        np.median(variance),
        rtol=1e-13,
    )


@per_feature
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_rows_far_out_move_neither_center_nor_scale(per_feature, sign):
    X = np.random.default_rng(0).normal(size=(1001, 2)) * [1.0, 20.0]
    far = X.copy()
    far[17] = sign * 999999.0
    clean, found = (Standardization.of(Y, np.ones(1001), per_feature=per_feature) for Y in (X, far))
    assert_allclose(found.scale, clean.scale, rtol=0.01)
    assert_allclose(found.feature_variance, clean.feature_variance, rtol=0.02)
    assert_array_equal(found.center, np.median(far, axis=0))


def test_rows_far_out_leave_networks_where_the_others_are():
    X = np.random.default_rng(0).normal(size=(300, 1)) + 5.0
    X[3] = 1e9
    Z = CenteredStandardization.of(X, np.ones(300), per_feature=True).transform(X)
    assert abs(np.median(Z)) < 1e-6


@per_feature
def test_data_without_any_variance_keep_their_units(per_feature):
    standardization = Standardization.of(np.full((5, 2), 3.7), np.ones(5), per_feature=per_feature)
    assert_array_equal(standardization.center, [3.7, 3.7])
    assert_array_equal(standardization.scale, [1.0, 1.0])
    assert_array_equal(standardization.feature_variance, [1.0, 1.0])


@per_feature
def test_rows_of_no_weight_are_not_seen(per_feature):
    X, w = table(0, 2), weights(0)
    seen = Standardization.of(X[10:], w[10:], per_feature=per_feature)
    X[:10], w[:10] = 1e6, 0.0
    standardization = Standardization.of(X, w, per_feature=per_feature)
    for name in ("center", "scale", "feature_variance"):
        assert_allclose(getattr(standardization, name), getattr(seen, name), rtol=1e-13)


@per_feature
def test_weights_are_repetitions(per_feature):
    X, times = table(0, 2), np.random.default_rng(0).integers(0, 4, N)
    repeated = np.repeat(X, times, axis=0)
    standardization = Standardization.of(X, times.astype(float), per_feature=per_feature)
    again = Standardization.of(repeated, np.ones(len(repeated)), per_feature=per_feature)
    for name in ("center", "scale", "feature_variance"):
        assert_allclose(getattr(standardization, name), getattr(again, name), rtol=1e-13)


@per_feature
@pytest.mark.parametrize("offset", [1e4, 1e8])
def test_an_offset_costs_no_digits(per_feature, offset):
    near = (table(0, 3) + offset) - offset  # what the data are once they have been rounded
    w = weights(0)
    standardization = Standardization.of(near + offset, w, per_feature=per_feature)
    plain = Standardization.of(near, w, per_feature=per_feature)
    assert_allclose(
        standardization.center - offset, plain.center, rtol=0, atol=2 * np.spacing(offset)
    )
    assert_allclose(standardization.scale, plain.scale, rtol=1e-13)


@per_feature
def test_float32_rows_are_measured_in_float64(per_feature):
    X = (table(0, 2) + 1e4).astype(np.float32)
    standardization = Standardization.of(X, weights(0), per_feature=per_feature)
    plain = Standardization.of(X.astype(np.float64), weights(0), per_feature=per_feature)
    assert standardization.transform(X).dtype == np.float64
    assert_allclose(standardization.center, plain.center, rtol=1e-15)
    assert_allclose(standardization.scale, plain.scale, rtol=1e-13)
    assert_allclose(
        standardization.transform(X), plain.transform(X.astype(np.float64)), rtol=1e-12, atol=1e-12
    )


def test_many_blocks_are_measured_like_one():
    rng = np.random.default_rng(0)
    X, w = rng.normal(size=(200_000, 2)) + 50.0, rng.uniform(size=200_000)
    standardization = Standardization.of(X, w, per_feature=True)
    for j in range(2):
        center = fsum(w * X[:, j]) / fsum(w)
        assert_allclose(standardization.center[j], center, rtol=1e-15)
        assert_allclose(standardization.scale[j], scale_of(X[:, j], w), rtol=1e-12)


def test_far_rows_stay_finite():
    standardization = Standardization.of(
        np.array([[-1e-200], [1e-200]]), np.ones(2), per_feature=True
    )
    assert_array_equal(
        standardization.transform(np.array([[1e200], [-1e200], [1e-200]])),
        [[MAX_DEVIATIONS, -MAX_DEVIATIONS, 1.0]],
    )


def test_the_root_of_an_average_neither_under_nor_overflows():
    for feature_variance in (1e-200, 1.0, 1e200):
        root = root_of_average(np.array([3.0, 4.0]) * feature_variance, np.mean)
        assert_allclose(root, np.sqrt(12.5) * feature_variance, rtol=1e-15)
    assert root_of_average(np.zeros(3), np.median) == 1.0
    assert root_of_average(np.array([]), np.mean) == 1.0


# -- entries that were not observed --------------------------------------------------------------------


def observed_table(seed=0):
    X = np.random.default_rng(seed).normal(size=(N, 3)) * [1.0, 1e3, 1e-4] + [0.0, 5.0, 1e3]
    X[np.random.default_rng(1).random(X.shape) < 0.3] = np.nan
    return X, np.random.default_rng(2).uniform(0.1, 2.0, N)


def test_complete_rows_are_measured_as_ever():
    X, w = np.nan_to_num(observed_table()[0]), observed_table()[1]
    for per_feature in (True, False):
        found, plain = (
            f(X, w, per_feature=per_feature)
            for f in (Standardization.of_observed, Standardization.of)
        )
        assert_array_equal(found.scale, plain.scale)
        assert_array_equal(found.center, plain.center)


def test_each_feature_is_measured_where_it_was_observed():
    X, w = observed_table()
    standardization = Standardization.of_observed(X, w, per_feature=True)
    for j in range(3):
        observed = ~np.isnan(X[:, j])
        mean = np.average(X[observed, j], weights=w[observed])
        assert_allclose(standardization.center[j], mean, rtol=1e-12)
        assert_allclose(standardization.scale[j], scale_of(X[observed, j], w[observed]), rtol=1e-9)


def test_a_common_scale_of_observed_entries_is_the_root_of_the_mean_variance():
    X, w = observed_table()
    each, one = (Standardization.of_observed(X, w, per_feature=p) for p in (True, False))
    assert_allclose(one.scale, np.sqrt((each.scale**2).mean()), rtol=1e-12)


@pytest.mark.parametrize("per_feature", [True, False])
def test_a_constant_feature_with_missing_entries_borrows_its_scale(per_feature):
    X, w = observed_table()
    X[~np.isnan(X[:, 1]), 1] = 4.0
    standardization = Standardization.of_observed(X, w, per_feature=per_feature)
    assert standardization.center[1] == 4.0
    assert standardization.constant.tolist() == [False, True, False]
    assert (standardization.scale > 0).all()


@pytest.mark.parametrize("offset", [0.0, 1e8])
def test_rows_far_out_are_centered_to_the_last_digit(offset):
    X, w = observed_table()
    X = np.round(X[:, :2] * 2**20) / 2**20 + offset  # what is moved is not rounded again
    near, far = (
        CenteredStandardization.of(X - offset, w, per_feature=True),
        CenteredStandardization.of(X, w, per_feature=True),
    )
    assert_allclose(far.transform(X), near.transform(X - offset), rtol=1e-13, atol=1e-14)
    assert_allclose(far.inverse_transform(far.transform(X).T), X, rtol=1e-14)
    mean = np.nanmean(np.where(np.isnan(X), np.nan, far.transform(X).T) * w[:, None], axis=0)
    assert_allclose(mean, 0.0, atol=1e-14)
