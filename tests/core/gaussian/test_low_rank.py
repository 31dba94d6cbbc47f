"""Estimates of low rank plus noise climb, and end where no other of their structure is higher."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.optimize import minimize_scalar
from sklearn.datasets import load_iris, load_wine
from sklearn.decomposition import FactorAnalysis

from sklearn_lvm.core.factor.density import PPCADensity
from sklearn_lvm.core.factor.spectrum import Spectrum
from sklearn_lvm.core.gaussian.density import GaussianFamily
from sklearn_lvm.core.gaussian.full import Full
from sklearn_lvm.core.gaussian.low_rank import LEAST_SHARE, IsotropicLowRank, LowRank, best_noise
from sklearn_lvm.core.gaussian.low_rank_covariances import LowRankCovariances
from sklearn_lvm.core.gaussian.prior import GaussianPrior
from sklearn_lvm.core.linalg import SingularCovarianceError
from sklearn_lvm.core.mixture_em import MixtureSteps
from sklearn_lvm.inference.acceleration import ACCELERATIONS
from sklearn_lvm.inference.block_map import ThreadMap
from sklearn_lvm.inference.em import run_em
from sklearn_lvm.inference.problem import Problem

from ...helpers import Recorder
from ...laws.specs import LowRankFamily, plain_objective

FINE = {"xatol": 1e-12}
every_structure = pytest.mark.parametrize("structure", [LowRank, IsotropicLowRank])


def standardized(X):
    return (X - X.mean(axis=0)) / X.std(axis=0)


def covariance_of(X):
    return np.cov(X.T, bias=True)


def few_rows():
    """Fewer rows than features."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(7, 9)) @ rng.normal(size=(9, 9))


SCATTERS = {
    "iris": covariance_of(standardized(load_iris().data)),
    "wine": covariance_of(standardized(load_wine().data)),
    "few rows": covariance_of(few_rows()),
}
every_scatter = pytest.mark.parametrize("S", SCATTERS.values(), ids=SCATTERS.keys())


def one(structure, S, added=0.0, current=None):
    """The estimate of one covariance from a scatter of unit weight."""
    return structure.estimate(S[None], np.ones(1), np.full(len(S), added), current)


def settled(structure, S, added=0.0, n=2000, level=1e-15):
    """The estimate after many sweeps, or when these move no noise any more."""
    found = one(structure, S, added)
    for _ in range(n):
        last, found = found, one(structure, S, added, found)
        if abs(found.noise / last.noise - 1.0).max() < level:
            break
    return found


def objective(covariances, S):
    """-(log |C| + tr(inv(C) S)) / 2 from the dense matrix, in extended precision."""
    W, noise = (
        array[0].astype(np.longdouble) for array in (covariances.loadings, covariances.noise)
    )
    L = wide_cholesky(W @ W.T + np.diag(noise))
    half = np.empty_like(S, dtype=np.longdouble)
    for j in range(len(S)):  # inv(L) root(S) has the squares that the trace is of
        half[j] = (root(S)[j] - L[j, :j] @ half[:j]) / L[j, j]
    return float(-np.log(np.diagonal(L)).sum() - 0.5 * (half**2).sum())


def root(S):
    values, axes = np.linalg.eigh(S)
    return (axes * np.sqrt(np.maximum(values, 0.0))).astype(np.longdouble)


def wide_cholesky(C):
    L = np.zeros_like(C)
    for j in range(len(C)):
        L[j, j] = np.sqrt(C[j, j] - L[j, :j] @ L[j, :j])
        L[j + 1 :, j] = (C[j + 1 :, j] - L[j + 1 :, :j] @ L[j, :j]) / L[j, j]
    return L


# -- the structure ---------------------------------------------------------------------------------


