"""PPCA: every solver against the closed form, batches, sparse and wide rows, and edge cases."""

import tracemalloc
import warnings
from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from scipy.stats import multivariate_normal
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from sklearn_lvm import PPCA, GaussianMLE

from .specs import clouds, every_factor, weights

SOLVERS = ["auto", "covariance", "svd", "subspace", "em"]
every_solver = pytest.mark.parametrize("solver", SOLVERS)
every_closed_form = pytest.mark.parametrize("solver", ["auto", "covariance", "svd", "subspace"])


def near_a_plane(n=300, d=12, q=3, noise=0.3, seed=0):
    """Rows near a q-dimensional plane."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, q)) @ rng.normal(size=(q, d)) * 2
    return X + noise * rng.normal(size=(n, d)) + 2.0


def with_spectrum(variance, n=200, seed=0):
    """Rows whose covariance has exactly these eigenvalues, and the axes."""
    rng, d = np.random.default_rng(seed), len(variance)
    Z = rng.normal(size=(n, d))
    Z = np.linalg.qr(Z - Z.mean(axis=0))[0] * np.sqrt(n)
    axes = np.linalg.qr(rng.normal(size=(d, d)))[0]
    return Z * np.sqrt(variance) @ axes.T


def closed_form(X, q, w=None):
    """Mean, W W', noise variance and mean log-likelihood, straight from the paper."""
    C, d = np.cov(X.T, aweights=w, bias=True), X.shape[1]
    variance, axes = np.linalg.eigh(C)
    variance, axes = variance[::-1], axes[:, ::-1]
    noise = variance[q:].mean()
    WW = (axes[:, :q] * (variance[:q] - noise)) @ axes[:, :q].T
    cost = d * np.log(2 * np.pi) + np.log(variance[:q]).sum() + (d - q) * np.log(noise) + d
    return np.average(X, axis=0, weights=w), WW, noise, -0.5 * cost


def new_model(solver, q, **params):
    return PPCA(q, solver=solver, random_state=0, max_iter=5000, **params)


# -- the estimate ------------------------------------------------------------------------------------


@every_closed_form
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("q", [1, 3, 7, 11])
def test_the_estimate_is_the_closed_form(solver, weighted, q):
    X = near_a_plane()
    w = weights(len(X)) if weighted else None
    model = new_model(solver, q).fit(X, sample_weight=w)
    mean, WW, noise, best = closed_form(X, q, w)
    assert_allclose(model.mean_, mean, rtol=1e-12)
    assert_allclose(model.loadings_ @ model.loadings_.T, WW, atol=1e-10)
    assert_allclose(model.noise_variance_, noise, rtol=1e-11)
    assert_allclose(model.score(X, sample_weight=w), best, rtol=0, atol=1e-11)
    total = len(X) if w is None else w.sum()
    assert_allclose(model.log_likelihood_, total * best, rtol=1e-12)
    assert_allclose(model.n_samples_seen_, total, rtol=1e-14)
    assert model.n_iter_ >= 1


@pytest.mark.parametrize("shape", [(300, 12, 3), (100, 40, 5), (60, 100, 4), (500, 5, 4)])
@pytest.mark.parametrize("weighted", [False, True])
def test_em_reaches_the_closed_form(shape, weighted):
    X = near_a_plane(*shape)
    w = weights(len(X)) if weighted else None
    model = new_model("em", shape[2]).fit(X, sample_weight=w)
    *_, best = closed_form(X, shape[2], w)
    assert -1e-8 < model.score(X, sample_weight=w) - best < 1e-11
    total = len(X) if w is None else w.sum()
    assert_allclose(model.log_likelihood_ / total, model.score(X, sample_weight=w), atol=1e-11)
    assert model.n_iter_ > 3


@pytest.mark.parametrize("decay", [0.5, 0.9, 0.99])
@pytest.mark.parametrize("n", [300, 700])
def test_lanczos_finds_the_likelihood_of_svd(decay, n):
    """However slowly the spectrum falls off."""
    X = with_spectrum(np.maximum(decay ** np.arange(250), 1e-5), n) + 1.0
    model, exact = new_model("subspace", 5).fit(X), new_model("svd", 5).fit(X)
    assert model.n_iter_ > 1
    assert_allclose(model.score(X), exact.score(X), rtol=0, atol=2e-9)
    assert_allclose(model.log_likelihood_ / n, model.score(X), rtol=0, atol=1e-9)


