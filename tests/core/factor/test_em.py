"""EM for probabilistic PCA: the E-step, the M-step, and their iteration."""

import pickle
from functools import reduce
from operator import add

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from scipy.stats import multivariate_normal

from sklearn_lvm.core.factor.centered_block import RowBlock
from sklearn_lvm.core.factor.density import PPCADensity
from sklearn_lvm.core.factor.em import PPCAParameters, PPCASteps
from sklearn_lvm.core.factor.spectrum import Spectrum
from sklearn_lvm.inference.acceleration import ACCELERATIONS

from ...helpers import run
from ...laws.specs import seeds
from .helpers import D, N, Q, random_rows


def density(model):
    d = len(model.W)
    return multivariate_normal(np.zeros(d), model.W @ model.W.T + model.noise * np.eye(d))


def latent_moments(model, *blocks):
    """The statistics of blocks of rows and weights, and their mean log-likelihood."""
    e_step = PPCASteps().e_step(model)
    total = reduce(add, (e_step(RowBlock(V, None, w)) for V, w in blocks))
    return e_step.statistics(total), total.log_likelihood / total.weight


@given(seed=seeds)
def test_an_e_step_is_the_posterior_of_the_joint_gaussian(seed):
    V, w, model = random_rows(seed)
    gain = np.linalg.solve(model.W @ model.W.T + model.noise * np.eye(D), model.W).T
    u, spread = V @ gain.T, np.eye(Q) - gain @ model.W
    found, mean_log_prob = latent_moments(model, (V, w))
    assert_allclose(found.cross, (u * w[:, None]).T @ V, atol=1e-9)
    assert_allclose(found.second, (u * w[:, None]).T @ u + w.sum() * spread, atol=1e-9)
    assert_allclose(mean_log_prob, w @ density(model).logpdf(V) / w.sum(), rtol=1e-10)


def test_an_e_step_can_be_pickled():
    V, w, model = random_rows(0)
    e_step = PPCASteps().e_step(model)
    again = pickle.loads(pickle.dumps(e_step))
    block = RowBlock(V, None, w)
    for one, two in zip(again(block).arrays, e_step(block).arrays, strict=True):
        assert_allclose(one, two, rtol=1e-13)


@given(seed=seeds)
def test_an_m_step_is_stationary(seed):
    """No loadings, noise or prior nearby make the expected log-likelihood larger."""
    V, w, model = random_rows(seed)
    latent, _ = latent_moments(model, (V, w))
    best = PPCASteps().m_step(latent)
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
    V, w, start = random_rows(seed)
    blocks = [RowBlock(V[:25], None, w[:25]), RowBlock(V[25:], None, w[25:])]
    end = run(PPCASteps(), start, blocks, acceleration=acceleration)
    assert (np.diff(end.trace) >= 0).all()
    assert_allclose(end.objective, w @ density(end.model).logpdf(V), rtol=1e-9)
    assert end.objective > end.trace[0]


@given(seed=seeds, cut=st.integers(1, N - 1))
def test_moments_of_blocks_add_up(seed, cut):
    V, w, model = random_rows(seed)
    whole, _ = latent_moments(model, (V, w))
    parts, _ = latent_moments(model, (V[cut:], w[cut:]), (V[:cut], w[:cut]))
    for name, value in vars(whole).items():
        assert_allclose(getattr(parts, name), value, rtol=1e-10, atol=1e-12)


def test_extrapolation_reaches_the_closed_form_in_fewer_steps():
    """EM is slow where eigenvalues are close to each other."""
    rng = np.random.default_rng(0)
    V, w = rng.normal(size=(300, 12)) * np.linspace(1.2, 1.0, 12), np.full(300, 1 / 300)
    V, start = V - V.mean(axis=0), PPCAParameters(rng.normal(size=(12, 4)), 1.0)
    steps, ends = PPCASteps(), {}
    for acceleration in ACCELERATIONS:
        options = {"max_iter": 20_000, "tol": 1e-10, "acceleration": acceleration}
        ends[acceleration] = run(steps, start, [RowBlock(V, None, w)], **options)
    spectrum = Spectrum.from_covariance(np.zeros(12), (V.T * w) @ V, 12)
    exact = PPCADensity.from_spectrum(spectrum, 4).mean_log_prob
    for end in ends.values():
        assert_allclose(end.objective, exact, rtol=0, atol=1e-8)
    assert ends["squarem"].n_iter < 0.7 * ends[None].n_iter


@given(seed=seeds)
def test_coordinates_can_be_inverted(seed):
    _, _, model = random_rows(seed)
    coordinates = PPCASteps().coordinates(model)
    again = coordinates.model(coordinates.vector(model), like=model)
    assert_allclose(again.W, model.W, rtol=1e-13)
    assert_allclose(again.noise, model.noise, rtol=1e-13)
