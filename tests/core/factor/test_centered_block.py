"""Blocks of centered rows, dense and sparse."""

import numpy as np
from hypothesis import given
from numpy.testing import assert_allclose
from scipy import sparse

from sklearn_lvm.core.factor.centered_block import RowBlock

from ...laws.specs import seeds
from .helpers import D


@given(seed=seeds)
def test_products_are_those_of_centered_rows_in_every_format(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(9, D)) * rng.integers(0, 2, (9, D))
    c, w = rng.normal(size=D), rng.uniform(size=9)
    A, R, V = rng.normal(size=(3, D)), rng.normal(size=(3, 9)), X - c
    for block in (RowBlock(X, c, w), RowBlock(sparse.csr_matrix(X), c, w), RowBlock(V, None, w)):
        assert_allclose(block.project(A), A @ V.T, atol=1e-12)
        assert_allclose(block.project_back(R), R @ V, atol=1e-12)
        assert_allclose(block.squared_norms(), (V**2).sum(axis=1), atol=1e-12)
        assert_allclose(block.project_scatter(A), (A @ V.T * w) @ V @ A.T, atol=1e-12)
