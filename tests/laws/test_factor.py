"""The linear-Gaussian model: its posterior, its EM, its lens, and what streams leave of it."""

from math import lgamma

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy import sparse
from scipy.stats import multivariate_normal

from sklearn_lvm.core import centred
from sklearn_lvm.core.centred import CentredRows, Slab
from sklearn_lvm.core.dimension import bic, evidence
from sklearn_lvm.core.factor.density import Factor, FactorLens
from sklearn_lvm.core.factor.lanczos import Operator, leading
from sklearn_lvm.core.loadings import FactorSteps, Loadings
from sklearn_lvm.core.spectrum import Spectrum, of_covariance, of_pieces, triangular
from sklearn_lvm.core.stream import Scatter, Sketch
from sklearn_lvm.inference.acceleration import ACCELERATIONS
from sklearn_lvm.inference.block_map import ThreadMap
from sklearn_lvm.inference.em import climb

from .specs import seeds

N, D, Q = 60, 5, 2


def scene(seed, n=N, d=D, q=Q):
    """Centred rows (n, d), weights of sum 1, and a start."""
    rng = np.random.default_rng(seed)
    V = rng.normal(size=(n, q)) @ rng.normal(size=(q, d)) * 2 + rng.normal(size=(n, d))
    w = rng.dirichlet(np.full(n, 5.0))
    return V - w @ V, w, Loadings(rng.normal(size=(d, q)), float(rng.uniform(0.2, 3.0)))


def density(model):
    d = len(model.W)
    return multivariate_normal(np.zeros(d), model.W @ model.W.T + model.noise * np.eye(d))


def expect(model, V, w):
    return FactorSteps().e_step(model)(Slab(V, None, w))


# -- expectation-maximisation ------------------------------------------------------------------------


@given(seed=seeds)
def test_an_e_step_is_the_posterior_of_the_joint_gaussian(seed):
    V, w, model = scene(seed)
    gain = np.linalg.solve(model.W @ model.W.T + model.noise * np.eye(D), model.W).T
    u, spread = V @ gain.T, np.eye(Q) - gain @ model.W
    found = expect(model, V, w)
    assert_allclose(found.cross, (u * w[:, None]).T @ V, atol=1e-9)
    assert_allclose(found.second, (u * w[:, None]).T @ u + w.sum() * spread, atol=1e-9)
    assert_allclose(found.objective, w @ density(model).logpdf(V) / w.sum(), rtol=1e-10)


@given(seed=seeds)
def test_an_m_step_is_stationary(seed):
    """No loadings, noise or prior nearby make the expected log-likelihood larger."""
    V, w, model = scene(seed)
    latent = expect(model, V, w)
    best = FactorSteps().m_step(latent)
    prior = latent.second / latent.weight
    W = best.W @ np.linalg.inv(np.linalg.cholesky(prior))

    def expected(W, noise, prior):
        square = latent.square - 2 * np.sum(latent.cross.T * W) + np.sum((W.T @ W) * latent.second)
        rows = D * np.log(noise) * latent.weight + square / noise
        unseen = np.linalg.slogdet(prior)[1] * latent.weight
        return -0.5 * (rows + unseen + np.trace(np.linalg.solve(prior, latent.second)))

    top = expected(W, best.noise, prior)
    rng = np.random.default_rng(seed)
    for _ in range(5):
        step = 1e-3 * rng.normal(size=W.shape)
        assert expected(W + step, best.noise, prior) < top
        assert expected(W, best.noise * np.exp(step[0, 0]), prior) < top
        assert expected(W, best.noise, prior * np.exp(step[0, 0])) < top


@pytest.mark.parametrize("acceleration", ACCELERATIONS)
@given(seed=seeds)
def test_the_objective_never_falls(acceleration, seed):
    V, w, start = scene(seed)
    blocks = [Slab(V[:25], None, w[:25]), Slab(V[25:], None, w[25:])]
    with ThreadMap() as block_map:
        run = climb(
            FactorSteps(), start, blocks, block_map, max_iter=15, tol=0.0, acceleration=acceleration
        )
    assert (np.diff(run.trace) >= 0).all()
    assert_allclose(run.objective, w @ density(run.model).logpdf(V), rtol=1e-9)
    assert run.objective > run.trace[0]