def test_parameters_are_counted():
    """Rotations of the loadings are not counted."""
    assert LowRank(11, q=4).n_parameters == 11 * 4 - 6 + 11
    assert IsotropicLowRank(11, q=4).n_parameters == 11 * 4 - 6 + 1
    assert IsotropicLowRank(11, q=10).n_parameters == Full(11).n_parameters
    assert (LowRank(11).n_parameters, IsotropicLowRank(11).n_parameters) == (11, 1)
    for structure in (LowRank, IsotropicLowRank):
        assert structure(11, q=4).n_monomials == Full(11).n_parameters
        assert structure(11, q=4).unconstrained == Full(11)


# -- each step climbs ------------------------------------------------------------------------------


@every_scatter
@every_structure
@pytest.mark.parametrize("q", [0, 1, 3])
@pytest.mark.parametrize("added", [1e-6, 1e-2])
@pytest.mark.parametrize("seed", range(2))
def test_no_step_falls_wherever_it_begins(S, structure, q, added, seed):
    rng, d = np.random.default_rng(seed), len(S)
    W = rng.normal(size=(1, d, q)) * 10 ** rng.uniform(-2, 1)
    noise = np.maximum(10 ** rng.uniform(-6, 1, size=(1, d if structure.per_feature else 1)), added)
    now = LowRankCovariances(
        structure(d, q=q), W, np.broadcast_to(noise, (1, d)), np.full((1, d), added)
    )
    heights = []
    for _ in range(40):
        heights.append(objective(now, S + added * np.eye(d)))
        now = one(structure(d, q=q), S, added, now)
    assert (np.diff(heights) >= -1e-13 * np.abs(heights[1:])).all()
    assert heights[-1] > heights[0]


def test_each_noise_is_at_its_own_maximum_given_the_rest():
    """One entry after the other, by a search along each with dense matrices."""
    rng, S, W = np.random.default_rng(0), SCATTERS["iris"], np.array([[0.5, 0.1, 0.9, 0.8]]).T
    noise = rng.uniform(0.2, 2.0, size=4)
    start = LowRankCovariances(LowRank(4, q=1), W[None], noise[None], np.full((1, 4), 0.3))
    found = best_noise(S[None], start)[0]

    def cost(x, j):
        C = W @ W.T + np.diag(np.where(np.arange(4) == j, np.exp(x), noise))
        return np.linalg.slogdet(C)[1] + np.trace(np.linalg.solve(C, S))

    for j in range(4):
        bounds = np.log([0.3, 20.0])
        best = minimize_scalar(cost, args=(j,), bounds=bounds, method="bounded", options=FINE)
        noise[j] = np.exp(best.x)
        assert_allclose(found[j], noise[j], rtol=1e-5)
    assert (found == 0.3).any()
    assert (found > 0.31).any()


@every_structure
def test_a_step_changes_nothing_at_the_top(structure):
    S = SCATTERS["iris"]
    top = settled(structure(4, q=1), S)
    again = one(structure(4, q=1), S, 0.0, top)
    assert_allclose(again.scatter, top.scatter, rtol=1e-12, atol=1e-13)


@every_structure
@pytest.mark.parametrize(("name", "q"), [("iris", 1), ("wine", 3), ("wine", 5), ("few rows", 2)])
def test_none_of_the_structure_is_higher_nearby(structure, name, q):
    """Wine with five factors and few rows have noise at the floor."""
    S, added, rng = SCATTERS[name], 1e-3, np.random.default_rng(0)
    top = settled(structure(len(S), q=q), S, added)
    at, raised = top.to_coordinates(top), S + added * np.eye(len(S))
    height = objective(top, raised)
    for size in (1e-2, 1e-3, 1e-4):
        for _ in range(10):
            near = top.from_coordinates(at + size * rng.normal(size=at.shape))
            assert objective(near, raised) < height


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("name", "q", "left"), [("wine", 1, 1e-6), ("wine", 2, 1e-6), ("iris", 1, 1e-3)]
)
def test_factor_analysis_has_the_likelihood_of_scikit_learn(name, q, left):
    """Or a little more: in iris its EM has far to go, since the noise of one column tends to zero."""
    X = standardized({"iris": load_iris, "wine": load_wine}[name]().data)
    S = SCATTERS[name]
    top = settled(LowRank(len(S), q=q), S)
    mean = -0.5 * len(S) * np.log(2 * np.pi) + objective(top, S)
    plain = FactorAnalysis(q, tol=1e-8, max_iter=1500, svd_method="lapack").fit(X).score(X)
    assert -1e-10 <= mean - plain <= left


