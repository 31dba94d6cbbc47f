"""Several k-means clusterings of the same points side by side, each with weights of its own."""

import numpy as np
from scipy.sparse import issparse

from .._typing import Floats, Ints, Table

Rng = np.random.RandomState


def cluster_centers(points: Table, weight: Floats, k: int, n_steps: int, rng: Rng) -> Floats:
    """Cluster points a few times over, by greedy k-means++ and a few steps of Lloyd's algorithm.

    Parameters
    ----------
    points : {ndarray, CSR} of shape (n, d)
    weight : ndarray of shape (G, n)
        Those of each clustering.
    k : int
        Clusters of each clustering.
    n_steps : int
        Of Lloyd's algorithm.
    rng : RandomState

    Returns
    -------
    centers : ndarray of shape (G, k, d)

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lvm.fitting.clusters import cluster_centers
    >>> points = np.array([[0.0], [1.0], [5.0], [6.0]])
    >>> np.sort(cluster_centers(points, np.ones((3, 4)), 2, 1, np.random.RandomState(0)).ravel())
    array([0.5, 0.5, 0.5, 5.5, 5.5, 5.5])
    """
    weight = near_one(weight)
    centers = seeds(points, weight, k, rng)
    for _ in range(n_steps):
        centers = _means(points, weight, nearest(points, centers), centers)
    return centers


def near_one(weight: Floats) -> Floats:
    """Weights over a power of two near the largest, so that no sum of products overflows."""
    return np.asarray(np.ldexp(weight, -int(np.frexp(weight.max())[1])))


def nearest(points: Table, centers: Floats) -> Ints:
    """The label of the nearest of k centers in each clustering, (G, k, d) -> (G, n)."""
    G, k, d = centers.shape
    flat = centers.reshape(-1, d)
    nearness = _products(points, flat)
    nearness -= 0.5 * np.einsum("md,md->m", flat, flat)[:, None]
    return _argmax(nearness.reshape(G, k, -1))


def _argmax(values: Floats) -> Ints:
    """``values.argmax(axis=1)`` of an array (G, k, n), for few k and many n."""
    highest, labels = values[:, 0].copy(), np.zeros((len(values), values.shape[2]), np.intp)
    for j in range(1, values.shape[1]):
        labels[values[:, j] > highest] = j
        np.maximum(highest, values[:, j], out=highest)
    return labels


def seeds(points: Table, weight: Floats, k: int, rng: Rng) -> Floats:
    """The centers (G, k, d) of greedy k-means++ (Arthur & Vassilvitskii, 2007), for each weighting.

    Of a few candidates for the next center, drawn by their distance to the centers so far, the one
    is taken that leaves the others nearest.
    """
    (G, n), squares = weight.shape, _squares(points)
    n_trials, every = 2 + int(np.log(k)), np.arange(G)
    chosen = _drawn(weight, 1, rng)[:, 0]
    distance = _distances(points, squares, chosen)
    centers = [chosen]
    for _ in range(1, k):
        candidates = _drawn(weight * distance, n_trials, rng)
        nearer = _distances(points, squares, candidates.ravel()).reshape(G, n_trials, n)
        np.minimum(nearer, distance[:, None], out=nearer)
        best = (nearer @ weight[:, :, None])[..., 0].argmin(axis=1)
        distance = nearer[every, best]
        centers.append(candidates[every, best])
    return _dense(points[np.stack(centers, axis=1).ravel()]).reshape(G, k, -1)


def _drawn(weight: Floats, n: int, rng: Rng) -> Ints:
    """Draw n positions by each row of weights (G, m), with replacement; any if all are 0."""
    cumulated = np.cumsum(weight, axis=1)
    levels = rng.uniform(size=(len(weight), n)) * cumulated[:, -1:]
    places = [np.searchsorted(c, u, side="right") for c, u in zip(cumulated, levels, strict=True)]
    return np.asarray(np.minimum(places, weight.shape[1] - 1))


def _squares(points: Table) -> Floats:
    if issparse(points):
        return np.asarray(points.multiply(points).sum(axis=1)).ravel()
    return np.asarray(np.einsum("nd,nd->n", points, points))


def _dense(rows: Table) -> Floats:
    return np.asarray(rows.toarray() if issparse(rows) else rows)


def _products(points: Table, vectors: Floats) -> Floats:
    """Inner products of vectors (m, d) with points (n, d), (m, n)."""
    if issparse(points):
        return np.ascontiguousarray((points @ vectors.T).T)
    return np.asarray(vectors @ points.T)


def _distances(points: Table, squares: Floats, chosen: Ints) -> Floats:
    """Squared distances of all points from some of them, (m, n)."""
    distance = _products(points, _dense(points[chosen]))
    distance *= -2.0
    distance += squares
    distance += squares[chosen][:, None]
    return np.asarray(np.maximum(distance, 0.0, out=distance))


def _means(points: Table, weight: Floats, labels: Ints, centers: Floats) -> Floats:
    """The weighted means of clusters (G, k, d); empty ones keep their centers."""
    G, k, d = centers.shape
    held = (labels[:, None] == np.arange(k)[:, None]) * weight[:, None]
    held = held.reshape(G * k, -1)
    total = held.sum(axis=1)[:, None]
    sums = np.asarray(held @ points)
    means = np.divide(sums, total, where=total > 0, out=centers.reshape(-1, d).copy())
    return np.asarray(means).reshape(G, k, d)
