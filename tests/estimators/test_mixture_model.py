"""Mixtures of any densities: alike or not, foreign or ours, of numbers or of frames."""

import warnings

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KernelDensity
from sklearn.utils.estimator_checks import parametrize_with_checks

from sklearn_lvm import (
    PPCA,
    BetaBernoulli,
    CovarianceWarning,
    EMGaussianMixture,
    GaussianMLE,
    MixtureModel,
    select_n_components,
)


class Box(BaseEstimator):
    """The uniform density of the smallest box, a noise component."""

    _fixed_in_mixture = True

    def fit(self, X, y=None, sample_weight=None):
        self.low_, self.high_ = X.min(axis=0), X.max(axis=0)
        self.n_parameters_ = 2 * X.shape[1]
        return self

    def score_samples(self, X):
        inside = ((self.low_ <= X) & (self.high_ >= X)).all(axis=1)
        return np.where(inside, -np.log(self.high_ - self.low_).sum(), -np.inf)


class Shrinking(GaussianMLE):
    """A part whose fit is no maximum: each is worse than the one before."""

    def __init__(self, *, random_state=None):
        super().__init__(random_state=random_state)
        self.fits = None

    _n_fits = 0

    def fit(self, X, y=None, sample_weight=None):
        Shrinking._n_fits += 1
        return super().fit(X + 0.1 * Shrinking._n_fits**2, sample_weight=sample_weight)


class ByKind(BaseEstimator):
    """One Gaussian of a column, and smoothed frequencies of another one of strings."""

    def fit(self, X, y=None, sample_weight=None):
        share = pd.Series(sample_weight).groupby(X["kind"].to_numpy()).sum() + 1.0
        self.share_ = share / share.sum()
        self.gaussian_ = GaussianMLE().fit(X[["size"]], sample_weight=sample_weight)
        return self

    def score_samples(self, X):
        share = self.share_.reindex(X["kind"]).to_numpy()
        return np.log(share) + self.gaussian_.score_samples(X[["size"]])

    def sample(self, n_samples=1, random_state=None):
        rng = np.random.RandomState(random_state)
        kind = rng.choice(self.share_.index, n_samples, p=self.share_)
        size = self.gaussian_.sample(n_samples, random_state=rng)
        return pd.DataFrame({"kind": kind, "size": size[:, 0]})


def clouds(d=2, n=80):
    rng = np.random.RandomState(0)
    return np.concatenate([rng.normal(-2, 1, (n, d)), rng.normal(2, 0.5, (n, d))])


def frame():
    rng = np.random.RandomState(0)
    first = np.arange(200) % 2 == 0
    kind = np.where(first, rng.choice(["a", "b"], 200), rng.choice(["b", "c"], 200))
    return pd.DataFrame({"kind": kind, "size": np.where(first, -3.0, 3.0) + rng.normal(size=200)})


class Silent(BaseEstimator):
    """No density: it scores no rows."""

    def fit(self, X, y=None, sample_weight=None):
        return self


def two_gaussians(**params):
    return MixtureModel(GaussianMLE(), 2, random_state=0, **params)


CHECKED = [
    MixtureModel(GaussianMLE(), 2),
    MixtureModel([GaussianMLE(), ("axes", GaussianMLE(covariance_type="diag"))]),
]
_checks = parametrize_with_checks(CHECKED)


@pytest.mark.parametrize(_checks.args[0], list(_checks.args[1]), ids=_checks.kwargs["ids"])
def test_scikit_learn_check(estimator, check):
    with warnings.catch_warnings():
        for category in (ConvergenceWarning, CovarianceWarning):
            warnings.simplefilter("ignore", category)
        check(estimator)


# -- what is found -------------------------------------------------------------------------------------


def test_gaussian_parts_end_where_a_gaussian_mixture_does():
    X = clouds()
    ours = two_gaussians(tol=1e-10).fit(X)
    known = EMGaussianMixture(
        2, covariance_prior=None, reg_covar=1e-12, tol=1e-10, random_state=0
    ).fit(X)
    assert_allclose(ours.lower_bound_, known.lower_bound_, rtol=0, atol=1e-8)
    assert_allclose(np.sort(ours.weights_), np.sort(known.weights_), atol=1e-6)
    assert_allclose(ours.score_samples(X), known.score_samples(X), atol=1e-5)
    assert_allclose([ours.bic(X), ours.icl(X)], [known.bic(X), known.icl(X)], rtol=1e-8)