@given(seed=seeds, slices_of=st.integers(1, N - 1))
def test_expectations_of_blocks_add_up(seed, slices_of):
    V, w, model = scene(seed)
    whole = expect(model, V, w)
    parts = expect(model, V[slices_of:], w[slices_of:]) + expect(
        model, V[:slices_of], w[:slices_of]
    )
    for name, value in vars(whole).items():
        assert_allclose(getattr(parts, name), value, rtol=1e-10, atol=1e-12)


def test_leaps_reach_the_closed_form_in_fewer_steps():
    """Among directions that hardly stand out EM is slow."""
    rng = np.random.default_rng(0)
    V, w = rng.normal(size=(300, 12)) * np.linspace(1.2, 1.0, 12), np.full(300, 1 / 300)
    V, start = V - V.mean(axis=0), Loadings(rng.normal(size=(12, 4)), 1.0)
    steps, ends = FactorSteps(), {}
    with ThreadMap() as block_map:
        for acceleration in ACCELERATIONS:
            options = {"max_iter": 20_000, "tol": 1e-10, "acceleration": acceleration}
            ends[acceleration] = climb(steps, start, [Slab(V, None, w)], block_map, **options)
    exact = Factor.of(of_covariance(np.zeros(12), (V.T * w) @ V, 12), 4).height
    for end in ends.values():
        assert_allclose(end.objective, exact, rtol=0, atol=1e-8)
    assert ends["squarem"].n_iter < 0.7 * ends[None].n_iter


@given(seed=seeds)
def test_coordinates_bring_a_model_back(seed):
    _, _, model = scene(seed)
    axes = FactorSteps().coordinates(model)
    again = axes.model(axes.vector(model), like=model)
    assert_allclose(again.W, model.W, rtol=1e-13)
    assert_allclose(again.noise, model.noise, rtol=1e-13)


# -- the density -------------------------------------------------------------------------------------


def some_factor(seed, d=D, q=Q):
    _, _, model = scene(seed, d=d, q=q)
    return Factor.of(model.spectrum(np.random.default_rng(seed).normal(size=d)), q)


@given(seed=seeds, scale=st.sampled_from([1.0, 2.0**-20, 2.0**30]))
def test_both_forms_of_the_lens_are_the_density(seed, scale):
    factor = some_factor(seed)
    rng = np.random.default_rng(seed)
    center, X = rng.normal(size=D) * scale, rng.normal(size=(20, D)) * 3 * scale
    lens = FactorLens(factor, center, scale)
    Z = (X - center) / scale
    expected = multivariate_normal(factor.mean, factor.covariance()).logpdf(Z)
    assert_allclose(lens.log_prob_direct(X), expected, rtol=1e-7)
    assert_allclose(lens.log_prob_careful(X), expected, rtol=1e-8)
    assert_allclose(lens.latent_direct(X), lens.latent_careful(X), atol=1e-9)
    assert_allclose(lens.log_prob_direct(sparse.csr_matrix(X)), expected, rtol=1e-7)


@given(seed=seeds)
def test_covariance_precision_and_determinant_agree(seed):
    factor = some_factor(seed)
    C = factor.covariance()
    assert_allclose(C, factor.loadings @ factor.loadings.T + factor.noise * np.eye(D), rtol=1e-9)
    assert_allclose(C @ factor.precision(), np.eye(D), atol=1e-8)
    assert_allclose(factor.log_det, np.linalg.slogdet(C)[1], rtol=1e-9)


# -- rows --------------------------------------------------------------------------------------------


