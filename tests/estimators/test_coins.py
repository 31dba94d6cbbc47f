"""One coin and hidden coins: the formulas, both ends of them, holes and sparse rows."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.stats import beta
from sklearn.exceptions import ConvergenceWarning, DataConversionWarning
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline

from sklearn_lvm import BernoulliMixture, BetaBernoulli
from sklearn_lvm.core.blocks import Blocks

from .specs import every_coin, every_coin_mixture, log_prob, same_state, weights

N = 200
FORMATS = [sparse.csr_array, sparse.csr_matrix, sparse.csc_array, sparse.coo_array]
# k-means of scikit-learn centers dense rows alone, and along flat directions rounding grows with
# every step: climbs over dense and sparse rows are one climb from the same start, for a while.
SAME_CLIMB = {"init_params": "random", "max_iter": 10, "tol": 0.0}
every_kind = pytest.mark.parametrize(
    "kind", [np.asarray, sparse.csr_array], ids=["dense", "sparse"]
)
every_format = pytest.mark.parametrize("sparsely", FORMATS, ids=lambda f: f.__name__)


def hidden_coins(n=N, d=6, K=2, seed=0, missing=0.0):
    rng = np.random.default_rng(seed)
    p = rng.beta(0.7, 0.7, size=(K, d))
    X = (rng.uniform(size=(n, d)) < p[rng.integers(K, size=n)]).astype(float)
    X[rng.uniform(size=X.shape) < missing] = np.nan
    return X


def all_rows(d):
    return np.array(list(np.ndindex(*[2] * d)), dtype=float)


def tossed(ones, zeros):
    return np.repeat([1.0, 0.0], [ones, zeros])[:, None]


# -- one coin ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ones", "zeros"), [(1, 999_999), (999_999, 1), (3, 4), (1, 1)])
@pytest.mark.parametrize(("a", "b"), [(1.0, 1.0), (2.5, 1.5), (1e-3, 30.0)])
def test_each_inference_is_its_formula(ones, zeros, a, b):
    X, n = tossed(ones, zeros), ones + zeros
    given = {"alpha": a, "beta": b}
    bayes = BetaBernoulli(**given).fit(X)
    assert_allclose(bayes.alpha_, ones + a, rtol=1e-15)
    assert_allclose(bayes.beta_, zeros + b, rtol=1e-15)
    assert_allclose(bayes.probability_, (ones + a) / (n + a + b), rtol=1e-12)
    expected = -np.log1p([(ones + a) / (zeros + b), (zeros + b) / (ones + a)])
    assert_allclose(bayes.score_samples([[0.0], [1.0]]), expected, rtol=1e-12)
    mle = BetaBernoulli(inference="mle", **given).fit(X)
    assert_allclose(mle.probability_, ones / n, rtol=1e-12)
    mode = BetaBernoulli(inference="map", **given).fit(X)
    assert_allclose(mode.probability_, (ones + a - 1) / (n + a + b - 2), rtol=1e-12)
    assert_allclose(mode.alpha_, ones + a, rtol=1e-15)


def test_priors_may_differ_by_column():
    X = hidden_coins(d=3)
    model = BetaBernoulli(alpha=[1.0, 2.0, 3.0], beta=np.array([3.0, 2.0, 1.0])).fit(X)
    for j, (a, b) in enumerate([(1.0, 3.0), (2.0, 2.0), (3.0, 1.0)]):
        single = BetaBernoulli(alpha=a, beta=b).fit(X[:, [j]])
        assert_allclose(model.probability_[j], single.probability_[0], rtol=1e-15)
        assert_allclose(model.log_evidence_[j], single.log_evidence_[0], rtol=1e-13)


@pytest.mark.parametrize("kind", [BetaBernoulli, BernoulliMixture])
@pytest.mark.parametrize("name", ["alpha", "beta"])
@pytest.mark.parametrize(
    ("prior", "shown"),
    [
        ([2.0, 0.0, 2.0], "0.0 in column 1"),
        ([2.0, 2.0, -1.0], "-1.0 in column 2"),
        ([np.nan, 2.0, 2.0], "nan in column 0"),
        ([2.0, np.inf, 2.0], "inf in column 1"),
        ([2.0, 2.0], r"3 columns, got 'shape \(2,\)'"),
        ([["a", "b", "c"]], "got"),
    ],
    ids=["zero", "negative", "nan", "inf", "shape", "words"],
)
def test_a_bad_prior_of_a_column_is_shown_with_its_place(kind, name, prior, shown):
    with pytest.raises(ValueError, match=f"{name} must be .* finite.*{shown}"):
        kind(**{name: prior}).fit(hidden_coins(d=3))


@pytest.mark.parametrize("strength", [1e-12, 1e-6, 1e6, 1e12])
@pytest.mark.parametrize("X", [tossed(0, 3), tossed(3, 0), tossed(2, 5)], ids=["0", "1", "both"])
def test_priors_of_any_strength_are_finite(strength, X):
    model = BetaBernoulli(alpha=strength, beta=strength).fit(X)
    assert np.isfinite(model.score_samples([[0.0], [1.0]])).all()
    assert np.isfinite(model.log_evidence_).all()
    assert np.isfinite(model.sample(50, random_state=0, return_latent=True)[1]).all()
    assert np.isfinite(model.credible_interval()).all()
    mode = BetaBernoulli(alpha=1 + strength, beta=1 + strength, inference="map").fit(X)
    assert np.isfinite(mode.score_samples([[0.0], [1.0]])).all()
    mixture = BernoulliMixture(2, alpha=1 + strength, beta=1 + strength, random_state=0).fit(X)
    assert np.isfinite(mixture.score_samples([[0.0], [1.0]])).all()
    assert ((mixture.probabilities_ > 0) & (mixture.probabilities_ < 1)).all() or strength < 1e-9


@pytest.mark.parametrize(
    ("params", "columns"),
    [
        ({"inference": "map", "alpha": 0.5}, "'b'"),
        ({"inference": "map", "beta": 0.5}, "'c'"),
        ({"inference": "map", "alpha": 0.5, "beta": 0.5}, "'b', 'c'"),
    ],
    ids=["alpha", "beta", "both"],
)
def test_a_mode_that_does_not_exist_is_refused_by_name(params, columns):
    X = pd.DataFrame({"a": [0, 1], "b": [0, 0], "c": [1, 1]})
    model = BetaBernoulli(**params)
    with pytest.raises(ValueError, match=f"no estimate in column {columns}: .*Raise alpha"):
        model.fit(X)
    model.partial_fit(X)
    with pytest.raises(ValueError, match="no estimate in column"):
        model.score(X)
    for value in (0.0, 1.0):  # what was never seen comes later
        model.partial_fit(pd.DataFrame(np.full((1, X.shape[1]), value), columns=X.columns))
    assert np.isfinite(model.score(X))


def test_the_posterior_is_a_distribution_of_scipy_and_not_stored():
    X = hidden_coins(missing=0.2)
    model = BetaBernoulli(alpha=2.0).fit(X)
    assert "posterior_" not in vars(model)
    expected = beta(np.nansum(X, axis=0) + 2.0, np.nansum(1 - X, axis=0) + 1.0)
    assert_allclose(model.posterior_.mean(), model.probability_, rtol=1e-13)
    low, high = model.credible_interval(0.9)
    assert_allclose((low, high), expected.interval(0.9), rtol=1e-10)
    assert_allclose(model.posterior_.cdf(high) - model.posterior_.cdf(low), 0.9, rtol=1e-9)
    assert_allclose(model.credible_interval(), expected.interval(0.95), rtol=1e-10)
    for level in (0.0, 1.0, -1, "wide", None, np.nan):
        with pytest.raises(ValueError, match=r"level must be a number in \(0, 1\)"):
            model.credible_interval(level)


def test_a_maximum_of_the_likelihood_has_no_posterior():
    model = BetaBernoulli().fit(hidden_coins()).set_params(inference="mle").fit(hidden_coins())
    assert not {"alpha_", "beta_", "log_evidence_"} & set(vars(model))
    for ask in (lambda: model.posterior_, model.credible_interval):
        with pytest.raises(AttributeError, match="inference='mle' has no posterior"):
            ask()
    assert not hasattr(BetaBernoulli(inference="map", alpha=2).fit(hidden_coins()), "log_evidence_")


@pytest.mark.parametrize("inference", ["bayes", "map", "mle"])
@pytest.mark.parametrize("weighted", [False, True])
def test_any_split_in_any_order_is_one_fit(inference, weighted):
    X, rng = hidden_coins(missing=0.2), np.random.default_rng(0)
    w = rng.integers(1, 9, N) / 8 if weighted else np.ones(N)  # exact in binary: so are all sums
    whole = BetaBernoulli(inference=inference, alpha=2, beta=2).fit(X, sample_weight=w)
    complete = np.flatnonzero(~np.isnan(X).any(axis=1))[0]  # of a first batch each column is seen
    others = np.delete(np.arange(N), complete)
    for pieces in (1, 2, 7, N):
        parts = BetaBernoulli(inference=inference, alpha=2, beta=2)
        for rows in np.array_split([complete, *rng.permutation(others)], pieces):
            parts.partial_fit(X[rows], sample_weight=w[rows])
        assert same_state(parts, whole)


def test_dense_and_sparse_batches_are_one_stream():
    X = hidden_coins()
    mixed = BetaBernoulli().partial_fit(sparse.csr_array(X[:50])).partial_fit(X[50:].astype(bool))
    assert same_state(mixed, BetaBernoulli().fit(X))


def test_entries_are_features_for_a_classifier():
    X = hidden_coins(missing=0.1)
    model = BetaBernoulli().fit(X)
    entries = model.transform(X)
    p = model.probability_
    expected = np.where(np.isnan(X), 0.0, np.where(X > 0, np.log(p), np.log1p(-p)))
    assert_allclose(entries, expected, rtol=1e-12)
    assert_allclose(entries.sum(axis=1), model.score_samples(X), rtol=1e-12)
    assert list(model.get_feature_names_out(list("uvwxyz"))) == list("uvwxyz")
    pipeline = make_pipeline(BetaBernoulli(), GaussianNB())
    assert pipeline.fit(X, np.nan_to_num(X[:, 0])).predict(X).shape == (N,)


def test_samples_come_with_the_biases_that_were_tossed():
    X = hidden_coins(20)
    model = BetaBernoulli(random_state=0).fit(X)
    rows, biases = model.sample(20_000, return_latent=True)
    assert_array_equal(rows, model.sample(20_000))
    assert_allclose(biases.mean(axis=0), model.posterior_.mean(), atol=0.005)
    assert_allclose(biases.std(axis=0), model.posterior_.std(), rtol=0.05)
    assert_allclose(rows.mean(axis=0), model.probability_, atol=0.02)
    assert np.corrcoef(rows[:, 0], biases[:, 0])[0, 1] > 0.1
    mle = BetaBernoulli(inference="mle").fit(X)
    assert_array_equal(mle.sample(3, return_latent=True)[1], np.tile(mle.probability_, (3, 1)))


# -- both --------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@every_coin
@pytest.mark.parametrize("d", [1, 5, 12])
def test_the_probabilities_of_all_rows_sum_to_one(spec, d):
    model = spec.new().fit(hidden_coins(d=d, missing=0.1))
    rows = all_rows(d)
    for kind in (np.asarray, sparse.csr_array):
        assert_allclose(np.exp(model.score_samples(kind(rows))).sum(), 1.0, atol=1e-10)


@every_coin
def test_what_was_not_observed_is_summed_out(spec):
    model = spec.new().fit(hidden_coins(d=5, missing=0.1))
    holed = np.array([[1, np.nan, 0, np.nan, 1], [np.nan] * 5])
    full = all_rows(5)
    for row, score in zip(holed, model.score_samples(holed), strict=True):
        matches = (np.isnan(row) | (full == row)).all(axis=1)
        total = np.exp(model.score_samples(full[matches])).sum()
        assert_allclose(score, np.log(total), rtol=1e-10, atol=1e-12)


@every_coin
@every_kind
def test_a_column_of_which_nothing_was_seen_is_named_by_a_fit_and_by_the_first_batch(spec, kind):
    X, w = hidden_coins(missing=0.1), np.ones(N)
    empty = X.copy()
    empty[1:, 2], w[0] = np.nan, 0.0  # what is seen in a row of no weight counts for nothing
    for call in (spec.new().fit, spec.new().partial_fit):
        with pytest.raises(ValueError, match="no observed entry in column 2, NaN in every row"):
            call(kind(empty), sample_weight=w)
    names = list("abcdef")
    with pytest.raises(ValueError, match="no observed entry in column 'c'"):
        spec.new().fit(pd.DataFrame(empty[1:], columns=names))
    model = spec.new().partial_fit(kind(X)).partial_fit(kind(empty[1:]))
    assert np.isfinite(model.score(X))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@every_coin
@every_kind
def test_a_row_of_which_nothing_was_seen_is_not_there(spec, kind):
    X, w = hidden_coins(missing=0.1), weights(N + 1)
    more = np.insert(X, 3, np.nan, axis=0)
    given = SAME_CLIMB if spec.mixture else {}
    model = spec.new(**given).fit(kind(more), sample_weight=w)
    assert same_state(model, spec.new(**given).fit(kind(X), sample_weight=np.delete(w, 3)))
    assert_allclose(model.score_samples(kind(more))[3], 0.0, atol=1e-14)
    if spec.mixture:
        assert_allclose(model.transform(kind(more))[3], model.weights_, rtol=1e-12)
    else:
        assert_allclose(model.n_samples_seen_, np.delete(w, 3).sum())


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@every_coin
@every_format
@pytest.mark.parametrize("missing", [0.0, 0.2])
def test_sparse_rows_are_dense_rows(spec, sparsely, missing):
    X, w = hidden_coins(missing=missing), weights(N)
    given = SAME_CLIMB if spec.mixture else {}
    one, other = (spec.new(**given).fit(rows, sample_weight=w) for rows in (X, sparsely(X)))
    assert_allclose(other.score_samples(sparsely(X)), one.score_samples(X), rtol=1e-9)
    assert_allclose(other.transform(sparsely(X)), one.transform(X), rtol=1e-8, atol=1e-10)
    assert_allclose(other.score_samples(X), one.score_samples(sparsely(X)), rtol=1e-9)


@every_coin
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int8, np.int64, np.float32])
def test_any_type_of_numbers_will_do(spec, dtype):
    X = hidden_coins()
    assert_allclose(spec.new().fit(X.astype(dtype)).score(X), spec.new().fit(X).score(X), rtol=1e-6)
    assert spec.new().fit(X.astype(dtype)).sample(2).dtype.kind == "f"


@every_coin
def test_a_threshold_makes_ones_of_what_is_above_it(spec):
    X = hidden_coins(missing=0.1)
    plain = spec.new().fit(X)
    graded = np.where(X == 1, 7.5, np.where(np.isnan(X), np.nan, 2.5))
    for threshold in (2.5, 5.0, np.float32(7.0)):
        model = spec.new(binarize=threshold).fit(graded)
        assert_array_equal(model.score_samples(graded), plain.score_samples(X))
    assert_array_equal(spec.new(binarize=None).fit(X).score_samples(X), plain.score_samples(X))
    below = spec.new(binarize=-1.0).fit(X - 1.5)
    assert_array_equal(below.score_samples(X - 1.5), plain.score_samples(X))


@every_coin
@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array], ids=["dense", "sparse"])
@pytest.mark.parametrize("bad", [2.0, -1.0, 0.5, 1e-300])
def test_without_a_threshold_anything_else_is_shown_with_its_place(spec, kind, bad):
    X = hidden_coins(missing=0.1)
    X[17, 4] = bad
    with pytest.raises(
        ValueError, match=f"binarize=None .* got {bad} in row 17, column 4"
    ) as caught:
        spec.new(binarize=None).fit(kind(X))
    assert "threshold" in str(caught.value)
    fitted = spec.new(binarize=None).fit(hidden_coins())
    with pytest.raises(ValueError, match="row 17, column 4"):
        fitted.score_samples(kind(X))


def test_a_column_is_named_if_it_has_a_name():
    X = pd.DataFrame({"yes": [0, 1], "count": [0, 3]})
    with pytest.raises(ValueError, match="got 3 in row 1, column 'count'"):
        BetaBernoulli(binarize=None).fit(X)


@every_coin
def test_a_threshold_below_zero_makes_no_sense_of_sparse_rows(spec):
    with pytest.raises(ValueError, match=r"binarize=-0.5 .* at least 0"):
        spec.new(binarize=-0.5).fit(sparse.csr_array(hidden_coins()))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@every_coin
def test_entries_stored_twice_are_one_entry(spec):
    twice = sparse.csr_array((np.array([0.4, 0.4, 0.7]), np.array([0, 0, 1]), np.array([0, 2, 3])))
    before = twice.copy()
    dense = np.array([[0.8, 0.0], [0.0, 0.7]])
    given = SAME_CLIMB if spec.mixture else {}
    one, other = (spec.new(binarize=0.5, **given).fit(X) for X in (twice, dense))
    assert_allclose(one.score_samples(twice), other.score_samples(dense), rtol=1e-10)
    assert len(twice.data) == len(before.data) == 3


def test_an_impossible_row_of_no_weight_is_not_there():
    X = np.array([[1.0], [1.0], [0.0]])
    w = np.array([1.0, 2.0, 0.0])
    for model in (BetaBernoulli(inference="mle"), BernoulliMixture(1, inference="mle")):
        model.fit(X, sample_weight=w)
        assert model.score_samples(X)[2] == -np.inf
        assert model.score(X, sample_weight=w) == 0.0
        assert_allclose(model.bic(X, w), np.log(3.0))
        assert model.score(X) == -np.inf


@every_coin
def test_infinity_is_no_entry(spec):
    X = hidden_coins()
    X[3, 2] = np.inf
    for rows in (X, sparse.csr_array(X)):
        with pytest.raises(ValueError, match="infinity"):
            spec.new().fit(rows)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@every_coin
def test_sparse_rows_are_never_dense(spec):
    """A dense copy of these rows would take 1.6 GB, of a block of them 80 MB and more."""
    n, d = 2_000, 100_000
    X = sparse.random_array((n, d), density=1e-4, format="csr", rng=np.random.default_rng(0))
    given = {"max_iter": 2, "tol": 1.0} if spec.mixture else {}
    spec.new(**given).fit(X[:10])  # what is loaded at first use
    tracemalloc.start()
    model = spec.new(**given).fit(X)
    scores = model.score_samples(X)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.isfinite(scores).all()
    assert peak < 0.1 * 8 * n * d


# -- hidden coins ------------------------------------------------------------------------------------


@every_coin_mixture
def test_probabilities_are_inside_unless_likelihood_alone_decides(spec):
    X = hidden_coins(d=4)
    X[:, 0] = 1.0
    X[:, 1] = 0.0
    p = spec.new().fit(X).probabilities_
    if spec.prior:
        assert ((p > 0) & (p < 1)).all()
    else:
        assert_array_equal(p[:, :2], np.tile([1.0, 0.0], (len(p), 1)))


def test_an_impossible_row_has_no_probability_but_a_place():
    X = hidden_coins(d=4)
    X[:, 0] = 1.0
    model = BernoulliMixture(2, inference="mle", random_state=0).fit(X)
    rows = np.array([[0.0, 1.0, 0.0, 1.0]])
    assert model.score_samples(rows)[0] == -np.inf
    assert log_prob(model, rows)[0] == -np.inf
    assert_allclose(model.predict_proba(rows).sum(), 1.0)
    assert BetaBernoulli(inference="mle").fit(X).score_samples(rows)[0] == -np.inf


def test_a_flat_prior_is_maximum_likelihood():
    X = hidden_coins(500, d=8)
    flat = BernoulliMixture(2, alpha=1.0, beta=1.0, random_state=0).fit(X)
    assert_allclose(
        flat.score(X), BernoulliMixture(2, inference="mle", random_state=0).fit(X).score(X)
    )


def test_one_component_is_the_mode_of_one_coin():
    X = hidden_coins(missing=0.1)
    model = BernoulliMixture(1, alpha=2.0, beta=3.0).fit(X)
    single = BetaBernoulli(inference="map", alpha=2.0, beta=3.0).fit(X)
    assert_allclose(model.probabilities_[0], single.probability_, rtol=1e-12)
    assert_allclose(model.score_samples(X), single.score_samples(X), rtol=1e-11)


@every_coin_mixture
def test_parameters_are_counted(spec):
    K = spec.estimator.n_components
    assert spec.new().fit(hidden_coins(d=5)).n_parameters_ == 5 * K + K - 1


def test_the_coins_that_made_the_rows_are_found():
    rng = np.random.default_rng(0)
    p = np.array([[0.9, 0.9, 0.1, 0.1, 0.5], [0.1, 0.2, 0.8, 0.9, 0.5]])
    labels = rng.integers(2, size=20_000)
    X = (rng.uniform(size=(20_000, 5)) < p[labels]).astype(float)
    X[rng.uniform(size=X.shape) < 0.2] = np.nan
    model = BernoulliMixture(2, random_state=0).fit(X)
    order = np.argsort(model.probabilities_[:, 2])
    assert_allclose(model.probabilities_[order], p, atol=0.03)
    assert (order[labels] == model.predict(X)).mean() > 0.9


def test_there_may_be_more_components_than_distinct_rows():
    X = np.array([[0.0, 1.0], [1.0, 1.0], [0.0, 1.0]])
    model = BernoulliMixture(5, random_state=0).fit(X)
    assert_allclose(np.exp(model.score_samples(all_rows(2))).sum(), 1.0)


STARTS = {
    "weights shape": ({"weights_init": [1.0]}, r"weights_init must be of shape \(2,\), got \(1,\)"),
    "weights sum": ({"weights_init": [0.5, 0.6]}, "weights_init must be .* sum 1.1"),
    "shape": ({"probabilities_init": [[0.5]]}, r"probabilities_init must be of shape \(2, 6\)"),
    "range": ({"probabilities_init": np.full((2, 6), 1.5)}, r"in \[0, 1\], got 1.5"),
}


@pytest.mark.parametrize("case", STARTS)
def test_a_bad_start_is_named(case):
    params, message = STARTS[case]
    with pytest.raises(ValueError, match=message):
        BernoulliMixture(2, **params).fit(hidden_coins())


def test_a_start_may_be_given():
    X = hidden_coins(500)
    start = {"weights_init": [0.3, 0.7], "probabilities_init": [[0.2] * 6, [0.6] * 6]}
    with pytest.warns(ConvergenceWarning):
        at_once = BernoulliMixture(2, inference="mle", max_iter=1, tol=0, **start).fit(X)
    p, w = np.array(start["probabilities_init"]), np.array(start["weights_init"])
    joint = w * np.exp(X @ np.log(p).T + (1 - X) @ np.log1p(-p).T)
    resp = joint / joint.sum(axis=1, keepdims=True)
    assert_allclose(at_once.weights_, resp.mean(axis=0), rtol=1e-12)
    assert_allclose(at_once.probabilities_, resp.T @ X / resp.sum(axis=0)[:, None], rtol=1e-11)
    for name in start:
        model = BernoulliMixture(2, random_state=0, **{name: start[name]}).fit(X)
        assert np.isfinite(model.lower_bound_)


def test_a_start_that_the_prior_excludes_is_refused():
    start = {"weights_init": [0.5, 0.5], "probabilities_init": [[0.0] * 6, [0.5] * 6]}
    with pytest.raises(ValueError, match=r"exactly 0 or 1 has no log-prior"):
        BernoulliMixture(2, **start).fit(hidden_coins())


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@every_coin_mixture
def test_a_warm_start_goes_on(spec):
    X = hidden_coins(500, d=8)
    model = spec.new(warm_start=True, max_iter=2, tol=0).fit(X)
    before = model.lower_bound_
    assert model.fit(X).lower_bound_ >= before


@every_coin_mixture
def test_a_stream_comes_near_a_fit(spec):
    X = hidden_coins(6000, d=12)
    fitted, stream = spec.new().fit(X), spec.new()
    for rows in np.array_split(np.random.default_rng(1).permutation(6000), 30):
        stream.partial_fit(X[rows])
    assert stream.score(X) > fitted.score(X) - 0.02
    assert stream.n_iter_ > 29
    assert not stream.converged_
    assert_allclose(np.exp(stream.score_samples(all_rows(12))).sum(), 1.0, atol=1e-10)


@every_coin_mixture
def test_the_first_batch_is_a_fit_and_a_fit_is_gone_on_from(spec):
    X = hidden_coins(1000, d=8)
    assert same_state(spec.new().partial_fit(X), spec.new().fit(X))
    model = spec.new().fit(X)
    before = model.score(X)
    model.partial_fit(X[:10])
    assert abs(model.score(X) - before) < 0.01
    model.set_params(n_components=model.n_components + 1)
    with pytest.raises(ValueError, match="n_components"):
        model.partial_fit(X)


@every_coin_mixture
def test_responsibilities_of_sparse_rows_are_features(spec):
    X = hidden_coins()
    model = spec.new().fit(X)
    assert_allclose(model.transform(sparse.csr_array(X)), model.predict_proba(X), atol=1e-12)
    assert_array_equal(model.predict(sparse.csr_array(X)), model.predict(X))
    with pytest.raises(ValueError, match=r"no sparse X; transform"):
        model.predict_proba(sparse.csr_array(X))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@every_coin_mixture
def test_rows_on_disk_are_the_same_rows(spec, tmp_path):
    X = hidden_coins(5000, d=40)
    np.save(tmp_path / "rows.npy", X)
    mapped = np.load(tmp_path / "rows.npy", mmap_mode="r")
    given = {"max_iter": 5, "tol": 1.0}
    assert same_state(spec.new(**given).fit(mapped), spec.new(**given).fit(X))


def test_many_tosses_of_few_coins_are_fitted_as_closely_as_they_tell():
    """Few rows are distinct, but each was seen often: what is left to gain is little in all."""
    rng = np.random.RandomState(0)
    p = rng.uniform(0.2, 0.8, (3, 8))
    X = rng.uniform(size=(100_000, 8)) < p[rng.randint(3, size=100_000)]
    bic = [BernoulliMixture(K, random_state=0).fit(X).bic(X) for K in (2, 3, 4)]
    assert np.argmin(bic) == 1
    closest = BernoulliMixture(3, tol=1e-8, random_state=0).fit(X).bic(X)
    assert bic[1] - closest < 10


def test_equal_rows_are_fitted_once(monkeypatch):
    seen, held = [], Blocks.held

    def recorded(self):
        seen.append(len(self.w))
        return held(self)

    monkeypatch.setattr(Blocks, "held", recorded)
    X = hidden_coins(5000, d=6)
    n_distinct = len(np.unique(X, axis=0))
    BernoulliMixture(2, alpha=1.5, beta=1.5, random_state=0).fit(X)
    assert set(seen) == {n_distinct}
    BernoulliMixture(2, random_state=0).fit(X)  # some are held back for the choice of a prior
    assert max(seen) == n_distinct


# -- priors that are chosen ----------------------------------------------------------------------------


def test_a_prior_is_chosen_and_told_of():
    X = hidden_coins(400, d=12, missing=0.1)
    model = BernoulliMixture(3, random_state=0).fit(X)
    strength = model.prior_["n_pseudo_observations"]
    assert model.prior_["kind"] == "columns"
    assert strength in [s for _, s, _ in model.prior_["held_out_scores"]]
    assert model.alpha_.shape == model.beta_.shape == (12,)
    assert_allclose(model.alpha_ + model.beta_ - 2.0, strength)
    assert_allclose((model.alpha_ - 1.0) / strength, 0.9 * np.nanmean(X, axis=0) + 0.05)
    given = BernoulliMixture(3, alpha=model.alpha_, beta=model.beta_, random_state=0).fit(X)
    assert_allclose(given.score_samples(X), model.score_samples(X), rtol=1e-9)
    assert given.prior_ == {
        "kind": "given",
        "n_pseudo_observations": pytest.approx(strength),
        "held_out_scores": [],
    }


def test_a_prior_does_not_depend_on_starts():
    X = hidden_coins(400, d=12)
    models = [
        BernoulliMixture(3, random_state=seed, n_init=n_init).fit(X)
        for seed, n_init in ((0, 1), (1, 1), (2, 3))
    ]
    for model in models[1:]:
        assert model.prior_ == models[0].prior_
        assert_array_equal(model.alpha_, models[0].alpha_)


def test_maximum_likelihood_has_no_prior():
    model = BernoulliMixture(2, inference="mle", random_state=0).fit(hidden_coins())
    assert model.prior_["kind"] is None
    assert_array_equal([model.alpha_, model.beta_], np.ones((2, 6)))


@pytest.mark.parametrize(("name", "other"), [("alpha", "beta"), ("beta", "alpha")])
def test_one_of_both_may_be_given(name, other):
    X = hidden_coins(400)
    value = np.linspace(1.0, 3.0, 6)
    model = BernoulliMixture(2, random_state=0, **{name: value}).fit(X)
    assert_array_equal(getattr(model, f"{name}_"), value)
    assert (getattr(model, f"{other}_") > 1.0).all()
    assert model.prior_["kind"] == other


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_a_chosen_prior_is_kept_by_batches_and_warm_starts():
    X, other = hidden_coins(400, d=12), hidden_coins(400, d=12, seed=1)
    model = BernoulliMixture(3, random_state=0, warm_start=True).fit(X)
    alpha, prior = model.alpha_, model.prior_
    for goes_on in (model.partial_fit, model.fit):
        goes_on(other)
        assert_array_equal(model.alpha_, alpha)
        assert model.prior_ == prior
    model.set_params(alpha=3.0).partial_fit(other)
    assert_array_equal(model.alpha_, np.full(12, 3.0))
    model.set_params(alpha="auto", warm_start=False).fit(other)
    assert model.prior_ == BernoulliMixture(3, random_state=0).fit(other).prior_


@pytest.mark.parametrize("strength", [1.5, 5.0, 17.0])
def test_a_prior_counts_once_in_a_fit_and_the_batches_after_it(strength):
    X = hidden_coins(1000, d=8)
    model = BernoulliMixture(2, alpha=strength, beta=strength, random_state=0).fit(X)
    before = model.score(X)
    model.partial_fit(X[:10])
    assert abs(model.score(X) - before) < 0.005


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_few_rows_have_a_fixed_prior(n):
    X = hidden_coins(n)
    model = BernoulliMixture(2, random_state=0).fit(X)
    assert model.prior_["n_pseudo_observations"] == 2.0
    assert np.isfinite(model.score_samples(all_rows(6))).all()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_many_columns_and_few_rows_are_more_likely_than_under_any_one_prior():
    """Of 60 columns one table is noise, the other two patterns: no symmetric prior suits both."""
    rng = np.random.default_rng(0)
    noise = (rng.uniform(size=(2200, 60)) < rng.uniform(0.2, 0.5, 60)).astype(float)
    p = np.where(rng.uniform(size=(10, 60)) < 0.9, 0.01, 0.9)
    patterns = (rng.uniform(size=(2200, 60)) < p[rng.integers(10, size=2200)]).astype(float)

    def scores(**prior):
        return np.array(
            [
                BernoulliMixture(10, random_state=0, **prior).fit(X[:200]).score(X[200:])
                for X in (noise, patterns)
            ]
        )

    automatic = scores()
    for value in (1.1, 1.5, 2.0, 5.0):
        assert automatic.sum() > scores(alpha=value, beta=value).sum()


# -- codes other than 0 and 1 --------------------------------------------------------------------------

CODES = {
    "1 and 2": ([1, 2], r"ones, .* binarize=0.0, .* from 1 to 2\. .* such as 1\.5"),
    "shares": ([0.2, 0.7], r"ones, .* such as 0\.45"),
    "negative": ([-1.0, -2.0], r"zeros, .* binarize=0.0, .* from -2 to -1\. .* such as -1\.5"),
    "0 and -1": ([0, -1], r"zeros, .* such as -0\.5"),
}
kinds_of_tables = pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])


@every_coin
@kinds_of_tables
@pytest.mark.parametrize("codes", CODES)
def test_codes_that_the_threshold_does_not_tell_apart_are_told_of(spec, codes, kind):
    values, message = CODES[codes]
    larger = np.random.default_rng(0).integers(0, 2, (200, 6)) == 1
    X = np.where(larger, max(values), min(values))
    with pytest.warns(DataConversionWarning, match=message) as caught:
        spec.new().fit(kind(X))
    assert caught[0].filename == __file__
    apart = spec.new(binarize=np.mean(values)).fit(X)
    assert_array_equal(apart.score_samples(X), spec.new().fit(larger).score_samples(larger))


@every_coin
@kinds_of_tables
@pytest.mark.parametrize("value", [0.0, 1.0, 2.0])
def test_tables_of_one_value_are_what_they_are(spec, value, kind):
    X = np.full((50, 4), value)
    assert np.isfinite(spec.new().fit(kind(X)).score(X))


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")  # of equal rows
@every_coin
def test_rows_of_no_weight_and_missing_entries_are_on_no_side(spec):
    X = np.full((50, 4), 1.0)
    X[0], X[1, 1] = 2.0, np.nan
    assert np.isfinite(spec.new().fit(X, sample_weight=np.arange(50) > 0).score(X))
    with pytest.warns(DataConversionWarning, match="binarize"):
        spec.new().fit(X)
