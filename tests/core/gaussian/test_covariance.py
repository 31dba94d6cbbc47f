"""Every covariance structure speaks the same verbs, and they mean the same as for dense matrices."""

import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_allclose

from sklearn_lvm.core.gaussian.diagonal import Diagonal, Spherical
from sklearn_lvm.core.gaussian.full import MIN_STRIPED, NEGLIGIBLE, Full
from sklearn_lvm.core.linalg import SingularCovarianceError

from ...laws.specs import (
    PART,
    PUBLIC,
    Family,
    components,
    every_family,
    every_gaussian,
    every_structure,
    features,
    seeds,
)

K, D, N = 3, 4, 20


def whiten(covariance, Z):
    """inv(L_k) z for rows (d, n)."""
    return covariance.whitener(np.zeros((len(covariance.variances), len(Z))))(Z)


def close(actual, desired):
    assert_allclose(actual, desired, rtol=1e-10, atol=1e-10)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@every_family
@given(seed=seeds, K=components, d=features)
def test_public_forms_round_trip(family, seed, K, d):
    C = family.matrices(K, d, np.random.default_rng(seed))
    covariance = family.from_dense(C)
    close(family.dense(covariance.matrix, d), C)
    close(family.dense(covariance.precision, d), np.linalg.inv(C))
    again = family.of(d).from_public_precision(covariance.precision)
    close(again.matrix, covariance.matrix)
    assert np.shape(covariance.matrix) == family.of(d).public_shape(K)


@every_gaussian
@given(seed=seeds, K=components, d=features)
def test_whitening_measures_the_mahalanobis_distance(family, seed, K, d):
    rng = np.random.default_rng(seed)
    covariance = family.covariance(K, d, rng)
    Z = rng.normal(size=(d, N))
    whitened = whiten(covariance, Z)
    inverse = np.linalg.inv(family.dense(covariance.matrix, d))
    close((whitened**2).sum(axis=1), np.einsum("in,kij,jn->kn", Z, inverse, Z))


@every_gaussian
@given(seed=seeds, K=components, d=features)
def test_whiten_undoes_colorize(family, seed, K, d):
    rng = np.random.default_rng(seed)
    covariance = family.covariance(K, d, rng)
    each = rng.normal(size=(len(covariance.variances), d))
    close(covariance.whiten_each(covariance.colorize_each(each)), each)
    noise = rng.normal(size=(N, d))
    for k in range(len(each)):
        close(whiten(covariance, covariance.colorize(noise, k).T)[k], noise.T)


@every_gaussian
@given(seed=seeds, K=components, d=features)
def test_a_whitener_takes_the_mean_away(family, seed, K, d):
    rng = np.random.default_rng(seed)
    covariance = family.covariance(K, d, rng)
    mean, Z = rng.normal(size=(K, d)), rng.normal(size=(d, N))
    whitened = covariance.whitener(mean)(Z)
    assert whitened.shape == (K, d, N)
    for i, gaps in enumerate((Z[None] - mean[:, :, None]).transpose(2, 0, 1)):
        close(whitened[:, :, i], covariance.whiten_each(gaps))


@pytest.mark.parametrize("d", [MIN_STRIPED - 1, MIN_STRIPED, MIN_STRIPED + 3])
def test_many_features_are_whitened_in_strips(d, rng):
    covariance = Family(Full, False).covariance(2, d, rng)
    mean, Z = rng.normal(size=(2, d)), rng.normal(size=(d, N))
    gaps = Z[None] - mean[:, :, None]
    assert_allclose(
        covariance.whitener(mean)(Z), np.linalg.solve(covariance.factor, gaps), rtol=0, atol=1e-9
    )


@every_gaussian
def test_white_noise_is_colorized_to_the_covariance(family, rng):
    covariance = family.covariance(K, D, rng)
    for k, C in enumerate(family.dense(covariance.matrix, D)):
        root = covariance.colorize(np.eye(D), k).T
        close(root @ root.T, C)


