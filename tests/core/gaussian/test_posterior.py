"""Posteriors of several Gaussians: from moments, and back from their coordinates."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_lvm.core.gaussian.moments import Moments
from sklearn_lvm.core.gaussian.posterior import GaussianPosteriorFamily

from ...laws.specs import dense_gaussians, every_family, features, seeds
from .helpers import example, pairs

K, N = 3, 25


def known_of(family, seed, d):
    """Posteriors after weighted rows, and the counts of these."""
    rng = np.random.default_rng(seed)
    prior, resp = example(family, 1, d, seed), rng.uniform(0.1, 1.0, (K, N))
    posteriors = GaussianPosteriorFamily(prior, np.full(d, 0.01))
    known = posteriors.estimate(posteriors.statistics(rng.normal(size=(d, N)), resp))
    return known, resp.sum(axis=1), rng


def numbers(distributions):
    moments = distributions.moments
    return moments.weight, moments.dof, moments.mean, moments.scatter


def check_same(one, other, rtol=1e-9):
    for a, b in zip(numbers(one), numbers(other), strict=True):
        assert_allclose(a, b, rtol=rtol, atol=1e-10)


@every_family
@given(seed=seeds, d=features)
def test_the_textbook_adds_rows_to_the_prior(family, seed, d):
    """Bishop (2006), equations 10.60 to 10.63, in dense matrices."""
    rng = np.random.default_rng(seed)
    prior, resp = example(family, 1, d, seed), rng.uniform(0.1, 1.0, (K, N))
    rows = rng.normal(size=(N, d))
    moments = Moments.of(np.ascontiguousarray(rows.T), resp, prior.structure)
    after = GaussianPosteriorFamily(prior, np.zeros(d)).estimate(moments).posterior
    k0, nu0 = prior.mean_precision[0], prior.degrees_of_freedom[0]
    m0, n = prior.moments.mean[0], resp.sum(axis=1)
    (psi0,) = nu0 * dense_gaussians(prior.expected)[1]
    assert_allclose(after.mean_precision, k0 + n)
    assert_allclose(after.moments.mean, (k0 * m0 + resp @ rows) / (k0 + n)[:, None])
    psi = []
    for r, total in zip(resp, n, strict=True):
        gaps, gap = rows - r @ rows / total, r @ rows / total - m0
        psi.append((r[:, None] * gaps).T @ gaps + k0 * total / (k0 + total) * np.outer(gap, gap))
    psi = np.sum(psi, axis=0, keepdims=True) if family.tied else np.array(psi)
    grown = (n.sum(keepdims=True) if family.tied else n) * prior.structure.dof_per_row
    assert_allclose(after.degrees_of_freedom, nu0 + grown)
    found = dense_gaussians(after.expected)[1][: len(psi)]
    size = (
        d if prior.structure.dof_per_row > 1 else 1
    )  # a row of d features shows one variance d times
    stored = family.dense(family.public(psi), d) * size
    expected = (psi0 + stored) / (nu0 + grown)[:, None, None]
    assert_allclose(found, expected, rtol=1e-9, atol=1e-10)


@every_family
@given(seed=seeds, d=features)
def test_coordinates_and_counts_tell_everything(family, seed, d):
    known, counts, _ = known_of(family, seed, d)
    reference = known.pooled(np.full(K, 1 / K))
    coordinates = known.to_coordinates(reference)
    again = reference.from_coordinates(coordinates).known_from(counts)
    check_same(again.posterior, known.posterior)
    assert again.prior is known.prior
    assert_array_equal(again.least_variance, known.least_variance)


@every_family
def test_the_bound_of_a_row_is_an_expected_log_density(family):
    known, _, rng = known_of(family, 3, 2)
    row, logs = rng.normal(size=2), np.log([0.2, 0.3, 0.5])
    kernel = known.kernel(logs)
    found = kernel.log_prob(kernel.features(row[:, None]))[:, 0]
    for k in range(K):
        means, P = pairs(known.posterior, k, rng)
        gap = row - means
        each = np.linalg.slogdet(P)[1] - np.einsum("ni,nij,nj->n", gap, P, gap)
        each = 0.5 * (each - 2 * np.log(2 * np.pi)) + logs[k]
        assert abs(each.mean() - found[k]) < 4.5 * each.std() / np.sqrt(len(each))


@every_family
@given(seed=seeds, d=features, size=st.floats(0.0, 2.0))
def test_prior_and_rows_have_the_highest_bound(family, seed, d, size):
    """Of E log p(x) - KL no posterior near by has more."""
    known, counts, rng = known_of(family, seed, d)
    resp, rows = rng.uniform(0.1, 1.0, (K, N)), rng.normal(size=(d, N))
    posteriors = GaussianPosteriorFamily(known.prior, np.zeros(d))

    def bound(q):
        kernel = q.kernel(np.zeros(K))
        return (resp * kernel.log_prob(kernel.features(rows))).sum() - q.divergence()

    best = posteriors.estimate(posteriors.statistics(rows, resp))
    top = bound(best)
    near = best.to_coordinates(best)
    moved = tuple(part + 0.01 * (1 + size) * rng.normal(size=part.shape) for part in near)
    other = best.from_coordinates(moved).known_from(resp.sum(axis=1) * rng.uniform(0.9, 1.1, K))
    assert bound(other) < top + 1e-10 * abs(top)
    if not family.tied and K == 1:
        assert_allclose(top, best.posterior.log_evidence(known.prior, counts.sum()))


@every_family
@given(seed=seeds, d=features)
def test_units_and_parts_and_priors(family, seed, d):
    known, _, rng = known_of(family, seed, d)
    shift, scale = rng.normal(size=d), rng.uniform(0.1, 9.0, d)
    scale = scale if known.prior.structure.per_feature else np.full(d, scale[0])
    moved = known.rescale(shift, scale)
    assert_allclose(moved.least_variance, 0.01 * scale**2)
    assert_allclose(moved.divergence(), known.divergence(), rtol=1e-8, atol=1e-8)
    check_same(moved.rescale(-shift / scale, 1 / scale).posterior, known.posterior, 1e-7)
    if not family.tied:
        parts = [known.subset(np.array([k])).divergence() for k in range(K)]
        assert_allclose(known.divergence(), sum(parts), rtol=1e-9)
    fitted = known.with_fitted_prior()
    assert fitted.divergence() <= known.divergence() + 1e-9
    assert fitted.posterior is known.posterior
    assert known.with_prior_of(fitted).prior is fitted.prior
    others = GaussianPosteriorFamily(fitted.prior, np.ones(d))
    assert others.under_prior(known).prior is fitted.prior
    assert others.estimate(known.posterior.moments, known).prior is known.prior
    assert others.log_prior(known) == -known.divergence()


@every_family
@pytest.mark.parametrize("d", [1, 2])
def test_rows_are_drawn_from_the_predictive(family, d):
    known, _, _ = known_of(family, 1, d)
    labels = np.repeat(np.arange(K), 20_000)
    rows = known.sample(labels, np.random.RandomState(0)).reshape(K, -1, d)
    predictive = known.predictive()
    _, C = dense_gaussians(known.expected)
    for k in range(K):
        nu = predictive.dof[k]
        expected = predictive.factor[k] * nu / (nu - 2) * C[k]
        assert_allclose(rows[k].mean(axis=0), known.posterior.moments.mean[k], atol=0.05)
        assert_allclose(np.cov(rows[k].T).reshape(d, d), expected, atol=0.05 * np.trace(expected))
