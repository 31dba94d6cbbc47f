"""How many factors components have: by rows held back, of many features by parallel analysis."""

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from .._typing import BlockMap, Floats
from ..core.gaussian.density import GaussianFamily, Gaussians
from ..core.gaussian.factor_count import n_factors_in_rows
from ..core.gaussian.low_rank import LowRank
from ..core.gaussian.moments import Moments
from ..core.linalg import SingularCovarianceError
from ..core.mixture import Mixture, normalize
from ..core.mixture_em import MixtureSteps
from ..core.rows import RowSource
from ..inference.block_map import ThreadMap
from ..inference.problem import Problem
from .gaussian_priors import FEW, gaps_within, nearby
from .prior_choice import HELD_BACK, rows_for_choice, weights_in_clusters
from .sample import Sample

SWEEPS = 2  # of an estimate that begins with the noise that fewer factors leave
MAX_ERRORS = 1.0  # standard errors, below which a loss is not one


def n_factors_for(
    rows: RowSource, n_components: int, structure: LowRank, family: GaussianFamily
) -> int:
    """The number of factors, the same of all components, under which rows held back are most likely.

    Of several that are as good it is the smallest. Parallel analysis of the rows of one component
    takes for noise what these rows predict well all the same.

    Parameters
    ----------
    rows : RowSource
        Standardized.
    n_components : int
    structure : LowRank
        With any number of factors.
    family : GaussianFamily
        With the prior of the fit.
    """
    sample = nearby(rows_for_choice(rows, n_components))
    held_back, rest = sample.split(HELD_BACK, seed=0)
    if not len(held_back) or len(rest) <= n_components:
        return 0
    prior = family.prior and family.prior.in_units_of(rows.unit)
    known = replace(family, prior=prior)
    with np.errstate(all="ignore"), ThreadMap() as block_map:
        contest = FactorContest(structure, known, rest, held_back, n_components, block_map)
        return contest.best()


def n_factors_of_many_features(
    rows: RowSource, n_components: int, structure: LowRank, strength: float
) -> int:
    """The number of factors within clusters, by parallel analysis of as many rows as a component has.

    Under a prior of several observations it is that of all rows, which have suggested the prior: what
    components have in common need not be learned from a few of them. Estimates are not compared, since
    those of many features take many steps to show what they overfit.
    """
    sample = nearby(rows_for_choice(rows, n_components))
    if len(sample) <= n_components:
        return 0
    gaps, w = gaps_within(sample, n_components)
    U = np.concatenate(gaps * np.sqrt(w / w.sum())[:, :, None])
    n_rows = min(rows.n_observations, rows.n_distinct)
    known = n_rows if strength > FEW else n_rows / n_components
    return n_factors_in_rows(U[w.ravel() > 0].T, known, structure.shared_noise)


@dataclass(frozen=True, eq=False)
class FactorContest:
    """Numbers of factors judged by rows held back, given one clustering of the others.

    Attributes
    ----------
    structure : LowRank
    family : GaussianFamily
    rows, held_back : RowSource
        Estimated from, and scored.
    n_components : int
    block_map : BlockMap
    """

    structure: LowRank
    family: GaussianFamily
    rows: RowSource
    held_back: RowSource
    n_components: int
    block_map: BlockMap
    _scores: dict[int, Floats] = field(default_factory=dict)
    _found: dict[int, Mixture[Gaussians]] = field(default_factory=dict)

    def best(self) -> int:
        """The smallest number of factors whose score is hardly below the highest.

        From 1 on the number is doubled up to a fall of the score; then the gap below the first that is
        good enough is halved until none is left.
        """
        tried = self._doubled()
        best = max(tried, key=self._mean)
        good = next(i for i, q in enumerate(tried) if self._is_as_good(q, best))
        low, high = tried[good - 1] if good else -1, tried[good]
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if self._is_as_good(middle, best) else (middle, high)
        return high

    def _doubled(self) -> list[int]:
        most, tried = self.structure.d - 1, [0]
        while tried[-1] < most and self._mean(tried[-1]) >= self._mean(tried[-2:][0]):
            tried.append(min(max(2 * tried[-1], 1), most))
        return tried

    def _mean(self, q: int) -> float:
        """The log-density of a row held back, in nats; minus infinity where there is none."""
        w = self.held_back.w
        mean = float(self._score(q) @ w / w.sum())
        return mean if np.isfinite(mean) else -np.inf

    def _is_as_good(self, q: int, best: int) -> bool:
        """Whether a row held back loses less than its own standard error says."""
        if q == best:  # also where no number has a score
            return True
        w = self.held_back.w
        loss = self._score(best) - self._score(q)
        mean = float(loss @ w / w.sum())
        error = np.sqrt((loss - mean) ** 2 @ w) / w.sum()
        return bool(mean <= MAX_ERRORS * error)

    def _score(self, q: int) -> Floats:
        """Log-densities of the rows held back, (n,)."""
        if q not in self._scores:
            try:
                self._scores[q] = self._log_prob(self._estimate(q))
            except SingularCovarianceError:
                self._scores[q] = np.full(len(self.held_back), -np.inf)
        return self._scores[q]

    def _log_prob(self, mixture: Mixture[Gaussians]) -> Floats:
        held = self.held_back
        sample = Sample(MixtureSteps(self.family), held, self.block_map, Problem, len(held))
        return normalize(sample.joint(mixture), 1.0)[0]

    def _steps(self, q: int) -> MixtureSteps[Gaussians, Moments]:
        return MixtureSteps(replace(self.family, structure=replace(self.structure, q=q)))

    def _estimate(self, q: int) -> Mixture[Gaussians]:
        """The mixture of the clusters with q factors, from that with the next fewer, if any."""
        steps, fewer = self._steps(q), [p for p in self._found if p < q]
        found = self._found[max(fewer)] if fewer else steps.m_step(self._clusters)
        for _ in range(SWEEPS if fewer else 0):
            found = steps.m_step(self._clusters, found)
        self._found[q] = found
        return found

    @cached_property
    def _clusters(self) -> Moments:
        """The moments of the clusters of the rows, of any number of factors."""
        return self.family.statistics(self.rows.block, self._shares)

    @cached_property
    def _shares(self) -> Floats:
        """The weights of the rows in each cluster, (K, n)."""
        return weights_in_clusters(self.rows, self.n_components)