def test_lanczos_finds_a_direction_of_a_single_row():
    """The start is computed from a few rows, none of which varies in this direction."""
    rng = np.random.default_rng(0)
    X = np.zeros((3000, 300))
    X[:, :299] = rng.normal(size=(3000, 299))
    X[1234, 299] = 1e4
    model, exact = new_model("subspace", 2).fit(X), new_model("covariance", 2).fit(X)
    assert abs(model.components_[0, 299]) > 0.999
    assert_allclose(model.score(X), exact.score(X), rtol=0, atol=1e-8)


def with_falling_spectrum(n=150, d=120):
    """Rows that Lanczos is run on: smaller tables are decomposed whole."""
    return with_spectrum(10.0 * 0.8 ** np.arange(d) + 0.1, n) + 1.0


def assert_same_scores(one, other, X, Y, shift=0.0):
    assert one.n_iter_ > 1
    assert_allclose(one.score_samples(X) + shift, other.score_samples(Y), rtol=0, atol=1e-8)
    assert_allclose(one.transform(X), other.transform(Y), rtol=0, atol=1e-8)


def test_lanczos_depends_neither_on_order_nor_on_copies():
    X, rng = with_falling_spectrum(), np.random.default_rng(0)
    times, order = rng.integers(0, 4, 150), rng.permutation(150)
    model = new_model("subspace", 3).fit(X, sample_weight=times)
    copies = new_model("subspace", 3).fit(np.repeat(X, times, axis=0))
    shuffled = new_model("subspace", 3).fit(X[order], sample_weight=times[order])
    assert_same_scores(copies, model, X, X)
    assert_same_scores(shuffled, model, X, X)


@pytest.mark.parametrize("factor", [1e-250, 1e-6, 1e6, 1e250])
def test_lanczos_does_not_depend_on_the_unit(factor):
    X = with_falling_spectrum()
    model, plain = new_model("subspace", 3).fit(factor * X), new_model("subspace", 3).fit(X)
    assert_same_scores(model, plain, factor * X, X, 120 * np.log(factor))


@pytest.mark.parametrize("offset", [-40.0, 1e6])
def test_lanczos_does_not_depend_on_the_origin(offset):
    moved = with_falling_spectrum() + offset
    near = moved - offset
    assert_same_scores(
        new_model("subspace", 3).fit(moved), new_model("subspace", 3).fit(near), moved, near
    )


@every_solver
def test_threads_change_no_bit_of_wide_fits(solver):
    X, found = near_a_plane(4000, 300), []
    for threads in (1, 2):
        with threadpool_limits(threads):
            model = new_model(solver, 3).fit(X)
            found.append((model.components_, model.score_samples(X), model.transform(X)))
    for one, two in zip(*found, strict=True):
        assert_array_equal(one, two)


@pytest.mark.parametrize("tol", [0.0, 1e-300])
def test_no_tolerance_is_too_small(tol):
    X = with_falling_spectrum()
    model = PPCA(3, solver="subspace", tol=tol, random_state=0).fit(X)
    assert_allclose(model.score(X), new_model("svd", 3).fit(X).score(X), rtol=0, atol=1e-11)


@pytest.mark.parametrize("shape", [(300, 12, 3), (100, 40, 10), (30, 60, 5), (400, 3, 1)])
def test_the_likelihood_is_never_below_that_of_scikit_learn(shape):
    X = near_a_plane(*shape)
    theirs = PCA(shape[2]).fit(X)
    for solver in SOLVERS:
        assert new_model(solver, shape[2]).fit(X).score(X) > theirs.score(X) - 1e-8


def test_attributes_are_those_of_scikit_learn():
    X = near_a_plane()
    model, theirs = PPCA(3).fit(X), PCA(3).fit(X)
    n = len(X)
    assert_allclose(np.abs(model.components_), np.abs(theirs.components_), atol=1e-10)
    assert_allclose(model.mean_, theirs.mean_, rtol=1e-12)
    assert_allclose(model.explained_variance_ratio_, theirs.explained_variance_ratio_, rtol=1e-10)
    assert_allclose(model.singular_values_, theirs.singular_values_, rtol=1e-10)
    assert_allclose(model.explained_variance_ * n / (n - 1), theirs.explained_variance_, rtol=1e-10)
    assert_allclose(model.noise_variance_ * n / (n - 1), theirs.noise_variance_, rtol=1e-10)
    assert_allclose(model.get_covariance() * n / (n - 1), theirs.get_covariance(), rtol=1e-9)
    assert_allclose(model.get_precision() * (n - 1) / n, theirs.get_precision(), rtol=1e-7)
    assert model.n_components_ == theirs.n_components_
    shrink = np.sqrt(model.explained_variance_ - model.noise_variance_) / model.explained_variance_
    sign = np.sign((model.components_ * theirs.components_).sum(axis=1))
    assert_allclose(model.transform(X), theirs.transform(X) * sign * shrink, atol=1e-9)


