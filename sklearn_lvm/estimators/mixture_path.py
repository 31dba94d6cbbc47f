"""Fits of a mixture with several numbers of components to the same rows, whose starts are shared."""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Generic, Self

from sklearn.base import clone
from sklearn.utils import check_random_state

from .._typing import Floats, Table
from ..core.family import C, S
from ..core.mixture import Mixture
from ..core.rows import RowSource
from ..fitting.component_counts import CountPath
from ..fitting.mixture import MixtureSearch
from ..fitting.restarts import RunCallback
from ..fitting.starts import KnownStart
from ..inference.block_map import ThreadMap, single_threaded_blas
from ..inference.em import EMRun
from .base.mixture import MixtureEstimator, U

NATS_LEFT = 0.02  # that a fit may be below its maximum, in all, where it competes with others
MIN_TOL = 1e-9  # nats per unit of weight, which rounding still tells apart


@dataclass(frozen=True, eq=False)
class MixtureFit(Generic[U, C, S]):
    """A mixture fitted to rows, which can be run on.

    Attributes
    ----------
    estimator : MixtureEstimator
        Fitted.
    rows : RowSource
    transformation : Transformation
    run : EMRun
        Its last one.
    seconds : float
        How long the fit took.
    """

    estimator: MixtureEstimator[U, C, S]
    rows: RowSource
    transformation: U
    run: EMRun[Mixture[C]]
    seconds: float = 0.0

    @property
    def converged(self) -> bool:
        """Whether the last run ended because little was left to gain."""
        return self.run.converged

    @property
    def left(self) -> float:
        """Nats that are left to gain, in all rows together, by the rule that ended the run.

        A tolerance that the user gave is kept, and what is small enough does not count.
        """
        rule = self.run.rule
        if self.estimator.tol != "auto" or rule is None or rule.tol <= self._least_tol:
            return 0.0
        return rule.tol * self._weight

    @property
    def _weight(self) -> float:
        return float(self.rows.w.sum())

    @property
    def _least_tol(self) -> float:
        return max(NATS_LEFT / self._weight, MIN_TOL)

    def refined(self, share: float = 0.0) -> Self:
        """The fit after more steps, which leave a share of what is left to gain, or next to nothing."""
        began, tol = perf_counter(), max(share * self.left / self._weight, self._least_tol)
        estimator = copy(self.estimator)
        search = estimator._mixture_search(self.rows, self.transformation)
        run = run_from(estimator, replace(search, tol=tol), self.transformation, self.run.model)
        seconds = self.seconds + perf_counter() - began
        return replace(self, estimator=estimator, run=run, seconds=seconds)


Fits = dict[int, MixtureFit[U, C, S] | ValueError]


def fit_counts(
    estimator: MixtureEstimator[U, C, S],
    X: Table,
    w: Floats,
    counts: Sequence[int],
    by_likelihood: bool,
) -> Fits[U, C, S]:
    """Fit a mixture with each of several numbers of components.

    Parameters
    ----------
    estimator : MixtureEstimator
        It is not changed.
    X, w : ndarray of shape (n, d) and (n,)
        Validated rows and weights.
    counts : sequence of int
    by_likelihood : bool
        Whether the fits are compared at the maximum of the likelihood. Where the estimator leaves the
        choice of a prior open, it is then one that hardly moves this maximum.

    Returns
    -------
    fits : dict
        For each number the fit, or why there is none.
    """
    with single_threaded_blas():
        try:
            path = MixturePath.of(estimator, X, w, counts, by_likelihood)
        except ValueError as reason:  # the parameters do not suit the rows
            return dict.fromkeys(counts, reason)
        return path.fits()