def test_what_has_this_form_is_found_again():
    rng = np.random.default_rng(0)
    W, noise = rng.normal(size=(2, 8, 2)), rng.uniform(0.5, 1.5, size=(2, 8))
    C = W @ W.mT + noise[:, :, None] * np.eye(8)
    for found in (
        LowRank(8, q=2).from_public(C),
        LowRank(8, q=2).from_public_precision(np.linalg.inv(C)),
    ):
        assert_allclose(found.scatter, C, rtol=1e-9, atol=1e-10)
        assert_allclose(found.noise, noise, rtol=1e-9)


# -- where the answer is known ---------------------------------------------------------------------


@every_scatter
@pytest.mark.parametrize("q", [0, 1, 2])
def test_one_common_noise_is_probabilistic_pca(S, q):
    """The closed form of Tipping & Bishop, and the package's density of it."""
    d = len(S)
    found = one(IsotropicLowRank(d, q=q), S)
    values = np.linalg.eigvalsh(S)[::-1]
    assert_allclose(found.noise, values[q:].mean(), rtol=1e-12)
    plain = PPCADensity.from_spectrum(Spectrum.from_covariance(np.zeros(d), S, q), q)
    assert_allclose(found.scatter[0], plain.covariance(), rtol=1e-10, atol=1e-12)
    assert_allclose(np.linalg.norm(found.loadings[0], axis=0), plain.loading_norms, rtol=1e-10)


def test_one_common_noise_does_not_ask_where_it_was():
    S = SCATTERS["wine"]
    structure = IsotropicLowRank(13, q=2)
    start = replace(one(structure, S), noise=np.full((1, 13), 9.0))
    assert_array_equal(one(structure, S, 0.0, start).scatter, one(structure, S).scatter)


@pytest.mark.parametrize("name", ["iris", "wine"])
def test_all_factors_but_one_are_a_full_covariance(name):
    S = SCATTERS[name]
    d = len(S)
    assert_allclose(one(IsotropicLowRank(d, q=d - 1), S).scatter[0], S, rtol=1e-11, atol=1e-12)


@every_scatter
def test_no_factors_are_independent_features(S):
    d, variance = len(S), np.diag(S)
    assert_allclose(one(LowRank(d, q=0), S).noise[0], variance, rtol=1e-13)
    assert_allclose(one(IsotropicLowRank(d, q=0), S).noise[0], variance.mean(), rtol=1e-12)


@every_structure
def test_a_scatter_of_lower_rank_has_fewer_factors(structure):
    """What is beyond one direction is noise alone, and its columns are zero."""
    w = np.array([1.0, 2.0, -1.0, 0.5, 3.0])
    S = np.outer(w, w) + 0.3 * np.eye(5)
    found = one(structure(5, q=3), S)
    norms = np.linalg.norm(found.loadings[0], axis=0)
    if structure is LowRank:  # what is explained otherwise too is not zero
        found = settled(structure(5, q=3), S)
    else:
        assert_allclose(norms[1:], 0.0, atol=1e-7)
    assert_allclose(found.scatter[0], S, rtol=1e-6, atol=1e-6)


