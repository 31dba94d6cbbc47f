"""Mixtures of Gaussians of which all parameters have posteriors: scikit-learn's, bound, predictive."""

import inspect
import pickle
import warnings
from itertools import product

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import stats
from scipy.special import gammaln, logsumexp, multigammaln
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import BayesianGaussianMixture

from sklearn_lvm import BayesianGaussian, VariationalGaussianMixture, bootstrap

from .specs import (
    VariationalReference,
    clouds,
    every_covariance_type,
    every_variational,
    objective,
    same_state,
    weights,
)

PROCESS, DISTRIBUTION = "dirichlet_process", "dirichlet_distribution"
every_weight_prior = pytest.mark.parametrize("kind", [PROCESS, DISTRIBUTION])
every_acceleration = pytest.mark.parametrize("acceleration", [None, "squarem"])
every_prior = pytest.mark.parametrize("priors", ["fixed", "empirical"])
N, D = 150, 3
PSI = np.array([[2.0, 0.6, 0.1], [0.6, 1.5, -0.3], [0.1, -0.3, 1.0]])
SCATTER = {"full": PSI, "tied": PSI, "diag": np.diag(PSI), "spherical": np.array(1.7)}


def given(covariance_type="full", d=D, **params):
    """Parameters with all priors, none of which is a default."""
    scatter = SCATTER[covariance_type]
    return {
        "covariance_type": covariance_type,
        "mean_prior": np.array([0.5, -1.0, 2.0])[:d],
        "mean_precision_prior": 0.7,
        "degrees_of_freedom_prior": d + 0.5,
        "covariance_prior": scatter[(slice(d),) * scatter.ndim] if scatter.ndim else 1.7,
        "weight_concentration_prior": 0.6,
        "random_state": 0,
        **params,
    }


def quietly(model, X, **options):
    """Fit without a word about max_iter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(X, **options)


def two_clusters(n, d=2, seed=0, gap=8.0):
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.normal(size=(n, d)), rng.normal(size=(n, d)) + gap])


@pytest.fixture
def X():
    return clouds(N, D)


# -- scikit-learn ------------------------------------------------------------------------------------

POSTERIOR = ("mean_precision_", "means_", "degrees_of_freedom_", "covariances_")
NAMES = ("weights_", *POSTERIOR, "precisions_", "precisions_cholesky_")


class FromPosteriors(BayesianGaussianMixture):
    """scikit-learn's mixture, which starts with the posteriors of ``known``."""

    def _initialize_parameters(self, X, random_state, *args, **kwargs):
        names = ("weight_concentration_", *POSTERIOR, "precisions_cholesky_")
        self._set_parameters([getattr(self.known, name) for name in names])


class LargestFirst(BayesianGaussianMixture):
    """scikit-learn's mixture, whose components start in the order of their sizes."""

    def _initialize(self, X, resp):
        super()._initialize(X, resp[:, np.argsort(-resp.sum(axis=0), kind="stable")])


def check_same_posteriors(ours, theirs):
    for name in NAMES:
        found, expected = getattr(ours, name), getattr(theirs, name)
        assert found.shape == expected.shape
        assert_allclose(found, expected, rtol=1e-6, atol=1e-9, err_msg=name)
    assert type(ours.weight_concentration_) is type(theirs.weight_concentration_)
    assert_allclose(ours.weight_concentration_, theirs.weight_concentration_, rtol=1e-6)


@every_weight_prior
@pytest.mark.parametrize("steps", [1, 5, 40])
def test_the_same_start_leads_to_the_posteriors_of_scikit_learn(kind, steps, X):
    params = given(reg_covar=0.0, tol=0.0, weight_concentration_prior_type=kind)
    ours = VariationalGaussianMixture(4, acceleration=None, init_params="random", **params)
    start = quietly(VariationalGaussianMixture(**ours.get_params()).set_params(max_iter=0), X)
    quietly(ours.set_params(max_iter=steps), X)
    theirs = FromPosteriors(n_components=4, max_iter=steps, **params)
    theirs.known = start
    quietly(theirs, X)
    assert abs(ours.means_ - start.means_).max() > 0.01
    check_same_posteriors(ours, theirs)


