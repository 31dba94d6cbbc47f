"""A change of units or of origin changes the log-density by a constant, and nothing else."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from .specs import (
    MEASURED,
    clouds,
    every_exact_measured,
    every_measured,
    every_spec,
    parameters,
    public_state,
)

N = 150
free_units = pytest.mark.parametrize(
    "spec", [spec for spec in MEASURED if not spec.one_scale], ids=str
)


@pytest.fixture
def X():
    return clouds(N)


def check_same(model, plain, X, Y, log_jacobian, atol=1e-9):
    """Both models say the same of rows in their own units."""
    assert_allclose(
        model.score_samples(Y) + log_jacobian, plain.score_samples(X), rtol=0, atol=atol
    )
    assert_allclose(model.score(Y) + log_jacobian, plain.score(X), rtol=0, atol=atol / 10)
    assert_allclose(model.transform(Y), plain.transform(X), rtol=0, atol=1e-8)


@every_measured
@pytest.mark.parametrize("offset", [1.0, -40.0, [100.0, 0.0, -3.0]])
def test_an_offset_changes_no_density(spec, offset, X):
    check_same(spec.new().fit(X + offset), spec.new().fit(X), X, X + offset, 0.0)


@every_measured
@pytest.mark.parametrize("factor", [1e-9, 1e-6, 0.3, 1e6, 1e9])
def test_a_common_factor_changes_the_density_by_its_logarithm(spec, factor, X):
    log_jacobian = 3 * np.log(factor)
    check_same(spec.new().fit(factor * X), spec.new().fit(X), X, factor * X, log_jacobian)


@free_units
@pytest.mark.parametrize("factors", [[2.0, 0.5, 10.0], [1e-9, 1.0, 1e9], [1e3, 1e-6, 1e-3]])
def test_every_feature_may_have_its_own_unit(spec, factors, X):
    factors = np.array(factors)
    log_jacobian = np.log(factors).sum()
    check_same(spec.new().fit(factors * X), spec.new().fit(X), X, factors * X, log_jacobian)


@free_units
def test_units_reach_as_far_as_covariances_can_be_written(spec, X):
    for factors in (np.full(3, 1e-150), np.full(3, 1e150), np.array([1e-150, 1.0, 1e150])):
        model, plain = spec.new().fit(factors * X), spec.new().fit(X)
        check_same(model, plain, X, factors * X, np.log(factors).sum())


@every_measured
@pytest.mark.parametrize("offset", [1e4, 1e8, [1e8, -1e6, 0.0]])
def test_a_far_offset_costs_only_what_rounding_the_data_costs(spec, offset, X):
    moved = X + offset
    near = moved - offset
    # The mean of a default prior is rounded as the rows are, and pulls at components of few rows.
    atol = 1e-8 if spec.variational else 1e-9
    check_same(spec.new().fit(moved), spec.new().fit(near), near, moved, 0.0, atol)


@every_exact_measured
def test_parameters_move_with_the_data(spec, X):
    factor, offset = 1e-3, np.array([5.0, -2.0, 0.1])
    model, plain = spec.new().fit(factor * X + offset), spec.new().fit(X)
    name = "means_" if spec.mixture else "mean_"
    assert_allclose(getattr(model, name), factor * getattr(plain, name) + offset, rtol=1e-9)
    expected = parameters(plain)[2]
    assert_allclose(parameters(model)[2] / factor**2, expected, rtol=1e-8, atol=1e-9)


# -- precision ---------------------------------------------------------------------------------------


def arrays_of(model, X):
    """Every array that a user can get from a fitted model."""
    found = {
        name: value
        for name, value in public_state(model).items()
        if isinstance(value, np.ndarray | np.generic) and value.dtype.kind == "f"
    }
    for method in ("score_samples", "transform", "predict_proba"):
        if hasattr(model, method):
            found[method] = getattr(model, method)(X)
    if hasattr(model, "inverse_transform"):
        found["inverse_transform"] = model.inverse_transform(model.transform(X))
        found["latent"] = model.sample(3, return_latent=True)[1]
    found["sample"] = model.sample(3)
    return found


@every_spec
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_precision_of_the_data_is_that_of_all_results(spec, dtype, X):
    model = spec.new().fit(X.astype(dtype))
    found = arrays_of(model, X.astype(dtype))
    assert {name: value.dtype for name, value in found.items()} == dict.fromkeys(found, dtype)
    assert len(found) >= (6 if spec.measured else 4)


@every_spec
def test_integers_are_taken_as_float64(spec, X):
    rows = np.round(X).astype(int)
    model, plain = spec.new().fit(rows), spec.new().fit(rows.astype(float))
    assert_array_equal(model.score_samples(rows), plain.score_samples(rows.astype(float)))
    assert model.score_samples(rows).dtype == np.float64


def at(spec, offset):
    """The estimator of a spec for rows that are so far from zero: a threshold moves with them."""
    return spec.new(**({"binarize": offset} if spec.binary else {}))


@every_spec
@pytest.mark.parametrize("offset", [0.0, 1e4])
def test_float32_rows_are_computed_in_float64(spec, offset, X):
    rows = (X + offset).astype(np.float32)
    model, plain = (at(spec, offset).fit(R) for R in (rows, rows.astype(np.float64)))
    assert_allclose(model.score(rows), plain.score(rows.astype(np.float64)), rtol=1e-10)
    scores = plain.score_samples(rows.astype(np.float64))
    assert_allclose(model.score_samples(rows), scores, rtol=1e-6)


@every_spec
def test_float32_parameters_are_those_of_float64_rounded(spec, X):
    rows = (X + 1e4).astype(np.float32)
    model, plain = (public_state(at(spec, 1e4).fit(R)) for R in (rows, rows.astype(np.float64)))
    for name, value in plain.items():
        assert_allclose(model[name], value, rtol=1e-6, atol=1e-9, err_msg=name)


@every_measured
@pytest.mark.parametrize(
    ("dtype", "unit"), [(np.float32, 1e-25), (np.float32, 1e25), (float, 1e-200), (float, 1e200)]
)
def test_scores_survive_where_covariances_cannot_be_written(spec, dtype, unit, X):
    """Squares of such units are no numbers of this precision; the density needs no squares."""
    rows = (unit * X).astype(dtype)
    model, plain = spec.new().fit(rows), spec.new().fit(rows.astype(float) / unit)
    scores = model.score_samples(rows) + 3 * np.log(unit)
    expected = plain.score_samples(rows.astype(float) / unit)
    assert_allclose(scores, expected, rtol=0, atol=1e-9 if dtype is float else 1e-4)


@every_spec
def test_rows_without_end_have_a_finite_density(spec, X):
    model = spec.new().fit(X)
    assert np.isfinite(model.score_samples(np.full((1, 3), 1e300))).all()
