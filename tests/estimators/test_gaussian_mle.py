"""One Gaussian: the exact maximum, a stream of rows, and what becomes of singular covariances."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.linalg import cholesky, solve_triangular

from sklearn_lvm import CovarianceWarning, GaussianMLE

from .specs import clouds, every_gaussian_maximum, every_gaussian_single, weights

N, D = 150, 3
PUBLIC = {"full": lambda C: C, "diag": np.diag, "spherical": lambda C: np.trace(C) / len(C)}
PATTERN = {"full": np.ones((D, D)), "diag": np.eye(D), "spherical": np.eye(D)}
every_type = pytest.mark.parametrize("covariance_type", PUBLIC)


@pytest.fixture
def X():
    return clouds(N)


def plain(X, w=None):
    """Weighted mean and covariance by numpy."""
    return np.average(X, axis=0, weights=w), np.cov(X.T, aweights=w, bias=True)


@every_type
@pytest.mark.parametrize("weighted", [False, True])
def test_the_estimate_is_in_closed_form(covariance_type, weighted, X):
    w = weights(N) if weighted else None
    model = GaussianMLE(covariance_type=covariance_type).fit(X, sample_weight=w)
    mean, C = plain(X, w)
    expected = PUBLIC[covariance_type](C)
    assert_allclose(model.mean_, mean, rtol=1e-12)
    assert_allclose(model.covariance_, expected, rtol=1e-12, atol=1e-12)
    inverse = np.linalg.inv(C) if covariance_type == "full" else 1 / expected
    assert_allclose(model.precision_, inverse, rtol=1e-11, atol=1e-12)


@every_gaussian_maximum
def test_log_likelihood_is_the_sum_of_the_scores(spec, X):
    w = weights(N)
    model = spec.new().fit(X, sample_weight=w)
    assert_allclose(model.log_likelihood_, w @ model.score_samples(X), rtol=1e-12)
    assert_allclose(model.n_samples_seen_, w.sum(), rtol=1e-15)
    unweighted = spec.new().fit(X)
    assert_allclose(unweighted.log_likelihood_, unweighted.score_samples(X).sum(), rtol=1e-12)
    assert unweighted.n_samples_seen_ == N
    assert type(unweighted.n_samples_seen_) is int
    assert type(model.log_likelihood_) is float


@every_type
def test_whitening_is_by_the_lower_cholesky_factor(covariance_type, X):
    model = GaussianMLE(covariance_type=covariance_type).fit(X)
    L = cholesky(model.covariance_ * np.ones((D, D)) * PATTERN[covariance_type], lower=True)
    expected = solve_triangular(L, (X - model.mean_).T, lower=True).T
    assert_allclose(model.transform(X), expected, rtol=1e-10, atol=1e-12)


@every_gaussian_single
@pytest.mark.parametrize("unit", [1e-9, 1.0, 1e9])
def test_inverse_transform_undoes_transform(spec, unit, X):
    model = spec.new().fit(unit * X + 3.0)
    rows = unit * X[:20] + 3.0
    back = model.inverse_transform(model.transform(rows))
    assert_allclose(back, rows, rtol=0, atol=1e-14 * abs(rows).max())
    noise = np.random.default_rng(0).normal(size=(20, D))
    assert_allclose(model.transform(model.inverse_transform(noise)), noise, atol=1e-6)


@every_gaussian_single
def test_inverse_transform_refuses_another_width(spec, X):
    model = spec.new().fit(X)
    with pytest.raises(ValueError, match=r"Z has 2 columns, expected 3"):
        model.inverse_transform(X[:, :2])
    with pytest.raises(ValueError, match="Z"):
        model.inverse_transform(np.full((2, D), np.nan))


# -- singular covariances ----------------------------------------------------------------------------


def with_copy(X):
    return np.column_stack([X, X[:, 0] + X[:, 1]])


def with_constant(X):
    return np.column_stack([X, np.full(len(X), 7.0)])


@every_type
@pytest.mark.parametrize("reg_covar", [0.0, 1e-6, 0.5])
def test_reg_covar_leaves_regular_covariances_alone(covariance_type, reg_covar, X):
    model = GaussianMLE(covariance_type=covariance_type, reg_covar=reg_covar).fit(X)
    exact = PUBLIC[covariance_type](plain(X)[1])
    assert_allclose(model.covariance_, exact, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("reg_covar", [1e-6, 1e-2])
def test_dependent_features_get_a_share_of_their_own_variance(reg_covar, X):
    X = with_copy(X) * [1e-3, 1.0, 1e3, 1.0]
    with pytest.warns(CovarianceWarning, match="singular"):
        model = GaussianMLE(reg_covar=reg_covar).fit(X)
    C = plain(X)[1]
    size = np.sqrt(np.diag(C))
    expected = C + reg_covar * np.diag(np.diag(C))
    assert_allclose(
        model.covariance_ / np.outer(size, size),
        expected / np.outer(size, size),
        rtol=1e-11,
        atol=1e-12,
    )


@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_a_constant_feature_gets_a_share_of_the_median_variance(covariance_type, X):
    X = with_constant(X)
    with pytest.warns(CovarianceWarning, match=r"features 3 "):
        model = GaussianMLE(covariance_type=covariance_type, reg_covar=1e-3).fit(X)
    C = plain(X)[1]
    variance = np.diag(C).copy()
    variance[3] = np.median(variance[:3])
    expected = C + 1e-3 * np.diag(variance)
    assert_allclose(model.covariance_, PUBLIC[covariance_type](expected), rtol=1e-11, atol=1e-11)
    assert np.isfinite(model.score_samples(X)).all()


def test_a_constant_feature_is_no_trouble_for_one_variance(X):
    model = GaussianMLE(covariance_type="spherical").fit(with_constant(X))
    assert_allclose(model.covariance_, np.trace(plain(X)[1]) / 4, rtol=1e-12)


def test_the_warning_names_features_and_the_remedy_was_used(X):
    rows = pd.DataFrame(with_constant(X), columns=["length", "width", "height", "color"])
    with pytest.warns(CovarianceWarning, match="color") as caught:
        GaussianMLE().fit(rows)
    (warning,) = caught
    assert "reg_covar=1e-06" in str(warning.message)
    assert "length" not in str(warning.message)
    assert warning.filename == __file__


def test_many_singular_features_are_counted():
    X = np.random.default_rng(0).normal(size=(5, 20))
    with pytest.warns(CovarianceWarning, match="and 11 more"):
        GaussianMLE().fit(X)


@every_gaussian_maximum
def test_the_likelihood_of_a_regularized_gaussian_is_its_own(spec, X):
    X = with_constant(X)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CovarianceWarning)
        model = spec.new(reg_covar=1e-2).fit(X)
    assert_allclose(model.log_likelihood_, model.score_samples(X).sum(), rtol=1e-11)


@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_without_reg_covar_singular_data_are_refused(covariance_type, X):
    rows = pd.DataFrame(with_constant(X), columns=["length", "width", "height", "color"])
    model = GaussianMLE(covariance_type=covariance_type, reg_covar=0)
    with pytest.raises(ValueError, match=r"singular.*color.*reg_covar > 0"):
        model.fit(rows)
    with pytest.raises(ValueError, match=r"singular.*3.*reg_covar > 0"):
        model.fit(rows.to_numpy())


def test_dependent_features_are_refused_by_name_without_reg_covar(X):
    with pytest.raises(ValueError, match=r"singular: features [0-3] .*reg_covar"):
        GaussianMLE(reg_covar=0).fit(with_copy(X))


@every_gaussian_single
@pytest.mark.parametrize("copies", [1, 5])
@pytest.mark.parametrize("reg_covar", [0.0, 1e-6])
def test_a_single_distinct_row_is_refused(spec, copies, reg_covar, X):
    with pytest.raises(ValueError, match="n_samples=1"):
        spec.new(reg_covar=reg_covar).fit(np.repeat(X[:1], copies, axis=0))


@every_gaussian_single
def test_rows_of_no_weight_make_no_density(spec, X):
    w = np.zeros(N)
    w[3] = 2.0
    with pytest.raises(ValueError, match="n_samples=1"):
        spec.new().fit(X, sample_weight=w)


def test_the_singular_case_ignores_order_and_repetition_to_the_last_bit():
    rng = np.random.default_rng(0)
    X, times = rng.normal(size=(6, 12)), np.array([1, 2, 0, 3, 1, 1])
    repeated = rng.permutation(np.repeat(X, times, axis=0))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CovarianceWarning)
        one = GaussianMLE().fit(X, sample_weight=times)
        other = GaussianMLE().fit(repeated)
    assert_array_equal(one.covariance_, other.covariance_)


# -- streams -----------------------------------------------------------------------------------------


def check_same_estimate(stream, whole, X):
    """Equal to 1e-12 of each feature's standard deviation."""
    size = X.std(axis=0)
    assert_allclose(stream.mean_ / size, whole.mean_ / size, rtol=1e-15, atol=1e-12)
    if whole.covariance_type == "full":
        size = np.outer(size, size)
    elif whole.covariance_type == "diag":
        size = size**2
    else:
        size = (size**2).mean()
    assert_allclose(stream.covariance_ / size, whole.covariance_ / size, rtol=0, atol=1e-12)


