"""The score of rows that are held out."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import KFold, ShuffleSplit

from sklearn_lvm import PPCA, EMGaussianMixture, select_n_components
from sklearn_lvm.selection.cross_validation import folds_of, mean_and_error
from sklearn_lvm.selection.scores import Rows

RNG = np.random.default_rng(0)
X = np.concatenate([RNG.normal(c, 1.0, (60, 3)) for c in ((0, 0, 0), (6, 0, 0))])
W = RNG.uniform(0.5, 2.0, size=120)
ROWS = Rows(X, W)


@pytest.mark.parametrize("cv", [KFold(4), ShuffleSplit(3, random_state=0)])
def test_the_score_is_that_of_fits_to_the_training_rows(cv):
    selection = select_n_components(
        PPCA(), X, sample_weight=W, criterion="cv", cv=cv, n_components=[1, 2]
    )
    for q, score in zip([1, 2], selection.results_["cv"], strict=True):
        total = weight = 0.0
        for train, test in cv.split(X):
            fitted = PPCA(q).fit(X[train], sample_weight=W[train])
            total += W[test] @ fitted.score_samples(X[test])
            weight += W[test].sum()
        assert_allclose(score, total / weight, rtol=1e-8)


def test_rows_held_out_are_not_seen():
    """The fits of a fold do not change with the rows that it holds out."""
    fold = (np.arange(0, 120, 2), np.arange(1, 120, 2))
    moved = X.copy()
    moved[fold[1]] = X[fold[1]][::-1]  # the same rows, held out in another order
    one, other = (
        select_n_components(
            EMGaussianMixture(random_state=0),
            rows,
            criterion="cv",
            cv=[fold],
            n_components=[1, 2, 3],
        ).results_["cv"]
        for rows in (X, moved)
    )
    assert_allclose(one, other, rtol=1e-12)


def test_folds_are_shuffled_by_the_random_state():
    folds = folds_of(4, ROWS, 0)
    assert_array_equal(np.sort(np.concatenate([test for _, test in folds])), np.arange(120))
    assert len(np.unique(folds[0][1] < 60)) == 2  # of both halves of the table
    for (train, test), (again, _) in zip(folds, folds_of(4, ROWS, 0), strict=True):
        assert_array_equal(train, again)
        assert len(np.intersect1d(train, test)) == 0


def test_masks_and_negative_positions_are_positions():
    mask = np.arange(120) < 60
    ((train, test),) = folds_of([(mask, np.arange(-60, 0))], ROWS, 0)
    assert_array_equal(train, np.arange(60))
    assert_array_equal(test, np.arange(60, 120))


def test_a_fold_without_weight_is_refused():
    w = np.where(np.arange(120) < 60, 1.0, 0.0)
    with pytest.raises(ValueError, match=r"fold 1 .*fewer folds"):
        folds_of(KFold(2), Rows(X, w), 0)


def test_the_error_is_that_of_the_mean_of_folds():
    values = np.array([1.0, 2.0, 4.0])
    mean, error = mean_and_error(values, np.full(3, 7.0))
    assert_allclose([mean, error], [values.mean(), values.std(ddof=1) / np.sqrt(3)])
    assert_allclose(mean_and_error(values, np.array([1.0, 0.0, 1.0]))[0], 2.5)
    assert np.isnan(mean_and_error(values[:1], np.ones(1))[1])
