"""Successive halving: all models searched on few rows, and the best settings on twice as many, ...

Jamieson & Talwalkar (2016) raise the resource of the settings that do best; the resource is rows here.
How many rows there are in the end is decided by the time left, and by nothing else: on the same number
of rows the search takes the same way again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil

from .budget import TimeBudget
from .progress import Observer
from .scores import ModelScore
from .search import ModelSearch, Trial
from .workers import FoldScore, Workers

__all__ = ["SuccessiveHalving"]

# A model that alone would take more than this share of the budget is no reason to stay with few
# rows: it is left out where there is a choice to make, and else scored last, if there is time.
LARGE_SHARE = 0.25
# Rows, at least, that tell settings apart: one fold of many rows, several of few.
HELD_OUT_ROWS = 300
# More rows are taken if fits are expected to leave this share of the time that is left.
RESERVE = 0.15


@dataclass
class SuccessiveHalving:
    """The search of all models, and the scores of their best settings.

    Attributes
    ----------
    searches : sequence of ModelSearch
    counts : sequence of int
        Rows of each round. The time budget may leave out the last ones, unless they are fixed.
    n_folds : int
    fixed : bool
        Whether the last of ``counts`` is to be reached, however long that takes.
    n_rows : int
        Rows of the current round; in the end those on which all models are scored.
    """

    searches: Sequence[ModelSearch]
    counts: Sequence[int]
    n_folds: int
    fixed: bool
    workers: Workers
    budget: TimeBudget
    observer: Observer
    n_rows: int = 0

    def run(self) -> None:
        """Search on more and more rows, and score every model on the most that there is time for."""
        for n_rows, following in zip(self.counts, [*self.counts[1:], 0], strict=True):
            self._round(n_rows)
            if not following or not self._affordable(following):
                break
            for search in self._open():
                search.grow(following)
            self.observer.line(f"searched on {n_rows} rows ({self.budget.elapsed:.0f} s)")
        for search in sorted(self._open(), key=self._final_time):
            self._finish(search)
            self.observer.line(f"{self._summary(search)} ({self.budget.elapsed:.0f} s)")

    def scores(self, *, interrupted: bool) -> tuple[list[ModelScore], int, int]:
        """What was found of each model, on how many rows and folds.

        After an interrupt these are rows and folds on which most models have been tried.
        """
        n_rows, folds = self._most_tried() if interrupted else (self.n_rows, range(self.n_folds))
        return [_score(search, n_rows, folds) for search in self.searches], n_rows, len(folds)

    def _open(self) -> list[ModelSearch]:
        return [search for search in self.searches if search.open]

    # -- rounds of the search ------------------------------------------------------------------------

    def _round(self, n_rows: int) -> None:
        """Try the settings that are left on folds of so many rows, and keep the best third."""
        first, self.n_rows = n_rows == self.counts[0], n_rows
        if first:
            for search in self.searches:
                search.begin(n_rows)
        ahead = [s for s in self._open() if first or self._takes_part(s, n_rows)]
        fits = sum(len(search.standing) for search in ahead) * len(self._folds(n_rows))
        self.observer.expect(fits + len(self._open()) * self.n_folds)
        for search in ahead:
            self._try(search, search.trials(n_rows, self._folds(n_rows)), self._end_of_round())
            search.narrow(n_rows)

    def _folds(self, n_rows: int) -> range:
        """The folds of a round, which hold enough rows to tell settings apart."""
        return range(min(self.n_folds, ceil(HELD_OUT_ROWS * self.n_folds / n_rows)))

    def _takes_part(self, search: ModelSearch, n_rows: int) -> bool:
        """Whether there is a choice to make; a model is left out if there is no time for it.

        On the same rows the choice must be the same, however long it takes: no round may be missed.
        """
        if len(search.standing) == 1:
            return False
        if self._too_long(search, n_rows):
            expected = self._time(search, n_rows)
            search.leave_out(f"its fits on {n_rows} rows would take about {expected:.0f} s")
        return search.open

    def _end_of_round(self) -> float:
        return min(self.budget.end, self.budget.end_of_round)

    def _try(self, search: ModelSearch, trials: Sequence[Trial], until: float) -> None:
        def record(i: int, result: FoldScore) -> None:
            search.results[trials[i]] = result
            self.observer.fitted(search.name)

        self.workers.run(search.tasks(trials), record, until)

    # -- scores on all folds -------------------------------------------------------------------------

    def _finish(self, search: ModelSearch) -> None:
        """Choose among the settings that are left, fold by fold, and score the best on all folds."""
        expected = self._final_time(search)
        if not self.fixed and expected > self.budget.left:
            fits = len(search.final_costs(self.n_rows))
            search.leave_out(
                f"{fits} more fits on {self.n_rows} rows would take about {expected:.0f} s"
            )
            return
        for fold in range(self.n_folds):
            if len(search.standing) > 1 and (trials := search.trials(self.n_rows, [fold])):
                self._try(search, trials, self.budget.end)
                search.narrow(self.n_rows)
        while search.open and not self._scored(search):
            self._score_best(search)

    def _scored(self, search: ModelSearch) -> bool:
        return search.best_on(self.n_rows, range(self.n_folds)) is not None

    def _score_best(self, search: ModelSearch) -> None:
        """Fit the best setting to all folds; if that fails on one of them, the next is the best."""
        self._try(search, search.final_trials(self.n_rows), self.budget.end)
        if search.final_trials(self.n_rows):
            search.leave_out(f"its fits on {self.n_rows} rows did not end in time")
        elif not self._scored(search):
            search.drop_best()

    def _summary(self, search: ModelSearch) -> str:
        score = _score(search, self.n_rows, range(self.n_folds))
        if score.error or score.left_out:
            return f"{search.name}: {score.error or score.left_out}"
        return f"{search.name}: {score.log_likelihood:.2f} nats per row"

    # -- time --------------------------------------------------------------------------------------

    def _affordable(self, n_rows: int) -> bool:
        """Whether all models are expected to end, but for those that alone take too long."""
        if self.fixed or not self.budget.limited:
            return True
        times = [self._time(s, n_rows) for s in self._open() if not self._too_long(s, n_rows)]
        return bool(times) and sum(times) <= (1.0 - RESERVE) * self.budget.left

    def _too_long(self, search: ModelSearch, n_rows: int) -> bool:
        return not self.fixed and self._time(search, n_rows) > LARGE_SHARE * self.budget.seconds

    def _time(self, search: ModelSearch, n_rows: int) -> float:
        """Expected seconds of a round and of the scores after it."""
        rounds = len(self._folds(n_rows)) * search.search_costs(n_rows)
        return self._side_by_side(rounds + search.final_costs(n_rows))

    def _final_time(self, search: ModelSearch) -> float:
        return self._side_by_side(search.final_costs(self.n_rows))

    def _side_by_side(self, costs: Sequence[float]) -> float:
        """Expected seconds of fits, some at a time."""
        n_jobs = self.workers.n_jobs
        return ceil(len(costs) / n_jobs) * sum(costs) / max(len(costs), 1)

    # -- an interrupt ------------------------------------------------------------------------------

    def _most_tried(self) -> tuple[int, range]:
        """Rows and folds on which most models have a score, the most of them among equals."""
        tried = [(n, self._folds(n)) for n in self.counts if n <= self.n_rows]
        tried.append((self.n_rows, range(self.n_folds)))
        return max(
            tried,
            key=lambda at: (
                sum(s.best_on(*at) is not None for s in self.searches),
                len(at[1]),
                at[0],
            ),
        )


def _score(search: ModelSearch, n_rows: int, folds: Sequence[int]) -> ModelScore:
    if (best := search.best_on(n_rows, folds)) is not None:
        return search.score(best, n_rows, folds)
    if search.error:
        return ModelScore(search.name, error=search.error)
    return ModelScore(search.name, left_out=search.left_out or "the search was interrupted")