@every_weight_prior
def test_clusters_that_lie_apart_have_the_posteriors_of_scikit_learn(kind):
    rng = np.random.default_rng(0)
    centers = np.array([[0.0, 0.0, 0.0], [20.0, 0.0, 5.0], [0.0, 30.0, -10.0]])
    parts = zip((50, 80, 30), centers, strict=True)
    X = np.concatenate([rng.normal(size=(n, D)) + center for n, center in parts])
    params = given(
        reg_covar=0.0,
        tol=0.0,
        max_iter=8,
        init_params="kmeans",
        weight_concentration_prior_type=kind,
    )
    ours = quietly(VariationalGaussianMixture(3, acceleration=None, **params), X)
    theirs = quietly(LargestFirst(n_components=3, **params), X)
    if kind == DISTRIBUTION:  # whose components have no order
        order = np.argsort(-ours.weight_concentration_)
        ours.weight_concentration_ = ours.weight_concentration_[order]
        vars(ours).update({name: getattr(ours, name)[order] for name in NAMES})
    check_same_posteriors(ours, theirs)


def test_every_parameter_of_scikit_learn_exists():
    theirs = inspect.signature(BayesianGaussianMixture).parameters
    ours = inspect.signature(VariationalGaussianMixture).parameters
    assert theirs.keys() <= ours.keys()
    differ = {n for n, p in theirs.items() if p.default != ours[n].default}
    assert differ == {"tol", "max_iter", "init_params"}


@every_covariance_type
@every_weight_prior
def test_every_method_and_attribute_of_scikit_learn_exists(covariance_type, kind, X):
    params = {"covariance_type": covariance_type, "weight_concentration_prior_type": kind}
    theirs = quietly(BayesianGaussianMixture(n_components=2, random_state=0, **params), X)
    ours = VariationalGaussianMixture(2, random_state=0, **params).fit(X)
    assert {name for name in dir(theirs) if not name.startswith("_")} <= set(dir(ours))
    for name in {name for name in vars(theirs) if name.endswith("_")}:
        found, expected = getattr(ours, name), getattr(theirs, name)
        if not name.startswith(("degrees_of_freedom", "lower_bound")):
            assert np.shape(found) == np.shape(expected), name
    priors = ("mean_precision_prior_", "degrees_of_freedom_prior_", "weight_concentration_prior_")
    for name in priors:
        assert getattr(ours, name) == pytest.approx(getattr(theirs, name)), name


# -- the predictive ----------------------------------------------------------------------------------


def mass(score_samples, known, n=8000):
    """The integral of a density, and its standard error, by rows with heavier tails than a model's.

    Each component of the model is drawn from as often: t densities, or products of them, wider and
    with few degrees of freedom.
    """
    K, d = known.means_.shape
    dof, scale = VariationalReference.predictive(known)
    dof, scale, rng = np.minimum(dof / 1.5, 8.0), 1.3 * scale, np.random.default_rng(0)
    wide = [np.sqrt(np.diag(S)) for S in scale]

    if known.covariance_type == "diag":
        parts = [stats.t(dof[k], known.means_[k], wide[k]) for k in range(K)]
        rows = np.concatenate([part.rvs((n, d), random_state=rng) for part in parts])
        logs = [part.logpdf(rows).sum(axis=1) for part in parts]
    else:
        parts = [stats.multivariate_t(known.means_[k], scale[k], dof[k]) for k in range(K)]
        drawn = [part.rvs(n, random_state=rng).reshape(n, d) for part in parts]
        rows = np.concatenate(drawn)
        logs = [part.logpdf(rows) for part in parts]
    ratio = np.exp(score_samples(rows) - logsumexp(logs, axis=0) + np.log(K))
    return ratio.mean(), ratio.std() / np.sqrt(len(rows))


@pytest.mark.parametrize("d", [1, 2, 5, 10])
@every_covariance_type
@every_prior
def test_the_predictive_integrates_to_one(d, covariance_type, priors):
    X = clouds(100, d)
    model = VariationalGaussianMixture(
        4, covariance_type=covariance_type, priors=priors, random_state=0
    )
    total, error = mass(model.fit(X).score_samples, model)
    assert error < 0.01
    assert abs(total - 1.0) < 4 * error


