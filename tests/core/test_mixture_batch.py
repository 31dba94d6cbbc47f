"""Mixtures side by side are the mixtures one by one."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_lvm.core.bernoulli.binary_rows import binary_rows
from sklearn_lvm.core.bernoulli.density import BernoulliFamily
from sklearn_lvm.core.gaussian.density import GaussianFamily
from sklearn_lvm.core.gaussian.diagonal import Diagonal
from sklearn_lvm.core.gaussian.full import Full
from sklearn_lvm.core.mixture_batch import BatchEStep, MixtureBatch, SharedSums, batch_m_step
from sklearn_lvm.core.mixture_em import MixtureSteps

N, D, K, G = 200, 3, 2, 4
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, D)) + 4.0 * RNG.integers(0, 2, (N, 1))
W = RNG.uniform(0.5, 2.0, N)
KINDS = {
    "full": (GaussianFamily(Full(D), np.full(D, 1e-6)), X.T),
    "diagonal": (GaussianFamily(Diagonal(D), np.zeros(D)), X.T),
    "coins": (BernoulliFamily(), binary_rows((X > 2).astype(float), 0.5)),
}
every_kind = pytest.mark.parametrize("kind", KINDS)


def drawn(kind, n_mixtures=G):
    """Steps, rows, and mixtures that were estimated from random shares."""
    family, rows = KINDS[kind]
    steps, shares = MixtureSteps(family), RNG.uniform(size=(n_mixtures, K, N))
    shares = (shares / shares.sum(axis=1, keepdims=True) * W).reshape(-1, N)
    return steps, rows, batch_m_step(steps, family.statistics(rows, shares), n_mixtures)


@every_kind
def test_a_step_of_several_mixtures_is_a_step_of_each(kind):
    steps, rows, batch = drawn(kind)
    kernel = steps.family.kernel(batch.components, batch.log_weights.ravel())
    total = BatchEStep(kernel, G)((rows, W))
    following = batch_m_step(steps, kernel.statistics(total.arrays), G, batch.components)
    for i in range(G):
        step = steps.e_step(batch.mixture(i))
        alone = step((rows, W))
        assert_allclose(total.log_likelihood[i], alone.log_likelihood, rtol=1e-12)
        expected = steps.m_step(step.statistics(alone), batch.mixture(i))
        found = following.mixture(i)
        assert_allclose(found.log_weights, expected.log_weights, rtol=1e-10)
        assert_allclose(found.kernel().log_prob(rows), expected.kernel().log_prob(rows), rtol=1e-9)


@every_kind
def test_each_mixture_may_have_weights_of_its_own(kind):
    steps, rows, batch = drawn(kind)
    kernel = steps.family.kernel(batch.components, batch.log_weights.ravel())
    each = RNG.uniform(size=(G, N))
    together = BatchEStep(kernel, G)((rows, each))
    for i, w in enumerate(each):
        alone = steps.e_step(batch.mixture(i))((rows, w))
        assert_allclose(together.log_likelihood[i], alone.log_likelihood, rtol=1e-12)


@every_kind
def test_sums_of_blocks_are_sums_of_rows(kind):
    steps, rows, batch = drawn(kind)
    kernel = steps.family.kernel(batch.components, batch.log_weights.ravel())
    step = BatchEStep(kernel, G)
    twice, once = step((rows, W)) + step((rows, W)), step((rows, 2.0 * W))
    assert_allclose(twice.log_likelihood, once.log_likelihood, rtol=1e-12)
    for a, b in zip(twice.arrays, once.arrays, strict=True):
        assert_allclose(a, b, rtol=1e-12)


@every_kind
def test_sums_under_given_shares_are_statistics(kind):
    steps, rows, batch = drawn(kind, 1)
    shares = RNG.uniform(size=(K, N))
    kernel = steps.family.kernel(batch.components, batch.log_weights.ravel())
    found = kernel.statistics(SharedSums(kernel)((rows, shares)).arrays)
    expected = steps.family.statistics(rows, shares)
    assert_allclose(found.weight, expected.weight, rtol=1e-12)


def test_a_mixture_can_be_left_out():
    _, rows, batch = drawn("full")
    rest = batch.without(2 * K + 1)
    assert len(rest) == G - 1
    assert_array_equal(rest.log_weights, batch.log_weights[[0, 1, 3]])
    assert_array_equal(
        rest.mixture(2).kernel().log_prob(rows), batch.mixture(3).kernel().log_prob(rows)
    )


def test_mixtures_of_tied_covariances_share_one():
    steps = MixtureSteps(GaussianFamily(Full(D, tied=True), np.zeros(D)))
    shares = RNG.uniform(size=(G * K, N))
    batch = batch_m_step(steps, steps.family.statistics(X.T, shares), G)
    assert isinstance(batch, MixtureBatch)
    assert len(batch.components.covariance) == len(batch.mixture(1).components.covariance) == 1
    assert len(batch.mixture(1).components.mean) == K
