"""One Gaussian of rows in which entries are missing: closed forms by column, and EM."""

import pickle
import warnings
from math import log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import integrate, optimize, stats
from sklearn.exceptions import ConvergenceWarning

from sklearn_lvm import BayesianGaussian, CovarianceWarning, EMGaussianMixture, GaussianMLE

from .specs import clouds, every_gaussian_maximum, every_gaussian_single, weights

N, D = 60, 3
DENSE = {
    "full": lambda C: C,
    "diag": lambda C: np.diag(C),
    "spherical": lambda C: C * np.eye(D),
}
COLUMNS = [
    (make, kind)
    for make in (
        GaussianMLE,
        BayesianGaussian,
        lambda **params: BayesianGaussian(inference="map", **params),
    )
    for kind in ("diag", "spherical")
]
every_column_model = pytest.mark.parametrize(("make", "kind"), COLUMNS)


def incomplete(n=N, seed=0, share=0.3):
    """Rows in which something was observed of each."""
    X, rng = clouds(n, D, seed), np.random.RandomState(seed)
    X[rng.uniform(size=X.shape) < share] = np.nan
    return X[~np.isnan(X).all(axis=1)]


@pytest.fixture
def X():
    return incomplete()


def marginal(mean, C, X):
    """Log-densities of the observed entries, row by row."""
    found = np.zeros(len(X))
    for i, x in enumerate(X):
        if (o := ~np.isnan(x)).any():
            found[i] = stats.multivariate_normal(mean[o], C[np.ix_(o, o)]).logpdf(x[o])
    return found


# -- scores ------------------------------------------------------------------------------------------


@every_gaussian_maximum
def test_scores_are_those_of_the_observed_entries(spec, X):
    model = spec.new().fit(X)
    C = DENSE[spec.estimator.covariance_type](model.covariance_)
    rows = np.concatenate([X, np.full((1, D), np.nan), clouds(5)])
    assert_allclose(model.score_samples(rows), marginal(model.mean_, C, rows), atol=1e-8)
    assert_allclose(model.log_likelihood_, model.score_samples(X).sum(), rtol=1e-10)


def test_scores_of_a_posterior_are_those_of_the_marginal_t_density(X):
    model = BayesianGaussian().fit(X)
    kappa, nu = model.mean_precision_, model.degrees_of_freedom_
    dof = nu - D + 1
    scale = model.covariance_ * nu * (kappa + 1) / (kappa * dof)
    for x, score in zip(X, model.score_samples(X), strict=True):
        o = ~np.isnan(x)
        law = stats.multivariate_t(model.mean_[o], scale[np.ix_(o, o)], dof)
        assert_allclose(score, law.logpdf(x[o]), atol=1e-8)


@every_gaussian_single
def test_missing_entries_have_conditional_means(spec, X):
    model = spec.new().fit(X)
    C, m = DENSE[spec.estimator.covariance_type](model.covariance_), model.mean_
    found, latent = model._conditional_means(X), model.transform(X)
    assert_allclose(found[~np.isnan(X)], X[~np.isnan(X)], rtol=1e-12)
    for x, row in zip(X, found, strict=True):
        o = ~np.isnan(x)
        expected = m[~o] + C[np.ix_(~o, o)] @ np.linalg.solve(C[np.ix_(o, o)], x[o] - m[o])
        assert_allclose(row[~o], expected, atol=1e-8)
    assert_allclose(latent, model.transform(found), atol=1e-10)
    resp, conditionals = model._conditional_mixture(X)
    assert_allclose(conditionals.mean[0].T, found, atol=1e-10)
    assert (resp == 1.0).all()
    drawn = model._conditional_draws(X, np.random.RandomState(0))
    assert np.isfinite(drawn).all()


# -- the maximum of the likelihood -------------------------------------------------------------------


