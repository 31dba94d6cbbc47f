"""The number of components that a criterion chooses, and what a user is told of it."""

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning, FitFailedWarning
from sklearn.mixture import GaussianMixture
from sklearn.utils.validation import check_is_fitted

from sklearn_lvm import PPCA, BernoulliMixture, EMGaussianMixture, GaussianMLE, select_n_components

RNG = np.random.default_rng(0)
CLUSTERS = np.concatenate([RNG.normal(c, 1.0, (100, 2)) for c in ((0, 0), (6, 0), (0, 6))])
P = np.where(RNG.uniform(size=(3, 15)) < 0.5, 0.1, 0.9)
COINS = (RNG.uniform(size=(300, 15)) < P[RNG.integers(3, size=300)]).astype(float)
LINES = RNG.normal(size=(200, 3)) @ RNG.normal(size=(3, 7)) + 0.1 * RNG.normal(size=(200, 7))
MODELS = [
    (EMGaussianMixture(random_state=0), CLUSTERS),
    (BernoulliMixture(random_state=0), COINS),
    (PPCA(random_state=0), LINES),
]
every_model = pytest.mark.parametrize(("estimator", "X"), MODELS, ids=["gaussian", "coins", "ppca"])
MIXTURE, PRINCIPAL = MODELS[0][0], MODELS[2][0]


CHOICES = [(*model, criterion) for model in MODELS for criterion in ("bic", "icl")][:-1]


@pytest.mark.parametrize(("estimator", "X", "criterion"), CHOICES)
def test_the_number_of_groups_is_found(estimator, X, criterion):
    before = dict(vars(estimator))
    selection = select_n_components(estimator, X, criterion=criterion, n_components=range(1, 6))
    assert vars(estimator) == before
    assert selection.best_params_ == {"n_components": 3}
    check_is_fitted(selection.best_estimator_)
    assert selection.best_estimator_.n_components == 3
    assert selection.best_estimator_.sample(4, random_state=0).shape == (4, X.shape[1])
    value = getattr(selection.best_estimator_, criterion)(X)
    assert_allclose(value, selection.best_score_, rtol=1e-10)


@every_model
def test_rows_held_out_refuse_too_few_groups(estimator, X):
    """More than there are cost less than the error of the score."""
    selection = select_n_components(estimator, X, criterion="cv", n_components=range(1, 5))
    one, two, three, _ = selection.results_["cv"]
    error = selection.results_["standard_error"][2]
    assert one + error < two + error < three
    assert selection.best_score_ < three + error
    own = clone(estimator).set_params(**selection.best_params_).fit(X)
    assert_allclose(selection.best_estimator_.score(X), own.score(X), rtol=1e-12)


@every_model
def test_results_are_columns_of_equal_length(estimator, X):
    selection = select_n_components(estimator, X, criterion="cv", n_components=[3, 1, 2])
    results = selection.results_
    assert_array_equal(results["param_n_components"], [1, 2, 3])
    assert sorted(results["rank"]) == [1, 2, 3]
    assert results["cv"][results["rank"] == 1] == selection.best_score_ == results["cv"].max()
    assert (results["standard_error"] > 0).all()
    assert (results["fit_time"] > 0).all()
    assert results["converged"].all()
    assert (np.diff(results["n_parameters"]) > 0).all()
    frame = selection.to_frame()
    assert isinstance(frame, pd.DataFrame)
    assert list(frame) == list(results)
    assert len(frame) == 3


def test_all_combinations_are_tried():
    selection = select_n_components(
        MIXTURE,
        CLUSTERS,
        n_components=[2, 3],
        covariance_type=["full", "spherical"],
        reg_covar=[1e-6, 1e-3],
    )
    columns = ("param_n_components", "param_covariance_type", "param_reg_covar")
    tried = set(zip(*(selection.results_[name].tolist() for name in columns), strict=True))
    assert tried == {(K, c, r) for K in (2, 3) for c in ("full", "spherical") for r in (1e-6, 1e-3)}
    assert selection.best_params_["covariance_type"] == "spherical"
    assert list(selection.best_params_) == ["n_components", "covariance_type", "reg_covar"]


