"""Normal-Wishart distributions, beside drawn precisions and numerical integrals."""

import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_allclose
from scipy import integrate, stats
from scipy.special import multigammaln

from sklearn_lvm.core.gaussian.diagonal import Diagonal
from sklearn_lvm.core.gaussian.full import Full
from sklearn_lvm.core.gaussian.moments import Moments
from sklearn_lvm.core.gaussian.normal_wishart import NormalWisharts, multivariate_digamma

from ...laws.specs import dense_gaussians, every_family, features, seeds
from .helpers import example, pairs


def log_density(known, k, means, P):
    """log p(m, P) of one of them, by scipy."""
    structure, d = known.structure, known.structure.d
    nu = np.broadcast_to(known.degrees_of_freedom, len(known.mean_precision))[k]
    psi, kappa = nu * dense_gaussians(known.expected)[1][k], known.mean_precision[k]
    gap = means - known.moments.mean[k]
    total = 0.5 * np.linalg.slogdet(P)[1] + d / 2 * np.log(kappa / (2 * np.pi))
    total -= 0.5 * kappa * np.einsum("ni,nij,nj->n", gap, P, gap)
    if type(structure) is Full:
        return total + stats.wishart(nu, np.linalg.inv(psi)).logpdf(np.moveaxis(P, 0, -1))
    size = d if type(structure) is Diagonal else 1
    numbers = np.diagonal(P, axis1=1, axis2=2)[:, :size]
    return total + stats.gamma(nu / 2, scale=2 / np.diag(psi)[:size]).logpdf(numbers).sum(axis=1)


def near(found, each):
    return abs(found - each.mean()) < 4.5 * each.std() / np.sqrt(len(each))


@every_family
@pytest.mark.parametrize("d", [1, 3])
def test_expectations_are_those_of_drawn_parameters(family, d):
    known, rng = example(family, 2, d, d), np.random.default_rng(0)
    row = rng.normal(size=d)
    gaussians = dense_gaussians(known.expected)
    for k in range(2):
        means, P = pairs(known, k, rng)
        log_det = np.linalg.slogdet(P)[1]
        assert near(known.expected_log_det[0 if family.tied else k], log_det)
        gap = row - means
        logs = 0.5 * (log_det - d * np.log(2 * np.pi) - np.einsum("ni,nij,nj->n", gap, P, gap))
        plain = stats.multivariate_normal(gaussians[0][k], gaussians[1][k]).logpdf(row)
        assert near(plain + known.log_prob_gap[k], logs)
        assert_allclose(P.mean(axis=0), np.linalg.inv(gaussians[1][k]), atol=0.1 * abs(P).mean())


@every_family
@pytest.mark.parametrize("d", [1, 3])
def test_the_divergence_is_that_of_drawn_parameters(family, d):
    """Of distributions with covariances of their own; a tied one counts once."""
    known, prior = example(family, 1, d, 10 + d), example(family, 1, d, 20 + d)
    means, P = (part[:4000] for part in pairs(known, 0, np.random.default_rng(1)))
    each = log_density(known, 0, means, P) - log_density(prior, 0, means, P)
    assert near(known.divergence(prior), each)
    assert_allclose(known.divergence(known), 0.0, atol=1e-10)


@every_family
@given(seed=seeds, d=features)
def test_divergences_add_up(family, seed, d):
    known, prior = example(family, 3, d, seed), example(family, 1, d, seed + 1)
    total = known.divergence(prior)
    assert total > 0
    if not family.tied:
        each = [known.subset(np.array([k])).divergence(prior) for k in range(3)]
        assert_allclose(total, sum(each), rtol=1e-9, atol=1e-9)


@every_family
@given(seed=seeds, d=features)
def test_units_change_no_divergence(family, seed, d):
    known, prior = example(family, 3, d, seed), example(family, 1, d, seed + 1)
    rng = np.random.default_rng(seed)
    shift, scale = rng.normal(size=d), rng.uniform(0.1, 10, d)
    scale = scale if known.structure.per_feature else np.full(d, scale[0])
    moved = known.rescale(shift, scale).divergence(prior.rescale(shift, scale))
    assert_allclose(moved, known.divergence(prior), rtol=1e-8, atol=1e-8)


@every_family
@given(seed=seeds, d=features)
def test_the_evidence_is_a_product_of_predictives(family, seed, d):
    """One row after the other, of one distribution."""
    prior, rows = example(family, 1, d, seed), np.random.default_rng(seed).normal(size=(4, d))
    known, total = prior, 0.0
    for row in rows:
        kernel = known.predictive().kernel(np.zeros(1))
        total += kernel.log_prob(kernel.features(row[:, None]))[0, 0]
        one = Moments.of(row[:, None], np.ones((1, 1)), prior.structure)
        known = NormalWisharts.of(known.moments + one)
    together = Moments.of(rows.T, np.ones((1, 4)), prior.structure)
    assert_allclose(prior.log_evidence(together), total, rtol=1e-9, atol=1e-9)


@every_family
def test_the_predictive_is_the_mean_of_the_densities(family):
    """In one dimension, by an integral over precisions, the mean integrated out by hand."""
    known = example(family, 1, 1, 5)
    nu, kappa = known.degrees_of_freedom[0], known.mean_precision[0]
    psi = nu * dense_gaussians(known.expected)[1][0, 0, 0]
    kernel = known.predictive().kernel(np.zeros(1))
    for x in (-3.0, 0.2, 8.0):

        def joint(P, x=x):
            wide = np.sqrt((1 + 1 / kappa) / P)
            density = stats.norm(known.moments.mean[0, 0], wide).pdf(x)
            return density * stats.gamma(nu / 2, scale=2 / psi).pdf(P)

        found = np.exp(kernel.log_prob(kernel.features(np.array([[x]])))[0, 0])
        assert_allclose(found, integrate.quad(joint, 0, np.inf)[0], rtol=1e-6)


@every_family
@given(seed=seeds, d=features)
def test_expectations_and_how_sure_they_are_tell_everything(family, seed, d):
    known = example(family, 3, d, seed)
    again = NormalWisharts.expecting(known.expected, known.mean_precision, known.moments.dof)
    assert_allclose(again.moments.scatter, known.moments.scatter, rtol=1e-9, atol=1e-9)
    assert_allclose(again.degrees_of_freedom, known.degrees_of_freedom)


@pytest.mark.parametrize("p", [1, 2, 5])
def test_the_digamma_function_is_a_slope(p):
    x, h = np.array([p / 2 + 0.1, 4.0, 30.0]), 1e-5
    slope = (multigammaln(x + h, p) - multigammaln(x - h, p)) / (2 * h)
    assert_allclose(multivariate_digamma(x, p), slope, rtol=1e-6)
