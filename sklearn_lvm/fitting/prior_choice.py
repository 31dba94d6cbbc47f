"""The choice of a prior: of several, the one under which rows that were held back are most likely."""

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Generic, Self, TypeVar

import numpy as np

from .._typing import BlockMap, Floats
from ..core.family import C, S
from ..core.linalg import without_failures
from ..core.mixture import normalize
from ..core.mixture_batch import batch_m_step
from ..core.mixture_em import MixtureSteps
from ..core.rows import RowSource
from ..inference.block_map import ThreadMap
from ..inference.problem import attempt
from ..inference.two_precisions import SinglePrecision
from .clusters import cluster_centers, nearest
from .sample import Sample

Name = TypeVar("Name", bound=Hashable)
P = TypeVar("P")

HELD_BACK = 0.3  # of the rows
# Rows of the sample that is split: of few components, and for each of several, and of many.
MIN_ROWS, MAX_ROWS, ROWS_PER_COMPONENT, LEAST_ROWS_PER_COMPONENT = 1 << 10, 1 << 11, 50, 20
LLOYD_STEPS = 5  # of the clustering from which all candidates start
ROUNDS = ((0, 4), (4, 1))  # EM steps under each prior, and how many priors go on


@dataclass(frozen=True, eq=False)
class ChosenPrior(Generic[P]):
    """A prior, and how it was found.

    Attributes
    ----------
    prior : object or None
    kind : str or None
        What was chosen, 'given', or None where there is no prior.
    strength : float
        Its pseudo-observations.
    scores : tuple of (str, float, float)
        Of each candidate its kind, its strength, and the log-density of rows held back, in nats a row.
    """

    prior: P
    kind: str | None = None
    strength: float = 0.0
    scores: tuple[tuple[str, float, float], ...] = ()

    @property
    def was_chosen(self) -> bool:
        """Whether rows decided, not the user."""
        return self.kind not in (None, "given")

    def in_units(self, log_jacobian: float) -> Self:
        """The same with scores in the units of the data."""
        scores = tuple((kind, strength, s - log_jacobian) for kind, strength, s in self.scores)
        return replace(self, scores=scores)

    def described(self) -> dict[str, object]:
        """What a user is told of the choice."""
        return {
            "kind": self.kind,
            "n_pseudo_observations": self.strength,
            "held_out_scores": list(self.scores),
        }


def rows_for_choice(rows: RowSource, n_components: int) -> RowSource:
    """As many rows as a choice takes; a typical one of them weighs 1."""
    size = min(max(MIN_ROWS, ROWS_PER_COMPONENT * n_components), MAX_ROWS)
    sample = rows.sample(max(size, LEAST_ROWS_PER_COMPONENT * n_components))
    typical = replace(sample, weight_unit=None).unit
    return replace(sample, w=sample.w / typical, weight_unit=1.0)


def weights_in_clusters(rows: RowSource, n_clusters: int) -> Floats:
    """The weights of the rows in each of so many clusters of theirs, (n_clusters, n)."""
    points, w, rng = rows.points(), rows.w, np.random.RandomState(0)
    centers = cluster_centers(points, w[None], n_clusters, LLOYD_STEPS, rng)
    weights: Floats = (nearest(points, centers)[0] == np.arange(n_clusters)[:, None]) * w
    return weights


@dataclass(frozen=True, eq=False)
class PriorContest(Generic[Name, P, C, S]):
    """Priors judged by rows held back, after a few EM steps on the others, all from one clustering.

    Attributes
    ----------
    candidates : mapping
        The priors.
    steps_under : callable
        From several priors to the steps of EM for as many mixtures side by side.
    n_together : int
        How many mixtures may be fitted side by side.
    rows, held_back : RowSource
        Fitted to, and scored.
    n_components : int
    rounds : sequence of (int, int)
        EM steps under each prior, and how many priors go on.
    """

    candidates: Mapping[Name, P]
    steps_under: Callable[[Sequence[P]], MixtureSteps[C, S]]
    n_together: int
    rows: RowSource
    held_back: RowSource
    n_components: int
    rounds: Sequence[tuple[int, int]] = ROUNDS

    def scores(self) -> dict[Name, float]:
        """Log-densities of the rows held back, in nats a row; the winner's is the last.

        In each round the best of the last one take more steps (successive halving). A prior under which
        a covariance becomes singular has no score.
        """
        known: dict[Name, float] = {}
        names = list(self.candidates)
        with np.errstate(all="ignore"), ThreadMap() as block_map:
            for n_steps, n_kept in self.rounds:
                found = self._round(names, n_steps, block_map)
                left = {name: score for name, score in known.items() if name not in names}
                known, names = left | found, list(found)[-n_kept:]
        return known if names else {}

    def _round(self, names: list[Name], n_steps: int, block_map: BlockMap) -> dict[Name, float]:
        """Scores after some EM steps, the best of them last."""
        found: dict[Name, float] = {}
        for i in range(0, len(names), self.n_together):
            some = names[i : i + self.n_together]
            found |= attempt(self._after, n_steps, some, block_map) or {}
        return dict(sorted(found.items(), key=lambda item: item[1]))

    def _after(self, n_steps: int, names: list[Name], block_map: BlockMap) -> dict[Name, float]:
        """Scores after some EM steps side by side, without the priors that are singular."""

        def scores(names: list[Name]) -> dict[Name, float]:
            steps = self.steps_under([self.candidates[name] for name in names])
            fitted, scored = (
                Sample(steps, rows, block_map, SinglePrecision, len(rows))
                for rows in (self.rows, self.held_back)
            )
            batch = batch_m_step(steps, self._clusters.tiled(len(names)), len(names))
            for _ in range(n_steps):
                _, batch = fitted.em_step(batch)
            log_prob, _ = normalize(scored.joint(batch), 1.0)
            mean = log_prob @ self.held_back.w / self.held_back.w.sum()
            return {name: float(m) for name, m in zip(names, mean, strict=True) if np.isfinite(m)}

        def without(names: list[Name], component: int) -> list[Name]:
            failed = component // self.n_components
            return [*names[:failed], *names[failed + 1 :]]

        return without_failures(scores, names, without)

    @cached_property
    def _clusters(self) -> S:
        """The statistics of the clusters of the rows."""
        shares = weights_in_clusters(self.rows, self.n_components)
        family = self.steps_under(list(self.candidates.values())[:1]).family
        return family.statistics(self.rows.block, shares)
