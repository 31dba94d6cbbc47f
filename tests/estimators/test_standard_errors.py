"""Standard errors: closed forms, what they do not depend on, how often intervals hold the truth."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.sparse import csr_array
from scipy.stats import binom, norm
from sklearn.exceptions import ConvergenceWarning, NotFittedError

from sklearn_lvm import BernoulliMixture, EMGaussianMixture

from .specs import every_covariance_type, weights

KINDS = ("observed", "sandwich")
every_kind = pytest.mark.parametrize("kind", KINDS)


def exact(K=1, **params):
    """By likelihood alone, to the end."""
    chosen = {"covariance_prior": None, "reg_covar": 0.0, "tol": 1e-12, "random_state": 0} | params
    return EMGaussianMixture(K, **chosen)


def assert_same(one, other, rtol=1e-9, factors=None):
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert_allclose(
            value, other[name] * (factors or {}).get(name, 1.0), rtol=rtol, err_msg=name
        )


@pytest.fixture
def X():
    """Rows of three clusters that touch."""
    rng = np.random.default_rng(0)
    centers = 2.5 * np.array([[1.0, 0.0, 0.0], [0.0, 1.5, 0.0], [-1.0, 0.0, 1.0]])
    return rng.normal(size=(300, 3)) @ (np.eye(3) + 0.3) + centers[rng.integers(3, size=300)]


# -- closed forms --------------------------------------------------------------------------------------


def test_one_gaussian_has_the_errors_of_the_textbook(X):
    """sqrt(C_jj / n) of means, and sqrt((C_ii C_jj + C_ij^2) / n) of covariances."""
    model = exact().fit(X)
    found, C = model.standard_errors(X), model.covariances_[0]
    variance = np.diag(C)
    assert_allclose(found["means_"][0], np.sqrt(variance / len(X)), rtol=1e-10)
    expected = np.sqrt((np.outer(variance, variance) + C**2) / len(X))
    assert_allclose(found["covariances_"][0], expected, rtol=1e-10)
    assert_allclose(found["weights_"], [0.0], atol=1e-12)


def test_the_sandwich_of_one_gaussian_has_the_fourth_moments_of_the_rows():
    """Rows with heavy tails, whose variances are known less well than a Gaussian would have it."""
    X = np.random.default_rng(0).standard_t(5, size=(400, 2))
    w = weights(400)
    model = exact().fit(X, sample_weight=w)
    found, C = model.standard_errors(X, w, kind="sandwich"), model.covariances_[0]
    gaps = X - model.means_[0]
    products = gaps[:, :, None] * gaps[:, None, :]
    fourth = np.einsum("n,nij->ij", w, (products - C) ** 2) / w.sum()
    assert_allclose(found["covariances_"][0], np.sqrt(fourth / w.sum()), rtol=1e-9)
    assert_allclose(found["means_"][0], np.sqrt(np.diag(C) / w.sum()), rtol=1e-9)
    observed = model.standard_errors(X, w)["covariances_"][0]
    assert (np.diag(found["covariances_"][0]) > 1.2 * np.diag(observed)).all()


@pytest.mark.parametrize(
    ("covariance_type", "n_features"), [("diag", 1), ("spherical", 3), ("tied", 1)]
)
def test_variances_of_one_gaussian(X, covariance_type, n_features):
    """A variance that n d numbers tell has the error v sqrt(2 / (n d))."""
    model = exact(covariance_type=covariance_type).fit(X)
    found, v = model.standard_errors(X)["covariances_"], model.covariances_
    assert found.shape == v.shape
    relative = (np.diag(found) / np.diag(v)) if v.ndim == 2 and len(v) == 3 else found / v
    assert_allclose(relative, np.sqrt(2 / (len(X) * n_features)), rtol=1e-10)


def test_pseudo_observations_count_as_rows(X):
    """A mean that is estimated with beta more rows, and a covariance with A more."""
    beta, n, nu = 50.0, len(X), 20.0
    prior = {"covariance_prior": np.eye(3), "degrees_of_freedom_prior": nu}
    model = exact(mean_precision_prior=beta, **prior).fit(X)
    found, C = model.standard_errors(X), model.covariances_[0]
    assert_allclose(found["means_"][0], np.sqrt(np.diag(C) / (n + beta)), rtol=1e-9)
    total = n + nu + 3 + 2
    expected = np.sqrt((np.outer(np.diag(C), np.diag(C)) + C**2) / total)
    assert_allclose(found["covariances_"][0], expected, rtol=1e-9)


def test_a_strong_prior_of_means_makes_the_estimate_vary_less(X):
    """The sandwich is what the estimate varies by: n / (n + beta) of the error of the mean of rows."""
    beta = 900.0
    prior = {"covariance_prior": np.eye(3), "degrees_of_freedom_prior": 0.0}
    far = X.mean(axis=0) + 3.0
    model = exact(mean_precision_prior=beta, mean_prior=far, **prior).fit(X)
    found = model.standard_errors(X, kind="sandwich")["means_"][0]
    share = len(X) / (len(X) + beta)
    assert_allclose(found, share * X.std(axis=0) / np.sqrt(len(X)), rtol=1e-8)


@every_covariance_type
@every_kind
def test_components_far_apart_have_the_errors_of_each(covariance_type, kind):
    rng = np.random.default_rng(0)
    X, Y = rng.normal(size=(300, 2)), 100.0 + rng.normal(size=(700, 2))
    model = exact(2, covariance_type=covariance_type).fit(np.concatenate([X, Y]))
    found = model.standard_errors(np.concatenate([X, Y]), kind=kind)
    order = np.argsort(model.means_[:, 0])
    assert_allclose(found["weights_"], np.sqrt(0.3 * 0.7 / 1000), rtol=1e-8)
    if covariance_type == "tied":
        assert found["covariances_"].shape == (2, 2)
        return
    for k, rows in zip(order, (X, Y), strict=True):
        one = exact(covariance_type=covariance_type).fit(rows).standard_errors(rows, kind=kind)
        assert_allclose(found["means_"][k], one["means_"][0], rtol=1e-7)
        assert_allclose(found["covariances_"][k], one["covariances_"][0], rtol=1e-6, atol=1e-9)


def test_one_coin_has_the_error_of_a_share():
    """sqrt(p q / n), n being what was observed of the column."""
    rng = np.random.default_rng(0)
    X = (rng.uniform(size=(200, 3)) < [0.2, 0.5, 0.7]).astype(float)
    X[:50, 1] = np.nan
    model = BernoulliMixture(1, inference="mle").fit(X)
    p = model.probabilities_[0]
    for kind in KINDS:
        found = model.standard_errors(X, kind=kind)["probabilities_"][0]
        assert_allclose(found, np.sqrt(p * (1 - p) / [200, 150, 200]), rtol=1e-9)


# -- what they do not depend on ------------------------------------------------------------------------

MIXTURES = [
    *(EMGaussianMixture(3, covariance_type=t, random_state=0) for t in ("full", "tied", "diag")),
    EMGaussianMixture(
        3, covariance_type="spherical", weight_concentration_prior=2.0, random_state=0
    ),
    BernoulliMixture(2, random_state=0, binarize=0.5),
]
every_mixture = pytest.mark.parametrize(
    "model", MIXTURES, ids=["full", "tied", "diag", "spherical", "coins"]
)


def fitted(model, X, w=None):
    return type(model)(**model.get_params()).set_params(tol=1e-10).fit(X, sample_weight=w)


@every_mixture
@every_kind
def test_weights_are_repetitions_and_the_order_is_irrelevant(model, kind, X):
    rng = np.random.default_rng(0)
    times = rng.integers(0, 4, len(X))
    repeated, order = np.repeat(X, times, axis=0), rng.permutation(len(X))
    model = fitted(model, repeated)
    found = model.standard_errors(repeated, kind=kind)
    assert_same(model.standard_errors(X, times, kind=kind), found)
    assert_same(model.standard_errors(X[order], times[order], kind=kind), found)
    for name, value in found.items():
        assert value.shape == getattr(model, name).shape
        assert (value > 0).all()


@every_mixture
def test_rows_of_no_weight_are_not_there(model, X):
    model = fitted(model, X)
    more = np.concatenate([X, np.full((2, 3), 1e90)])
    w = np.append(np.ones(len(X)), [0.0, 0.0])
    assert_same(model.standard_errors(more, w), model.standard_errors(X))


@every_covariance_type
@every_kind
def test_errors_have_the_units_of_the_data(covariance_type, kind, X):
    shift, scale = np.array([1e4, -3.0, 0.0]), np.array([100.0, 0.01, 3.0])
    if covariance_type == "spherical":
        scale = np.full(3, 100.0)
    model = EMGaussianMixture(3, covariance_type=covariance_type, random_state=0, tol=1e-10)
    plain = model.fit(X).standard_errors(X, kind=kind)
    factors = {
        "full": np.outer(scale, scale), "tied": np.outer(scale, scale), "diag": scale**2,
        "spherical": scale[0] ** 2,
    }  # fmt: skip
    changed = {"means_": scale, "covariances_": factors[covariance_type]}
    there = model.fit(X * scale + shift).standard_errors(X * scale + shift, kind=kind)
    assert_same(there, plain, rtol=1e-3, factors=changed)


@pytest.mark.parametrize("unit", [1e-150, 1e150])
def test_extreme_units_cost_no_digits(unit, X):
    """Though the square of an error of a covariance is no number there."""
    model = EMGaussianMixture(3, random_state=0, tol=1e-10)
    plain = model.fit(X).standard_errors(X)
    there = model.fit(unit * X).standard_errors(unit * X)
    assert_same(there, plain, rtol=1e-6, factors={"means_": unit, "covariances_": unit**2})


def test_labels_are_only_names(X):
    """Components in another order have the same errors in that order."""
    model = EMGaussianMixture(3, random_state=0, tol=1e-10).fit(X)
    order = np.array([2, 0, 1])
    start = {
        "weights_init": model.weights_[order],
        "means_init": model.means_[order],
        "precisions_init": model.precisions_[order],
    }
    other = EMGaussianMixture(3, random_state=0, tol=1e-10, **start).fit(X)
    assert_allclose(other.means_, model.means_[order], rtol=1e-3)
    found, expected = other.standard_errors(X), model.standard_errors(X)
    assert_same(found, {name: value[order] for name, value in expected.items()}, rtol=1e-3)


@every_mixture
def test_errors_have_the_precision_of_the_rows(model, X):
    single = fitted(model, X.astype(np.float32)).standard_errors(X.astype(np.float32))
    double = fitted(model, X).standard_errors(X)
    assert {value.dtype for value in single.values()} == {np.dtype(np.float32)}
    assert {value.dtype for value in double.values()} == {np.dtype(np.float64)}
    assert_same(single, double, rtol=1e-2)


def test_what_was_fitted_counts_and_not_what_is_set_afterwards(X):
    model = EMGaussianMixture(3, random_state=0, weight_concentration_prior=5.0, tol=1e-8)
    model.fit(X)
    before = model.standard_errors(X)
    model.set_params(weight_concentration_prior=1.0, reg_covar=0.5)
    assert_same(model.standard_errors(X), before)


def test_sparse_rows_have_the_errors_of_dense_ones():
    rng = np.random.default_rng(0)
    p = np.where(rng.integers(2, size=(300, 1)), 0.2, 0.7)
    X = (rng.uniform(size=(300, 6)) < p).astype(float)
    model = BernoulliMixture(2, random_state=0).fit(X)
    assert_same(model.standard_errors(csr_array(X)), model.standard_errors(X))


# -- refusals ------------------------------------------------------------------------------------------


def test_other_kinds_are_refused(X):
    model = EMGaussianMixture(2, random_state=0).fit(X)
    for kind in ("robust", None, ["observed"]):
        with pytest.raises(ValueError, match=r"kind must be one of .*observed.*sandwich"):
            model.standard_errors(X, kind=kind)


def test_an_estimator_that_is_not_fitted_has_no_errors(X):
    with pytest.raises(NotFittedError):
        EMGaussianMixture(2).standard_errors(X)


def test_given_parameters_have_no_errors_until_they_are_fitted(X):
    model = EMGaussianMixture.from_parameters([1.0], np.zeros((1, 3)), np.eye(3)[None])
    with pytest.raises(ValueError, match=r"given parameters.*fit it first"):
        model.standard_errors(X)
    assert (model.set_params(warm_start=True).fit(X).standard_errors(X)["means_"] > 0).all()


def test_other_rows_are_refused(X):
    """Their objective has no maximum here."""
    model = EMGaussianMixture(3, random_state=0).fit(X)
    with pytest.raises(ValueError, match=r"no strict maximum.*rows and weights of the fit"):
        model.standard_errors(5.0 * X)


def test_a_fit_that_ended_early_is_refused():
    """Where the components still lie across the clusters, a saddle of the objective."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 2)) + np.array([4.0, 0.0]) * rng.integers(2, size=(500, 1))
    across = {"means_init": [[2.0, -0.5], [2.0, 0.5]]}
    model = EMGaussianMixture(2, random_state=0, **across)
    with pytest.raises(ValueError, match=r"Fit to the end.*tol=1e-8"):
        model.fit(X).standard_errors(X)
    model.set_params(tol=1e-8, warm_start=True)
    assert (model.fit(X).standard_errors(X)["means_"] < 0.3).all()


