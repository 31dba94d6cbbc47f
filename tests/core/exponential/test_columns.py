"""Each column's family is a distribution: it sums to one, and its samples have its moments."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import poisson, uniform

from sklearn_lvm.core.exponential.columns import (
    BERNOULLI,
    LARGEST_RATE,
    MIN_LOG_PROB,
    Categorical,
    Poisson,
    Uniform,
    draw_counts,
)

KINDS = {
    "categories": (Categorical((3.0, 5.0, 9.0)), np.array([[2.0, 1.0, 5.0]]), [3.0, 5.0, 9.0]),
    "zeros and ones": (BERNOULLI, np.array([[1.0, 3.0]]), [0.0, 1.0]),
    "counts": (Poisson(), np.array([[4.0, 10.0]]), np.arange(60.0)),
}
every_kind = pytest.mark.parametrize(("column", "sums", "support"), KINDS.values(), ids=KINDS)


def log_prob(column, theta, x):
    x = np.asarray(x, dtype=float)
    return (theta @ column.features(x) + column.base(x))[0]


@every_kind
def test_probabilities_sum_to_one_and_give_the_moments(column, sums, support):
    theta, support = column.estimate(sums), np.asarray(support)
    p = np.exp(log_prob(column, theta, support))
    assert_allclose(p.sum(), 1.0, rtol=1e-12)
    mean, variance = column.moments(theta)
    assert_allclose(mean[0], p @ support, rtol=1e-12)
    assert_allclose(variance[0], p @ (support - p @ support) ** 2, rtol=1e-10)


@every_kind
def test_samples_have_the_moments(column, sums, support):
    theta = column.estimate(sums)
    drawn = column.sample(theta, np.zeros(40_000, int), np.random.RandomState(0))
    mean, variance = column.moments(theta)
    assert np.isin(drawn, support).all()
    assert abs(drawn.mean() - mean[0]) < 5 * np.sqrt(variance[0] / len(drawn))


@every_kind
def test_the_estimate_is_the_top(column, sums, support):
    theta = column.estimate(sums)
    for shift in (-1e-3, 1e-3):
        moved = column.to_coordinates(theta) * (1 + shift)
        near = column.from_coordinates(moved)
        assert (near * sums).sum() < (theta * sums).sum()


@every_kind
def test_coordinates_lead_back(column, sums, support):
    theta = column.estimate(sums)
    assert_allclose(column.from_coordinates(column.to_coordinates(theta)), theta, rtol=1e-12)


def test_counts_are_those_of_scipy():
    x, column = np.array([0.0, 3.0, 11.0]), Poisson()
    theta = column.estimate(np.array([[2.0, 5.0]]))
    assert_allclose(log_prob(column, theta, x), poisson(2.5).logpmf(x), rtol=1e-12)


def test_intervals_are_those_of_scipy():
    column, inside = Uniform(-1.0, 3.0), np.array([-1.0, 0.5, 3.0])
    theta = column.estimate(np.zeros((1, 1)))
    known = uniform(-1.0, 4.0)
    assert_allclose(log_prob(column, theta, inside), known.logpdf(inside), rtol=1e-15)
    assert_allclose(np.ravel(column.moments(theta)), [known.mean(), known.var()], rtol=1e-15)
    drawn = column.sample(theta, np.zeros(1000, int), np.random.RandomState(0))
    assert column.low <= drawn.min() < drawn.max() <= column.high
    assert (log_prob(column, theta, drawn) == theta[0, 0]).all()
    assert column.to_coordinates(theta).shape == (1, 0)


@pytest.mark.parametrize(
    ("column", "x"), [(Categorical((1.0, 2.0)), 3.0), (Poisson(), -1.0), (Uniform(0.0, 1.0), 1.5)]
)
def test_what_is_outside_is_impossible(column, x):
    theta = column.estimate(np.ones((1, column.n_features)))
    assert log_prob(column, theta, [x])[0] < MIN_LOG_PROB


@every_kind
def test_a_missing_entry_has_no_features(column, sums, support):
    assert not column.features(np.array([np.nan])).any()


@every_kind
def test_of_nothing_there_is_a_finite_estimate(column, sums, support):
    assert np.isfinite(column.estimate(np.zeros(sums.shape))).all()


def test_the_largest_rates_are_drawn_as_themselves():
    rates = np.array([3.0, 1e300])
    drawn = draw_counts(rates, np.random.RandomState(0))
    assert drawn[0] < LARGEST_RATE
    assert drawn[1] == rates[1]
