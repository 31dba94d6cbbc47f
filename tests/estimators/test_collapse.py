"""Where a likelihood has no bound a fit ends in a density, or in an error that says what to do."""

import re
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.exceptions import ConvergenceWarning

from sklearn_lvm import EMGaussianMixture

from .specs import (
    COVARIANCE_TYPES,
    LOW_RANK,
    ONE_UNIT,
    every_covariance_type,
    every_em_covariance_type,
    objective,
    parameters,
)


def spread(n=60, d=3, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d))


def one_point_of_its_own():
    return np.concatenate([spread(), np.full((1, 3), 50.0)])


def a_heap_of_copies():
    return np.concatenate([spread(), np.full((40, 3), 5.0)])


def only_copies():
    return np.repeat(spread(4), 20, axis=0)


def a_constant_column():
    return np.column_stack([spread(), np.full(60, 3.3)])


def a_column_constant_in_one_cluster():
    X = spread()
    X[:30] += 20.0
    X[:30, 0] = 20.0
    return X


def a_dependent_column():
    X = spread()
    return np.column_stack([X, X[:, 0] - X[:, 1]])


def hardly_more_rows_than_components():
    return spread(6)


def as_many_rows_as_components():
    return spread(5)


def more_columns_than_rows():
    return spread(8, 20)


def whole_numbers():
    return np.random.default_rng(0).integers(0, 2, size=(80, 3)).astype(float)


def tiny_units():
    return 1e-30 * a_heap_of_copies()


def float32_far_away():
    return (0.01 * spread() + 1e4).astype(np.float32)


TABLES = [
    one_point_of_its_own,
    a_heap_of_copies,
    only_copies,
    a_constant_column,
    a_column_constant_in_one_cluster,
    a_dependent_column,
    hardly_more_rows_than_components,
    as_many_rows_as_components,
    more_columns_than_rows,
    whole_numbers,
    tiny_units,
    float32_far_away,
]
CAUSE = r"component \d+|n_components=5"
REMEDY = r"[Rr]aise reg_covar|lower n_components"


def outcome(X, **params):
    """The fitted mixture, or the error in its place."""
    model = EMGaussianMixture(5, max_iter=300, n_init=2, random_state=0, **params)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        try:
            return model.fit(X)
        except ValueError as error:
            return error


def check_density(model, X):
    _, means, C = parameters(model)
    assert np.isfinite(means).all()
    size = np.sqrt(np.diagonal(C, axis1=1, axis2=2).astype(float))
    assert (size > 0).all()
    correlation = C / size[:, :, None] / size[:, None, :]
    precision = np.finfo(X.dtype).eps * 10 * X.shape[1]
    assert (np.linalg.eigvalsh(correlation) > -precision).all()
    assert np.isfinite(model.score_samples(X)).all()
    assert np.isfinite(model.lower_bounds_).all()
    assert (np.diff(model.lower_bounds_) >= 0).all()
    assert np.isfinite(model.sample(10)).all()
    assert_allclose(model.predict_proba(X).sum(axis=1), 1.0, rtol=1e-6)


def check_error(error):
    assert not isinstance(error, np.linalg.LinAlgError)
    assert re.search(CAUSE, str(error))
    assert re.search(REMEDY, str(error))


@every_em_covariance_type
@pytest.mark.parametrize("init_params", ["kmeans", "k-means++", "random", "random_from_data"])
@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_with_reg_covar_a_fit_ends_in_a_density(table, init_params, covariance_type):
    X = table()
    found = outcome(X, covariance_type=covariance_type, init_params=init_params)
    assert isinstance(found, EMGaussianMixture), found
    check_density(found, X)


@every_em_covariance_type
@pytest.mark.parametrize("covariance_prior", ["auto", None])
@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.__name__)
def test_without_reg_covar_a_fit_ends_in_a_density_or_a_remedy(
    table, covariance_prior, covariance_type
):
    X = table()
    params = {"reg_covar": 0.0, "covariance_prior": covariance_prior}
    found = outcome(X, covariance_type=covariance_type, **params)
    if isinstance(found, EMGaussianMixture):
        check_density(found, X)
    else:
        check_error(found)


@every_em_covariance_type
def test_without_reg_covar_a_collapse_names_component_and_features(covariance_type):
    X = a_constant_column()
    params = {"reg_covar": 0.0, "covariance_prior": None, "init_params": "random"}
    found = outcome(X, covariance_type=covariance_type, **params)
    if covariance_type in ONE_UNIT:
        check_density(found, X)
        return
    assert re.search(r"singular.*component \d+.*features \[3\]", str(found))
    check_error(found)