@every_gaussian
def test_determinant_and_diagonals(family, rng):
    covariance = family.covariance(K, D, rng)
    C = family.dense(covariance.matrix, D)
    close(covariance.log_det, np.linalg.slogdet(C)[1])
    close(covariance.variances, np.diagonal(C, axis1=1, axis2=2))
    inverse = np.linalg.inv(C)
    close(covariance.precision_diagonal, np.diagonal(inverse, axis1=1, axis2=2))


@every_gaussian
@pytest.mark.parametrize("size", [1.0, 30.0, 1e-3, 1e-13])
def test_growth_of_the_determinant_keeps_its_digits(family, size, rng):
    """Where it is small it is tr(inv(C) S), whatever the determinant is."""
    C, S = family.matrices(K, D, rng), family.matrices(K, D, rng)
    found = family.from_dense(C).log_det_growth(size * PART[family.structure](S))
    plain = np.linalg.slogdet(C + size * S)[1] - np.linalg.slogdet(C)[1]
    assert_allclose(found, plain, rtol=1e-11, atol=1e-14)
    if size == 1e-13:
        trace = size * np.trace(np.linalg.solve(C, S), axis1=1, axis2=2)
        assert_allclose(found, trace, rtol=1e-11)


@every_gaussian
def test_precision_factor_is_an_upper_root_of_the_precision(family, rng):
    covariance = family.covariance(K, D, rng)
    U = family.dense(covariance.precision_factor, D)
    assert_allclose(U, np.triu(U), rtol=0, atol=0)
    close(U @ U.mT, family.dense(covariance.precision, D))


@every_gaussian
def test_rescaling_features_rescales_the_matrix(family, rng):
    covariance = family.covariance(K, D, rng)
    s = rng.uniform(0.1, 10, D) if family.structure.per_feature else np.full(D, 7.0)
    C = family.dense(covariance.matrix, D)
    close(family.dense(covariance.rescale(s).matrix, D), C * s[:, None] * s)


@every_structure
@given(seed=seeds, K=components, d=features)
def test_gram_is_the_stored_form_of_the_weighted_sum_of_outer_products(structure, seed, K, d):
    rng = np.random.default_rng(seed)
    R, w = rng.normal(size=(K, d, N)), rng.uniform(size=(K, N))
    plain, keeps = np.einsum("kn,kin,kjn->kij", w, R, R), structure(d)
    close(keeps.gram(R, w), PART[structure](plain))
    one = R[:, :, 0]
    close(keeps.outer(one), PART[structure](one[:, :, None] * one[:, None, :]))
    diagonal = keeps.diagonal(keeps.gram(R, w))
    assert diagonal.shape == (K, d)
    close(diagonal.sum(axis=1), np.trace(plain, axis1=1, axis2=2))


@every_structure
@given(seed=seeds, K=components, d=features)
def test_accumulate_is_the_weighted_sum_and_the_gram(structure, seed, K, d):
    rng = np.random.default_rng(seed)
    R, w = rng.normal(size=(K, d, N)), rng.uniform(size=(K, N))
    first, second = structure(d).accumulate(R, w)
    close(first, np.einsum("kn,kin->ki", w, R))
    close(second, PART[structure](np.einsum("kn,kin,kjn->kij", w, R, R)))


@every_structure
@pytest.mark.parametrize("heavy", [1, 5, N - 1])
def test_rows_of_negligible_weight_change_no_digit(structure, heavy, rng):
    """Also where they are left out: their part is below the rounding of the others'."""
    R, w = rng.normal(size=(K, D, N)), rng.uniform(0.5, 1.0, size=(K, N))
    w[:, heavy:] *= NEGLIGIBLE / 10
    for found, plain in zip(
        structure(D).accumulate(R, w),
        structure(D).accumulate(R[:, :, :heavy], w[:, :heavy]),
        strict=True,
    ):
        assert_allclose(found, plain, rtol=1e-14, atol=1e-15)


@every_structure
def test_one_set_of_rows_may_have_many_weights(structure, rng):
    R, w = rng.normal(size=(1, D, N)), rng.uniform(size=(K, N))
    plain = structure(D).accumulate(np.repeat(R, K, axis=0), w)
    for found, expected in zip(structure(D).accumulate(R, w), plain, strict=True):
        close(found, expected)


