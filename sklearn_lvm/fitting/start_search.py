"""The search for a start on samples of rows: a contest of draws, swaps, and runs on ever more rows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic

import numpy as np

from .._typing import Ints
from ..core.family import C, S
from ..core.linalg import without_failures
from ..core.mixture import Mixture
from ..core.mixture_batch import MixtureBatch, batch_m_step
from ..core.mixture_em import MixtureSteps
from ..core.rows import RowSource
from ..inference.problem import attempt
from ..inference.stopping import precision_of
from .clusters import Rng, cluster_centers, nearest
from .contest import winner
from .sample import Sample
from .starts import STARTS, DrawnStart, StartStrategy
from .swaps import Swaps

N_DRAWS = 4  # clusterings that compete: of two components too, one may part them the wrong way
MIN_SWAPPED = 4  # components from which on they are swapped
LLOYD_STEPS = 5  # of each draw
# Rows of the smallest sample, on which starts are drawn, and of the next, on which they compete.
SEED_ROWS, SEED_ROWS_PER_COMPONENT = 1 << 9, 50
CONTEST_ROWS, CONTEST_ROWS_PER_COMPONENT, CONTEST_ROWS_PER_FEATURE = 1 << 11, 100, 4
SWAP_SAMPLE = 3  # times as many rows in the sample on which components are swapped
LEVEL_FACTOR = 4  # times as many rows in each sample after that
MIN_LEVEL_SHARE = 3  # samples of more than a third of the rows are not worth a run of their own
MAX_SHARES = 1 << 22  # of rows in components, beyond which a search would take long and much memory
MAX_PARAMETERS_PER_ROW = 0.5  # beyond, likelihoods tell little about starts
MAX_LEVEL_ENTRIES = 1 << 21  # numbers in such a sample, 16 MB: rows may be on disk
MAX_LEVEL_STEPS = 50  # E-steps on a sample


@dataclass(frozen=True, eq=False)
class SearchedStart(Generic[C]):
    """Every run begins with the model that a search on samples finds.

    Attributes
    ----------
    n_components : int
    few, complete : callable
        As those of ``DrawnStart``; what the user gave is put into the model that is found.
    """

    n_components: int
    few: Callable[[int, float], StartStrategy]
    complete: Callable[[Mixture[C]], Mixture[C]]

    def prepared(self, data: Sample[C, S]) -> Callable[[Rng], Mixture[C]]:
        """A function that searches for the first model of a run.

        Raises
        ------
        ValueError
            If there are too few rows.
        """

        def simple(name: str) -> Callable[[Rng], Mixture[C]]:
            start = DrawnStart(self.n_components, STARTS[name], self.few, self.complete)
            return start.prepared(data)

        if self.n_components == 1:
            return simple("random")
        samples = search_samples(data, self.n_components)
        if samples is None:
            return simple("kmeans")
        search = StartSearch(self.n_components, data.rows.n_distinct, samples)

        def draw(rng: Rng) -> Mixture[C]:
            found = attempt(search.model, rng)
            return simple("kmeans")(rng) if found is None else self.complete(found)

        return draw


@dataclass(frozen=True, eq=False)
class StartSearch(Generic[C, S]):
    """A search on nested samples.

    Attributes
    ----------
    n_components : int
    n_rows : int
        How many distinct ones there are in all.
    samples : sequence of Sample
        The smallest first: for draws, for the contest, for swaps, and more for runs if rows are many.
    """

    n_components: int
    n_rows: int
    samples: Sequence[Sample[C, S]]

    def model(self, rng: Rng) -> Mixture[C]:
        """The best model that is found.

        Raises
        ------
        numpy.linalg.LinAlgError, FloatingPointError
            If nothing is found, since covariances become singular, say.
        """
        model = self.drawn(rng)
        if self.n_components >= MIN_SWAPPED:
            model = Swaps(self.samples[2]).improved(model, rng)
        return self.refined(model)

    def drawn(self, rng: Rng) -> Mixture[C]:
        """The best of several clusterings, after a few steps.

        Raises
        ------
        SingularCovarianceError
            If covariances become singular in all of them.
        """
        if self.n_components == 1:
            steps, rows = self.samples[1].steps, self.samples[1].rows
            return Mixture(np.zeros(1), same_components(steps, rows, 1))
        return winner(self.samples[1], self._drawn(rng))

    def refined(self, model: Mixture[C]) -> Mixture[C]:
        """A model after runs on ever more rows."""
        for sample in self.samples[2:]:
            if MIN_LEVEL_SHARE * len(sample) <= self.n_rows:
                tol = precision_of(model.n_parameters(), sample.n_observations)
                model, _ = sample.run(model, MAX_LEVEL_STEPS, tol, "squarem")
        return model

    def _drawn(self, rng: Rng) -> MixtureBatch[C]:
        """Mixtures of the clusters of several clusterings; without those that are singular."""
        rows = self.samples[0].rows
        weight = np.broadcast_to(rows.w, (N_DRAWS, len(rows)))
        centers = cluster_centers(rows.points(), weight, self.n_components, LLOYD_STEPS, rng)
        labels = nearest(self.samples[1].rows.points(), centers)
        return without_failures(
            self._estimated,
            labels,
            lambda kept, failed: np.delete(kept, failed // self.n_components, axis=0),
        )

    def _estimated(self, labels: Ints) -> MixtureBatch[C]:
        """Mixtures of the clusters of labeled rows, (G, n)."""
        (G, n), K, sample = labels.shape, self.n_components, self.samples[1]
        shares = (labels[:, None] == np.arange(K)[:, None]) * sample.rows.w
        family = sample.steps.family
        components = same_components(sample.steps, sample.rows, G * K)
        kernel = family.kernel(components, np.zeros(G * K))
        statistics = sample.statistics(kernel, shares.reshape(G * K, n))
        return batch_m_step(sample.steps, statistics, G)


def search_samples(data: Sample[C, S], n_components: int) -> list[Sample[C, S]] | None:
    """Nested samples for a search, the smallest first; None if that would tell little or take long."""
    rows, K = data.rows, n_components
    n = rows.n_distinct
    if n <= K:
        return None
    sizes = sample_sizes(n, K, rows.X.shape[1])
    if K * max(sizes[1:3]) > MAX_SHARES:
        return None
    nested = nested_samples(rows, sizes)
    components = attempt(same_components, data.steps, nested[0], K)
    most = MAX_PARAMETERS_PER_ROW * data.n_observations * data.steps.family.n_parts
    if components is None or components.n_parameters() > most:
        return None
    each = data.n_observations / n
    return [replace(data, rows=part, n_observations=each * len(part)) for part in nested]


def same_components(steps: MixtureSteps[C, S], rows: RowSource, n: int) -> C:
    """The density of all rows, n times."""
    one = steps.family.estimate(steps.family.statistics(rows.block, rows.w[None]))
    return one.subset(np.zeros(n, dtype=np.intp))


def sample_sizes(n_rows: int, n_components: int, n_features: int) -> list[int]:
    """Numbers of rows of ever larger samples; nearly all rows are all of them.

    The third is left out where no components are swapped on it, and it is too large for a run.

    Examples
    --------
    >>> from sklearn_lvm.fitting.start_search import sample_sizes
    >>> sample_sizes(2000, 3, 2), sample_sizes(2000, 4, 2), sample_sizes(100_000, 4, 2)
    ([512, 2000], [512, 2000, 2000], [512, 2048, 6144, 24576])
    """
    per_component = max(CONTEST_ROWS_PER_COMPONENT, CONTEST_ROWS_PER_FEATURE * n_features)
    n_contest = max(CONTEST_ROWS, n_components * per_component)
    sizes = [max(SEED_ROWS, n_components * SEED_ROWS_PER_COMPONENT), n_contest]
    sizes.append(SWAP_SAMPLE * n_contest)
    most = min(n_rows // MIN_LEVEL_SHARE, MAX_LEVEL_ENTRIES // n_features)
    while LEVEL_FACTOR * sizes[-1] <= most:
        sizes.append(LEVEL_FACTOR * sizes[-1])
    if n_components < MIN_SWAPPED and MIN_LEVEL_SHARE * sizes[2] > n_rows:
        sizes = sizes[:2]
    return [size if 2 * size <= n_rows else n_rows for size in sizes]


def nested_samples(rows: RowSource, sizes: list[int]) -> list[RowSource]:
    """Samples of about so many rows, each drawn from the next larger one."""
    samples = []
    for size in reversed(sizes):
        rows = rows.sample(size)
        samples.append(rows)
    return samples[::-1]