@every_gaussian_single
@given(
    seed=st.integers(0, 10**6),
    cuts=st.lists(st.integers(1, 39), max_size=5, unique=True),
    weighted=st.booleans(),
)
def test_any_split_in_any_order_equals_one_fit(spec, seed, cuts, weighted):
    rng = np.random.default_rng(seed)
    X, w = rng.normal(size=(40, D)) * [1.0, 1e-3, 1e5] + [0.0, 5.0, -1e6], rng.uniform(0.1, 2, 40)
    w = w if weighted else np.ones(40)
    order, stream = rng.permutation(40), spec.new()
    for part in np.split(order, sorted(cuts)):
        stream.partial_fit(X[part], sample_weight=w[part])
    whole = spec.new().fit(X, sample_weight=w)
    check_same_estimate(stream, whole, X)
    assert_allclose(stream.n_samples_seen_, w.sum(), rtol=1e-14)
    for name in {"log_likelihood_", "log_evidence_"} & vars(whole).keys():
        assert_allclose(getattr(stream, name), getattr(whole, name), rtol=1e-10)
    assert_allclose(stream.score_samples(X), whole.score_samples(X), rtol=1e-10)
    assert_allclose(stream.transform(X), whole.transform(X), rtol=1e-9, atol=1e-9)
    back = stream.inverse_transform(stream.transform(X))
    assert_allclose(back, X, rtol=1e-12, atol=1e-12 * abs(X).max())


