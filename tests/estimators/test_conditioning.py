"""Fitted estimators of some of the columns, by themselves or given values of the others."""

import pickle

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.special import logsumexp
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from sklearn_lvm import (
    PPCA,
    BayesianGaussian,
    BernoulliMixture,
    BetaBernoulli,
    EMGaussianMixture,
    GaussianMLE,
    VariationalGaussianMixture,
)

from .specs import COVARIANCE_TYPES, DENSE, LOW_RANK

D = 4
NAMES = ["a", "b", "c", "d"]
ONE = ("full", "diag", "spherical")
SHORT = {"random_state": 0, "max_iter": 60, "tol": 1e-2, "init_params": "k-means++"}
GAUSSIAN = [
    *(GaussianMLE(covariance_type=kind) for kind in ONE),
    *(BayesianGaussian(covariance_type=kind, random_state=0) for kind in ONE),
    BayesianGaussian(inference="map"),
    *(
        EMGaussianMixture(3, covariance_type=kind, **SHORT)
        for kind in (*COVARIANCE_TYPES, *LOW_RANK)
    ),
    *(VariationalGaussianMixture(3, covariance_type=kind, **SHORT) for kind in COVARIANCE_TYPES),
    PPCA(2, random_state=0),
    PPCA(3, random_state=0),
]
BINARY = [
    BetaBernoulli(random_state=0),
    BetaBernoulli(inference="mle"),
    *(BernoulliMixture(3, inference=kind, **SHORT) for kind in ("map", "variational")),
]
every_model = pytest.mark.parametrize("model", [*GAUSSIAN, *BINARY], ids=str)
every_gaussian = pytest.mark.parametrize("model", GAUSSIAN, ids=str)


def table(model, n=80):
    """Rows of two clusters in units that differ, or of coins."""
    rng = np.random.default_rng(0)
    cluster = rng.integers(2, size=(n, 1))
    Z = rng.normal(size=(n, D)) @ rng.normal(size=(D, D)) + 4 * cluster
    scaled = Z * [1.0, 50.0, 0.1, 3.0] + [100.0, -1e4, 0.0, 5.0]
    return (Z.mean(axis=0) < Z).astype(float) if model in BINARY else scaled


@pytest.fixture(params=[*GAUSSIAN, *BINARY], ids=str, scope="module")
def fitted(request):
    X = table(request.param)
    return clone(request.param).fit(pd.DataFrame(X, columns=NAMES)), X


def frame(X, columns):
    return pd.DataFrame(X[:, columns], columns=[NAMES[j] for j in columns])


def given(row, columns):
    return {NAMES[j] if j % 2 else j: row[j] for j in columns}


def test_scores_are_those_of_the_values_and_of_the_rest(fitted):
    model, X = fitted
    known, rest = [2, 0], [1, 3]
    part = model.marginal(known).score_samples(frame(X[:9], [0, 2]))
    others = [
        model.condition(given(row, known)).score_samples(frame(row[None], rest))[0] for row in X[:9]
    ]
    whole = model.score_samples(pd.DataFrame(X[:9], columns=NAMES))
    assert_allclose(part + others, whole, rtol=1e-9, atol=1e-8)


def test_marginal_scores_are_those_of_rows_in_which_the_others_are_missing(fitted):
    model, X = fitted
    incomplete = pd.DataFrame(X[:9], columns=NAMES)
    incomplete[["a", "d"]] = np.nan
    part, rows = model.marginal(["c", "b"]), frame(X[:9], [1, 2])
    expected = model.score_samples(incomplete)
    assert_allclose(part.score_samples(rows), expected, rtol=1e-10, atol=1e-9)
    if hasattr(model, "predict_proba"):
        assert_allclose(part.predict_proba(rows), model.predict_proba(incomplete), atol=1e-9)


