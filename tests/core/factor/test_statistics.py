"""Additive statistics of batches of rows."""

import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_allclose

from sklearn_lvm.core.factor.spectrum import Spectrum
from sklearn_lvm.core.factor.statistics import FullScatter, LowRankScatter

from ...laws.specs import seeds
from .helpers import D, N, random_rows

SCATTERS = {"full": FullScatter.of, "low rank": lambda V, w: LowRankScatter.of(V, w, 2 * D)}


def assert_equal(one, other):
    a, b = one.spectrum(D), other.spectrum(D)
    assert_allclose(one.weight, other.weight, rtol=1e-12)
    assert_allclose(a.mean, b.mean, rtol=1e-10, atol=1e-12)
    assert_allclose(a.variance, b.variance, rtol=1e-8, atol=1e-10)
    assert_allclose(a.total, b.total, rtol=1e-10)


@pytest.mark.parametrize("kind", SCATTERS)
@given(seed=seeds)
def test_batches_add_in_any_order(kind, seed):
    V, w, _ = random_rows(seed)
    of = SCATTERS[kind]
    a, b, c = (of(V[i::3] + 3.0, w[i::3]) for i in range(3))
    whole = of(V + 3.0, w)
    assert_equal(a + b + c, whole)
    assert_equal(a + (c + b), whole)
    two = np.arange(N) % 3 < 2
    assert_equal((b + a).rescaled(4.0), of(4.0 * V[two] + 12.0, w[two]))
    assert_equal(whole.shifted(np.arange(5.0)), of(V + 3.0 + np.arange(5.0), w))


def test_a_low_rank_scatter_keeps_the_largest_eigenvalues():
    V, w, _ = random_rows(0, n=200, d=30, q=3)
    whole = LowRankScatter.of(V, w, 10)
    parts = LowRankScatter.of(V[:90], w[:90], 10) + LowRankScatter.of(V[90:], w[90:], 10)
    for found in (whole, parts):
        exact = Spectrum.from_covariance(np.zeros(30), (V.T * w) @ V, 30)
        assert len(found.root) == 10
        assert_allclose(found.spectrum(3).variance[:3], exact.variance[:3], rtol=0.01)
        assert_allclose(found.spectrum(3).total, exact.total, rtol=1e-12)
        assert found.spectrum(3).rank is None