@pytest.mark.parametrize("d", [2, 5])
def test_what_scikit_learn_scores_by_does_not_integrate_to_one(d):
    X = clouds(100, d)
    theirs = quietly(BayesianGaussianMixture(n_components=4, random_state=0), X)
    total, error = mass(theirs.score_samples, VariationalGaussianMixture(4, random_state=0).fit(X))
    assert total + 10 * error < 1.0


def test_labels_are_of_the_predictive(X):
    """Where a component of few rows has the heavier tails, far rows are its own."""
    model = VariationalGaussianMixture(3, random_state=0).fit(X)
    rows = np.concatenate([X, 30 * X])
    joint = model.predict_proba(rows)
    assert_array_equal(model.predict(rows), joint.argmax(axis=1))
    k = np.argmin(model.degrees_of_freedom_)
    assert (model.predict(1e4 * X) == k).all()


# -- the bound ---------------------------------------------------------------------------------------


def block_evidence(rows, groups, m0, k0, nu0, psi0, more):
    """log p(rows) given groups with means of their own and one covariance, (n, d); nu grows by more."""
    d, nu, psi, total = len(m0), nu0, np.atleast_2d(psi0), 0.0
    p, after = len(psi), np.atleast_2d(psi0).copy()
    for k in np.unique(groups):
        part = rows[groups == k]
        n, mean = len(part), part.mean(axis=0)
        gap = mean - m0
        S = (part - mean).T @ (part - mean) + k0 * n / (k0 + n) * np.outer(gap, gap)
        after = after + (S if p == d else np.trace(S))
        nu, total = nu + more * n, total + d / 2 * np.log(k0 / (k0 + n))
    total += multigammaln(nu / 2, p) - multigammaln(nu0 / 2, p)
    total += (nu0 * np.linalg.slogdet(psi)[1] - nu * np.linalg.slogdet(after)[1]) / 2
    return total - len(rows) * d / 2 * np.log(np.pi)


def group_evidence(X, groups, covariance_type, prior):
    """log p(X) given which rows share a component."""
    m0, k0 = prior["mean_prior"], prior["mean_precision_prior"]
    nu0, psi0 = prior["degrees_of_freedom_prior"], prior["covariance_prior"]
    if covariance_type == "tied":
        return block_evidence(X, groups, m0, k0, nu0, psi0, 1)
    parts = [(X[groups == k], np.zeros((groups == k).sum())) for k in np.unique(groups)]
    if covariance_type == "diag":
        return sum(
            block_evidence(rows[:, [j]], same, m0[[j]], k0, nu0, psi0[j], 1)
            for rows, same in parts
            for j in range(X.shape[1])
        )
    more = 1 if covariance_type == "full" else X.shape[1]
    return sum(block_evidence(rows, same, m0, k0, nu0, psi0, more) for rows, same in parts)


def partitions(n):
    """All ways to group n rows, by the first row of each group in order."""
    grown = [(0,)]
    for _ in range(n - 1):
        grown = [(*labels, k) for labels in grown for k in range(max(labels) + 2)]
    return map(np.array, grown)


def process_evidence(X, K, covariance_type, prior):
    """log p(X) of a Dirichlet process: the Chinese restaurant process, over all partitions."""
    c, totals = prior["weight_concentration_prior"], []
    for groups in partitions(len(X)):
        size = np.bincount(groups)
        chance = len(size) * np.log(c) + gammaln(size).sum() + gammaln(c) - gammaln(c + len(X))
        totals.append(chance + group_evidence(X, groups, covariance_type, prior))
    return logsumexp(totals)


def distribution_evidence(X, K, covariance_type, prior):
    """log p(X) under a Dirichlet distribution of the weights, over all labels."""
    c, totals = prior["weight_concentration_prior"], []
    for labels in product(range(K), repeat=len(X)):
        size = np.bincount(labels, minlength=K)
        chance = gammaln(K * c) - gammaln(K * c + len(X))
        chance += (gammaln(c + size) - gammaln(c)).sum()
        totals.append(chance + group_evidence(X, np.array(labels), covariance_type, prior))
    return logsumexp(totals)


