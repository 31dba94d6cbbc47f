"""Projected moments tell of low-rank covariances what whole scatters do, without any d x d matrix."""

import pickle
import tracemalloc

import numpy as np
import pytest

from sklearn_lvm.core.gaussian.density import GaussianFamily, Gaussians
from sklearn_lvm.core.gaussian.diagonal import Diagonal
from sklearn_lvm.core.gaussian.kernels import ResidualKernel
from sklearn_lvm.core.gaussian.low_rank import IsotropicLowRank, LowRank
from sklearn_lvm.core.gaussian.low_rank_covariances import LowRankCovariances
from sklearn_lvm.core.gaussian.missing import IncompleteRows, Reference
from sklearn_lvm.core.gaussian.moments import Moments
from sklearn_lvm.core.gaussian.prior import GaussianPrior
from sklearn_lvm.core.gaussian.projected import family_of
from sklearn_lvm.core.gaussian.projected_kernel import ProjectedKernel
from sklearn_lvm.core.mixture_em import MixtureSteps

KINDS = [LowRank, IsotropicLowRank]
K, D, Q = 3, 7, 2


def covariances(kind, rng, *, projected, d=D, q=Q, n=K):
    noise = rng.uniform(0.1, 2.0, (n, d))
    structure = kind(d, q=q, projected=projected)
    noise = structure.shared_noise(noise)
    return LowRankCovariances(structure, rng.normal(size=(n, d, q)), noise, 1e-6 * noise)


def gaussians(kind, seed, *, projected):
    rng = np.random.RandomState(seed)
    return Gaussians(rng.normal(size=(K, D)), covariances(kind, rng, projected=projected))


def prior_of(structure, strength=2.0):
    scatter = strength * structure.of_variances(np.linspace(0.5, 1.5, structure.d))
    return GaussianPrior(structure, scatter, np.array([strength]), np.full(structure.d, 0.1), 0.5)