@every_model
@pytest.mark.parametrize("criterion", ["bic", "cv"])
def test_jobs_and_calls_change_nothing(estimator, X, criterion):
    def scores(n_jobs):
        grid = (
            {"covariance_type": ["full", "diag"]}
            if "covariance_type" in estimator.get_params()
            else {}
        )
        found = select_n_components(
            estimator, X[::3], criterion=criterion, n_components=[2, 3], n_jobs=n_jobs, **grid
        )
        return found.results_[criterion]

    one = scores(None)
    assert_array_equal(scores(2), one)
    assert_array_equal(scores(None), one)


@every_model
def test_weights_are_repetitions(estimator, X):
    w = np.random.default_rng(1).integers(1, 4, size=len(X))
    weighted = select_n_components(estimator, X, sample_weight=w, n_components=[2, 3])
    repeated = select_n_components(estimator, np.repeat(X, w, axis=0), n_components=[2, 3])
    assert_allclose(weighted.results_["bic"], repeated.results_["bic"], atol=0.2)


def test_a_mixture_that_may_be_best_is_fitted_to_its_maximum():
    """By default fits end while several nats may be left, which would decide about parameters."""
    X = np.random.default_rng(2).standard_t(4, size=(400, 3))
    selection = select_n_components(MIXTURE, X, n_components=range(1, 6))
    best = selection.best_estimator_
    closer = clone(best).set_params(
        tol=1e-12, max_iter=5000, covariance_prior=best.covariance_prior_,
        degrees_of_freedom_prior=best.degrees_of_freedom_prior_,
        weights_init=best.weights_, means_init=best.means_, precisions_init=best.precisions_,
    ).fit(X)  # fmt: skip
    assert_allclose(closer.bic(X), selection.best_score_, atol=0.1)


def test_names_of_columns_are_known():
    frame = pd.DataFrame(CLUSTERS, columns=["a", "b"])
    for criterion in ("bic", "cv"):
        selection = select_n_components(MIXTURE, frame, criterion=criterion, n_components=[3])
        assert_array_equal(selection.best_estimator_.feature_names_in_, ["a", "b"])
        selection.best_estimator_.predict(frame)


def test_sparse_rows():
    for estimator, X in MODELS[1:]:
        dense, thin = (
            select_n_components(estimator, rows, criterion="cv", cv=3, n_components=[2, 3])
            for rows in (X, sparse.csr_array(X))
        )
        assert_allclose(thin.results_["cv"], dense.results_["cv"], rtol=1e-6)


def test_single_precision_stays():
    selection = select_n_components(MIXTURE, CLUSTERS.astype(np.float32), n_components=[2, 3])
    assert selection.best_estimator_.means_.dtype == np.float32


def test_the_evidence_bound_is_for_estimators_that_have_one(monkeypatch):
    with pytest.raises(ValueError, match=r"'elbo'.*'bic', 'icl', 'cv'"):
        select_n_components(MIXTURE, CLUSTERS, criterion="elbo")
    monkeypatch.setattr(EMGaussianMixture, "_has_evidence_bound", True)
    selection = select_n_components(MIXTURE, CLUSTERS, criterion="elbo", n_components=[1, 2, 3])
    bounds = selection.results_["elbo"]
    assert selection.best_score_ == bounds.max() == selection.best_estimator_.lower_bound_


# -- combinations that fail ----------------------------------------------------------------------------


def test_a_combination_that_fails_is_named():
    with pytest.warns(
        FitFailedWarning, match=r"1 of 3 .*n_components=9\. .*lower n_components"
    ) as seen:
        selection = select_n_components(MIXTURE, CLUSTERS[:8], n_components=[1, 2, 9])
    assert seen[0].filename == __file__
    assert_array_equal(np.isnan(selection.results_["bic"]), [False, False, True])
    assert selection.results_["rank"][2] == 3
    assert np.isnan(selection.results_["n_parameters"][2])