@every_structure
def test_fewer_rows_than_factors(structure):
    """Two rows are one direction; noise is what is added."""
    rng = np.random.default_rng(0)
    S, added = covariance_of(rng.normal(size=(2, 6))), 1e-3
    found = settled(structure(6, q=3), S, added)
    assert np.linalg.matrix_rank(found.loadings[0], tol=1e-6) == 1
    assert_allclose(found.noise, added, rtol=1e-9)
    assert found.at_floor.all()
    assert_allclose(found.scatter[0], S + added * np.eye(6), rtol=1e-8, atol=1e-9)


@every_structure
@pytest.mark.parametrize("added", [0.0, 0.3])
def test_no_data_keeps_the_unit_covariance(structure, added):
    scatter = np.stack([np.zeros((4, 4)), SCATTERS["iris"]])
    first = structure(4, q=2).estimate(scatter, np.array([0.0, 1.0]), np.full(4, added))
    later = structure(4, q=2).estimate(scatter, np.array([0.0, 1.0]), np.full(4, added), first)
    for found in (first, later):
        assert_allclose(found.scatter[0], (1.0 + added) * np.eye(4), rtol=1e-12, atol=1e-12)


@every_structure
def test_several_components_are_each_as_if_alone(structure):
    rng = np.random.default_rng(0)
    R = rng.normal(size=(3, 5, 30)) * rng.uniform(0.1, 3.0, size=(3, 5, 1))
    scatter, dof, added = R @ R.mT, np.array([30.0, 7.0, 0.5]), np.full(5, 0.01)
    keeps = structure(5, q=2)
    first = keeps.estimate(scatter, dof, added)
    later = keeps.estimate(scatter, dof, added, first)
    for k in range(3):
        own = scatter[[k]], dof[[k]], added
        for found, alone in [
            (first, keeps.estimate(*own)),
            (later, keeps.estimate(*own, first.subset(np.array([k])))),
        ]:
            assert_allclose(found.scatter[k], alone.scatter[0], rtol=1e-10, atol=1e-12)


@every_structure
@pytest.mark.parametrize("unit", [1e-60, 1.0, 1e60])
def test_units(structure, unit):
    """Any of each column, or one for all."""
    S, rng = SCATTERS["wine"], np.random.default_rng(0)
    s = rng.uniform(0.1, 10.0, 13) if structure.per_feature else np.full(13, 3.0)
    plain = settled(structure(13, q=3), S, n=20)
    moved = settled(structure(13, q=3), S * np.outer(s, s) * unit**2, n=20)
    assert_allclose(
        moved.scatter[0] / unit**2 / np.outer(s, s), plain.scatter[0], rtol=1e-8, atol=1e-9
    )


# -- floors and failures ---------------------------------------------------------------------------


