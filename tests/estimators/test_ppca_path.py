"""PPCA of several numbers of components has one spectrum, and is what each fit of its own is."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse
from sklearn.model_selection import KFold, ShuffleSplit

from sklearn_lvm import PPCA
from sklearn_lvm.estimators import ppca_path
from sklearn_lvm.estimators.ppca_path import fit_counts, fit_folds

RNG = np.random.default_rng(0)
X = RNG.normal(size=(150, 3)) @ RNG.normal(size=(3, 8)) + 0.3 * RNG.normal(size=(150, 8)) + 5.0
W = RNG.uniform(0.5, 2.0, size=150)
COUNTS = range(1, 9)


def same(fit, own, rows):
    assert_allclose(fit.estimator.score_samples(rows), own.score_samples(rows), rtol=1e-7)
    assert fit.estimator.n_parameters_ == own.n_parameters_
    assert_allclose(fit.estimator.noise_variance_, own.noise_variance_, rtol=1e-7)


@pytest.mark.parametrize("solver", ["auto", "covariance", "svd", "subspace", "em"])
def test_fits_equal_those_of_each_number(solver):
    estimator = PPCA(solver=solver, random_state=0, max_iter=5000)
    for q, fit in fit_counts(estimator, X, W, range(1, 6), True).items():
        own = PPCA(q, solver=solver, random_state=0, max_iter=5000).fit(X, sample_weight=W)
        assert_allclose(fit.estimator.score(X), own.score(X), atol=1e-6)
        assert fit.estimator.n_components_ == q


def test_all_numbers_take_one_decomposition(monkeypatch):
    calls, solve = [], PPCA._solve
    monkeypatch.setattr(PPCA, "_solve", lambda self, rows: calls.append(1) or solve(self, rows))
    fits = fit_counts(PPCA(), X, W, COUNTS, True)
    assert len(calls) == 1
    for q, fit in fits.items():
        same(fit, PPCA(q).fit(X, sample_weight=W), X)


def test_numbers_that_leave_no_noise_or_exceed_the_features_fail():
    flat = np.column_stack([X[:, :3], X[:, :3] @ RNG.normal(size=(3, 3))])
    fits = fit_counts(PPCA(), flat, np.ones(150), range(1, 9), True)
    assert [q for q, fit in fits.items() if isinstance(fit, ValueError)] == [3, 4, 5, 6, 7, 8]
    assert "no noise" in str(fits[3])
    assert "6 features" in str(fits[8])


def parts_counted(monkeypatch):
    calls, measure = [], ppca_path.BatchStatistics.measure
    monkeypatch.setattr(
        ppca_path.BatchStatistics,
        "measure",
        lambda self, *args: calls.append(1) or measure(self, *args),
    )
    return calls


def test_folds_are_measured_once(monkeypatch):
    calls = parts_counted(monkeypatch)
    folds = list(KFold(5, shuffle=True, random_state=0).split(X))
    fits = fit_folds(PPCA(), X, W, COUNTS, folds)
    assert len(calls) == 5
    for (train, test), of_fold in zip(folds, fits, strict=True):
        for q, fit in of_fold.items():
            same(fit, PPCA(q).fit(X[train], sample_weight=W[train]), X[test])


@pytest.mark.parametrize(
    ("estimator", "cv"),
    [
        (PPCA(), ShuffleSplit(3, random_state=0)),
        (PPCA(solver="svd"), KFold(3)),
        (PPCA(), KFold(2)),
    ],
)
def test_other_folds_are_fitted(monkeypatch, estimator, cv):
    """Rows held out twice or never, other solvers, and rows of which a covariance keeps no digits."""
    calls = parts_counted(monkeypatch)
    rows = X + 0.0
    if isinstance(cv, KFold) and estimator.solver == "auto":
        rows = X @ np.diag([1e6, *[1.0] * 7])
    folds = list(cv.split(rows))
    fits = fit_folds(estimator, rows, W, range(1, 4), folds)
    assert len(calls) == (2 if rows[0, 0] != X[0, 0] else 0)
    for (train, test), of_fold in zip(folds, fits, strict=True):
        for q, fit in of_fold.items():
            same(fit, PPCA(q).fit(rows[train], sample_weight=W[train]), rows[test])


def test_sparse_rows_stay_sparse():
    table = sparse.csr_array(np.where(RNG.uniform(size=X.shape) < 0.3, X, 0.0))
    folds = list(KFold(3).split(X))
    for (train, test), fits in zip(folds, fit_folds(PPCA(), table, W, [1, 2], folds), strict=True):
        for q, fit in fits.items():
            same(fit, PPCA(q).fit(table[train], sample_weight=W[train]), table[test])
