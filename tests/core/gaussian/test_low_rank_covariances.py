"""Covariances of low rank plus noise do what dense matrices do, and keep their digits."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import multivariate_normal

from sklearn_lvm.core.gaussian.completion import FullCompleter
from sklearn_lvm.core.gaussian.conditioning import Conditioned
from sklearn_lvm.core.gaussian.density import Gaussians
from sklearn_lvm.core.gaussian.low_rank import IsotropicLowRank, LowRank
from sklearn_lvm.core.gaussian.low_rank_covariances import LowRankCovariances
from sklearn_lvm.core.gaussian.missing import observed_rows
from sklearn_lvm.core.gaussian.orthogonal_completion import OrthogonalCompleter

D, N = 6, 15
# Covariances, features and factors: none, one, all but one, more than features.
SHAPES = [(1, D, 2), (3, D, 2), (3, D, 0), (2, D, D - 1), (3, 2, 5), (2, 1, 1)]
every_shape = pytest.mark.parametrize("shape", SHAPES, ids=str)
every_structure = pytest.mark.parametrize("structure", [LowRank, IsotropicLowRank])


def example(K, d, q, structure=LowRank, seed=0):
    rng = np.random.default_rng(seed)
    noise = rng.uniform(0.3, 2.0, size=(K, d if structure.per_feature else 1))
    return LowRankCovariances(
        structure(d, q=q),
        rng.normal(size=(K, d, q)),
        np.repeat(noise, d // noise.shape[1], axis=1),
        np.full((K, d), 1e-6),
    )


def small_noise(noise=1e-6):
    """Large loadings, and some features with next to no noise: as many as factors, or one more."""
    C = example(2, D, 2)
    few = C.noise.copy()
    few[:, [1, 4]] = few[1, 5] = noise
    return replace(C, loadings=3.0 * C.loadings, noise=few)


def dense(C):
    """The matrices, (K, d, d), by a plain sum."""
    return np.stack(
        [
            sum(np.outer(w, w) for w in W.T) + np.diag(p)
            for W, p in zip(C.loadings, C.noise, strict=True)
        ]
    )


def close(actual, desired, rtol=1e-10):
    assert_allclose(actual, desired, rtol=rtol, atol=1e-10)


@pytest.fixture
def rng():
    return np.random.default_rng(1)


@every_shape
def test_matrices_and_their_numbers(shape):
    C, A = example(*shape), dense(example(*shape))
    close(C.scatter, A)
    close(C.matrix, A)
    close(C.precisions, np.linalg.inv(A))
    close(C.precision, np.linalg.inv(A))
    close(C.log_det, np.linalg.slogdet(A)[1])
    close(C.variances, np.diagonal(A, axis1=1, axis2=2))
    close(C.precision_diagonal, np.diagonal(np.linalg.inv(A), axis1=1, axis2=2))
    close(C.precision_factor @ C.precision_factor.mT, np.linalg.inv(A))
    assert len(C) == shape[0]


@every_shape
def test_traces_products_and_natural_parameters(shape, rng):
    C, A = example(*shape), dense(example(*shape))
    K, d, _ = shape
    R, v = rng.normal(size=(K, d, d + 2)), rng.normal(size=(K, d))
    S = R @ R.mT
    close(C.traces(S), np.trace(np.linalg.solve(A, S), axis1=1, axis2=2))
    close(C.log_det_growth(S), np.linalg.slogdet(A + S)[1] - np.linalg.slogdet(A)[1])
    close(C.times(v), (A @ v[:, :, None])[:, :, 0])
    linear, quadratic = C.natural_parameters(v)
    close(linear, np.linalg.solve(A, v[:, :, None])[:, :, 0])
    Z = rng.normal(size=(d, N))
    monomials = np.empty((C.structure.n_monomials, N))
    C.structure.monomials(Z, out=monomials)
    distance = np.einsum("in,kij,jn->kn", Z, np.linalg.inv(A), Z)
    close(quadratic @ monomials, -0.5 * distance)


@every_shape
def test_square_roots(shape, rng):
    """One root L, of which all verbs know."""
    C, A = example(*shape), dense(example(*shape))
    K, d, _ = shape
    L = np.stack([C.colorize(np.eye(d), k).T for k in range(K)])
    close(L @ L.mT, A)
    v = rng.normal(size=(K, d))
    close(C.colorize_each(v), (L @ v[:, :, None])[:, :, 0])
    close(C.whiten_each(v), np.linalg.solve(L, v[:, :, None])[:, :, 0])
    R = rng.normal(size=(K, d, N))
    close(C.restore(R @ R.mT), L @ R @ R.mT @ L.mT)
    mean, Z = rng.normal(size=(K, d)), rng.normal(size=(d, N))
    close(C.whitener(mean)(Z), np.linalg.solve(L, Z - mean[:, :, None]))


def test_rows_in_float32_are_whitened_in_float32(rng):
    C, mean, Z = example(3, D, 2), rng.normal(size=(3, D)), rng.normal(size=(D, N))
    found = C.whitener(mean)(Z.astype(np.float32))
    assert found.dtype == np.float32
    assert_allclose(found, C.whitener(mean)(Z), rtol=1e-4, atol=1e-5)


@every_shape
def test_latent_coordinates_are_regressed_on_rows(shape, rng):
    """E[t | z] = W' inv(C) (z - m)."""
    C, A = example(*shape), dense(example(*shape))
    gaps = rng.normal(size=(shape[0], shape[1], N))
    close(C.latent_mean(gaps), C.loadings.mT @ np.linalg.solve(A, gaps))


