"""A Gaussian is a density, and its estimate is where the likelihood has its top."""

import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_allclose

from sklearn_lvm.core.gaussian.density import Gaussians
from sklearn_lvm.core.gaussian.moments import Moments

from ...laws.specs import (
    components,
    dense_gaussians,
    every_family,
    every_gaussian,
    features,
    plain_moments,
    seeds,
)

N = 30


def log_prob(gaussians, rows):
    kernel = gaussians.kernel(np.zeros(len(gaussians.mean)))
    return kernel.log_prob(kernel.features(rows.T))


@every_gaussian
@given(seed=seeds, K=components, d=features)
def test_log_density_agrees_with_scipy(family, seed, K, d):
    rng = np.random.default_rng(seed)
    gaussians, rows = family.components(K, d, rng), rng.normal(size=(N, d))
    plain = family.log_prob(gaussians, rows)
    assert_allclose(log_prob(gaussians, rows), plain, rtol=1e-10, atol=1e-10)


@every_gaussian
@pytest.mark.parametrize("d", [1, 2])
def test_densities_integrate_to_one(family, d):
    gaussians = family.components(2, d, np.random.default_rng(d))
    axis, step = np.linspace(-40, 40, 801, retstep=True)
    grid = np.stack(np.meshgrid(*[axis] * d), axis=-1).reshape(-1, d)
    mass = np.exp(log_prob(gaussians, grid)).sum(axis=1) * step**d
    assert_allclose(mass, 1.0, rtol=1e-10)


@every_gaussian
def test_constant_is_the_log_density_at_the_mean(family):
    gaussians = family.components(3, 2, np.random.default_rng(0))
    at_means = np.diagonal(family.log_prob(gaussians, gaussians.mean))
    assert_allclose(gaussians.max_log_prob, at_means, rtol=1e-12)


@every_gaussian
def test_trace_penalty_is_the_expected_loss_on_a_ball(family):
    """E log N(m + e) - log N(m) over balls e of scatter E is -tr(E inv(C)) / 2."""
    gaussians, added_variance = (
        family.components(3, 2, np.random.default_rng(1)),
        np.array([0.3, 0.7]),
    )
    corners = np.array([[a, b] for a in (-1, 1) for b in (-1, 1)]) * np.sqrt(added_variance)
    around = [
        family.log_prob(gaussians, m + corners)[k].mean() for k, m in enumerate(gaussians.mean)
    ]
    lost = np.broadcast_to(gaussians.trace_penalty(added_variance), 3)
    assert_allclose(np.array(around) - gaussians.max_log_prob, lost, rtol=1e-12)


@every_gaussian
def test_samples_have_the_moments_of_their_gaussian(family):
    n, rng = 40_000, np.random.RandomState(0)
    gaussians = family.components(3, 2, np.random.default_rng(2))
    labels = np.repeat([2, 0, 1], n)
    rows = gaussians.sample(labels, rng)
    for k, (mean, C) in enumerate(zip(*dense_gaussians(gaussians), strict=True)):
        drawn, error = rows[labels == k], np.sqrt(np.diag(C) / n)
        assert (abs(drawn.mean(axis=0) - mean) < 4 * error).all()
        # var(s_ij) = (c_ii c_jj + c_ij^2) / n
        spread = np.sqrt((np.outer(np.diag(C), np.diag(C)) + C**2) / n)
        assert (abs(np.cov(drawn.T) - C) < 4 * spread).all()


@every_gaussian
def test_rescaling_is_a_change_of_variables(family):
    rng = np.random.default_rng(3)
    gaussians, rows = family.components(3, 2, rng), rng.normal(size=(N, 2))
    scale = np.array([2.0, 0.1]) if family.structure.per_feature else np.full(2, 3.0)
    shift = np.array([5.0, -1.0])
    moved = log_prob(gaussians.rescale(shift, scale), rows * scale + shift)
    assert_allclose(moved, log_prob(gaussians, rows) - np.log(scale).sum(), rtol=1e-11)


