"""Where EM with missing entries starts, and the spectrum from which components are chosen."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_lvm.core.factor.incomplete_rows import LinearGaussian
from sklearn_lvm.fitting.ppca_missing import IncompleteProblem
from sklearn_lvm.inference.block_map import ThreadMap

D, N = 8, 400


def random_rows(share, noise=0.5):
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(D, 3)) @ rng.normal(size=(3, N)) + noise * rng.normal(size=(D, N))
    Z[rng.random(Z.shape) < share] = np.nan
    return Z, rng.uniform(0.5, 2.0, N)


def problem(block_map, Z, w, n_components, tol=1e-9):
    rng = np.random.RandomState(0)
    return IncompleteProblem(Z, w, n_components, tol, 2000, rng, block_map)


@pytest.mark.parametrize("q", [0, 1, 3, 7, 8])
def test_complete_rows_have_the_spectrum_of_their_covariance(q):
    Z, w = random_rows(0.0)
    C = np.cov(Z, aweights=w, bias=True)
    variance = np.linalg.eigvalsh(C)[::-1]
    with ThreadMap() as block_map:
        solution, found = problem(block_map, Z, w, q).solve()
    assert found == q
    leading = min(q, D - 1)
    assert_allclose(solution.spectrum.variance[:leading], variance[:leading], rtol=1e-4)
    assert_allclose(solution.spectrum.noise(q), variance[leading:].mean(), rtol=1e-4)
    assert_allclose(solution.spectrum.mean, Z @ w / w.sum(), atol=1e-5)
    assert solution.converged


def test_the_whole_spectrum_is_stationary():
    """No Gaussian nearby makes what was observed more likely."""
    Z, w = random_rows(0.3)
    with ThreadMap() as block_map:
        spectrum = problem(block_map, Z, w, None, tol=1e-12)._whole_spectrum()
    assert spectrum.rank == D
    best = likelihood(spectrum.mean, spectrum.covariance(), Z, w)
    rng = np.random.default_rng(1)
    for _ in range(20):
        step = 1e-3 * rng.normal(size=(D, D))
        moved = (np.eye(D) + step) @ spectrum.covariance() @ (np.eye(D) + step).T
        assert likelihood(spectrum.mean + 1e-3 * rng.normal(size=D), moved, Z, w) < best


def likelihood(mean, covariance, Z, w):
    """The mean log-density of what was observed, of a covariance of any form."""
    variance, axes = np.linalg.eigh(covariance)
    noise = variance[0]
    W = axes * np.sqrt(np.maximum(variance - noise, 0.0))
    return w @ LinearGaussian(W, mean, noise).latent(Z).log_prob / w.sum()


@pytest.mark.parametrize("share", [0.1, 0.5])
def test_no_random_start_ends_higher(share):
    """Nor does any take fewer steps."""
    Z, w = random_rows(share)
    with ThreadMap() as block_map:
        one = problem(block_map, Z, w, 3)
        _, start = one._start()
        end, rng = one._run(start), np.random.default_rng(0)
        for _ in range(5):
            random = one._run(LinearGaussian(rng.normal(size=(D, 3)), np.zeros(D), 1.0))
            assert end.objective >= random.objective - 1e-8
            assert end.n_iter <= random.n_iter


def test_no_loading_of_a_start_is_zero():
    """Of rows in a line, filled or not, more axes are asked for."""
    Z = np.outer(np.arange(1.0, D + 1), np.linspace(-1, 1, N))
    Z[0, 0] = np.nan
    with ThreadMap() as block_map:
        _, start = problem(block_map, Z, np.ones(N), 3)._start()
    assert (np.linalg.norm(start.W, axis=0) > 0).all()
    assert np.isfinite(start.W).all()
    assert start.noise > 0
