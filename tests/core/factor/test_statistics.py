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


@pytest.mark.parametrize("k", [0, 2, D])
def test_of_a_spectrum_the_scatter_along_its_axes_is_known(k):
    """Mean and trace exactly; beyond the axes all directions are alike."""
    V, w, _ = random_rows(0)
    exact, weight = FullScatter.of(V + 3.0, w), w.sum()
    spectrum = exact.spectrum(k)
    scatter = FullScatter.of_spectrum(spectrum, weight)
    low_rank = LowRankScatter.of_spectrum(spectrum, weight, 2 * D)
    for found in (scatter, low_rank):
        assert_allclose(found.weight, weight)
        assert_allclose(found.mean, exact.mean)
        assert_allclose(found.spectrum(k).total, spectrum.total)
        assert_allclose(found.spectrum(k).variance[:k], spectrum.variance[:k])
    assert_allclose(scatter.spectrum(D).variance[k:], spectrum.noise(k) if k < D else [])
    rest = exact.moments.scatter - scatter.moments.scatter
    assert_allclose(spectrum.axes @ rest[0] @ spectrum.axes.T, np.zeros((k, k)), atol=1e-8)
    assert (low_rank.spectrum(k).rank is None) == (k < D)
    assert ((low_rank + low_rank).spectrum(k).rank is None) == (k < D)