def test_a_fit_that_ended_away_from_the_maximum_is_told_of():
    """In standard errors; the end of the fit is as far as that is said to be."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(500, 2)) + np.array([3.0, 0.0]) * rng.integers(2, size=(500, 1))
    near = {
        "weights_init": [0.5, 0.5],
        "means_init": [[-1.0, 0.0], [4.0, 0.0]],
        "precisions_init": [np.eye(2), np.eye(2)],
    }
    model = EMGaussianMixture(2, random_state=0, tol=1e-1, warm_start=True, **near).fit(X)
    with pytest.warns(ConvergenceWarning, match=r"of its standard errors away.*warm_start=True"):
        model.standard_errors(X)
    before = model.means_
    model.set_params(tol=1e-9).fit(X)
    errors = model.standard_errors(X)["means_"]
    assert np.abs((model.means_ - before) / errors).max() > 0.3


def test_too_many_parameters_are_refused():
    X = np.random.default_rng(0).normal(size=(200, 90))
    model = EMGaussianMixture(1).fit(X)
    with pytest.raises(ValueError, match=r"4185 free parameters.*bootstrap"):
        model.standard_errors(X)


def test_bounds_are_refused():
    X = np.array([[0.0, 1.0], [1.0, 1.0], [0.0, 1.0]])
    model = BernoulliMixture(1, inference="mle").fit(X)
    with pytest.raises(ValueError, match=r"column 1 of component 0 is exactly 1.*inference='map'"):
        model.standard_errors(X)
    assert (BernoulliMixture(1).fit(X).standard_errors(X)["probabilities_"] > 0).all()


def test_components_without_weight_are_refused():
    X = np.random.default_rng(0).normal(size=(50, 1))
    model = EMGaussianMixture(2, random_state=0, weights_init=[1.0, 0.0])
    with pytest.warns(UserWarning, match="No weight"):
        model.fit(X)
    with pytest.raises(ValueError, match=r"components 1 have less than one row.*n_components"):
        model.standard_errors(X)


# -- coverage ------------------------------------------------------------------------------------------

LEVEL, WEIGHT, MEANS = 0.9, 0.6, np.array([[0.0, 0.0], [4.0, 0.0]])


def table(seed, n=2000):
    """Rows of two clusters four standard deviations apart."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, 2)) + np.where(rng.random((n, 1)) < WEIGHT, MEANS[0], MEANS[1])