def clustered(n, rng, d=D, q=Q):
    labels = np.arange(n) % K
    W, center = rng.normal(size=(K, d, q)), 2.0 * rng.normal(size=(K, d))
    latent = rng.normal(size=(n, q))
    return (
        np.einsum("ndq,nq->dn", W[labels], latent)
        + (center[labels] + rng.normal(size=(n, d)) * rng.uniform(0.2, 1.0, d)).T
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("noise", [1.0, 1e-3])
def test_the_kernel_is_that_of_whole_matrices(kind, noise):
    rng = np.random.RandomState(0)
    C = covariances(kind, rng, projected=True).rescale(np.full(D, 1.0))
    C = LowRankCovariances(C.structure, C.loadings, noise * C.noise, C.least_noise)
    mean, rows, resp = rng.normal(size=(K, D)), rng.normal(size=(D, 40)), rng.uniform(size=(K, 40))
    whole = LowRankCovariances(kind(D, q=Q), C.loadings, C.noise, C.least_noise)
    ours, theirs = (
        ProjectedKernel(mean, C, np.zeros(K)),
        ResidualKernel.of(mean, whole, np.zeros(K)),
    )
    features, of_whole = ours.features(rows), theirs.features(rows)
    np.testing.assert_allclose(ours.log_prob(features), theirs.log_prob(of_whole), rtol=1e-9)
    known = theirs.statistics(theirs.accumulate(of_whole, resp))
    parts = [
        ours.accumulate(ours.features(rows[:, s]), resp[:, s]) for s in np.split(np.arange(40), 4)
    ]
    found = ours.statistics(tuple(map(sum, zip(*parts, strict=True))))
    np.testing.assert_allclose(found.weight, known.weight)
    np.testing.assert_allclose(found.mean, known.mean, rtol=1e-9, atol=1e-12)
    diagonal = np.diagonal(known.scatter, axis1=1, axis2=2)
    np.testing.assert_allclose(found.scatter, diagonal, rtol=1e-9)
    unit = found.deviation[:, :, None] * found.deviation[:, None, :]
    np.testing.assert_allclose(
        found.projected, known.scatter / unit @ found.axes, rtol=1e-8, atol=1e-9
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_prior_adds_what_its_matrix_would(kind):
    components = gaussians(kind, 1, projected=True)
    rng, structure = np.random.RandomState(2), components.covariance.structure
    kernel = components.kernel(np.zeros(K))
    rows, resp = rng.normal(size=(D, 30)), rng.uniform(size=(K, 30))
    found = kernel.statistics(kernel.accumulate(kernel.features(rows), resp))
    known = found + prior_of(structure).moments
    whole = Moments.of(rows, resp, kind(D, q=Q)) + prior_of(kind(D, q=Q)).moments
    np.testing.assert_allclose(known.mean, whole.mean, atol=1e-12)
    np.testing.assert_allclose(
        known.scatter, np.diagonal(whole.scatter, axis1=1, axis2=2), rtol=1e-9
    )
    unit = known.deviation[:, :, None] * known.deviation[:, None, :]
    np.testing.assert_allclose(known.projected, whole.scatter / unit @ known.axes, atol=1e-9)


def objective(steps, model, block):
    step = steps.e_step(model)
    total = step(block)
    return total.log_likelihood + steps.log_prior(model), step.statistics(total)


def climb(steps, block, model, n_steps):
    """Objectives of plain EM steps, per row, and the last model."""
    found = []
    for _ in range(n_steps):
        value, statistics = objective(steps, model, block)
        found.append(value / block[1].sum())
        model = steps.m_step(statistics, model)
    return np.array(found), model


def steps_of(kind, *, projected, prior, d=D):
    structure = kind(d, q=Q, projected=projected)
    family = family_of(structure, np.full(d, 1e-6))
    known = GaussianFamily if not projected else type(family)
    return MixtureSteps(
        known(structure, family.added_variance, prior_of(structure) if prior else None)
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prior", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_no_step_falls(kind, prior, seed):
    rng = np.random.RandomState(seed)
    rows = clustered(60, rng)
    steps = steps_of(kind, projected=True, prior=prior)
    start = steps.m_step(steps.family.statistics(rows, rng.dirichlet(np.ones(K), 60).T))
    trace, _ = climb(steps, (rows, np.ones(60)), start, 150)
    assert np.diff(trace).min() > -1e-12
    assert trace[-1] > trace[0] + 0.1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prior", [False, True])
def test_it_climbs_to_the_top_of_whole_scatters(kind, prior):
    rng, d = np.random.RandomState(3), 25
    rows, resp = clustered(300, rng, d), np.eye(K)[:, np.arange(300) % K]
    tops = []
    for projected in (False, True):
        steps = steps_of(kind, projected=projected, prior=prior, d=d)
        start = steps.m_step(steps.family.statistics(rows, resp))
        trace, _ = climb(steps, (rows, np.ones(300)), start, 400)
        tops.append(trace[-1])
    assert tops[1] == pytest.approx(tops[0], abs=1e-9)


def test_the_start_has_the_principal_axes():
    rng = np.random.RandomState(4)
    rows, resp = clustered(200, rng), np.eye(K)[:, np.arange(200) % K]
    structure = LowRank(D, q=Q, projected=True)
    found = family_of(structure, np.zeros(D)).statistics(rows, resp)
    whole = Moments.of(rows, resp, LowRank(D, q=Q))
    unit = found.deviation[:, :, None] * found.deviation[:, None, :]
    S = whole.scatter / unit
    np.testing.assert_allclose(found.projected, S @ found.axes, atol=1e-8)
    top = np.linalg.eigvalsh(S)[:, -Q:].sum(axis=1)
    np.testing.assert_allclose(np.einsum("kdp,kdp->k", found.axes, found.projected), top, rtol=1e-6)


def test_a_component_without_rows_keeps_the_unit_covariance():
    rows, resp = clustered(40, np.random.RandomState(5)), np.zeros((2, 40))
    resp[0] = 1.0
    family = family_of(LowRank(D, q=Q, projected=True), np.zeros(D))
    C = family.estimate(family.statistics(rows, resp)).covariance
    np.testing.assert_array_equal(C.loadings[1], 0.0)
    np.testing.assert_array_equal(C.noise[1], 1.0)


def test_moments_are_repeated_and_chosen():
    rows, resp = clustered(40, np.random.RandomState(6)), np.eye(K)[:, np.arange(40) % K]
    family = family_of(LowRank(D, q=Q, projected=True), np.zeros(D))
    moments = family.statistics(rows, resp)
    twice, last = family.estimate(moments.tiled(2)), family.estimate(moments.subset(np.array([2])))
    once = family.estimate(moments)
    np.testing.assert_allclose(twice.covariance.loadings[K + 2], once.covariance.loadings[2])
    np.testing.assert_allclose(last.covariance.noise[0], once.covariance.noise[2])


def test_no_matrix_of_all_features_is_formed():
    d, n = 3000, 60
    rng = np.random.RandomState(7)
    rows = rng.normal(size=(d, n))
    resp = np.eye(K)[:, np.arange(n) % K]
    structure = LowRank(d, q=Q, projected=True)
    family = family_of(structure, np.full(d, 1e-6))
    steps = MixtureSteps(type(family)(structure, family.added_variance, prior_of(structure)))
    tracemalloc.start()
    model = steps.m_step(steps.family.statistics(rows, resp))
    trace, model = climb(steps, (rows, np.ones(n)), model, 3)
    coordinates = steps.coordinates(model)
    coordinates.model(coordinates.vector(model), model)
    size = len(pickle.dumps(model))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.isfinite(trace).all()
    assert peak < d * d * 8 / 2
    assert size < 2 * 8 * K * d * (Q + 3)


# -- missing entries -----------------------------------------------------------------------------------


def incomplete_rows(n, rng):
    rows = 2.0 * rng.normal(size=(D, n))
    rows[rng.uniform(size=rows.shape) < 0.4] = np.nan
    rows[:, 0] = np.nan
    rows[:, 1] = np.nan_to_num(rows[:, 1])
    return rows


def pair(kind, seed):
    """The same Gaussians, projected and not."""
    ours = gaussians(kind, seed, projected=True)
    C = ours.covariance
    return ours, Gaussians(
        ours.mean, LowRankCovariances(kind(D, q=Q), C.loadings, C.noise, C.least_noise)
    )


@pytest.mark.parametrize("kind", KINDS)
def test_incomplete_rows_score_and_add_as_under_whole_matrices(kind):
    ours, theirs = (components.kernel(np.log([0.2, 0.3, 0.5])) for components in pair(kind, 8))
    rng = np.random.RandomState(9)
    rows, resp = IncompleteRows.of(incomplete_rows(50, rng)), rng.uniform(size=(K, 50))
    features, of_whole = ours.features(rows), theirs.features(rows)
    np.testing.assert_allclose(ours.log_prob(features), theirs.log_prob(of_whole), rtol=1e-10)
    found = ours.statistics(ours.accumulate(features, resp))
    known = theirs.statistics(theirs.accumulate(of_whole, resp))
    np.testing.assert_allclose(found.mean, known.mean, atol=1e-10)
    np.testing.assert_allclose(
        found.scatter, np.diagonal(known.scatter, axis1=1, axis2=2), rtol=1e-9
    )
    unit = found.deviation[:, :, None] * found.deviation[:, None, :]
    np.testing.assert_allclose(found.projected, known.scatter / unit @ found.axes, atol=1e-8)


@pytest.mark.parametrize("kind", KINDS)
def test_missing_entries_are_expected_as_under_whole_matrices(kind):
    ours, theirs = pair(kind, 10)
    rows = IncompleteRows.of(incomplete_rows(30, np.random.RandomState(11)))
    found, known = ours.conditionals(rows), theirs.conditionals(rows)
    np.testing.assert_allclose(found.mean, known.mean, atol=1e-10)
    np.testing.assert_allclose(found.square, known.square, atol=1e-10)


@pytest.mark.parametrize("kind", KINDS)
def test_draws_have_the_conditional_moments(kind):
    ours, _ = pair(kind, 12)
    one, n = ours.subset(np.array([0])), 40_000
    row = np.array([1.0, np.nan, np.nan, -1.0, np.nan, 0.5, np.nan])
    rows = np.repeat(row[:, None], n, axis=1)
    drawn = one.draw_missing(IncompleteRows.of(rows), np.zeros(n, int), np.random.RandomState(13))
    np.testing.assert_array_equal(drawn[:, [0, 3, 5]], rows.T[:, [0, 3, 5]])
    C, missing = one.covariance.scatter[0], [1, 2, 4, 6]
    _, others = one.conditional(np.array([0, 3, 5]), row[[0, 3, 5]])
    size = np.sqrt(np.diagonal(C)[missing])
    np.testing.assert_allclose(
        (drawn[:, missing].mean(axis=0) - others.mean[0]) / size, 0.0, atol=0.02
    )
    spread = np.cov(drawn[:, missing].T) - others.covariance.scatter[0]
    np.testing.assert_allclose(spread / np.outer(size, size), 0.0, atol=0.02)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prior", [False, True])
def test_no_step_on_incomplete_rows_falls(kind, prior):
    rng, d = np.random.RandomState(14), D
    rows = clustered(80, rng)
    rows[rng.uniform(size=rows.shape) < 0.25] = np.nan
    reference = Reference(np.zeros((1, d)), Diagonal(d).from_public(np.full((1, d), 4.0)))
    block = IncompleteRows.of(rows, reference)
    steps = steps_of(kind, projected=True, prior=prior)
    start = steps.m_step(steps.family.statistics(block, rng.dirichlet(np.ones(K), 80).T))
    trace, _ = climb(steps, (block, np.ones(80)), start, 150)
    assert np.diff(trace).min() > -1e-12
    assert trace[-1] > trace[0] + 0.1
