"""Missing entries given observed ones: their moments and quantiles under responsibilities."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.optimize import brentq
from scipy.stats import norm
from scipy.stats import t as student

from sklearn_lvm.core.conditionals import Conditionals

from ..laws.specs import seeds

K, D, N = 3, 2, 4


def example(seed, dof):
    rng = np.random.default_rng(seed)
    shape = (K, D, N)
    found = Conditionals(
        10 * rng.normal(size=shape), np.exp(rng.normal(size=shape)), np.full((K, N), dof)
    )
    return found, rng.dirichlet(np.ones(K), size=N).T


def plain(found, j, i):
    size, dof = np.sqrt(found.square[:, j, i]), found.dof[:, i]
    family = norm if np.isinf(dof).all() else lambda m, s: student(dof, m, s)
    return family(found.mean[:, j, i], size)


@pytest.mark.parametrize("dof", [1.5, 3.0, 1e8, np.inf])
@given(seed=seeds, level=st.floats(1e-6, 1 - 1e-6))
def test_quantiles_are_the_roots_of_the_distribution_function(dof, seed, level):
    found, resp = example(seed, dof)
    values = found.quantile(resp, level)
    assert_allclose(found.cdf(resp, values), level, rtol=1e-9)
    density = plain(found, 1, 2)
    reach = density.ppf(level)
    root = brentq(
        lambda x: resp[:, 2] @ density.cdf(x) - level, reach.min() - 1e-3, reach.max() + 1e-3
    )
    assert_allclose(resp[:, 2] @ density.cdf(values[1, 2]), level, rtol=1e-8)
    slope = resp[:, 2] @ density.pdf(root)
    if slope > 1e-6:  # where it is flat many numbers are as good
        assert_allclose(values[1, 2], root, rtol=1e-7, atol=1e-7)


def test_one_component_has_its_own_quantiles_and_unused_ones_none():
    found, resp = example(0, np.inf)
    resp[:] = [[0.0], [1.0], [0.0]]
    expected = norm(found.mean[1], np.sqrt(found.square[1])).ppf(0.9)
    assert_allclose(found.quantile(resp, 0.9), expected, rtol=1e-12)


def test_both_tails_have_all_digits():
    square, resp = np.ones((2, 1, 1)), np.full((2, 1), 0.5)
    found = Conditionals.of_gaussians(np.array([[[-1.0]], [[1.0]]]), square)
    for level in (2.0**-20, 2.0**-40):
        low, high = found.quantile(resp, level), found.quantile(resp, 1.0 - level)
        assert_allclose(high, -low, rtol=1e-12)
        below = norm(found.mean[:, 0, 0]).cdf(low).mean()
        assert_allclose(below, level, rtol=1e-10)


def test_entries_are_those_of_all():
    found, resp = example(0, np.inf)
    for dof in (found.dof, np.broadcast_to(found.dof[:, None], (K, D, N)) * 1.0):
        whole = Conditionals(found.mean, found.square, dof)
        part = whole.of_entries(slice(1, None))
        assert_allclose(part.moments(resp), [m[1:] for m in whole.moments(resp)])
        assert_allclose(part.quantile(resp, 0.3), whole.quantile(resp, 0.3)[1:])


def test_moments_are_those_of_draws():
    found, resp = example(1, 5.0)
    mean, variance = found.moments(resp)
    rng = np.random.default_rng(0)
    labels = rng.choice(K, size=200_000, p=resp[:, 0])
    size = np.sqrt(found.square[labels, 0, 0])
    drawn = found.mean[labels, 0, 0] + size * rng.standard_t(5.0, size=len(labels))
    assert_allclose(drawn.mean(), mean[0, 0], atol=0.1)
    assert_allclose(drawn.var(), variance[0, 0], rtol=0.05)
