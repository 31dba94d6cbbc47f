"""What is fitted, from which start, and by whom."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn import config_context
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

from sklearn_lvm import EMGaussianMixture
from sklearn_lvm.fitting import mixture as search
from sklearn_lvm.inference.two_precisions import run_em_in_two_precisions

Array = np.ndarray
Peer = Callable[..., Any]

SMALL = 1e-12  # a tolerance that nothing meets
PLAIN = {"acceleration": None, "covariance_prior": None}
N_NEW = 20_000  # rows that no fit sees


@dataclass
class Problem:
    """Rows, and a start that is given in full."""

    name: str
    X: Array
    start: dict[str, Array]
    covariance_type: str
    reg_covar: float = 1e-6

    @property
    def n_components(self) -> int:
        return len(self.start["means_init"])

    def parameters(self) -> dict[str, Any]:
        return {
            "n_components": self.n_components,
            "covariance_type": self.covariance_type,
            **self.start,
        }


@dataclass
class Table:
    """Rows, as many components as a default fit gets, and new rows where there are any."""

    name: str
    X: Array
    n_components: int
    new: Array | None = None

    def split(self) -> tuple[Array, Array]:
        """Rows to fit to and rows to score: every other one each where there are no new ones."""
        return (self.X[::2], self.X[1::2]) if self.new is None else (self.X, self.new)


def standardized(X: Array) -> Array:
    """Features of unit variance, so that reg_covar means the same to everybody."""
    X = X[:, X.std(axis=0) > 0]
    return (X - X.mean(axis=0)) / X.std(axis=0)


def blobs(n: int, d: int, K: int, seed: int = 0, apart: float = 1.5) -> Array:
    """Rows from K Gaussians with random covariances."""
    rng = np.random.default_rng(seed)
    means, labels = rng.normal(size=(K, d)) * apart, rng.integers(K, size=n)
    X = np.empty((n, d))
    for k in range(K):
        rows, A = labels == k, rng.normal(size=(d, d)) / np.sqrt(d)
        L = np.linalg.cholesky(A @ A.T + 0.2 * np.eye(d))
        X[rows] = rng.normal(size=(rows.sum(), d)) @ L.T + means[k]
    return standardized(X)


def start_at_rows(X: Array, K: int, covariance_type: str, seed: int = 1) -> dict[str, Array]:
    """Even weights, random rows as means, the features' variances as covariances."""
    rng = np.random.default_rng(seed)
    precision = 1.0 / X.var(axis=0)
    shapes = {
        "full": np.repeat(np.diag(precision)[None], K, axis=0),
        "tied": np.diag(precision),
        "diag": np.repeat(precision[None], K, axis=0),
        "spherical": np.full(K, precision.mean()),
    }
    return {
        "weights_init": np.full(K, 1.0 / K),
        "means_init": X[rng.choice(len(X), K, replace=False)],
        "precisions_init": shapes[covariance_type],
    }


