"""A weight counts how often a row is there; the order of rows counts nothing."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from threadpoolctl import threadpool_limits

from sklearn_lvm import EMGaussianMixture
from sklearn_lvm.core.bernoulli.binarization import BinaryRowSource
from sklearn_lvm.core.rows import RowSource
from sklearn_lvm.estimators.base import mixture as _mixture_base
from sklearn_lvm.fitting import prior_choice, start_search
from sklearn_lvm.fitting.starts import STARTS

from .specs import EXACT, SPECS, clouds, every_mixture, every_spec, public_state, weights

N = 150
ONE_OF_EACH = [spec for spec in EXACT if spec.name.count("-") == 1 or "-3" in spec.name]

without_prior = pytest.mark.parametrize("spec", [spec for spec in SPECS if not spec.prior], ids=str)


@pytest.fixture
def X():
    return clouds(N)


def check_same(one, other, X):
    assert_allclose(one.score_samples(X), other.score_samples(X), rtol=1e-10)
    assert_allclose(one.transform(X), other.transform(X), rtol=1e-8, atol=1e-9)


@every_spec
def test_a_weight_is_a_repetition(spec, X):
    times = np.random.default_rng(0).integers(0, 4, N)
    weighted = spec.new().fit(X, sample_weight=times)
    repeated = spec.new().fit(np.repeat(X, times, axis=0))
    check_same(weighted, repeated, X)


@every_spec
def test_a_row_of_no_weight_is_not_there(spec, X):
    w = weights(N)
    w[::3] = 0.0
    strange = X.copy()
    strange[::3] = 1e5
    removed = spec.new().fit(X[w > 0], sample_weight=w[w > 0])
    check_same(spec.new().fit(strange, sample_weight=w), removed, X)


@every_spec
def test_the_order_of_rows_is_irrelevant(spec, X):
    w, order = weights(N), np.random.default_rng(0).permutation(N)
    shuffled = spec.new().fit(X[order], sample_weight=w[order])
    check_same(shuffled, spec.new().fit(X, sample_weight=w), X)


@without_prior
@pytest.mark.parametrize("factor", [1e-300, 1e-6, 3.0, 1e6, 1e300])
def test_weights_may_be_scaled(spec, factor, X):
    w = weights(N)
    check_same(spec.new().fit(X, sample_weight=factor * w), spec.new().fit(X, sample_weight=w), X)


@every_spec
def test_unit_weights_are_no_weights(spec, X):
    check_same(spec.new().fit(X, sample_weight=np.ones(N)), spec.new().fit(X), X)


@every_spec
def test_scores_of_repeated_rows_are_weighted_scores(spec, X):
    times = np.random.default_rng(0).integers(0, 4, N)
    model, repeated = spec.new().fit(X), np.repeat(X, times, axis=0)
    assert_allclose(model.score(repeated), model.score(X, sample_weight=times), rtol=1e-12)
    if not spec.neural:  # whose score is a bound
        assert_allclose(model.bic(repeated), model.bic(X, sample_weight=times), rtol=1e-12)


@every_spec
def test_weights_are_left_as_they_are(spec, X):
    w = weights(N)
    given_X, given_w = X.copy(), w.copy()
    spec.new().fit(X, sample_weight=w).score(X, sample_weight=w)
    assert_array_equal(X, given_X)
    assert_array_equal(w, given_w)


@every_spec
@pytest.mark.parametrize(
    ("w", "message"),
    [
        (np.zeros(N), "sample_weight is zero for every row"),
        (-np.ones(N), "[Nn]egative"),
        (np.full(N, np.nan), "NaN"),
        (np.ones(N - 1), r"sample_weight"),
        (np.ones((N, 2)), r"[Ss]ample.?weight"),
    ],
    ids=["zero", "negative", "nan", "short", "two columns"],
)
def test_bad_weights_are_refused(spec, w, message, X):
    with pytest.raises(ValueError, match=message):
        spec.new().fit(X, sample_weight=w)
    fitted = spec.new().fit(X)
    with pytest.raises(ValueError, match=message):
        fitted.score(X, sample_weight=w)


@pytest.fixture
def sampled_starts(monkeypatch):
    """Let starts be drawn from a part of the rows, as they are where rows are many."""
    few = {name: replace(strategy, n_rows=1) for name, strategy in STARTS.items()}
    for module in (_mixture_base, start_search):
        monkeypatch.setattr(module, "STARTS", few)
    monkeypatch.setattr(start_search, "sample_sizes", lambda n, K, d: [30, 100, 240])
    for name in ("MIN_ROWS", "MAX_ROWS"):
        monkeypatch.setattr(prior_choice, name, 200)
    drawn = []

    def recording(distinct):
        def recorded(source, size):
            rows = distinct(source, size)
            drawn.append((len(rows), len(source)))
            return rows

        return recorded

    for source in (RowSource, BinaryRowSource):
        monkeypatch.setattr(source, "distinct", recording(source.distinct))
    return drawn


@every_mixture
def test_starts_from_a_part_of_the_rows_obey_the_same_laws(spec, sampled_starts):
    X, times = clouds(1000, 60 if spec.binary else 3), np.random.default_rng(0).integers(0, 3, 1000)
    order, factor = np.random.default_rng(1).permutation(1000), 1e3
    plain = spec.new().fit(X, sample_weight=times)
    assert all(size < rows / 2 for size, rows in sampled_starts)
    check_same(plain, spec.new().fit(X[order], sample_weight=times[order]), X)
    check_same(plain, spec.new().fit(np.repeat(X, times, axis=0)), X)
    if not spec.prior:
        check_same(plain, spec.new().fit(X, sample_weight=8.0 * times), X)
    if spec.binary:
        return
    moved = spec.new().fit(factor * (X + 5.0), sample_weight=times)
    scores = moved.score_samples(factor * (X + 5.0)) + 3 * np.log(factor)
    assert_allclose(scores, plain.score_samples(X), rtol=1e-9)


@pytest.mark.parametrize("unit", [1e-300, 1e-44, 1e36, 1e290])
@pytest.mark.parametrize("init_params", ["auto", "kmeans"])
def test_weights_that_float32_cannot_hold_are_weights(unit, init_params):
    """With several blocks, of which a fit begins in single precision."""
    X = clouds(20_000)
    params = {"n_components": 4, "init_params": init_params, "random_state": 0}
    plain = EMGaussianMixture(**params).fit(X)
    scaled = EMGaussianMixture(**params).fit(X, sample_weight=np.full(len(X), unit))
    assert_allclose(scaled.lower_bound_, plain.lower_bound_, rtol=0, atol=1e-3)


def large(n, d):
    """Enough rows for many blocks, and for linear algebra that would spread over threads."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 6 * rng.integers(0, 3, (n, 1))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("n", "d"), [(100_000, 1), (30_000, 2), (30_000, 30), (2_000, 300)])
@pytest.mark.parametrize("spec", ONE_OF_EACH, ids=str)
def test_threads_do_not_change_a_bit(spec, n, d):
    X = large(n, d)
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            model = spec.new(**({"max_iter": 8, "tol": 0.0} if spec.mixture else {})).fit(X)
            found.append({**public_state(model), "scores": model.score_samples(X)})
    for name, value in found[0].items():
        assert_array_equal(value, found[1][name], err_msg=name)
