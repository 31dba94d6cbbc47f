"""A fit that fails, an interrupt included, leaves the estimator exactly as it was."""

from copy import deepcopy

import numpy as np
import pytest

from sklearn_lvm import GaussianMLE, VAEDensity
from sklearn_lvm.core.bernoulli.binarization import Binarization
from sklearn_lvm.core.bernoulli.counts import Counts
from sklearn_lvm.core.bernoulli.density import BernoulliFamily, Bernoullis
from sklearn_lvm.core.factor.centered_rows import CenteredRows
from sklearn_lvm.core.factor.density import PPCADensity
from sklearn_lvm.core.gaussian.density import GaussianFamily
from sklearn_lvm.core.gaussian.moments import Moments
from sklearn_lvm.core.gaussian.normal_wishart import NormalWisharts
from sklearn_lvm.core.gaussian.posterior import GaussianPosteriorFamily
from sklearn_lvm.core.standardization import Standardization
from sklearn_lvm.estimators.base import vae_parameters
from sklearn_lvm.fitting import factor_analysis
from sklearn_lvm.inference.em import EMRun

from .specs import (
    COIN_MIXTURES,
    COINS,
    EM_MIXTURES,
    EXACT_MEASURED,
    FACTOR_ANALYSES,
    FACTORS,
    GAUSSIANS,
    MIXTURES,
    NEURAL,
    VARIATIONAL,
    clouds,
    every_coin,
    every_factor,
    every_gaussian_single,
    every_mixture,
    every_single,
    every_spec,
    same_state,
)

N = 150
FAILURES = [KeyboardInterrupt, MemoryError, RuntimeError]
every_failure = pytest.mark.parametrize("failure", FAILURES, ids=lambda f: f.__name__)


MAXIMA = [spec for spec in GAUSSIANS if not (spec.posterior or spec.variational)]
# Deep places: whose function fails, after how many calls that go well, and which fits pass it.
PLACES = {
    "measuring": (Standardization, "of", 0, GAUSSIANS),
    "standardizing": (Standardization, "transform", 0, GAUSSIANS),
    "summing": (Moments, "of", 0, GAUSSIANS),
    "estimating": (GaussianFamily, "estimate", 0, MAXIMA),
    "estimating posteriors": (GaussianPosteriorFamily, "estimate", 0, VARIATIONAL),
    "updating a prior": (NormalWisharts, "of", 1, [s for s in GAUSSIANS if s.posterior]),
    "restoring units": (Standardization, "inverse_transform", 0, EXACT_MEASURED),
    "making a kernel": (GaussianFamily, "kernel", 1, EM_MIXTURES),
    "making a kernel of posteriors": (GaussianPosteriorFamily, "kernel", 1, VARIATIONAL),
    "moving": (EMRun, "moved", 0, MIXTURES),
    "centering": (CenteredRows, "of", 0, FACTORS),
    "finding factors": (factor_analysis, "most_likely", 0, FACTOR_ANALYSES),
    "choosing": (PPCADensity, "from_spectrum", 0, FACTORS),
    "binarizing": (Binarization, "transform", 0, COINS),
    "counting": (Counts, "of", 0, COINS),
    "estimating probabilities": (Bernoullis, "of", 0, COINS),
    "merging": (vae_parameters, "canonical_with_missing", 0, NEURAL),
    "settling": (VAEDensity, "_set_fitted", 0, NEURAL),
    "making a kernel of Bernoulli densities": (BernoulliFamily, "kernel", 1, COIN_MIXTURES),
}
if NEURAL:  # torch is installed
    from sklearn_lvm.neural import fit as neural_fit

    PLACES["splitting"] = (neural_fit, "split", 0, NEURAL)
CASES = [
    pytest.param(spec, *where, id=f"{spec}-{place}")
    for place, (*where, specs) in PLACES.items()
    for spec in specs
]
every_place = pytest.mark.parametrize(("spec", "owner", "name", "calls"), CASES)
every_streamed_place = pytest.mark.parametrize(
    ("spec", "owner", "name", "calls"),
    [
        case
        for case in CASES
        if hasattr(case.values[0].estimator, "partial_fit")
        and case.values[1] not in (EMRun, BernoulliFamily, CenteredRows)
        and case.values[2] != "split"
    ],
)


@pytest.fixture
def X():
    return clouds(N)


@pytest.fixture
def break_at(monkeypatch):
    """Let a function fail after some calls that go well."""

    def arrange(owner, name, calls, failure):
        plain, left = getattr(owner, name), iter(range(calls))

        def breaks(*args, **kwargs):
            if next(left, None) is None:
                raise failure("broken on purpose")
            return plain(*args, **kwargs)

        bound = hasattr(plain, "__self__")
        monkeypatch.setattr(owner, name, staticmethod(breaks) if bound else breaks)

    return arrange


def check_nothing_changed(model, change, failure, match=None):
    before = deepcopy(model)
    with pytest.raises(failure, match=match):
        change()
    assert same_state(model, before)


@every_failure
@every_place
def test_a_broken_fit_changes_nothing(spec, owner, name, calls, failure, X, break_at):
    fitted, unfitted = spec.new().fit(X), spec.new()
    break_at(owner, name, calls, failure)
    for model in (fitted, unfitted):
        check_nothing_changed(model, lambda: model.fit(X[::2, :2]), failure, "on purpose")  # noqa: B023
    assert vars(unfitted).keys() == unfitted.get_params().keys()


