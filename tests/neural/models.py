"""Small networks with random weights, and what their densities are by NumPy."""

import numpy as np
import pytest
from scipy.stats import multivariate_normal

from sklearn_lvm.neural import likelihoods
from sklearn_lvm.neural.checkpoint import weights_as_arrays
from sklearn_lvm.neural.density import NeuralDensity
from sklearn_lvm.neural.networks import Architecture, build

D, Q, N = 4, 2, 7
ARCHITECTURE = Architecture(D, Q, "gaussian_isotropic", (), "tanh", "mlp", None, None, None)
LIKELIHOODS = ["gaussian", "gaussian_shared", "gaussian_isotropic", "bernoulli"]
every_likelihood = pytest.mark.parametrize("likelihood", LIKELIHOODS)


def density(architecture=ARCHITECTURE, seed=1, spread=1.0):
    """Networks with weights large enough to matter."""
    weights = weights_as_arrays(build(architecture, seed).state_dict())
    rng = np.random.default_rng(seed)
    shaken = {
        name: (a + spread * 0.5 * rng.normal(size=a.shape)).astype(np.float32)
        for name, a in weights.items()
    }
    if "likelihood.raw_log_variance" in shaken:  # as much noise as rows of unit size have
        shaken["likelihood.raw_log_variance"] -= np.float32(likelihoods.LOG_INITIAL_VARIANCE)
    return NeuralDensity(architecture, shaken, "cpu")


def rows(architecture=ARCHITECTURE, n=N, seed=0):
    X = np.random.default_rng(seed).normal(size=(n, architecture.n_features))
    return (X > 0).astype(float) if architecture.likelihood == "bernoulli" else X


def noise(k, seed=0):
    return np.random.default_rng(seed).standard_normal((k, Q))


def linear(model):
    """W, b and the variance of a linear decoder, exactly as they are used."""
    w = {name: a.astype(np.float64) for name, a in model.weights.items()}
    W, b = (w[f"decoder.0.{name}"] for name in ("weight", "bias"))
    return (
        W,
        b,
        likelihoods.MIN_VARIANCE
        + likelihoods.INITIAL_VARIANCE * np.exp(w["likelihood.raw_log_variance"][0]),
    )


def posterior(model, X):
    """Mean and standard deviation of q(t | x) by NumPy, for a linear encoder."""
    w = {name: a.astype(np.float64) for name, a in model.weights.items()}
    out = X @ w["encoder.first.weight"].T + w["encoder.first.bias"]
    mean, free = out[:, :Q], out[:, Q:]
    return mean, np.exp(0.5 * 12.0 * np.tanh(free / 12.0))


def with_exact_posterior(model):
    """The same decoder, with the encoder that inverts it."""
    W, b, s2 = linear(model)
    # Orthogonal columns make the posterior diagonal, as the encoder's is.
    U, _, _ = np.linalg.svd(W, full_matrices=False)
    W = U * np.array([1.5, 0.7])
    M = W.T @ W + s2 * np.eye(Q)
    A = np.linalg.solve(M, W.T)
    log_var = np.log(s2 / np.diag(M))
    new = {
        "decoder.0.weight": W,
        "encoder.first.weight": np.concatenate([A, np.zeros((Q, D))]),
        "encoder.first.bias": np.concatenate([-A @ b, 12.0 * np.arctanh(log_var / 12.0)]),
    }
    weights = model.weights | {name: a.astype(np.float32) for name, a in new.items()}
    return NeuralDensity(model.architecture, weights, "cpu")


def exact(model, X):
    """log p(x) of a linear Gaussian decoder, of what was observed."""
    W, b, s2 = linear(model)
    C, found = W @ W.T + s2 * np.eye(D), np.zeros(len(X))
    for i, x in enumerate(X):
        observed = ~np.isnan(x)
        if observed.any():
            found[i] = multivariate_normal(b[observed], C[np.ix_(observed, observed)]).logpdf(
                x[observed]
            )
    return found


def with_missing(seed=0, n=N):
    X = rows(seed=seed, n=n)
    X[np.random.default_rng(seed).random(X.shape) < 0.4] = np.nan
    X[0] = np.nan
    return X