@every_structure
def test_no_rows_sum_to_nothing(structure):
    for found in structure(D).accumulate(np.empty((K, D, 0)), np.empty((K, 0))):
        assert not found.any()


@every_structure
def test_no_weight_at_all_sums_to_nothing(structure, rng):
    first, second = structure(D).accumulate(rng.normal(size=(K, D, N)), np.zeros((K, N)))
    assert not first.any()
    assert not second.any()


@every_structure
def test_parameters_are_counted(structure):
    distinct = {Full: D * (D + 1) // 2, Diagonal: D, Spherical: 1}
    assert structure(D).n_parameters == distinct[structure]


@every_gaussian
@given(seed=seeds, d=features)
def test_restore_undoes_gram_of_whitened_rows(family, seed, d):
    rng = np.random.default_rng(seed)
    covariance = family.covariance(K, d, rng)
    w, Z = rng.uniform(size=(K, N)), rng.normal(size=(d, N))
    restored = covariance.restore(family.of(d).gram(whiten(covariance, Z), w))
    close(restored, family.of(d).gram(Z[None], w))


@every_gaussian
@given(seed=seeds, d=features)
def test_monomials_carry_the_quadratic_form(family, seed, d):
    rng = np.random.default_rng(seed)
    covariance = family.covariance(K, d, rng)
    Z, v = rng.normal(size=(d, N)), rng.normal(size=(K, d))
    monomials = np.empty((family.of(d).n_monomials, N))
    family.of(d).monomials(Z, out=monomials)
    linear, quadratic = covariance.natural_parameters(v)
    inverse = np.linalg.inv(family.dense(covariance.matrix, d))
    close(linear @ Z, np.einsum("ki,kij,jn->kn", v, np.broadcast_to(inverse, (K, d, d)), Z))
    close(quadratic @ monomials, -0.5 * np.einsum("in,kij,jn->kn", Z, inverse, Z))


@every_structure
@given(seed=seeds, K=components, d=features)
def test_sums_of_monomials_are_those_of_gram(structure, seed, K, d):
    rng = np.random.default_rng(seed)
    Z, w = rng.normal(size=(d, N)), rng.uniform(size=(K, N))
    monomials = np.empty((structure(d).n_parameters, N))
    structure(d).monomials(Z, out=monomials)
    close(structure(d).from_monomials(w @ monomials.T), structure(d).gram(Z[None], w))


@every_structure
def test_estimate_divides_and_adds(structure, rng):
    R = rng.normal(size=(K, D, N))
    scatter, dof, added_variance = R @ R.mT, np.array([3.0, 10.0, 0.5]), np.arange(1.0, 1 + D)
    estimated = structure(D).estimate(PART[structure](scatter), dof, added_variance)
    plain = scatter / dof[:, None, None] + np.diag(added_variance)
    close(estimated.matrix, PUBLIC[structure](plain))


@every_structure
@pytest.mark.parametrize("added_variance", [0.0, 1e-3])
def test_no_data_gives_unit_covariance(structure, added_variance, rng):
    scatter = np.zeros_like(PART[structure](np.zeros((2, D, D))))
    scatter[1] = PART[structure](np.eye(D)[None])[0]
    estimated = structure(D).estimate(scatter, np.array([0.0, 1.0]), np.full(D, added_variance))
    close(estimated.variances[0], 1.0 + added_variance)


@every_gaussian
def test_scatter_is_the_stored_form_of_the_covariances(family, rng):
    covariance = family.covariance(K, D, rng)
    close(covariance.scatter, PART[family.structure](family.dense(covariance.matrix, D)))


@every_family
@given(seed=seeds, K=components, d=features)
def test_from_coordinates_undoes_to_coordinates(family, seed, K, d):
    rng = np.random.default_rng(seed)
    covariance = family.covariance(K, d, rng)
    reference = family.covariance(1, d, rng)
    to_coordinates = covariance.to_coordinates(reference)
    assert to_coordinates.shape == (len(covariance.variances), family.of(d).n_parameters)
    close(reference.from_coordinates(to_coordinates).matrix, covariance.matrix)


@every_family
@given(seed=seeds, d=features)
def test_any_coordinates_are_those_of_a_covariance(family, seed, d):
    rng = np.random.default_rng(seed)
    reference = family.covariance(1, d, rng)
    to_coordinates = 2.0 * rng.normal(size=(1 if family.tied else K, family.of(d).n_parameters))
    close(reference.from_coordinates(to_coordinates).to_coordinates(reference), to_coordinates)
    close(reference.to_coordinates(reference), 0.0)


@every_structure
def test_subset_chooses(structure, rng):
    matrix = Family(structure, False).covariance(K, D, rng).matrix
    chosen = np.array([2, 0])
    close(structure(D).from_public(matrix).subset(chosen).matrix, matrix[chosen])


@every_structure
@pytest.mark.parametrize("unit", [1e-120, 1e-6, 1e6, 1e120])
def test_units_cost_no_digits(structure, unit, rng):
    C = np.array([[4.0, 1.0], [1.0, 2.0]])[None]
    public = {Full: C, Diagonal: np.array([[4.0, 2.0]]), Spherical: np.array([3.0])}[structure]
    covariance = structure(2).from_public(public * unit**2)
    assert_allclose(covariance.matrix / unit**2, public, rtol=1e-14)
    plain = structure(2).from_public(public)
    assert_allclose(covariance.log_det - 4 * np.log(unit), plain.log_det, rtol=0, atol=1e-11)


def test_one_feature_may_be_far_smaller_than_another():
    s = np.array([1e-150, 1.0, 1e150])
    correlation = np.array([[1.0, 0.5, 0.2], [0.5, 1.0, -0.3], [0.2, -0.3, 1.0]])
    covariance = Full(3).from_public((s[:, None] * correlation * s)[None])
    z = (s * [1.0, 2.0, 3.0])[:, None]
    distance = (whiten(covariance, z) ** 2).sum()
    plain = np.array([1.0, 2.0, 3.0]) @ np.linalg.solve(correlation, [1.0, 2.0, 3.0])
    assert_allclose(distance, plain, rtol=1e-13)


SINGULAR = {
    "constant feature": (Full, [np.eye(3), np.diag([1.0, 0.0, 2.0])], 1, (1,)),
    "equal features": (Full, [np.eye(3), [[1, 0, 1], [0, 1, 0], [1, 0, 1.0]]], 1, (2,)),
    "negative direction": (Full, [[[1.0, 2.0], [2.0, 1.0]]], 0, (1,)),
    "zero variance": (Diagonal, [[1.0, 0.0], [0.0, 1.0]], 0, (1,)),
    "not a number": (Diagonal, [[1.0, 1.0], [np.nan, 1.0]], 1, (0,)),
    "no variance at all": (Spherical, [1.0, 0.0], 1, (0, 1, 2)),
}


@pytest.mark.parametrize("case", SINGULAR)
def test_singular_covariances_are_named(case):
    structure, matrix, component, named = SINGULAR[case]
    d = 3 if structure is Spherical else np.shape(matrix)[-1]
    with pytest.raises(SingularCovarianceError) as caught:
        structure(d).from_public(np.asarray(matrix, dtype=float))
    assert caught.value.component == component
    assert caught.value.features == named


def test_dependent_features_are_named_whatever_their_units():
    rng = np.random.default_rng(3)
    X = rng.normal(size=(50, 4)) * [1e-8, 1.0, 1e8, 1e3]
    X[:, 2] = 1e9 * X[:, 0] + X[:, 1]
    with pytest.raises(SingularCovarianceError) as caught:
        Full(4).from_public(np.cov(X.T)[None])
    (feature,) = caught.value.features
    assert feature in (0, 1, 2)


def test_a_nearly_singular_covariance_is_not_called_singular():
    correlation = 1 - 1e-12
    covariance = Full(2).from_public(np.array([[[1.0, correlation], [correlation, 1.0]]]))
    assert_allclose(covariance.log_det, np.log((1 - correlation) * (1 + correlation)), rtol=1e-4)