def test_the_order_of_conditioning_and_marginalizing_does_not_matter(fitted):
    model, X = fitted
    first = model.condition({"c": X[0, 2]}).marginal(["a", "d"])
    second = model.marginal([3, 2, 0]).condition({1: X[0, 2]})
    rows = frame(X[:5], [0, 3])
    assert_allclose(first.score_samples(rows), second.score_samples(rows), rtol=1e-10, atol=1e-10)
    for name in ("mean_", "means_", "covariance_", "covariances_", "probabilities_", "weights_"):
        if hasattr(model, name):
            assert_allclose(getattr(first, name), getattr(second, name), rtol=1e-8, atol=1e-10)
    step = model.condition({0: X[0, 0]}).condition({"c": X[0, 2]})
    both = model.condition({"c": X[0, 2], 0: X[0, 0]})
    rows = frame(X[:5], [1, 3])
    assert_allclose(step.score_samples(rows), both.score_samples(rows), rtol=1e-10, atol=1e-10)


def test_what_comes_back_is_a_fitted_estimator_of_its_columns(fitted):
    model, X = fitted
    part = model.condition({"b": X[0, 1]})
    rows = frame(X, [0, 2, 3])
    assert type(part) is type(model)
    assert part.n_features_in_ == 3
    assert_array_equal(part.feature_names_in_, ["a", "c", "d"])
    assert part.transform(rows).shape == (len(X), len(part.get_feature_names_out()))
    assert part.sample(3, random_state=0).shape == (3, 3)
    assert np.isfinite(part.bic(rows))
    again = pickle.loads(pickle.dumps(part))
    assert_array_equal(again.score_samples(rows), part.score_samples(rows))
    assert clone(part).fit(rows).score_samples(rows).shape == (len(X),)
    for name in ("lower_bound_", "log_likelihood_", "n_iter_", "converged_"):
        assert not hasattr(part, name)
    if hasattr(part, "predict"):
        assert_array_equal(part.predict(rows), part.predict_proba(rows).argmax(axis=1))


def test_the_model_itself_stays_as_it_was(fitted):
    model, X = fitted
    before = pickle.dumps(vars(model))
    model.condition({0: X[0, 0]})
    model.marginal([1])
    assert pickle.dumps(vars(model)) == before


def test_samples_have_the_scores_of_the_part(fitted):
    """The mean log-density of samples is the negative entropy: close to that of other samples."""
    model, X = fitted
    part = model.condition({"b": X[0, 1], "c": X[0, 2]})
    first, second = (part.sample(4000, random_state=seed) for seed in (1, 2))
    near = pd.DataFrame(first, columns=["a", "d"]), pd.DataFrame(second, columns=["a", "d"])
    scores = [part.score_samples(rows) for rows in near]
    assert abs(scores[0].mean() - scores[1].mean()) < 6 * scores[0].std() / np.sqrt(2000) + 1e-9
    if model.__class__ in (GaussianMLE, PPCA):
        assert_allclose(first.mean(axis=0), part.mean_, atol=6 * first.std(axis=0).max() / 60)


@pytest.mark.parametrize("kind", [*COVARIANCE_TYPES, *LOW_RANK])
def test_a_conditioned_mixture_is_that_of_the_formula(kind):
    X = table(None)
    model = EMGaussianMixture(3, covariance_type=kind, **SHORT).fit(X)
    C = DENSE[kind](model.covariances_, 3, D)
    known, rest, x = [1, 3], [0, 2], X[5]
    part = model.condition({1: x[1], 3: x[3]})
    joint, means, covariances = [], [], []
    for weight, m, c in zip(model.weights_, model.means_, C, strict=True):
        gain = c[np.ix_(rest, known)] @ np.linalg.inv(c[np.ix_(known, known)])
        density = multivariate_normal(m[known], c[np.ix_(known, known)])
        joint.append(np.log(weight) + density.logpdf(x[known]))
        means.append(m[rest] + gain @ (x[known] - m[known]))
        covariances.append(c[np.ix_(rest, rest)] - gain @ c[np.ix_(known, rest)])
    assert_allclose(part.weights_, np.exp(joint - logsumexp(joint)), rtol=1e-7, atol=1e-12)
    assert_allclose(part.means_, means, rtol=1e-7)
    assert_allclose(DENSE[kind](part.covariances_, 3, 2), covariances, rtol=1e-6, atol=1e-9)
    identity = DENSE[kind](part.precisions_, 3, 2) @ covariances
    assert_allclose(identity, np.stack([np.eye(2)] * 3), atol=1e-6)