@given(seed=seeds)
def test_slabs_are_their_rows_however_they_are_kept(seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(9, D)) * rng.integers(0, 2, (9, D))
    c, w = rng.normal(size=D), rng.uniform(size=9)
    A, R, V = rng.normal(size=(3, D)), rng.normal(size=(3, 9)), X - c
    for slab in (Slab(X, c, w), Slab(sparse.csr_matrix(X), c, w), Slab(V, None, w)):
        assert_allclose(slab.project(A), A @ V.T, atol=1e-12)
        assert_allclose(slab.gather(R), R @ V, atol=1e-12)
        assert_allclose(slab.squares(), (V**2).sum(axis=1), atol=1e-12)
        assert_allclose(slab.form(A), (A @ V.T * w) @ V @ A.T, atol=1e-12)


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix])
@pytest.mark.parametrize("offset", [0.0, 1e5])
def test_rows_are_centred(kind, offset):
    rng = np.random.default_rng(0)
    X, w = rng.normal(size=(50, D)) + offset, rng.dirichlet(np.ones(50))
    with ThreadMap() as block_map:
        rows = CentredRows.of(kind(X), w, block_map)
        covariance = rows.covariance(block_map)
    assert (rows.remote < np.inf) == (offset == 0)
    assert_allclose(covariance, np.cov(X.T, aweights=w, bias=True), atol=1e-12 * (1 + offset))
    assert_allclose(rows.standardization.leave(rows.mean), w @ X, rtol=1e-13, atol=1e-15)
    factor = triangular(rows.long_side())
    assert_allclose(factor.T @ factor, covariance, atol=1e-10)


def test_representatives_are_drawn_from_content_by_weight():
    rng = np.random.default_rng(0)
    X, times = rng.normal(size=(40, D)), rng.integers(1, 4, 40)
    order = rng.permutation(times.sum())
    with ThreadMap() as block_map:
        weighted = CentredRows.of(X, times / times.sum(), block_map)
        copies = np.repeat(X, times, axis=0)[order]
        repeated = CentredRows.of(copies, np.full(len(copies), 1 / len(copies)), block_map)
    one, other = X[weighted.representatives(15)], copies[repeated.representatives(15)]
    assert_allclose(one, other)
    assert len(np.unique(one, axis=0)) > 8


# -- spectra -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(30, 8), (8, 30)])
def test_singular_values_are_those_of_the_covariance(shape):
    n, d = shape
    V, w, _ = scene(0, n, d)
    rows = V * np.sqrt(w)[:, None]
    pieces = np.array_split(rows if n >= d else rows.T, 3)
    found = of_pieces(np.zeros(d), pieces, n, lambda R: R @ rows, np.zeros(d))
    exact = of_covariance(np.zeros(d), rows.T @ rows, d)
    rank = min(n - 1, d)
    assert found.rank == exact.rank == rank
    assert_allclose(found.variance[:rank], exact.variance[:rank], rtol=1e-9)
    assert_allclose(np.abs(found.axes[:rank] @ exact.axes[:rank].T), np.eye(rank), atol=1e-7)
    assert_allclose(found.total, exact.total, rtol=1e-12)


@given(seed=seeds)
def test_leading_eigenpairs_are_those_of_the_matrix(seed):
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(60, 60)) * 0.9 ** np.arange(60)
    C = A.T @ A
    operator = Operator(lambda V: V @ C, lambda V: V @ C @ V.T)
    options = {"tol": 1e-9, "max_iter": 200}
    found = leading(operator, rng.normal(size=(8, 60)), 4, lambda v: np.ones(4), **options)
    exact = np.linalg.eigvalsh(C)[::-1][:4]
    assert found.converged
    assert_allclose(found.values, exact, rtol=0, atol=1e-8)
    assert_allclose(found.vectors @ found.vectors.T, np.eye(4), atol=1e-10)
    assert_allclose(found.vectors @ C @ found.vectors.T, np.diag(found.values), atol=1e-8)


