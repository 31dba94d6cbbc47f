"""How the fit of a mixture is steered: starts, restarts, continuation, and what it prints."""

import re
import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning

from sklearn_lvm import EMGaussianMixture
from sklearn_lvm.fitting.starts import STARTS

from .specs import (
    clouds,
    every_covariance_type,
    every_em_mixture,
    every_gaussian_mixture,
    objective,
    public_state,
    same_state,
)
from .specs import weights as row_weights

N = 200


@pytest.fixture
def X():
    return clouds(N)


def quietly(model, X, **options):
    """Fit without a word about max_iter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, **options)


def check_same_parameters(one, other):
    for name, value in public_state(one).items():
        assert_array_equal(value, getattr(other, name), err_msg=name)


@every_gaussian_mixture
@pytest.mark.parametrize("acceleration", [None, "squarem"])
@pytest.mark.parametrize("reg_covar", [0.0, 1e-6, 1e-2])
def test_the_last_bound_is_the_objective_of_the_model(spec, acceleration, reg_covar, X):
    w = row_weights(N)
    model = spec.new(reg_covar=reg_covar, acceleration=acceleration).fit(X, sample_weight=w)
    assert model.lower_bounds_[-1] == model.lower_bound_
    assert_allclose(model.lower_bound_, objective(model, X, w), rtol=1e-11)
    assert (np.diff(model.lower_bounds_) >= 0).all()
    assert type(model.lower_bound_) is float
    assert 1 < len(model.lower_bounds_) <= model.n_iter_
    assert acceleration or len(model.lower_bounds_) == model.n_iter_
    if reg_covar == 0 and model.covariance_prior_ is None:
        assert_allclose(model.lower_bound_, model.score(X, sample_weight=w), rtol=1e-12)


@every_em_mixture
def test_the_estimate_is_stationary(spec, X):
    """Along random directions of the means the objective is level."""
    model = quietly(spec.new(tol=0.0, max_iter=2000, reg_covar=0.01, n_init=1), X)
    move = np.random.default_rng(0).normal(size=model.means_.shape)
    ends = []
    for t in (1e-4, -1e-4):
        moved = EMGaussianMixture.from_parameters(
            model.weights_ / model.weights_.sum(),
            model.means_ + t * move,
            model.covariances_,
            covariance_type=model.covariance_type,
            n_factors=getattr(model, "n_factors_", "auto"),
            reg_covar=model.reg_covar,
        )
        vars(moved).update({k: v for k, v in vars(model).items() if k.endswith("_prior_")})
        ends.append(objective(moved, X))
    assert abs(ends[0] - ends[1]) / 2e-4 < 1e-4


@every_gaussian_mixture
@pytest.mark.parametrize("init_params", STARTS)
def test_every_start_leads_to_a_density(spec, init_params, X):
    model = spec.new(init_params=init_params).fit(X)
    assert model.converged_
    assert_allclose(model.weights_.sum(), 1.0)
    assert_allclose(model.lower_bound_, objective(model, X), rtol=1e-11)


@every_gaussian_mixture
@pytest.mark.parametrize("init_params", STARTS)
def test_the_random_state_makes_a_fit_reproducible(spec, init_params, X):
    params = {"init_params": init_params, "n_init": 2}
    check_same_parameters(spec.new(**params).fit(X), spec.new(**params).fit(X))
    generator = np.random.RandomState(0)
    check_same_parameters(
        spec.new(random_state=generator, **params).fit(X), spec.new(random_state=0, **params).fit(X)
    )


def test_another_random_state_is_another_start(X):
    one, other = (
        quietly(EMGaussianMixture(3, init_params="random", random_state=s, max_iter=1), X)
        for s in (0, 1)
    )
    assert not np.allclose(one.means_, other.means_)


@every_gaussian_mixture
def test_restarts_side_by_side_are_restarts_in_turn(spec, X):
    params = {"n_init": 4, "init_params": "random_from_data"}
    in_turn = spec.new(**params).fit(X)
    check_same_parameters(spec.new(n_jobs=2, **params).fit(X), in_turn)


@every_covariance_type
def test_the_highest_of_all_starts_is_kept(covariance_type, X):
    """More starts contain the fewer; somewhere among them is a better one."""
    params = {"covariance_type": covariance_type, "init_params": "random_from_data"}
    bounds = []
    for n_init in (1, 2, 4, 8, 16):
        model = EMGaussianMixture(4, n_init=n_init, random_state=3, max_iter=500, **params).fit(X)
        bounds.append(model.lower_bound_)
    assert (np.diff(bounds) >= 0).all()
    assert bounds[-1] > bounds[0]


@every_gaussian_mixture
def test_rows_without_weight_start_nothing(spec, X):
    w = np.ones(N)
    w[:20] = 0.0
    strange = X.copy()
    strange[:20] += 1e4
    plain = spec.new().fit(X[20:])
    assert_allclose(spec.new().fit(strange, sample_weight=w).means_, plain.means_, rtol=1e-8)


# -- how far -----------------------------------------------------------------------------------------


@every_gaussian_mixture
def test_no_steps_at_all_keep_the_start(spec, X):
    model = spec.new(max_iter=0).fit(X)
    assert model.n_iter_ == 0
    assert not model.converged_
    assert model.lower_bounds_ == [model.lower_bound_]
    assert_allclose(model.lower_bound_, objective(model, X), rtol=1e-11)


@every_em_mixture
def test_no_steps_at_all_keep_a_given_start(spec, X):
    model = spec.new(max_iter=0).fit(X)
    given = spec.new(
        max_iter=0,
        weights_init=model.weights_ / model.weights_.sum(),
        means_init=model.means_ + 1.0,
        precisions_init=model.precisions_,
    ).fit(X)
    assert_allclose(given.means_, model.means_ + 1.0, rtol=1e-12)
    assert_allclose(given.weights_, model.weights_, rtol=1e-12)
    assert_allclose(given.covariances_, model.covariances_, rtol=1e-9, atol=1e-12)


GIVEN = {"weights_init": "weights_", "means_init": "means_", "precisions_init": "precisions_"}


@every_em_mixture
@pytest.mark.parametrize("given", [[name] for name in GIVEN] + [["weights_init", "means_init"]])
def test_what_is_not_given_comes_from_init_params(spec, given, X):
    drawn = spec.new(max_iter=0, n_init=1).fit(X)
    other = spec.new(max_iter=0, n_init=1, random_state=1, init_params="random").fit(X * 2 + 1)
    start = {name: getattr(other, GIVEN[name]) for name in given}
    model = spec.new(max_iter=0, n_init=1, **start).fit(X)
    for name, attribute in GIVEN.items():
        source = other if name in given else drawn
        found, expected = getattr(model, attribute), getattr(source, attribute)
        assert_allclose(found, expected, rtol=1e-9, atol=1e-12, err_msg=name)


def test_a_component_that_sees_no_rows_leaves_a_density(X):
    far = np.concatenate([X[:2], np.full((1, 3), 1e7)])
    with pytest.warns(
        ConvergenceWarning, match=r"components 2 of 3.*n_components.*n_init"
    ) as caught:
        model = EMGaussianMixture(3, means_init=far, random_state=0).fit(X)
    assert caught[0].filename == __file__
    assert model.weights_[2] == 0.0
    assert np.isfinite(model.score_samples(np.concatenate([X, far]))).all()
    assert (model.predict(X) < 2).all()
    assert (model.sample(100, return_latent=True)[1] < 2).all()


def test_a_fit_that_was_still_climbing_says_so(X):
    with pytest.warns(ConvergenceWarning, match="max_iter=2") as caught:
        model = EMGaussianMixture(3, tol=0.0, max_iter=2, random_state=0).fit(X)
    assert "tol" in str(caught[0].message)
    assert caught[0].filename == __file__
    assert not model.converged_
    assert model.n_iter_ == 2


@every_covariance_type
@pytest.mark.parametrize("acceleration", [None, "squarem"])
def test_the_tolerance_is_in_nats_per_row(covariance_type, acceleration, X):
    """Less than that remains, however many rows there are; leaps may make much of rounding."""
    params = {"covariance_type": covariance_type, "acceleration": acceleration}
    steps = set()
    for rows, w in ((X, None), (np.concatenate([X, X]), None), (X, np.full(N, 7.0))):
        model = EMGaussianMixture(
            4, tol=1e-5, random_state=0, warm_start=True, init_params="random_from_data", **params
        )
        end = model.fit(rows, sample_weight=w).lower_bound_
        assert model.converged_
        steps.add(model.n_iter_)
        quietly(model.set_params(tol=0.0, max_iter=500), rows, sample_weight=w)
        assert model.lower_bound_ - end < 1e-5
    assert acceleration or len(steps) == 1


# -- continuation ------------------------------------------------------------------------------------


@every_gaussian_mixture
def test_two_fits_of_one_step_are_one_of_two(spec, X):
    params = {"tol": 0.0, "n_init": 1, "init_params": "random"}
    twice = spec.new(warm_start=True, max_iter=1, **params)
    quietly(quietly(twice, X), X)
    once = quietly(spec.new(max_iter=2, **params), X)
    for name in ("weights_", "means_", "covariances_", "precisions_"):
        assert_array_equal(getattr(twice, name), getattr(once, name), err_msg=name)
    # A step down by rounding counts as level, from wherever it is taken.
    assert_allclose(twice.lower_bounds_, once.lower_bounds_[1:], rtol=1e-15)
    assert twice.lower_bound_ == twice.lower_bounds_[-1]


@every_gaussian_mixture
def test_a_warm_start_on_new_rows_begins_where_the_last_fit_ended(spec, X):
    """Also where the new rows have other standard units."""
    model = spec.new(warm_start=True).fit(X)
    last, more = model.score(2 * X + 1), model.set_params(max_iter=0, reg_covar=0.0).fit(2 * X + 1)
    assert_allclose(more.score(2 * X + 1), last, rtol=1e-12)
    assert_allclose(more.lower_bound_, objective(more, 2 * X + 1), rtol=1e-12)


def test_a_warm_start_is_a_single_start(X, capsys):
    model = quietly(EMGaussianMixture(2, n_init=3, warm_start=True, random_state=0), X)
    quietly(model.set_params(verbose=1), X)
    printed = capsys.readouterr().out
    assert "Initialization 0" in printed
    assert "Initialization 1" not in printed


@every_gaussian_mixture
def test_without_warm_start_a_fit_begins_anew(spec, X):
    model = spec.new().fit(X)
    model.fit(X[::-1] * 3)
    assert same_state(model.fit(X), spec.new().fit(X))


@pytest.mark.parametrize(
    "change",
    [
        {"n_components": 3},
        {"covariance_type": "tied"},
        {"covariance_type": "diag"},
        {"covariance_type": "spherical"},
        {"covariance_type": "factor"},
    ],
    ids=str,
)
def test_a_warm_start_refuses_another_model(change, X):
    model = EMGaussianMixture(2, warm_start=True, random_state=0).fit(X)
    name, value = next(iter(change.items()))
    with pytest.raises(ValueError, match=f"{name}.*warm_start=False"):
        model.set_params(**change).fit(X)
    assert getattr(model.set_params(warm_start=False).fit(X), name) == value


def test_a_warm_start_refuses_another_width(X):
    model = EMGaussianMixture(2, warm_start=True, random_state=0).fit(X)
    with pytest.raises(ValueError, match="number of features"):
        model.fit(X[:, :2])


@pytest.mark.parametrize(("one", "other"), [("full", "tied"), ("tied", "full")])
def test_a_single_component_may_still_not_change_its_type_silently(one, other, X):
    """A single full covariance and a tied one are the same model: continuing is fine."""
    model = EMGaussianMixture(1, covariance_type=one, warm_start=True).fit(X)
    before = model.score(X)
    model.set_params(covariance_type=other).fit(X)
    assert_allclose(model.score(X), before, rtol=1e-10)
    shape = {"full": (1, 3, 3), "tied": (3, 3)}
    assert model.covariances_.shape == shape[other]


# -- what is printed ---------------------------------------------------------------------------------


def printed(capsys, X, **params):
    quietly(EMGaussianMixture(3, random_state=0, tol=0.0, max_iter=6, **params), X)
    return capsys.readouterr().out.splitlines()


def test_a_silent_fit_prints_nothing(capsys, X):
    assert printed(capsys, X) == []


def test_a_talking_fit_prints_starts_and_steps(capsys, X):
    lines = printed(capsys, X, verbose=1, verbose_interval=2)
    assert lines == [
        "Initialization 0",
        "  Iteration 2",
        "  Iteration 4",
        "  Iteration 6",
        "Initialization did not converge.",
    ]


def test_a_talkative_fit_prints_bounds_and_times(capsys, X):
    lines = printed(capsys, X, verbose=2, verbose_interval=3, n_init=2)
    assert len(lines) == 8
    number, seconds = r"[-+.e\d]+", r"[.\d]+ s"
    assert re.fullmatch(rf"Initialization 0\s+{seconds}", lines[0])
    assert re.fullmatch(rf"  Iteration 3\s+lower bound {number}\s+{seconds}", lines[1])
    end = rf"Initialization did not converge\.\s+lower bound {number}\s+{seconds}"
    assert re.fullmatch(end, lines[3])
    assert lines[4].startswith("Initialization 1")


def test_a_converged_fit_says_so(capsys, X):
    EMGaussianMixture(1, verbose=1).fit(X)
    assert capsys.readouterr().out.splitlines()[-1] == "Initialization converged."


@every_covariance_type
def test_a_warm_start_on_rows_in_far_other_units_is_refused(covariance_type, X):
    model = EMGaussianMixture(
        2, covariance_type=covariance_type, warm_start=True, random_state=0
    ).fit(X)
    scores = model.score_samples(X)
    for factor in (1e-200, 1e200):
        with pytest.raises(ValueError, match=r"so far off.* set warm_start=False"):
            model.fit(factor * X)
    assert_array_equal(model.score_samples(X), scores)


@every_covariance_type
def test_rows_that_lie_further_apart_than_numbers_reach_are_refused(covariance_type, X):
    X = np.where(np.arange(len(X))[:, None] == 3, -1.7e308, 1.7e308 * (X > 0))
    with pytest.raises(ValueError, match=r"spreads over more than .* divide X by a constant"):
        EMGaussianMixture(2, covariance_type=covariance_type).fit(X)
