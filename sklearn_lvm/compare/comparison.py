"""Comparison of density models on one table: one set of folds for all models."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from itertools import compress
from math import inf
from numbers import Integral, Real
from time import monotonic

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state

from .._typing import RandomState
from .budget import TimeBudget
from .halving import SuccessiveHalving
from .models import BINARY_NOTES, CandidateFactory, Models, all_binary, candidate_factories
from .preprocessing import PreparedTable, is_binary, missing_notes, prepare, without_columns
from .progress import Lines, Observer
from .readers import Table, as_table
from .report import Comparison
from .scores import ModelScore
from .search import ModelSearch, mean_and_error
from .splits import Splits, Splitter, row_counts
from .workers import workers_for

__all__ = ["ComparisonRun", "compare_densities"]


def compare_densities(
    X: ArrayLike | Table,
    models: Models | None = None,
    *,
    cv: int | Splitter = 5,
    n_jobs: int | None = None,
    random_state: RandomState = 0,
    dequantize: bool = True,
    time_budget: float | None = None,
    rows: int | None = None,
    progress: Callable[[str], object] | None = None,
) -> Comparison:
    r"""Rank density models by the log-likelihood of rows they have not seen.

    The best setting of each model is scored by

    .. math:: \frac1n \sum_{i=1}^n \log p(x_i \mid X_{\text{folds without } i}),

    in nats per row in the units of X, where :math:`x_i` are the observed cells of a row. All models
    see the same folds, so their differences are taken row by row, and have a much smaller standard
    error than the scores themselves.

    Settings are found by successive halving. All of a grid are tried on one fold of 2000 rows, or on
    several of fewer; the best third goes on to 4000 rows, together with the best one with more
    components, and so on; the last ones are told apart on further folds. The best setting is chosen
    on folds that it is scored on, which makes every score a little optimistic.

    Parameters
    ----------
    X : array-like or DataFrame of shape (n_samples, n_features)
        The table. NaN is a missing cell. Models whose tag ``allow_nan`` is set are fitted to the
        observed cells and scored on them, all on the same ones; the others are then left out, by
        name. Constant columns, and rows without any observed cell, are dropped.
    models : str, estimator, sequence of these, mapping or None, default=None
        Names of built-in models, estimators, or a mapping from names to estimators or to
        (estimator, grid) pairs. Any estimator with ``fit`` and ``score_samples`` will do, provided
        that its scores are in the units of X: a ``Pipeline`` of a scaler and a density leaves the
        log-Jacobian of the scaler out; use :class:`~sklearn_lvm.StandardizedDensity` in its place.
        None compares all built-in densities, or, where every column is 0/1, all built-in models of
        zeros and ones; the notes say so.
    cv : int or splitter, default=5
        Number of folds, at least two, for which the rows are shuffled; or an object with ``split``.
        A row that is held out in several folds counts once, with its mean score.
    n_jobs : int, optional
        Number of fits at a time; -1 for all cores.
    random_state : int, RandomState or None, default=0
        Seeds the noise, the folds, and every model whose own ``random_state`` is None.
    dequantize : bool, default=True
        Whether to add uniform noise of one grid step to columns on a regular grid, such as
        integers. Without it a density on such a column has no upper bound, and the scores reflect
        the regularization alone.
    time_budget : float, optional
        Seconds in which to end, or nearly so. Models are compared on as many rows as that allows, 2000,
        4000, ..., or all; those whose fits would take too long are left out, by name. None sets no
        limit.
    rows : int, optional
        The number of rows to compare models on. The time budget then only stops the comparison. The
        same number gives the same table again.
    progress : callable, optional
        Takes a line of text whenever a model or a round of the search has ended, such as ``print``.

    Returns
    -------
    comparison : Comparison
        One row per model, best first. A model that fails comes last with the reason. ``print``
        shows it as a table.

    Raises
    ------
    TypeError
        If X is sparse.
    ValueError
        If X is not a numeric table, has infinite values, a column without any value, no column
        that varies, or fewer than ``2 * cv`` rows with an observed cell; if a model's name is
        unknown, or another argument is not what it should be.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.neighbors import KernelDensity
    >>> from sklearn_lvm import compare_densities
    >>> X = np.random.default_rng(0).normal(size=(100, 1))
    >>> narrow, wide = KernelDensity(bandwidth=0.01), KernelDensity(bandwidth=0.4)
    >>> comparison = compare_densities(X, {"narrow": narrow, "wide": wide})
    >>> [row.model for row in comparison.rows]
    ['wide', 'narrow']
    >>> comparison.rows[1].difference < -comparison.rows[1].difference_standard_error < 0
    True
    """
    if progress is not None and not callable(progress):
        raise ValueError(f"progress must be a function of a line of text, got {progress!r}")
    observer = Lines(progress or (lambda line: None))
    run = ComparisonRun(
        X if isinstance(X, Table) else as_table(X),
        models,
        cv=cv,
        n_jobs=n_jobs,
        random_state=random_state,
        dequantize=dequantize,
        time_budget=time_budget,
        rows=rows,
    )
    run.run(observer)
    return run.comparison()


class ComparisonRun:
    """A comparison that can be interrupted: ``comparison`` then tells what has been found so far.

    The time budget runs from now on, or since it ``started`` on the monotonic clock.
    """

    def __init__(
        self,
        table: Table,
        models: Models | None,
        *,
        cv: int | Splitter,
        n_jobs: int | None,
        random_state: RandomState,
        dequantize: bool,
        time_budget: float | None,
        rows: int | None,
        started: float | None = None,
    ) -> None:
        self.budget = TimeBudget(_seconds(time_budget), monotonic() if started is None else started)
        self.n_jobs = _check_jobs(n_jobs)
        rng = check_random_state(random_state)
        binary = is_binary(table)
        factories = candidate_factories(models, binary=binary)
        if not factories:
            raise ValueError("no models to compare")
        self.binary = binary and all_binary(factories)
        # Drawn before the noise, so that the folds are the same with and without it.
        splits_seed, self.seed = _seeds(random_state, rng)
        self.name = table.name
        preparation = partial(prepare, dequantize=dequantize, rng=rng, binary=self.binary)
        self._split(preparation(table), cv, rows, splits_seed)
        while (unseen := self.splits.never_observed(self._counts()[0])).any():
            # Without these columns other rows are empty, and other columns of the rest are constant.
            table = without_columns(table, set(compress(self.data.columns, unseen)))
            self._split(preparation(table), cv, rows, splits_seed)
        self.searches = [self._search(name, factory) for name, factory in factories.items()]
        self.halving: SuccessiveHalving | None = None

    def _split(self, data: PreparedTable, cv: int | Splitter, rows: int | None, seed: int) -> None:
        self.data = data
        self.splits = Splits.of(data.X, cv, seed)
        self.rows = _check_rows(rows, len(data.X), cv)
        self.splits.check_subsets(self._counts())

    def _counts(self) -> list[int]:
        return row_counts(self.rows or len(self.data.X))

    def _search(self, name: str, factory: CandidateFactory) -> ModelSearch:
        return ModelSearch(name, factory, self.splits, self.data.X.shape[1], self.seed)

    def run(self, observer: Observer) -> None:
        """Search all models and score them."""
        stoppable = self.budget.limited
        with workers_for(self.data.X, self.n_jobs, stoppable=stoppable) as workers:
            self.halving = SuccessiveHalving(
                self.searches,
                self._counts(),
                len(self.splits),
                fixed=self.rows is not None,
                workers=workers,
                budget=self.budget,
                observer=observer,
            )
            self.halving.run()

    def comparison(self, incomplete: str = "") -> Comparison:
        """What has been found; ``incomplete`` says why that is not all."""
        scores: list[ModelScore] = []
        n_rows = n_folds = 0
        if self.halving is not None:
            scores, n_rows, n_folds = self.halving.scores(interrupted=bool(incomplete))
        notes = () if incomplete else self._notes(n_rows)
        return Comparison(
            _ranked(scores),
            (*self.data.notes, *missing_notes(self.data.X), *notes),
            n_rows=n_rows,
            n_columns=self.data.X.shape[1],
            cv=n_folds,
            name=self.name,
            incomplete=incomplete,
            data=self.data,
        )

    def limited(self, n_rows: int) -> bool:
        """Whether the time budget kept the comparison from more rows."""
        return self.rows is None and self.budget.limited and n_rows < len(self.data.X)

    def _notes(self, n_rows: int) -> Iterator[str]:
        if self.binary:
            yield from BINARY_NOTES
        for search in self.searches:
            if search.unfinished:
                yield f"left out, for their fits took too long: {search.unfinished_settings()}"
        total = len(self.data.X)
        if self.limited(n_rows):
            limit = f"the time budget of {self.budget.seconds:g} s allows no more"
            yield f"{n_rows} of {total} rows were compared, for {limit}; rows={n_rows} repeats this"
        elif n_rows < total:
            yield f"{n_rows} of {total} rows were compared, drawn at random, as rows={n_rows} asks for"


def _seconds(time_budget: float | None) -> float:
    if time_budget is None:
        return inf
    number = isinstance(time_budget, Real) and not isinstance(time_budget, bool)
    if not number or not time_budget > 0:
        raise ValueError(f"time_budget must be a positive number of seconds, got {time_budget!r}")
    return float(time_budget)


def _check_jobs(n_jobs: int | None) -> int | None:
    whole = isinstance(n_jobs, Integral) and not isinstance(n_jobs, bool)
    if n_jobs is not None and (not whole or n_jobs == 0):
        raise ValueError(
            f"n_jobs must be a number of processes, or -1 for all cores, -2 for all but one, ...; "
            f"got {n_jobs!r}"
        )
    return n_jobs


def _check_rows(rows: int | None, available: int, cv: int | Splitter) -> int | None:
    if rows is None:
        return None
    fewest = 2 * int(cv) if isinstance(cv, Integral) else 2
    if not isinstance(rows, Integral) or isinstance(rows, bool) or rows < fewest:
        raise ValueError(f"rows must be an integer of at least {fewest}, got {rows!r}")
    return min(int(rows), available)


def _seeds(random_state: RandomState, rng: np.random.RandomState) -> tuple[int, int]:
    """Draw a seed for the folds and one for all models, which must not share a generator."""
    splits, models = (int(seed) for seed in rng.randint(2**31 - 1, size=2))
    return splits, int(random_state) if isinstance(random_state, Integral) else models


def _ranked(scores: Sequence[ModelScore]) -> tuple[ModelScore, ...]:
    """Sort best first, and compare each model with the best, row by row."""
    scored = [score for score in scores if score.scored]
    others = [score for score in scores if not score.scored]
    scored.sort(key=lambda score: -score.log_likelihood)
    return (*(_with_difference(score, scored[0]) for score in scored), *others)


def _with_difference(score: ModelScore, best: ModelScore) -> ModelScore:
    with np.errstate(invalid="ignore"):  # -inf less -inf
        difference = score.held_out - best.held_out
    mean, error = mean_and_error(difference)
    return replace(score, difference=mean, difference_standard_error=error)