@pytest.mark.parametrize("part", [GaussianMLE(), PPCA(2), KernelDensity(), BetaBernoulli()])
def test_the_objective_never_falls(part):
    X = clouds(5)
    model = MixtureModel(part, 2, random_state=0, tol=0, max_iter=15)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # of a given number of steps
        bounds = model.fit(X > 0 if isinstance(part, BetaBernoulli) else X).lower_bounds_
    assert (np.diff(bounds) >= 0).all()
    assert bounds[-1] == model.lower_bound_


def test_a_box_holds_what_lies_far_from_two_gaussians():
    far = np.random.RandomState(1).uniform(-40, 40, (10, 2))
    X = np.concatenate([clouds(), far])
    model = MixtureModel([GaussianMLE(), GaussianMLE(), ("noise", Box())], random_state=0).fit(X)
    noise = model.predict(X) == 2
    assert noise[-10:].all()
    assert not noise[:-10].any()
    assert_array_equal(model.parts_[2].low_, X.min(axis=0))


def test_the_number_of_copies_is_found():
    found = select_n_components(two_gaussians(), clouds(), n_components=[1, 2, 3], criterion="bic")
    assert found.best_estimator_.n_components == len(found.best_estimator_.parts_) == 2


def test_one_component_is_its_part():
    X = clouds()
    alone = MixtureModel(KernelDensity()).fit(X)
    assert_allclose(alone.score_samples(X), KernelDensity().fit(X).score_samples(X))


def test_where_every_part_rules_a_row_out_the_weights_are_left():
    X = clouds()
    model = MixtureModel([Box(), Box()], random_state=0).fit(X)
    assert model.score_samples([[99.0, 0.0]])[0] == -np.inf
    assert_allclose(model.predict_proba([[99.0, 0.0]])[0], model.weights_)


def test_a_mode_of_bits_is_their_predictive():
    X = (clouds(6) > 0).astype(float)
    part = MixtureModel(BetaBernoulli(alpha=0.5, beta=2.0)).fit(X).parts_[0]
    alone = BetaBernoulli(alpha=0.5, beta=2.0).fit(X)
    assert_allclose(part.probability_, alone.probability_, rtol=1e-14)


def test_a_mixture_may_be_a_part():
    X = clouds()
    nested = MixtureModel([two_gaussians(), GaussianMLE()], random_state=0).fit(X)
    assert len(nested.parts_[0].parts_) == 2
    assert np.isfinite(nested.score(X))