PRIOR = np.diag([3.0, 400.0, 0.2, 5.0]) + 0.05
CENTER = [99.0, -9e3, 1.0, 4.0]


@pytest.mark.parametrize(
    "model",
    [
        GaussianMLE(),
        EMGaussianMixture(
            covariance_prior=PRIOR,
            degrees_of_freedom_prior=-3.0,
            mean_prior=CENTER,
            mean_precision_prior=2.0,
            reg_covar=0.0,
        ),
        BayesianGaussian(covariance_prior=PRIOR, mean_prior=CENTER, degrees_of_freedom_prior=5.5),
        BayesianGaussian(
            covariance_type="diag", covariance_prior=np.diag(PRIOR), degrees_of_freedom_prior=3.5
        ),
        VariationalGaussianMixture(
            covariance_prior=PRIOR, mean_prior=CENTER, degrees_of_freedom_prior=5.5
        ),
    ],
    ids=str,
)
def test_the_prior_of_some_columns_is_that_of_a_fit_to_them(model):
    X, kept = table(model), [3, 1]
    part = clone(model).fit(X).marginal(kept)
    again, rows = clone(part).fit(X[:, [1, 3]]), X[:, [1, 3]]
    assert_allclose(again.score_samples(rows), part.score_samples(rows), rtol=1e-7)


def test_coins_of_some_columns_go_on_counting():
    X = table(BINARY[0])
    model = BetaBernoulli(alpha=[1.0, 2.0, 3.0, 4.0]).fit(X)
    part = model.marginal([1, 2]).partial_fit(X[:10, [1, 2]])
    whole = model.partial_fit(X[:10])
    assert_allclose(part.alpha_, whole.alpha_[[1, 2]])
    assert_allclose(part.log_evidence_, whole.log_evidence_[[1, 2]])


@pytest.mark.parametrize("model", [GaussianMLE(), BayesianGaussian(), PPCA(1), BINARY[-1]], ids=str)
def test_what_knows_no_rows_takes_no_batches_until_it_is_fitted(model):
    X = table(model)
    part = clone(model).fit(X).condition({0: X[0, 0]})
    assert not hasattr(part, "partial_fit")
    with pytest.raises(AttributeError) as raised:
        part.partial_fit(X[:, 1:])
    assert "condition or marginal" in str(raised.value.__cause__)
    assert not hasattr(part, "log_evidence_")
    assert not hasattr(part, "n_samples_seen_")
    assert hasattr(part.fit(X[:, 1:]), "partial_fit")


def test_posteriors_do_not_continue_and_modes_do():
    X = table(None)
    for model in (VariationalGaussianMixture(2, **SHORT), EMGaussianMixture(2, **SHORT)):
        part = clone(model).fit(X).condition({0: X[0, 0]}).set_params(warm_start=True)
        if isinstance(part, VariationalGaussianMixture):
            with pytest.raises(ValueError, match="set warm_start=False"):
                part.fit(X[:, 1:])
            assert part.means_.shape == (2, 3)
        else:
            assert part.fit(X[:, 1:]).means_.shape == (2, 3)
    with pytest.raises(AttributeError, match="condition or marginal made"):
        BayesianGaussian().fit(X).marginal([0, 1]).credible_interval()


