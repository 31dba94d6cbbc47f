"""PPCA with several numbers of components: one spectrum of the rows is that of all of them."""

from collections.abc import Callable, Sequence
from copy import copy
from dataclasses import dataclass
from functools import reduce
from operator import add
from time import perf_counter
from typing import Self

import numpy as np
from sklearn.base import clone

from .._typing import Floats, Ints
from ..core.factor.centered_block import Rows
from ..core.factor.statistics import Scatter
from ..core.standardization import Standardization
from ..fitting.ppca import MAX_CONDITION_NUMBER
from ..fitting.ppca_batches import MAX_FULL_FEATURES, BatchStatistics
from ..inference.block_map import ThreadMap, single_threaded_blas
from .ppca import PPCA

ADDING_SOLVERS = {"auto", "covariance"}  # whose covariances may be made of sums of statistics

Fold = tuple[Ints, Ints]  # positions of the training rows and of the rows that are held out


@dataclass(frozen=True, eq=False)
class PPCAFit:
    """A fitted PPCA, in closed form.

    Attributes
    ----------
    estimator : PPCA
    seconds : float
        How long the fit took.
    left : float
        Nats that are left to gain.
    converged : bool
    """

    estimator: PPCA
    seconds: float
    left: float = 0.0
    converged: bool = True

    def refined(self, share: float) -> Self:
        """The fit: it is the maximum."""
        return self


Fits = dict[int, PPCAFit | ValueError]


def fit_counts(
    estimator: PPCA, X: Rows, w: Floats, counts: Sequence[int], by_likelihood: bool
) -> Fits:
    """Fit PPCA with each of several numbers of components, in one decomposition if that is enough.

    Rows with missing entries are fitted with each number by itself.

    Parameters
    ----------
    estimator : PPCA
        It is not changed.
    X, w : {ndarray, CSR matrix} of shape (n, d) and ndarray of shape (n,)
        Validated rows and weights.
    counts : sequence of int
    by_likelihood : bool
        The maximum of the likelihood is what a fit finds in any case.

    Returns
    -------
    fits : dict
        For each number the fit, or why there is none.
    """
    began, possible = perf_counter(), [q for q in counts if q <= X.shape[1]]
    first = clone(estimator).set_params(n_components=max(possible, default=max(counts)))
    with single_threaded_blas(), ThreadMap() as block_map:
        table, w = first._check_training(X, w)
        try:
            rows = first._rows(table, w, block_map)
            solution = first._solve(rows) if rows.complete else None
        except ValueError as reason:
            return dict.fromkeys(counts, reason)
        seconds = (perf_counter() - began) / len(counts)

        def take(one: PPCA) -> None:
            one._given_dimension(table.shape[1])
            if solution is None or solution.log_likelihood is not None:  # one number of components
                one.fit(table, sample_weight=w)
            else:
                one._take_solution(rows, solution, float(w.sum()), table.dtype.type)

        return {q: _fitted(first, q, take, seconds) for q in counts}


def _fitted(
    first: PPCA, q: int, take: Callable[[PPCA], None], seconds: float
) -> PPCAFit | ValueError:
    """A copy with q components, which a function fits."""
    began, one = perf_counter(), copy(first).set_params(n_components=q)
    try:
        take(one)
        one._density_or_raise()
    except ValueError as reason:
        return reason
    return PPCAFit(one, seconds + perf_counter() - began)


# -- folds ---------------------------------------------------------------------------------------------


def fit_folds(
    estimator: PPCA, X: Rows, w: Floats, counts: Sequence[int], folds: Sequence[Fold]
) -> list[Fits]:
    """Fit PPCA to the training rows of each fold, with each of several numbers of components.

    Where every row is held out once, the statistics of the rows that each fold holds out are measured
    once; those of the training rows are sums of them.
    """
    if not _adds(estimator, X, w, folds):
        return [fit_counts(estimator, X[fit], w[fit], counts, True) for fit, _ in folds]
    began = perf_counter()
    first = clone(estimator).set_params(n_components=max(counts))
    with single_threaded_blas(), ThreadMap() as block_map:
        table, w = first._check_training(X, w)
        everything = first._rows(table, w, block_map)
        if not everything.complete:  # what missing entries tell of one fold depends on the others
            return [fit_counts(estimator, X[fit], w[fit], counts, True) for fit, _ in folds]
        units, batch = everything.standardization, BatchStatistics(table.shape[1], None, None)

        def measured(held_out: Ints) -> Scatter:
            weight = w[held_out]
            rows = first._rows(table[held_out], weight, block_map)
            return batch.measure(rows, units, float(weight.sum()))

        parts = [measured(held_out) for _, held_out in folds]
    seconds = (perf_counter() - began) / (len(counts) * len(folds))
    dtype = table.dtype.type
    found = []
    for i, (fit, _) in enumerate(folds):
        others = reduce(add, parts[:i] + parts[i + 1 :])
        fits = _of_statistics(first, others, units, dtype, counts, seconds)
        found.append(fits or fit_counts(estimator, X[fit], w[fit], counts, True))
    return found


def _adds(estimator: PPCA, X: Rows, w: Floats, folds: Sequence[Fold]) -> bool:
    """Whether sums of statistics are those of training rows: all that a fold does not hold out."""
    n, d = X.shape
    held_out = np.concatenate([held_out for _, held_out in folds])
    return (
        estimator.solver in ADDING_SOLVERS
        and len(folds) > 1
        and d <= MAX_FULL_FEATURES
        and np.array_equal(np.sort(held_out), np.arange(n))
        and all(w[part].any() for fold in folds for part in fold)
        and all(len(np.union1d(*fold)) == n == len(fold[0]) + len(fold[1]) for fold in folds)
    )


def _of_statistics(
    first: PPCA,
    statistics: Scatter,
    units: Standardization,
    dtype: type[np.float32 | np.float64],
    counts: Sequence[int],
    seconds: float,
) -> Fits | None:
    """Fits to the rows of these statistics; None if a covariance does not tell enough digits."""
    began, d = perf_counter(), len(statistics.mean)
    largest = min(max(counts), d)
    spectrum = statistics.spectrum(largest)
    if not spectrum.resolved(largest, MAX_CONDITION_NUMBER):
        return None
    seconds += (perf_counter() - began) / len(counts)

    def take(one: PPCA) -> None:
        one._given_dimension(d)
        density = one._density_of(spectrum, statistics.weight)
        one._take_density(density, statistics.weight, units, dtype)
        one.n_iter_ = 1

    return {q: _fitted(first, q, take, seconds) for q in counts}