@pytest.mark.parametrize("criterion", ["bic", "cv"])
def test_if_all_fail_the_first_cause_is_told(criterion):
    with pytest.raises(ValueError, match=r"no combination.*n_components=8: .*at most"):
        select_n_components(PRINCIPAL, LINES, criterion=criterion, n_components=[8, 9])


def test_a_best_fit_that_has_not_converged_warns():
    with pytest.warns(
        ConvergenceWarning, match=r"n_components=3, had not converged after max_iter=1"
    ):
        selection = select_n_components(
            MIXTURE.__class__(random_state=0, max_iter=1), CLUSTERS, n_components=[2, 3]
        )
    assert not selection.results_["converged"].all()


# -- arguments -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_components": 3}, r"n_components must be a list.*\[3\]"),
        ({"n_components": []}, "n_components is empty"),
        ({"n_components": [0, 1]}, "n_components must be positive integers.*got 0"),
        ({"n_components": [1.0]}, r"n_components must be positive integers.*got 1\.0"),
        ({"n_components": [True]}, "n_components must be positive integers.*got True"),
        ({"n_components": "12"}, "n_components must be a list"),
        ({"covariance": ["full"]}, "covariance is no parameter of EMGaussianMixture.*covariance_type"),
        ({"covariance_type": "full"}, r"covariance_type must be a list.*\['full'\]"),
        ({"covariance_type": []}, "covariance_type is empty"),
        ({"covariance_type": {"full", "diag"}}, "covariance_type must be a list of values in an order"),
        ({"covariance_type": ["full", "round"]}, "covariance_type.*'round'"),
        ({"reg_covar": 1e-6}, "reg_covar must be a list"),
        ({"criterion": "aic"}, r"criterion='aic'.*'bic', 'icl', 'cv'"),
        ({"criterion": None}, "criterion=None"),
        ({"n_jobs": 0}, "n_jobs"),
        ({"n_jobs": 1.5}, "n_jobs"),
        ({"sample_weight": np.zeros(300)}, "sample_weight"),
        ({"criterion": "cv", "cv": 1}, "cv=1 must be at least 2"),
        ({"criterion": "cv", "cv": 301}, "cv=301 .*300 rows"),
        ({"criterion": "cv", "cv": "five"}, "cv must be a number of folds.*'five'"),
        ({"criterion": "cv", "cv": True}, "cv must be a number of folds"),
        ({"criterion": "cv", "cv": []}, "makes no folds"),
        ({"criterion": "cv", "cv": [(np.arange(9), [300])]}, "positions from 0 to 299"),
        ({"criterion": "cv", "cv": [np.arange(3)]}, "pairs"),
        ({"criterion": "cv", "cv": [(np.arange(9), [])]}, "fold 1"),
    ],
)  # fmt: skip
def test_arguments_that_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        select_n_components(MIXTURE, CLUSTERS, **arguments)


@pytest.mark.parametrize("estimator", [GaussianMLE(), GaussianMixture(), EMGaussianMixture, None])
def test_estimators_without_components_are_refused(estimator):
    with pytest.raises(ValueError, match="estimator must be a mixture"):
        select_n_components(estimator, CLUSTERS)


def test_icl_is_for_mixtures():
    with pytest.raises(ValueError, match=r"'icl'.*'bic', 'cv'"):
        select_n_components(PRINCIPAL, LINES, criterion="icl")


def test_a_random_state_is_left_as_it_is():
    rng = np.random.RandomState(0)
    state = rng.get_state()[1].copy()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        select_n_components(EMGaussianMixture(random_state=rng), CLUSTERS, n_components=[2, 3])
    assert_array_equal(rng.get_state()[1], state)


@pytest.mark.parametrize("criterion", ["bic", "icl"])
def test_weights_of_less_than_two_rows_are_refused(criterion):
    """The logarithm of the number of rows would be negative, and reward parameters."""
    X = np.random.RandomState(0).normal(size=(30, 2))
    with pytest.raises(ValueError, match=r"sample_weight adds up to 0\.03 rows"):
        select_n_components(
            EMGaussianMixture(),
            X,
            sample_weight=np.full(30, 1e-3),
            criterion=criterion,
            n_components=[1, 2],
        )