@every_solver
def test_signs_are_those_of_the_largest_entries(solver):
    components = new_model(solver, 3).fit(near_a_plane()).components_
    largest = np.abs(components).argmax(axis=1)
    assert (components[np.arange(3), largest] > 0).all()
    assert_allclose(components @ components.T, np.eye(3), atol=1e-12)


# -- the model ---------------------------------------------------------------------------------------


@every_factor
def test_the_posterior_is_that_of_the_joint_gaussian(spec):
    X = clouds(150, 4)
    model = spec.new().fit(X)
    W, s2 = model.loadings_, model.noise_variance_
    C = W @ W.T + s2 * np.eye(4)
    gain = np.linalg.solve(C, W).T
    assert_allclose(model.transform(X), (X - model.mean_) @ gain.T, atol=1e-10)
    assert_allclose(model.posterior_covariance_, np.eye(W.shape[1]) - gain @ W, atol=1e-10)
    assert_allclose(model.get_covariance(), C, atol=1e-12)
    assert_allclose(model.get_precision() @ C, np.eye(4), atol=1e-10)


@every_factor
def test_the_inverse_is_the_mean_given_the_latent_variable(spec):
    X = clouds(150, 4)
    model = spec.new().fit(X)
    drawn, latent = model.sample(20_000, random_state=0, return_latent=True)
    assert_allclose(np.cov(latent.T), np.eye(latent.shape[1]), atol=0.05)
    gaps = drawn - model.inverse_transform(latent)
    assert_allclose(gaps.var(axis=0), model.noise_variance_, rtol=0.05)
    assert abs(gaps.T @ latent / 20_000).max() < 0.05
    assert_allclose(model.inverse_transform(np.zeros((1, latent.shape[1])))[0], model.mean_)


def test_the_inverse_refuses_another_width():
    model = PPCA(2).fit(clouds())
    with pytest.raises(ValueError, match=r"Z has 3 columns, expected 2"):
        model.inverse_transform(np.zeros((1, 3)))
    with pytest.raises(ValueError, match="Z contains NaN"):
        model.inverse_transform(np.full((1, 2), np.nan))


@pytest.mark.parametrize("offset", [0.0, 3.0, 1e5])
def test_scores_agree_with_scipy_in_many_dimensions(offset):
    """Near zero, where rows are not centered, and far from it, where they are."""
    X = near_a_plane(200, 60, 4) + offset
    model = PPCA(4).fit(X)
    expected = multivariate_normal(model.mean_, model.get_covariance()).logpdf(X)
    assert_allclose(model.score_samples(X), expected, rtol=1e-8 if offset > 10 else 1e-11)


# -- how many components -----------------------------------------------------------------------------


@pytest.mark.parametrize(("n", "d", "q"), [(300, 12, 3), (80, 20, 6), (1000, 30, 1), (100, 3, 2)])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_minkas_choice_is_that_of_scikit_learn(n, d, q, seed):
    X = near_a_plane(n, d, q, 0.8, seed)
    assert PPCA("mle").fit(X).n_components_ == PCA("mle").fit(X).n_components_


def test_minkas_choice_counts_weights_as_rows():
    X = near_a_plane(25, 10, 3, 2.5)
    few, many = (PPCA("mle").fit(X, sample_weight=np.full(25, w)) for w in (1.0, 40.0))
    assert few.n_components_ < many.n_components_
    assert many.n_components_ == PPCA("mle").fit(np.repeat(X, 40, axis=0)).n_components_


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_criterion_is_that_of_the_fitted_models(seed):
    X = near_a_plane(60, 8, 3, 1.5, seed)
    w = weights(60)
    scores = [PPCA(q).fit(X, sample_weight=w).bic(X, w) for q in range(1, 8)]
    assert PPCA("bic").fit(X, sample_weight=w).n_components_ == 1 + np.argmin(scores)


