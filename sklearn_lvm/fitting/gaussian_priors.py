"""Priors of covariances that the rows themselves suggest, and the choice of one of them."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Self

import numpy as np

from .._typing import Floats
from ..core.gaussian.covariance import Structure
from ..core.gaussian.density import GaussianFamily, Gaussians
from ..core.gaussian.moments import Moments
from ..core.gaussian.partial import filled
from ..core.gaussian.prior import GaussianPrior
from ..core.gaussian.projected import family_of
from ..core.mixture_em import MixtureSteps
from ..core.rows import RowSource
from .clusters import cluster_centers, nearest
from .incomplete_rows import numbers_in_missing_blocks, unobserved_scatter
from .prior_choice import HELD_BACK, LLOYD_STEPS, ROUNDS, ChosenPrior, PriorContest, rows_for_choice

# Rows that say nothing about covariances lie so many standardized units from the center, or so many
# distances between the 5 % and 95 % quantiles of a sample beyond these.
FAR, MAX_DISTANCES = 30.0, 4.0
MAX_ROWS_PER_PARAMETER = 30.0  # beyond, covariances are known without a prior
# Numbers that mixtures side by side hold at once, and arrays of covariances among them.
MAX_NUMBERS, COPIES = 1 << 23, 8
N_REFINED = 4  # of the best priors of full covariances, those that are tried for low rank
# Of projected moments an estimate is a single step: weak priors show only after several.
PROJECTED_ROUNDS = ((4, 3), (12, 1))
MAX_FULL_FEATURES = 400  # up to which full covariances are compared in place of low rank
WEAK, FEW = 0.01, 1.0  # pseudo-observations where rows tell enough, and where they are too few
# Of the pseudo-observation that bounds a likelihood: it is near what is estimated.
WEAK_KIND = "shrunk"

Chosen = ChosenPrior[GaussianPrior | None]
Candidate = tuple[str, float]  # a key of KINDS, and pseudo-observations of each covariance


@dataclass(frozen=True)
class ScatterKind:
    """What scatter of a pseudo-observation is.

    Attributes
    ----------
    n_clusters : callable
        From the number of components to that of the clusters within which rows scatter.
    shrunk : bool
        Whether covariances of two features are halved.
    strengths : callable
        From the number of features to the numbers of pseudo-observations that are worth a try.
    """

    n_clusters: Callable[[int], int]
    shrunk: bool
    strengths: Callable[[int], tuple[float, ...]]


# Thin clouds want the scatter as it is, and little of it. Few rows of many features want correlations
# halved, and much of it. Too many components had better be alike, each as wide as fewer would be, or
# as all rows are.
KINDS = {
    "within": ScatterKind(lambda K: K, False, lambda d: (0.03, 0.1, 0.3, 1.0, d)),
    "shrunk": ScatterKind(lambda K: K, True, lambda d: (0.3, d / 4, d / 2, d)),
    "fewer": ScatterKind(lambda K: max(K // 2, 1), True, lambda d: (d / 2, d, 3 * d, 9 * d)),
    "total": ScatterKind(lambda K: 1, False, lambda d: (d / 2, d, 3 * d, 9 * d)),
}


@dataclass(frozen=True, eq=False)
class GaussianPriorChoice:
    """The choice of a prior for the covariances of K Gaussians.

    Attributes
    ----------
    family : GaussianFamily
    means : GaussianPrior
        The prior of means alone, which covariances are to join.
    concentration : float
        Of the prior of weights.
    n_components : int
    variance : ndarray of shape (d,)
        That of each feature.
    """

    family: GaussianFamily
    means: GaussianPrior
    concentration: float
    n_components: int
    variance: Floats

    def of(self, rows: RowSource) -> Chosen:
        """The prior under which rows that were held back are most likely.

        Where rows are many next to parameters hardly any prior is needed, and none is chosen. Where
        they are too few to hold some back, one observation of uncorrelated features is expected.
        """
        n_rows = min(rows.n_observations, rows.n_distinct)
        if n_rows > MAX_ROWS_PER_PARAMETER * self._n_parameters():
            return self._of_variances(WEAK, rows)
        found = self._most_likely(rows, self._unconstrained, None)
        return self._of_variances(FEW, rows) if found is None else found

    def refined(self, rows: RowSource, chosen: Chosen) -> Chosen:
        """The best of priors that did well for full covariances, or are weaker, for those of low rank.

        What fewer parameters leave open, less of a prior has to tell.
        """
        names = [(kind, strength) for kind, strength, _ in chosen.scores]
        structure = self.family.structure
        known = structure.projected and structure.d > MAX_FULL_FEATURES
        full = self.means.structure.unconstrained
        if not names or known or structure.n_parameters >= full.n_parameters:
            return chosen
        best, most = names[-1]
        weaker = [(kind, strength) for kind, strength in names if kind == best and strength < most]
        return self._most_likely(rows, self, {*names[-N_REFINED:], *weaker}) or chosen

    def _most_likely(
        self, rows: RowSource, choice: Self, names: Collection[Candidate] | None
    ) -> Chosen | None:
        """The best of some priors, or of all, by the covariances of a choice; None if there is none."""
        sample = nearby(rows_for_choice(rows, self.n_components))
        held_back, rest = sample.split(HELD_BACK, seed=0)
        if not (len(held_back) and len(rest)):
            return None
        scores = choice._in_units_of(rows.unit)._contest(rest, held_back, names).scores()
        if not scores:
            return None
        kind, strength = list(scores)[-1]
        scatter = scatters(sample, self.n_components, self.means.structure, [kind])[kind]
        known = tuple((*candidate, score) for candidate, score in scores.items())
        return ChosenPrior(self._prior(scatter, strength, rows), kind, strength, known)

    def weak(self, rows: RowSource) -> Chosen:
        """A prior of one observation: it hardly moves a maximum of the likelihood, which it bounds.

        A weaker one does not keep components from collapsing onto few rows, or onto equal entries. The
        variances of all rows would move the maxima of clusters that lie far apart.
        """
        sample = nearby(rows_for_choice(rows, self.n_components))
        if len(sample) <= self.n_components:
            return self._of_variances(FEW, rows)
        scatter = scatters(sample, self.n_components, self.means.structure, [WEAK_KIND])[WEAK_KIND]
        return ChosenPrior(self._prior(scatter, FEW, rows), WEAK_KIND, FEW)

    @property
    def _unconstrained(self) -> Self:
        """The choice for full covariances, which a prior is conjugate to.

        Covariances of low rank take the prior of full ones, however many factors they have: it is
        close to the best under them, and found in a fraction of the time. Of very many features full
        ones take too long.
        """
        structure = self.means.structure.unconstrained
        if self.family.structure.projected and structure.d > MAX_FULL_FEATURES:
            return self
        family = family_of(structure, self.family.added_variance)
        return replace(self, family=family, means=replace(self.means, structure=structure))

    def _in_units_of(self, weight: float) -> Self:
        """The choice with the other priors in numbers of observations, as weights of a sample are."""
        concentration = 1.0 + (self.concentration - 1.0) / weight
        return replace(self, means=self.means.in_units_of(weight), concentration=concentration)

    def _n_parameters(self) -> int:
        structure, K = self.family.structure.unconstrained, self.n_components
        return K * (1 + structure.d) + (1 if structure.tied else K) * structure.n_parameters

    def _of_variances(self, strength: float, rows: RowSource) -> Chosen:
        """Uncorrelated features of their own variances, divided among the components."""
        structure = self.means.structure
        share = self.n_components ** (-2.0 / structure.d)
        scatter = structure.of_variances(share * self.variance)
        return ChosenPrior(self._prior(scatter, strength, rows), "variances", strength)

    def _contest(
        self, rows: RowSource, held_back: RowSource, names: Collection[Candidate] | None
    ) -> PriorContest[Candidate, GaussianPrior, Gaussians, Moments]:
        structure, K = self.means.structure, self.n_components
        width = structure.d + 1 + numbers_in_missing_blocks(rows)
        numbers = K * (len(rows) * width + COPIES * structure.n_monomials)
        n_together = 1 if structure.tied else max(MAX_NUMBERS // numbers, 1)
        candidates = self._candidates(rows)
        if names is not None:
            candidates = {name: prior for name, prior in candidates.items() if name in names}
        rounds = PROJECTED_ROUNDS if self.family.structure.projected else ROUNDS
        return PriorContest(candidates, self._steps_under, n_together, rows, held_back, K, rounds)

    def _steps_under(self, priors: Sequence[GaussianPrior]) -> MixtureSteps[Gaussians, Moments]:
        prior = GaussianPrior.side_by_side(priors, self.n_components)
        return MixtureSteps(replace(self.family, prior=prior), self.concentration)

    def _candidates(self, rows: RowSource) -> dict[Candidate, GaussianPrior]:
        """The priors that may suit the rows, those that are alike once."""
        structure = self.means.structure
        found = scatters(rows, self.n_components, structure, KINDS)
        correlated = structure.n_monomials > structure.d
        unlike: dict[tuple[int, bool, float], str] = {}
        for name, kind in KINDS.items():
            n_clusters = kind.n_clusters(self.n_components)
            for strength in kind.strengths(structure.d):
                unlike.setdefault((n_clusters, kind.shrunk and correlated, float(strength)), name)
        return {
            (name, strength): self._prior(found[name], strength, rows)
            for (_, _, strength), name in unlike.items()
        }

    def _prior(self, scatter: Floats, strength: float, rows: RowSource) -> GaussianPrior:
        """The prior of so many observations of this scatter."""
        weight = strength * rows.unit
        added = self.means.structure.of_variances(self.family.added_variance)
        return replace(self.means, scatter=weight * (scatter + added), strength=np.array([weight]))


def nearby(rows: RowSource) -> RowSource:
    """The rows of a sample without those that are far out in some feature."""
    Z = rows.points().T
    low = np.quantile(Z, 0.05, axis=1, method="higher", keepdims=True)
    high = np.quantile(Z, 0.95, axis=1, method="lower", keepdims=True)
    reach = np.where(low < high, MAX_DISTANCES * (high - low), np.inf)
    kept = (low - reach <= Z) & (high + reach >= Z) & (np.abs(Z) <= FAR)
    return rows.weighted(rows.w * kept.all(axis=0))


def center_of(rows: RowSource) -> Floats:
    """The mean of the rows that are not far out, (d,)."""
    total, weight = np.zeros(rows.X.shape[1]), 0.0
    for block, w in rows.streamed:
        Z = filled(block)
        kept = w * (np.abs(Z) <= FAR).all(axis=0)
        total, weight = total + Z @ kept, weight + kept.sum()
    return total / weight if weight else total


def scatters(
    rows: RowSource, n_components: int, structure: Structure, kinds: Iterable[str]
) -> dict[str, Floats]:
    """The scatter of each kind, (1, *S), in the stored form of a structure."""

    @cache
    def within(n_clusters: int) -> Floats:
        return scatter_within(rows, n_clusters, structure)

    def scatter(kind: ScatterKind) -> Floats:
        found = within(kind.n_clusters(n_components))
        return 0.5 * (found + structure.uncorrelated(found)) if kind.shrunk else found

    return {name: scatter(KINDS[name]) for name in kinds}


def scatter_within(rows: RowSource, n_clusters: int, structure: Structure) -> Floats:
    """The scatter of an observation about the nearest center, (1, *S), each found in other rows.

    Rows lie nearer to centers that they are the mean of: far too near where they are few.
    """
    gaps, w = gaps_within(rows, n_clusters)
    scatter = structure.gram(gaps.mT, w).sum(axis=0, keepdims=True)
    return np.asarray((scatter + unobserved_scatter(rows, structure)) / rows.w.sum())


def gaps_within(rows: RowSource, n_clusters: int) -> tuple[Floats, Floats]:
    """Rows less the nearest centers of either half, (2, n, d), and weights in the other, (2, n)."""
    points, drawn = rows.points(), rows.drawn(0.5, seed=1)
    halves = np.stack([drawn, rows.w - drawn])
    rng = np.random.RandomState(0)
    centers = cluster_centers(points, halves, n_clusters, LLOYD_STEPS, rng)
    gaps = [points - c[labels] for c, labels in zip(centers, nearest(points, centers), strict=True)]
    return np.stack(gaps), halves[::-1]
