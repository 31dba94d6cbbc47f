"""Laws of one Student-t density."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import multivariate_t
from sklearn.utils.estimator_checks import check_estimator

from sklearn_lvm import GaussianMLE, StudentT

LOCATION, SCALE = np.array([1.0, -2.0]), np.array([[2.0, 1.0], [1.0, 1.5]])


def rows(n, dof=4.0, seed=0):
    return multivariate_t(LOCATION, SCALE, df=dof, seed=seed).rvs(n)


def test_scores_are_those_of_scipy():
    X = rows(200)
    model = StudentT().fit(X)
    known = multivariate_t(model.location_, model.scale_matrix_, df=model.dof_)
    assert_allclose(model.score_samples(X), known.logpdf(X), rtol=1e-10)


def test_the_density_integrates_to_one():
    model = StudentT(dof=5.0).fit(rows(100)[:, :1])
    # x = m + tan(a) covers the line; the Jacobian is 1 / cos(a)^2.
    a = np.linspace(-np.pi / 2, np.pi / 2, 20001)[1:-1]
    x = model.location_[0] + np.tan(a)
    density = np.exp(model.score_samples(x[:, None])) / np.cos(a) ** 2
    assert_allclose(np.trapezoid(density, a), 1.0, rtol=1e-6)


def test_the_degrees_of_freedom_are_recovered():
    X = rows(20000)
    model = StudentT().fit(X)
    assert model.converged_
    assert_allclose(model.dof_, 4.0, rtol=0.05)
    assert_allclose(model.location_, LOCATION, atol=0.05)
    assert_allclose(model.scale_matrix_, SCALE, atol=0.1)
    assert model.score(X) > GaussianMLE().fit(X).score(X) + 0.05


def test_rows_of_a_gaussian_are_given_a_gaussian():
    X = np.random.RandomState(0).normal(size=(2000, 3))
    t, gaussian = StudentT().fit(X), GaussianMLE().fit(X)
    assert t.dof_ > 50.0
    assert t.score(X) > gaussian.score(X) - 1e-5
    assert_allclose(StudentT(dof=1e9).fit(X).score(X), gaussian.score(X), atol=1e-6)


def test_gross_errors_hardly_move_the_location():
    X = rows(2000, dof=30.0)
    X[:200] += 1000.0
    assert_allclose(StudentT().fit(X).location_, LOCATION, atol=0.3)
    assert abs(GaussianMLE().fit(X).mean_ - LOCATION).min() > 90.0


@pytest.mark.parametrize("dof", [None, 3.0])
def test_the_objective_never_falls_and_is_that_of_the_model(dof):
    X, w = rows(300), np.random.RandomState(1).uniform(0.5, 2.0, 300)
    model = StudentT(dof, reg_covar=1e-2).fit(X, sample_weight=w)
    exact = StudentT(dof, reg_covar=0.0).fit(X, sample_weight=w)
    assert (np.diff(model.lower_bounds_) >= 0).all()
    assert_allclose(exact.lower_bound_, exact.score(X, sample_weight=w), rtol=1e-12)
    assert model.lower_bound_ < model.score(X, sample_weight=w) <= exact.lower_bound_
    assert dof is None or model.dof_ == dof


@pytest.mark.parametrize("dof", [None, 3.0])
def test_the_estimate_is_stationary(dof):
    X = rows(300)
    model = StudentT(dof, reg_covar=0.0, tol=1e-12).fit(X)

    def score(location, scale, nu):
        return multivariate_t(location, scale, df=nu).logpdf(X).mean()

    best = score(model.location_, model.scale_matrix_, model.dof_)
    for size in (-1e-3, 1e-3):
        for shift in np.eye(2) * size:
            assert score(model.location_ + shift, model.scale_matrix_, model.dof_) < best
        assert score(model.location_, model.scale_matrix_ * (1.0 + size), model.dof_) < best
        if dof is None:
            assert score(model.location_, model.scale_matrix_, model.dof_ * (1.0 + size)) < best


def test_weights_are_repetition_and_order_is_irrelevant():
    X, rng = rows(100), np.random.RandomState(0)
    w = rng.randint(0, 4, 100)
    weighted = StudentT().fit(X, sample_weight=w)
    repeated = StudentT().fit(rng.permutation(np.repeat(X, w, axis=0)))
    assert weighted.dof_ == repeated.dof_
    assert (weighted.scale_matrix_ == repeated.scale_matrix_).all()


def test_units_change_scores_by_their_jacobian():
    X, unit, shift = rows(200), np.array([1e6, 1e-3]), np.array([-1e7, 5.0])
    one, other = StudentT().fit(X), StudentT().fit(X * unit + shift)
    assert_allclose(other.dof_, one.dof_, rtol=1e-6)
    change = one.score_samples(X) - other.score_samples(X * unit + shift)
    assert_allclose(change, np.log(unit).sum(), atol=1e-6)


def test_samples_come_from_the_density():
    model = StudentT(dof=8.0).fit(rows(500))
    X = model.sample(20000, random_state=0)
    again = StudentT().fit(X)
    assert_allclose(again.scale_matrix_, model.scale_matrix_, rtol=0.1)
    assert_allclose(again.dof_, 8.0, rtol=0.1)


def test_transform_is_undone():
    X = rows(50)
    model = StudentT().fit(X)
    assert_allclose(model.inverse_transform(model.transform(X)), X, rtol=1e-10)
    assert_allclose(model.transform(model.location_[None]), 0.0, atol=1e-10)


def test_single_precision_stays_single():
    X = rows(100).astype(np.float32)
    model = StudentT().fit(X)
    found = [model.location_, model.score_samples(X), model.transform(X), model.sample(2)]
    assert all(array.dtype == np.float32 for array in found)
    assert_allclose(model.dof_, StudentT().fit(X.astype(np.float64)).dof_, rtol=1e-10)


def test_what_cannot_be_fitted_is_refused():
    X = rows(50)
    model = StudentT().fit(X)
    before = model.dof_
    with pytest.raises(ValueError, match="NaN"):
        model.fit(np.where(X > 3.0, np.nan, X))
    with pytest.raises(ValueError, match="two distinct rows"):
        model.fit(np.ones((5, 2)))
    with pytest.raises(ValueError, match="raise reg_covar"):
        model.set_params(reg_covar=0.0).fit(np.column_stack([X[:, 0], X[:, 0]]))
    assert model.dof_ == before


def test_scikit_learn_finds_nothing_to_object_to():
    found = check_estimator(StudentT(), on_fail=None, on_skip=None)
    assert not [check for check in found if check["status"] == "failed"]
