"""EM for PPCA of rows with missing entries: the M-step, and its iteration."""

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.testing import assert_allclose

from sklearn_lvm.core.factor.density import PPCADensity
from sklearn_lvm.core.factor.incomplete_rows import LinearGaussian, blocks_of
from sklearn_lvm.core.factor.missing import IncompletePPCASteps, spectrum_of
from sklearn_lvm.core.factor.spectrum import Spectrum
from sklearn_lvm.inference.acceleration import ACCELERATIONS

from ...helpers import run
from ...laws.specs import seeds

D, Q = 7, 2
TO_THE_END = {"max_iter": 5000, "tol": 1e-11}


def random_problem(seed, share=0.3, n=200, noise=0.5):
    """Blocks of weighted rows near a plane, with missing entries, and a start."""
    rng = np.random.default_rng(seed)
    Z = rng.normal(size=(D, Q)) @ rng.normal(size=(Q, n)) + noise * rng.normal(size=(D, n)) + 1.0
    Z[rng.random(Z.shape) < share] = np.nan
    start = LinearGaussian(rng.normal(size=(D, Q)), np.zeros(D), 1.0)
    return Z, rng.uniform(0.5, 2.0, n), start


def objective(model, Z, w):
    return w @ model.latent(Z).log_prob / w.sum()


@given(seed=seeds)
@settings(max_examples=20)
def test_the_objective_never_falls(seed):
    Z, w, model = random_problem(seed)
    steps, blocks, before = IncompletePPCASteps(), blocks_of(Z, w, 64), -np.inf
    for _ in range(12):
        e_step = steps.e_step(model)
        total = sum((e_step(block) for block in blocks[1:]), start=e_step(blocks[0]))
        assert total.log_likelihood >= before - 1e-10 * abs(total.log_likelihood)
        before = total.log_likelihood
        assert_allclose(before / total.weight, objective(model, Z, w), rtol=1e-10)
        model = steps.m_step(e_step.statistics(total), model)


@pytest.mark.parametrize("acceleration", ACCELERATIONS)
def test_the_end_is_stationary(acceleration):
    Z, w, start = random_problem(0)
    end = run(
        IncompletePPCASteps(), start, blocks_of(Z, w, 64), acceleration=acceleration, **TO_THE_END
    )
    assert np.all(np.diff(end.trace) >= 0.0)
    best, rng = end.model, np.random.default_rng(0)
    for _ in range(20):
        W, mean = rng.normal(size=best.W.shape), rng.normal(size=D)
        slope = [
            objective(
                LinearGaussian(best.W + t * W, best.mean + t * mean, best.noise * np.exp(t)), Z, w
            )
            for t in (-1e-4, 1e-4)
        ]
        assert abs(slope[1] - slope[0]) / 2e-4 < 1e-5


@pytest.mark.parametrize("acceleration", ACCELERATIONS)
def test_complete_rows_end_at_the_closed_form(acceleration):
    """Whether they share a pattern block or not."""
    Z, w, start = random_problem(1, share=0.0)
    end = run(
        IncompletePPCASteps(), start, blocks_of(Z, w, 64), acceleration=acceleration, **TO_THE_END
    ).model
    C, mean = np.cov(Z, aweights=w, bias=True), Z @ w / w.sum()
    exact = PPCADensity.from_spectrum(Spectrum.from_covariance(mean, C, D), Q)
    assert_allclose(end.mean, exact.mean, atol=1e-6)
    assert_allclose(end.W @ end.W.T, exact.loadings @ exact.loadings.T, atol=1e-5)
    assert_allclose(end.noise, exact.noise, rtol=1e-6)
    assert_allclose(objective(end, Z, w), exact.mean_log_prob, rtol=0, atol=1e-9)


def test_a_step_of_complete_rows_from_the_closed_form_stays_there():
    Z, w, _ = random_problem(2, share=0.0)
    C, mean = np.cov(Z, aweights=w, bias=True), Z @ w / w.sum()
    exact = PPCADensity.from_spectrum(Spectrum.from_covariance(mean, C, D), Q)
    steps, model = IncompletePPCASteps(), LinearGaussian.of(exact)
    e_step = steps.e_step(model)
    (block,) = blocks_of(Z, w, 1000)
    after = steps.m_step(e_step.statistics(e_step(block)), model)
    assert_allclose(after.W, model.W, atol=1e-10)
    assert_allclose(after.mean, model.mean, atol=1e-10)
    assert_allclose(after.noise, model.noise, rtol=1e-11)


def test_little_noise_is_found_to_many_digits():
    """No digits of it cancel, however small it is beside the loadings."""
    Z, w, start = random_problem(3, n=2000, noise=1e-4)
    blocks = blocks_of(Z, w, 500)
    end = run(IncompletePPCASteps(), start, blocks, acceleration="squarem", **TO_THE_END)
    assert end.converged
    assert_allclose(np.sqrt(end.model.noise), 1e-4, rtol=0.02)


@pytest.mark.parametrize("acceleration", ACCELERATIONS)
@pytest.mark.parametrize(("n", "q"), [(3, 2), (3, 3), (3, 4), (6, 5)])
def test_vanishing_noise_is_an_error(acceleration, n, q):
    Z, w, _ = random_problem(4, n=n)
    start = LinearGaussian(np.random.default_rng(0).normal(size=(D, q)), np.zeros(D), 1.0)
    with pytest.raises(FloatingPointError, match="noise variance vanished"):
        run(
            IncompletePPCASteps(),
            start,
            blocks_of(Z, w, 64),
            max_iter=3000,
            acceleration=acceleration,
        )


def test_coordinates_are_undone():
    _, _, model = random_problem(5)
    coordinates = IncompletePPCASteps().coordinates(model)
    vector = coordinates.vector(model)
    again = coordinates.model(vector, like=model)
    assert vector.shape == (D * Q + D + 1,)
    for name in ("W", "mean", "noise"):
        assert_allclose(getattr(again, name), getattr(model, name), rtol=1e-14)
    vector[-1] = 1e4
    with pytest.raises(FloatingPointError, match="range of numbers"), np.errstate(over="ignore"):
        coordinates.model(vector, like=model)


@pytest.mark.parametrize("q", [0, 2, D - 1])
def test_the_spectrum_is_that_of_the_covariance(q):
    rng = np.random.default_rng(q)
    model = LinearGaussian(rng.normal(size=(D, q)), rng.normal(size=D), 0.3)
    spectrum = spectrum_of(model)
    C = model.W @ model.W.T + 0.3 * np.eye(D)
    assert_allclose(spectrum.variance, np.linalg.eigvalsh(C)[::-1], rtol=1e-10)
    density = PPCADensity.from_spectrum(spectrum, q)
    assert_allclose(density.covariance(), C, atol=1e-12)
    assert_allclose(density.noise, 0.3, rtol=1e-12)
