"""Every bound is one quantity, and a linear decoder tells what it should be."""

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.special import expit, logsumexp
from scipy.stats import bernoulli, kstest, multivariate_normal, norm

torch = pytest.importorskip("torch", reason="torch is not installed: neural densities are an extra")

from sklearn_lvm.neural import bounds, likelihoods  # noqa: E402
from sklearn_lvm.neural.checkpoint import as_arrays  # noqa: E402
from sklearn_lvm.neural.density import NeuralDensity  # noqa: E402
from sklearn_lvm.neural.networks import NETWORKS, Architecture, Dense, build  # noqa: E402

D, Q, N = 4, 2, 7
PLAN = Architecture(D, Q, "gaussian_isotropic", (), "tanh", "mlp", None, None, None)
LIKELIHOODS = ["gaussian", "gaussian_shared", "gaussian_isotropic", "bernoulli"]
every_likelihood = pytest.best_so_far.parametrize("likelihood", LIKELIHOODS)


def density(architecture=PLAN, seed=1, spread=1.0):
    """Networks with weights large enough to matter."""
    weights = as_arrays(build(architecture, seed).state_dict())
    rng = np.random.default_rng(seed)
    shaken = {
        name: (a + spread * 0.5 * rng.normal(size=a.shape)).astype(np.float32)
        for name, a in weights.items()
    }
    if "likelihood.free" in shaken:  # as much noise as rows of unit size have
        shaken["likelihood.free"] -= np.float32(likelihoods.LOG_INITIAL_VARIANCE)
    return NeuralDensity(architecture, shaken, "cpu")


def rows(architecture=PLAN, n=N, seed=0):
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
        likelihoods.MIN_VARIANCE + likelihoods.INITIAL_VARIANCE * np.exp(w["likelihood.free"][0]),
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
def test_bounds_are_what_numpy_makes_of_the_weights(likelihood):
    architecture = replace(PLAN, likelihood=likelihood)
    model, X, eps = density(architecture), rows(architecture), noise(5)
    w = {name: a.astype(np.float64) for name, a in model.weights.items()}
    mean, deviation = posterior(model, X)
    t = mean + deviation * eps[:, None]
    output = t @ w["decoder.0.weight"].T + w["decoder.0.bias"]
    center, free = np.split(output, 2, axis=-1) if likelihood == "gaussian" else (output, None)
    free = w.get("likelihood.free") if free is None else free
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
def test_training_and_scores_know_the_same_bound(likelihood):
    architecture = replace(PLAN, likelihood=likelihood, hidden_layer_sizes=(3,))
    model, X, eps = density(architecture), rows(architecture), noise(6)
    x, e = torch.tensor(X), torch.tensor(eps)[:, None]
    for k, expected in ((1, model.elbo(X, eps)), (6, model.evidence(X, eps)[:, 0])):
        found = bounds.objective(k)(model.model, x, None, e)
        assert_allclose(found.numpy(), expected, rtol=1e-12)


def test_beta_weighs_the_divergence():
    model, X, eps = density(), torch.tensor(rows()), torch.tensor(noise(3))[:, None]
    for bound in (bounds.elbo, bounds.importance_weighted):
        plain, none = (bound(model.model, X, None, eps[:1], beta) for beta in (1.0, 0.0))
        half = bound(model.model, X, None, eps[:1], 0.5)
        assert_allclose(half.numpy(), (0.5 * (plain + none)).numpy(), rtol=1e-12)


# -- rows and samples in any company ---------------------------------------------------------------


@pytest.best_so_far.parametrize("cells", [1, 40, 1000])
@pytest.best_so_far.parametrize("method", ["evidence", "elbo", "impute"])
def test_blocks_change_nothing(cells, method, monkeypatch):
    architecture = replace(PLAN, hidden_layer_sizes=(5,))
    model, X, eps = density(architecture), rows(architecture), noise(33)
    X[2, 1] = X[3] = np.nan
    whole = getattr(model, method)(X, eps)
    alone = np.concatenate([getattr(model, method)(X[i : i + 1], eps) for i in range(N)])
    assert_allclose(alone, whole, rtol=1e-11, atol=1e-12)
    monkeypatch.setattr("sklearn_lvm.neural.density.CELLS", cells)
    assert_allclose(getattr(model, method)(X, eps), whole, rtol=1e-11, atol=1e-12)


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


# -- holes -------------------------------------------------------------------------------------------


def with_holes(seed=0, n=N):
    X = rows(seed=seed, n=n)
    X[np.random.default_rng(seed).random(X.shape) < 0.4] = np.nan
    X[0] = np.nan
    return X


def test_scores_of_holes_are_marginal():
    model, X = with_exact_posterior(density()), with_holes()
    bound, error = model.evidence(X, noise(40_000)).T
    assert (abs(bound - exact(model, X)) < 5 * error + 1e-6).all()
    assert error.max() < 0.05
    assert bound[0] == error[0] == 0.0


def test_imputed_entries_are_conditional_means():
    model, X = with_exact_posterior(density()), with_holes()
    W, b, s2 = linear(model)
    C = W @ W.T + s2 * np.eye(D)
    found = model.impute(X, noise(40_000))
    for x, row in zip(X, found, strict=True):
        observed = ~np.isnan(x)
        gain = C[np.ix_(~observed, observed)] @ np.linalg.inv(C[np.ix_(observed, observed)])
        assert_allclose(row[~observed], b[~observed] + gain @ (x - b)[observed], atol=0.05)


