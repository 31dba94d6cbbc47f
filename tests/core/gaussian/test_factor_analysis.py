"""The maximum of the likelihood over loadings and noise: derivatives, maxima, floors."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_lvm.core.gaussian import factor_analysis
from sklearn_lvm.core.gaussian.factor_analysis import Profile, most_likely
from sklearn_lvm.core.gaussian.low_rank import LowRank
from sklearn_lvm.core.gaussian.low_rank_covariances import LowRankCovariances

LEAST = 1e-6


def scatter(d=8, n=60, seed=0):
    """A covariance of few rows in three directions and noise."""
    rng = np.random.RandomState(seed)
    X = rng.normal(size=(n, 3)) @ rng.normal(size=(3, d)) + rng.normal(size=(n, d))
    return np.cov(X.T, bias=True)


def objective(S, W, noise):
    C = W @ W.T + np.diag(noise)
    return -0.5 * (np.linalg.slogdet(C)[1] + np.trace(np.linalg.solve(C, S)))


def found(S, q, **params):
    params = {"tol": 1e-10, "max_iter": 500} | params
    return most_likely(S, LEAST * np.diag(S), q, **params)


def points(S, q, seed=0):
    x = np.log(np.diag(S)) + np.random.RandomState(seed).uniform(-2.0, 0.0, (2, len(S)))
    return Profile(S, q, np.full(len(S), -20.0)), x


@pytest.mark.parametrize("q", [0, 1, 3, 6])
def test_the_profile_is_the_objective_at_the_best_loadings(q):
    S = scatter()
    profile, x = points(S, q)
    at = profile.at(x)
    for i in range(2):
        solution = at.solution(i, [at.value[i]], True)
        assert_allclose(solution.noise, np.exp(x[i]))
        assert_allclose(-at.value[i], objective(S, solution.loadings, solution.noise), rtol=1e-12)
        nearby = solution.loadings + 1e-3 * np.random.RandomState(0).normal(size=(8, q))
        assert q == 0 or objective(S, nearby, solution.noise) < -at.value[i]


@pytest.mark.parametrize("q", [0, 1, 3, 7])
def test_derivatives_are_those_of_differences(q):
    profile, x = points(scatter(), q)
    at, h = profile.at(x), 1e-5
    for j in range(8):
        step = h * np.eye(8)[j]
        above, below = profile.at(x + step), profile.at(x - step)
        assert_allclose(at.gradient[:, j], (above.value - below.value) / (2 * h), atol=1e-8)
        slopes = (above.gradient - below.gradient) / (2 * h)
        assert_allclose(at.hessian()[:, j], slopes, atol=1e-7)


@pytest.mark.parametrize("q", [1, 2, 4])
def test_leading_pairs_are_enough_for_value_and_gradient(q):
    profile, x = points(scatter(), q)
    all_pairs, leading = profile.at(x[:1]), profile.leading_at(x[:1], np.ones(8))
    assert_allclose(leading.value, all_pairs.value, rtol=1e-13)
    assert_allclose(leading.gradient, all_pairs.gradient, atol=1e-12)


@pytest.mark.parametrize("q", [1, 2, 3, 5])
@pytest.mark.parametrize("seed", range(3))
def test_a_maximum_is_where_conditional_maximization_stays(q, seed):
    S = scatter(seed=seed)
    solution, structure = found(S, q, tol=1e-13), LowRank(8, q=q)
    least = LEAST * np.diag(S)
    parts = solution.loadings[None], solution.noise[None], least[None]
    here = LowRankCovariances(structure, *parts)
    following = structure.estimate((S - np.diag(least))[None], np.ones(1), least, here)
    assert_allclose(following.noise[0], solution.noise, rtol=1e-4, atol=1e-7)
    gain = objective(S, following.loadings[0], following.noise[0]) - solution.trace[-1]
    assert gain < 1e-10


@pytest.mark.parametrize("q", [1, 2, 3, 5])
def test_no_run_of_conditional_maximization_ends_higher(q):
    S = scatter(n=12)
    structure, added = LowRank(8, q=q), LEAST * np.diag(S)
    current = structure.estimate(S[None], np.ones(1), added)
    for _ in range(1000):
        current = structure.estimate(S[None], np.ones(1), added, current)
    C = S + np.diag(added)
    assert most_likely(C, added, q, tol=1e-10, max_iter=500).trace[-1] > (
        objective(C, current.loadings[0], current.noise[0]) - 1e-9
    )


@pytest.mark.parametrize("q", [0, 2, 5])
def test_the_trace_ends_at_the_objective(q):
    S = scatter(n=10)
    solution = found(S, q)
    assert solution.converged
    assert solution.n_iter == len(solution.trace) - 1
    last = objective(S, solution.loadings, solution.noise)
    assert_allclose(solution.trace[-1], last, rtol=0, atol=1e-8)


def test_without_factors_the_noise_is_all_of_the_variance():
    S = scatter()
    solution = found(S, 0)
    assert solution.loadings.shape == (8, 0)
    assert_allclose(solution.noise, np.diag(S), rtol=1e-12)


def test_noise_on_its_floor_stays_there():
    """Two columns that are equal leave each other no noise."""
    S = scatter()
    S[7], S[:, 7] = S[6], S[:, 6]
    S[7, 7] = S[6, 6]
    solution = found(S, 2)
    assert_allclose(solution.noise[6:], LEAST * S[6, 6], rtol=1e-12)
    assert (solution.noise[:6] > 1e3 * LEAST * np.diag(S)[:6]).all()


@pytest.mark.parametrize("q", [1, 3, 5])
def test_units_change_nothing(q):
    S, unit = scatter(), np.logspace(-5, 5, 8)
    plain, scaled = found(S, q), found(S * np.outer(unit, unit), q)
    assert_allclose(scaled.noise, plain.noise * unit**2, rtol=1e-6)
    C = plain.loadings @ plain.loadings.T
    D = scaled.loadings @ scaled.loadings.T
    assert_allclose(D / np.outer(unit, unit), C, rtol=1e-4, atol=1e-6)


def test_columns_are_orthogonal_in_units_of_the_noise_and_ordered():
    solution = found(scatter(), 3)
    whitened = solution.loadings / np.sqrt(solution.noise)[:, None]
    gram = whitened.T @ whitened
    assert_allclose(gram, np.diag(np.diag(gram)), atol=1e-10)
    assert (np.diff(np.diag(gram)) < 0).all()
    assert (solution.loadings[np.abs(solution.loadings).argmax(axis=0), range(3)] > 0).all()


@pytest.mark.parametrize("q", [0, 2, 4])
def test_both_methods_find_the_same_maximum(q, monkeypatch):
    S = scatter(d=20, n=200)
    newton = found(S, q)
    monkeypatch.setattr(factor_analysis, "MAX_NEWTON", 10)
    lbfgs = found(S, q)
    assert lbfgs.converged
    assert_allclose(lbfgs.trace[-1], newton.trace[-1], rtol=0, atol=1e-9)
    assert_allclose(lbfgs.noise, newton.noise, rtol=1e-3)


@pytest.mark.parametrize("q", [2, 40])
def test_many_features(q):
    """By Lanczos and by a part of all eigenpairs."""
    S = scatter(d=200, n=400)
    solution = found(S, q)
    assert solution.converged
    at = Profile(S, q, np.full(200, -20.0)).at(np.log(solution.noise)[None])
    assert np.abs(at.gradient).max() < 1e-5
    assert_allclose(-at.value[0], solution.trace[-1], rtol=0, atol=1e-8)


def test_where_eigenpairs_do_not_converge_all_are_computed(monkeypatch):
    def fails(*args, **kwargs):
        raise factor_analysis.ArpackNoConvergence("none", np.empty(0), np.empty((0, 0)))

    S = scatter(d=160, n=400)
    plain = found(S, 1)
    monkeypatch.setattr(factor_analysis, "eigsh", fails)
    assert_allclose(found(S, 1).trace[-1], plain.trace[-1], rtol=0, atol=1e-9)


def test_a_run_that_is_cut_short_says_so():
    solution = found(scatter(), 2, max_iter=1)
    assert not solution.converged
    assert solution.n_iter == 1


def test_a_singular_covariance_has_no_start_by_what_is_unexplained():
    full, S = scatter(), scatter(n=5)
    least = np.full(8, -20.0)
    assert len(Profile(full, 2, least).starts()) == 3
    assert len(Profile(S, 2, least).starts()) == 2
    unexplained = np.exp(Profile(full, 2, least).starts()[2])
    assert_allclose(unexplained, 1.0 / np.diag(np.linalg.inv(full)))
