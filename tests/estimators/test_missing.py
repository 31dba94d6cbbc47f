"""NaN was not observed: what is true of every estimator that takes it."""

from itertools import pairwise, product

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.exceptions import ConvergenceWarning

from sklearn_lvm import EMGaussianMixture

from .specs import clouds, every_exact, every_exact_measured, every_mixture, weights

N, D = 120, 3
PATTERNS = [pattern for pattern in product([False, True], repeat=D) if 0 < sum(pattern) < D]


def table(spec, n=N, share=0.3, seed=0):
    """Rows of which some entries are missing; of the first, all."""
    X = clouds(n, D, seed)
    if spec.binary:
        X = (X > 0).astype(np.float64)
    missing = np.random.default_rng(seed + 1).random(X.shape) < share
    missing[0], missing[1:6] = True, False
    return np.where(missing, np.nan, X)


def check_same(one, other, X):
    assert_allclose(one.score_samples(X), other.score_samples(X), rtol=1e-9, atol=1e-10)
    assert_allclose(one.transform(X), other.transform(X), rtol=1e-7, atol=1e-8)
    for name in {"n_samples_seen_", "log_likelihood_", "log_evidence_"} & vars(one).keys():
        assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-8)


@every_exact
def test_a_row_of_which_nothing_was_observed_says_nothing(spec):
    X = table(spec)
    model = spec.new().fit(X)
    assert model.score_samples(X[:1]) == 0.0
    check_same(model, spec.new().fit(X[1:]), X)


@every_mixture
def test_of_an_empty_row_components_are_as_likely_as_their_weights(spec):
    model = spec.new().fit(table(spec))
    empty = np.full((1, D), np.nan)
    assert_allclose(model.predict_proba(empty)[0], model.weights_, rtol=1e-10)


@every_exact
def test_an_empty_column_is_named(spec):
    X = table(spec)
    X[:, 1] = np.nan
    with pytest.raises(ValueError, match="X has no observed entry in column 1"):
        spec.new().fit(X)


@every_exact
def test_a_weight_is_a_repetition(spec):
    X, times = table(spec), np.random.default_rng(0).integers(0, 4, N)
    weighted = spec.new().fit(X, sample_weight=times)
    check_same(weighted, spec.new().fit(np.repeat(X, times, axis=0)), X)


@every_exact
def test_the_order_of_rows_is_irrelevant(spec):
    X, w, order = table(spec), weights(N), np.random.default_rng(0).permutation(N)
    shuffled = spec.new().fit(X[order], sample_weight=w[order])
    check_same(shuffled, spec.new().fit(X, sample_weight=w), X)


@every_exact_measured
def test_units_are_irrelevant(spec):
    X = table(spec)
    scale = np.full(D, 4.0) if spec.one_scale else np.array([4.0, 0.25, 64.0])
    model, other = spec.new().fit(X), spec.new().fit(X * scale + 8.0)
    gained = ~np.isnan(X) @ np.log(scale)
    assert_allclose(
        other.score_samples(X * scale + 8.0), model.score_samples(X) - gained, rtol=1e-6, atol=1e-6
    )


@every_mixture
def test_the_objective_never_falls(spec):
    model = spec.new(acceleration=None, tol=0.0, max_iter=20)
    with pytest.warns(ConvergenceWarning):  # which a fall would end before its time
        model.fit(table(spec))
    assert model.n_iter_ == 20
    assert all(after >= before for before, after in pairwise(model.lower_bounds_))


@every_exact
def test_what_is_missing_is_integrated_out(spec):
    """The density of some entries, times that of others given them, is that of both."""
    model, missing = spec.new().fit(table(spec)), np.array(PATTERNS)
    complete = table(spec, share=0.0)[1 : 1 + len(PATTERNS)]
    found = model.score_samples(np.where(missing, np.nan, complete))
    for row, entries, log_prob in zip(complete, ~missing, found, strict=True):
        observed = np.flatnonzero(entries).tolist()
        given_others = model.condition({j: row[j] for j in observed})
        rest = np.delete(row, observed)[None]
        whole = model.score_samples(row[None])[0]
        assert_allclose(log_prob + given_others.score_samples(rest)[0], whole, atol=1e-8)
        of_these = model.marginal(observed).score_samples(row[None, observed])[0]
        assert_allclose(of_these, log_prob, atol=1e-8)


@every_exact
def test_single_precision_stays_single(spec):
    X = table(spec).astype(np.float32)
    model = spec.new().fit(X)
    assert model.score_samples(X).dtype == model.transform(X).dtype == np.float32
    assert model.impute(X).dtype == np.float32


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_a_score_does_not_depend_on_the_other_rows(covariance_type):
    X = np.random.default_rng(0).normal(size=(600, 4)) * [1, 2, 3, 4]
    X[np.random.default_rng(1).random(X.shape) < 0.2] = np.nan
    model = EMGaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(X)
    rows = np.concatenate([model.score_samples(X[i : i + 7]) for i in range(0, 600, 7)])
    assert_allclose(rows, model.score_samples(X), rtol=1e-10, atol=1e-10)