@every_family
@pytest.mark.parametrize(("K", "d", "n"), [(1, 1, 2), (3, 4, 27 + 3), (2, 3, 16)])
def test_parameters_are_counted(family, K, d, n):
    matrix = {"Full": d * (d + 1) // 2, "Diagonal": d, "Spherical": 1}[family.structure.__name__]
    expected = K * d + (1 if family.tied else K) * matrix
    gaussians = family.components(K, d, np.random.default_rng(0))
    assert gaussians.n_parameters() == expected


@every_family
@given(seed=seeds, K=components, d=features)
def test_from_coordinates_undoes_to_coordinates(family, seed, K, d):
    rng = np.random.default_rng(seed)
    gaussians, reference = family.components(K, d, rng), family.components(1, d, rng)
    again = reference.from_coordinates(gaussians.to_coordinates(reference))
    assert_allclose(again.mean, gaussians.mean, rtol=1e-10, atol=1e-10)
    for found, plain in zip(dense_gaussians(again), dense_gaussians(gaussians), strict=True):
        assert_allclose(found, plain, rtol=1e-10, atol=1e-10)


@every_gaussian
@given(seed=seeds, d=features)
def test_coordinates_know_no_units(family, seed, d):
    rng = np.random.default_rng(seed)
    gaussians, reference = family.components(3, d, rng), family.components(1, d, rng)
    scale = rng.uniform(0.1, 10, d) if family.structure.per_feature else np.full(d, 3.0)
    shift = rng.normal(size=d)
    moved = gaussians.rescale(shift, scale).to_coordinates(reference.rescale(shift, scale))
    for found, plain in zip(moved, gaussians.to_coordinates(reference), strict=True):
        assert_allclose(found, plain, rtol=1e-9, atol=1e-9)


@every_family
@given(seed=seeds, K=components, d=features)
def test_the_pooled_gaussian_has_the_moments_of_the_mixture(family, seed, K, d):
    rng = np.random.default_rng(seed)
    gaussians, weights = family.components(K, d, rng), rng.dirichlet(np.ones(K))
    means, C = dense_gaussians(gaussians)
    mean = weights @ means
    gaps = means - mean
    total = np.einsum("k,kij->ij", weights, C + gaps[:, :, None] * gaps[:, None, :])
    pooled = gaussians.pooled(weights)
    assert_allclose(pooled.mean, mean[None], rtol=1e-12, atol=1e-12)
    found = family.dense(pooled.covariance.matrix, d)
    assert_allclose(found, family.dense(family.public(total[None]), d), rtol=1e-10, atol=1e-10)


# -- estimates ---------------------------------------------------------------------------------------


def likelihood(family, mean, C, rows, R, added_variance):
    """sum_ki R_ki (log N(x_i | m_k, C_k) - tr(E inv(C_k)) / 2), from dense matrices."""
    gaussians = Gaussians(mean, family.from_dense(C))
    _, C = dense_gaussians(gaussians)
    tilt = -0.5 * np.einsum("kii,i->k", np.linalg.inv(C), added_variance)
    return (R * (family.log_prob(gaussians, rows) + tilt[:, None])).sum() / R.sum()


def estimate(family, rows, R, added_variance):
    found = family.family(added_variance).estimate(Moments.of(rows.T, R, family.of(rows.shape[1])))
    return found.mean, family.dense(found.covariance.matrix, rows.shape[1])


@every_family
@pytest.mark.parametrize("added_variance", [0.0, 0.2])
@given(seed=seeds)
def test_the_estimate_is_the_top_of_the_likelihood(family, added_variance, seed):
    """Along every direction the likelihood is level at the estimate and falls away from it."""
    rng = np.random.default_rng(seed)
    K, d = 2, 2
    rows, R = rng.normal(size=(N, d)), rng.uniform(size=(K, N))
    added_variance = added_variance * np.array([1.0, 2.0])
    mean, C = estimate(family, rows, R, added_variance)
    move = rng.normal(size=mean.shape)
    turn = family.matrices(K, d, rng) - family.matrices(K, d, rng)

    def along(t):
        return likelihood(family, mean + t * move, C + t * turn, rows, R, added_variance)

    top, h = along(0.0), 1e-5
    slope, bend = (along(h) - along(-h)) / (2 * h), (along(1e-3) + along(-1e-3) - 2 * top) / 1e-6
    assert bend < -1e-4
    assert abs(slope) < 1e-7 * max(1.0, abs(bend))


@every_family
def test_the_estimate_is_in_closed_form(family):
    rng = np.random.default_rng(5)
    rows, R, added_variance = (
        rng.normal(size=(N, 3)),
        rng.uniform(size=(2, N)),
        np.array([0.1, 0.2, 0.3]),
    )
    weight, mean, scatter = plain_moments(rows, R)
    C = scatter.sum(axis=0)[None] / weight.sum() if family.tied else scatter / weight[:, None, None]
    found_mean, found = estimate(family, rows, R, added_variance)
    assert_allclose(found_mean, mean, rtol=1e-12)
    assert_allclose(found, family.dense(family.public(C + np.diag(added_variance)), 3), rtol=1e-11)


@every_gaussian
def test_a_gaussian_without_data_stays_a_density(family):
    rng = np.random.default_rng(6)
    rows, R = rng.normal(size=(N, 2)), np.stack([np.ones(N), np.zeros(N)])
    mean, C = estimate(family, rows, R, np.zeros(2))
    assert np.isfinite(mean).all()
    assert (np.linalg.eigvalsh(C) > 0).all()
    alone, own = estimate(family, rows, R[:1], np.zeros(2))
    assert_allclose(mean[:1], alone)
    assert_allclose(C[:1], own)
