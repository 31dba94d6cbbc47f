"""Units of tables with holes are those of what was observed."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_lvm.core.bernoulli.threshold import Threshold
from sklearn_lvm.core.rows import canonical_with_missing
from sklearn_lvm.core.standardization import (
    CenteredStandardization,
    Standardization,
)

N = 40


def table(seed=0):
    X = np.random.default_rng(seed).normal(size=(N, 3)) * [1.0, 1e3, 1e-4] + [0.0, 5.0, 1e3]
    X[np.random.default_rng(1).random(X.shape) < 0.3] = np.nan
    return X, np.random.default_rng(2).uniform(0.1, 2.0, N)


def test_complete_rows_are_measured_as_ever():
    X, w = np.nan_to_num(table()[0]), table()[1]
    for per_feature in (True, False):
        found, plain = (
            f(X, w, per_feature=per_feature)
            for f in (Standardization.of_observed, Standardization.of)
        )
        assert_array_equal(found.scale, plain.scale)
        assert_array_equal(found.center, plain.center)


def test_each_feature_is_measured_where_it_was_observed():
    X, w = table()
    standardization = Standardization.of_observed(X, w, per_feature=True)
    for j in range(3):
        seen = ~np.isnan(X[:, j])
        mean = np.average(X[seen, j], weights=w[seen])
        assert_allclose(standardization.center[j], mean, rtol=1e-12)
        variance = np.average((X[seen, j] - mean) ** 2, weights=w[seen])
        assert_allclose(standardization.scale[j] ** 2, variance, rtol=1e-9)


def test_a_common_scale_is_the_root_of_the_mean_variance():
    X, w = table()
    each, one = (Standardization.of_observed(X, w, per_feature=p) for p in (True, False))
    assert_allclose(one.scale, np.sqrt((each.scale**2).mean()), rtol=1e-12)


@pytest.mark.parametrize("per_feature", [True, False])
def test_a_constant_feature_borrows_its_scale(per_feature):
    X, w = table()
    X[~np.isnan(X[:, 1]), 1] = 4.0
    standardization = Standardization.of_observed(X, w, per_feature=per_feature)
    assert standardization.center[1] == 4.0
    assert standardization._is_varying.tolist() == [True, False, True]
    assert (standardization.scale > 0).all()


def test_a_hole_equals_a_hole():
    X = np.array([[np.nan, 1.0], [2.0, np.nan], [np.nan, 1.0], [2.0, 0.0]])
    rows = canonical_with_missing(X, np.array([1.0, 2.0, 4.0, 8.0]))
    assert_array_equal(X[rows.index], [[2.0, 0.0], [2.0, np.nan], [np.nan, 1.0]])
    assert_array_equal(rows.weight, [8.0, 2.0, 5.0])


@pytest.mark.parametrize("offset", [0.0, 1e8])
def test_rows_far_out_are_centred_to_the_last_digit(offset):
    X, w = table()
    X = np.round(X[:, :2] * 2**20) / 2**20 + offset  # what is moved is not rounded again
    near, far = (
        CenteredStandardization.of(X - offset, w, per_feature=True),
        CenteredStandardization.of(X, w, per_feature=True),
    )
    assert_allclose(far.transform(X), near.transform(X - offset), rtol=1e-13, atol=1e-14)
    assert_allclose(far.inverse_transform(far.transform(X).T), X, rtol=1e-14)
    mean = np.nanmean(np.where(np.isnan(X), np.nan, far.transform(X).T) * w[:, None], axis=0)
    assert_allclose(mean, 0.0, atol=1e-14)


def test_a_threshold_keeps_what_was_not_observed():
    units = Threshold.at(0.5, 2)
    found = units.transform(np.array([[0.5, np.nan], [0.6, -3.0]]))
    assert_array_equal(found, [[0.0, 1.0], [np.nan, 0.0]])
    assert units.log_jacobian == 0.0
    assert_array_equal(units.inverse_transform(found), found)
