"""Posteriors of rates: the predictive is that of scipy, and the evidence is its product."""

import numpy as np
from numpy.testing import assert_allclose
from scipy.stats import nbinom

from sklearn_lvm.core.exponential.columns import Poisson
from sklearn_lvm.core.exponential.gamma import (
    CountSums,
    GammaPosterior,
    NegativeBinomials,
    poissons,
)
from sklearn_lvm.core.exponential.rows import FeatureMap

A, B = np.array([[0.7, 30.0], [2.0, 1e6]]), np.array([[0.1, 4.0], [9.0, 2e5]])


def test_the_predictive_is_negative_binomial():
    X = np.array([[0.0, 7.0], [3.0, np.nan], [120.0, 1.0]])
    rows = FeatureMap((Poisson(),) * 2).transform(X)
    expected = nbinom(A[:, :, None], (B / (B + 1))[:, :, None]).logpmf(np.nan_to_num(X.T))
    expected = np.where(np.isnan(X.T), 0.0, expected)
    assert_allclose(NegativeBinomials(A, B).entries(rows), expected, rtol=1e-7, atol=1e-12)


def test_the_evidence_is_the_product_of_predictives():
    counts, posterior, total = (
        [2.0, 0.0, 9.0],
        GammaPosterior(np.array([0.8]), np.array([0.3])),
        0.0,
    )
    evidence = posterior.log_evidence(CountSums.of(np.array([counts]), np.ones(3)))
    for x in counts:
        total += nbinom(posterior.shape, posterior.rate / (posterior.rate + 1)).logpmf(x)
        posterior += CountSums.of(np.array([[x]]), np.ones(1))
    assert_allclose(evidence, total, rtol=1e-12)


def test_an_enormous_prior_costs_no_digits():
    """It is a rate that is known, under which counts are Poisson."""
    counts = np.array([[2.0, 3.0, 7.0]])
    known = poissons(np.array([4.0])).entries(FeatureMap((Poisson(),)).transform(counts.T))
    posterior = GammaPosterior(np.array([4e14]), np.array([1e14]))
    evidence = posterior.log_evidence(CountSums.of(counts, np.ones(3)))
    assert_allclose(evidence[0], known.sum(), rtol=1e-12)


def test_sampled_counts_have_the_moments():
    densities = NegativeBinomials(np.array([[3.0]]), np.array([[0.5]]))
    drawn = densities.sample(np.zeros(40_000, int), np.random.RandomState(0))
    assert_allclose(drawn.mean(), 6.0, rtol=0.02)
    assert_allclose(drawn.var(), 18.0, rtol=0.05)
