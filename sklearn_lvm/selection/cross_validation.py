"""The log-density of rows that are held out, as a criterion."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from math import nan
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.model_selection import KFold
from sklearn.utils import check_random_state
from sklearn.utils.parallel import Parallel, delayed

from .._typing import Floats, RandomState
from .paths import Fit, Fold, Model, Path, path_of
from .scores import Rows, Score

__all__ = ["CrossValidation", "folds_of"]


def folds_of(cv: Any, rows: Rows, random_state: RandomState) -> list[Fold]:
    """The folds of rows: shuffled ones, those of a splitter of scikit-learn, or as they are listed.

    Raises
    ------
    ValueError
        If there are none, if a fold has no row of positive weight to fit to or to score, or if what is
        given is none of these.
    """
    n = rows.X.shape[0]
    folds = [_checked(fold, n, cv) for fold in _folds(cv, rows, random_state)]
    if not folds:
        raise ValueError(f"cv={cv!r} makes no folds.")
    for number, fold in enumerate(folds, 1):
        if not all(rows.w[part].any() for part in fold):
            raise ValueError(
                f"fold {number} of cv={cv!r} has no row to fit to, or none to score: give fewer folds."
            )
    return folds


def _folds(cv: Any, rows: Rows, random_state: RandomState) -> Iterable[Any]:
    n = rows.X.shape[0]
    if isinstance(cv, Integral) and not isinstance(cv, bool):
        if not 2 <= int(cv) <= n:
            raise ValueError(
                f"cv={cv} must be at least 2 folds, and at most one for each of {n} rows."
            )
        seed = check_random_state(random_state).randint(2**31 - 1)
        return list(KFold(int(cv), shuffle=True, random_state=seed).split(rows.X))
    if hasattr(cv, "split") and not isinstance(cv, str):
        try:
            return list(cv.split(rows.X))
        except TypeError as error:
            raise ValueError(f"cv={cv!r} does not split rows alone: {error}") from error
    if isinstance(cv, str | bool) or not isinstance(cv, Iterable):
        raise ValueError(
            f"cv must be a number of folds, a splitter of scikit-learn, or a list of (train, test) "
            f"positions, got {cv!r}."
        )
    return list(cv)


def _checked(fold: Any, n: int, cv: Any) -> Fold:
    """Positions of training rows and of rows held out, as arrays; masks become positions."""
    try:
        train, test = (_positions(part) for part in fold)
        valid = all(part.ndim == 1 and part.dtype.kind in "iu" for part in (train, test))
        valid = valid and all(((part >= -n) & (part < n)).all() for part in (train, test))
    except (TypeError, ValueError):
        valid = False
    if not valid:
        raise ValueError(
            f"cv must list pairs (train, test) of positions from 0 to {n - 1}, got {fold!r} in it."
        )
    return train % n, test % n


def _positions(part: Any) -> Any:
    positions = np.asarray(part)
    if not positions.size:
        return positions.astype(np.intp)
    return np.flatnonzero(positions) if positions.dtype == bool else positions


@dataclass(frozen=True)
class CrossValidation:
    """The mean log-density of held-out rows per unit of weight, in nats.

    Attributes
    ----------
    folds : list of (ndarray, ndarray)
    sign : float
        1, since higher is better.
    """

    folds: list[Fold]
    sign: float = 1.0

    def scores(
        self, models: Sequence[Model], counts: Sequence[int], rows: Rows, n_jobs: int | None
    ) -> list[Score]:
        """The score of each model with each number of components, those of one model in a row."""
        path = path_of(models[0])
        groups = path.groups(self.folds)
        found = Parallel(n_jobs=n_jobs, prefer="threads")(
            delayed(_held_out)(path, model, counts, rows, group)
            for model in models
            for group in groups
        )
        weight = np.array([rows.w[test].sum() for _, test in self.folds])
        of_folds = list(chain.from_iterable(found))  # those of all models, one after the other
        n = len(self.folds)
        of_models = [of_folds[i * n : (i + 1) * n] for i in range(len(models))]
        return [
            _averaged([of_fold[K] for of_fold in of_model], weight)
            for of_model in of_models
            for K in counts
        ]


def _held_out(
    path: Path, model: Model, counts: Sequence[int], rows: Rows, folds: Sequence[Fold]
) -> list[dict[int, Score]]:
    """For each fold and each number of components the score of the rows held out."""
    fits = path.fit_folds(model, rows.X, rows.w, counts, folds)
    return [
        {K: _score(of_fold[K], Rows(rows.X[test], rows.w[test])) for K in counts}
        for of_fold, (_, test) in zip(fits, folds, strict=True)
    ]


def _score(fit: Fit | ValueError, held_out: Rows) -> Score:
    if isinstance(fit, ValueError):
        return Score(failure=fit)
    return Score(
        float(fit.estimator.score(held_out.X, sample_weight=held_out.w)),
        n_parameters=fit.estimator.n_parameters_,
        fit_time=fit.seconds,
        converged=fit.converged,
    )


def _averaged(scores: Sequence[Score], weight: Floats) -> Score:
    """The mean over folds by their weight, and its standard error."""
    failure = next((score.failure for score in scores if score.failure is not None), None)
    if failure is not None:
        return Score(failure=failure)
    mean, error = mean_and_error(np.array([score.value for score in scores]), weight)
    return Score(
        mean,
        error,
        n_parameters=scores[0].n_parameters,
        fit_time=float(sum(score.fit_time for score in scores)),
        converged=all(score.converged for score in scores),
    )


def mean_and_error(values: Floats, weight: Floats) -> tuple[float, float]:
    """The weighted mean of values, and its standard error by their spread; NaN of a single one.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lvm.selection.cross_validation import mean_and_error
    >>> mean_and_error(np.array([1.0, 3.0]), np.array([5.0, 5.0]))
    (2.0, 1.0)
    """
    share, n = weight / weight.sum(), len(values)
    mean = float(share @ values)
    if n == 1:
        return mean, nan
    spread = np.square(share * (values - mean)).sum() * n / (n - 1)
    return mean, float(np.sqrt(spread))
