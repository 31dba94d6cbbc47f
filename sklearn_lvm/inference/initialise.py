"""Where EM starts: responsibilities on the weighted set of distinct rows."""

from collections.abc import Callable

import numpy as np
from sklearn.cluster import KMeans, kmeans_plusplus

from .._types import Array
from .distribute import single_openmp_thread

Start = Callable[[Array, Array, int, np.random.RandomState], Array]


def _one_hot(labels: Array, n_components: int) -> Array:
    return np.eye(n_components)[:, labels]


def _nearest(points: Array, centres: Array) -> Array:
    """The label of the nearest centre, for each point."""
    distance = (centres**2).sum(axis=1) - 2.0 * points @ centres.T
    return distance.argmin(axis=1)


def kmeans(points: Array, weight: Array, n_components: int, rng: np.random.RandomState) -> Array:
    """The clusters of weighted k-means."""
    clusters = KMeans(n_components, n_init=1, random_state=rng)
    with single_openmp_thread():
        clusters.fit(points, sample_weight=weight)
    return _one_hot(clusters.labels_, n_components)


def kmeans_pp(points: Array, weight: Array, n_components: int, rng: np.random.RandomState) -> Array:
    """Each row to the nearest of the seeds of k-means++."""
    centres, _ = kmeans_plusplus(points, n_components, sample_weight=weight, random_state=rng)
    return _one_hot(_nearest(points, centres), n_components)


def random(points: Array, weight: Array, n_components: int, rng: np.random.RandomState) -> Array:
    """Every row to every component, in random shares."""
    resp = rng.uniform(size=(n_components, len(points)))
    return resp / resp.sum(axis=0)


def random_from_data(
    points: Array, weight: Array, n_components: int, rng: np.random.RandomState
) -> Array:
    """Each row to the nearest of K rows, drawn by their weight."""
    drawn = rng.choice(len(points), n_components, replace=False, p=weight / weight.sum())
    return _one_hot(_nearest(points, points[drawn]), n_components)


STARTS: dict[str, Start] = {
    "kmeans": kmeans,
    "k-means++": kmeans_pp,
    "random": random,
    "random_from_data": random_from_data,
}
