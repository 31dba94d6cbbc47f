"""The choice of a Beta prior of Bernoulli probabilities."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from .._typing import Floats
from ..core.bernoulli.beta import BetaPosterior
from ..core.bernoulli.counts import Counts
from ..core.bernoulli.density import BernoulliFamily, Bernoullis
from ..core.bernoulli.prior import STRENGTHS, column_prior, side_by_side
from ..core.mixture_em import MixtureSteps
from ..core.rows import RowSource
from .prior_choice import HELD_BACK, ChosenPrior, PriorContest, rows_for_choice

Chosen = ChosenPrior[BetaPosterior]

# Observations that are too few for a choice, and the pseudo-observations that they get.
FEW_ROWS, FEW_ROWS_STRENGTH = 16, 2.0
WEAK = 0.01  # pseudo-observations that hardly matter
SMALL_TABLE, N_SPLITS = 128, 5  # observations of which one split says too little, and how many do
MAX_NUMBERS = 1 << 20  # of mixtures side by side: 8 MB
TABLE_SIZE = 32  # numbers that the rows of a column and a component are looked up in


@dataclass(frozen=True, eq=False)
class BetaPriorChoice:
    """The choice of a prior for the probabilities of K Bernoulli densities.

    Attributes
    ----------
    n_components : int
    concentration : float
        Of the prior of weights.
    given : mapping of ndarray of shape (1, d)
        What of alpha and beta is known.
    flat : float
        What alpha and beta are of a prior that is worth no observations. Whatever that is, the choice
        is made between priors of modes.
    """

    n_components: int
    concentration: float
    given: Mapping[str, Floats]
    flat: float = 1.0

    @property
    def kind(self) -> str:
        """What is chosen: 'columns', or the one of alpha and beta that is not known."""
        left_open = [name for name in ("alpha", "beta") if name not in self.given]
        return left_open[0] if len(left_open) == 1 else "columns"

    def of(self, rows: RowSource) -> Chosen:
        """The prior under which rows that were held back are most likely.

        Where rows are too few to hold some back, it is worth two observations.
        """
        sample = rows_for_choice(rows, self.n_components)
        found = (
            self._in_units_of(rows.unit)._scores(sample) if rows.n_observations > FEW_ROWS else []
        )
        winners = [list(scores)[-1] for scores in found] or [FEW_ROWS_STRENGTH]
        strength = float(np.exp2(np.log2(winners).mean()))
        prior = self._prior(counted(sample), strength * rows.unit, self.flat)
        scores = tuple((self.kind, s, score) for s, score in means(found).items())
        return ChosenPrior(prior, self.kind, strength, scores)

    def weak(self, rows: RowSource) -> Chosen:
        """A prior that hardly moves the maximum of the likelihood, but keeps probabilities positive."""
        total = counted(rows_for_choice(rows, self.n_components))
        return ChosenPrior(self._prior(total, WEAK * rows.unit), self.kind, WEAK)

    def _in_units_of(self, weight: float) -> Self:
        """The choice with the prior of weights in numbers of observations, as a sample has them."""
        return replace(self, concentration=1.0 + (self.concentration - 1.0) / weight)

    def _scores(self, rows: RowSource) -> list[dict[float, float]]:
        """For each of some splits what rows held back say of strengths, of the best one last."""
        n_splits = N_SPLITS if rows.n_observations <= SMALL_TABLE else 1
        splits = [rows.split(HELD_BACK, seed) for seed in range(n_splits)]
        found = [self._contest(*split).scores() for split in splits if all(map(len, split))]
        return [scores for scores in found if scores]

    def _contest(
        self, held_back: RowSource, rows: RowSource
    ) -> PriorContest[float, BetaPosterior, Bernoullis, Counts]:
        total, K = counted(rows), self.n_components
        candidates = {s: self._prior(total, s * rows.unit).with_a_mode() for s in STRENGTHS}
        numbers = K * max(len(rows), TABLE_SIZE * rows.X.shape[1])
        n_together = max(MAX_NUMBERS // numbers, 1)
        return PriorContest(candidates, self._steps_under, n_together, rows, held_back, K)

    def _steps_under(self, priors: Sequence[BetaPosterior]) -> MixtureSteps[Bernoullis, Counts]:
        pseudo_counts = side_by_side(priors, self.n_components).pseudo_counts()
        return MixtureSteps(BernoulliFamily(pseudo_counts), max(self.concentration, 1.0))

    def _prior(self, total: Counts, strength: float, flat: float = 1.0) -> BetaPosterior:
        return replace(column_prior(total, strength, flat), **self.given)


def counted(rows: RowSource) -> Counts:
    """The ones and zeros of all rows, (1, d)."""
    return Counts.of(rows.block, rows.w[None])


def means(found: Sequence[Mapping[float, float]]) -> dict[float, float]:
    """The mean score of each strength that has one in all of several splits."""
    common = [s for s in STRENGTHS if found and all(s in scores for scores in found)]
    return {s: float(np.mean([scores[s] for scores in found])) for s in common}
