"""A user of scikit-learn's GaussianMixture changes the import, and finds every name and number."""

import inspect
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from sklearn_lvm import EMGaussianMixture

from ..helpers import scale_of
from .specs import (
    COVARIANCE_TYPES,
    DENSE,
    clouds,
    every_covariance_type,
    gaussian_log_prior,
    objective,
)

N, D, K = 200, 3, 3


@pytest.fixture
def X():
    return clouds(N, D)


@pytest.fixture(autouse=True)
def few_iterations_are_enough():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        yield


def start(X, covariance_type):
    """Weights, means and precisions to begin with."""
    rng = np.random.default_rng(0)
    C = np.cov(X.T)
    precisions = {
        "full": np.stack([np.linalg.inv(C * s) for s in (0.5, 1.0, 2.0)]),
        "tied": np.linalg.inv(C),
        "diag": rng.uniform(0.5, 2, (K, D)) / np.diag(C),
        "spherical": rng.uniform(0.5, 2, K) / np.diag(C).mean(),
    }
    return {
        "weights_init": np.array([0.2, 0.5, 0.3]),
        "means_init": X[rng.choice(N, K, replace=False)],
        "precisions_init": precisions[covariance_type],
    }


def pair(X, covariance_type, steps, **params):
    """Both mixtures after some steps from the same start."""
    params = {"reg_covar": 0.0, "tol": 0.0, **start(X, covariance_type), **params}
    params = {"covariance_type": covariance_type, "max_iter": steps, **params}
    ours = EMGaussianMixture(K, acceleration=None, covariance_prior=None, **params)
    return [mixture.fit(X) for mixture in (ours, GaussianMixture(K, **params))]


@every_covariance_type
@pytest.mark.parametrize("steps", [1, 5, 20])
def test_the_same_start_leads_to_the_same_mixture(covariance_type, steps, X):
    ours, theirs = pair(X, covariance_type, steps)
    assert ours.n_iter_ == theirs.n_iter_ == steps
    for name in ("weights_", "means_", "covariances_", "precisions_", "precisions_cholesky_"):
        found, expected = getattr(ours, name), getattr(theirs, name)
        assert found.shape == expected.shape
        assert_allclose(found, expected, rtol=1e-8, atol=1e-8, err_msg=name)


@every_covariance_type
def test_the_same_mixture_says_the_same(covariance_type, X):
    ours, theirs = pair(X, covariance_type, 3)
    assert_allclose(ours.score_samples(X), theirs.score_samples(X), rtol=1e-8)
    assert_allclose(ours.score(X), theirs.score(X), rtol=1e-8)
    assert_allclose(ours.predict_proba(X), theirs.predict_proba(X), rtol=0, atol=1e-8)
    assert_array_equal(ours.predict(X), theirs.predict(X))
    assert_allclose(ours.bic(X), theirs.bic(X), rtol=1e-8)
    assert_allclose(ours.aic(X), theirs.aic(X), rtol=1e-8)
    assert ours.n_parameters_ == theirs._n_parameters()


@every_covariance_type
def test_lower_bounds_are_those_of_scikit_learn_one_step_later(covariance_type, X):
    """There an entry belongs to the mixture before the step, here to the one after it."""
    ours, theirs = pair(X, covariance_type, 6)
    following = pair(X, covariance_type, 7)[1]
    assert_allclose(ours.lower_bound_, following.lower_bound_, rtol=1e-9)
    if hasattr(theirs, "lower_bounds_"):
        assert_allclose(ours.lower_bounds_[:-1], theirs.lower_bounds_[1:], rtol=1e-9)


def test_every_parameter_of_scikit_learn_exists_with_its_default_unless_better_ones_are_known():
    theirs = inspect.signature(GaussianMixture).parameters
    ours = inspect.signature(EMGaussianMixture).parameters
    assert theirs.keys() <= ours.keys()
    differ = {n for n, p in theirs.items() if p.default != ours[n].default}
    assert differ == {"tol", "max_iter", "init_params"}
    assert [n for n, p in ours.items() if p.kind is not p.KEYWORD_ONLY] == ["n_components"]


