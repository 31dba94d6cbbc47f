"""Search one model over its grid, and score it on rows it has not seen."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, ParameterGrid
from sklearn.utils.parallel import Parallel, delayed

from .._typing import Array
from .models import Candidate, Size, caveat
from .report import ModelScore

__all__ = ["Folds", "Trial", "mean_and_error"]

Folds = list[tuple[NDArray[np.intp], NDArray[np.intp]]]

PREFIX = "estimator__"


class Trial(NamedTuple):
    """What every model is scored on."""

    X: Array
    folds: Folds
    size: Size
    n_jobs: int | None
    seed: int

    def run(self, name: str, factory: Callable[[Size], Candidate]) -> ModelScore:
        """Score one model; whatever goes wrong inside it is its result."""
        try:
            with warnings.catch_warnings(), np.errstate(all="ignore"):
                warnings.simplefilter("ignore")
                return self._score(name, *factory(self.size))
        except Exception as error:
            return ModelScore(name, error=_reason(error))

    def _score(self, name: str, estimator: Any, grid: Any) -> ModelScore:
        monitored = _Monitored(_seeded(estimator, self.seed))
        results, best = self._search(monitored, _prefixed(grid))
        monitored = clone(monitored).set_params(**results["params"][best])
        held_out = self._held_out(monitored)
        return ModelScore(
            name,
            *mean_and_error(held_out),
            best_params={
                key.removeprefix(PREFIX): value for key, value in results["params"][best].items()
            },
            fit_time=float(results["mean_fit_time"][best]),
            score_time=float(results["mean_score_time"][best]),
            unconverged_folds=round(results["mean_test_unconverged"][best] * len(self.folds)),
            caveat=caveat(estimator),
            estimator=monitored.estimator,
            held_out=held_out,
        )

    def _search(self, monitored: _Monitored, grid: Any) -> tuple[Mapping[str, Any], int]:
        search = GridSearchCV(
            monitored, grid, scoring=_score_fold, cv=self.folds, refit=False, n_jobs=self.n_jobs
        )
        try:
            scores = search.fit(self.X).cv_results_["mean_test_log_likelihood"]
        except ValueError:
            scores = np.array([np.nan])
        if np.isnan(scores).all():
            # No setting works: fit the first where its own error comes through.
            self._held_out(clone(monitored).set_params(**next(iter(ParameterGrid(grid)))))
            raise ValueError("no setting of the grid has a score on every fold")
        return search.cv_results_, int(np.nanargmax(scores))

    def _held_out(self, monitored: _Monitored) -> Array:
        parts = Parallel(n_jobs=self.n_jobs)(
            delayed(_score_rows)(clone(monitored), self.X, train, test)
            for train, test in self.folds
        )
        held_out = np.empty(len(self.X))
        for (_, test), part in zip(self.folds, parts, strict=True):
            held_out[test] = part
        return held_out


class _Monitored(BaseEstimator):
    """An estimator that keeps its warnings to itself, also in a worker process."""

    def __init__(self, estimator: Any) -> None:
        self.estimator = estimator

    def fit(self, X: Array, y: object = None) -> Self:
        self.estimator_ = clone(self.estimator, safe=False)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.estimator_.fit(X)
        self.unconverged_ = any(issubclass(w.category, ConvergenceWarning) for w in caught)
        return self

    def score_samples(self, X: Array) -> Array:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            scores = np.asarray(self.estimator_.score_samples(X))
        if scores.shape != (len(X),):
            raise ValueError(f"score_samples gave shape {scores.shape} for {len(X)} rows")
        if np.isnan(scores).any() or np.isposinf(scores).any():
            raise ValueError("score_samples gave a log-density that is NaN or infinite")
        return scores


def _score_rows(
    monitored: _Monitored, X: Array, train: NDArray[np.intp], test: NDArray[np.intp]
) -> Array:
    return monitored.fit(X[train]).score_samples(X[test])


def _score_fold(monitored: _Monitored, X: Array, y: object = None) -> dict[str, float]:
    try:
        log_likelihood = float(monitored.score_samples(X).mean())
    except Exception:  # One setting of the grid that fails leaves the others standing.
        log_likelihood = np.nan
    return {"log_likelihood": log_likelihood, "unconverged": float(monitored.unconverged_)}


def _seeded(estimator: Any, seed: int) -> Any:
    """Copy an estimator, with the seed wherever it has an unset ``random_state``."""
    estimator = clone(estimator, safe=False)
    if not hasattr(estimator, "get_params"):
        return estimator
    unset = [
        key
        for key, value in estimator.get_params().items()
        if key.rpartition("__")[2] == "random_state" and value is None
    ]
    return estimator.set_params(**dict.fromkeys(unset, seed)) if unset else estimator


def _prefixed(grid: Any) -> list[dict[str, Any]]:
    grids = [grid] if isinstance(grid, Mapping) else grid
    return [{PREFIX + key: values for key, values in one.items()} for one in grids]


def mean_and_error(values: Array) -> tuple[float, float]:
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))


def _reason(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")
