"""Leading eigenpairs by products."""

from dataclasses import dataclass

import numpy as np
from hypothesis import given
from numpy.testing import assert_allclose

from sklearn_lvm.core.factor.lanczos import leading_eigenpairs

from ...laws.specs import seeds


@dataclass
class MatrixOperator:
    """A matrix as an operator."""

    C: np.ndarray

    def multiply(self, vectors):
        return vectors @ self.C

    def project(self, vectors):
        return vectors @ self.C @ vectors.T


@given(seed=seeds)
def test_leading_eigenpairs_are_those_of_the_matrix(seed):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(60, 60)) * 0.9 ** np.arange(60)
    C = A.T @ A
    operator, start = MatrixOperator(C), rng.normal(size=(8, 60))
    options = {"tol": 1e-9, "max_iter": 200}
    found = leading_eigenpairs(operator, start, 4, lambda v: np.ones(4), **options)
    exact = np.linalg.eigvalsh(C)[::-1][:4]
    assert found.converged
    assert_allclose(found.values, exact, rtol=0, atol=1e-8)
    assert_allclose(found.vectors @ found.vectors.T, np.eye(4), atol=1e-10)
    assert_allclose(found.vectors @ C @ found.vectors.T, np.diag(found.values), atol=1e-8)