def covered(seed, kind):
    """Whether the interval of each mean and of the weight holds the truth; None if there is none."""
    X = table(seed)
    model = EMGaussianMixture(2, random_state=seed).fit(X)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            errors = model.standard_errors(X, kind=kind)
    except ValueError:
        return None
    order = np.argsort(model.means_[:, 0])
    gaps = np.append((model.means_[order] - MEANS).ravel(), model.weights_[order[0]] - WEIGHT)
    errors = np.append(errors["means_"][order].ravel(), errors["weights_"][0])
    return np.abs(gaps) < norm.ppf(0.5 + LEVEL / 2) * errors


def coverage(n_tables, kind):
    """The share of tables for each parameter, and how many fits had errors."""
    found = [each for seed in range(n_tables) if (each := covered(seed, kind)) is not None]
    return np.mean(found, axis=0), len(found)


@every_kind
def test_intervals_hold_the_truth_as_often_as_they_say(kind):
    """Each count of 40 is within the 99.9 % of a binomial with the nominal probability."""
    share, n = coverage(40, kind)
    assert n >= 36
    low, high = binom.interval(0.999, n, LEVEL)
    assert (share * n >= low).all()
    assert (share * n <= high).all()
    assert low > 0.7 * n


@pytest.mark.slow
@every_kind
def test_intervals_hold_the_truth_in_many_tables(kind):
    """Fits of the defaults."""
    share, n = coverage(300, kind)
    print(f"{kind}: coverage {share.round(3)} of {n} fits")
    assert n == 300
    assert ((share >= 0.86) & (share <= 0.94)).all()


def test_gaussians_need_complete_rows():
    X = np.random.default_rng(0).normal(size=(50, 2))
    model = EMGaussianMixture(1, tol=1e-8).fit(X)
    with pytest.raises(ValueError, match=r"X contains NaN, and standard_errors .* use bootstrap"):
        model.standard_errors(np.where(X > 1.0, np.nan, X))
