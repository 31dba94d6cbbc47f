"""Moments are a value with ``+``: rows may come in any blocks, in any order."""

from functools import reduce
from itertools import pairwise
from operator import add

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sklearn_lvm.core.gaussian.moments import Moments

from ...laws.specs import PART, components, every_structure, features, plain_moments, seeds

N = 24


def same(a, b, rtol=1e-11):
    assert_allclose(a.weight, b.weight, rtol=1e-13)
    assert_allclose(a.dof, b.dof, rtol=1e-13)
    assert_allclose(a.mean, b.mean, rtol=rtol, atol=rtol)
    assert_allclose(a.scatter, b.scatter, rtol=rtol, atol=rtol)


def rows_and_weights(seed, K, d, n=N):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(d, n)) + rng.normal(size=(d, 1)), rng.uniform(size=(K, n))


@every_structure
@given(seed=seeds, K=components, d=features)
def test_moments_are_weights_means_and_scatters(structure, seed, K, d):
    Z, w = rows_and_weights(seed, K, d)
    moments = Moments.of(Z, w, structure(d))
    weight, mean, scatter = plain_moments(Z.T, w)
    same(moments, Moments(weight, weight, mean, PART[structure](scatter), structure(d)))


@every_structure
@given(seed=seeds, cuts=st.lists(st.integers(0, N), max_size=4), d=features)
def test_blocks_equal_the_whole(structure, seed, cuts, d):
    Z, w = rows_and_weights(seed, 2, d)
    edges = [0, *sorted(cuts), N]
    blocks = [slice(a, b) for a, b in pairwise(edges)]
    parts = reduce(add, (Moments.of(Z[:, rows], w[:, rows], structure(d)) for rows in blocks))
    same(parts, Moments.of(Z, w, structure(d)))


@every_structure
@given(seed=seeds, K=components, d=features)
def test_merging_is_associative_and_commutative(structure, seed, K, d):
    a, b, c = (Moments.of(*rows_and_weights(seed + i, K, d, 5 + i), structure(d)) for i in range(3))
    same((a + b) + c, a + (b + c))
    same(a + b, b + a)


@every_structure
def test_moments_of_nothing_add_nothing(structure):
    Z, w = rows_and_weights(0, 2, 3)
    moments = Moments.of(Z, w, structure(3))
    nothing = Moments.of(Z + 5.0, 0.0 * w, structure(3))
    same(moments + nothing, moments)
    same(nothing + moments, moments)
    assert not (nothing + nothing).weight.any()


@every_structure
@pytest.mark.parametrize("offset", [1e6, 1e8])
def test_an_offset_costs_no_more_than_the_rounding_of_the_means(structure, offset):
    Z, w = rows_and_weights(1, 2, 3)
    moved = (Z + offset) - offset
    halves = [slice(0, 9), slice(9, N)]
    far = reduce(add, (Moments.of(Z[:, h] + offset, w[:, h], structure(3)) for h in halves))
    near = Moments.of(moved, w, structure(3))
    rounding = np.spacing(offset)
    assert_allclose(far.mean - offset, near.mean, rtol=0, atol=4 * rounding)
    assert_allclose(far.scatter, near.scatter, rtol=0, atol=N * rounding)


@every_structure
def test_a_tied_structure_adds_scatters_about_separate_means(structure):
    Z, w = rows_and_weights(2, 3, 2)
    moments = Moments.of(Z, w, structure(2))
    pooled = Moments.of(Z, w, structure(2, tied=True))
    assert_allclose(pooled.scatter, moments.scatter.sum(axis=0)[None])
    assert_allclose(pooled.dof, [w.sum()])
    assert_allclose(pooled.mean, moments.mean)
    assert_allclose(pooled.weight, moments.weight)
    doubled, twice = moments + moments, pooled + pooled
    assert_allclose(twice.scatter, doubled.scatter.sum(axis=0)[None])
    assert_allclose(twice.dof, [2.0 * w.sum()])


@every_structure
def test_a_prior_is_added_like_data(structure):
    """With a prior on one side, ``+`` is the Normal-inverse-Wishart update (Murphy, 2007, eq. 251)."""
    Z, w = rows_and_weights(3, 1, 2)
    data = Moments.of(Z, w, structure(2))
    kappa, dof, mean = np.array([2.5]), np.array([7.0]), np.array([[1.0, -2.0]])
    scatter = PART[structure](np.array([[[2.0, 0.3], [0.3, 1.0]]]))
    posterior = Moments(kappa, dof, mean, scatter, structure(2)) + data
    n = data.weight
    gap = (data.mean - mean)[0]
    shrunk = kappa * n / (kappa + n) * np.outer(gap, gap)[None]
    assert_allclose(posterior.mean, (kappa * mean + n * data.mean) / (kappa + n))
    assert_allclose(posterior.scatter, scatter + data.scatter + PART[structure](shrunk))
    assert_allclose(posterior.dof, dof + n)