@pytest.mark.parametrize("share", [0.3, 0.8, 0.95, 0.999])
def test_a_share_of_the_variance_is_explained(share):
    X = near_a_plane(200, 9, 4, 0.7)
    model, theirs = PPCA(share).fit(X), PCA(share).fit(X)
    assert model.n_components_ == theirs.n_components_
    assert model.explained_variance_ratio_.sum() > share


@pytest.mark.parametrize("choice", [None, "mle", "bic", 0.5])
@pytest.mark.parametrize("solver", ["subspace", "em"])
def test_solvers_of_a_part_of_the_spectrum_need_an_integer(choice, solver):
    with pytest.raises(ValueError, match=f"solver='{solver}' needs an integer n_components"):
        PPCA(choice, solver=solver).fit(clouds())


def test_a_fit_without_convergence_warns():
    with pytest.warns(ConvergenceWarning, match="max_iter=3") as caught:
        model = PPCA(2, solver="em", max_iter=3, random_state=0).fit(near_a_plane())
    assert model.n_iter_ == 3
    assert caught[0].filename == __file__
    slow = with_spectrum(0.999 ** np.arange(250), 300)
    with pytest.warns(ConvergenceWarning, match="solver='subspace'"):
        assert PPCA(5, solver="subspace", max_iter=2).fit(slow).n_iter_ == 2


# -- edges -------------------------------------------------------------------------------------------


def with_constants(X):
    return np.column_stack([np.full(len(X), 3.3), X, np.zeros(len(X)), np.full(len(X), -1e7)])


def with_copies(X):
    return np.column_stack([X, X[:, 0] + X[:, 1], 2.0 * X[:, 2]])


def a_few_rows(X):
    return X[:4]


# A table, its rank, and whether that is less than its width.
DEFICIENT = {
    "constants": (with_constants, 5),
    "ones": (lambda X: np.column_stack([X, np.ones(len(X))]), 5),
    "copies": (with_copies, 5),
    "few rows": (a_few_rows, 3),
    "wide": (lambda X: np.random.default_rng(1).normal(size=(12, 90)), 11),
    "one line": (lambda X: X[:, :1] @ np.ones((1, 4)), 1),
    "two rows": (lambda X: X[:2], 1),
}


@every_solver
@pytest.mark.parametrize("table", DEFICIENT)
def test_the_largest_number_of_components_that_works_is_named(table, solver):
    change, rank = DEFICIENT[table]
    X = change(clouds(80, 5))
    for q in {rank, rank + 1, min(X.shape[1], rank + 2)}:
        with pytest.raises(ValueError, match=f"n_components={q} leaves no noise") as caught:
            new_model(solver, q).fit(X)
        works = f"at most {rank - 1}" if rank > 1 else "no n_components works"
        assert works in str(caught.value)
    if rank > 1:
        model = new_model(solver, rank - 1).fit(X)
        *_, best = closed_form(X, rank - 1)
        assert_allclose(model.score(X), best, rtol=0, atol=1e-8)


@pytest.mark.parametrize("table", [name for name in DEFICIENT if DEFICIENT[name][1] > 1])
def test_by_default_as_many_components_are_kept_as_have_a_likelihood(table):
    change, rank = DEFICIENT[table]
    X = change(clouds(80, 5))
    model = PPCA().fit(X)
    assert model.n_components_ == rank - 1
    assert_allclose(model.score(X), closed_form(X, rank - 1)[3], rtol=0, atol=1e-8)


@every_solver
@pytest.mark.parametrize("d", [1, 2, 5])
def test_with_all_components_it_is_the_full_gaussian(solver, d):
    X = clouds(80, d)
    model, gaussian = new_model(solver, d).fit(X), GaussianMLE().fit(X)
    smallest = np.linalg.eigvalsh(np.cov(X.T, bias=True).reshape(d, d))[0]
    rtol = 1e-3 if solver == "em" else 1e-10
    assert_allclose(model.noise_variance_, smallest, rtol=rtol)
    assert model.loadings_.shape == (d, d)
    assert_array_equal(model.loadings_[:, -1], 0.0)
    assert_allclose(model.components_ @ model.components_.T, np.eye(d), atol=1e-12)
    assert_allclose(model.score(X), gaussian.score(X), rtol=0, atol=1e-8)
    assert model.n_parameters_ == gaussian.n_parameters_
    if d > 1:
        fewer = new_model(solver, d - 1).fit(X)
        assert_allclose(model.score_samples(X), fewer.score_samples(X), rtol=1e-12)
        assert fewer.n_parameters_ == model.n_parameters_


