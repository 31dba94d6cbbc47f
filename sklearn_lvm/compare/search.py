"""Search of one model over its grid, and its score on held-out rows."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import NamedTuple, Self

import numpy as np
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, ParameterGrid
from sklearn.utils.parallel import Parallel, delayed

from .._typing import Floats, Ints
from ..estimators.standardized import DensityLike
from .models import CandidateFactory, Grid, Parameters, TrainingSize, caveat
from .report import ModelScore

__all__ = ["Folds", "ModelSearch", "mean_and_error"]

Folds = list[tuple[Ints, Ints]]
"""Positions of the training rows and of the held-out rows, fold by fold."""

# scikit-learn's prefix for parameters of the estimator inside a ``_CheckedEstimator``.
ESTIMATOR_PREFIX = "estimator__"


class BestSetting(NamedTuple):
    """The setting of a grid with the highest held-out log-likelihood, and means over its folds."""

    params: Mapping[str, object]
    fit_time: float  # seconds
    score_time: float  # seconds
    unconverged_share: float


class ModelSearch(NamedTuple):
    """Rows, folds and seed on which each model is searched over its grid and scored."""

    X: Floats
    folds: Folds
    size: TrainingSize
    n_jobs: int | None
    seed: int

    def run(self, name: str, factory: CandidateFactory) -> ModelScore:
        """Score one model; an error inside it is its result."""
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                return self._score(name, *factory(self.size))
        except Exception as error:
            return ModelScore(name, error=_one_line(error))

    def _score(self, name: str, estimator: DensityLike, grid: Grid) -> ModelScore:
        checked = _CheckedEstimator(_seeded(estimator, self.seed))
        best = self._best_setting(checked, _prefixed(grid))
        checked = clone(checked).set_params(**best.params)
        held_out = self._held_out(checked)
        return ModelScore(
            name,
            *mean_and_error(held_out),
            best_params={
                key.removeprefix(ESTIMATOR_PREFIX): value for key, value in best.params.items()
            },
            fit_time=best.fit_time,
            score_time=best.score_time,
            unconverged_folds=round(best.unconverged_share * len(self.folds)),
            caveat=caveat(estimator),
            estimator=checked.estimator,
            held_out=held_out,
        )

    def _best_setting(self, checked: _CheckedEstimator, grid: list[Parameters]) -> BestSetting:
        search = GridSearchCV(
            checked, grid, scoring=_score_fold, cv=self.folds, refit=False, n_jobs=self.n_jobs
        )
        try:
            scores = search.fit(self.X).cv_results_["mean_test_log_likelihood"]
        except ValueError:
            scores = np.array([np.nan])
        if np.isnan(scores).all():
            # No setting works: fit the first where its own error comes through.
            self._held_out(clone(checked).set_params(**next(iter(ParameterGrid(grid)))))
            raise ValueError("no setting of the grid has a score on every fold")
        results, best = search.cv_results_, int(np.nanargmax(scores))
        return BestSetting(
            results["params"][best],
            fit_time=float(results["mean_fit_time"][best]),
            score_time=float(results["mean_score_time"][best]),
            unconverged_share=float(results["mean_test_unconverged"][best]),
        )

    def _held_out(self, checked: _CheckedEstimator) -> Floats:
        """Score each row (n,) by the fit to the folds without it."""
        parts = Parallel(n_jobs=self.n_jobs)(
            delayed(_score_rows)(clone(checked), self.X, train, test) for train, test in self.folds
        )
        held_out = np.empty(len(self.X))
        for (_, test), part in zip(self.folds, parts, strict=True):
            held_out[test] = part
        return held_out


class _CheckedEstimator(BaseEstimator):
    """An estimator whose warnings are recorded, in a worker process too, and its scores checked."""

    estimator_: DensityLike
    unconverged_: bool

    def __init__(self, estimator: DensityLike) -> None:
        self.estimator = estimator

    def fit(self, X: Floats, y: object = None) -> Self:
        self.estimator_ = clone(self.estimator, safe=False)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.estimator_.fit(X)
        self.unconverged_ = any(issubclass(w.category, ConvergenceWarning) for w in caught)
        return self

    def score_samples(self, X: Floats) -> Floats:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            scores = np.asarray(self.estimator_.score_samples(X))
        if scores.shape != (len(X),):
            raise ValueError(f"score_samples gave shape {scores.shape} for {len(X)} rows")
        if np.isnan(scores).any() or np.isposinf(scores).any():
            raise ValueError("score_samples gave a log-density that is NaN or infinite")
        return scores


def _score_rows(checked: _CheckedEstimator, X: Floats, train: Ints, test: Ints) -> Floats:
    return checked.fit(X[train]).score_samples(X[test])


def _score_fold(checked: _CheckedEstimator, X: Floats, y: object = None) -> dict[str, float]:
    try:
        log_likelihood = float(checked.score_samples(X).mean())
    except Exception:  # One setting of the grid that fails leaves the others standing.
        log_likelihood = np.nan
    return {"log_likelihood": log_likelihood, "unconverged": float(checked.unconverged_)}


def _seeded(estimator: DensityLike, seed: int) -> DensityLike:
    """Copy an estimator, with the seed wherever it has an unset ``random_state``."""
    copy = clone(estimator, safe=False)
    if hasattr(copy, "get_params"):
        unset = [
            key
            for key, value in copy.get_params().items()
            if key.rpartition("__")[2] == "random_state" and value is None
        ]
        copy = copy.set_params(**dict.fromkeys(unset, seed)) if unset else copy
    return copy


def _prefixed(grid: Grid) -> list[Parameters]:
    grids = [grid] if isinstance(grid, Mapping) else grid
    return [{ESTIMATOR_PREFIX + key: values for key, values in one.items()} for one in grids]


def mean_and_error(values: Floats) -> tuple[float, float]:
    """Return the mean of values (n,) and its standard error."""
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