@every_structure
def test_units(structure, rng):
    C = example(3, D, 2, structure)
    s = rng.uniform(0.1, 10.0, D) if structure.per_feature else np.full(D, 7.0)
    moved = C.rescale(s)
    close(dense(moved), dense(C) * s[:, None] * s)
    close(moved.least_noise, C.least_noise * s**2)
    v = rng.normal(size=(3, D))
    close(moved.latent_mean((v * s)[:, :, None]), C.latent_mean(v[:, :, None]))


def test_subsets_and_marginals(rng):
    C, A = example(3, D, 4), dense(example(3, D, 4))
    chosen, features = np.array([2, 0]), np.array([5, 1])
    close(dense(C.subset(chosen)), A[chosen])
    part = C.marginal(features)
    close(dense(part), A[:, features[:, None], features])
    assert part.structure == LowRank(2, q=4)
    close(part.precisions, np.linalg.inv(A[:, features[:, None], features]))


@every_structure
@pytest.mark.parametrize("variance", [1e-3, 0.8, 50.0])
def test_at_least(structure, variance):
    """No direction has less than these variances, and one noise stays one."""
    C, least = example(3, D, 2, structure), np.full(D, variance)
    raised = C.at_least(least)
    assert np.linalg.eigvalsh(dense(raised) - np.diag(least)).min() > -1e-12
    assert structure.per_feature or np.ptp(raised.noise, axis=1).max() == 0.0
    if variance == 1e-3:
        assert_array_equal(raised.noise, C.noise)


def test_noise_is_at_its_floor_or_above():
    C = example(2, D, 2)
    assert not C.at_floor.any()
    floor = np.full(D, 0.0)
    floor[2] = 5.0
    raised = C.with_least_noise(floor)
    assert_array_equal(raised.at_floor, np.repeat([floor > 0], 2, axis=0))
    assert (raised.noise >= floor).all()
    others = floor == 0
    assert_array_equal(raised.noise[:, others], C.noise[:, others])


# -- some of the features --------------------------------------------------------------------------


@pytest.mark.parametrize("q", [0, 1, 3, D - 1])
@pytest.mark.parametrize("p", [1, 3, D - 1])
def test_what_known_features_say_follows_the_dense_formulas(q, p, rng):
    C, A, mean = example(3, D, q), dense(example(3, D, q)), rng.normal(size=(3, D))
    known = np.random.default_rng(p).permutation(D)[:p]
    rest, values = np.delete(np.arange(D), known), rng.normal(size=p)
    found = Conditioned.of(mean, C, known, values)
    inner, across = A[:, known[:, None], known], A[:, rest[:, None], known]
    gap = (values - mean[:, known])[:, :, None]
    close(found.square, (gap.mT @ np.linalg.solve(inner, gap))[:, 0, 0])
    close(found.known.log_det, np.linalg.slogdet(inner)[1])
    gain = np.linalg.solve(inner, across.mT).mT
    close(found.mean, mean[:, rest] + (gain @ gap)[:, :, 0])
    close(dense(found.covariance), A[:, rest[:, None], rest] - gain @ across.mT)
    assert found.covariance.loadings.shape == (3, D - p, q)


def holed(rng, scale=1.0):
    Z = scale * rng.normal(size=(D, 40))
    Z[rng.uniform(size=Z.shape) < 0.4] = np.nan
    Z[:, 0] = np.nan
    return Z


def marginal_and_conditional(m, A, z):
    """The log-density of what was observed, and mean and variances of all given it."""
    o = ~np.isnan(z)
    log_prob = multivariate_normal(m[o], A[np.ix_(o, o)]).logpdf(z[o]) if o.any() else 0.0
    gain = np.linalg.solve(A[np.ix_(o, o)], A[o]).T
    mean = np.where(o, z, m + gain @ (z[o] - m[o]))
    return log_prob, mean, np.where(o, 0.0, np.diag(A - gain @ A[o]))


