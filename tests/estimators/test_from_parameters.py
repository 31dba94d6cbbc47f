"""A mixture of known parameters is a fitted mixture."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.mixture import GaussianMixture
from sklearn.mixture._gaussian_mixture import _compute_precision_cholesky

from sklearn_lvm import EMGaussianMixture

from .specs import COVARIANCE_TYPES, clouds, every_covariance_type, log_prob

K, D = 2, 3
FACTOR = np.array([[1.0, 0.0, 0.0], [0.5, 2.0, 0.0], [-0.3, 0.1, 0.7]])
KNOWN = {
    "full": np.stack([FACTOR @ FACTOR.T, np.eye(D)]),
    "tied": FACTOR @ FACTOR.T,
    "diag": np.array([[1.0, 2.0, 0.5], [0.1, 1.0, 3.0]]),
    "spherical": np.array([0.3, 2.0]),
}
WEIGHTS, MEANS = np.array([0.25, 0.75]), np.array([[0.0, 1.0, -1.0], [3.0, 3.0, 2.0]])


def known(covariance_type, **params):
    return EMGaussianMixture.from_parameters(
        WEIGHTS, MEANS, KNOWN[covariance_type], covariance_type=covariance_type, **params
    )


@pytest.fixture
def X():
    return np.random.default_rng(0).normal(size=(40, D)) * 3


@every_covariance_type
def test_the_density_is_that_of_the_parameters(covariance_type, X):
    model = known(covariance_type)
    assert_allclose(model.score_samples(X), log_prob(model, X), rtol=1e-11)
    assert_allclose(model.weights_, WEIGHTS, rtol=1e-14)
    assert_allclose(model.means_, MEANS, rtol=1e-14, atol=1e-14)
    assert_allclose(model.covariances_, KNOWN[covariance_type], rtol=1e-13, atol=1e-13)


@every_covariance_type
def test_the_density_is_that_of_scikit_learn(covariance_type, X):
    theirs = GaussianMixture(K, covariance_type=covariance_type)
    theirs.weights_, theirs.means_ = WEIGHTS, MEANS
    theirs.covariances_ = KNOWN[covariance_type]
    theirs.precisions_cholesky_ = _compute_precision_cholesky(
        KNOWN[covariance_type], covariance_type
    )
    ours = known(covariance_type)
    assert_allclose(ours.score_samples(X), theirs.score_samples(X), rtol=1e-11)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=1e-8, atol=1e-12)
    found, expected = ours.precisions_cholesky_, theirs.precisions_cholesky_
    assert_allclose(found, expected, rtol=1e-11, atol=1e-12)
    assert_allclose(ours.bic(X), theirs.bic(X), rtol=1e-11)


@every_covariance_type
def test_it_can_do_what_a_fitted_mixture_can(covariance_type, X):
    model = known(covariance_type, random_state=0)
    drawn, labels = model.sample(20_000, return_latent=True)
    assert_allclose(drawn.mean(axis=0), WEIGHTS @ MEANS, atol=0.1)
    assert_allclose(np.bincount(labels) / 20_000, WEIGHTS, atol=0.02)
    assert_array_equal(model.predict(MEANS), [0, 1])
    again = pickle.loads(pickle.dumps(model))
    assert_array_equal(again.score_samples(X), model.score_samples(X))
    assert model.converged_
    assert model.n_iter_ == 0
    assert model.n_features_in_ == D
    with pytest.raises(ValueError, match="2 features"):
        model.score(X[:, :2])


@every_covariance_type
def test_it_can_be_cloned_and_fitted(covariance_type):
    X = clouds(100)
    model = known(covariance_type, random_state=0, reg_covar=1e-3)
    assert model.get_params()["reg_covar"] == 1e-3
    assert model.n_components == K
    plain = EMGaussianMixture(
        K, covariance_type=covariance_type, random_state=0, reg_covar=1e-3
    ).fit(X)
    assert_array_equal(clone(model).fit(X).means_, plain.means_)
    assert_array_equal(model.fit(X).means_, plain.means_)


@every_covariance_type
def test_it_can_be_where_a_fit_begins(covariance_type):
    X = clouds(100)
    model = known(
        covariance_type, warm_start=True, max_iter=0, reg_covar=0.0, covariance_prior=None
    )
    before = model.score(X)
    assert_allclose(model.fit(X).lower_bound_, before, rtol=1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_precision_of_the_means_is_that_of_the_mixture(dtype):
    model = EMGaussianMixture.from_parameters(
        WEIGHTS, MEANS.astype(dtype), KNOWN["full"].astype(dtype)
    )
    assert model.means_.dtype == model.covariances_.dtype == model.sample(2).dtype == dtype


def test_lists_of_integers_will_do():
    model = EMGaussianMixture.from_parameters([1], [[0, 0]], [[[1, 0], [0, 1]]])
    assert_allclose(model.score_samples([[0.0, 0.0]]), -np.log(2 * np.pi))
    assert model.means_.dtype == np.float64


@pytest.mark.parametrize("unit", [1e-120, 1e-6, 1e6, 1e120])
@every_covariance_type
def test_units_cost_no_digits(covariance_type, unit, X):
    plain = known(covariance_type)
    model = EMGaussianMixture.from_parameters(
        WEIGHTS, unit * MEANS, unit**2 * KNOWN[covariance_type], covariance_type=covariance_type
    )
    moved = model.score_samples(unit * X) + D * np.log(unit)
    assert_allclose(moved, plain.score_samples(X), rtol=1e-10)


MIXED_UNITS = np.outer([1e-9, 1.0, 1e9], [1e-9, 1.0, 1e9])


def test_a_matrix_is_symmetric_but_for_rounding_whatever_the_units():
    rounded = KNOWN["full"] * MIXED_UNITS
    rounded[0, 0, 1] *= 1 + 1e-12
    model = EMGaussianMixture.from_parameters(WEIGHTS, MEANS, rounded)
    assert_allclose(model.covariances_, KNOWN["full"] * MIXED_UNITS, rtol=1e-11)
    lopsided = KNOWN["full"] * MIXED_UNITS
    lopsided[0, 0, 1] *= 1.01
    with pytest.raises(ValueError, match="symmetric"):
        EMGaussianMixture.from_parameters(WEIGHTS, MEANS, lopsided)


def test_weights_are_normalized():
    """They may have been written with six digits; a density has mass one."""
    rounded = EMGaussianMixture.from_parameters([0.333333, 0.666667 + 4e-7], MEANS, KNOWN["full"])
    assert_allclose(rounded.weights_.sum(), 1.0, rtol=1e-15)


def test_a_component_of_no_weight_is_allowed(X):
    model = EMGaussianMixture.from_parameters([0.0, 1.0], MEANS, KNOWN["full"])
    assert np.isfinite(model.score_samples(X)).all()
    assert (model.predict(X) == 1).all()
    assert (model.sample(50, return_latent=True)[1] == 1).all()


INDEFINITE = np.array([[1.0, 2.0, 0.0], [2.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
LOPSIDED = np.array([[1.0, 0.5, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
REFUSED = {
    "weights too many": (
        {"weights": [0.2, 0.3, 0.5]},
        r"weights must be of shape \(2,\), got \(3,",
    ),
    "weights sum": ({"weights": [0.5, 0.6]}, "weights must be non-negative with sum 1"),
    "weights negative": ({"weights": [-0.5, 1.5]}, "weights must be non-negative"),
    "weights nan": ({"weights": [np.nan, 1.0]}, "weights contains NaN"),
    "means flat": ({"means": [0.0, 1.0, 2.0]}, r"means must be of shape .* got \(3,\)"),
    "means infinite": ({"means": np.full((K, D), np.inf)}, "means contains (NaN|infinity)"),
    "covariances shape": (
        {"covariances": np.eye(D)},
        r"covariances must be of shape \(2, 3, 3\), got \(3, 3\)",
    ),
    "covariances indefinite": (
        {"covariances": [np.eye(D), INDEFINITE]},
        r"covariances\[1\] is not positive definite",
    ),
    "covariances singular": (
        {"covariances": [np.ones((D, D)), np.eye(D)]},
        r"covariances\[0\] is not positive definite",
    ),
    "covariances lopsided": ({"covariances": [np.eye(D), LOPSIDED]}, "covariances.* symmetric"),
    "covariances nan": ({"covariances": np.full((K, D, D), np.nan)}, "covariances contains NaN"),
    "type": ({"covariance_type": "round"}, "covariance_type='round'.*diag.*full"),
}
NEGATIVE = {
    "full": -KNOWN["full"],
    "tied": -KNOWN["tied"],
    "diag": KNOWN["diag"] * [1.0, 0.0, 1.0],
    "spherical": np.array([1.0, -1.0]),
}


@pytest.mark.parametrize("case", REFUSED)
def test_bad_parameters_are_refused_by_name(case):
    change, message = REFUSED[case]
    given = {"weights": WEIGHTS, "means": MEANS, "covariances": KNOWN["full"], **change}
    with pytest.raises(ValueError, match=message):
        EMGaussianMixture.from_parameters(**given)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_covariances_must_be_positive_definite(covariance_type):
    with pytest.raises(ValueError, match=r"covariances.* not positive definite") as caught:
        EMGaussianMixture.from_parameters(
            WEIGHTS, MEANS, NEGATIVE[covariance_type], covariance_type=covariance_type
        )
    assert not isinstance(caught.value, np.linalg.LinAlgError)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_initial_precisions_must_be_positive_definite(covariance_type):
    model = EMGaussianMixture(
        K, covariance_type=covariance_type, precisions_init=NEGATIVE[covariance_type]
    )
    with pytest.raises(ValueError, match=r"precisions_init.* not positive definite"):
        model.fit(clouds(50))


def test_means_whose_squares_are_no_numbers_are_refused():
    with pytest.raises(ValueError, match=r"means are too large, up to 1e\+200.* Divide"):
        EMGaussianMixture.from_parameters([0.5, 0.5], [[0.0], [1e200]], np.ones((2, 1, 1)))
