"""Matrices of low rank plus noise are taken apart; others are approximated."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_lvm.core.gaussian.decomposition import most_likely_noise
from sklearn_lvm.core.gaussian.low_rank import IsotropicLowRank, LowRank, best_loadings
from sklearn_lvm.core.linalg import SingularCovarianceError

LEAST = 1e-8


def made(d, q, seed, n_small=0):
    """W W' + Psi, in which some entries of Psi are small, and Psi."""
    rng = np.random.default_rng(seed)
    W, noise = rng.normal(size=(d, q)), rng.uniform(0.1, 2.0, d)
    noise[:n_small] = 1e-6 * (W[:n_small] ** 2).sum(axis=1)
    return W @ W.T + np.diag(noise), noise


def divergence(S, noise, q):
    """In nats, from S to the most likely W W' + Psi of this noise."""
    W = best_loadings(S[None], noise[None], q)[0]
    ratio = np.linalg.solve(W @ W.T + np.diag(noise), S)
    return 0.5 * (np.trace(ratio) - len(S) - np.linalg.slogdet(ratio)[1])


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("d", "q", "n_small"), [(1, 0, 0), (3, 1, 0), (4, 1, 1), (10, 2, 0), (10, 4, 2), (30, 5, 2)]
)
def test_noise_that_is_told_by_the_matrix_is_found(d, q, n_small, seed):
    S, noise = made(d, q, seed, n_small)
    assert_allclose(most_likely_noise(S, q, LEAST), noise, rtol=1e-6)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(("d", "q", "n_small"), [(10, 6, 0), (10, 6, 2), (10, 8, 0), (6, 5, 0)])
def test_as_many_factors_as_can_be_told_and_more_give_the_matrix(d, q, n_small, seed):
    S, _ = made(d, q, seed, n_small)
    assert abs(divergence(S, most_likely_noise(S, q, LEAST), q)) < 1e-12


@pytest.mark.parametrize("unit", [1e-150, 1e-5, 1e150])
def test_units_cost_no_digits(unit):
    S, noise = made(8, 2, 0)
    units = np.where(np.arange(8) < 4, 1.0, unit)
    found = most_likely_noise(S * np.outer(units, units), 2, LEAST)
    assert_allclose(found, noise * units**2, rtol=1e-9)


@pytest.mark.parametrize("seed", range(3))
def test_of_other_matrices_none_is_much_nearer(seed):
    """No change of the noise brings W W' + Psi much nearer to a matrix of full rank."""
    rng = np.random.default_rng(seed)
    S = np.cov(rng.normal(size=(40, 7)) @ rng.normal(size=(7, 7)), rowvar=False)
    noise = most_likely_noise(S, 2, LEAST)
    best = divergence(S, noise, 2)
    assert best > 1e-3
    for _ in range(200):
        other = noise * np.exp(rng.choice([1e-3, 1e-1, 1.0]) * rng.normal(size=7))
        assert divergence(S, np.maximum(other, LEAST * np.diag(S)), 2) > best - 1e-4


@pytest.mark.parametrize("kind", [LowRank, IsotropicLowRank])
def test_what_is_not_positive_definite_is_refused(kind):
    for C in (np.ones((3, 3)), np.array([[1.0, 2.0, 0], [2.0, 1.0, 0], [0, 0, 1.0]]), -np.eye(3)):
        with pytest.raises(SingularCovarianceError):
            kind(3, q=1).from_public(np.stack([np.eye(3), C]))


def test_ppca_keeps_the_leading_axes_of_any_matrix():
    S = np.diag([5.0, 3.0, 1.0, 0.5])
    found = IsotropicLowRank(4, q=1).from_public(S[None])
    assert_allclose(found.noise, np.full((1, 4), 1.5))
    assert_allclose(found.loadings[0, :, 0], [np.sqrt(3.5), 0, 0, 0], atol=1e-12)
