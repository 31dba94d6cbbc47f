"""Starts of EM: responsibilities that are drawn on the weighted set of distinct rows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol

import numpy as np
from scipy.sparse import issparse
from sklearn.cluster import KMeans, kmeans_plusplus

from .._typing import Floats, Ints, Table
from ..core.family import C, S
from ..core.mixture import Mixture
from ..inference.block_map import single_openmp_thread
from .clusters import Rng, near_one
from .sample import Sample

Draw = Callable[[Table, Floats, int, Rng], Floats]

ROWS_PER_COMPONENT = 100  # of the sample that starts are drawn on, at least


# -- responsibilities ----------------------------------------------------------------------------------


def _one_hot(labels: Ints, n_components: int) -> Floats:
    return np.eye(n_components)[:, labels]


def _nearest(points: Table, centers: Floats) -> Ints:
    """The label of the nearest center, for each point."""
    distance: Floats = (centers**2).sum(axis=1) - 2.0 * points @ centers.T
    labels: Ints = distance.argmin(axis=1)
    return labels


def kmeans(points: Table, weight: Floats, n_components: int, rng: Rng) -> Floats:
    """The clusters of weighted k-means."""
    clusters = KMeans(n_components, n_init=1, random_state=rng)
    with single_openmp_thread():
        clusters.fit(points, sample_weight=near_one(weight))
    return _one_hot(clusters.labels_, n_components)


def kmeans_pp(points: Table, weight: Floats, n_components: int, rng: Rng) -> Floats:
    """Each row to the nearest of the seeds of k-means++."""
    weight = near_one(weight)
    centers, _ = kmeans_plusplus(points, n_components, sample_weight=weight, random_state=rng)
    return _one_hot(_nearest(points, centers), n_components)


def random(points: Table, weight: Floats, n_components: int, rng: Rng) -> Floats:
    """Every row to every component, in random shares."""
    resp = rng.uniform(size=(n_components, len(weight)))
    return np.asarray(resp / resp.sum(axis=0))


def random_from_data(points: Table, weight: Floats, n_components: int, rng: Rng) -> Floats:
    """Each row to the nearest of K rows, drawn by their weight."""
    drawn = rng.choice(len(weight), n_components, replace=False, p=weight / weight.sum())
    centers = points[drawn]
    dense = centers.toarray() if issparse(centers) else centers
    return _one_hot(_nearest(points, dense), n_components)


def in_turn(points: Table, weight: Floats, n_components: int, rng: Rng) -> Floats:
    """One row to each component, and again from the first row on: these share the row evenly."""
    resp = _one_hot(np.arange(n_components) % len(weight), len(weight)).T
    return np.asarray(resp / resp.sum(axis=0))


@dataclass(frozen=True)
class StartStrategy:
    """How responsibilities are drawn.

    Attributes
    ----------
    draw : callable
        Responsibilities of weighted rows, (K, m).
    n_rows : int
        About how many distinct rows they are drawn on.
    """

    draw: Draw
    n_rows: int = 1 << 13


STARTS: dict[str, StartStrategy] = {
    "kmeans": StartStrategy(kmeans),
    "k-means++": StartStrategy(kmeans_pp),
    "random": StartStrategy(random),
    "random_from_data": StartStrategy(random_from_data),
}
FEW_ROWS = {"random": StartStrategy(random), "in turn": StartStrategy(in_turn)}
"""What starts there are with fewer distinct rows than components."""


# -- models --------------------------------------------------------------------------------------------


class Start(Protocol[C, S]):
    """Where the runs of a fit begin."""

    def prepared(self, data: Sample[C, S], /) -> Callable[[Rng], Mixture[C]]:
        """A function that makes the first model of a run."""
        ...


@dataclass(frozen=True, eq=False)
class KnownStart(Generic[C]):
    """Every run begins with the same model."""

    model: Mixture[C]

    def prepared(self, data: Sample[C, S]) -> Callable[[Rng], Mixture[C]]:
        """A function that returns the model, whatever the random state."""
        return lambda rng: self.model


@dataclass(frozen=True, eq=False)
class DrawnStart(Generic[C]):
    """Models are estimated from drawn responsibilities, on a sample of the distinct rows.

    Attributes
    ----------
    n_components : int
    strategy : StartStrategy
    few : callable
        From the number of distinct rows and their summed weight to the strategy for fewer rows than
        components; it may raise a ValueError.
    complete : callable
        Puts the parameters that the user gave into a model.
    """

    n_components: int
    strategy: StartStrategy
    few: Callable[[int, float], StartStrategy]
    complete: Callable[[Mixture[C]], Mixture[C]]

    def prepared(self, data: Sample[C, S]) -> Callable[[Rng], Mixture[C]]:
        """A function that draws the first model of a run.

        Raises
        ------
        ValueError
            If there are too few rows.
        """
        K, steps = self.n_components, data.steps
        sample = data.rows.sample(max(self.strategy.n_rows, ROWS_PER_COMPONENT * K))
        few = len(sample) < K
        strategy = self.few(len(sample), float(sample.w.sum())) if few else self.strategy
        points = sample.points()

        def draw(rng: Rng) -> Mixture[C]:
            resp = strategy.draw(points, sample.w, K, rng) * sample.w
            return self.complete(steps.m_step(steps.family.statistics(sample.block, resp)))

        return draw
