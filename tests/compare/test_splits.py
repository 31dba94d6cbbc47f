"""Nested subsets of rows, and their folds."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.model_selection import (
    KFold,
    LeaveOneOut,
    PredefinedSplit,
    RepeatedKFold,
    StratifiedKFold,
    TimeSeriesSplit,
)

from sklearn_lvm.compare.splits import FIRST_ROWS, Splits, row_counts

N = 500
X = np.zeros((N, 1))


@pytest.mark.parametrize(
    ("n", "counts"),
    [
        (10, [10]),
        (FIRST_ROWS, [2000]),
        (FIRST_ROWS + 1, [2000, 2001]),
        (200_000, [2000, 4000, 8000, 16000, 32000, 64000, 128000, 200000]),
    ],
)
def test_row_counts_double(n, counts):
    assert row_counts(n) == counts


def test_all_rows_are_split_as_scikit_learn_splits_them():
    splits = Splits.of(X, 5, seed=3)
    expected = KFold(5, shuffle=True, random_state=3).split(X)
    for number, (train, test) in enumerate(expected):
        found = splits.fold(number, N)
        assert_array_equal(found[0], train)
        assert_array_equal(found[1], test)


def test_subsets_are_nested_and_keep_their_folds():
    splits = Splits.of(X, 4, seed=0)
    for number in range(4):
        before = (set(), set())
        for n_rows in (50, 120, 300, N):
            parts = [set(part) for part in splits.fold(number, n_rows)]
            assert not parts[0] & parts[1]
            assert len(parts[0]) + len(parts[1]) == n_rows
            assert all(small <= large for small, large in zip(before, parts, strict=True))
            before = parts


@pytest.mark.parametrize("n_rows", [8, 13, 50])
def test_every_subset_has_rows_of_every_fold(n_rows):
    splits = Splits.of(X, 4, seed=1)
    sizes = [len(splits.fold(number, n_rows)[1]) for number in range(4)]
    assert max(sizes) - min(sizes) <= 1


def test_folds_without_rows_are_refused():
    splits = Splits.of(X[:40], LeaveOneOut(), seed=0)
    splits.check_subsets([40])
    with pytest.raises(
        ValueError, match="of 40 has no rows to fit to, or none to score, of a table"
    ):
        splits.check_subsets([20])


def test_training_rows_can_be_few():
    splits = Splits.of(X, 5, seed=0)
    all_rows, held_out = splits.fold(1, 300)
    few, same = splits.fold(1, 300, most=40)
    assert len(few) == 40
    assert set(few) <= set(all_rows)
    assert_array_equal(held_out, same)
    assert_array_equal(splits.fold(1, 300, most=10_000)[0], all_rows)


def test_training_rows_are_counted_by_their_observed_cells():
    table = np.random.RandomState(0).normal(size=(N, 4))
    table[:, 1:] = np.where(
        np.random.RandomState(1).uniform(size=(N, 3)) < 0.8, np.nan, table[:, 1:]
    )
    splits = Splits.of(table, 5, seed=0)
    cells = [int((~np.isnan(table[splits.fold(i, N)[0]])).sum()) for i in range(5)]
    assert splits.training_size(N) == min(cells) // 4 < 200
    assert Splits.of(X, 5, seed=0).training_size(N) == 400


def test_columns_that_some_training_rows_never_observe():
    table = np.zeros((N, 3))
    splits = Splits.of(table, 5, seed=0)
    assert splits.complete
    assert not splits.never_observed(N).any()
    table[:, 1:] = np.nan
    table[splits.folds[2][1][:9], 1] = (
        0.0  # observed where the third fold is held out, and nowhere else
    )
    table[[splits.folds[2][1][0], splits.folds[3][1][0]], 2] = 0.0
    assert_array_equal(Splits.of(table, 5, seed=0).never_observed(N), [False, True, False])
    with pytest.raises(ValueError, match="every column is without any observed cell"):
        Splits.of(table[:, 1:2], 5, seed=0).never_observed(N)


@pytest.mark.parametrize(
    "cv", [KFold(3), TimeSeriesSplit(4), RepeatedKFold(n_splits=3, n_repeats=2)]
)
def test_splitters_of_scikit_learn(cv):
    splits = Splits.of(X, cv, seed=0)
    assert len(splits) == cv.get_n_splits()
    assert splits.training_size(N) == min(len(train) for train, _ in cv.split(X))


@pytest.mark.parametrize(
    ("cv", "message"),
    [
        (1, "cv must be at least 2, got 1"),
        (True, "cv must be a number of folds or a splitter such as KFold.5., got True"),
        ("five", "cv must be a number of folds or a splitter"),
        (2.5, "cv must be a number of folds or a splitter"),
        (None, "cv must be a number of folds or a splitter"),
        (300, "500 rows are too few for 300 folds"),
        (KFold, "cv must be a number of folds or a splitter"),
        (StratifiedKFold(3), "does not split rows alone"),
        (PredefinedSplit([-1] * N), "makes no folds"),
    ],
)
def test_what_is_no_splitter(cv, message):
    with pytest.raises(ValueError, match=message):
        Splits.of(X, cv, seed=0)