def test_em_ends_where_direct_maximization_does():
    X = incomplete(30)
    w = weights(len(X))
    model = GaussianMLE(tol=1e-13).fit(X, sample_weight=w)
    lower = np.tril_indices(D)

    def loss(p):
        L = np.zeros((D, D))
        L[lower] = p[D:]
        return -w @ marginal(p[:D], L @ L.T, X)

    start = np.r_[np.nanmean(X, axis=0), np.diag(np.nanstd(X, axis=0))[lower]]
    best = optimize.minimize(loss, start, method="BFGS", options={"gtol": 1e-4})
    L = np.zeros((D, D))
    L[lower] = best.x[D:]
    assert_allclose(model.log_likelihood_, -best.fun, atol=1e-7)
    assert_allclose(model.mean_, best.x[:D], atol=1e-4)
    assert_allclose(model.covariance_, L @ L.T, atol=1e-3)
    assert (np.diff(model.lower_bounds_) >= 0).all()
    assert_allclose(model.lower_bound_ * w.sum(), model.log_likelihood_, rtol=1e-12)
    assert model.converged_
    assert model.n_iter_ > 2


def test_a_column_that_ends_early_is_regressed_on_the_other():
    """The closed form of a monotone pattern (Anderson, 1957)."""
    X = clouds(80, 2)
    x, y = X[:, 0], X[:50, 1]
    X[50:, 1] = np.nan
    slope = np.cov(x[:50], y, bias=True)[0, 1] / x[:50].var()
    left = (y - y.mean() - slope * (x[:50] - x[:50].mean())).var()
    mean = [x.mean(), y.mean() + slope * (x.mean() - x[:50].mean())]
    C = [[x.var(), slope * x.var()], [slope * x.var(), left + slope**2 * x.var()]]
    model = GaussianMLE(tol=1e-14).fit(X)
    assert_allclose(model.mean_, mean, atol=1e-6)
    assert_allclose(model.covariance_, C, atol=1e-6)


@pytest.mark.parametrize("kind", ["diag", "spherical"])
def test_independent_columns_have_the_moments_of_their_own_entries(kind, X):
    model = GaussianMLE(covariance_type=kind).fit(X)
    gaps = (X - np.nanmean(X, axis=0)) ** 2
    assert_allclose(model.mean_, np.nanmean(X, axis=0), rtol=1e-12)
    axis = 0 if kind == "diag" else None
    assert_allclose(model.covariance_, np.nanmean(gaps, axis=axis), rtol=1e-12)
    assert model.n_iter_ == 1
    assert model.converged_
    assert not hasattr(model, "lower_bounds_")


def test_the_fit_is_that_of_a_mixture_of_one_component(X):
    model = GaussianMLE(tol=1e-12).fit(X)
    params = {"covariance_prior": None, "reg_covar": 0.0, "tol": 1e-12}
    mixture = EMGaussianMixture(1, **params, random_state=0).fit(X)
    assert_allclose(model.score_samples(X), mixture.score_samples(X), atol=1e-5)


def test_many_blocks_of_rows_are_as_good_as_one():
    """Of which most are complete."""
    X = clouds(40_000, 2)
    X[np.arange(0, 4000, 2), 1] = np.nan
    model = GaussianMLE(tol=1e-12).fit(X)
    kept = ~np.isnan(X[:, 1])
    slope = np.cov(X[kept].T, bias=True)[0, 1] / X[kept, 0].var()
    mean = X[kept, 1].mean() + slope * (X[:, 0].mean() - X[kept, 0].mean())
    assert_allclose(model.mean_, [X[:, 0].mean(), mean], atol=1e-6)


# -- data --------------------------------------------------------------------------------------------


@every_gaussian_single
def test_weights_are_repetitions_in_any_order(spec, X):
    rng = np.random.RandomState(0)
    times = rng.randint(0, 3, len(X))
    params = {"tol": 1e-13}
    repeated = rng.permutation(np.repeat(X, times, axis=0))
    one, other = (spec.new(**params) for _ in range(2))
    one.fit(X, sample_weight=times)
    other.fit(repeated)
    assert_allclose(one.score_samples(X), other.score_samples(X), atol=1e-6)
    assert one.n_samples_seen_ == other.n_samples_seen_ == times.sum()


@every_gaussian_single
def test_rows_of_which_nothing_was_observed_are_not_there(spec, X):
    model = spec.new().fit(X)
    more = spec.new().fit(np.concatenate([np.full((2, D), np.nan), X]))
    assert_allclose(more.score_samples(X), model.score_samples(X), rtol=1e-9)
    assert more.n_samples_seen_ == len(X)