def fixed_problems(quick: bool) -> Iterator[Problem]:
    digits = standardized(load_digits().data)
    shapes = [(100_000, 2, 5), (100_000, 10, 10), (1_000_000, 5, 10)]
    shapes += [(100_000, 50, 20), (20_000, 200, 10)]
    for n, d, K in shapes:
        X = blobs(n // 50 if quick else n, d, K)
        yield Problem(f"{len(X)} x {d}, K={K}", X, start_at_rows(X, K, "full"), "full")
    start = start_at_rows(digits, 10, "full")
    yield Problem("digits 1797 x 61, K=10", digits, start, "full", reg_covar=1e-2)
    for n, d, K in [shapes[1], shapes[3]]:
        X = blobs(n // 50 if quick else n, d, K)
        for kind in ["diag", "tied", "spherical"]:
            yield Problem(f"{len(X)} x {d}, K={K}", X, start_at_rows(X, K, kind), kind)


def ours(problem: Problem, max_iter: int, **params: Any) -> Any:
    """Plain EM for so many steps, by maximum likelihood as the peers do, unless told otherwise."""
    given = {**PLAIN, "tol": 0.0, **problem.parameters(), **params}
    return EMGaussianMixture(**given, reg_covar=problem.reg_covar, max_iter=max_iter).fit(problem.X)


@contextmanager
def plain_steps_in_two_precisions() -> Iterator[None]:
    """The estimator joins two precisions in accelerated runs only; here plain ones do so too."""
    run_em, search.run_em = search.run_em, run_em_in_two_precisions
    try:
        yield
    finally:
        search.run_em = run_em


def ours_in_two_precisions(problem: Problem, max_iter: int) -> Any:
    """The same in single precision but for the last steps; the change costs one E-step more."""
    given = {**PLAIN, "tol": SMALL, **problem.parameters()}
    mixture = EMGaussianMixture(**given, reg_covar=problem.reg_covar, max_iter=max_iter + 1)
    with plain_steps_in_two_precisions():
        return mixture.fit(problem.X)


def scikit_learn(problem: Problem, max_iter: int, tol: float = 0.0) -> Any:
    mixture = GaussianMixture(
        **problem.parameters(), reg_covar=problem.reg_covar, tol=tol, max_iter=max_iter
    )
    return mixture.fit(problem.X)


def scikit_learn_torch(problem: Problem, max_iter: int) -> Any:
    import torch

    start = {name: torch.from_numpy(np.array(value)) for name, value in problem.start.items()}
    given = {**problem.parameters(), **start, "init_params": "random"}
    with config_context(array_api_dispatch=True):
        mixture = GaussianMixture(**given, reg_covar=problem.reg_covar, tol=0.0, max_iter=max_iter)
        return mixture.fit(torch.from_numpy(problem.X))


def pomegranate(problem: Problem, max_iter: int) -> Any:
    import torch
    from pomegranate.distributions import Normal
    from pomegranate.gmm import GeneralMixtureModel

    start = {name: value.copy() for name, value in problem.start.items()}  # it writes into them
    covariances = np.linalg.inv(start["precisions_init"])
    normals = [
        Normal(torch.from_numpy(mean), torch.from_numpy(covariance), covariance_type="full")
        for mean, covariance in zip(start["means_init"], covariances, strict=True)
    ]
    priors = torch.from_numpy(start["weights_init"])
    mixture = GeneralMixtureModel(normals, priors=priors, max_iter=max_iter, tol=-np.inf)
    return mixture.fit(torch.from_numpy(problem.X))


def log_likelihood(problem: Problem, fitted: Any) -> float:
    """The mean log-likelihood of what a contender returned, by one function for all of them."""
    if hasattr(fitted, "distributions"):
        weights = fitted.priors
        means = [normal.means for normal in fitted.distributions]
        covariances = [normal.covs for normal in fitted.distributions]
    else:
        weights, means, covariances = fitted.weights_, fitted.means_, fitted.covariances_
    plain = [
        np.stack([np.asarray(part, float) for part in parts]) for parts in (means, covariances)
    ]
    weights = np.asarray(weights, float)
    kind = problem.covariance_type
    mixture = EMGaussianMixture.from_parameters(
        weights / weights.sum(), *plain, covariance_type=kind
    )
    return mixture.score(problem.X)


def peers_for(problem: Problem, available: set[str]) -> dict[str, Peer]:
    """The peers that know this covariance and are installed."""
    peers: dict[str, Peer] = {"scikit-learn": scikit_learn}
    if "torch" in available:
        peers["scikit-learn on torch"] = scikit_learn_torch
    if "pomegranate" in available and problem.covariance_type == "full":
        peers["pomegranate"] = pomegranate
    return peers


def overlapping(quick: bool) -> Iterator[tuple[str, Array, int, float]]:
    """Overlapping problems, on which EM is slow; two of them are small."""
    small = 10 if quick else 1
    yield "20000 x 2, K=5", blobs(20_000 // small, 2, 5, 3, 0.8), 5, 1e-6
    yield "4500 x 2, K=3", blobs(4_500 // small, 2, 3, 7, 0.5), 3, 1e-6
    yield "20000 x 5, K=8", blobs(20_000 // small, 5, 8, 1, 0.7), 8, 1e-6
    yield "20000 x 10, K=10", blobs(20_000 // small, 10, 10, 2, 0.5), 10, 1e-6
    yield "20000 x 20, K=15", blobs(20_000 // small, 20, 15, 4, 0.6), 15, 1e-6
    digits = standardized(PCA(20, random_state=0).fit_transform(load_digits().data))
    yield "digits, PCA to 20, K=10", digits, 10, 1e-2


def default_problems(quick: bool) -> Iterator[Table]:
    """What a default fit is compared on: overlapping clusters, digits, too many components."""
    shapes = [(20_000, 2, 5, 0.8), (3_000, 2, 3, 0.6), (30_000, 5, 8, 1.0), (30_000, 10, 10, 1.0)]
    shapes.append((20_000, 20, 15, 1.0))
    for seed, (n, d, K, apart) in enumerate(shapes, start=1):
        X, new = rotated_blobs(n // 10 if quick else n, d, K, seed, apart)
        yield Table(f"{n} x {d}, K={K}", X, K, new)
    digits = PCA(20, random_state=0).fit_transform(load_digits().data)
    yield Table("digits, PCA to 20, K=10", standardized(digits), 10)
    X, new = rotated_blobs(5_000 if quick else 50_000, 12, 3, 6, 1.0)
    yield Table("50000 x 12 of 3 clusters, K=20", X, 20, new)


def rotated_blobs(n: int, d: int, K: int, seed: int, apart: float) -> tuple[Array, Array]:
    """Rows from K Gaussians, with axes of 0.4 to 1.4 in random directions, and new rows."""
    rng = np.random.default_rng(seed)
    axes = [np.linalg.qr(rng.normal(size=(d, d)))[0] * rng.uniform(0.4, 1.4, d) for _ in range(K)]
    means = rng.normal(size=(K, d)) * apart

    def drawn(n: int) -> Array:
        labels, X = rng.integers(K, size=n), rng.normal(size=(n, d))
        for k in range(K):
            X[labels == k] = X[labels == k] @ axes[k].T + means[k]
        return X

    X, new = drawn(n), drawn(N_NEW)
    return standardized(X), (new - X.mean(axis=0)) / X.std(axis=0)
