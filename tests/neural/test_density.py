"""NeuralDensity: blocks of rows, missing entries, samples."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.stats import kstest

torch = pytest.importorskip("torch", reason="torch is not installed: neural densities are an extra")

from sklearn_lvm.neural.density import NeuralDensity  # noqa: E402

from .models import (  # noqa: E402
    ARCHITECTURE,
    D,
    N,
    Q,
    density,
    every_likelihood,
    exact,
    linear,
    noise,
    rows,
    with_exact_posterior,
    with_missing,
)


@pytest.mark.parametrize("cells", [1, 40, 1000])
@pytest.mark.parametrize("method", ["evidence", "elbo", "impute"])
def test_bounds_do_not_depend_on_blocks(cells, method, monkeypatch):
    architecture = replace(ARCHITECTURE, hidden_layer_sizes=(5,))
    model, X, eps = density(architecture), rows(architecture), noise(33)
    X[2, 1] = X[3] = np.nan
    whole = getattr(model, method)(X, eps)
    alone = np.concatenate([getattr(model, method)(X[i : i + 1], eps) for i in range(N)])
    assert_allclose(alone, whole, rtol=1e-11, atol=1e-12)
    monkeypatch.setattr("sklearn_lvm.neural.density.MAX_CELLS", cells)
    assert_allclose(getattr(model, method)(X, eps), whole, rtol=1e-11, atol=1e-12)


def test_scores_of_incomplete_rows_are_marginal():
    model, X = with_exact_posterior(density()), with_missing()
    bound, error = model.evidence(X, noise(40_000)).T
    assert (abs(bound - exact(model, X)) < 5 * error + 1e-6).all()
    assert error.max() < 0.05
    assert bound[0] == error[0] == 0.0


def test_imputed_entries_are_conditional_means():
    model, X = with_exact_posterior(density()), with_missing()
    W, b, s2 = linear(model)
    C = W @ W.T + s2 * np.eye(D)
    found = model.impute(X, noise(40_000))
    for x, row in zip(X, found, strict=True):
        observed = ~np.isnan(x)
        gain = C[np.ix_(~observed, observed)] @ np.linalg.inv(C[np.ix_(observed, observed)])
        assert_allclose(row[~observed], b[~observed] + gain @ (x - b)[observed], atol=0.05)


def test_draws_of_missing_entries_are_from_the_conditional_density():
    model, X = with_exact_posterior(density()), with_missing()[:3]
    W, b, s2 = linear(model)
    C, n = W @ W.T + s2 * np.eye(D), 4000
    drawn = model.draw_missing(np.tile(X, (n, 1)), 300, np.random.RandomState(0)).reshape(n, 3, D)
    for x, rows_of_x in zip(X, drawn.transpose(1, 0, 2), strict=True):
        o, m = np.flatnonzero(~np.isnan(x)), np.flatnonzero(np.isnan(x))
        gain = C[np.ix_(m, o)] @ np.linalg.inv(C[np.ix_(o, o)])
        found = rows_of_x[:, m]
        assert_allclose(found.mean(axis=0), b[m] + gain @ (x - b)[o], atol=0.1)
        assert_allclose(np.cov(found.T), C[np.ix_(m, m)] - gain @ C[np.ix_(o, m)], atol=0.15)


def test_importance_corrects_draws_of_a_poor_encoder():
    model, X = with_exact_posterior(density()), with_missing()[:3]
    mean = model.impute(X, noise(40_000))[np.isnan(X)]
    off = model.weights["encoder.first.bias"] + np.repeat([0.5, 0.0], Q).astype(np.float32)
    poor = NeuralDensity(model.architecture, model.weights | {"encoder.first.bias": off}, "cpu")

    def error(k):
        drawn = poor.draw_missing(np.tile(X, (4000, 1)), k, np.random.RandomState(0))
        return abs(drawn.reshape(-1, 3, D).mean(axis=0)[np.isnan(X)] - mean).max()

    assert error(300) < 0.3 * error(1)


def test_the_layer_for_missing_entries_does_not_change_complete_rows():
    model, X = density(replace(ARCHITECTURE, hidden_layer_sizes=(5,))), rows()
    other = {name: a + 1 if "missing_layer" in name else a for name, a in model.weights.items()}
    changed = NeuralDensity(model.architecture, other, "cpu")
    eps = noise(4)
    assert (changed.evidence(X, eps) == model.evidence(X, eps)).all()
    X[0, 0] = np.nan
    same = (changed.evidence(X, eps) == model.evidence(X, eps)).all(axis=1)
    assert same.tolist() == [False] + [True] * (N - 1)


@every_likelihood
def test_samples_have_the_moments_of_their_likelihood(likelihood):
    model = density(replace(ARCHITECTURE, likelihood=likelihood))
    X, t = model.sample(40_000, np.random.RandomState(0))
    gaps = X - model.decode(t)
    assert abs(gaps.mean(axis=0)).max() < 5 * (gaps.std(axis=0) / 200).max()
    assert kstest(t[:, 0], "norm").pvalue > 1e-3
    if likelihood == "bernoulli":
        assert set(np.unique(X)) == {0.0, 1.0}
    elif likelihood == "gaussian_isotropic":
        assert_allclose(gaps.var(), linear(model)[2], rtol=0.02)


@every_likelihood
def test_the_farthest_rows_have_a_finite_score(likelihood):
    architecture = replace(
        ARCHITECTURE, likelihood=likelihood, hidden_layer_sizes=(5,), activation="relu"
    )
    model = density(architecture, spread=3.0)
    X = rows(architecture) * (1.0 if likelihood == "bernoulli" else 1e100)
    assert np.isfinite(model.evidence(X, noise(3))).all()


def test_few_rows_are_scored_on_one_thread(monkeypatch):
    model, before, seen = density(), torch.get_num_threads(), []
    filled = NeuralDensity._filled

    def watched(self, X):
        seen.append(torch.get_num_threads())
        return filled(self, X)

    monkeypatch.setattr(NeuralDensity, "_filled", watched)
    torch.set_num_threads(3)
    try:
        few = model.evidence(rows(), noise(5))
        monkeypatch.setattr("sklearn_lvm.neural.density.MAX_CELLS", 5 * D * (N - 1))
        assert_allclose(model.evidence(rows(), noise(5)), few, rtol=1e-12)
        assert seen == [1, 3, 3]
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
