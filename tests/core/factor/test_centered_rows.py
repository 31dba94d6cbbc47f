"""Rows minus their mean, and the rows that represent them."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import sparse

from sklearn_lvm.core.factor.centered_rows import CenteredRows
from sklearn_lvm.core.linalg import triangular
from sklearn_lvm.inference.block_map import ThreadMap

from .helpers import D


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("offset", [0.0, 1e5])
def test_rows_are_centered(kind, offset):
    rng = np.random.default_rng(0)
    X, w = rng.normal(size=(50, D)) + offset, rng.dirichlet(np.ones(50))
    with ThreadMap() as block_map:
        rows = CenteredRows.of(kind(X), w, block_map)
        covariance = rows.covariance()
    assert (rows.offset_ratio < np.inf) == (offset == 0)
    assert_allclose(covariance, np.cov(X.T, aweights=w, bias=True), atol=1e-12 * (1 + offset))
    assert_allclose(
        rows.standardization.inverse_transform(rows.mean), w @ X, rtol=1e-13, atol=1e-15
    )
    R = triangular(rows.tall_blocks())
    assert_allclose(R.T @ R, covariance, atol=1e-10)


def test_representative_rows_depend_on_content_and_weight():
    rng = np.random.default_rng(0)
    X, times = rng.normal(size=(40, D)), rng.integers(1, 4, 40)
    order = rng.permutation(times.sum())
    with ThreadMap() as block_map:
        weighted = CenteredRows.of(X, times / times.sum(), block_map)
        copies = np.repeat(X, times, axis=0)[order]
        repeated = CenteredRows.of(copies, np.full(len(copies), 1 / len(copies)), block_map)
    one, other = X[weighted.representative_rows(15)], copies[repeated.representative_rows(15)]
    assert_allclose(one, other)
    assert len(np.unique(one, axis=0)) > 8