EVIDENCE = {PROCESS: process_evidence, DISTRIBUTION: distribution_evidence}


@every_covariance_type
@every_weight_prior
def test_the_bound_is_below_the_evidence(covariance_type, kind):
    """By no more than what a single q(z) leaves out."""
    X = np.random.default_rng(3).normal(size=(6, 2)) + np.array([[0], [0], [0], [4], [4], [4]])
    prior = given(covariance_type, 2, weight_concentration_prior_type=kind)
    model = VariationalGaussianMixture(2, tol=1e-9, **prior).fit(X)
    evidence = EVIDENCE[kind](X, 2, covariance_type, prior)
    assert evidence - 6 * np.log(2) < model.lower_bound_ < evidence
    assert_allclose(model.lower_bound_, objective(model, X), rtol=1e-12)


@every_covariance_type
@every_weight_prior
@pytest.mark.parametrize("default", [False, True])
def test_the_bound_of_one_component_is_the_evidence(covariance_type, kind, default, X):
    w = weights(N)
    params = {"covariance_type": covariance_type} if default else given(covariance_type)
    model = VariationalGaussianMixture(1, weight_concentration_prior_type=kind, **params)
    model.fit(X, sample_weight=w)
    names = ("mean_prior", "mean_precision_prior", "degrees_of_freedom_prior", "covariance_prior")
    one = BayesianGaussian(
        covariance_type="full" if covariance_type == "tied" else covariance_type,
        **{name: getattr(model, name + "_") for name in names},
    ).fit(X, sample_weight=w)
    assert_allclose(model.lower_bound_, np.sum(one.log_evidence_), rtol=1e-10)
    assert_allclose(model.score_samples(X), one.score_samples(X), rtol=1e-9)
    assert_allclose(np.ravel(model.covariances_), np.ravel(one.covariance_), rtol=1e-9, atol=1e-12)
    assert_allclose(model.means_[0], one.mean_, rtol=1e-10)
    assert model.weights_ == [1.0]
    assert model.n_components_ == 1


@every_covariance_type
@every_weight_prior
@every_acceleration
@every_prior
def test_the_bound_never_falls(covariance_type, kind, acceleration, priors, X):
    model = VariationalGaussianMixture(
        5,
        covariance_type=covariance_type,
        weight_concentration_prior_type=kind,
        priors=priors,
        acceleration=acceleration,
        init_params="random",
        random_state=0,
        tol=0.0,
        max_iter=60,
    )
    quietly(model, X)
    assert len(model.lower_bounds_) > 5
    assert (np.diff(model.lower_bounds_) >= 0).all()
    assert model.lower_bounds_[-1] == model.lower_bound_
    assert_allclose(model.lower_bound_, objective(model, X), rtol=1e-10)


@every_covariance_type
@every_weight_prior
@pytest.mark.parametrize("K", [1, 4])
def test_priors_that_are_fitted_raise_the_bound(covariance_type, kind, K, X):
    params = {
        "covariance_type": covariance_type,
        "weight_concentration_prior_type": kind,
        "random_state": 0,
    }
    fixed = VariationalGaussianMixture(K, **params).fit(X)
    fitted = VariationalGaussianMixture(K, priors="empirical", **params).fit(X)
    assert fitted.lower_bound_ > fixed.lower_bound_ + 1.0
    assert (np.diff(fitted.lower_bounds_) >= 0).all()


@every_covariance_type
def test_one_component_makes_a_fitted_prior_certain(covariance_type, X):
    """The evidence tends to the likelihood of the best Gaussian, from below."""
    model = VariationalGaussianMixture(1, covariance_type=covariance_type, priors="empirical")
    model.fit(X)
    mean, C = X.mean(axis=0), np.cov(X.T, bias=True)
    best = {"diag": np.diag(np.diag(C)), "spherical": np.trace(C) / D * np.eye(D)}
    top = stats.multivariate_normal(mean, best.get(covariance_type, C)).logpdf(X).sum()
    assert top - 1.0 < model.lower_bound_ < top
    assert model.mean_precision_prior_ > 10 * 1.0


# -- superfluous components --------------------------------------------------------------------------