def plain_evidence(variance, d, q, n):
    """Minka's equation 78, sum by sum."""
    noise = variance[q:].sum() / (d - q)
    filled = np.where(np.arange(d) < q, variance, noise)
    result = -q * np.log(2)
    for i in range(1, q + 1):
        result += lgamma((d - i + 1) / 2) - np.log(np.pi) * (d - i + 1) / 2
    m = d * q - q * (q + 1) / 2
    result += -n / 2 * (np.log(variance[:q]).sum() + (d - q) * np.log(noise))
    result += (m + q) / 2 * np.log(2 * np.pi) - q / 2 * np.log(n)
    for i in range(q):
        for j in range(i + 1, d):
            gap = (1 / filled[j] - 1 / filled[i]) * (variance[i] - variance[j])
            result -= 0.5 * (np.log(gap) + np.log(n))
    return result


@given(seed=seeds, weight=st.sampled_from([7.5, 100.0, 1e5]), missing=st.integers(0, 3))
def test_criteria_are_their_formulas(seed, weight, missing):
    d = 9
    rng = np.random.default_rng(seed)
    variance = np.sort(rng.gamma(1.0, size=d))[::-1] + 0.01
    variance[d - missing :] = 0.0
    rank = d - missing
    spectrum = Spectrum(np.zeros(d), variance[:rank], np.eye(d)[:rank], variance.sum(), rank)
    found = evidence(spectrum, weight)
    expected = [plain_evidence(variance, d, q, weight) for q in range(1, rank)]
    assert_allclose(found, expected, rtol=1e-9)
    heights = [Factor.of(spectrum, q).height for q in range(1, rank)]
    charges = [Factor.of(spectrum, q).n_parameters() * np.log(weight) for q in range(1, rank)]
    assert_allclose(bic(spectrum, weight), -2 * weight * np.array(heights) + charges, rtol=1e-9)


# -- streams -----------------------------------------------------------------------------------------

STREAMS = {"scatter": Scatter.of, "sketch": lambda V, w: Sketch.of(V, w, 2 * D)}


def same(one, other):
    a, b = one.spectrum(D), other.spectrum(D)
    assert_allclose(one.weight, other.weight, rtol=1e-12)
    assert_allclose(a.mean, b.mean, rtol=1e-10, atol=1e-12)
    assert_allclose(a.variance, b.variance, rtol=1e-8, atol=1e-10)
    assert_allclose(a.total, b.total, rtol=1e-10)


@pytest.mark.parametrize("kind", STREAMS)
@given(seed=seeds)
def test_streams_add_in_any_order(kind, seed):
    V, w, _ = scene(seed)
    of = STREAMS[kind]
    a, b, c = (of(V[i::3] + 3.0, w[i::3]) for i in range(3))
    whole = of(V + 3.0, w)
    same(a + b + c, whole)
    same(a + (c + b), whole)
    same((b + a).rescaled(4.0), of(4.0 * V[np.arange(N) % 3 < 2] + 12.0, w[np.arange(N) % 3 < 2]))
    same(whole.moved(np.arange(5.0)), of(V + 3.0 + np.arange(5.0), w))


def test_a_sketch_keeps_what_is_large():
    V, w, _ = scene(0, n=200, d=30, q=3)
    whole, parts = (
        Sketch.of(V, w, 10),
        Sketch.of(V[:90], w[:90], 10) + Sketch.of(V[90:], w[90:], 10),
    )
    for found in (whole, parts):
        exact = of_covariance(np.zeros(30), (V.T * w) @ V, 30)
        assert len(found.root) == 10
        assert_allclose(found.spectrum(3).variance[:3], exact.variance[:3], rtol=0.01)
        assert_allclose(found.spectrum(3).total, exact.total, rtol=1e-12)
        assert found.spectrum(3).rank is None


def test_older_numpy_adds_up_the_same_squares(monkeypatch):
    A = np.random.default_rng(0).normal(size=(7, 300))
    new = centred.row_dot(A, A)
    monkeypatch.setattr(centred, "NEW", False)
    assert_allclose(centred.row_dot(A, A), new, rtol=1e-13)
