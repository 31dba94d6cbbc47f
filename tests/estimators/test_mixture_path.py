"""Mixtures of several numbers of components share starts, and are as good as fits of their own."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.exceptions import ConvergenceWarning

from sklearn_lvm import BernoulliMixture, EMGaussianMixture
from sklearn_lvm.estimators import mixture_path
from sklearn_lvm.estimators.mixture_path import fit_counts
from sklearn_lvm.inference.stopping import PRECISION_SHARE

RNG = np.random.default_rng(0)
X = np.concatenate([RNG.normal(c, 1.0, (120, 2)) for c in ((0, 0), (5, 0), (0, 7), (9, 9))])
P = RNG.beta(0.5, 0.5, size=(4, 12))
COINS = (RNG.uniform(size=(400, 12)) < P[RNG.integers(4, size=400)]).astype(float)
TABLES = [(EMGaussianMixture(random_state=0), X), (BernoulliMixture(random_state=0), COINS)]


def fits_of(estimator, rows, counts, w=None, by_likelihood=True):
    w = np.ones(len(rows)) if w is None else w
    return fit_counts(estimator, rows, w, counts, by_likelihood)


@pytest.mark.parametrize(("estimator", "rows"), TABLES)
def test_fits_are_as_good_as_fits_of_their_own(estimator, rows):
    """By more than their likelihoods mean where components are too many, they are never worse."""
    together = [fit.refined().estimator for fit in fits_of(estimator, rows, range(1, 7)).values()]
    alone = [fits_of(estimator, rows, [K])[K].refined().estimator for K in range(1, 7)]
    assert [len(found.weights_) for found in together] == list(range(1, 7))
    bic, own_bic = (np.array([found.bic(rows) for found in some]) for some in (together, alone))
    assert bic.min() < own_bic.min() + 0.1
    precision = 2 * PRECISION_SHARE * np.array([found.n_parameters_ for found in together])
    assert (bic < own_bic + precision).all()


@pytest.mark.parametrize(("estimator", "rows"), TABLES)
@pytest.mark.parametrize("by_likelihood", [True, False])
def test_a_fit_is_that_of_its_estimator(estimator, rows, by_likelihood):
    """Its attributes are those of the rows, and its prior is the one that such a fit chooses."""
    before = dict(vars(estimator))
    fits = fits_of(estimator, rows, [2, 3], by_likelihood=by_likelihood)
    assert vars(estimator) == before
    for K, fit in fits.items():
        found = fit.estimator
        default = estimator.__class__(K, random_state=0).fit(rows)
        same = found.prior_ == default.prior_
        assert same is not by_likelihood
        assert found.lower_bounds_[-1] == found.lower_bound_
        assert_allclose(found.fit(rows).score(rows), default.score(rows), rtol=1e-12)


def test_a_refined_fit_is_at_its_maximum():
    for fit in fits_of(TABLES[0][0], X, range(1, 7)).values():
        closer = fit.refined()
        assert fit.estimator is not closer.estimator
        tight = closer.estimator.set_params(tol=1e-12, warm_start=True, max_iter=5000)
        bic = tight.bic(X)
        assert_allclose(tight.fit(X).bic(X), bic, atol=0.2)


def test_a_tolerance_that_is_given_is_kept():
    fits = fits_of(EMGaussianMixture(tol=1e-3, random_state=0), X, [2, 3])
    assert [fit.left for fit in fits.values()] == [0.0, 0.0]
    assert all(
        fit.left > 0 for fit in fits_of(EMGaussianMixture(random_state=0), X, [2, 3]).values()
    )


def test_weights_are_repetitions():
    w = np.random.default_rng(1).integers(1, 4, size=len(X)).astype(float)
    weighted = fits_of(TABLES[0][0], X, [2, 3, 4], w)
    repeated = fits_of(TABLES[0][0], np.repeat(X, w.astype(int), axis=0), [2, 3, 4])
    for K in weighted:
        some = [fits[K].refined().estimator.score(X) for fits in (weighted, repeated)]
        assert_allclose(*some, atol=1e-4)


@pytest.mark.parametrize(
    "params",
    [{"init_params": "kmeans"}, {"n_init": 2}, {"weights_init": [0.5, 0.5]}],
)
def test_starts_that_a_user_asks_for_are_not_shared(params):
    estimator = EMGaussianMixture(random_state=0, tol=0, max_iter=1, covariance_prior=None)
    estimator.set_params(**params)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fits = fits_of(estimator, X, [2, 3], by_likelihood=False)
        own = estimator.set_params(n_components=2).fit(X)
    assert_allclose(fits[2].estimator.means_, own.means_, rtol=1e-12)


def test_a_number_that_cannot_be_fitted_has_a_reason():
    fits = fits_of(EMGaussianMixture(random_state=0), X[:8], [1, 2, 9])
    assert isinstance(fits[9], ValueError)
    assert "lower n_components" in str(fits[9])
    assert fits[1].estimator.n_components == 1


def test_a_start_from_which_a_covariance_becomes_singular_is_not_the_last_word(monkeypatch):
    def failing(*args):
        raise ValueError("singular")

    monkeypatch.setattr(mixture_path, "run_from", failing)
    for K, fit in fits_of(EMGaussianMixture(random_state=0), X, [2, 3]).items():
        own = fits_of(EMGaussianMixture(random_state=0), X, [K])[K]
        assert fit.estimator.score(X) == own.estimator.score(X)
        assert fit.seconds > 0


def test_a_prior_that_is_given_is_kept():
    estimator = EMGaussianMixture(
        random_state=0, covariance_prior=[[30.0, 0.0], [0.0, 30.0]], degrees_of_freedom_prior=6.0
    )
    for fit in fits_of(estimator, X, [1, 2]).values():
        assert_allclose(fit.estimator.covariance_prior_, np.diag([30.0, 30.0]))


def test_rounded_rows_do_not_collapse():
    """Equal entries of a few rows have a likelihood without bound."""
    rows = np.round(2 * np.random.default_rng(0).normal(size=(300, 3)))
    estimator = EMGaussianMixture(covariance_type="diag", random_state=0)
    bic = [
        fit.refined().estimator.bic(rows) for fit in fits_of(estimator, rows, range(1, 9)).values()
    ]
    assert np.argmin(bic) == 0


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_near_a_maximum_the_weak_prior_costs_little(covariance_type):
    estimator = EMGaussianMixture(covariance_type=covariance_type, random_state=0)
    fit = fits_of(estimator, 1e3 * X, [4])[4].refined()
    likelihood = EMGaussianMixture(
        4, covariance_type=covariance_type, covariance_prior=None, tol=1e-9
    )
    best = likelihood.set_params(random_state=0).fit(1e3 * X).bic(1e3 * X)
    assert -0.1 < fit.estimator.bic(1e3 * X) - best < 0.3