@every_covariance_type
@every_weight_prior
def test_components_that_no_row_needs_are_left_to_the_prior(covariance_type, kind):
    X = two_clusters(200)
    params = given(covariance_type, 2, weight_concentration_prior_type=kind)
    params["weight_concentration_prior"] = None
    model = VariationalGaussianMixture(8, n_init=3, **params).fit(X)
    assert model.n_components_ == 2
    assert_allclose(np.sort(model.weights_)[-2:], 0.5, atol=0.01)
    spare = np.argsort(model.weights_)[:-2]
    assert_allclose(model.mean_precision_[spare], 0.7, atol=0.1)
    assert_allclose(model.means_[spare], np.tile(params["mean_prior"], (6, 1)), atol=0.3)


# -- parameters that are refused ---------------------------------------------------------------------

LOPSIDED = np.eye(D) + np.eye(D, k=1)
FULL = "covariance_prior must be of shape \\(3, 3\\)"
BAD = {
    "freedom": ({"degrees_of_freedom_prior": 2.0}, r"degrees_of_freedom_prior=2 .*1 = 2"),
    "little freedom": (
        {"degrees_of_freedom_prior": 1e-3},
        r"degrees_of_freedom_prior=0\.001 .*= 2",
    ),
    "no freedom": ({"degrees_of_freedom_prior": 0.0}, r"degrees_of_freedom_prior.*\(0.*0\.0"),
    "scatter shape": ({"covariance_prior": np.eye(2)}, rf"{FULL}, got \(2, 2\)"),
    "scatter number": ({"covariance_prior": 1.0}, r"covariance_prior must .*\(3, 3\).*1\."),
    "scatter lopsided": ({"covariance_prior": LOPSIDED}, "covariance_prior.*symmetric"),
    "scatter indefinite": ({"covariance_prior": -np.eye(D)}, "covariance_prior.*positive definite"),
    "scatter singular": (
        {"covariance_prior": np.ones((D, D))},
        "covariance_prior.*positive definite",
    ),
    "scatter nan": ({"covariance_prior": np.full((D, D), np.nan)}, "covariance_prior.*NaN"),
    "diagonal shape": (
        {"covariance_type": "diag", "covariance_prior": np.eye(D)},
        r"covariance_prior must be of shape \(3,\), got \(3, 3\)",
    ),
    "diagonal sign": (
        {"covariance_type": "diag", "covariance_prior": [1.0, -1.0, 1.0]},
        "covariance_prior.*positive",
    ),
    "number shape": (
        {"covariance_type": "spherical", "covariance_prior": np.eye(D)},
        r"covariance_prior must be .*got \(3, 3\)",
    ),
    "number sign": (
        {"covariance_type": "spherical", "covariance_prior": -1.0},
        "covariance_prior.*positive",
    ),
    "number zero": (
        {"covariance_type": "spherical", "covariance_prior": 0.0},
        "covariance_prior.*positive",
    ),
    "mean shape": ({"mean_prior": np.zeros(2)}, r"mean_prior must be of shape \(3,\), got \(2,\)"),
    "mean nan": ({"mean_prior": np.full(D, np.nan)}, "mean_prior contains NaN"),
    "mean infinite": ({"mean_prior": np.full(D, np.inf)}, "mean_prior contains infinity"),
    "precision": ({"mean_precision_prior": 0.0}, r"mean_precision_prior.*\(0.*0\.0"),
    "concentration": ({"weight_concentration_prior": -1}, r"weight_concentration_prior.*\(0.*-1"),
    "priors": ({"priors": "flat"}, "priors.*empirical.*'flat'"),
    "weights": ({"weight_concentration_prior_type": "beta"}, "prior_type.*process.*'beta'"),
    "kind": ({"covariance_type": "round"}, "covariance_type.*'round'"),
    "components": ({"n_components": 0}, r"n_components.*\[1.* 0 "),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_parameter_is_named_and_changes_nothing(case, X):
    params, message = BAD[case]
    model = VariationalGaussianMixture(2, random_state=0).fit(X)
    before = pickle.loads(pickle.dumps(model))
    with pytest.raises(ValueError, match=f"(?s){message}"):
        model.set_params(**params).fit(X)
    model.set_params(**VariationalGaussianMixture(2, random_state=0).get_params())
    assert same_state(model, before)


def test_more_components_than_rows_are_refused(X):
    with pytest.raises(ValueError, match=r"n_components=9.*n_samples=5.*lower n_components"):
        VariationalGaussianMixture(9).fit(X[:5])


# -- rows that are all but none ----------------------------------------------------------------------

rng = np.random.default_rng(0)
ODD = {
    "one row": rng.normal(size=(1, D)),
    "two rows": rng.normal(size=(2, D)),
    "a constant column": np.column_stack([rng.normal(size=(40, 2)), np.ones(40)]),
    "three rows again and again": np.repeat(rng.normal(size=(3, D)), 7, axis=0),
    "a line": rng.normal(size=(40, 1)) @ np.ones((1, D)),
    "one far row": np.concatenate([rng.normal(size=(40, D)), np.full((1, D), 1e9)]),
    "tiny": 1e-140 * rng.normal(size=(40, D)),
    "huge": 1e140 * rng.normal(size=(40, D)),
}


@pytest.mark.parametrize("table", ODD)
@every_covariance_type
@every_prior
@pytest.mark.parametrize("K", [1, 2])
def test_few_or_odd_rows_have_a_density(table, covariance_type, priors, K):
    X = ODD[table]
    params = {"covariance_type": covariance_type, "priors": priors, "random_state": 0}
    model = quietly(VariationalGaussianMixture(min(K, len(X)), **params), X)
    assert np.isfinite(model.lower_bounds_).all()
    assert (np.diff(model.lower_bounds_) >= 0).all()
    assert np.isfinite(model.score_samples(X)).all()
    assert_allclose(model.weights_.sum(), 1.0)


@every_covariance_type
@every_prior
def test_equal_rows_have_a_density(covariance_type, priors):
    X = np.repeat([[1.0, -2.0, 5.0]], 6, axis=0)
    params = {"covariance_type": covariance_type, "priors": priors, "max_iter": 100}
    model = quietly(VariationalGaussianMixture(2, **params), X)
    assert np.isfinite(model.lower_bounds_).all()
    assert model.score(X) > model.score(X + 10.0) + 1.0


@every_covariance_type
def test_a_fitted_prior_needs_some_variance_in_equal_rows(covariance_type):
    """By likelihood alone it would expect none."""
    X = np.repeat([[1.0, -2.0, 5.0]], 6, axis=0)
    params = {"covariance_type": covariance_type, "priors": "empirical", "max_iter": 100}
    small, large = (
        quietly(VariationalGaussianMixture(1, reg_covar=reg_covar, **params), X)
        for reg_covar in (1e-3, 1e-1)
    )
    assert np.max(small.covariances_) < np.max(large.covariances_)


# -- priors in other units, and going on -------------------------------------------------------------


@every_covariance_type
@every_weight_prior
def test_given_priors_move_with_the_units(covariance_type, kind, X):
    factor, offset = 1e-3, np.array([5.0, -2.0, 40.0])
    params = given(covariance_type, weight_concentration_prior_type=kind)
    plain = VariationalGaussianMixture(3, **params).fit(X)
    params["mean_prior"] = factor * params["mean_prior"] + offset
    params["covariance_prior"] = factor**2 * params["covariance_prior"]
    moved = VariationalGaussianMixture(3, **params).fit(factor * X + offset)
    jacobian = D * np.log(factor)
    assert_allclose(moved.lower_bound_ + N * jacobian, plain.lower_bound_, rtol=1e-9)
    assert_allclose(moved.score_samples(factor * X + offset) + jacobian, plain.score_samples(X))
    for name in ("mean_prior", "covariance_prior", "mean_precision_prior"):
        assert_allclose(getattr(moved, name + "_"), params[name], rtol=1e-10)


@every_variational
def test_weights_are_repetitions_and_no_order_of_rows_matters(spec):
    X, times = clouds(N, D), np.random.default_rng(1).integers(1, 4, N)
    repeated = np.repeat(X, times, axis=0)
    model = spec.new(init_params="auto").fit(X, sample_weight=times)
    for rows in (repeated, repeated[::-1]):
        again = spec.new(init_params="auto").fit(rows)
        assert_allclose(again.lower_bound_, model.lower_bound_, rtol=1e-8)
        assert_allclose(again.score_samples(X), model.score_samples(X), rtol=1e-4, atol=1e-4)


@every_weight_prior
@every_covariance_type
def test_a_warm_start_begins_with_the_posteriors(covariance_type, kind, X):
    params = {"covariance_type": covariance_type, "weight_concentration_prior_type": kind}
    model = VariationalGaussianMixture(3, warm_start=True, random_state=0, **params).fit(X)
    before = {name: getattr(model, name) for name in ("lower_bound_", *NAMES)}
    model.set_params(max_iter=0).fit(X)
    for name, value in before.items():
        assert_allclose(getattr(model, name), value, rtol=1e-10, atol=1e-12, err_msg=name)


def test_a_warm_start_may_have_another_prior(X):
    model = VariationalGaussianMixture(3, warm_start=True, random_state=0).fit(X)
    model.set_params(mean_precision_prior=4.0, weight_concentration_prior=2.0).fit(X)
    assert model.mean_precision_prior_ == pytest.approx(4.0)
    assert_allclose(model.mean_precision_.sum(), 3 * 4.0 + N)
    assert model.weight_concentration_prior_ == 2.0
    assert_allclose(model.lower_bound_, objective(model, X), rtol=1e-11)
    model.set_params(weight_concentration_prior_type=DISTRIBUTION).fit(X)
    assert_allclose(model.weight_concentration_.sum(), 3 * 2.0 + N)


@pytest.mark.parametrize("first", ["fixed", "empirical"])
@pytest.mark.parametrize("second", ["fixed", "empirical"])
def test_a_warm_start_goes_on_with_other_priors(first, second, X):
    model = VariationalGaussianMixture(3, priors=first, warm_start=True, random_state=0).fit(X)
    before = model.lower_bound_
    model.set_params(priors=second).fit(X)
    assert_allclose(model.lower_bound_, objective(model, X), rtol=1e-11)
    if second == "empirical":
        assert model.lower_bound_ >= before - 1e-9


# -- other tools -------------------------------------------------------------------------------------


def test_refits_tell_how_sure_an_estimate_is():
    X = two_clusters(60)
    model = VariationalGaussianMixture(2, random_state=0).fit(X)
    draws = bootstrap(model, X, 60, random_state=0)
    assert draws["means_"].shape == (60, 2, 2)
    assert_allclose(draws["means_"].std(axis=0), 1 / np.sqrt(60), rtol=0.4)
    assert_allclose(draws["weights_"].mean(axis=0), 0.5, atol=0.03)


def test_refits_may_fit_their_priors(X):
    model = VariationalGaussianMixture(2, priors="empirical", random_state=0).fit(X)
    draws = bootstrap(model, X, 3, random_state=0)
    assert draws["covariances_"].shape == (3, 2, D, D)
    assert_allclose(draws["means_"].mean(axis=0), model.means_, atol=1.0)


@pytest.mark.parametrize("seed", range(3))
def test_several_starts_are_no_worse_than_the_first(seed, X):
    one, more = (
        VariationalGaussianMixture(4, init_params="random", n_init=n, random_state=seed).fit(X)
        for n in (1, 4)
    )
    assert more.lower_bound_ >= one.lower_bound_


@pytest.mark.parametrize("init_params", ["auto", "kmeans", "k-means++", "random_from_data"])
def test_components_of_a_dirichlet_process_begin_with_the_largest(init_params, X):
    """Kurihara, Welling & Teh (2007): of all orders it leaves the highest bound."""
    model = VariationalGaussianMixture(4, init_params=init_params, max_iter=0, random_state=1)
    counts = model.fit(X).weight_concentration_[0] - 1
    assert (np.diff(counts) <= 0).all()


def test_a_fit_that_has_not_converged_says_so(X):
    with pytest.warns(ConvergenceWarning, match="max_iter=1"):
        VariationalGaussianMixture(4, max_iter=1, tol=1e-12, random_state=0).fit(X)
