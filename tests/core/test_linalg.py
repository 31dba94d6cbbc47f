"""Linear algebra on rows."""

import numpy as np
from numpy.testing import assert_allclose

from sklearn_lvm.core import linalg


def test_inner_products_agree_on_older_numpy(monkeypatch):
    A = np.random.default_rng(0).normal(size=(7, 300))
    new = linalg.row_dot(A, A)
    monkeypatch.setattr(linalg, "HAS_VECDOT", False)
    assert_allclose(linalg.row_dot(A, A), new, rtol=1e-13)