@every_failure
@pytest.mark.parametrize("place", ["summing", "choosing", "restoring units"])
@every_factor
def test_a_broken_partial_fit_of_components_changes_nothing(spec, place, failure, X, break_at):
    fitted, unfitted = spec.new().partial_fit(X), spec.new()
    break_at(*PLACES[place][:3], failure)
    for model in (fitted, unfitted):
        check_nothing_changed(model, lambda: model.partial_fit(X), failure, "on purpose")  # noqa: B023


@every_failure
@every_streamed_place
def test_a_broken_partial_fit_changes_nothing(spec, owner, name, calls, failure, X, break_at):
    fitted, unfitted = spec.new().partial_fit(X), spec.new()
    break_at(owner, name, calls, failure)
    check_nothing_changed(unfitted, lambda: unfitted.partial_fit(X), failure, "on purpose")
    if name != "of" or owner is not Standardization:  # later rows come into the units of the first
        check_nothing_changed(fitted, lambda: fitted.partial_fit(X), failure, "on purpose")


REFUSED = {
    "an empty column": lambda X: np.where(np.arange(X.shape[1]) == 1, np.nan, X),
    "infinity": lambda X: np.where(np.arange(N)[:, None] == 3, np.inf, X),
    "no rows": lambda X: X[:0],
    "one row": lambda X: X[:1],
    "equal rows": lambda X: np.repeat(X[:1], 5, axis=0),
    "one dimension": lambda X: X[:, 0],
    "words": lambda X: X.astype(str)[:, :1] + "x",
}


@every_spec
@pytest.mark.parametrize("table", REFUSED)
def test_refused_data_change_nothing(spec, table, X):
    if table in spec.accepted:
        model = spec.new().fit(REFUSED[table](X))
        assert np.isfinite(model.score(REFUSED[table](X)))
        return
    for model in (spec.new().fit(X), spec.new()):
        check_nothing_changed(model, lambda: model.fit(REFUSED[table](X)), ValueError)  # noqa: B023


@every_spec
def test_refused_parameters_change_nothing(spec, X):
    for model in (spec.new().fit(X), spec.new()):
        name = next(iter(spec.refused))
        model.set_params(**spec.refused)
        check_nothing_changed(model, lambda: model.fit(X), ValueError, name)  # noqa: B023


@every_single
def test_rows_of_another_width_change_nothing(spec, X):
    model = spec.new().partial_fit(X)
    check_nothing_changed(model, lambda: model.partial_fit(X[:, :2]), ValueError, "2 features")


@pytest.mark.parametrize("refused", [{"alpha": -1.0}, {"inference": "vb"}, {"binarize": "half"}])
@every_coin
def test_parameters_refused_in_a_stream_change_nothing(spec, refused, X):
    model = spec.new().partial_fit(X).set_params(**refused)
    check_nothing_changed(model, lambda: model.partial_fit(X), ValueError, next(iter(refused)))


@every_gaussian_single
def test_another_structure_than_that_of_the_rows_so_far_changes_nothing(spec, X):
    model = spec.new().partial_fit(X)
    model.set_params(covariance_type="diag" if "full" in spec.name else "full")
    check_nothing_changed(model, lambda: model.partial_fit(X), ValueError, "covariance_type")


@every_mixture
def test_a_refused_warm_start_changes_nothing(spec, X):
    model = spec.new(warm_start=True).fit(X)
    model.set_params(n_components=model.n_components + 1)
    check_nothing_changed(model, lambda: model.fit(X), ValueError, "n_components")


@every_spec
def test_a_fit_after_a_broken_one_is_a_fresh_fit(spec, X, monkeypatch):
    model = spec.new().fit(X[:, :2])
    with monkeypatch.context() as patch:
        coins = (Bernoullis, "of") if spec.binary else (GaussianFamily, "estimate")
        owner, name = (NormalWisharts, "of") if spec.posterior else coins
        posteriors = GaussianPosteriorFamily, "estimate"
        owner, name = posteriors if spec.variational else (owner, name)
        owner, name = (PPCADensity, "from_spectrum") if spec.linear else (owner, name)
        owner, name = (vae_parameters, "canonical_with_missing") if spec.neural else (owner, name)
        owner, name = (factor_analysis, "most_likely") if spec.factors else (owner, name)
        patch.setattr(owner, name, _interrupt)
        with pytest.raises(KeyboardInterrupt):
            model.fit(X)
    assert same_state(model.fit(X), spec.new().fit(X))


def _interrupt(*args, **kwargs):
    raise KeyboardInterrupt


def test_rows_seen_before_an_interrupt_are_still_there(X, monkeypatch):
    model = GaussianMLE().partial_fit(X[:50])
    with monkeypatch.context() as patch:
        patch.setattr(GaussianFamily, "estimate", _interrupt)
        with pytest.raises(KeyboardInterrupt):
            model.partial_fit(X[50:])
    assert model.n_samples_seen_ == 50
    whole = GaussianMLE().fit(X)
    np.testing.assert_allclose(model.partial_fit(X[50:]).covariance_, whole.covariance_, rtol=1e-12)