def test_every_method_and_attribute_of_scikit_learn_exists(X):
    theirs = GaussianMixture(K, random_state=0).fit(X)
    ours = EMGaussianMixture(K, random_state=0).fit(X)
    public = {name for name in dir(theirs) if not name.startswith("_")}
    assert public <= set(dir(ours))
    for name in {name for name in vars(theirs) if name.endswith("_")}:
        assert isinstance(getattr(theirs, name), type(getattr(ours, name))), name


# -- the objective -----------------------------------------------------------------------------------

REG_COVARS = [0.0, 1e-6, 1e-2]
cancer = load_breast_cancer().data
TABLES = {"raw": cancer, "standardized": (cancer - cancer.mean(axis=0)) / cancer.std(axis=0)}


every_acceleration = pytest.mark.parametrize("acceleration", [None, "squarem"])


@every_covariance_type
@every_acceleration
@pytest.mark.parametrize("reg_covar", REG_COVARS)
@pytest.mark.parametrize("units", TABLES)
def test_the_objective_never_falls_on_real_data(covariance_type, acceleration, reg_covar, units):
    X = TABLES[units]
    model = EMGaussianMixture(
        3,
        covariance_type=covariance_type,
        reg_covar=reg_covar,
        acceleration=acceleration,
        random_state=0,
        tol=0.0,
        max_iter=40,
    ).fit(X)
    assert 5 < len(model.lower_bounds_) <= model.n_iter_
    assert acceleration or len(model.lower_bounds_) == model.n_iter_
    assert (np.diff(model.lower_bounds_) >= 0).all()
    assert model.lower_bounds_[-1] == model.lower_bound_
    assert_allclose(model.lower_bound_, objective_in_standard_units(model, X), rtol=1e-9)


@every_covariance_type
@every_acceleration
@pytest.mark.parametrize("reg_covar", REG_COVARS)
def test_the_objective_of_each_step_is_that_of_its_mixture(
    covariance_type, acceleration, reg_covar, X
):
    params = {"covariance_type": covariance_type, "reg_covar": reg_covar, "random_state": 0}
    model = EMGaussianMixture(3, acceleration=acceleration, tol=0.0, **params)
    fits = [clone(model).set_params(max_iter=steps).fit(X) for steps in range(1, 9)]
    heights = [objective(fit, X) for fit in fits]
    bounds = fits[-1].lower_bounds_
    assert_allclose([bounds[len(fit.lower_bounds_) - 1] for fit in fits], heights, rtol=1e-10)
    assert (np.diff(heights) >= -1e-12).all()
    assert acceleration or len(bounds) == 8


def objective_in_standard_units(model, X):
    """scipy calls covariances singular that are only in very different units: divide these out."""
    size = X.std(axis=0)
    units = {
        "full": np.outer(size, size),
        "tied": np.outer(size, size),
        "diag": size**2,
        "spherical": 1.0,
    }
    if model.covariance_type == "spherical":
        return objective(model, X)
    scaled = EMGaussianMixture.from_parameters(
        model.weights_ / model.weights_.sum(),
        model.means_ / size,
        model.covariances_ / units[model.covariance_type],
        covariance_type=model.covariance_type,
        reg_covar=model.reg_covar,
    )
    plain = objective(scaled, X / size) - np.log(size).sum()
    return plain + gaussian_log_prior(model, X) / len(X)


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_reg_covar_is_in_units_of_the_data(covariance_type, X):
    """One component: its covariance is that of the data, and reg_covar of each squared scale."""
    X = X * [1.0, 1e-3, 1e3]
    params = {"covariance_type": covariance_type, "covariance_prior": None}
    model = EMGaussianMixture(1, reg_covar=0.1, **params).fit(X)
    C = np.cov(X.T, bias=True)
    expected = C + 0.1 * np.diag([scale_of(x) ** 2 for x in X.T])
    if covariance_type == "spherical":
        expected = np.trace(expected) / D * np.eye(D)
    elif covariance_type == "diag":
        expected = np.diag(np.diag(expected))
    found = DENSE[covariance_type](model.covariances_, 1, D)[0]
    size = np.sqrt(np.diag(expected))
    assert_allclose(found / np.outer(size, size), expected / np.outer(size, size), atol=1e-10)
