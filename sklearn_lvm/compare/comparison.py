"""Comparison of density models on one table: one set of folds for all models."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike
from sklearn.model_selection import KFold
from sklearn.utils import check_random_state

from .._typing import RandomState
from .models import BINARY_NOTES, Models, TrainingSize, all_binary, candidate_factories
from .preprocessing import is_binary, prepare
from .readers import Table, as_table
from .report import Comparison, ModelScore
from .search import Folds, ModelSearch, mean_and_error

__all__ = ["compare_densities"]


def compare_densities(
    X: ArrayLike | Table,
    models: Models | None = None,
    *,
    cv: int = 5,
    n_jobs: int | None = None,
    random_state: RandomState = 0,
    dequantize: bool = True,
    progress: Callable[[Sequence[str]], Iterable[str]] = iter,
) -> Comparison:
    r"""Rank density models by the log-likelihood of rows they have not seen.

    Each model is searched over its grid by cross-validation, and the best setting scored by

    .. math:: \frac1n \sum_{i=1}^n \log p(x_i \mid X_{\text{folds without } i}),

    in nats per row in the units of X. All models see the same folds, so their differences are
    taken row by row, and have a much smaller standard error than the scores themselves. The best
    setting is chosen on the folds it is scored on, which makes every score a little optimistic,
    the more the larger the grid.

    Parameters
    ----------
    X : array-like or DataFrame of shape (n_samples, n_features)
        The table. Rows with missing entries and constant columns are dropped.
    models : sequence of str, mapping or None, default=None
        Names of built-in models, or a mapping from names to estimators or to (estimator, grid)
        pairs. Any estimator with ``fit`` and ``score_samples`` will do, provided that its scores
        are in the units of X: a ``Pipeline`` of a scaler and a density leaves the log-Jacobian of
        the scaler out; use :class:`~sklearn_lvm.StandardizedDensity` in its place. None
        compares all built-in densities, or, where every column is 0/1, all built-in models of
        zeros and ones; the notes say so.
    cv : int, default=5
        Number of folds, at least two. The rows are shuffled.
    n_jobs : int, optional
        Number of fits at a time; -1 for all cores.
    random_state : int, RandomState or None, default=0
        Seeds the noise, the folds, and every model whose own ``random_state`` is None.
    dequantize : bool, default=True
        Whether to add uniform noise of one grid step to columns on a regular grid, such as
        integers. Without it a density on such a column has no upper bound, and the scores reflect
        the regularization alone.
    progress : callable, default=iter
        Wraps the sequence of names that is iterated over, such as ``tqdm.tqdm``.

    Returns
    -------
    comparison : Comparison
        One row per model, best first. A model that fails comes last with the reason. ``print``
        shows it as a table.

    Raises
    ------
    ValueError
        If X is not a numeric table, has infinite values, a column without any value, no column
        that varies, or fewer than ``2 * cv`` complete rows; or if a model's name is unknown.

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
    rng = check_random_state(random_state)
    table = X if isinstance(X, Table) else as_table(X)
    factories = candidate_factories(models, binary=is_binary(table))
    if not factories:
        raise ValueError("no models to compare")
    binary = is_binary(table) and all_binary(factories)
    # Drawn before the noise, so that the folds are the same with and without it.
    splits_seed, models_seed = _seeds(random_state, rng)
    data = prepare(table, dequantize=dequantize, rng=rng, binary=binary)
    folds = _folds(len(data.X), cv, splits_seed)
    size = TrainingSize(min(len(train) for train, _ in folds), data.X.shape[1])
    search = ModelSearch(data.X, folds, size, n_jobs, models_seed)
    scores = [search.run(name, factories[name]) for name in progress(list(factories))]
    return Comparison(
        _ranked(scores),
        (*data.notes, *(BINARY_NOTES if binary else ())),
        n_rows=data.X.shape[0],
        n_columns=data.X.shape[1],
        cv=cv,
        name=table.name,
    )


def _folds(n_rows: int, cv: int, seed: int) -> Folds:
    if cv < 2:
        raise ValueError(f"cv must be at least 2, got {cv}")
    if n_rows < 2 * cv:
        raise ValueError(f"{n_rows} complete rows are too few for {cv} folds")
    return list(KFold(cv, shuffle=True, random_state=seed).split(np.empty(n_rows)))


def _seeds(random_state: RandomState, rng: np.random.RandomState) -> tuple[int, int]:
    """Draw a seed for the folds and one for all models, which must not share a generator."""
    splits, models = (int(seed) for seed in rng.randint(2**31 - 1, size=2))
    if random_state is None or isinstance(random_state, np.random.RandomState):
        return splits, models
    return splits, int(random_state)


def _ranked(scores: Sequence[ModelScore]) -> tuple[ModelScore, ...]:
    """Sort best first, and compare each model with the best, row by row."""
    scored = [score for score in scores if not score.error]
    failed = [score for score in scores if score.error]
    scored.sort(key=lambda score: -score.log_likelihood)
    return (*(_with_difference(score, scored[0]) for score in scored), *failed)


def _with_difference(score: ModelScore, best: ModelScore) -> ModelScore:
    with np.errstate(invalid="ignore"):
        mean, error = mean_and_error(score.held_out - best.held_out)
    return replace(score, difference=mean, difference_standard_error=error)
