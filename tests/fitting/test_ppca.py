"""Solvers of PPCA: every one finds the leading eigenpairs of the covariance."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_lvm.core.factor.centered_rows import CenteredRows
from sklearn_lvm.fitting.ppca import SOLVERS, SpectrumProblem, solve
from sklearn_lvm.inference.block_map import ThreadMap


@pytest.mark.parametrize("solver", SOLVERS)
def test_every_solver_finds_the_leading_eigenpairs(solver):
    rng, n, d, q = np.random.default_rng(0), 300, 60, 3
    X = rng.normal(size=(n, d)) * np.append([5.0, 4.0, 3.0], np.full(d - q, 0.5)) + 1.0
    with ThreadMap() as block_map:
        rows = CenteredRows.of(X, np.full(n, 1 / n), block_map)
        problem = SpectrumProblem(rows, q, 1e-12, 1000, np.random.RandomState(0))
        solution = solve(solver, problem)
    variance, axes = np.linalg.eigh(np.cov(X.T, bias=True))
    assert solution.converged
    assert_allclose(solution.spectrum.variance[:q], variance[::-1][:q], rtol=1e-5)
    cosines = np.abs(solution.spectrum.axes[:q] @ axes[:, ::-1][:, :q])
    assert_allclose(cosines, np.eye(q), atol=1e-4)
    assert_allclose(solution.spectrum.noise(q), variance[:-q].mean(), rtol=1e-6)
