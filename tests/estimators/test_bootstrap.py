"""The bootstrap spreads as estimates do, for any estimator, and changes nothing."""

import copy
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import csr_array
from scipy.stats import binom
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from sklearn_lvm import (
    PPCA,
    BernoulliMixture,
    BetaBernoulli,
    EMGaussianMixture,
    GaussianMLE,
    StandardizedDensity,
    bootstrap,
)
from sklearn_lvm.fitting.bernoulli_priors import BetaPriorChoice
from sklearn_lvm.fitting.gaussian_priors import GaussianPriorChoice

from .specs import clouds, same_state

MIXTURE = ("weights_", "means_", "covariances_")
# estimator, what is drawn of it
MODELS = [
    (EMGaussianMixture(3, random_state=0), MIXTURE),
    (EMGaussianMixture(3, covariance_type="tied", random_state=0), MIXTURE),
    (EMGaussianMixture(2, covariance_type="spherical", covariance_prior=None), MIXTURE),
    (EMGaussianMixture(2, covariance_type="ppca", n_factors=1, random_state=0), MIXTURE),
    (BernoulliMixture(2, random_state=0), ("weights_", "probabilities_")),
    (GaussianMLE(), ("mean_", "covariance_")),
    (BetaBernoulli(), ("probability_",)),
    (PPCA("mle"), ("mean_", "explained_variance_", "noise_variance_")),
]
every_model = pytest.mark.parametrize(
    ("model", "names"), MODELS, ids=[f"{type(m).__name__}-{i}" for i, (m, _) in enumerate(MODELS)]
)


@pytest.fixture
def X():
    return clouds(200)


def assert_same(one, other, **tolerance):
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert_allclose(value, other[name], err_msg=name, **tolerance)


# -- what is drawn -------------------------------------------------------------------------------------


@every_model
def test_each_fitted_parameter_is_drawn_and_nothing_is_changed(model, names, X):
    model = copy.deepcopy(model).fit(X)
    before = copy.deepcopy(model)
    draws = bootstrap(model, X, 7, random_state=0)
    assert same_state(model, before)
    assert tuple(draws) == names
    for name, value in draws.items():
        fitted = np.asarray(getattr(model, name))
        assert value.shape == (7, *fitted.shape)
        assert (value.std(axis=0) > 0).any(), name
        scale = np.abs(fitted).max() + value.std(axis=0).max()
        assert_allclose(value.mean(axis=0), fitted, atol=0.5 * scale)


@every_model
def test_draws_are_the_same_however_they_are_made(model, names, X):
    """Side by side or not; a weight of two is a row given twice; the order of rows is irrelevant."""
    rng = np.random.default_rng(0)
    times = rng.integers(0, 3, len(X))
    repeated, order = np.repeat(X, times, axis=0), rng.permutation(len(X))
    model = copy.deepcopy(model).fit(repeated)
    draws = bootstrap(model, repeated, 4, random_state=3)
    parallel = bootstrap(model, repeated, 4, random_state=3, n_jobs=2)
    for name, value in parallel.items():
        assert_array_equal(value, draws[name], err_msg=name)
    weighted = bootstrap(model, X[order], 4, sample_weight=times[order], random_state=3)
    assert_same(weighted, draws, rtol=1e-5, atol=1e-7)
    other = bootstrap(model, repeated, 4, random_state=4)
    assert not np.allclose(other[names[0]], draws[names[0]])


def test_a_random_state_goes_on(X):
    model, rng = GaussianMLE().fit(X), np.random.RandomState(0)
    one, two = (bootstrap(model, X, 2, random_state=rng)["mean_"] for _ in range(2))
    assert not np.allclose(one, two)


def test_sparse_rows_are_redrawn_as_dense_ones(X):
    Z = (X > 0).astype(float)
    model = BetaBernoulli().fit(Z)
    found, expected = (bootstrap(model, rows, 200, random_state=0) for rows in (csr_array(Z), Z))
    for name, value in found.items():
        assert_allclose(value.std(axis=0), expected[name].std(axis=0), rtol=0.3)
    model = BernoulliMixture(2, random_state=0).fit(Z)
    assert bootstrap(model, csr_array(Z), 2)["probabilities_"].shape == (2, 2, 3)


