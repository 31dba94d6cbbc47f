"""Criteria for the number of principal components."""

from math import lgamma

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from sklearn_lvm.core.factor.density import PPCADensity
from sklearn_lvm.core.factor.dimension import bic, evidence
from sklearn_lvm.core.factor.spectrum import Spectrum

from ...laws.specs import seeds


def plain_evidence(variance, d, q, n):
    """Minka's equation 78, sum by sum."""
    noise = variance[q:].sum() / (d - q)
    filled = np.where(np.arange(d) < q, variance, noise)
    result = -q * np.log(2)
    for i in range(1, q + 1):
        result += lgamma((d - i + 1) / 2) - np.log(np.pi) * (d - i + 1) / 2
    m = d * q - q * (q + 1) / 2
    result += -n / 2 * (np.log(variance[:q]).sum() + (d - q) * np.log(noise))
    result += (m + q) / 2 * np.log(2 * np.pi) - q / 2 * np.log(n)
    for i in range(q):
        for j in range(i + 1, d):
            gap = (1 / filled[j] - 1 / filled[i]) * (variance[i] - variance[j])
            result -= 0.5 * (np.log(gap) + np.log(n))
    return result


@given(seed=seeds, weight=st.sampled_from([7.5, 100.0, 1e5]), missing=st.integers(0, 3))
def test_criteria_are_their_formulas(seed, weight, missing):
    d = 9
    rng = np.random.default_rng(seed)
    variance = np.sort(rng.gamma(1.0, size=d))[::-1] + 0.01
    variance[d - missing :] = 0.0
    rank = d - missing
    spectrum = Spectrum(np.zeros(d), variance[:rank], np.eye(d)[:rank], variance.sum(), rank)
    found = evidence(spectrum, weight)
    expected = [plain_evidence(variance, d, q, weight) for q in range(1, rank)]
    assert_allclose(found, expected, rtol=1e-9)
    densities = [PPCADensity.from_spectrum(spectrum, q) for q in range(1, rank)]
    fits = -2 * weight * np.array([density.mean_log_prob for density in densities])
    penalties = [density.n_parameters() * np.log(weight) for density in densities]
    assert_allclose(bic(spectrum, weight), fits + penalties, rtol=1e-9)