@pytest.mark.parametrize(
    ("C", "kind", "rtol"),
    [
        (example(3, D, 2), FullCompleter, 1e-9),
        (example(2, D, D - 1), FullCompleter, 1e-9),
        (example(2, D, 0), FullCompleter, 1e-9),
        (small_noise(1e-4), FullCompleter, 1e-7),
        (small_noise(1e-6), OrthogonalCompleter, 1e-5),
    ],
    ids=["two", "most", "none", "small noise", "next to none"],
)
def test_rows_with_missing_entries(C, kind, rtol, rng):
    K = len(C)
    gaussians, Z = Gaussians(rng.normal(size=(K, D)), C), holed(rng)
    assert isinstance(C.completer(gaussians.mean), kind)
    rows = observed_rows(Z)
    kernel = gaussians.kernel(np.zeros(K))
    found = kernel.log_prob(kernel.features(rows))
    given = gaussians.conditionals(rows)
    for k, (m, A) in enumerate(zip(gaussians.mean, dense(C), strict=True)):
        for i, z in enumerate(Z.T):
            log_prob, mean, variance = marginal_and_conditional(m, A, z)
            assert_allclose(found[k, i], log_prob, rtol=rtol, atol=1e-9)
            size = np.abs(mean).max()
            assert_allclose(given.mean[k, :, i], mean, rtol=rtol, atol=rtol * size)
            assert_allclose(given.variance[k, :, i], variance, rtol=rtol, atol=rtol)


# -- digits ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [1e-2, 1e-4, 1e-6, 1e-8])
def test_precisions_keep_their_digits_where_noise_is_small(noise):
    """Against sums of higher precision: Woodbury's difference would lose as many as noise has zeros."""
    C = small_noise(noise)
    found = C.precisions.astype(np.longdouble)
    wide = C.loadings.astype(np.longdouble)
    A = wide @ wide.mT
    A[:, range(D), range(D)] += C.noise
    # One step of Newton's method for the inverse squares the error of the one that it begins with.
    plain = found @ (2 * np.eye(D) - A @ found)
    size = np.sqrt(np.diagonal(plain, axis1=1, axis2=2))
    gap = (found - plain) / size[:, :, None] / size[:, None]
    assert abs(gap).max() < 1e-11


@pytest.mark.parametrize("noise", [1e-4, 1e-6, 1e-8])
def test_distances_keep_their_digits_where_noise_is_small(noise, rng):
    """Rows of the model lie as far off as white noise does."""
    C = small_noise(noise)
    e = rng.normal(size=(2, D))
    close(C.whiten_each(C.colorize_each(e)), e, rtol=1e-10 / np.sqrt(noise))
    wide = np.linalg.slogdet(dense(C))[1]
    assert_allclose(C.log_det, wide, rtol=0, atol=1e-9 / np.sqrt(noise) * 1e-3)


def test_the_precision_diagonal_is_good_to_the_penalty_of_the_noise():
    """Times the least noise, as the penalty of added variances takes it, it is good to rounding."""
    C = small_noise()
    plain = np.diagonal(C.precisions, axis1=1, axis2=2)
    assert_allclose(C.noise * C.precision_diagonal, C.noise * plain, rtol=0, atol=1e-14)


# -- coordinates -----------------------------------------------------------------------------------


@every_structure
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_coordinates_round_trip(structure, shape):
    C, reference = example(*shape, structure), example(*shape, structure, seed=7)
    found = C.to_coordinates(reference)
    K, d, q = shape
    assert found.shape == (K, (d if structure.per_feature else 1) + d * q)
    close(dense(reference.from_coordinates(found)), dense(C))


@pytest.mark.parametrize("q", [1, 2, D - 1])
def test_coordinates_know_no_rotation(q):
    """Axes and signs of loadings are nobody's, and those of the reference are taken."""
    C, reference = example(3, D, q), example(3, D, q, seed=7)
    turn = np.linalg.qr(np.random.default_rng(2).normal(size=(3, q, q)))[0]
    turned = replace(C, loadings=C.loadings @ turn)
    close(turned.to_coordinates(reference), C.to_coordinates(reference))
    close(dense(turned), dense(C))
    close(turned.whiten_each(np.ones((3, D))), C.whiten_each(np.ones((3, D))))
    close(C.to_coordinates(C)[:, D:].reshape(3, D, q), C.loadings / np.sqrt(C.noise)[:, :, None])


def test_coordinates_of_fewer_factors_than_there_is_room_for():
    C, reference = example(2, D, 3), example(2, D, 3, seed=7)
    poor = replace(C, loadings=C.loadings * [1.0, 0.0, 0.0])
    for a, b in [(poor, reference), (reference, poor), (poor, poor)]:
        close(dense(b.from_coordinates(a.to_coordinates(b))), dense(a))


@every_structure
def test_any_coordinates_are_those_of_a_covariance_of_the_structure(structure, rng):
    C = example(3, D, 2, structure)
    at = C.to_coordinates(C)
    moved = C.from_coordinates(at + 2.0 * rng.normal(size=at.shape))
    assert np.linalg.eigvalsh(dense(moved)).min() > 0
    assert structure.per_feature or np.ptp(moved.noise, axis=1).max() == 0.0
    low = C.from_coordinates(at - 100.0)
    assert_array_equal(low.noise, C.least_noise)
    assert low.at_floor.all()
