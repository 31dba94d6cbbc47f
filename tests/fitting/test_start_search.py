"""The start by default: what a search on samples finds, whatever the rows are."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.mixture import GaussianMixture

from sklearn_lvm import EMGaussianMixture
from sklearn_lvm.fitting import start_search
from sklearn_lvm.fitting.sample import Sample
from sklearn_lvm.fitting.start_search import (
    MAX_LEVEL_ENTRIES,
    MAX_SHARES,
    MIN_LEVEL_SHARE,
    MIN_SWAPPED,
    SearchedStart,
    nested_samples,
    same_components,
    sample_sizes,
)
from sklearn_lvm.inference.problem import Problem

from .samples import InTurn, gaussian_steps, groups, row_source

CORNERS = [[x, y] for x in (0.0, 9.0, 18.0) for y in (0.0, 9.0, 18.0)]


def start_of(K, rows):
    def few(n_rows, weight):
        raise ValueError("few")

    searched = SearchedStart(K, few, lambda model: model)
    steps = gaussian_steps(rows.X.shape[1])
    return searched.prepared(Sample(steps, rows, InTurn(), Problem, rows.n_observations))


@pytest.mark.parametrize("seed", range(10))
def test_every_search_finds_groups_that_lie_apart(seed):
    """A single clustering of nine groups leaves some of them together; a search does not."""
    X, _ = groups(400, CORNERS)
    model = start_of(9, row_source(X))(np.random.RandomState(seed))
    centers = model.components.mean * X.std(axis=0) + X.mean(axis=0)
    nearest = np.linalg.norm(centers[:, None] - np.asarray(CORNERS), axis=2).argmin(axis=1)
    assert len(set(nearest)) == 9
    assert_allclose(np.exp(model.log_weights), 1 / 9, atol=0.02)


def test_the_random_state_decides():
    X, _ = groups(60, CORNERS)
    draw = start_of(12, row_source(X))
    one, two, other = (draw(np.random.RandomState(seed)) for seed in (0, 0, 1))
    assert_array_equal(one.components.mean, two.components.mean)
    assert not np.array_equal(one.components.mean, other.components.mean)


@pytest.mark.parametrize(
    ("n", "K", "d"), [(100, 2, 1), (5000, 5, 3), (10**6, 20, 12), (10**7, 3, 2)]
)
def test_samples_grow_up_to_a_share_of_the_rows(n, K, d):
    sizes = sample_sizes(n, K, d)
    assert sizes == sorted(sizes)
    assert len(sizes) >= (2 if K < MIN_SWAPPED else 3)
    assert sizes[-1] <= n
    assert all(2 * size <= n or size == n for size in sizes)
    larger = [size for size in sizes[3:] if size < n]
    assert all(MIN_LEVEL_SHARE * size <= n for size in larger)
    assert all(size * d <= MAX_LEVEL_ENTRIES for size in larger)
    assert len(sizes) == 2 or 4 * sizes[-1] > min(n / MIN_LEVEL_SHARE, MAX_LEVEL_ENTRIES / d)


def test_samples_are_nested_and_weigh_as_much():
    X, _ = groups(500, CORNERS)
    w = np.random.default_rng(0).uniform(0.5, 2.0, len(X))
    samples = nested_samples(row_source(X, w), [100, 1000, 4500])
    assert [len(sample) for sample in samples] == [100, 1000, 4500]
    rows = [set(map(tuple, sample.X)) for sample in samples]
    assert rows[0] < rows[1] < rows[2]
    for sample in samples:
        assert_allclose(sample.w.sum(), w.sum(), rtol=0.15)


def test_copies_of_a_density_are_that_of_all_rows():
    X, _ = groups(100, CORNERS)
    rows = row_source(X)
    copies = same_components(gaussian_steps(2), rows, 3)
    assert_allclose(copies.mean, np.zeros((3, 2)), atol=1e-12)
    assert len(copies.covariance) == 3


def test_fewer_rows_than_components_are_told_of():
    with pytest.raises(ValueError, match="few"):
        start_of(5, row_source(np.arange(8.0).reshape(4, 2)))


def test_with_more_parameters_than_rows_the_start_is_that_of_k_means():
    """Likelihoods tell nothing there, and components would be put on a few rows."""
    X = np.random.default_rng(0).normal(size=(60, 8))
    found, plain = (
        EMGaussianMixture(3, init_params=name, reg_covar=0.1, max_iter=0, random_state=0).fit(X)
        for name in ("auto", "kmeans")
    )
    assert_array_equal(found.means_, plain.means_)


def test_with_very_many_components_the_start_is_that_of_k_means(monkeypatch):
    """A search would take memory and time in proportion to the square of their number."""
    monkeypatch.setattr(start_search, "nested_samples", None)
    X = np.random.default_rng(0).normal(size=(30_000, 2))
    assert 200 * sample_sizes(len(X), 200, 2)[2] > MAX_SHARES
    params = {"covariance_type": "diag", "max_iter": 0, "random_state": 0}
    assert len(EMGaussianMixture(200, **params).fit(X).weights_) == 200


def test_a_search_that_fails_leaves_the_start_to_k_means(monkeypatch):
    def failing(self, rng):
        raise FloatingPointError("nothing found")

    monkeypatch.setattr(start_search.StartSearch, "model", failing)
    X, _ = groups(60, CORNERS)
    found, plain = (
        EMGaussianMixture(3, init_params=name, max_iter=0, random_state=0).fit(X)
        for name in ("auto", "kmeans")
    )
    assert_allclose(found.means_.sum(axis=0), plain.means_.sum(axis=0), rtol=1e-12)


def test_one_component_needs_no_search(monkeypatch):
    monkeypatch.setattr(start_search, "nested_samples", None)
    X, _ = groups(60, CORNERS)
    model = EMGaussianMixture(1, random_state=0).fit(X)
    assert_allclose(model.means_[0], X.mean(axis=0), rtol=1e-10)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_a_start_is_as_good_as_ten_of_k_means(covariance_type):
    X, _ = groups(200, CORNERS, seed=3)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    params = {"n_components": 9, "covariance_type": covariance_type, "random_state": 0}
    ours = EMGaussianMixture(**params).fit(X).score(X)
    assert ours > GaussianMixture(n_init=10, **params).fit(X).score(X) - 1e-3
