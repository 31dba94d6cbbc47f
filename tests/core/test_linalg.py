"""Linear algebra on rows."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_lvm.core import linalg


def test_inner_products_agree_on_older_numpy(monkeypatch):
    A = np.random.default_rng(0).normal(size=(7, 300))
    new = linalg.row_dot(A, A)
    monkeypatch.setattr(linalg, "HAS_VECDOT", False)
    assert_allclose(linalg.row_dot(A, A), new, rtol=1e-13)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    ("m", "k", "n"), [(3, 5, 40), (10, 231, 1000), (15, 231, 2000), (200, 300, 500)]
)
def test_products_by_strips_are_products(m, k, n, dtype):
    """Small ones, ones of several strips, and ones that are too large for strips."""
    rng = np.random.default_rng(0)
    A, B, C = (rng.normal(size=shape).astype(dtype) for shape in ((m, k), (k, n), (m, n)))
    accuracy = {"rtol": 0, "atol": 1e3 * np.finfo(dtype).eps * n}
    for found, expected in (
        (linalg.product(A, B), A @ B),
        (linalg.transposed_product(C, B), C @ B.T),
    ):
        assert found.shape == expected.shape
        assert found.dtype == dtype
        assert_allclose(found, expected, **accuracy)
    assert linalg.strip_width(15, 231) > 0 == linalg.strip_width(200, 300)


def test_what_fails_is_left_out_unless_nothing_else_is_left():
    def total(items):
        for i, item in enumerate(items):
            if item < 0:
                raise linalg.SingularCovarianceError(i, (0,))
        return sum(items)

    def drop(items, failed):
        return [*items[:failed], *items[failed + 1 :]]

    assert linalg.without_failures(total, [1, -1, 2, -1], drop) == 3
    with pytest.raises(linalg.SingularCovarianceError):
        linalg.without_failures(total, [-1, -1], drop)


@pytest.mark.parametrize("k", [0, 1, 2, 10, 11, 23])
def test_many_small_matrices_are_inverted_side_by_side(k):
    rng = np.random.default_rng(k)
    X = rng.normal(size=(5, k, k + 3))
    A = X @ X.mT
    inverse, log_det = linalg.inverses(A.transpose(1, 2, 0).copy())
    assert_allclose(inverse.transpose(2, 0, 1), np.linalg.inv(A), rtol=1e-8, atol=1e-8)
    assert_allclose(log_det, np.linalg.slogdet(A)[1], atol=1e-8)
