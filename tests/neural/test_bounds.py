"""Bounds from importance weights, compared with a linear decoder and with NumPy."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit, logsumexp
from scipy.stats import bernoulli, norm

torch = pytest.importorskip("torch", reason="torch is not installed: neural densities are an extra")

from sklearn_lvm.neural import bounds  # noqa: E402
from sklearn_lvm.neural.density import NeuralDensity  # noqa: E402

from .models import (  # noqa: E402
    ARCHITECTURE,
    Q,
    density,
    every_likelihood,
    exact,
    linear,
    noise,
    posterior,
    rows,
    with_exact_posterior,
)


def test_weights_are_constant_where_the_posterior_is_exact():
    model = with_exact_posterior(density())
    X = rows()
    for k in (1, 2, 50):
        bound, error = model.evidence(X, noise(k)).T
        assert_allclose(bound, exact(model, X), atol=1e-5)  # weights are float32
        assert k == 1 or (error < 1e-5).all()
    assert_allclose(model.elbo(X, noise(20_000)), exact(model, X), atol=0.05)


def test_the_evidence_is_the_bound_and_the_divergence_from_the_posterior():
    """ln p = L(q) + KL(q || p), for an encoder that knows nothing."""
    model, X = density(), rows()
    W, b, s2 = linear(model)
    M = W.T @ W + s2 * np.eye(Q)
    mean, deviation = posterior(model, X)
    target = np.linalg.solve(M, W.T @ (X - b).T).T
    gap = mean - target
    precision = M / s2
    divergence = 0.5 * (
        (deviation**2 * np.diag(precision)).sum(axis=1)
        + np.einsum("ni,ij,nj->n", gap, precision, gap)
        - Q
        - np.linalg.slogdet(precision)[1]
        - 2 * np.log(deviation).sum(axis=1)
    )
    eps = noise(1000)
    eps = np.concatenate([eps, -eps])
    eps = eps @ np.linalg.inv(np.linalg.cholesky(eps.T @ eps / len(eps))).T  # second moments exact
    assert_allclose(model.elbo(X, eps) + divergence, exact(model, X), rtol=1e-10)


@every_likelihood
def test_bounds_equal_those_computed_by_numpy(likelihood):
    architecture = replace(ARCHITECTURE, likelihood=likelihood)
    model, X, eps = density(architecture), rows(architecture), noise(5)
    w = {name: a.astype(np.float64) for name, a in model.weights.items()}
    mean, deviation = posterior(model, X)
    t = mean + deviation * eps[:, None]
    output = t @ w["decoder.0.weight"].T + w["decoder.0.bias"]
    center, free = np.split(output, 2, axis=-1) if likelihood == "gaussian" else (output, None)
    free = w.get("likelihood.raw_log_variance") if free is None else free
    entries = (
        bernoulli(expit(output)).logpmf(np.broadcast_to(X, output.shape))
        if likelihood == "bernoulli"
        else norm(center, np.sqrt(1e-4 + 0.02 * np.exp(free))).logpdf(X)
    ).sum(axis=-1)
    log_w = entries + norm.logpdf(t).sum(-1) - norm(mean, deviation).logpdf(t).sum(-1)
    bound, error = model.evidence(X, eps).T
    assert_allclose(bound, logsumexp(log_w, axis=0) - np.log(5), rtol=1e-10)
    share = np.exp(log_w - bound)
    assert_allclose(error, share.std(axis=0, ddof=1) / np.sqrt(5), rtol=1e-9)
    kl = torch.distributions.kl_divergence(
        torch.distributions.Normal(torch.tensor(mean), torch.tensor(deviation)),
        torch.distributions.Normal(0.0, 1.0),
    )
    assert_allclose(model.elbo(X, eps), entries.mean(axis=0) - kl.sum(-1).numpy(), rtol=1e-10)


@every_likelihood
def test_training_maximizes_the_bound_that_scores_report(likelihood):
    architecture = replace(ARCHITECTURE, likelihood=likelihood, hidden_layer_sizes=(3,))
    model, X, eps = density(architecture), rows(architecture), noise(6)
    x, e = torch.tensor(X), torch.tensor(eps)[:, None]
    for k, expected in ((1, model.elbo(X, eps)), (6, model.evidence(X, eps)[:, 0])):
        found = bounds.objective(k)(model.model, x, None, e)
        assert_allclose(found.numpy(), expected, rtol=1e-12)


def test_beta_multiplies_the_divergence():
    model, X, eps = density(), torch.tensor(rows()), torch.tensor(noise(3))[:, None]
    for bound in (bounds.elbo, bounds.importance_weighted):
        plain, zero = (bound(model.model, X, None, eps[:1], beta) for beta in (1.0, 0.0))
        half = bound(model.model, X, None, eps[:1], 0.5)
        assert_allclose(half.numpy(), (0.5 * (plain + zero)).numpy(), rtol=1e-12)


def test_the_bound_rises_with_samples_in_expectation():
    model, X = density(), rows(n=40)
    means = [
        np.mean([model.evidence(X, noise(k, seed))[:, 0].mean() for seed in range(30)])
        for k in (1, 4, 16, 64)
    ]
    assert (np.diff(means) > 0).all()
    assert means[-1] < exact(model, X).mean()


def test_the_standard_error_is_that_of_the_estimate():
    model, X = with_exact_posterior(density()), rows()
    model.weights["encoder.first.bias"][:Q] += 0.2
    model = NeuralDensity(model.architecture, model.weights, "cpu")
    found = np.array([model.evidence(X, noise(200, seed)) for seed in range(300)])
    assert_allclose(found[..., 1].mean(axis=0), found[..., 0].std(axis=0), rtol=0.2)
