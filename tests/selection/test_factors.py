"""Numbers of factors are chosen as numbers of components are, and together with these."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.exceptions import FitFailedWarning

from sklearn_lvm import EMGaussianMixture, FactorAnalysis, select_n_components

RNG = np.random.default_rng(0)
W = RNG.normal(size=(2, 9, 2))
NOISE = RNG.uniform(0.2, 1.0, 9)
ROWS = RNG.normal(size=(300, 2)) @ W[0].T + NOISE * RNG.normal(size=(300, 9))
OTHERS = 3.0 + RNG.normal(size=(300, 2)) @ W[1].T + NOISE * RNG.normal(size=(300, 9))
GROUPS = np.concatenate([ROWS, OTHERS])


@pytest.mark.parametrize("criterion", ["bic", "cv"])
def test_components_and_factors_are_chosen_together(criterion):
    mixture = EMGaussianMixture(covariance_type="factor", random_state=0)
    selection = select_n_components(
        mixture, GROUPS, criterion=criterion, cv=3, n_components=[1, 2], n_factors=[0, 2, 5]
    )
    assert selection.best_params_ == {"n_components": 2, "n_factors": 2}
    assert selection.best_estimator_.loadings_.shape == (2, 9, 2)
    assert len(selection.results_["rank"]) == 6


def test_the_criterion_counts_loadings_and_noise():
    mixture = EMGaussianMixture(covariance_type="factor", random_state=0)
    selection = select_n_components(mixture, GROUPS, n_components=[2], n_factors=[1, 2])
    assert selection.results_["n_parameters"].tolist() == [1 + 2 * (9 + 18), 1 + 2 * (9 + 26)]
    assert_allclose(selection.best_estimator_.bic(GROUPS), selection.best_score_, rtol=1e-10)


def test_starts_are_shared_by_components_whose_chosen_factors_differ():
    mixture = EMGaussianMixture(covariance_type="factor", n_factors="auto", random_state=0)
    selection = select_n_components(mixture, GROUPS, n_components=range(1, 5))
    assert selection.best_params_ == {"n_components": 2}
    assert selection.best_estimator_.n_factors_ >= 2
    K = selection.results_["param_n_components"]
    of_each_covariance = (selection.results_["n_parameters"] - (K - 1)) / K - 9
    assert len(set(of_each_covariance)) > 1
    assert np.isfinite(selection.results_["bic"]).all()


def test_factor_analysis_has_the_factors_of_the_rows():
    selection = select_n_components(FactorAnalysis(), ROWS, n_components=range(5))
    assert selection.best_params_ == {"n_components": 2}
    own = FactorAnalysis(2).fit(ROWS)
    assert_allclose(selection.best_estimator_.score(ROWS), own.score(ROWS), rtol=1e-12)


def test_rows_held_out_refuse_too_few_factors():
    """More than there are cost less than the error of the score."""
    selection = select_n_components(
        FactorAnalysis(random_state=0), ROWS, criterion="cv", n_components=range(4)
    )
    none, one, two, _ = selection.results_["cv"]
    error = selection.results_["standard_error"][2]
    assert none + error < one < one + error < two
    assert selection.best_score_ < two + error


def test_noise_has_no_factors():
    X = np.random.default_rng(1).normal(size=(100, 5))
    weights = np.full(100, 0.5)
    selection = select_n_components(FactorAnalysis(), X, sample_weight=weights, n_components=[0, 1])
    assert selection.best_params_ == {"n_components": 0}


def test_numbers_that_are_too_large_for_the_columns_have_no_score():
    with warnings.catch_warnings(record=True):
        warnings.simplefilter("always")
        selection = select_n_components(FactorAnalysis(), ROWS, n_components=[2, 9])
    assert np.isnan(selection.results_["bic"][1])
    assert selection.best_params_ == {"n_components": 2}


@pytest.mark.parametrize("count", [-1, 0.5, True])
def test_numbers_of_factors_are_whole(count):
    with pytest.raises(ValueError, match=r"n_components must be integers, 0 or more.*got"):
        select_n_components(FactorAnalysis(), ROWS, n_components=[count])


def test_a_number_of_factors_that_is_too_large_is_left_out():
    X = np.random.RandomState(0).normal(size=(100, 6))
    mixture = EMGaussianMixture(covariance_type="factor", random_state=0)
    with pytest.warns(FitFailedWarning, match="n_factors=9"):
        found = select_n_components(mixture, X, n_components=[1, 2], n_factors=[1, 9])
    assert found.best_params_["n_factors"] == 1
    with pytest.raises(ValueError, match="n_factors=9"):
        select_n_components(mixture, X, n_components=[1], n_factors=[9])
