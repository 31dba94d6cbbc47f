"""Rows of PPCA with missing entries: scores, posteriors, draws and sums, against the joint Gaussian."""

from functools import reduce
from operator import add

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import multivariate_normal

from sklearn_lvm.core.factor.incomplete_rows import (
    MIN_PATTERN_ROWS,
    IncompleteBlock,
    LinearGaussian,
    PatternBlock,
    blocks_of,
    unpacked,
)

from ...laws.specs import seeds
from .helpers import random_density

shares = st.sampled_from([0.0, 0.2, 0.6, 0.95])


def random_model(rng, d=6, q=2):
    return LinearGaussian(rng.normal(size=(d, q)), rng.normal(size=d), float(rng.uniform(0.1, 2.0)))


def random_case(seed, share, n=40, q=2):
    """A model, rows (d, n) with a share of the entries missing, and weights."""
    rng = np.random.default_rng(seed)
    model = random_model(rng, q=q)
    Z = 2.0 * rng.normal(size=(6, n))
    Z[rng.random(Z.shape) < share] = np.nan
    return model, Z, rng.uniform(0.5, 2.0, n)


def covariance(model):
    return model.W @ model.W.T + model.noise * np.eye(len(model.W))


def given_observed(model, z):
    """Mean and covariance of (u, x) given the observed entries of a row, by the joint Gaussian."""
    q, seen = model.W.shape[1], np.flatnonzero(~np.isnan(z))
    joint = np.block([[np.eye(q), model.W.T], [model.W, covariance(model)]])
    mean, known = np.append(np.zeros(q), model.mean), q + seen
    gain = joint[:, known] @ np.linalg.inv(joint[np.ix_(known, known)])
    return mean + gain @ (z[seen] - model.mean[seen]), joint - gain @ joint[known]


@given(seed=seeds, share=shares, q=st.integers(0, 5))
def test_a_score_is_the_marginal_density_of_what_was_observed(seed, share, q):
    model, Z, _ = random_case(seed, share, q=q)
    found = model.latent(Z).log_prob
    for z, log_prob in zip(Z.T, found, strict=True):
        seen = np.flatnonzero(~np.isnan(z))
        if len(seen) == 0:
            assert log_prob == 0.0
            continue
        marginal = multivariate_normal(model.mean[seen], covariance(model)[np.ix_(seen, seen)])
        assert_allclose(log_prob, marginal.logpdf(z[seen]), rtol=0, atol=1e-8)


@given(seed=seeds, share=shares, q=st.integers(1, 4))
def test_the_posterior_is_that_of_the_joint_gaussian(seed, share, q):
    model, Z, _ = random_case(seed, share, q=q)
    latent, entries = model.latent(Z), model.conditionals(Z)
    means = model.conditional_mean(Z)
    for i, z in enumerate(Z.T):
        mean, spread = given_observed(model, z)
        missing = np.isnan(z)
        assert_allclose(latent.mean[:, i], mean[:q], atol=1e-9)
        assert_allclose(latent.covariance[:, :, i], spread[:q, :q], atol=1e-9)
        assert_allclose(means[missing, i], mean[q:][missing], atol=1e-9)
        assert_allclose(entries.mean[0, missing, i], mean[q:][missing], atol=1e-9)
        assert_array_equal(entries.mean[0, ~missing, i], z[~missing])
        assert_allclose(
            entries.variance[0, :, i], np.where(missing, np.diag(spread)[q:], 0), atol=1e-9
        )


def test_draws_have_the_moments_of_the_joint_gaussian():
    rng = np.random.default_rng(0)
    model, z = random_model(rng), np.array([1.0, np.nan, -2.0, np.nan, np.nan, 0.5])
    drawn = model.draw(np.tile(z[:, None], 40_000), np.random.RandomState(0))
    mean, spread = given_observed(model, z)
    missing = np.isnan(z)
    C = spread[2:, 2:][np.ix_(missing, missing)]
    size = np.sqrt(np.diag(C))
    assert_allclose(drawn[missing].mean(axis=1), mean[2:][missing], atol=0.02 * size.max())
    assert_allclose(np.cov(drawn[missing]), C, atol=0.03 * np.outer(size, size).max())


def test_a_density_keeps_its_rotation():
    density = random_density(0)
    model = LinearGaussian.of(density)
    assert_allclose(covariance(model), density.covariance(), atol=1e-12)
    Z = np.random.default_rng(1).normal(size=(len(density.mean), 10))
    expected = density.regression @ (Z - density.mean[:, None])
    assert_allclose(model.latent(Z).mean, expected, atol=1e-12)


def with_patterns(seed):
    """Rows of which many are complete, many lack the same entries, and the others any."""
    model, Z, w = random_case(seed, 0.4, n=3 * MIN_PATTERN_ROWS + 50)
    rng = np.random.default_rng(seed)
    Z[:, 50:] = rng.normal(size=(6, 3 * MIN_PATTERN_ROWS))
    Z[np.ix_([1, 4], range(50, 50 + MIN_PATTERN_ROWS))] = np.nan
    order = rng.permutation(len(w))
    return model, Z[:, order], w[order]


def total(model, blocks):
    return reduce(add, (block.sums(model) for block in blocks))


@pytest.mark.parametrize("size", [64, 10_000])
def test_blocks_of_one_pattern_add_up_to_the_same(size):
    model, Z, w = with_patterns(0)
    blocks = blocks_of(Z, w, size)
    kinds = [type(block) for block in blocks]
    assert kinds.count(PatternBlock) >= 2
    assert kinds.count(IncompleteBlock) >= 1
    assert all(len(block.weight) <= size for block in blocks)
    found, expected = total(model, blocks), IncompleteBlock.of(Z, w).sums(model)
    for one, other in zip(found.arrays, expected.arrays, strict=True):
        assert_allclose(one, other, rtol=1e-10, atol=1e-9)
    assert_allclose(found.log_likelihood, expected.log_likelihood, rtol=1e-12)
    assert_allclose([found.weight, expected.weight], w.sum(), rtol=1e-13)


def test_the_sums_are_the_expected_moments():
    """Row by row, from posterior means and covariances."""
    model, Z, w = random_case(3, 0.5)
    second, cross, square, everywhere = IncompleteBlock.of(Z, w).sums(model).arrays
    A, c, distance, whole = np.zeros((6, 3, 3)), np.zeros((3, 6)), 0.0, np.zeros((3, 3))
    for z, weight in zip(Z.T, w, strict=True):
        mean, spread = given_observed(model, z)
        u, seen = np.append(mean[:2], 1.0), ~np.isnan(z)
        moments = np.outer(u, u) + np.pad(spread[:2, :2], (0, 1))
        A[seen] += weight * moments
        c[:, seen] += weight * np.outer(u, z[seen])
        whole += weight * moments
        V = model.W[seen]
        gaps = z[seen] - model.mean[seen] - V @ mean[:2]
        distance += weight * (gaps @ gaps + np.trace(V @ spread[:2, :2] @ V.T))
    assert_allclose(np.moveaxis(unpacked(second), -1, 0), A, atol=1e-9)
    assert_allclose(cross, c, atol=1e-9)
    assert_allclose(unpacked(everywhere[:, None])[:, :, 0], whole, atol=1e-9)
    assert_allclose(square * model.noise, distance, rtol=1e-10)
