"""The posterior of one Gaussian: quantiles of sums of squares, and draws of its parameters."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from sklearn_lvm.core.gaussian.moments import Moments
from sklearn_lvm.core.gaussian.normal_wishart import NormalWisharts
from sklearn_lvm.core.gaussian.parameters import (
    GaussianPosterior,
    quantile_of_squares,
    suggested_prior,
)

from ...laws.specs import every_structure

LEVELS = (0.01, 0.5, 0.95, 0.999)


@pytest.mark.parametrize("dof", [0.7, 1.0, 4.0, 100.0, 1e9])
@pytest.mark.parametrize("level", LEVELS)
def test_one_square_has_an_f_distribution(dof, level):
    quantile = quantile_of_squares(level, (dof,))
    assert_allclose(stats.f(1, dof).cdf(quantile), level, atol=1e-8)


@pytest.mark.parametrize("n", [2, 7, 300])
@pytest.mark.parametrize("level", LEVELS)
def test_squares_of_many_degrees_of_freedom_are_chi_squared(n, level):
    assert_allclose(stats.chi2(n).cdf(quantile_of_squares(level, (1e10,) * n)), level, atol=1e-7)


@pytest.mark.parametrize("dof", [1.0, 3.5])
@pytest.mark.parametrize("n", [2, 5, 40])
def test_sums_of_squares_are_below_their_quantile_as_often_as_it_says(dof, n):
    n_draws, level = 40_000, 0.9
    drawn = (stats.t(dof).rvs((n_draws, n), random_state=0) ** 2).sum(axis=1)
    share = (drawn <= quantile_of_squares(level, (dof,) * n)).mean()
    assert abs(share - level) < 4 * np.sqrt(level * (1 - level) / n_draws)


def known(structure, d, n=8):
    rng = np.random.default_rng(0)
    moments = Moments.of(rng.normal(size=(d, n)), np.ones((1, n)), structure(d))
    return GaussianPosterior.of(moments, NormalWisharts.of(suggested_prior(moments)))


@every_structure
def test_the_mean_is_less_spread_than_the_next_row(structure):
    posterior = known(structure, 3)
    row, mean = posterior.predictive().components, posterior.of_mean
    kappa = posterior.posterior.mean_precision
    assert_allclose(row.factor / mean.factor, kappa + 1)
    assert_allclose(mean.dof, row.dof)


@every_structure
def test_means_are_drawn_from_their_marginal_density(structure):
    posterior = known(structure, 2)
    means, _ = posterior.draw(20_000, np.random.RandomState(0))
    mean = posterior.of_mean
    size = np.sqrt(mean.factor[0] * mean.covariance.variances[0])
    for drawn, center, scale in zip(means.T, mean.mean[0], size, strict=True):
        assert stats.kstest(drawn, stats.t(mean.dof[0], center, scale).cdf).pvalue > 1e-3


@every_structure
def test_rows_drawn_in_two_steps_have_the_predictive_density(structure):
    """Parameters from the posterior, and then a row from their Gaussian."""
    posterior, n = known(structure, 2), 20_000
    rng = np.random.RandomState(1)
    means, stored = posterior.draw(n, rng)
    scale = np.sqrt(posterior.posterior.structure.diagonal(stored))
    rows = means + scale * rng.standard_normal((n, 2))
    direct = posterior.predictive().sample(n, rng)[0]
    for two_steps, one_step in zip(rows.T, direct.T, strict=True):
        assert stats.ks_2samp(two_steps, one_step).pvalue > 1e-3


@every_structure
def test_the_evidence_does_not_depend_on_the_order_of_updates(structure):
    rng, d = np.random.default_rng(1), 3
    first, second = (
        Moments.of(rng.normal(size=(d, n)), np.ones((1, n)), structure(d)) for n in (4, 5)
    )
    prior = NormalWisharts.of(suggested_prior(first))
    one = GaussianPosterior.of(first + second, prior).log_evidence
    begun = GaussianPosterior.of(second, prior)
    after = GaussianPosterior.of(first, begun.posterior).log_evidence
    assert_allclose(begun.log_evidence + after, one, rtol=1e-12)
