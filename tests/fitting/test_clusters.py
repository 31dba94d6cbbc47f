"""Clusterings side by side are k-means++ and Lloyd's algorithm, each with weights of its own."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.cluster import KMeans

from sklearn_lvm.fitting.clusters import cluster_centers, near_one, nearest, seeds

N, K, D = 90, 3, 2


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(K), N // K)
    return 20.0 * np.eye(K)[labels, :D] + rng.normal(size=(N, D)), rng.uniform(0.5, 2.0, N), labels


def test_every_clustering_finds_groups_that_lie_apart(table):
    points, weight, groups = table
    centers = cluster_centers(points, np.stack([weight, weight**2]), K, 3, np.random.RandomState(0))
    for g, labels in enumerate(nearest(points, centers)):
        assert len(set(zip(groups, labels, strict=True))) == K
        for k in range(K):
            w = np.stack([weight, weight**2])[g, labels == k]
            assert_allclose(centers[g, k], np.average(points[labels == k], axis=0, weights=w))


def test_steps_are_those_of_lloyds_algorithm(table):
    points, weight, _ = table
    points = points + np.random.default_rng(1).normal(size=points.shape) * 8.0
    first = seeds(points, weight[None], K, np.random.RandomState(0))
    ours = cluster_centers(points, weight[None], K, 100, np.random.RandomState(0))
    theirs = KMeans(K, init=first[0], n_init=1, tol=0.0).fit(points, sample_weight=weight)
    assert_allclose(ours[0], theirs.cluster_centers_, rtol=1e-10)


def test_sparse_points_are_points(table):
    points, weight, _ = table
    points = np.where(np.abs(points) < 1.0, 0.0, points)
    dense, thin = (
        cluster_centers(kind(points), weight[None], K, 2, np.random.RandomState(0))
        for kind in (np.asarray, sparse.csr_array)
    )
    assert_allclose(thin, dense, rtol=1e-12)
    assert_array_equal(nearest(sparse.csr_array(points), thin), nearest(points, dense))


def test_seeds_are_drawn_by_weight_and_not_twice(table):
    points, *_ = table
    heavy = np.full(N, 1e-12)
    heavy[[3, 50]] = 1.0
    chosen = seeds(points, np.stack([heavy] * 20), 2, np.random.RandomState(0))
    expected = points[[3, 50]]
    for pair in chosen:
        assert_allclose(pair[np.argsort(pair[:, 0])], expected[np.argsort(expected[:, 0])])


def test_equal_points_have_centers_all_the_same():
    centers = cluster_centers(np.ones((5, 2)), np.ones((2, 5)), 3, 2, np.random.RandomState(0))
    assert_array_equal(centers, np.ones((2, 3, 2)))


def test_labels_are_the_first_of_the_nearest():
    centers = np.array([[[0.0], [2.0], [2.0]]])
    assert_array_equal(nearest(np.array([[0.0], [1.0], [3.0]]), centers), [[0, 0, 1]])


@pytest.mark.parametrize("unit", [1e-300, 1.0, 1e300])
def test_weights_near_the_limits_of_numbers_are_weights(table, unit):
    points, weight, _ = table
    plain, scaled = (
        cluster_centers(points, w[None], K, 2, np.random.RandomState(0))
        for w in (weight, weight * unit)
    )
    assert_allclose(scaled, plain, rtol=1e-12)
    assert 0.5 <= near_one(weight * unit).max() <= 1.0