@every_gaussian_single
def test_units_change_scores_by_their_logarithm(spec, X):
    factor = np.full(D, 7.0) if spec.one_scale else np.array([1e-6, 3.0, 1e5])
    shift = np.array([0.0, 100.0, -3.0])
    moved = factor * (X + shift)
    plain, model = spec.new(tol=1e-13).fit(X), spec.new(tol=1e-13).fit(moved)
    change = ~np.isnan(X) @ np.log(factor)
    assert_allclose(model.score_samples(moved) + change, plain.score_samples(X), atol=1e-6)
    for name in {"log_likelihood_", "log_evidence_"} & vars(model).keys():
        assert_allclose(getattr(model, name) + change.sum(), getattr(plain, name), rtol=1e-8)


@every_gaussian_single
def test_single_precision_in_and_out(spec, X):
    rows = X.astype(np.float32)
    model, double = spec.new().fit(rows), spec.new().fit(rows.astype(np.float64))
    assert model.score_samples(rows).dtype == model.transform(rows).dtype == np.float32
    assert model.covariance_.dtype == np.float32
    assert_allclose(model.score_samples(rows), double.score_samples(rows), rtol=1e-4)


@every_gaussian_single
def test_a_fit_keeps_no_rows(spec):
    small, large = (len(pickle.dumps(spec.new().fit(incomplete(n)))) for n in (100, 2000))
    assert large < 2 * small


# -- streams -----------------------------------------------------------------------------------------


@every_column_model
@given(
    seed=st.integers(0, 10**6),
    cuts=st.lists(st.integers(6, 39), max_size=5, unique=True),
    unit=st.sampled_from([1e-9, 1.0, 1e9]),
)
def test_any_split_equals_one_fit(make, kind, seed, cuts, unit):
    rng = np.random.default_rng(seed)
    X, w = unit * rng.normal(size=(40, D)) + unit * 3.0, rng.uniform(0.1, 2, 40)
    X[rng.uniform(size=X.shape) < 0.5] = np.nan
    X[:2] = unit * rng.normal(size=(2, D))
    X[25:32] = unit * rng.normal(size=(7, D))  # a batch may be complete
    X[32:, 1] = np.nan  # or lack a column
    X[20, 0] = unit
    whole, stream = make(covariance_type=kind).fit(X, sample_weight=w), make(covariance_type=kind)
    for part in np.split(np.arange(40), sorted(cuts)):
        if not np.isnan(X[part]).all():
            stream.partial_fit(X[part], sample_weight=w[part])
    assert_allclose(stream.score_samples(X), whole.score_samples(X), rtol=1e-8, atol=1e-8)
    assert_allclose(stream.n_samples_seen_, whole.n_samples_seen_)
    for name in {"log_likelihood_", "log_evidence_", "mean_precision_"} & vars(whole).keys():
        assert_allclose(getattr(stream, name), getattr(whole, name), rtol=1e-8)


@every_column_model
@pytest.mark.parametrize("first", [slice(0, 5), slice(5, 20)])
def test_complete_batches_may_come_first_or_last(make, kind, first):
    X = clouds(20)
    X[5:][np.random.RandomState(0).uniform(size=(15, D)) < 0.2] = np.nan
    last = slice(5, 20) if first.start == 0 else slice(0, 5)
    stream = make(covariance_type=kind).partial_fit(X[first]).partial_fit(X[last])
    whole = make(covariance_type=kind).fit(X)
    assert_allclose(stream.score_samples(X), whole.score_samples(X), rtol=1e-10)


@every_column_model
def test_an_empty_column_is_an_error_in_the_first_batch_alone(make, kind, X):
    empty = np.where(np.arange(D) == 1, np.nan, X)
    empty = empty[~np.isnan(empty).all(axis=1)]
    for call in ("fit", "partial_fit"):
        with pytest.raises(ValueError, match="no observed entry in column 1"):
            getattr(make(covariance_type=kind), call)(empty)
    model = make(covariance_type=kind).partial_fit(X)
    assert model.partial_fit(empty).n_samples_seen_ == len(X) + len(empty)


