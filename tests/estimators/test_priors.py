"""By default no mixture collapses: a prior is chosen by rows that were held back, once."""

import warnings

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.datasets import load_breast_cancer, load_wine
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from sklearn_lvm import EMGaussianMixture, GaussianMLE

from .specs import clouds, every_em_covariance_type

ATTRIBUTES = ["covariance", "degrees_of_freedom", "mean", "mean_precision"]


def held_out(X, K, seed=0, **params):
    """The score of every fifth row under a fit to the others."""
    rows = np.random.default_rng(seed).permutation(len(X))
    test, train = rows[: len(X) // 5], rows[len(X) // 5 :]
    model = EMGaussianMixture(K, random_state=seed, **params).fit(X[train])
    return model.score(X[test]), GaussianMLE().fit(X[train]).score(X[test])


# -- what it is for ------------------------------------------------------------------------------------


@pytest.mark.parametrize("load", [load_wine, load_breast_cancer])
@pytest.mark.parametrize("K", [1, 3, 8])
def test_few_rows_of_many_columns_are_not_learned_by_heart(load, K):
    """Eight components on few rows are no worse than one Gaussian; by likelihood alone they are."""
    X = load().data
    X = (X / X.std(axis=0))[:200]
    score, of_one = held_out(X, K)
    assert score > of_one - 0.05
    if K == 8:
        assert held_out(X, K, covariance_prior=None)[0] < of_one - 5.0


@pytest.mark.parametrize(("d", "most"), [(2, 0.1), (5, 0.2)])
def test_components_that_are_too_many_cost_little(d, most):
    """Twenty components on 200 rows of one Gaussian."""
    gaps = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        X, new = rng.normal(size=(200, d)), rng.normal(size=(5000, d))
        model = EMGaussianMixture(20, random_state=seed).fit(X)
        gaps.append(GaussianMLE().fit(X).score(new) - model.score(new))
    assert np.mean(gaps) < most


def three_clusters(n, seed):
    rng = np.random.default_rng(seed)
    return np.random.default_rng(7).normal(size=(3, 5))[rng.integers(3, size=n)] * 3.0 + rng.normal(
        size=(n, 5)
    )


def test_none_of_several_starts_collapses():
    """Where most fits of scikit-learn's mixture end with a covariance that is all but singular."""
    smallest, losses, theirs = [], [], []
    for seed in range(5):
        X, new = three_clusters(120, seed), three_clusters(5000, 100 + seed)
        model = EMGaussianMixture(8, n_init=3, random_state=seed).fit(X)
        smallest.append(np.linalg.eigvalsh(model.covariances_).min())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            peer = GaussianMixture(8, random_state=seed).fit(X)
        theirs.append(np.linalg.eigvalsh(peer.covariances_).min())
        losses.append(peer.score(new) - model.score(new))
    assert min(smallest) > 0.05
    assert np.median(theirs) < 0.01
    assert max(losses) < -0.5


@every_em_covariance_type
def test_many_rows_are_fitted_as_by_likelihood(covariance_type):
    """A thousand rows a component and more: the prior costs next to nothing."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(6000, 3)) + 6.0 * rng.integers(0, 2, size=(6000, 1)) * [1.0, 0.0, 0.5]
    params = {"covariance_type": covariance_type, "random_state": 0, "tol": 1e-8}
    plain = EMGaussianMixture(3, covariance_prior=None, **params).fit(X)
    given = {"weights_init": plain.weights_, "means_init": plain.means_}
    given["precisions_init"] = plain.precisions_
    model = EMGaussianMixture(3, **given, **params).fit(X)
    assert plain.score(X) - 1e-3 < model.score(X) < plain.score(X) + 1e-3


# -- laws ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("units", [1e-8, 1e8, [1e-6, 1.0, 1e6]])
def test_a_choice_does_not_depend_on_units(units):
    X = clouds(90)
    plain, other = (EMGaussianMixture(6, random_state=0).fit(Y) for Y in (X, X * units + 3.0))
    assert plain.prior_["kind"] == other.prior_["kind"]
    shift = np.log(np.broadcast_to(units, 3)).sum()
    assert abs(other.score(X * units + 3.0) + shift - plain.score(X)) < 1e-6


def test_weight_three_equals_three_copies():
    X, times = clouds(60), np.random.default_rng(0).integers(1, 4, 60)
    weighted = EMGaussianMixture(6, random_state=0).fit(X, sample_weight=times)
    copied = EMGaussianMixture(6, random_state=0).fit(np.repeat(X, times, axis=0))
    shuffled = np.random.default_rng(1).permutation(60)
    other = EMGaussianMixture(6, random_state=0).fit(X[shuffled], sample_weight=times[shuffled])
    for model in (copied, other):
        assert model.prior_["kind"] == weighted.prior_["kind"]
        assert_allclose(model.covariance_prior_, weighted.covariance_prior_, rtol=1e-9)
        assert_allclose(model.score_samples(X), weighted.score_samples(X), rtol=1e-7)


@pytest.mark.parametrize("seed", range(3))
def test_a_choice_is_the_same_for_all_seeds(seed):
    X = clouds(90)
    prior = EMGaussianMixture(6, random_state=seed).fit(X).prior_
    assert prior == EMGaussianMixture(6, n_init=3, random_state=11).fit(X).prior_


def test_a_row_far_out_changes_no_prior():
    X = clouds(500)
    far = np.concatenate([X, np.full((1, 3), -999_999.0)])
    plain, other = (EMGaussianMixture(5, random_state=0).fit(Y) for Y in (X, far))
    ratio = np.diag(other.covariance_prior_) / np.diag(plain.covariance_prior_)
    strength = [m.prior_["n_pseudo_observations"] for m in (other, plain)]
    assert (ratio / np.divide(*strength) < 3.0).all()
    assert other.score(X) > plain.score(X) - 0.5


@pytest.mark.parametrize("n", [30, 63, 100])
@pytest.mark.parametrize("far", [50.0, 1e3])
def test_an_outlier_among_few_rows_does_not_widen_the_prior(n, far):
    """Where a single row is more than one percent of all."""
    rng = np.random.default_rng(0)
    X, new = rng.normal(size=(n, 2)), rng.normal(size=(2000, 2))
    X[::2] += 4.0
    new[::2] += 4.0
    plain = EMGaussianMixture(3, random_state=0).fit(X).score(new)
    with_it = np.concatenate([X, [[far, 0.0]]])
    assert EMGaussianMixture(3, random_state=0).fit(with_it).score(new) > plain - 0.6


def test_a_light_row_does_not_take_the_prior_away():
    rng = np.random.default_rng(0)
    X, new = rng.normal(size=(60, 3)), rng.normal(size=(400, 3))
    X[:30] += 4.0
    new[:200] += 4.0
    plain = EMGaussianMixture(10, random_state=0).fit(X).score(new)
    for lightest in (0.0123, 0.01, 1e-9):
        w = np.append(np.ones(59), lightest)
        model = EMGaussianMixture(10, random_state=0).fit(X, sample_weight=w)
        assert model.prior_["kind"] != "variances"
        assert model.score(new) > plain - 0.5


def test_ratings_are_counts():
    """Few distinct rows, each many times: a prior is worth a few rows, not a few of these heaps."""
    rng = np.random.default_rng(0)
    X, new = (np.clip(np.rint(rng.normal(3.0, 1.2, size=(5000, 2))), 1, 5) for _ in range(2))
    model = EMGaussianMixture(2, random_state=0).fit(X)
    plain = EMGaussianMixture(2, covariance_prior=None, random_state=0).fit(X)
    assert model.prior_["n_pseudo_observations"] == pytest.approx(
        model.degrees_of_freedom_prior_ + 4
    )
    assert model.score(new) > plain.score(new) - 0.02


@pytest.mark.parametrize("weight", [1e-3, 1.0, 1e3])
def test_a_choice_weighs_the_other_priors_as_the_fit_does(weight):
    X, w = clouds(60), np.full(60, weight)
    params = {"mean_precision_prior": 0.5 * weight, "random_state": 0}
    params["weight_concentration_prior"] = 1.0 + 2.0 * weight
    model = EMGaussianMixture(5, **params).fit(X, sample_weight=w)
    params |= {"mean_precision_prior": 0.5, "weight_concentration_prior": 3.0}
    same = EMGaussianMixture(5, **params).fit(X)
    assert model.prior_["kind"] == same.prior_["kind"]
    assert_allclose(model.score_samples(X), same.score_samples(X), rtol=1e-7)


# -- a prior is chosen once ----------------------------------------------------------------------------


@every_em_covariance_type
def test_a_prior_that_was_chosen_can_be_given(covariance_type):
    X = clouds(90)
    params = {"covariance_type": covariance_type, "random_state": 0}
    first = EMGaussianMixture(6, **params).fit(X)
    assert first.prior_["kind"] not in (None, "given")
    again = EMGaussianMixture(
        6,
        covariance_prior=first.covariance_prior_,
        degrees_of_freedom_prior=first.degrees_of_freedom_prior_,
        **params,
    ).fit(X)
    assert again.prior_["kind"] == "given"
    assert_allclose(again.lower_bound_, first.lower_bound_, rtol=1e-7)
    assert_allclose(again.covariance_prior_, first.covariance_prior_, rtol=1e-9)
    assert_allclose(again.mean_prior_, first.mean_prior_)


@pytest.mark.parametrize("table", ["constant", "repeated"])
def test_a_prior_of_a_singular_table_can_be_given(table):
    X = clouds(60)
    X[:, 2] = {"constant": 7.0, "repeated": X[:, 0]}[table]
    first = EMGaussianMixture(3, random_state=0).fit(X)
    again = EMGaussianMixture(
        3,
        covariance_prior=first.covariance_prior_,
        degrees_of_freedom_prior=first.degrees_of_freedom_prior_,
        random_state=0,
    ).fit(X)
    assert_allclose(again.score(X), first.score(X), rtol=1e-5)


def test_a_warm_start_keeps_the_prior():
    X = clouds(90)
    model = EMGaussianMixture(6, warm_start=True, random_state=0).fit(X)
    before = {f"{name}_prior_": getattr(model, f"{name}_prior_") for name in ATTRIBUTES}
    chosen = model.prior_
    model.fit(3.0 * X[:50] + 1.0)
    assert model.prior_ == chosen
    for name, value in before.items():
        if name != "mean_prior_":
            assert_allclose(getattr(model, name), value, rtol=1e-9)
    model.set_params(warm_start=False).fit(3.0 * X[:50] + 1.0)
    assert model.prior_ != chosen


def test_a_warm_start_without_a_prior_before_chooses_one():
    X = clouds(90)
    model = EMGaussianMixture(2, warm_start=True, covariance_prior=None, random_state=0).fit(X)
    assert model.prior_ == {"kind": None, "n_pseudo_observations": 0.0, "held_out_scores": []}
    assert all(getattr(model, f"{name}_prior_") is None for name in ATTRIBUTES)
    model.set_params(covariance_prior="auto").fit(X)
    assert model.prior_["kind"] is not None


def test_the_best_candidate_is_the_last_of_the_scores():
    prior = EMGaussianMixture(6, random_state=0).fit(clouds(90)).prior_
    kind, strength, best = prior["held_out_scores"][-1]
    assert (kind, strength) == (prior["kind"], prior["n_pseudo_observations"])
    assert best >= max(score for *_, score in prior["held_out_scores"][-4:])


# -- priors that are given -----------------------------------------------------------------------------

GOOD = {"covariance_prior": np.eye(3), "degrees_of_freedom_prior": 4.0}


def test_the_parameters_of_a_prior_arrive_in_units_of_the_data():
    """One component without a flat mean: the posterior mode in closed form."""
    X = clouds(30) * [1.0, 10.0, 0.1] + 5.0
    psi, nu, beta, m0 = np.diag([1.0, 200.0, 0.05]) + 0.01, 2.5, 3.0, np.array([4.0, 5.0, 6.0])
    model = EMGaussianMixture(
        1,
        reg_covar=0.0,
        covariance_prior=psi,
        degrees_of_freedom_prior=nu,
        mean_prior=m0,
        mean_precision_prior=beta,
    ).fit(X)
    n, d = X.shape
    mean = X.mean(axis=0)
    gap = np.outer(mean - m0, mean - m0) * n * beta / (n + beta)
    scatter = (X - mean).T @ (X - mean) + psi + gap
    assert_allclose(model.means_[0], (n * mean + beta * m0) / (n + beta), rtol=1e-10)
    assert_allclose(model.covariances_[0], scatter / (n + nu + d + 2), rtol=1e-8)
    assert_allclose(model.covariance_prior_, psi, rtol=1e-10)
    assert_allclose(model.mean_prior_, m0, rtol=1e-12)
    assert (model.degrees_of_freedom_prior_, model.mean_precision_prior_) == (nu, beta)


def test_a_prior_of_weights_keeps_components():
    X = clouds(60)
    strong = EMGaussianMixture(6, weight_concentration_prior=200.0, random_state=0).fit(X)
    assert_allclose(strong.weights_, 1 / 6, atol=0.02)
    assert strong.weight_concentration_prior_ == 200.0


BAD = [
    ({"covariance_prior": np.eye(2)}, r"covariance_prior must be of shape \(3, 3\), got \(2, 2\)"),
    ({"covariance_prior": -np.eye(3)}, "covariance_prior is not positive definite"),
    ({"covariance_prior": np.triu(np.ones((3, 3)))}, "covariance_prior must be symmetric"),
    ({"covariance_prior": np.full((3, 3), np.nan)}, "covariance_prior must hold finite numbers"),
    ({"degrees_of_freedom_prior": None}, "degrees_of_freedom_prior is None"),
    ({"degrees_of_freedom_prior": -5.0}, r"degrees_of_freedom_prior=-5 .* greater than .* -5"),
    ({"mean_prior": [1.0]}, r"mean_prior must be of shape \(3,\)"),
    ({"mean_precision_prior": -1.0}, "mean_precision_prior"),
    ({"weight_concentration_prior": 0.5}, "weight_concentration_prior"),
    ({"covariance_prior": "automatic"}, "covariance_prior"),
    ({"covariance_prior": "auto"}, "degrees_of_freedom_prior=4 needs a covariance_prior"),
    ({"covariance_prior": None}, "covariance_prior=None .* degrees_of_freedom_prior is 4"),
    ({"covariance_prior": 1e250 * np.eye(3)}, "covariance_prior is out of all proportion to X"),
    ({"mean_prior": [1e150] * 3}, "mean_prior is out of all proportion to X"),
    (
        {"weight_concentration_prior": 1.5, "weights_init": [1.0, 0.0]},
        "weights_init holds a 0, which weight_concentration_prior=1.5",
    ),
    (
        {"covariance_prior": None, "degrees_of_freedom_prior": None, "mean_prior": [0, 0, 0]},
        "covariance_prior=None .* mean_prior",
    ),
    (
        {
            "covariance_prior": None,
            "degrees_of_freedom_prior": None,
            "weight_concentration_prior": 2.0,
        },
        "covariance_prior=None .* weight_concentration_prior is 2",
    ),
]


@pytest.mark.parametrize(("bad", "message"), BAD)
def test_bad_priors_are_refused_by_name(bad, message):
    model = EMGaussianMixture(2, **GOOD)
    X = clouds(60)
    before = model.fit(X).score(X)
    with pytest.raises(ValueError, match=message):
        clone(model).set_params(**bad).fit(X)
    with pytest.raises(ValueError, match=message):
        model.set_params(**bad).fit(X)
    assert model.score(X) == before  # nothing that was fitted is lost


@every_em_covariance_type
def test_a_given_prior_has_the_shape_of_one_covariance(covariance_type):
    shape = {"diag": (3,), "spherical": ()}.get(covariance_type, (3, 3))
    psi = np.eye(3) if len(shape) == 2 else np.ones(shape)
    params = {"covariance_type": covariance_type, "degrees_of_freedom_prior": 2.0}
    model = EMGaussianMixture(2, covariance_prior=psi, random_state=0, **params).fit(clouds(60))
    assert np.shape(model.covariance_prior_) == shape
    assert_allclose(model.covariance_prior_, psi, rtol=1e-10)