def test_rows_that_are_all_equal_are_refused():
    for model in (PPCA(), PPCA(1), PPCA("mle"), PPCA(1, solver="em")):
        for d in (1, 3, 40):
            with pytest.raises(ValueError, match="at least two distinct rows"):
                model.fit(np.full((5, d), 7.3))


@every_solver
@pytest.mark.parametrize("factor", [1e-300, 1e-150, 1e-20, 1e150, 1e300])
def test_units_may_be_of_any_size(solver, factor):
    X = near_a_plane(100, 6, 2)
    model, plain = new_model(solver, 2).fit(factor * X), new_model(solver, 2).fit(X)
    shift = 6 * np.log(factor)
    # Scales are powers of two, so that EM need not take the same steps.
    atol = 1e-8 if solver == "em" else 1e-10
    assert_allclose(model.score(factor * X) + shift, plain.score(X), rtol=0, atol=atol)
    assert np.isfinite(model.log_likelihood_)
    assert np.isfinite(model.sample(5)).all()
    assert np.isfinite(model.transform(factor * X)).all()


@pytest.mark.parametrize("q", [None, 1, 2, 3])
def test_features_in_very_different_units_have_a_density(q):
    """There is one scale for all, and no accuracy beyond it, but there are numbers."""
    X = clouds(100, 3) * [1e-9, 1.0, 1e9]
    model = PPCA(q).fit(X)
    assert model.n_components_ == (q or 2)
    assert np.isfinite(model.score_samples(X)).all()
    assert np.isfinite(model.sample(5)).all()
    assert model.noise_variance_ > 0


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("offset", [1e4, 1e8])
def test_an_offset_costs_no_more_than_its_rounding_errors(dtype, offset):
    X = (near_a_plane(200, 8, 3) * (100 if dtype is np.float32 else 1) + offset).astype(dtype)
    if np.ptp(X) == 0:
        pytest.fail("nothing is left of the rows")
    near = X.astype(float) - offset
    model, plain = PPCA(3).fit(X), PPCA(3).fit(near)
    scores = model.score_samples(X)
    assert scores.dtype == dtype
    assert_allclose(scores, plain.score_samples(near), rtol=1e-6 if dtype is np.float32 else 1e-9)


@pytest.mark.parametrize(
    ("solver", "ratio"),
    [("covariance", 1e3), ("covariance", 1e6), ("subspace", 1e6), ("svd", 1e12)]
    + [("auto", 10.0**power) for power in (2, 4, 6, 8, 10, 12)],
)
def test_likelihoods_are_accurate_up_to_a_condition_number(solver, ratio):
    variance = np.append(np.full(3, ratio), np.linspace(0.5, 1.5, 27))
    X = with_spectrum(variance)
    exact = -0.5 * (30 * np.log(2 * np.pi) + 3 * np.log(ratio) + 30)
    model = new_model(solver, 3).fit(X)
    assert_allclose(model.log_likelihood_ / len(X), exact, rtol=0, atol=1e-9)
    assert_allclose(model.score(X), exact, rtol=0, atol=1e-9)


@every_solver
@pytest.mark.parametrize("value", [np.inf, -np.inf])
def test_infinity_is_refused_in_every_method(solver, value):
    """In a row without weight, and beside an entry that is missing, too."""
    X = near_a_plane(40, 6, 2)
    model = new_model(solver, 2).fit(X)
    rows = X.copy()
    rows[17, 3] = value
    w = np.ones(40)
    w[17] = 0.0
    partial = rows.copy()
    partial[4, 1] = np.nan
    calls = (
        model.score_samples,
        model.transform,
        model.score,
        model.bic,
        model.fit,
        model.partial_fit,
    )
    for call, table in product(calls, (rows, partial)):
        with pytest.raises(ValueError, match="infinity"):
            call(table)
    with pytest.raises(ValueError, match="infinity"):
        model.fit(rows, sample_weight=w)
    with pytest.raises(ValueError, match="infinity"):
        model.score(sparse.csr_matrix(rows))


# -- batches -----------------------------------------------------------------------------------------


