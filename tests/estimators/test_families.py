"""What estimators say of the family of their densities, by which mixtures of them are fitted."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_lvm import BayesianGaussian, BetaBernoulli, EMGaussianMixture, GaussianMLE
from sklearn_lvm.core.blocks import row_slices
from sklearn_lvm.core.gaussian.missing import PartialStandardization
from sklearn_lvm.core.mixture import Mixture
from sklearn_lvm.core.mixture_em import MixtureSteps
from sklearn_lvm.core.rows import RowSource
from sklearn_lvm.fitting.mixture import MixtureSearch
from sklearn_lvm.fitting.product_rows import (
    ColumnBlock,
    product_family,
    product_rows,
    product_transformation,
)
from sklearn_lvm.fitting.restarts import RunCallback
from sklearn_lvm.fitting.start_search import SearchedStart
from sklearn_lvm.fitting.starts import FEW_ROWS

from .specs import clouds, weights

N = 120
every_type = pytest.mark.parametrize("covariance_type", ["full", "diag", "spherical"])


def tosses(n=N, d=4):
    rng = np.random.default_rng(0)
    X = (rng.uniform(size=(n, d)) < [0.1, 0.4, 0.7, 0.9]).astype(float)
    X[rng.uniform(size=X.shape) < 0.1] = np.nan
    return X


def slices_of(X):
    return list(row_slices(*X.shape))


def one_component(model, X, w):
    """The density of a mixture of one, as its family estimates it, at complete rows."""
    units, family = model._family(X, w)
    found = family.estimate(family.statistics(units.transform(X), w[None]))
    density = Mixture(np.zeros(1), family.predictive(found))
    return density.kernel().log_prob(units.transform(X)) - units.log_jacobians(X)


@every_type
def test_a_gaussian_alone_is_the_maximum(covariance_type):
    X, w = clouds(N), weights(N)
    model = GaussianMLE(covariance_type=covariance_type, reg_covar=0.0)
    alone = one_component(model, X, w)
    assert not hasattr(model, "n_features_in_")
    assert_allclose(alone, model.fit(X, sample_weight=w).score_samples(X), rtol=1e-11)


def test_rows_are_scored_by_what_was_observed_though_all_was_of_those_that_were_fitted():
    X, w = clouds(N), np.ones(N)
    model = GaussianMLE(reg_covar=0.0)
    units, family = model._family(X, w)
    found = family.estimate(family.statistics(units.transform(X), w[None]))
    partial = X.copy()
    partial[::2, 0] = np.nan
    log_prob = Mixture(np.zeros(1), found).kernel().log_prob(units.transform(partial))
    expected = model.fit(X).score_samples(partial)
    assert_allclose(log_prob - units.log_jacobians(partial), expected, rtol=1e-11)


def test_within_a_mixture_reg_covar_is_always_added():
    X, w = clouds(N), np.ones(N)
    alone = one_component(GaussianMLE(reg_covar=0.1), X, w)
    mixture = EMGaussianMixture(1, reg_covar=0.1, covariance_prior=None).fit(X)
    assert_allclose(alone, mixture.score_samples(X), rtol=1e-11)


@every_type
@pytest.mark.parametrize("given", [False, True])
def test_a_bayesian_gaussian_alone_is_the_mode(covariance_type, given):
    X, w = clouds(N), weights(N)
    d = X.shape[1]
    scatter = {"full": np.eye(d), "diag": np.ones(d), "spherical": 1.0}[covariance_type]
    prior = {"mean_prior": np.zeros(d), "mean_precision_prior": 3.0, "covariance_prior": scatter}
    model = BayesianGaussian(covariance_type=covariance_type, **(prior if given else {}))
    mode = BayesianGaussian(**model.get_params()).set_params(inference="map")
    mode.fit(X, sample_weight=w)
    assert_allclose(one_component(model, X, w), mode.score_samples(X), rtol=1e-10)
    assert_allclose(one_component(mode, X, w), mode.score_samples(X), rtol=1e-10)


def test_a_bayesian_gaussian_of_the_maximum_has_no_prior():
    X, w = clouds(N), np.ones(N)
    alone = one_component(BayesianGaussian(inference="mle"), X, w)
    assert_allclose(alone, one_component(GaussianMLE(), X, w), rtol=1e-12)


@pytest.mark.parametrize(("alpha", "beta"), [(1.0, 1.0), (0.5, 2.0), ([0.5, 1.0, 2.0, 3.0], 0.7)])
def test_coins_alone_are_the_predictive(alpha, beta):
    X, w = tosses(), weights(N)
    coins = BetaBernoulli(alpha=alpha, beta=beta)
    fitted = BetaBernoulli(alpha=alpha, beta=beta).fit(X, sample_weight=w)
    assert_allclose(one_component(coins, X, w), fitted.score_samples(X), rtol=1e-11)


@pytest.mark.parametrize("inference", ["map", "mle"])
def test_coins_alone_are_the_mode(inference):
    X, w = tosses(), weights(N)
    coins = BetaBernoulli(alpha=2.0, beta=3.0, inference=inference)
    alone = one_component(coins, X, w)
    assert_allclose(alone, coins.fit(X, sample_weight=w).score_samples(X), rtol=1e-11)


def test_a_mode_that_is_at_infinity_is_read_as_flat():
    X, w = tosses(), weights(N)
    low, flat = (BetaBernoulli(alpha=a, beta=a, inference="map") for a in (0.5, 1.0))
    assert_allclose(one_component(low, X, w), one_component(flat, X, w), rtol=1e-12)


@pytest.mark.parametrize("model", [GaussianMLE(), BayesianGaussian()], ids=str)
def test_missing_entries_bring_a_reference(model):
    X, w = clouds(N).copy(), np.ones(N)
    X[np.random.default_rng(0).uniform(size=X.shape) < 0.3] = np.nan
    X[0] = np.nan  # a row that other blocks may know something of
    units, family = model._family(X, w)
    assert isinstance(units, PartialStandardization)
    steps = MixtureSteps(family)
    rows = units.transform(X)
    start = steps.m_step(family.statistics(rows, np.random.default_rng(0).dirichlet([1, 1], N).T))
    log_prob = start.kernel().log_prob(rows)
    assert np.isfinite(log_prob).all()
    assert_allclose(log_prob[0], 0.0, atol=1e-12)


@pytest.mark.parametrize("K", [2, 3])
def test_a_product_of_one_block_is_the_family_itself(K):
    """The product of one block is fitted step by step as its family is by itself."""
    X, w = clouds(300), np.ones(300)
    units, family = GaussianMLE()._family(X, w)
    block = ColumnBlock(np.arange(X.shape[1]), units, family)

    def few(n_rows, weight):
        return FEW_ROWS["random"]

    start = SearchedStart(K, few, lambda model: model)
    ends = []
    for steps, rows in (
        (MixtureSteps(product_family([block])), product_rows(X, w, [block], slices_of)),
        (MixtureSteps(family), RowSource(X, w, units, slices_of)),
    ):
        search = MixtureSearch(steps, rows, max_iter=40, tol=0.0, acceleration=None, n_jobs=None)
        ends += search.runs(start, [0], lambda i: RunCallback(), stopped=lambda: False)
    assert_allclose(ends[0].trace, ends[1].trace, rtol=1e-12)


def test_a_table_of_two_kinds_is_fitted_by_what_its_estimators_say():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 400)
    X = np.column_stack([rng.normal(size=(400, 2)) + 2.5 * labels[:, None], np.empty((400, 3))])
    X[:, 2:] = rng.uniform(size=(400, 3)) < np.where(labels, 0.9, 0.1)[:, None]
    w, parts = (
        np.ones(400),
        [(BayesianGaussian(), np.arange(2)), (BetaBernoulli(), np.arange(2, 5))],
    )
    blocks = [ColumnBlock(own, *part._family(X[:, own], w)) for part, own in parts]
    steps, units = MixtureSteps(product_family(blocks)), product_transformation(blocks)
    rows = product_rows(X, w, blocks, slices_of)
    start = SearchedStart(2, lambda n, weight: FEW_ROWS["random"], lambda model: model)
    search = MixtureSearch(steps, rows, max_iter=200, tol="auto", acceleration="auto", n_jobs=None)
    (run,) = search.runs(start, [0], lambda i: RunCallback(), stopped=lambda: False)
    assert run.converged
    assert (np.diff(run.trace) > -1e-12).all()
    found = steps.predictive(run.model).kernel().labels(units.transform(X))
    agreement = np.mean(found == labels)
    assert max(agreement, 1 - agreement) > 0.97