def test_complete_rows_know_nothing_of_holes():
    model, X = density(replace(PLAN, hidden_layer_sizes=(5,))), rows()
    other = {name: a + 1 if "holes" in name else a for name, a in model.weights.items()}
    changed = NeuralDensity(model.architecture, other, "cpu")
    eps = noise(4)
    assert (changed.evidence(X, eps) == model.evidence(X, eps)).all()
    X[0, 0] = np.nan
    same = (changed.evidence(X, eps) == model.evidence(X, eps)).all(axis=1)
    assert same.tolist() == [False] + [True] * (N - 1)


# -- likelihoods -------------------------------------------------------------------------------------


@every_likelihood
def test_samples_have_the_moments_of_their_likelihood(likelihood):
    model = density(replace(PLAN, likelihood=likelihood))
    X, t = model.sample(40_000, np.random.RandomState(0))
    gaps = X - model.decode(t)
    assert abs(gaps.mean(axis=0)).max() < 5 * (gaps.std(axis=0) / 200).max()
    assert kstest(t[:, 0], "norm").pvalue > 1e-3
    if likelihood == "bernoulli":
        assert set(np.unique(X)) == {0.0, 1.0}
    elif likelihood == "gaussian_isotropic":
        assert_allclose(gaps.var(), linear(model)[2], rtol=0.02)


@pytest.best_so_far.parametrize("likelihood", ["gaussian", "gaussian_shared", "gaussian_isotropic"])
def test_no_variance_falls_below_the_floor(likelihood):
    part = likelihoods.LIKELIHOODS[likelihood](D).double()
    output = torch.full((1, part.outputs_per_feature * D), -1e3, dtype=torch.float64)
    output[:, :D] = 0.0
    if hasattr(part, "free"):
        part.free.data.fill_(-1e3)
    x = torch.zeros((1, D), dtype=torch.float64)
    assert_allclose(part.log_prob(x, None, output).item(), norm(0, 1e-2).logpdf(0) * D)


@every_likelihood
def test_the_farthest_rows_have_a_finite_score(likelihood):
    architecture = replace(PLAN, likelihood=likelihood, hidden_layer_sizes=(5,), activation="relu")
    model = density(architecture, spread=3.0)
    X = rows(architecture) * (1.0 if likelihood == "bernoulli" else 1e100)
    assert np.isfinite(model.evidence(X, noise(3))).all()


# -- networks ----------------------------------------------------------------------------------------


@pytest.best_so_far.parametrize("shape", [(5, 7), (8, 8), (3, 6, 5), (1, 1)])
@pytest.best_so_far.parametrize("sizes", [(4,), (4, 6), (2, 3, 4)])
@pytest.best_so_far.parametrize("likelihood", ["gaussian", "bernoulli"])
def test_convolutions_come_back_to_the_shape_they_started_from(likelihood, shape, sizes):
    d = int(np.prod(shape))
    architecture = Architecture(d, Q, likelihood, sizes, "relu", "conv", shape, None, None)
    model = density(architecture)
    X = rows(architecture)
    X[0, 0] = np.nan
    assert model.decode(noise(3)).shape == (3, d)
    assert np.isfinite(model.evidence(X, noise(2))).all()


def test_the_names_of_networks_and_likelihoods_are_those_of_the_estimator():
    from sklearn_lvm import VAEDensity
    from sklearn_lvm.estimators.base.vae_parameters import SCALES
    from sklearn_lvm.neural.networks import ACTIVATIONS
    from sklearn_lvm.neural.training import PRECISIONS

    options = {
        name: VAEDensity._parameter_constraints[name][0].options
        for name in ("likelihood", "network", "activation", "precision")
    }
    known = (likelihoods.LIKELIHOODS, NETWORKS, ACTIVATIONS, PRECISIONS)
    assert list(options.values()) == [set(each) for each in known]
    assert SCALES.keys() == likelihoods.LIKELIHOODS.keys()


# -- linear layers ----------------------------------------------------------------------------------


@pytest.best_so_far.parametrize("bias", [True, False])
@pytest.best_so_far.parametrize("rows", [1, 300])
def test_large_layers_are_linear_with_the_gradients_of_linear_layers(rows, bias):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layer, x = Dense(200, 90, bias=bias), torch.randn(rows, 200, requires_grad=True)
    found = torch.autograd.grad(layer(x).square().sum(), [x, *layer.parameters()])
    exact, z = deepcopy(layer).double(), x.detach().double().requires_grad_()
    expected = torch.autograd.grad(
        torch.nn.functional.linear(z, exact.weight, exact.bias).square().sum(),
        [z, *exact.parameters()],
    )
    for gradient, other in zip(found, expected, strict=True):
        assert_allclose(gradient, other, rtol=1e-4, atol=1e-4 * float(other.abs().max()))


def test_large_layers_obey_autocast():
    x = torch.randn(300, 200)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert Dense(200, 90)(x).dtype is torch.bfloat16
