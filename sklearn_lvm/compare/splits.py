"""The rows of a table in nested subsets, and the folds of each of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Protocol

import numpy as np
from sklearn.model_selection import KFold

from .._typing import Bools, Floats, Ints

__all__ = ["FIRST_ROWS", "Splits", "Splitter", "row_counts"]

# Rows of the smallest subset on which a setting can be told from another.
FIRST_ROWS = 2000


class Splitter(Protocol):
    """A cross-validation of scikit-learn, such as ``KFold``."""

    def split(self, X: Floats, /) -> Iterable[tuple[Ints, Ints]]:
        """The positions of training rows and of held-out rows, fold by fold."""
        ...


def row_counts(n_rows: int) -> list[int]:
    """The sizes of nested subsets of a table: 2000 rows, twice as many, ..., all.

    Examples
    --------
    >>> from sklearn_lvm.compare.splits import row_counts
    >>> row_counts(1797), row_counts(9000)
    ([1797], [2000, 4000, 8000, 9000])
    """
    counts = []
    size = FIRST_ROWS
    while size < n_rows:
        counts.append(size)
        size *= 2
    return [*counts, n_rows]


@dataclass(frozen=True)
class Splits:
    """Folds of all rows, and an order in which rows are added to subsets.

    Attributes
    ----------
    folds : list of (ndarray, ndarray)
        Positions of the training rows and of the held-out rows.
    rank : ndarray of shape (n_samples,)
        A row is in the subset of n rows if its rank is below n.
    observed : ndarray of shape (n_samples, n_features)
        Which cells are not missing.
    """

    folds: list[tuple[Ints, Ints]]
    rank: Ints
    observed: Bools

    @classmethod
    def of(cls, X: Floats, cv: int | Splitter, seed: int) -> Splits:
        """Split rows into shuffled folds, or as a splitter of scikit-learn does.

        Raises
        ------
        ValueError
            If ``cv`` is neither a number of folds nor a splitter, or the rows are too few.
        """
        splitter = _splitter(cv, len(X), seed)
        try:
            folds = [(np.asarray(a), np.asarray(b)) for a, b in splitter.split(X)]
        except TypeError as error:
            raise ValueError(f"cv={cv!r} does not split rows alone: {error}") from error
        if not folds:
            raise ValueError(f"cv={cv!r} makes no folds")
        order = np.random.RandomState(seed).permutation(len(X))
        return cls(folds, _balanced_ranks(folds, order), ~np.isnan(X))

    def check_subsets(self, counts: Sequence[int]) -> None:
        """Raise a ValueError if a fold of a subset has no row to fit to, or none to score."""
        for n_rows in counts:
            for number in range(len(self)):
                if not all(len(part) for part in self.fold(number, n_rows)):
                    raise ValueError(
                        f"fold {number + 1} of {len(self)} has no rows to fit to, or none to score, "
                        f"of a table of {n_rows}: give another cv, or more rows"
                    )

    def __len__(self) -> int:
        return len(self.folds)

    def fold(self, number: int, n_rows: int, most: int | None = None) -> tuple[Ints, Ints]:
        """Training rows, at most so many, and held-out rows of a subset."""
        train, test = (part[self.rank[part] < n_rows] for part in self.folds[number])
        if most is not None and len(train) > most:
            train = np.sort(train[np.argsort(self.rank[train])[:most]])
        return train, test

    def training_size(self, n_rows: int) -> int:
        """Training rows of the smallest fold of a subset; cells of so many are observed in the mean."""
        return min(self._n_complete(self.fold(i, n_rows)[0]) for i in range(len(self)))

    def _n_complete(self, rows: Ints) -> int:
        """How many complete rows have as many cells as were observed of these."""
        return int(self.observed[rows].sum()) // self.observed.shape[1]

    def never_observed(self, n_rows: int) -> Bools:
        """Columns (d,) without any observed cell in the training rows of a fold of a subset.

        Larger subsets have all of its training rows, and no more such columns.

        Raises
        ------
        ValueError
            If these are all columns.
        """
        if self.complete:
            return np.zeros(self.observed.shape[1], dtype=bool)
        parts = [self.observed[self.fold(i, n_rows)[0]] for i in range(len(self))]
        never = np.any([~part.any(axis=0) for part in parts], axis=0)
        if never.all():
            raise ValueError(
                "every column is without any observed cell in the training rows of some fold: give "
                "another cv, or more rows"
            )
        return np.asarray(never)

    @property
    def complete(self) -> bool:
        """Whether no cell is missing."""
        return bool(self.observed.all())


def _balanced_ranks(folds: Sequence[tuple[Ints, Ints]], order: Ints) -> Ints:
    """Ranks of the rows that take them from the folds in turn, if each row is held out once.

    Otherwise they come in the given order.
    """
    fold = np.full(len(order), -1)
    for number, (_, test) in enumerate(folds):
        fold[test] = number
    once = sum(len(test) for _, test in folds) == len(order) and bool((fold >= 0).all())
    rank = np.empty(len(order), dtype=np.intp)
    if once:
        turn = np.empty(len(order), dtype=np.intp)
        for number in range(len(folds)):
            members = order[fold[order] == number]
            turn[members] = np.arange(len(members))
        order = np.lexsort((fold, turn))
    rank[order] = np.arange(len(order))
    return rank


def _splitter(cv: int | Splitter, n_rows: int, seed: int) -> Splitter:
    if hasattr(cv, "split") and not isinstance(cv, str | type):
        return cv
    if not isinstance(cv, Integral) or isinstance(cv, bool):
        raise ValueError(f"cv must be a number of folds or a splitter such as KFold(5), got {cv!r}")
    n_folds = int(cv)
    if n_folds < 2:
        raise ValueError(f"cv must be at least 2, got {cv}")
    if n_rows < 2 * n_folds:
        raise ValueError(f"{n_rows} rows are too few for {cv} folds")
    splitter: Splitter = KFold(n_folds, shuffle=True, random_state=seed)
    return splitter
