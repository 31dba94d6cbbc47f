"""Turns of loadings: what they leave alone, and what they maximize."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.decomposition._factor_analysis import _ortho_rotation

from sklearn_lvm.core.gaussian.rotation import ORTHOMAX, canonical, ordered, rotated


def loadings(d=9, q=3, seed=0):
    return np.random.RandomState(seed).normal(size=(d, q))


def criterion(W, power):
    squares = W**2
    return (squares**2).sum() - power / len(W) * (squares.sum(axis=0) ** 2).sum()


@pytest.mark.parametrize("name", ORTHOMAX)
def test_a_rotation_is_no_lower_than_that_of_scikit_learn(name):
    W = loadings()
    own = rotated(W, np.ones(9), ORTHOMAX[name])
    peer = _ortho_rotation(W, method=name, tol=1e-10, max_iter=10_000).T
    assert criterion(own, ORTHOMAX[name]) > criterion(peer, ORTHOMAX[name]) - 1e-9
    assert criterion(own, ORTHOMAX[name]) > criterion(W, ORTHOMAX[name])


@pytest.mark.parametrize("name", ORTHOMAX)
def test_a_rotation_changes_no_covariance(name):
    W, unit = loadings(), np.linspace(1.0, 3.0, 9)
    found = rotated(W, unit, ORTHOMAX[name])
    assert_allclose(found @ found.T, W @ W.T, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", ORTHOMAX)
def test_no_small_turn_raises_the_criterion(name):
    W, power = rotated(loadings(), np.ones(9), ORTHOMAX[name]), ORTHOMAX[name]
    for i, j in [(0, 1), (0, 2), (1, 2)]:
        for angle in (-1e-2, 1e-2):
            turn = np.eye(3)
            turn[[i, j], [i, j]] = np.cos(angle)
            turn[i, j], turn[j, i] = np.sin(angle), -np.sin(angle)
            assert criterion(W @ turn, power) < criterion(W, power)


@pytest.mark.parametrize("q", [0, 1])
def test_few_columns_have_no_turns(q):
    W = loadings(q=q)
    assert_allclose(np.abs(rotated(W, np.ones(9), 1.0)), np.abs(W))


def test_the_canonical_form_does_not_know_how_columns_were_turned():
    W, noise = loadings(), np.linspace(0.5, 2.0, 9)
    turn = np.linalg.qr(np.random.RandomState(1).normal(size=(3, 3)))[0]
    found = canonical(W, noise)
    assert_allclose(canonical(W @ turn, noise), found, atol=1e-12)
    assert_allclose(found @ found.T, W @ W.T, atol=1e-12)
    gram = found.T @ (found / noise[:, None])
    assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-12)


def test_columns_are_ordered_by_what_they_explain():
    W, noise = loadings() * [1.0, 5.0, 2.0], np.ones(9)
    found = ordered(W, noise)
    assert_allclose(np.abs(found), np.abs(W[:, [1, 2, 0]]))
    assert (found[np.abs(found).argmax(axis=0), range(3)] > 0).all()
