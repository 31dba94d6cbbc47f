"""Starts of mixtures of several numbers of components, each found from those of the next numbers."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Generic

from ..core.family import C, S
from ..core.mixture import Mixture
from ..core.mixture_em import MixtureSteps
from ..inference.problem import attempt
from .clusters import Rng
from .sample import Sample
from .split_merge import merges, splits
from .start_search import StartSearch, search_samples
from .swaps import Swaps

N_TRIED = 2  # splits, or merges, of few rows for each number of components
MIN_SWAPPED = 3  # components from which on they are swapped
N_FIRST, N_STEPS = 1, 3  # E-steps by which they are compared, and more of the best

Found = tuple[Mixture[C], float]  # a mixture and its objective


@dataclass(frozen=True, eq=False)
class CountPath(Generic[C, S]):
    """Starts for consecutive numbers of components, by splits and merges on a sample of the rows.

    From the smallest number on, the component is split that promises most; from the largest number
    back, the two are merged that lose least. The best of both, and of a search for each number by
    itself, is the start.

    Attributes
    ----------
    samples : list of Sample
        The smallest first, as those of a search.
    steps : mapping
        From numbers of components, in rising order and without gaps, to the steps of EM.
    n_rows : int
        How many distinct rows there are in all.
    """

    samples: list[Sample[C, S]]
    steps: Mapping[int, MixtureSteps[C, S]]
    n_rows: int

    @classmethod
    def of(
        cls, data: Sample[C, S], steps: Mapping[int, MixtureSteps[C, S]]
    ) -> "CountPath[C, S] | None":
        """A path for those of the numbers that a search makes sense for; None if there are none."""
        kept = dict(sorted(steps.items()))
        while kept:
            largest = max(kept)
            samples = search_samples(replace(data, steps=kept[largest]), largest)
            if samples is not None:
                return cls(samples, kept, data.rows.n_distinct)
            del kept[largest]
        return None

    def starts(self, rng: Rng) -> dict[int, Mixture[C]]:
        """A start for each number of components; those that fail are left out."""
        found = self._down(self._up(rng), rng)
        for K in list(self.steps)[1:-1]:  # the first and the last one were searched for
            found = _better(found, self._searched(K, rng))
        models = {K: found[K][0] for K in sorted(found)}
        if self._few_rows:
            models = {K: self._swapped(K, model, rng) for K, model in models.items()}
        return {K: self._refined(K, model) for K, model in models.items()}

    @property
    def _few_rows(self) -> bool:
        """Whether the sample is all rows: the likelihood of few rows has more maxima."""
        return len(self.samples[1]) == self.n_rows

    @property
    def _n_tried(self) -> int:
        """How many splits, or merges, are tried for each number of components."""
        return N_TRIED if self._few_rows else 1

    def _swapped(self, K: int, model: Mixture[C], rng: Rng) -> Mixture[C]:
        """A mixture after swaps of components, where there are some to be swapped."""
        if K < MIN_SWAPPED:
            return model
        return attempt(Swaps(self._sample(K)).improved, model, rng) or model

    def _up(self, rng: Rng) -> dict[int, Found[C]]:
        """The smallest mixture, and larger ones by splits."""
        smallest = min(self.steps)
        found = self._searched(smallest, rng)
        while found and max(found) + 1 in self.steps:
            K = max(found) + 1
            some = attempt(splits, self._sample(K), found[K - 1][0], rng, self._n_tried)
            better = self._best(K, some or [])
            if not better:
                break
            found |= better
        return found

    def _down(self, found: dict[int, Found[C]], rng: Rng) -> dict[int, Found[C]]:
        """The largest mixture, by a search if that is better, and smaller ones by merges."""
        largest = max(self.steps)
        found = _better(found, self._searched(largest, rng))
        for K in sorted(self.steps, reverse=True)[1:]:
            if K + 1 in found:
                some = attempt(merges, self._sample(K), found[K + 1][0], self._n_tried)
                found = _better(found, self._best(K, some or []))
        return found

    def _searched(self, K: int, rng: Rng) -> dict[int, Found[C]]:
        search = StartSearch(K, self.n_rows, self._samples(K))
        model = attempt(search.drawn, rng)
        return {} if model is None else self._best(K, [model])

    def _best(self, K: int, models: list[Mixture[C]]) -> dict[int, Found[C]]:
        """The best of some mixtures after a few steps, by its number of components."""
        run = self._sample(K).run
        first = [attempt(run, model, N_FIRST) for model in models]
        ends = [end for end in first if end is not None]
        if not ends:
            return {}
        best = max(ends, key=lambda end: end[1])
        return {K: attempt(run, best[0], N_STEPS) or best}

    def _refined(self, K: int, model: Mixture[C]) -> Mixture[C]:
        """A mixture after runs on more rows."""
        search = StartSearch(K, self.n_rows, self._samples(K))
        return attempt(search.refined, model) or model

    def _samples(self, K: int) -> list[Sample[C, S]]:
        return [replace(sample, steps=self.steps[K]) for sample in self.samples]

    def _sample(self, K: int) -> Sample[C, S]:
        """The one on which mixtures are split, merged and compared."""
        return replace(self.samples[1], steps=self.steps[K])


def _better(known: dict[int, Found[C]], others: dict[int, Found[C]]) -> dict[int, Found[C]]:
    """Of each number of components the mixture of the higher objective."""
    higher = {K: found for K, found in others.items() if K not in known or found[1] > known[K][1]}
    return known | higher