@every_gaussian_single
def test_rows_may_come_one_by_one(spec, X):
    stream = spec.new()
    for row in X:
        stream.partial_fit(row[None])
    check_same_estimate(stream, spec.new().fit(X), X)
    assert stream.n_samples_seen_ == N


@every_gaussian_single
@pytest.mark.parametrize("first", [1, 2, 75])
@pytest.mark.parametrize("unit", [1e-150, 1e-30, 1e30, 1e150])
def test_a_stream_has_no_unit_of_its_own(spec, first, unit, X):
    stream = spec.new().partial_fit(unit * X[:first]).partial_fit(unit * X[first:])
    check_same_estimate(stream, spec.new().fit(unit * X), unit * X)


@every_gaussian_single
@pytest.mark.parametrize("offset", [1e4, 1e8])
def test_a_stream_far_from_zero_loses_no_digits(spec, offset, X):
    near = (X + offset) - offset
    stream = spec.new().partial_fit(X[:40] + offset).partial_fit(X[40:] + offset)
    whole = spec.new().fit(near)
    assert_allclose(stream.covariance_, whole.covariance_, rtol=1e-12, atol=1e-12)


@every_gaussian_single
@given(seed=st.integers(0, 10**6), cuts=st.lists(st.integers(1, 39), max_size=5, unique=True))
def test_features_may_stand_still_for_a_while(spec, seed, cuts):
    rng = np.random.default_rng(seed)
    X = rng.choice([0.0, 1.0], size=(40, D), p=[0.9, 0.1]) * [1.0, 1e-6, 1e6]
    X[:2] = [[0.0, 1e-6, 0.0], [1.0, 0.0, 1e6]]
    order, stream = rng.permutation(40), spec.new()
    for part in np.split(order, sorted(cuts)):
        stream.partial_fit(X[part])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CovarianceWarning)
        whole = spec.new().fit(X)
    check_same_estimate(stream, whole, X)


@pytest.mark.parametrize("covariance_type", ["full", "diag"])
@pytest.mark.parametrize("first", [1, 2, 10])
def test_a_feature_may_stand_still_for_ever(covariance_type, first, X):
    """Its regularized variance is that of one fit, too."""
    X = with_constant(X * [1.0, 10.0, 100.0])
    model = GaussianMLE(covariance_type=covariance_type, reg_covar=0.1)
    stream = model.partial_fit(X[:first]).partial_fit(X[first:])
    with pytest.warns(CovarianceWarning, match="features 3"):
        whole = GaussianMLE(covariance_type=covariance_type, reg_covar=0.1).fit(X)
    size = np.append(X[:, :3].std(axis=0), np.median(X[:, :3].std(axis=0)))
    size = np.outer(size, size) if covariance_type == "full" else size**2
    assert_allclose(stream.covariance_ / size, whole.covariance_ / size, rtol=0, atol=1e-12)