@every_factor
@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_batches_in_any_order_are_one_fit(spec, offset):
    X, w = near_a_plane(200, 7, 3, 0.8) + offset, weights(200)
    whole = spec.new(solver="auto").fit(X, sample_weight=w)
    order = np.random.default_rng(0).permutation(200)
    for cuts in ([100], [1, 2, 5, 150], [190]):
        model = spec.new()
        for rows in np.split(order, cuts):
            model.partial_fit(X[rows], sample_weight=w[rows])
        assert model.n_components_ == whole.n_components_
        atol = 1e-10 if offset == 0 else 1e-8
        assert_allclose(model.score_samples(X), whole.score_samples(X), rtol=0, atol=atol)
        assert_allclose(model.mean_, whole.mean_, rtol=1e-12)
        assert_allclose(model.log_likelihood_, whole.log_likelihood_, rtol=1e-9)
        assert_allclose(model.n_samples_seen_, w.sum(), rtol=1e-14)


def test_batches_without_a_density_say_why():
    X = near_a_plane(50, 6, 2)
    model = PPCA(3).partial_fit(X[:1])
    with pytest.raises(ValueError, match="at least two distinct rows"):
        model.score(X)
    model.partial_fit(X[1:3])
    with pytest.raises(ValueError, match=r"n_components=3 leaves no noise.* at most 1"):
        model.sample()
    assert not hasattr(model, "components_")
    model.partial_fit(X[3:])
    assert_allclose(model.score(X), PPCA(3).fit(X).score(X), rtol=1e-12)
    model.partial_fit(np.repeat(X[:1], 3, axis=0))
    assert model.n_samples_seen_ == 53


def test_batches_may_differ_in_size_by_many_orders():
    X = near_a_plane(60, 4, 2)
    for first, then in ((1e-300, 1.0), (1.0, 1e200), (1e-200, 1e200)):
        rows = np.concatenate([first * X[:30], then * X[30:]])
        model = PPCA(2).partial_fit(rows[:30]).partial_fit(rows[30:])
        assert_allclose(model.score(rows), PPCA(2).fit(rows).score(rows), rtol=1e-9)


def test_a_fit_forgets_earlier_batches():
    X = near_a_plane(60, 4, 2)
    model = PPCA(2).partial_fit(5 * X).fit(X)
    assert model.score(X) == PPCA(2).fit(X).score(X)
    assert model.partial_fit(X).n_samples_seen_ == 120
    assert_allclose(model.score(X), PPCA(2).fit(X).score(X), rtol=1e-12)


# The number of components, the solver, and the shape of a table.
FITS = [
    *((q, solver, (200, 7)) for q in (1, 3, 6) for solver in SOLVERS),
    *((q, solver, (80, 100)) for q in (1, 4) for solver in SOLVERS),
    *((q, solver, (600, 150)) for q in (4,) for solver in ("auto", "covariance", "svd")),
    *((q, "auto", (200, 7)) for q in (None, "mle", "bic", 0.8)),
]


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize(("q", "solver", "shape"), FITS)
def test_batches_after_a_fit_are_added_to_its_rows(q, solver, shape, kind):
    X, w = near_a_plane(*shape), weights(shape[0])
    half = shape[0] // 2
    model = new_model(solver, q).fit(kind(X[:half]), sample_weight=w[:half])
    model.partial_fit(kind(X[half:]), sample_weight=w[half:])
    whole = new_model("auto", q).fit(X, sample_weight=w)
    assert_allclose(model.score_samples(X), whole.score_samples(X), rtol=0, atol=1e-8)
    assert_allclose(model.score(X), whole.score(X), rtol=0, atol=1e-10)
    assert_allclose(model.n_samples_seen_, w.sum(), rtol=1e-14)
    model.partial_fit(X[:5])
    assert_allclose(model.n_samples_seen_, w.sum() + 5, rtol=1e-14)


@pytest.mark.parametrize("shape", [(600, 200, 3), (100, 200, 3), (100, 1100, 3)])
@pytest.mark.parametrize("solver", ["subspace", "em", "svd"])
def test_of_many_fitted_features_components_and_total_variance_are_kept(solver, shape):
    X = near_a_plane(*shape, noise=0.05)
    half = shape[0] // 2
    model, whole = new_model(solver, 3).fit(X[:half]).partial_fit(X[half:]), PPCA(3).fit(X)
    assert model.n_samples_seen_ == shape[0]
    assert_allclose(model.mean_, whole.mean_, rtol=1e-10)
    total = np.trace(np.cov(X.T, bias=True))
    found = model.explained_variance_.sum() + (shape[1] - 3) * model.noise_variance_
    assert_allclose(found, total, rtol=1e-8 if solver == "em" else 1e-12)
    assert -1e-9 < whole.score(X) - model.score(X) < 1e-3


