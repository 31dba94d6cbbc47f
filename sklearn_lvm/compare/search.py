"""Search of one model over its grid: the best settings on few rows go on to more."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from math import ceil, isnan, log2, nan
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from sklearn.base import clone
from sklearn.model_selection import ParameterGrid

from .._typing import Floats
from ..estimators.standardized import DensityLike
from .layout import describe
from .models import Candidate, CandidateFactory, Grid, TrainingSize, caveat, takes_missing
from .scores import ModelScore
from .splits import Splits
from .workers import FoldScore, Task, one_line

__all__ = ["ModelSearch", "settings_of"]

# One in so many settings goes on to more rows, or to the next fold.
REDUCTION = 3
# More rows can tell more components apart: the parameter of which a larger value stays in sight.
CAPACITY = "n_components"
# Means that agree to so many digits, in nats, differ by rounding: the first setting is the better one.
TIED_DIGITS = 6
# Why a model is not scored on a table in which cells are missing.
NO_MISSING = "takes no missing entries"
# By how much the time of a fit grows with twice the rows, which may need more steps as well.
COST_OF_DOUBLING = 2.2


class Setting(NamedTuple):
    """One setting of a grid: which of its parts, and the position of each value in its list.

    Grids for more rows have the same order, so that positions mean the same in all of them.
    """

    part: int
    positions: tuple[int, ...]


class Trial(NamedTuple):
    """A setting that is fitted to all folds but one of a subset of rows."""

    setting: Setting
    n_rows: int
    fold: int


def settings_of(grid: Grid) -> dict[Setting, dict[str, object]]:
    """All settings of a grid with their parameters, in the order of its lists.

    Raises
    ------
    TypeError, ValueError
        If it is no grid that scikit-learn takes.
    """
    parts = ParameterGrid(grid).param_grid
    return {
        Setting(i, positions): {
            name: values[j] for (name, values), j in zip(part.items(), positions, strict=True)
        }
        for i, part in enumerate(parts)
        for positions in product(*(range(len(values)) for values in part.values()))
    }


@dataclass
class ModelSearch:
    """The state of the search of one model.

    Attributes
    ----------
    name : str
    factory : callable
    splits : Splits
    n_features, seed : int
    standing : list of Setting
        Settings that are still in the search, the best first once they have scores.
    results : dict
        What each trial found.
    others : list of Setting
        Settings that were scored and have left the search, the best first.
    unfinished : list of Setting
        Settings whose fits did not end in time.
    left_out : str
        Why the model is not scored, or not to the end; empty if it is.
    error : str
        Why none of its settings has a score; empty if one has.
    """

    name: str
    factory: CandidateFactory
    splits: Splits
    n_features: int
    seed: int
    standing: list[Setting] = field(default_factory=list)
    others: list[Setting] = field(default_factory=list)
    unfinished: list[Setting] = field(default_factory=list)
    results: dict[Trial, FoldScore] = field(default_factory=dict)
    left_out: str = ""
    error: str = ""

    # -- what to fit -------------------------------------------------------------------------------

    def candidate(self, n_rows: int) -> Candidate:
        """The estimator, and the grid that suits so many rows."""
        size = TrainingSize(self.splits.training_size(n_rows), self.n_features)
        return self.factory(size)

    def params(self, n_rows: int) -> dict[Setting, dict[str, object]]:
        """All settings for so many rows, with their parameters."""
        return settings_of(self.candidate(n_rows).grid)

    @property
    def open(self) -> bool:
        """Whether the model is still to be scored."""
        return not (self.left_out or self.error)

    def begin(self, n_rows: int) -> None:
        """Let all settings that suit so many rows take part; an error is the end of the model."""
        try:
            self.standing = list(self.params(n_rows))
            tasks = self.tasks(self.trials(n_rows, [0]))
        except Exception as error:
            self.error = one_line(error)
            return
        if not (self.splits.complete or any(takes_missing(task.estimator) for task in tasks)):
            self.leave_out(NO_MISSING)

    def trials(self, n_rows: int, folds: Sequence[int]) -> list[Trial]:
        """What has not been tried on folds of a subset."""
        trials = [Trial(setting, n_rows, fold) for fold in folds for setting in self.standing]
        return [trial for trial in trials if trial not in self.results]

    def final_trials(self, n_rows: int) -> list[Trial]:
        """What remains to be tried of the best setting."""
        trials = [Trial(s, n_rows, f) for s in self.standing[:1] for f in range(len(self.splits))]
        return [trial for trial in trials if trial not in self.results]

    def tasks(self, trials: Sequence[Trial]) -> list[Task]:
        """Fits of one subset, as workers take them."""
        if not trials:
            return []
        n_rows = trials[0].n_rows
        estimator, grid, most = self.candidate(n_rows)
        params = settings_of(grid)
        return [
            Task(
                configured(estimator, params[trial.setting], self.seed),
                *self.splits.fold(trial.fold, n_rows, most),
            )
            for trial in trials
        ]

    # -- what was found ----------------------------------------------------------------------------

    def mean(self, setting: Setting, n_rows: int) -> float:
        """The mean of a setting over the folds of a subset that it was tried on; NaN if it failed."""
        found = [
            r.mean for t, r in self.results.items() if (t.setting, t.n_rows) == (setting, n_rows)
        ]
        return float(np.mean(found)) if found else float("nan")

    def narrow(self, n_rows: int) -> None:
        """Keep the best third of the settings that were tried on a subset."""
        means = {setting: self.mean(setting, n_rows) for setting in self.standing}
        tried = {trial.setting for trial in self.results if trial.n_rows == n_rows}
        scored = [setting for setting in self.standing if not isnan(means[setting])]
        if not scored:
            self._give_up(bool(tried))
            return
        self.unfinished += [setting for setting in self.standing if setting not in tried]
        scored.sort(key=lambda setting: -round(means[setting], TIED_DIGITS))
        kept = ceil(len(self.standing) / REDUCTION)
        self.standing, self.others = scored[:kept], scored[kept:] + self.others

    def _give_up(self, tried: bool) -> None:
        if tried:
            self.error = self._first_error()
        else:
            self.leave_out("none of its fits ended in time")

    def leave_out(self, reason: str) -> None:
        """Leave the model without a score."""
        self.left_out = reason

    def unfinished_settings(self) -> str:
        """The settings whose fits did not end in time."""
        params = self.params(max(trial.n_rows for trial in self.results))
        settings = [describe(params[s]) for s in self.unfinished if s in params]
        return f"{self.name} with " + "; ".join(settings)

    def grow(self, n_rows: int) -> None:
        """Let the best setting with more components take part again, since there are more rows."""
        known = self.params(n_rows)
        barred = {*self.standing, *self.unfinished}
        larger = [s for s in _larger(self.standing[0], known) if s not in barred]
        self.standing = [s for s in self.standing if s in known] + larger

    def drop_best(self) -> None:
        """Go on to the second best setting: the best one failed on a fold."""
        ranked = [*self.standing[1:], *self.others]
        self.standing, self.others = ranked[:1], ranked[1:]
        if not ranked:
            self.error = self._first_error()

    def _first_error(self) -> str:
        return next((result.error for result in self.results.values() if result.error), "")

    # -- how long it takes -------------------------------------------------------------------------

    def search_costs(self, n_rows: int) -> list[float]:
        """Expected seconds of each fit that makes a choice, on one fold of a subset."""
        settings = self.standing if len(self.standing) > 1 else []
        return [self._cost(setting, n_rows) for setting in settings]

    def final_costs(self, n_rows: int) -> list[float]:
        """Expected seconds of each fit that chooses among the settings and scores the best one."""
        if len(self.standing) == 1:
            return [self._cost(trial.setting, n_rows) for trial in self.final_trials(n_rows)]
        costs, left = [], list(self.standing)
        for _ in range(len(self.splits)):
            costs += [self._cost(setting, n_rows) for setting in left]
            left = left[: ceil(len(left) / REDUCTION)]
        return costs

    def _cost(self, setting: Setting, n_rows: int) -> float:
        """Expected seconds of one fit and its scores, from that to most rows so far."""
        known = {trial: r for trial, r in self.results.items() if trial.setting == setting}
        if not known:  # a setting that has just joined takes as long as its neighbors
            known = self.results
        most = max(trial.n_rows for trial in known)
        times = [r.fit_time + r.score_time for trial, r in known.items() if trial.n_rows == most]
        return float(np.mean(times)) * COST_OF_DOUBLING ** log2(n_rows / most)

    # -- the outcome -------------------------------------------------------------------------------

    def best_on(self, n_rows: int, folds: Sequence[int]) -> Setting | None:
        """The best of the settings that have a score on these folds of a subset."""
        found: dict[Setting, list[float]] = {}
        for trial, result in self.results.items():
            if trial.n_rows == n_rows and trial.fold in folds and not result.error:
                found.setdefault(trial.setting, []).append(result.mean)
        means = {s: float(np.mean(m)) for s, m in found.items() if len(m) == len(folds)}
        return max(means, key=lambda s: round(means[s], TIED_DIGITS), default=None)

    def score(self, setting: Setting, n_rows: int, folds: Sequence[int]) -> ModelScore:
        """The score of a setting on folds of a subset."""
        estimator, grid, most = self.candidate(n_rows)
        params = settings_of(grid)[setting]
        found = [self.results[Trial(setting, n_rows, fold)] for fold in folds]
        held_out = self._by_row(n_rows, folds, found)
        capped = most is not None and self.splits.training_size(n_rows) > most
        return ModelScore(
            self.name,
            *mean_and_error(held_out),
            best_params=params,
            fit_time=float(np.mean([result.fit_time for result in found])),
            score_time=float(np.mean([result.score_time for result in found])),
            unconverged_folds=sum(result.unconverged for result in found),
            caveat=_caveat(estimator, most if capped else None),
            estimator=configured(estimator, params, self.seed),
            held_out=held_out,
        )

    def _by_row(self, n_rows: int, folds: Sequence[int], found: Sequence[FoldScore]) -> Floats:
        """The mean of the scores that each held-out row was given, in the order of the rows."""
        tests = [self.splits.fold(fold, n_rows)[1] for fold in folds]
        place = np.unique(np.concatenate(tests), return_inverse=True)[1]
        with np.errstate(invalid="ignore"):
            total = np.bincount(place, np.concatenate([result.held_out for result in found]))
        return np.asarray(total / np.bincount(place))


def _larger(setting: Setting, known: Mapping[Setting, Mapping[str, object]]) -> Iterator[Setting]:
    """The settings that differ in nothing but the next larger capacity."""
    params = known.get(setting, {})
    for i, name in enumerate(params):
        if name.rpartition("__")[2] == CAPACITY:
            alike = [s for s in known if s.part == setting.part and _differ(s, setting) <= {i}]
            sizes = {s: _size(known[s][name]) for s in alike}
            above = [s for s in alike if sizes[s] > sizes[setting]]
            yield from sorted(above, key=lambda s: sizes[s])[:1]


def _differ(one: Setting, other: Setting) -> set[int]:
    """The parameters in which two settings of one grid differ, by their numbers."""
    pairs = zip(one.positions, other.positions, strict=True)
    return {i for i, (a, b) in enumerate(pairs) if a != b}


def _size(value: object) -> float:
    """A capacity as a number; NaN, which exceeds nothing, of what is none."""
    return float(value) if isinstance(value, Real) else nan


def _caveat(estimator: DensityLike, most: int | None) -> str:
    few = f"fitted to {most} rows of each fold" if most is not None else ""
    return "; ".join(filter(None, (caveat(estimator), few)))


def configured(estimator: Any, params: Mapping[str, object], seed: int) -> DensityLike:
    """A copy with parameters set, and the seed wherever a ``random_state`` is unset."""
    copy = clone(estimator, safe=False)
    if params:
        copy.set_params(**{name: clone(value, safe=False) for name, value in params.items()})
    if hasattr(copy, "get_params"):
        unset = [
            key
            for key, value in copy.get_params().items()
            if key.rpartition("__")[2] == "random_state" and value is None
        ]
        copy = copy.set_params(**dict.fromkeys(unset, seed)) if unset else copy
    seeded: DensityLike = copy
    return seeded


def mean_and_error(values: Floats) -> tuple[float, float]:
    """Return the mean of values (n,) and its standard error, NaN of a single one."""
    if len(values) < 2:
        return float(values.mean()), nan
    with np.errstate(invalid="ignore"):  # values of -inf
        return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