@dataclass(frozen=True, eq=False)
class MixturePath(Generic[U, C, S]):
    """Mixtures that differ in their number of components, for the same rows.

    Attributes
    ----------
    estimators : dict
        Those that are to be fitted, by their number of components; they know their rows.
    rows : RowSource
    transformation : Transformation
    """

    estimators: dict[int, MixtureEstimator[U, C, S]]
    rows: RowSource
    transformation: U

    @classmethod
    def of(
        cls,
        estimator: MixtureEstimator[U, C, S],
        X: Table,
        w: Floats,
        counts: Sequence[int],
        by_likelihood: bool,
    ) -> Self:
        """Prepare validated rows for copies of an estimator, which is not changed."""
        first = clone(estimator).set_params(n_components=max(counts), warm_start=False)
        first._validate_params()
        first._prefers_weak_prior = by_likelihood
        rows, transformation = first._prepared(X, w)

        def copied(K: int) -> MixtureEstimator[U, C, S]:
            other = copy(first).set_params(n_components=K)
            other._n_fitted_components = K
            return other

        return cls({K: copied(K) for K in counts}, rows, transformation)

    def fits(self) -> Fits[U, C, S]:
        """For each number of components the fit, or why there is none."""
        began = perf_counter()
        starts = self._starts()
        seconds = (perf_counter() - began) / len(self.estimators)
        return {K: self._fit(K, starts.get(K), seconds) for K in self.estimators}

    def _fit(
        self, K: int, start: Mixture[C] | None, seconds: float
    ) -> MixtureFit[U, C, S] | ValueError:
        began = perf_counter()
        try:
            fit = self._from_start(K, start) or self._by_itself(K)
        except ValueError as reason:
            return reason
        del fit.estimator._prefers_weak_prior  # of this fit alone
        return replace(fit, seconds=seconds + perf_counter() - began)

    def _from_start(self, K: int, start: Mixture[C] | None) -> MixtureFit[U, C, S] | None:
        """A fit from its start; None if there is none, or if the run from there fails."""
        if start is None:
            return None
        estimator = copy(self.estimators[K])
        search = estimator._mixture_search(self.rows, self.transformation)
        try:
            run = run_from(estimator, search, self.transformation, start)
        except ValueError:
            return None
        return MixtureFit(estimator, self.rows, self.transformation, run)

    def _by_itself(self, K: int) -> MixtureFit[U, C, S]:
        """A fit with a start of its own."""
        estimator = copy(self.estimators[K]).fit(self.rows.X, sample_weight=self.rows.w)
        run = EMRun(
            estimator._warm_model(self.transformation),
            (estimator.lower_bound_ + estimator._fitted_log_jacobian,),
            estimator.n_iter_,
            estimator.converged_,
            rule=estimator._stopping_rule,
        )
        return MixtureFit(estimator, self.rows, self.transformation, run)

    # -- starts ------------------------------------------------------------------------------------

    def _starts(self) -> dict[int, Mixture[C]]:
        """Starts of mixtures that may choose theirs, and have a next number to share with."""
        first = next(iter(self.estimators.values()))
        if not is_free_to_search(first):
            return {}
        seed = check_random_state(first.random_state).randint(2**31 - 1)
        found: dict[int, Mixture[C]] = {}
        for counts in consecutive(sorted(self.estimators)):
            found |= self._shared_starts(counts, seed) if len(counts) > 1 else {}
        return found

    def _shared_starts(self, counts: list[int], seed: int) -> dict[int, Mixture[C]]:
        """Starts for consecutive numbers of components."""
        steps = {}
        for K in counts:
            estimator = self.estimators[K]
            try:
                estimator._choose_prior(self.rows, self.transformation, warm=False)
            except ValueError:
                return {}  # the fits themselves say what is wrong
            steps[K] = estimator._steps(self.transformation)
        search = self.estimators[counts[-1]]._mixture_search(self.rows, self.transformation)
        with ThreadMap() as block_map:
            path = CountPath.of(search.sample(block_map), steps)
            return {} if path is None else path.starts(check_random_state(seed))


def run_from(
    estimator: MixtureEstimator[U, C, S],
    search: MixtureSearch[C, S],
    transformation: U,
    start: Mixture[C],
) -> EMRun[Mixture[C]]:
    """Fit by one run from a known model, under the prior that was chosen.

    Raises
    ------
    ValueError
        If the run fails.
    """
    outcomes = search.runs(KnownStart(start), [0], lambda i: RunCallback(), lambda: False)
    run = estimator._best(outcomes)
    estimator._set_fitted(estimator._attributes(transformation, run))
    return run


def is_free_to_search(estimator: MixtureEstimator[U, C, S]) -> bool:
    """Whether a fit of estimates has one start, which it searches for, of which nothing was given."""
    params = estimator.get_params(deep=False)
    given = [name for name in params if name.endswith("s_init") and params[name] is not None]
    return (
        not (given or estimator._has_evidence_bound)
        and estimator._shares_starts
        and estimator.init_params == "auto"
        and estimator.n_init == 1
    )


def consecutive(counts: Sequence[int]) -> list[list[int]]:
    """Rising numbers in groups without gaps.

    Examples
    --------
    >>> from sklearn_lvm.estimators.mixture_path import consecutive
    >>> consecutive([1, 2, 3, 6, 8, 9])
    [[1, 2, 3], [6], [8, 9]]
    """
    groups: list[list[int]] = []
    for count in counts:
        if not groups or count != groups[-1][-1] + 1:
            groups.append([])
        groups[-1].append(count)
    return groups