@pytest.mark.parametrize("d", [200, 1100])
def test_components_that_a_fit_did_not_find_are_not_made_up(d):
    X = near_a_plane(300, d, 3)
    model = PPCA(2, solver="subspace").fit(X)
    assert model.partial_fit(X).n_components_ == 2
    model.fit(X).set_params(n_components=3)
    with pytest.raises(ValueError, match=r"integer of at most 2.* call fit"):
        model.partial_fit(X)
    assert model.n_samples_seen_ == 300


@every_solver
@pytest.mark.parametrize("d", [1, 2, 40])
def test_no_components_are_one_spherical_gaussian(solver, d):
    X, w = clouds(80, d) + 3.0, weights(80)
    gaussian = GaussianMLE(covariance_type="spherical").fit(X, sample_weight=w)
    for table in (X, sparse.csr_matrix(X)):
        model = new_model(solver, 0).fit(table, sample_weight=w)
        assert_allclose(model.score_samples(table), gaussian.score_samples(X), rtol=1e-12)
        assert_allclose(model.log_likelihood_, gaussian.log_likelihood_, rtol=1e-12)
        assert model.n_parameters_ == gaussian.n_parameters_
        Z = model.transform(table)
        assert Z.shape == (80, 0)
        assert_allclose(model.inverse_transform(Z), np.tile(gaussian.mean_, (80, 1)))
        drawn, latent = model.sample(5, return_latent=True)
        assert drawn.shape == (5, d)
        assert latent.shape == (5, 0)
        assert list(model.get_feature_names_out()) == []
        assert_allclose(model.get_covariance(), gaussian.covariance_ * np.eye(d), rtol=1e-12)
    batches = PPCA(0).partial_fit(X[:30], sample_weight=w[:30])
    batches.partial_fit(X[30:], sample_weight=w[30:])
    assert_allclose(batches.score(X), gaussian.score(X), rtol=1e-12)
    twice = PPCA(0).fit(X[:30], sample_weight=w[:30]).partial_fit(X[30:], sample_weight=w[30:])
    assert_allclose(twice.score(X), gaussian.score(X), rtol=1e-12)


def test_batches_of_wide_rows_keep_their_leading_directions():
    """Mean and total variance exactly; the rest as well as the spectrum falls off."""
    X = near_a_plane(300, 1100, 4, 0.05)
    whole = PPCA(4).fit(X)
    model = PPCA(4)
    for rows in np.array_split(X, 6):
        model.partial_fit(rows)
    assert_allclose(model.mean_, whole.mean_, rtol=1e-10)
    total = whole.explained_variance_.sum() + (1100 - 4) * whole.noise_variance_
    found = model.explained_variance_.sum() + (1100 - 4) * model.noise_variance_
    assert_allclose(found, total, rtol=1e-12)
    assert 0 <= whole.score(X) - model.score(X) < 1e-3
    exact = np.random.default_rng(0).normal(size=(15, 1100))  # of less rank than is kept
    model = PPCA(4).partial_fit(exact[:6]).partial_fit(exact[6:])
    assert_allclose(model.score(exact), PPCA(4).fit(exact).score(exact), rtol=1e-12)


def test_batches_of_wide_rows_need_an_integer():
    with pytest.raises(ValueError, match="1100 features needs an integer n_components"):
        PPCA("mle").partial_fit(np.ones((3, 1100)))
    X = np.random.default_rng(0).normal(size=(9, 1100))
    model = PPCA(2).partial_fit(X).set_params(n_components=3)
    with pytest.raises(ValueError, match="n_components=3 is more than this stream was begun with"):
        model.partial_fit(X)
    assert model.n_components_ == model.set_params(n_components=2).partial_fit(X).n_components_


# -- sparse and wide rows ----------------------------------------------------------------------------


def sparse_rows(n, d, density, seed=0):
    rows = sparse.random(n, d, density=density, random_state=seed, format="csr")
    rows.data += 1.0
    return rows