@every_scatter
@pytest.mark.parametrize("added", [0.0, 1e-6, 1e-2])
def test_noise_never_falls_below_its_floor(S, added):
    found = settled(LowRank(len(S), q=len(S) // 2), S, added, n=60)
    least = np.maximum(added, LEAST_SHARE * (np.diag(S) + added))
    assert (found.noise >= least).all()
    assert_array_equal(found.least_noise[0], least)
    assert_array_equal(found.at_floor, found.noise <= least * (1 + 1e-9))


def test_the_floor_is_reached_in_wine():
    """A Heywood case: some of the noise is what was added, and no more."""
    found = settled(LowRank(13, q=5), SCATTERS["wine"], 1e-6, n=300)
    assert found.at_floor.any()
    assert not found.at_floor.all()
    assert_array_equal(found.noise[found.at_floor], 1e-6)


def test_a_feature_without_any_variance_is_named():
    S = np.stack([SCATTERS["iris"], SCATTERS["iris"]])
    S[1, 2] = S[1, :, 2] = 0.0
    with pytest.raises(SingularCovarianceError) as raised:
        LowRank(4, q=1).estimate(S, np.ones(2), np.zeros(4))
    assert (raised.value.component, raised.value.features) == (1, (2,))


def test_one_common_noise_needs_some():
    """More factors than directions leave none, which is refused."""
    S = np.stack([SCATTERS["iris"], np.outer(np.ones(4), np.ones(4))])
    with pytest.raises(SingularCovarianceError) as raised:
        IsotropicLowRank(4, q=1).estimate(S, np.ones(2), np.zeros(4))
    assert raised.value.component == 1
    assert_allclose(one(IsotropicLowRank(4, q=1), S[1], 0.5).noise, 0.5)


# -- mixtures --------------------------------------------------------------------------------------


def mixture_problem(structure, q, added, strength):
    """Steps of a mixture of three in wine, a start, rows and weights."""
    X, rng = standardized(load_wine().data)[:, :6], np.random.default_rng(0)
    family = LowRankFamily(structure, False, q)
    prior = None
    if strength:
        scatter = strength * 0.3 * np.eye(6)[None]
        prior = GaussianPrior(family.of(6), scatter, np.array([strength]), np.zeros(6))
    steps = MixtureSteps(GaussianFamily(family.of(6), np.full(6, added), prior))
    resp = rng.dirichlet(np.ones(3), len(X)).T
    start = steps.m_step(steps.family.statistics(X.T, resp))
    return family, steps, start, X


def heights(family, steps, models, X, added):
    """Of models, by scipy; the prior's part by dense matrices."""
    w = np.ones(len(X))
    return [
        plain_objective(family, model, X, w, added) + plain_prior(steps, model, added) / len(X)
        for model in models
    ]


def plain_prior(steps, model, added):
    """-(A log |C| + tr(inv(C) (S0 + A E))) / 2 of each covariance."""
    prior, C = steps.family.prior, model.components.covariance.scatter
    if prior is None:
        return 0.0
    amount = prior.scatter + prior.strength[0] * added * np.eye(C.shape[1])
    traces = np.trace(np.linalg.solve(C, amount), axis1=1, axis2=2)
    return -0.5 * (prior.strength[0] * np.linalg.slogdet(C)[1] + traces).sum()


every_problem = pytest.mark.parametrize(
    ("q", "added", "strength"), [(2, 1e-6, 0.0), (3, 1e-3, 0.0), (2, 1e-6, 5.0)]
)


@every_structure
@every_problem
def test_plain_steps_of_a_mixture_never_fall(structure, q, added, strength):
    """The steps themselves: a run would end at a fall, and not show it."""
    family, steps, model, X = mixture_problem(structure, q, added, strength)
    models = [model]
    with ThreadMap() as block_map:
        problem = Problem(steps, [(np.ascontiguousarray(X.T), np.ones(len(X)))], block_map)
        for _ in range(80):
            models.append(problem.evaluate(models[-1]).following)
    found = np.array(heights(family, steps, models, X, added))
    assert (np.diff(found) > -1e-13 * np.abs(found[1:]) - 1e-13).all()
    assert found[-1] > found[0]


@every_structure
@every_problem
@pytest.mark.parametrize("acceleration", ACCELERATIONS)
def test_runs_never_fall_and_end_level(structure, q, added, strength, acceleration):
    family, steps, start, X = mixture_problem(structure, q, added, strength)
    seen = Recorder()
    with ThreadMap() as block_map:
        problem = Problem(steps, [(np.ascontiguousarray(X.T), np.ones(len(X)))], block_map)
        end = run_em(
            problem, start, tol=1e-7, max_iter=3000, acceleration=acceleration, callback=seen
        )
    models = [state.model for state in (seen.begun[0], *seen.ended)]
    found = heights(family, steps, models, X, added)
    assert end.converged
    assert (np.diff(found) > -1e-11).all()
    assert_allclose(end.trace[0] - end.objective, found[0] - found[-1], rtol=0, atol=1e-9)
    covariance = end.model.components.covariance
    assert (covariance.noise >= covariance.least_noise).all()
    if structure is IsotropicLowRank:
        assert np.ptp(covariance.noise, axis=1).max() == 0.0