@pytest.mark.parametrize("make", [GaussianMLE, BayesianGaussian])
def test_correlated_features_do_not_add(make, X):
    with pytest.raises(ValueError, match=r"X contains NaN.*'full'.*call fit with all rows"):
        make().partial_fit(X)
    model = make().fit(X)
    before = model.score_samples(X)
    for rows in (X, clouds(5)):
        with pytest.raises(ValueError, match="call fit with all rows at once"):
            model.partial_fit(rows)
    assert_allclose(model.score_samples(X), before)
    complete = clouds(30)
    model.fit(complete).partial_fit(complete)
    assert not hasattr(model, "lower_bounds_")
    assert model.n_samples_seen_ == 60


# -- singular covariances, and ends ------------------------------------------------------------------


def test_a_singular_covariance_is_regularized_and_the_objective_still_rises():
    X = clouds(40)
    X = np.column_stack([X, X[:, 0] - 2 * X[:, 1]])
    X[np.random.RandomState(0).uniform(size=X.shape) < 0.1] = np.nan
    X = X[~np.isnan(X).all(axis=1)]
    with pytest.warns(CovarianceWarning, match=r"singular.*follow from others.*reg_covar=0.001"):
        model = GaussianMLE(reg_covar=1e-3).fit(X)
    assert (np.diff(model.lower_bounds_) >= 0).all()
    assert_allclose(model.log_likelihood_, model.score_samples(X).sum(), rtol=1e-9)
    assert model.lower_bound_ * len(X) < model.log_likelihood_
    for make in (GaussianMLE, BayesianGaussian):
        with pytest.raises(ValueError, match=r"singular.*set reg_covar > 0"):
            make(reg_covar=0).fit(X)
        with pytest.raises(ValueError, match=r"singular.*even so: raise reg_covar"):
            make(reg_covar=1e-30).fit(X)
    prior = {"covariance_prior": np.eye(4), "reg_covar": 0}
    assert np.isfinite(BayesianGaussian(**prior).fit(X).score(X))


def test_a_constant_column_is_named():
    X = np.column_stack([clouds(30), np.full(30, 7.0)])
    X[::4, 3] = X[1::4, 0] = np.nan
    for kind in ("full", "diag"):
        with pytest.warns(CovarianceWarning, match="features 3 are constant"):
            model = GaussianMLE(covariance_type=kind).fit(X)
        assert np.isfinite(model.score(X))


def test_few_rows_of_many_features():
    X = np.random.RandomState(0).normal(size=(5, 8))
    X[np.random.RandomState(1).uniform(size=X.shape) < 0.2] = np.nan
    # Near a bound EM is slow: both are told.
    with (
        pytest.warns(ConvergenceWarning, match="max_iter=20"),
        pytest.warns(CovarianceWarning, match="singular"),
    ):
        model = GaussianMLE(max_iter=20, reg_covar=1e-2).fit(X)
    assert np.isfinite(model.score(X))
    given = BayesianGaussian(covariance_prior=np.eye(8), mean_prior=np.zeros(8)).fit(X)
    assert np.isfinite(given.score(X))


def test_an_early_end_is_told_at_the_line_of_the_user(X):
    for make in (GaussianMLE, BayesianGaussian):
        with pytest.warns(
            ConvergenceWarning, match=r"max_iter=2 .*Raise max_iter or tol"
        ) as caught:
            model = make(max_iter=2).fit(X)
        assert caught[0].filename == __file__
        assert not model.converged_
        assert model.n_iter_ == 2
    with pytest.raises(ValueError, match="max_iter"):
        GaussianMLE(max_iter=0).fit(X)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        GaussianMLE(max_iter=1).fit(clouds(20))


# -- posteriors --------------------------------------------------------------------------------------

PRIOR = {
    "mean_prior": [0.5, -0.5],
    "mean_precision_prior": 2.0,
    "degrees_of_freedom_prior": 4.0,
    "covariance_prior": np.array([[3.0, 1.0], [1.0, 2.0]]),
}


