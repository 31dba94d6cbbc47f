"""Scores and information of Gaussian mixtures are the derivatives of the objective, by differences."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_lvm.core.gaussian.density import GaussianFamily, Gaussians
from sklearn_lvm.core.gaussian.information import GaussianScores
from sklearn_lvm.core.gaussian.prior import GaussianPrior
from sklearn_lvm.core.gaussian.structure_names import COVARIANCE_TYPES
from sklearn_lvm.core.mixture import Mixture
from sklearn_lvm.core.mixture_em import MixtureSteps
from sklearn_lvm.core.mixture_information import Information, MixtureScores, WeightCoordinates

from ..derivatives import first_differences, second_differences

D, K, N = 2, 3, 150
every_type = pytest.mark.parametrize("name", COVARIANCE_TYPES)

# name -> coordinates of one covariance, whitened, as a matrix.
UPPER = np.triu_indices(D)


def full(u):
    B = np.zeros((D, D))
    B[UPPER] = B.T[UPPER] = np.where(UPPER[0] == UPPER[1], np.sqrt(2.0) * u, u)
    return B


DIRECTIONS = {
    "full": full,
    "tied": full,
    "diag": lambda u: np.diag(np.sqrt(2.0) * u),
    "spherical": lambda u: np.sqrt(2.0 / D) * u[0] * np.eye(D),
}
# name -> the public form of matrices.
PUBLIC = {
    "full": lambda C: C,
    "tied": lambda C: C[0],
    "diag": lambda C: np.diagonal(C, axis1=1, axis2=2),
    "spherical": lambda C: C[:, 0, 0],
}


def example(name, *, prior=True, seed=0):
    """Steps, a mixture that is no maximum, rows and their weights."""
    rng = np.random.default_rng(seed)
    structure = COVARIANCE_TYPES[name](D)
    n_covariances = 1 if structure.tied else K
    if name in ("full", "tied"):
        A = rng.normal(size=(n_covariances, D, 5))
        C = A @ A.mT / 5 + 0.3 * np.eye(D)
    else:
        size = D if name == "diag" else 1
        C = rng.uniform(0.5, 2.0, (n_covariances, size))[:, :, None] * np.eye(D)
    known = None
    if prior:
        scatter = structure.outer(rng.normal(size=(4, D))).sum(axis=0)[None]
        mean = np.array([0.5, -0.3])
        n_means = K if structure.tied else 1
        known = GaussianPrior(structure, scatter, np.array([6.0]), mean, 2.5, n_means)
    added = np.array([0.02, 0.05])
    steps = MixtureSteps(GaussianFamily(structure, added, known), 2.5 if prior else 1.0)
    weights = rng.dirichlet(np.full(K, 5.0))
    gaussians = Gaussians(
        1.5 * rng.normal(size=(K, D)), structure.from_public(PUBLIC[name](C).copy())
    )
    rows, w = rng.normal(size=(D, N)) * 1.7, rng.uniform(0.1, 2.0, N)
    return steps, Mixture(np.log(weights), gaussians), rows, w


def dense(gaussians):
    """Covariances as K matrices."""
    K, d = gaussians.mean.shape
    eye = np.eye(d)
    factors = np.stack(
        [gaussians.covariance.colorize(eye, 0 if gaussians.shared else k).T for k in range(K)]
    )
    return factors


def moved(name, model, u):
    """The mixture at natural parameters I - B(u) and h(u) of each whitened Gaussian."""
    basis = WeightCoordinates(np.exp(model.log_weights)).scores
    log_weights = model.log_weights + basis @ u[: K - 1]
    log_weights -= np.logaddexp.reduce(log_weights)
    structure = model.components.covariance.structure
    h = u[K - 1 : K - 1 + K * D].reshape(K, D)
    rest = u[K - 1 + K * D :].reshape(-1, structure.n_parameters)
    rest = np.broadcast_to(rest, (K, rest.shape[1]))
    L = dense(model.components)
    S = np.stack([np.linalg.inv(np.eye(D) - DIRECTIONS[name](v)) for v in rest])
    mean = model.components.mean + (L @ (S @ h[:, :, None]))[..., 0]
    C = L @ S @ L.mT
    covariance = structure.from_public(PUBLIC[name](C).copy())
    return Mixture(log_weights, Gaussians(mean, covariance))


def scores_of(steps, model):
    return MixtureScores(
        steps.family.kernel(model.components, model.log_weights),
        WeightCoordinates(np.exp(model.log_weights)),
        GaussianScores(model.components, steps.family),
    )


def log_likelihood(steps, model, rows, w):
    return steps.e_step(model)((rows, w)).log_likelihood


@every_type
@pytest.mark.parametrize("prior", [False, True])
def test_the_information_is_minus_the_second_derivative_of_the_objective(name, prior):
    """Of the penalized log-likelihood and the log-prior, at a mixture that is no maximum."""
    steps, model, rows, w = example(name, prior=prior)
    scores = scores_of(steps, model)

    def objective(u):
        there = moved(name, model, u)
        return log_likelihood(steps, there, rows, w) + steps.log_prior(there)

    found = Information.of(scores, scores((rows, w)), steps.concentration).observed
    expected = -second_differences(objective, scores.n_coordinates)
    assert np.abs(expected).max() > 10
    assert_allclose(found, expected, atol=2e-4 * np.abs(expected).max())


@every_type
def test_the_summed_score_is_the_first_derivative_of_the_log_likelihood(name):
    steps, model, rows, w = example(name)
    scores = scores_of(steps, model)
    expected = first_differences(
        lambda u: log_likelihood(steps, moved(name, model, u), rows, w), scores.n_coordinates
    )
    assert_allclose(scores((rows, w)).first, expected, atol=1e-6 * np.abs(expected).max())


@every_type
def test_the_gradient_is_the_first_derivative_of_the_objective(name):
    """With that of the log-prior, which has pseudo-observations of each mean and covariance."""
    steps, model, rows, w = example(name)
    scores = scores_of(steps, model)

    def objective(u):
        there = moved(name, model, u)
        return log_likelihood(steps, there, rows, w) + steps.log_prior(there)

    found = Information.of(scores, scores((rows, w)), steps.concentration)
    expected = first_differences(objective, scores.n_coordinates)
    assert_allclose(found.gradient, expected, atol=1e-6 * np.abs(expected).max())


@every_type
def test_the_outer_product_is_that_of_the_scores_of_rows(name):
    steps, model, rows, w = example(name)
    scores = scores_of(steps, model)
    each = np.stack([scores((rows[:, [i]], np.ones(1))).first for i in range(N)])
    about = each - w @ each / w.sum()
    found = Information.of(scores, scores((rows, w)), 1.0).outer
    assert_allclose(found, (each.T * w) @ each - np.outer(w @ each, w @ each) / w.sum(), atol=1e-9)
    assert_allclose(found, (about.T * w) @ about, atol=1e-9)


@every_type
def test_images_are_the_derivatives_of_means_and_covariances(name):
    _, model, _, _ = example(name)
    scores = GaussianScores(model.components, GaussianFamily(_structure(model), np.zeros(D)))
    size, step = K - 1 + scores.n_coordinates, 1e-6
    structure = _structure(model)
    for k, place in enumerate(scores.positions):
        for i, position in enumerate(K - 1 + place):
            u = step * (np.arange(size) == position)
            ahead, behind = (moved(name, model, v).components for v in (u, -u))
            if i < D:
                derivative = (ahead.mean[k] - behind.mean[k]) / (2 * step)
                assert_allclose(scores.mean_images(k)[i], derivative, atol=1e-8)
                continue
            of = 0 if structure.tied else k
            public = [
                np.reshape(g.covariance.matrix, (-1, *image_shape(structure)))
                for g in (ahead, behind)
            ]
            derivative = (public[0][of] - public[1][of]) / (2 * step)
            assert_allclose(scores.covariance_images(of)[i - D], derivative, atol=1e-8)


def _structure(model):
    return model.components.covariance.structure


def image_shape(structure):
    """Of the public form of one covariance."""
    return structure.public_shape(1) if structure.tied else structure.public_shape(1)[1:]


def test_blocks_add_up_to_the_whole():
    steps, model, rows, w = example("full")
    scores = scores_of(steps, model)
    whole = scores((rows, w))
    parts = scores((rows[:, :40], w[:40])) + scores((rows[:, 40:], w[40:]))
    for name in ("within", "outer", "first", "second", "weight"):
        assert_allclose(getattr(parts, name), getattr(whole, name), rtol=1e-9, atol=1e-9)