@every_solver
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(200, 30), (30, 200)])
def test_sparse_rows_give_what_dense_rows_give(solver, dtype, shape):
    S, w = sparse_rows(*shape, 0.1).astype(dtype), weights(shape[0])
    X = S.toarray()
    model, plain = (new_model(solver, 3).fit(R, sample_weight=w) for R in (S, X))
    atol = 1e-4 if dtype is np.float32 or solver == "em" else 1e-7
    assert_allclose(model.score(S, sample_weight=w), plain.score(X, sample_weight=w), atol=1e-8)
    assert_allclose(model.score_samples(S), plain.score_samples(X), atol=atol, rtol=1e-6)
    assert_allclose(model.transform(S), plain.transform(X), atol=atol)
    assert model.score_samples(S).dtype == model.transform(S).dtype == dtype
    batches = new_model(solver, 3).partial_fit(S[:20], sample_weight=w[:20])
    batches.partial_fit(S[20:], sample_weight=w[20:])
    assert_allclose(batches.score(S), plain.score(X), atol=1e-8)


def test_sparse_rows_far_from_zero_keep_their_digits():
    """Columns without a zero, whose mean is far larger than their deviation."""
    X = near_a_plane(100, 6, 2) + 1e6
    model, plain = PPCA(2).fit(sparse.csr_matrix(X)), PPCA(2).fit(X)
    assert_allclose(model.score(sparse.csr_matrix(X)), plain.score(X), rtol=1e-12)


def peak(call):
    """The most memory, in MB, that a call had in use."""
    tracemalloc.start()
    try:
        call()
        return tracemalloc.get_traced_memory()[1] / 2**20
    finally:
        tracemalloc.stop()


def test_sparse_rows_are_never_dense():
    S = sparse_rows(4000, 20_000, 1e-3)  # 610 MB if dense
    assert peak(lambda: PPCA(3, random_state=0, tol=1e-3).fit(S).score(S)) < 120


@pytest.mark.parametrize("q", [None, 3, "mle"])
def test_a_few_very_wide_rows_need_little_memory(q):
    X = np.random.default_rng(0).normal(size=(40, 50_000))  # 15 MB, and a covariance of 19 GB

    def work():
        model = PPCA(q, random_state=0).fit(X)
        assert np.isfinite(model.score(X))
        assert model.transform(X).shape == (40, model.n_components_)
        assert model.sample(5).shape == (5, 50_000)

    assert peak(work) < 200


@pytest.mark.parametrize("shape", [(3000, 600, 5), (600, 3000, 5)])
def test_auto_forms_no_matrix_where_lanczos_is_faster(shape, monkeypatch):
    X = near_a_plane(*shape)

    def fails(*args):
        raise AssertionError("a matrix was formed")

    exact = new_model("svd", 5).fit(X)
    monkeypatch.setattr("sklearn_lvm.core.factor.centered_rows.CenteredRows.covariance", fails)
    monkeypatch.setattr("sklearn_lvm.core.factor.spectrum.Spectrum.from_blocks", fails)
    model = new_model("auto", 5).fit(X)
    assert model.n_iter_ > 1
    assert_allclose(model.score(X), exact.score(X), rtol=0, atol=1e-9)


def test_auto_forms_a_matrix_where_lanczos_is_slow():
    """The spectrum falls off slowly."""
    X = with_spectrum(0.999 ** np.arange(300), 1500)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = new_model("auto", 5).fit(X)
    assert model.n_iter_ == 1
    assert_allclose(model.score(X), new_model("svd", 5).fit(X).score(X), rtol=0, atol=1e-10)


@pytest.mark.parametrize("choice", ["mle", "bic", 0.5, None])
def test_one_dimension_leaves_no_choice(choice):
    """Of one column there is one density; of rows on a line in several there is none."""
    X = clouds(40, 1)
    assert_allclose(PPCA(choice).fit(X).score(X), GaussianMLE().fit(X).score(X), rtol=1e-12)
    for rows in (X @ np.ones((1, 3)), clouds(2, 3)):
        with pytest.raises(ValueError, match="n_components=1 leaves no noise"):
            PPCA(choice).fit(rows)


@every_solver
def test_a_sparse_table_without_entries_has_equal_rows(solver):
    with pytest.raises(ValueError, match="at least two distinct rows"):
        new_model(solver, 1).fit(sparse.csr_matrix((30, 4)))


@pytest.mark.parametrize("q", [0, 1, None])
def test_rows_that_lie_further_apart_than_numbers_reach_are_refused(q):
    X = np.array([[-1.7e308, 0.0], [1.7e308, 1.0], [1.7e308, 2.0]])
    for call in (PPCA(q).fit, PPCA(q).partial_fit, PPCA(q).partial_fit(clouds(9, 2)).partial_fit):
        with pytest.raises(ValueError, match=r"spreads over more than .* divide X by a constant"):
            call(X)
