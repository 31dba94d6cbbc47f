"""Counts: the density of each inference, batches, missing entries, and messages."""

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import nbinom, poisson
from sklearn.exceptions import DataConversionWarning
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_lvm import GammaPoisson

INFERENCES = ("bayes", "map", "mle")
every_inference = pytest.mark.parametrize("inference", INFERENCES)


def counts(n=40, seed=0):
    X = np.random.RandomState(seed).poisson([0.7, 5.0, 40.0], (n, 3)).astype(float)
    X[::7, 1] = np.nan
    return X


# A list, because pytest no longer takes the generator that older versions hand out.
_checks = parametrize_with_checks([GammaPoisson(inference=inference) for inference in INFERENCES])


@pytest.mark.parametrize(_checks.args[0], list(_checks.args[1]), ids=_checks.kwargs["ids"])
def test_scikit_learn_check(estimator, check):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DataConversionWarning)
        check(estimator)


def test_scores_are_those_of_scipy():
    X = counts()
    n, S = (~np.isnan(X)).sum(axis=0), np.nansum(X, axis=0)
    densities = {
        "bayes": nbinom(S + 2.0, (n + 0.5) / (n + 1.5)),
        "map": poisson((S + 1.0) / (n + 0.5)),
        "mle": poisson(S / n),
    }
    for inference, density in densities.items():
        model = GammaPoisson(alpha=2.0, beta=0.5, inference=inference).fit(X)
        entries = np.where(np.isnan(X), 0.0, density.logpmf(np.nan_to_num(X)))
        assert_allclose(model.score_samples(X), entries.sum(axis=1), rtol=1e-9)
        assert_allclose(model.transform(X), entries, rtol=1e-9, atol=1e-12)
        assert_allclose(model.rate_, density.mean(), rtol=1e-12)


@every_inference
def test_batches_equal_one_fit_and_weights_are_repetitions(inference):
    X = counts()
    whole = GammaPoisson(inference=inference).fit(np.repeat(X, 2, axis=0))
    parts = GammaPoisson(inference=inference)
    for rows in (slice(11), slice(11, 40)):
        parts.partial_fit(X[rows], sample_weight=np.full(len(X[rows]), 2.0))
    assert parts.n_samples_seen_ == whole.n_samples_seen_ == 80
    assert_allclose(parts.score_samples(X), whole.score_samples(X), rtol=1e-12)


@every_inference
def test_a_marginal_and_a_conditional_make_the_joint(inference):
    X = counts(5, seed=2)[1:]
    model = GammaPoisson(inference=inference).fit(counts())
    known, rest = model.marginal([1]), model.condition({1: X[0, 1]})
    joint = known.score_samples(X[:1, [1]]) + rest.score_samples(X[:1, [0, 2]])
    assert_allclose(joint, model.score_samples(X[:1]), rtol=1e-12)


@every_inference
def test_missing_entries_become_rates_or_draws(inference):
    X = counts()
    model = GammaPoisson(inference=inference, random_state=0).fit(X)
    missing = np.isnan(X)
    means = model.impute(X)
    assert_allclose(means[missing], model.rate_[1])
    assert_array_equal(means[~missing], X[~missing])
    (drawn,) = model.impute(X, n_draws=1)
    assert_array_equal(drawn, np.round(drawn))


@every_inference
def test_samples_have_the_rates(inference):
    model = GammaPoisson(inference=inference).fit(counts())
    drawn = model.sample(20_000, random_state=0)
    assert_array_equal(drawn, np.round(drawn))
    assert_allclose(drawn.mean(axis=0), model.rate_, rtol=0.05)


def test_the_evidence_grows_by_the_predictive():
    X = counts(6, seed=3)[1:]
    before, after = GammaPoisson().fit(X[:-1]), GammaPoisson().fit(X)
    gained = (after.log_evidence_ - before.log_evidence_).sum()
    assert_allclose(gained, before.score(X[-1:]), rtol=1e-10)


def test_intervals_hold_the_posterior():
    model = GammaPoisson().fit(counts())
    low, high = model.credible_interval(0.9)
    assert_allclose(model.posterior_.cdf(high) - model.posterior_.cdf(low), 0.9, rtol=1e-10)
    with pytest.raises(AttributeError, match="no posterior"):
        GammaPoisson(inference="mle").fit(counts()).credible_interval()


@every_inference
def test_the_family_estimates_the_rates(inference):
    X = counts()
    w = np.linspace(0.5, 2.0, len(X))
    model = GammaPoisson(alpha=1.5, inference=inference).fit(X, sample_weight=w)
    transformation, family = model._family(X, w)
    found = family.estimate(family.statistics(transformation.transform(X), w[None]))
    assert_allclose(found.means[0], model.rate_, rtol=1e-12)


def test_a_negative_count_is_named():
    X = pd.DataFrame({"left": [1.0, 2.0], "right": [0.0, -3.0]})
    with pytest.raises(ValueError, match=r"Negative values.* got -3 in row 1, column 'right'"):
        GammaPoisson().fit(X)
    with pytest.raises(ValueError, match="row 0, column 0"):
        GammaPoisson().fit([[1.0, 2.0]]).condition({0: -1.0})


def test_a_fraction_is_warned_about_once():
    X = counts()
    X[3, 2] = 1.5
    with pytest.warns(DataConversionWarning, match=r"fraction 1.5 in row 3, column 2") as caught:
        GammaPoisson().fit(X)
    assert len(caught) == 1


def test_a_mode_that_does_not_exist_is_explained():
    with pytest.raises(ValueError, match="no estimate in column 1: with alpha below 1"):
        GammaPoisson(alpha=0.5, inference="map").fit([[1.0, 0.0]])


def test_what_has_never_happened_is_impossible_to_the_maximum_of_the_likelihood():
    model = GammaPoisson(inference="mle").fit([[0.0, 1.0], [0.0, 2.0]])
    assert_array_equal(model.score_samples([[1.0, 1.0]]), [-np.inf])
    with pytest.raises(ValueError, match="rules out"):
        model.condition({0: 2.0})


def test_single_precision_stays():
    X = counts().astype(np.float32)
    model = GammaPoisson().fit(X)
    assert model.score_samples(X).dtype == model.rate_.dtype == model.sample(3).dtype == np.float32