@every_em_covariance_type
@pytest.mark.parametrize("init_params", ["auto", "k-means++", "random", "random_from_data"])
@pytest.mark.parametrize("covariance_prior", ["auto", None])
@pytest.mark.parametrize("K", [3, 5, 10])
def test_components_of_fewer_distinct_rows_coincide(
    covariance_type, init_params, covariance_prior, K
):
    rows = np.array([[0.0, 1.0], [2.0, 5.0]])
    params = {"covariance_type": covariance_type, "init_params": init_params, "random_state": 0}
    params["covariance_prior"] = covariance_prior
    model = EMGaussianMixture(K, **params).fit(np.repeat(rows, 5, axis=0))
    check_density(model, rows)
    assert_allclose(model.weights_.sum(), 1.0, rtol=1e-14)
    weighted = EMGaussianMixture(K, **params).fit(rows, sample_weight=[5.0, 5.0])
    rounding = (
        1e-12 if covariance_prior is None else 1e-9
    )  # which the weight of a prior is less exact by
    assert_allclose(weighted.score_samples(rows), model.score_samples(rows), rtol=rounding)
    if covariance_prior is None:
        two = EMGaussianMixture(2, **params).fit(rows)
        assert_allclose(model.score(rows), two.score(rows), rtol=1e-9)


@every_em_covariance_type
@pytest.mark.parametrize("reg_covar", [0.0, 1e-6])
def test_components_beyond_rows_and_repetitions_are_refused(covariance_type, reg_covar):
    X = np.array([[0.0, 1.0]] * 3 + [[2.0, 5.0]] * 2)
    params = {"covariance_type": covariance_type, "reg_covar": reg_covar}
    message = r"n_components=6.*n_samples=2 .* weight 5: lower n_components to at most 5"
    with pytest.raises(ValueError, match=message):
        EMGaussianMixture(6, **params).fit(X)
    with pytest.raises(ValueError, match=message):
        EMGaussianMixture(6, **params).fit(X[[0, 4, 0]], sample_weight=[3, 2, 0])
    with pytest.raises(ValueError, match=r"n_components=3.*weight 0.5: .* at most 2"):
        EMGaussianMixture(3, **params).fit(X[2:4], sample_weight=[0.2, 0.3])


@every_em_covariance_type
def test_without_reg_covar_as_many_rows_as_components_have_no_extent(covariance_type):
    X = np.array([[0.0, 1.0]] * 3 + [[2.0, 5.0]] * 2)
    with pytest.raises(ValueError, match=r"singular.*Raise reg_covar, lower n_components"):
        EMGaussianMixture(
            3, covariance_type=covariance_type, reg_covar=0.0, covariance_prior=None
        ).fit(X)


@pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical"])
def test_a_start_that_collapses_does_not_spoil_the_others(covariance_type):
    """A start from the lonely row has a component without extent; the others have none."""
    X = np.concatenate([spread(30), spread(30, seed=1) + 20.0, np.full((1, 3), 28.0)])
    params = {
        "covariance_type": covariance_type,
        "reg_covar": 0.0,
        "covariance_prior": None,
        "init_params": "random_from_data",
    }
    alone = []
    for seed in range(40):
        try:
            model = EMGaussianMixture(2, random_state=seed, **params).fit(X)
            alone.append(isinstance(model, EMGaussianMixture))
        except ValueError as error:
            check_error(error)
            alone.append(False)
    assert 0 < sum(alone) < len(alone)
    model = EMGaussianMixture(2, n_init=40, random_state=0, **params).fit(X)
    check_density(model, X)


@every_em_covariance_type
def test_a_collapsed_component_still_has_the_right_objective(covariance_type):
    X = a_heap_of_copies()
    model = outcome(X, covariance_type=covariance_type, reg_covar=1e-3)
    assert_allclose(model.lower_bound_, objective(model, X), rtol=1e-9)


# -- tight clusters ----------------------------------------------------------------------------------


def tight_clusters(size, n=50):
    rng = np.random.default_rng(0)
    centers = np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    return (centers[:, None] + size * rng.normal(size=(3, n, 2))).reshape(-1, 2)


@every_covariance_type
@pytest.mark.parametrize("size", [1e-2, 1e-4, 1e-6])
def test_tight_clusters_are_measured_exactly(covariance_type, size):
    X = tight_clusters(size)
    params = {"reg_covar": 0.0, "covariance_prior": None, "random_state": 0}
    model = EMGaussianMixture(3, covariance_type=covariance_type, tol=0.0, max_iter=10, **params)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        labels = model.fit(X).predict(X)
    exact = np.stack([np.cov(X[labels == k].T, bias=True) for k in range(3)])
    expected = {
        "full": exact,
        "tied": exact.mean(axis=0),
        "diag": np.diagonal(exact, axis1=1, axis2=2),
        "spherical": np.trace(exact, axis1=1, axis2=2) / 2,
    }[covariance_type]
    assert_allclose(model.covariances_, expected, rtol=0, atol=1e-9 * abs(expected).max())
    means = np.stack([X[labels == k].mean(axis=0) for k in range(3)])
    assert_allclose(model.means_, means, rtol=0, atol=1e-9 * size)


def test_every_covariance_type_is_covered():
    covered = {*COVARIANCE_TYPES, *LOW_RANK}
    assert set(EMGaussianMixture._parameter_constraints["covariance_type"][0].options) == covered