@every_gaussian_single
@pytest.mark.parametrize("at_once", [1, 130])
@pytest.mark.parametrize("unit", [1e-30, 1e-120, 1e-200, 1e-310, 1e120])
def test_later_rows_may_be_of_another_size(spec, unit, at_once, X):
    """As p-values are: first a batch of tiny ones, then large ones, by one or all at once."""
    rows = np.concatenate([unit * X[:20], X[20:]])
    stream = spec.new().partial_fit(rows[:20])
    for start in range(20, N, at_once):
        stream.partial_fit(rows[start : start + at_once])
    check_same_estimate(stream, spec.new().fit(rows), rows)


@every_gaussian_single
@pytest.mark.parametrize("unit", [1e-250, 1e-200, 1e200])
def test_streams_of_any_size_score_like_one_fit(spec, unit, X):
    """Also where covariances cannot be written."""
    rows = unit * X
    stream = spec.new().partial_fit(rows[:1]).partial_fit(rows[1:])
    assert_allclose(
        stream.score_samples(rows), spec.new().fit(rows).score_samples(rows), rtol=1e-10
    )


@every_gaussian_single
def test_a_first_batch_of_equal_rows_is_no_unit(spec, X):
    """Its features have no variance that could serve as one."""
    stream = spec.new().partial_fit(np.repeat(1e-8 * X[:1], 4, axis=0)).partial_fit(1e-8 * X)
    rows = 1e-8 * np.concatenate([np.repeat(X[:1], 4, axis=0), X])
    check_same_estimate(stream, spec.new().fit(rows), rows)


@every_gaussian_single
def test_too_few_rows_are_no_error_until_they_are_scored(spec, X):
    stream = spec.new().partial_fit(X[:1]).partial_fit(X[:1])
    for method in ("score_samples", "score", "transform", "inverse_transform", "bic"):
        with pytest.raises(ValueError, match="n_samples=1"):
            getattr(stream, method)(X)
    with pytest.raises(ValueError, match="n_samples=1"):
        stream.sample()
    stream.partial_fit(X)
    assert np.isfinite(stream.score(X))


def test_a_stream_warns_where_its_covariance_is_used(X):
    """partial_fit is silent, more rows may come; scoring a singular covariance is not."""
    stream = GaussianMLE().partial_fit(X[:2])
    with pytest.warns(CovarianceWarning, match="singular"):
        stream.score(X)
    stream.partial_fit(X)
    stream.score(X)


def test_a_stream_without_reg_covar_says_what_it_lacks(X):
    stream = GaussianMLE(reg_covar=0).partial_fit(X[:2])
    with pytest.raises(ValueError, match="reg_covar > 0"):
        stream.score(X)
    assert_allclose(stream.partial_fit(X[2:]).covariance_, plain(X)[1], rtol=1e-12)


def test_fit_forgets_the_stream(X):
    model = GaussianMLE().partial_fit(X[:50, :2]).fit(X)
    assert_allclose(model.covariance_, plain(X)[1], rtol=1e-12)
    assert model.n_samples_seen_ == N


def test_a_stream_goes_on_after_fit(X):
    model = GaussianMLE().fit(X[:50]).partial_fit(X[50:])
    check_same_estimate(model, GaussianMLE().fit(X), X)


def test_a_stream_cannot_change_its_covariance_type(X):
    model = GaussianMLE().partial_fit(X).set_params(covariance_type="diag")
    with pytest.raises(ValueError, match="covariance_type='diag' differs"):
        model.partial_fit(X)


@pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical"])
def test_rows_that_lie_further_apart_than_numbers_reach_are_refused(covariance_type):
    X = np.array([[-1.7e308, 0.0], [1.7e308, 1.0], [1.7e308, 2.0]])
    model = GaussianMLE(covariance_type=covariance_type)
    fitted = GaussianMLE(covariance_type=covariance_type).fit(clouds(9, 2))
    for call in (model.fit, model.partial_fit, fitted.partial_fit):
        with pytest.raises(ValueError, match=r"spreads over more than .* divide X by a constant"):
            call(X)
    assert fitted.n_samples_seen_ == 9


def test_an_inverse_beyond_all_numbers_is_infinite():
    model = GaussianMLE().fit(1e200 * np.array([[0.0], [1.0], [3.0]]))
    assert model.inverse_transform([[1e300]])[0, 0] == np.inf


@pytest.mark.parametrize("seed", [29, 66, 77, 157, 174])
def test_a_row_of_all_the_weight_is_a_single_row(seed):
    """With these seeds the other rows leave a subnormal variance, which rounding alone makes."""
    rng = np.random.RandomState(seed)
    X, weight = rng.randint(0, 4, (3, 3)).astype(float), [1e280, *rng.uniform(0.5, 2, 2)]
    with pytest.raises(ValueError, match="needs at least two distinct rows"):
        GaussianMLE().fit(X, sample_weight=weight)
