"""The posterior of independent columns that were observed in different rows."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from sklearn_lvm.core.gaussian.column_posterior import ColumnPosterior
from sklearn_lvm.core.gaussian.columns import ColumnMoments
from sklearn_lvm.core.gaussian.diagonal import Diagonal, Spherical
from sklearn_lvm.core.gaussian.moments import Moments
from sklearn_lvm.core.gaussian.normal_wishart import NormalWisharts
from sklearn_lvm.core.gaussian.parameters import GaussianPosterior

every_structure = pytest.mark.parametrize("structure", [Diagonal(2), Spherical(2)])


def prior(structure):
    dof = np.array([4.0 / structure.dof_per_row])
    scatter = structure.of_variances(np.full(2, 3.0)) / structure.dof_per_row
    return NormalWisharts.of(
        Moments(np.array([0.5]), dof, np.array([[1.0, -1.0]]), scatter, structure)
    )


def rows(n=9, seed=0):
    rng = np.random.RandomState(seed)
    Z = 2.0 * rng.normal(size=(2, n))
    Z[rng.uniform(size=Z.shape) < 0.3] = np.nan
    return Z


def posterior(structure, Z):
    return ColumnPosterior.of(ColumnMoments.of(Z, np.ones(Z.shape[1]), structure), prior(structure))


@every_structure
def test_without_missing_entries_it_is_the_known_one(structure):
    Z = np.nan_to_num(rows())
    w = np.ones(Z.shape[1])
    plain = GaussianPosterior.of(Moments.of(Z, w[None], structure), prior(structure))
    found = posterior(structure, Z)
    assert_allclose(found.log_evidence, plain.log_evidence)
    assert_allclose(found.interval_of_mean(0.9), plain.interval_of_mean(0.9))
    for of in (lambda p: p.mode(), lambda p: p.expected(), lambda p: p.region_of_mean(0.9)):
        assert_allclose(of(found).mean, of(plain).mean)
        assert_allclose(of(found).covariance.variances, of(plain).covariance.variances)
    new = np.random.RandomState(1).normal(size=(2, 5))
    scores = [p.predictive().kernel().log_prob(new) for p in (found, plain)]
    assert_allclose(*scores)


@every_structure
def test_the_evidence_is_the_product_of_what_was_predicted(structure):
    Z = rows()
    total = 0.0
    for i in range(Z.shape[1]):
        known = posterior(structure, Z[:, :i])
        total += known.predictive().kernel().log_prob(Z[:, i : i + 1])[0]
    assert_allclose(posterior(structure, Z).log_evidence, total, rtol=1e-12)


@every_structure
def test_draws_fill_intervals_and_regions(structure):
    known, n, level = posterior(structure, rows()), 20_000, 0.8
    mean, stored = known.draw(n, np.random.RandomState(0))
    low, high = known.interval_of_mean(level)
    error = 4 * np.sqrt(level * (1 - level) / n)
    assert (abs(((low < mean) & (mean < high)).mean(axis=0) - level) < error).all()
    region = known.region_of_mean(level)
    radius = ((mean - region.mean) ** 2 / region.covariance.variances).sum(axis=1)
    assert abs((radius <= 1.0).mean() - level) < error
    dof = known.degrees_of_freedom[0]
    law = stats.invgamma(dof / 2, scale=known.posterior.scatter[0].ravel()[0] / 2)
    variance = structure.diagonal(stored)[:, 0]
    assert stats.kstest(variance, law.cdf).pvalue > 1e-3