# -- rows ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [GaussianMLE(), ByKind()])
def test_weights_are_repetitions_and_the_order_of_rows_does_not_count(part):
    X = frame() if isinstance(part, ByKind) else pd.DataFrame(clouds(), columns=["a", "b"])
    times = np.arange(len(X)) % 3
    many = X.iloc[np.repeat(np.arange(len(X)), times)].sample(frac=1, random_state=0)
    model = MixtureModel(part, 2, tol=1e-3, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # smoothed frequencies are no maximum
        weighted = clone(model).fit(X, sample_weight=times)
        repeated = clone(model).fit(many)
    assert_array_equal(weighted.score_samples(X), repeated.score_samples(X))


def test_strings_reach_the_parts():
    X = frame()
    model = MixtureModel(ByKind(), 2, tol=1e-3, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # smoothed frequencies are no maximum
        model.fit(X)
    labels = model.predict(X)
    assert len(set(labels[::2])) == 1
    assert set(labels[::2]) | set(labels[1::2]) == {0, 1}
    drawn, latent = model.sample(50, random_state=0, return_latent=True)
    assert list(drawn.columns) == ["kind", "size"]
    assert_array_equal(model.predict(drawn)[:20], latent[:20])


def test_single_precision_stays():
    X = clouds().astype(np.float32)
    model = two_gaussians().fit(X)
    assert model.score_samples(X).dtype == model.sample(2).dtype == np.float32


def test_missing_entries_are_those_of_the_parts():
    X = clouds()
    X[::5, 0] = np.nan
    model = two_gaussians().fit(X)
    filled = model.impute(X)
    assert_array_equal(filled[~np.isnan(X)], X[~np.isnan(X)])
    resp = model.predict_proba(X)
    means = np.array([part.impute(X)[:, 0] for part in model.parts_])
    assert_allclose(filled[:, 0], (resp * means.T).sum(axis=1), rtol=1e-12)
    assert not np.isnan(model.impute(X, n_draws=2, random_state=0)).any()
    assert model.score_samples([[np.nan, np.nan]])[0] == 0.0
    with pytest.raises(ValueError, match="NaN"):
        MixtureModel(KernelDensity(), 2).fit(X)


def test_some_columns_given_others():
    X = clouds(3)
    model = two_gaussians().fit(X)
    row = X[:1]
    rest, known = model.condition({1: row[0, 1]}), model.marginal([1])
    joint = known.score_samples(row[:, [1]]) + rest.score_samples(row[:, [0, 2]])
    assert_allclose(joint, model.score_samples(row), rtol=1e-10)
    assert not hasattr(MixtureModel(KernelDensity()), "condition")


# -- parameters and messages ---------------------------------------------------------------------------


def test_parts_have_names_that_are_searched():
    model = MixtureModel([GaussianMLE(), GaussianMLE(), ("noise", Box())], random_state=0)
    model.set_params(**{"gaussianmle-2__reg_covar": 0.5, "noise": KernelDensity()})
    assert model.parts[1].reg_covar == 0.5
    assert isinstance(model.get_params()["noise"], KernelDensity)
    grid = {"noise__bandwidth": [0.5, 20.0]}
    found = GridSearchCV(model, grid, cv=2).fit(clouds()).best_params_
    assert set(found) == {"noise__bandwidth"}


@pytest.mark.parametrize(
    ("parts", "n_components", "message"),
    [
        ([], 1, "empty list"),
        ([GaussianMLE()], 2, "n_components=2 is for copies"),
        (GaussianMixture(), 2, "'gaussianmixture' has no fit that takes sample_weight"),
        (GaussianMLE, 2, "must be an estimator"),
        ([("a", GaussianMLE()), ("a", Box())], 1, "name 'a'"),
        ([("tol", GaussianMLE())], 1, "name 'tol'"),
    ],
)
def test_what_is_no_density_is_named(parts, n_components, message):
    with pytest.raises(ValueError, match=message):
        MixtureModel(parts, n_components).fit(clouds())


def test_a_part_without_scores_is_named():
    with pytest.raises(ValueError, match="'silent' has no score_samples"):
        MixtureModel([GaussianMLE(), Silent()]).fit(clouds())


def test_a_component_that_cannot_be_fitted_is_named():
    with pytest.raises(
        ValueError, match=r"component 0 \('gaussianmle'\), of weight .* n_samples=1"
    ):
        MixtureModel(GaussianMLE()).fit(np.ones((3, 2)))


def test_a_failed_fit_leaves_no_trace():
    X = clouds()
    model = two_gaussians().fit(X)
    before = model.score_samples(X)
    for parts in ([GaussianMLE(), Silent()], KernelDensity(bandwidth=-1.0)):
        with pytest.raises(ValueError, match=r"silent|scores a row by NaN.*bandwidth"):
            clone(model).set_params(parts=parts, n_components=1).fit(X)
        with pytest.raises(ValueError, match=r"silent|scores a row by NaN.*bandwidth"):
            model.set_params(parts=parts, n_components=1).fit(X)
        assert_array_equal(model.score_samples(X), before)


def test_a_part_that_collapses_is_told_of():
    X = np.concatenate([clouds(), [[50.0, 50.0]]])
    with pytest.warns(ConvergenceWarning, match=r"component \d .* n_samples=1.*keeps its last fit"):
        MixtureModel(GaussianMLE(), 3, random_state=0, tol=1e-9).fit(X)


def test_a_fall_is_recorded_and_its_part_is_named():
    with pytest.warns(ConvergenceWarning, match=r"component \d \('shrinking'\) is no maximum"):
        model = MixtureModel(Shrinking(), 2, random_state=0).fit(clouds())
    assert model.lower_bounds_[-1] < model.lower_bound_ == model.lower_bounds_[-2]


def test_criteria_need_numbers_of_parameters():
    X = clouds()
    model = MixtureModel(KernelDensity(), 2, random_state=0).fit(X)
    assert not hasattr(model, "n_parameters_")
    with pytest.raises(ValueError, match=r"KernelDensity\(\) has no n_parameters_"):
        model.bic(X)


def test_a_fit_goes_on():
    X = clouds()
    model = two_gaussians(tol=1e-8, warm_start=True).fit(X)
    first = model.lower_bound_
    assert model.fit(X).lower_bound_ >= first
    with pytest.raises(ValueError, match="continues 2 fitted parts"):
        model.set_params(n_components=3).fit(X)
