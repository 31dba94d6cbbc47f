"""Information criteria as scorers: greater is better."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity

from sklearn_lvm import PPCA, EMGaussianMixture, bic_score, icl_score

RNG = np.random.default_rng(0)
X = np.concatenate([RNG.normal(c, 1.0, (80, 2)) for c in (-4, 4)])


@pytest.mark.parametrize(("scorer", "criterion"), [(bic_score, "bic"), (icl_score, "icl")])
def test_a_scorer_is_minus_the_criterion(scorer, criterion):
    mixture = EMGaussianMixture(2, random_state=0).fit(X)
    assert scorer(mixture, X) == -getattr(mixture, criterion)(X)
    every = np.arange(len(X))
    search = GridSearchCV(
        EMGaussianMixture(random_state=0),
        {"n_components": [1, 2, 3]},
        scoring=scorer,
        cv=[(every, every)],
    ).fit(X)
    assert search.best_params_ == {"n_components": 2}
    assert_allclose(search.best_score_, scorer(search.best_estimator_, X))


def test_other_estimators_have_criteria_too():
    assert bic_score(PPCA(1).fit(X), X) < 0
    assert bic_score(GaussianMixture().fit(X), X) < 0


def test_estimators_without_a_criterion_are_refused():
    with pytest.raises(ValueError, match="KernelDensity has no bic"):
        bic_score(KernelDensity().fit(X), X)
    with pytest.raises(ValueError, match="PPCA has no icl"):
        icl_score(PPCA(1).fit(X), X)
