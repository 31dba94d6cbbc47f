"""Where EM starts: responsibilities on the weighted set of distinct rows."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.cluster import KMeans, kmeans_plusplus

from .._typing import Array
from .acceleration import attempt
from .distribute import single_openmp_thread
from .em import Climb, best_of

Draw = Callable[[Array, Array, int, np.random.RandomState], Array]

EFFORT = 6  # steps over all rows that short runs may cost together


def _one_hot(labels: Array, n_components: int) -> Array:
    return np.eye(n_components)[:, labels]


def _nearest(points: Any, centres: Array) -> Array:
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
    resp = rng.uniform(size=(n_components, len(weight)))
    return resp / resp.sum(axis=0)


def random_from_data(
    points: Any, weight: Array, n_components: int, rng: np.random.RandomState
) -> Array:
    """Each row to the nearest of K rows, drawn by their weight."""
    drawn = rng.choice(len(weight), n_components, replace=False, p=weight / weight.sum())
    centres: Any = points[drawn]
    dense = centres.toarray() if hasattr(centres, "toarray") else centres
    return _one_hot(_nearest(points, dense), n_components)


@dataclass(frozen=True)
class Policy:
    """How a start is found.

    Attributes
    ----------
    draw : callable
        Responsibilities of weighted rows, (K, m).
    rows : int
        On about so many distinct rows.
    runs : int
        The most draws that compete.
    steps : int
        How many steps each of them climbs on these rows before the highest is chosen.
    """

    draw: Draw
    rows: int = 1 << 13
    runs: int = 1
    steps: int = 0

    def contest(
        self, draw: Callable[[Any], Any], short: Callable[..., Climb], n_drawn: int, n_rows: int
    ) -> Callable[[Any], Any]:
        """A function that finds a start: the first draw, or the best of several short runs (em-EM).

        Biernacki, Celeux & Govaert (2003). There are as many runs as a small share of the fit pays
        for, and a single one where all rows are few.
        """
        affordable = EFFORT * n_rows // (n_drawn * max(self.steps, 1))
        runs = int(np.clip(affordable, 1, self.runs))
        if runs == 1:
            return draw

        def run(rng: np.random.RandomState) -> Climb:
            return short(draw(rng), max_iter=self.steps)

        def start(rng: np.random.RandomState) -> Any:
            climbs = [attempt(run, rng) for _ in range(runs)]
            ended = [climb for climb in climbs if climb is not None]
            return best_of(ended).model if ended else draw(rng)

        return start


STARTS: dict[str, Policy] = {
    "auto": Policy(kmeans, runs=8, steps=10),
    "kmeans": Policy(kmeans),
    "k-means++": Policy(kmeans_pp),
    "random": Policy(random),
    "random_from_data": Policy(random_from_data),
}