def test_draws_have_the_precision_of_the_rows(X):
    single = X.astype(np.float32)
    draws = bootstrap(EMGaussianMixture(2, random_state=0).fit(single), single, 3, random_state=0)
    assert {value.dtype for value in draws.values()} == {np.dtype(np.float32)}


def test_a_mean_spreads_as_the_textbook_says(X):
    model = GaussianMLE().fit(X)
    draws = bootstrap(model, X, 400, random_state=0)
    expected = X.std(axis=0) / np.sqrt(len(X))
    assert_allclose(draws["mean_"].std(axis=0), expected, rtol=0.1)


# -- mixtures ------------------------------------------------------------------------------------------


def two_clusters(n=500, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 2)) + 5.0 * (rng.uniform(size=(n, 1)) < 0.4)


@pytest.mark.parametrize(
    "covariance_type",
    ["full", "tied", *(pytest.param(t, marks=pytest.mark.slow) for t in ("diag", "spherical"))],
)
def test_mixtures_spread_by_their_standard_errors(covariance_type):
    """400 draws know a standard deviation to 3.5 %; 10 % is nearly three times that."""
    X = two_clusters()
    model = EMGaussianMixture(2, covariance_type=covariance_type, random_state=0).fit(X)
    draws = bootstrap(model, X, 400, random_state=0)
    errors = model.standard_errors(X, kind="sandwich")
    for name, value in errors.items():
        assert_allclose(draws[name].std(axis=0), value, rtol=0.1, err_msg=name)


def test_coins_spread_by_their_standard_errors():
    rng = np.random.default_rng(0)
    p = np.where(rng.uniform(size=(1000, 1)) < 0.4, 0.2, 0.8)
    X = (rng.uniform(size=(1000, 10)) < p).astype(float)
    model = BernoulliMixture(2, random_state=0).fit(X)
    draws = bootstrap(model, X, 200, random_state=0)
    for name, value in model.standard_errors(X, kind="sandwich").items():
        assert_allclose(draws[name].std(axis=0), value, rtol=0.15, err_msg=name)


def test_draws_go_on_to_their_ends():
    """A default fit ends where little is left to gain; draws that did would stay near their start."""
    X = two_clusters(400)
    loose = EMGaussianMixture(2, random_state=0, tol=1e-2).fit(X)
    tight = EMGaussianMixture(2, random_state=0, tol=1e-10).fit(X)
    one, other = (bootstrap(model, X, 20, random_state=0) for model in (loose, tight))
    assert_same(one, other, rtol=0.02, atol=0.02)


def test_draws_keep_the_prior_that_was_chosen(X, monkeypatch):
    models = [
        (EMGaussianMixture(3, random_state=0), X[:60]),
        (BernoulliMixture(2, random_state=0), (X > 0).astype(float)),
    ]
    fitted = [(model.fit(rows), rows) for model, rows in models]

    def refuse(*args):
        raise AssertionError("a prior was chosen")

    monkeypatch.setattr(GaussianPriorChoice, "of", refuse)
    monkeypatch.setattr(BetaPriorChoice, "of", refuse)
    for model, rows in fitted:
        assert len(bootstrap(model, rows, 3, random_state=0)["weights_"]) == 3
        with pytest.raises(AssertionError, match="was chosen"):
            model.fit(rows)


def test_labels_are_those_of_the_fit(X):
    """Draws of a fit whose components are given in another order are in that order."""
    model = EMGaussianMixture(3, random_state=0, tol=1e-10).fit(X)
    order = np.array([1, 2, 0])
    start = {
        "weights_init": model.weights_[order],
        "means_init": model.means_[order],
        "precisions_init": model.precisions_[order],
    }
    other = EMGaussianMixture(3, random_state=0, tol=1e-10, **start).fit(X)
    draws, expected = (bootstrap(m, X, 10, random_state=0) for m in (other, model))
    for name, value in draws.items():
        assert_allclose(value, expected[name][:, order], rtol=0.02, atol=0.02, err_msg=name)


def test_components_that_change_places_are_put_back(X):
    """A refit that ends in another order, as one from a new start may."""
    model = EMGaussianMixture(3, random_state=0).fit(X)
    order = np.array([1, 2, 0])
    other = EMGaussianMixture.from_parameters(
        model.weights_[order], model.means_[order], model.covariances_[order]
    )
    found = other._parameters_like(model, X, np.ones(len(X)))
    for name, value in found.items():
        assert_allclose(value, getattr(model, name), rtol=1e-9)


