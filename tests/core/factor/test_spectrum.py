"""Eigenvalues and axes of a covariance."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_lvm.core.factor.spectrum import Spectrum

from .helpers import random_rows


@pytest.mark.parametrize("shape", [(30, 8), (8, 30)])
def test_singular_values_are_those_of_the_covariance(shape):
    n, d = shape
    V, w, _ = random_rows(0, n, d)
    rows = V * np.sqrt(w)[:, None]
    blocks = np.array_split(rows if n >= d else rows.T, 3)
    found = Spectrum.from_blocks(np.zeros(d), blocks, n, lambda R: R @ rows, np.zeros(d))
    exact = Spectrum.from_covariance(np.zeros(d), rows.T @ rows, d)
    rank = min(n - 1, d)
    assert found.rank == exact.rank == rank
    assert_allclose(found.variance[:rank], exact.variance[:rank], rtol=1e-9)
    assert_allclose(np.abs(found.axes[:rank] @ exact.axes[:rank].T), np.eye(rank), atol=1e-7)
    assert_allclose(found.total, exact.total, rtol=1e-12)