def test_the_bound_is_below_the_evidence_and_near_it():
    """Which is an integral over the one entry that is missing."""
    X = clouds(6, 2)
    X[2, 1] = np.nan

    def joint(value):
        filled = np.where(np.isnan(X), value, X)
        return np.exp(BayesianGaussian(**PRIOR).fit(filled).log_evidence_ + 25.0)

    model = BayesianGaussian(**PRIOR, tol=1e-12).fit(X)
    values = np.sinh(np.linspace(-6.0, 6.0, 241))
    exact = log(integrate.trapezoid([joint(value) for value in values], values)) - 25.0
    assert exact - 0.2 < model.log_evidence_ < exact
    assert_allclose(model.lower_bound_, model.log_evidence_, rtol=1e-12)
    assert (np.diff(model.lower_bounds_) >= 0).all()
    assert_allclose(model.mean_precision_, 8.0)
    assert_allclose(model.degrees_of_freedom_, 10.0)


def test_the_mode_is_a_maximum_of_the_posterior():
    X = clouds(12, 2)
    X[::3, 1] = X[1::4, 0] = np.nan
    X = X[~np.isnan(X).all(axis=1)]
    model = BayesianGaussian(inference="map", tol=1e-14, **PRIOR).fit(X)
    m0, k0 = np.array(PRIOR["mean_prior"]), PRIOR["mean_precision_prior"]
    nu0, psi0 = PRIOR["degrees_of_freedom_prior"], PRIOR["covariance_prior"]

    def log_posterior(mean, C):
        wishart = stats.invwishart(nu0, psi0).logpdf(C)
        normal = stats.multivariate_normal(m0, C / k0).logpdf(mean)
        return marginal(mean, C, X).sum() + wishart + normal

    best = log_posterior(model.mean_, model.covariance_)
    rng = np.random.RandomState(0)
    for _ in range(20):
        A = np.eye(2) + 1e-3 * rng.normal(size=(2, 2))
        C = A @ model.covariance_ @ A.T
        assert log_posterior(model.mean_ + 1e-3 * rng.normal(size=2), C) < best
    assert (np.diff(model.lower_bounds_) >= 0).all()


def test_a_column_is_predicted_from_its_own_entries():
    row = np.array([[1.5, np.nan]])
    model = BayesianGaussian(covariance_type="diag", **PRIOR | {"covariance_prior": [3.0, 2.0]})
    found = model.partial_fit([[np.nan, 0.0], [0.5, np.nan]])
    kappa, nu = found.mean_precision_[0], found.degrees_of_freedom_[0]
    assert_allclose([kappa, nu], [3.0, 5.0])
    mean = (2.0 * 0.5 + 0.5) / 3.0
    psi = 3.0 + 2.0 / 3.0 * (0.5 - 0.5) ** 2
    scale = np.sqrt(psi / nu * (1 + 1 / kappa))
    assert_allclose(found.score(row), stats.t(nu, mean, scale).logpdf(1.5), rtol=1e-12)


@every_gaussian_single
def test_what_is_known_of_the_mean_has_intervals_regions_and_draws(spec, X):
    if not spec.posterior:
        return
    model, n, level = spec.new().fit(X), 4000, 0.8
    means, covariances = model.sample_posterior(n, random_state=0)
    assert covariances.shape == (n, *np.shape(model.covariance_))
    low, high = model.credible_interval(level)
    error = 4 * np.sqrt(level * (1 - level) / n)
    assert (abs(((low < means) & (means < high)).mean(axis=0) - level) < error).all()
    center, shape = model.credible_region(level)
    inverse = np.linalg.inv(shape if shape.ndim == 2 else np.diag(shape))
    radius = np.einsum("ni,ij,nj->n", means - center, inverse, means - center)
    assert abs((radius <= 1).mean() - level) < error


def test_standard_errors_need_complete_rows():
    X = clouds(80)
    mixture = EMGaussianMixture(1, random_state=0).fit(X)
    with pytest.raises(ValueError, match=r"X contains NaN.*complete rows.*bootstrap"):
        mixture.standard_errors(np.where(np.arange(80)[:, None] == [3, 90, 90], np.nan, X))