def test_a_tied_covariance_has_no_order():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(200, 2)) * [1.0, 3.0] + 20.0 * rng.integers(2, size=(200, 1))
    model = EMGaussianMixture(2, covariance_type="tied", random_state=0).fit(X)
    other = EMGaussianMixture.from_parameters(
        model.weights_[::-1], model.means_[::-1], model.covariances_, covariance_type="tied"
    )
    found = other._parameters_like(model, X, np.ones(len(X)))
    assert_allclose(found["means_"], model.means_, rtol=1e-9)
    assert_allclose(found["covariances_"], model.covariances_, rtol=1e-9)


# -- refusals and warnings -----------------------------------------------------------------------------


def test_estimators_that_are_not_fitted_are_refused(X):
    with pytest.raises(NotFittedError):
        bootstrap(EMGaussianMixture(2), X)


def test_other_estimators_are_refused(X):
    with pytest.raises(ValueError, match=r"estimator must be .*PPCA, got StandardizedDensity"):
        bootstrap(StandardizedDensity(GaussianMLE()).fit(X), X)


@pytest.mark.parametrize("n", [0, -3, 2.0, "many", None, True])
def test_other_numbers_of_draws_are_refused(n, X):
    with pytest.raises(ValueError, match="n must be a positive integer"):
        bootstrap(GaussianMLE().fit(X), X, n)


def test_bad_rows_weights_and_random_states_are_refused(X):
    model = GaussianMLE().fit(X)
    with pytest.raises(ValueError, match="features"):
        bootstrap(model, X[:, :2])
    with pytest.raises(ValueError, match="sample_weight"):
        bootstrap(model, X, sample_weight=-np.ones(len(X)))
    with pytest.raises(ValueError, match=r"adds up to 1 rows.*one row weighs 1"):
        bootstrap(model, X, sample_weight=np.full(len(X), 1.0 / len(X)))
    with pytest.raises(ValueError, match="random_state"):
        bootstrap(model, X, random_state="now")


class Fragile(GaussianMLE):
    """Fails where the first mean is below a limit."""

    def __init__(self, limit=0.0):
        super().__init__()
        self.limit = limit

    def fit(self, X, y=None, sample_weight=None):
        super().fit(X, y, sample_weight)
        if self.mean_[0] < self.limit:
            raise ValueError("too small")
        return self


def test_draws_that_fail_are_left_out_with_a_warning(X):
    limit = X[:, 0].mean()
    model = Fragile(-np.inf).fit(X).set_params(limit=limit)
    with pytest.warns(RuntimeWarning, match=r"of 20 draws failed and are left out.*too small"):
        draws = bootstrap(model, X, 20, random_state=0)["mean_"]
    assert 0 < len(draws) < 20
    assert (draws[:, 0] >= limit).all()
    with pytest.raises(ValueError, match=r"every one of 3 draws failed.*too small"):
        bootstrap(model.set_params(limit=np.inf), X, 3)


def test_draws_that_end_early_are_told_of_once(X):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = EMGaussianMixture(3, random_state=0, max_iter=1).fit(X)
    with pytest.warns(ConvergenceWarning, match="4 of 4 draws had not converged") as told:
        bootstrap(model, X, 4, random_state=0, n_jobs=2)
    assert len(told) == 1


# -- coverage ------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_quantiles_hold_the_truth_as_often_as_they_say():
    """Each count of 100 tables is within the 99.9 % of a binomial with the nominal probability."""
    truth, held = np.array([[0.0, 0.0], [4.0, 0.0]]), []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        one = rng.random((2000, 1)) < 0.6
        X = rng.normal(size=(2000, 2)) + np.where(one, truth[0], truth[1])
        model = EMGaussianMixture(2, random_state=seed, tol=1e-6).fit(X)
        draws = bootstrap(model, X, 200, random_state=seed, n_jobs=2)
        order = np.argsort(model.means_[:, 0])
        low, high = np.quantile(draws["means_"][:, order], [0.05, 0.95], axis=0)
        inside = (low < truth) & (truth < high)
        low, high = np.quantile(draws["weights_"][:, order[0]], [0.05, 0.95])
        held.append([*inside.ravel(), low < 0.6 < high])
    count = np.sum(held, axis=0)
    print(f"bootstrap: coverage {count / 100}")
    least, most = binom.interval(0.999, 100, 0.9)
    assert ((count >= least) & (count <= most)).all()