def test_starts_are_forgotten_and_components_are_no_more_than_columns():
    X = table(None)
    given = {"weights_init": [0.5, 0.5], "means_init": X[:2], "n_init": 2}
    model = EMGaussianMixture(2, **given, **SHORT).fit(X)
    params = model.condition({0: X[0, 0]}).get_params()
    assert params == model.get_params() | {"weights_init": None, "means_init": None}
    assert PPCA(3).fit(X).condition({0: 1.0, 1: 2.0}).get_params()["n_components"] == 2
    assert PPCA(3).fit(X).marginal([2]).n_components_ == 1


def test_single_precision_stays():
    X = table(None).astype(np.float32)
    part = EMGaussianMixture(2, **SHORT).fit(X).condition({0: X[0, 0]})
    assert part.means_.dtype == part.sample(2).dtype == np.float32
    assert part.score_samples(X[:, 1:]).dtype == np.float32


BAD_VALUES = {
    "unknown name": ({"x": 1.0}, "unknown column 'x': there is 'a', 'b', 'c', 'd', or an index"),
    "unknown index": ({4: 1.0}, "unknown column 4: .* 0 to 3"),
    "negative index": ({-1: 1.0}, "unknown column -1"),
    "truth": ({True: 1.0}, "unknown column True"),
    "everything": ({"a": 1, "b": 1, "c": 1, "d": 1}, "fixes all of the 4 columns"),
    "nothing": ({}, "names no column"),
    "missing": ({"a": np.nan}, r"values\['a'\] must be a finite number, got nan"),
    "infinite": ({"a": -np.inf}, "finite number, got -inf"),
    "text": ({"a": "high"}, "finite number, got 'high'"),
    "twice": ({"a": 1.0, 0: 1.0}, "names column 0 twice"),
    "list": ([1.0, 2.0], "must be a dict"),
}


@pytest.mark.parametrize("case", BAD_VALUES)
@pytest.mark.parametrize("model", [GaussianMLE(), BINARY[-1]], ids=str)
def test_bad_values_are_named(model, case):
    values, message = BAD_VALUES[case]
    fitted = clone(model).fit(pd.DataFrame(table(model), columns=NAMES))
    with pytest.raises(ValueError, match=message):
        fitted.condition(values)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        ([], "names no column"),
        (["x"], "unknown column 'x'"),
        ([0, "a"], "twice"),
        ("a", r"must be a list .*\['a'\]"),
        (1, r"must be a list .*\[1\]"),
    ],
)
def test_bad_features_are_named(features, message):
    fitted = GaussianMLE().fit(pd.DataFrame(table(None), columns=NAMES))
    with pytest.raises(ValueError, match=message):
        fitted.marginal(features)


def test_a_table_without_names_has_indices():
    fitted = GaussianMLE().fit(table(None))
    with pytest.raises(ValueError, match="unknown column 'a': there is 0 to 3, without names"):
        fitted.condition({"a": 1.0})
    assert fitted.marginal(np.array([2, 0])).n_features_in_ == 2
    assert not hasattr(fitted.marginal([0]), "feature_names_in_")


@every_model
def test_without_a_fit_there_is_nothing_to_condition(model):
    for call in (lambda: clone(model).condition({0: 1.0}), lambda: clone(model).marginal([0])):
        with pytest.raises(NotFittedError):
            call()


def test_values_that_are_impossible_are_refused():
    X = np.array([[1.0, 0.0, 1.0], [1.0, 1.0, 0.0]])
    for model in (BetaBernoulli(inference="mle"), BernoulliMixture(inference="mle")):
        with pytest.raises(ValueError, match="rules out the values of columns 0"):
            model.fit(X).condition({0: 0.0})
    with pytest.raises(ValueError, match=r"0, 1 and NaN, got 2.0 in row 0, column 1"):
        BetaBernoulli(binarize=None).fit(X).condition({1: 2.0})
    assert BetaBernoulli(binarize=0.5).fit(X).condition({1: 0.3}).n_features_in_ == 2
