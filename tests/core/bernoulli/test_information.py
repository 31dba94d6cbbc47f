"""Scores and information of Bernoulli mixtures are the derivatives of the objective, by differences."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_lvm.core.bernoulli.binary_rows import binary_rows
from sklearn_lvm.core.bernoulli.counts import Counts
from sklearn_lvm.core.bernoulli.density import BernoulliFamily, Bernoullis
from sklearn_lvm.core.bernoulli.information import BernoulliScores
from sklearn_lvm.core.mixture import Mixture
from sklearn_lvm.core.mixture_em import MixtureSteps
from sklearn_lvm.core.mixture_information import Information, MixtureScores, WeightCoordinates

from ..derivatives import first_differences, second_differences

D, K, N = 3, 2, 120


def example(missing, prior):
    """Steps, a mixture that is no maximum, rows as a table, and their weights."""
    rng = np.random.default_rng(0)
    X = (rng.uniform(size=(N, D)) < 0.4).astype(float)
    if missing:
        X[rng.uniform(size=X.shape) < 0.3] = np.nan
    pseudo = Counts(np.zeros(1), np.full((1, D), 1.5), np.full((1, D), 0.5)) if prior else None
    steps = MixtureSteps(BernoulliFamily(pseudo), 2.0 if prior else 1.0)
    p = rng.uniform(0.2, 0.8, (K, D))
    model = Mixture(np.log([0.3, 0.7]), Bernoullis.of(p, 1.0 - p))
    return steps, model, binary_rows(X, 0.5), rng.uniform(0.1, 2.0, N)


def moved(model, u):
    """The mixture at log-odds that are further by u / sqrt(p q)."""
    basis = WeightCoordinates(np.exp(model.log_weights)).scores
    log_weights = model.log_weights + basis @ u[: K - 1]
    log_weights -= np.logaddexp.reduce(log_weights)
    p = model.components.probability
    odds = np.log(p / (1 - p)) + u[K - 1 :].reshape(K, D) / np.sqrt(p * (1 - p))
    return Mixture(log_weights, Bernoullis.of_log_odds(odds))


def scores_of(steps, model):
    return MixtureScores(
        steps.family.kernel(model.components, model.log_weights),
        WeightCoordinates(np.exp(model.log_weights)),
        BernoulliScores(model.components, steps.family.prior),
    )


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("prior", [False, True])
def test_derivatives_are_those_of_the_objective(missing, prior):
    steps, model, rows, w = example(missing, prior)
    scores = scores_of(steps, model)

    def log_likelihood(u):
        return steps.e_step(moved(model, u))((rows, w)).log_likelihood

    def objective(u):
        return log_likelihood(u) + steps.log_prior(moved(model, u))

    sums = scores((rows, w))
    size = scores.n_coordinates
    slope = first_differences(log_likelihood, size)
    assert_allclose(sums.first, slope, atol=1e-6 * np.abs(slope).max())
    expected = -second_differences(objective, size)
    found = Information.of(scores, sums, steps.concentration)
    assert_allclose(found.observed, expected, atol=1e-4 * np.abs(expected).max())
    slope = first_differences(objective, size)
    assert_allclose(found.gradient, slope, atol=1e-6 * np.abs(slope).max())


def test_errors_are_those_of_probabilities():
    """dp = sqrt(p q) du."""
    _, model, _, _ = example(missing=False, prior=False)
    scores = BernoulliScores(model.components, None)
    step = 1e-6
    derivative = [
        (ahead.components.probability - behind.components.probability) / (2 * step)
        for ahead, behind in [
            (moved(model, np.r_[0.0, step * row]), moved(model, np.r_[0.0, -step * row]))
            for row in np.eye(K * D)
        ]
    ]
    found = scores.errors(np.ones(K * D))
    assert_allclose(found.ravel(), np.diagonal(np.reshape(derivative, (K * D, -1))), rtol=1e-7)
