"""One spec per configuration of an estimator, and plain references built from public attributes."""

from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from scipy.special import logsumexp, xlog1py, xlogy
from scipy.stats import bernoulli, multivariate_normal
from sklearn.base import BaseEstimator, clone

from sklearn_lvm import (
    PPCA,
    BernoulliMixture,
    BetaBernoulli,
    EMGaussianMixture,
    GaussianMLE,
    VAEDensity,
)
from sklearn_lvm.estimators.base.mixture import MixtureEstimator

COVARIANCE_TYPES = ("full", "tied", "diag", "spherical")

# covariance_type -> public covariances as one d x d matrix for each of K components.
DENSE = {
    "full": lambda C, K, d: C,
    "tied": lambda C, K, d: np.stack([C] * K),
    "diag": lambda C, K, d: C[:, :, None] * np.eye(d),
    "spherical": lambda C, K, d: C[:, None, None] * np.eye(d),
}


@dataclass(frozen=True)
class Spec:
    """A configuration, and the grid that a user would search around it."""

    name: str
    estimator: BaseEstimator
    grid: dict[str, Any] = field(default_factory=dict)

    def __str__(self):
        return self.name

    def new(self, **params):
        return clone(self.estimator).set_params(**params)

    @property
    def mixture(self):
        return isinstance(self.estimator, MixtureEstimator)

    @property
    def binary(self):
        """Whether it is a model of coins: they have no units, and holes are not observed."""
        return isinstance(self.estimator, BetaBernoulli | BernoulliMixture)

    @property
    def neural(self):
        """Whether it is a density of which only a bound is known."""
        return isinstance(self.estimator, VAEDensity)

    @property
    def holes(self):
        """Whether NaN is an entry that was not observed."""
        return self.binary or self.neural

    @property
    def units(self):
        """Whether its entries are measurements, and not zeros and ones."""
        return not self.binary and getattr(self.estimator, "likelihood", None) != "bernoulli"

    @property
    def refused(self):
        """A parameter that is refused."""
        if self.factor or self.neural:
            return {"max_iter": -1}
        return {"alpha": -1.0} if self.binary else {"reg_covar": -1.0}

    @property
    def accepted(self):
        """Tables that are too poor for other models."""
        if self.binary:
            return ("a hole", "one row", "equal rows")
        if self.neural:
            return ("a hole",)
        # A row that is a small ball of its own is data enough for one component.
        single = self.mixture and self.estimator.n_components == 1
        return ("one row", "equal rows") if single else ()

    @property
    def prior(self):
        """Whether a prior counts beside the rows, so that twice their weight says something else."""
        return getattr(self.estimator, "inference", "mle") != "mle"

    @property
    def factor(self):
        return isinstance(self.estimator, PPCA)

    @property
    def one_scale(self):
        """Whether only a change of all units by one factor leaves the model what it is."""
        isotropic = getattr(self.estimator, "likelihood", None) == "gaussian_isotropic"
        return (
            self.factor
            or isotropic
            or getattr(self.estimator, "covariance_type", None) == "spherical"
        )


def _single(covariance_type):
    grid = {"reg_covar": [0.0, 1e-6], "covariance_type": ["full", "diag"]}
    return Spec(f"single-{covariance_type}", GaussianMLE(covariance_type=covariance_type), grid)


def _mixture(covariance_type, K, **params):
    named = "-".join(str(value) for value in params.values())
    estimator = EMGaussianMixture(K, covariance_type=covariance_type, random_state=0, **params)
    grid = {"n_components": [1, 2], "covariance_type": ["full", "spherical"]}
    return Spec(f"mixture-{covariance_type}-{K}" + (f"-{named}" if named else ""), estimator, grid)


def _coins(inference, **params):
    grid = {"alpha": [1.0, 2.0], "inference": ["bayes", "map"]}
    return Spec(f"coins-{inference}", BetaBernoulli(inference=inference, **params), grid)


def _coin_mixture(K, **params):
    named = "".join(f"-{value}" for value in params.values())
    estimator = BernoulliMixture(K, random_state=0, **params)
    return Spec(f"coin-mixture-{K}{named}", estimator, {"n_components": [1, 2], "alpha": [1.5, 2]})


def _factor(q, **params):
    named = "-".join(str(value) for value in params.values())
    estimator = PPCA(q, random_state=0, **params)
    grid = {"n_components": [1, 2, "bic"], "solver": ["covariance", "svd"]}
    return Spec(f"factor-{q}" + (f"-{named}" if named else ""), estimator, grid)


def _neural(likelihood, **params):
    """A small one, trained for a few epochs: a promise is kept from the first on."""
    estimator = VAEDensity(likelihood=likelihood, max_iter=4, random_state=0, **params)
    grid = {"n_components": [1, 2], "learning_rate": [0.001, 0.01]}
    return Spec(f"neural-{likelihood}", estimator, grid)


def _neural_specs():
    """None where torch is not installed: it is an extra."""
    if find_spec("torch") is None:
        return []
    return [
        _neural("gaussian", hidden_layer_sizes=(8,)),
        _neural("gaussian_isotropic", hidden_layer_sizes=(), early_stopping=False),
        _neural("bernoulli", hidden_layer_sizes=(6,), binarize=0.0, n_importance_samples=3),
    ]


SPECS = [
    *map(_single, ("full", "diag", "spherical")),
    _factor(None),
    _factor(1),
    _factor(2, solver="svd"),
    _factor(1, solver="subspace"),
    _factor(1, solver="em", tol=1e-6),
    _factor("mle", solver="covariance"),
    _factor(0.7),
    _mixture("full", 1),
    _mixture("full", 3),
    _mixture("full", 2, init_params="random", n_init=2),
    _mixture("tied", 2),
    _mixture("tied", 3, init_params="k-means++"),
    _mixture("diag", 1, init_params="random_from_data"),
    _mixture("diag", 3, init_params="random_from_data", n_init=2),
    _mixture("spherical", 2),
    _mixture("spherical", 3, init_params="k-means++"),
    _coins("bayes"),
    _coins("map", alpha=2.0, beta=1.5),
    _coins("mle"),
    _coin_mixture(1),
    _coin_mixture(2),
    _coin_mixture(2, inference="mle", init_params="random", n_init=2),
    _coin_mixture(3, init_params="k-means++", weight_concentration_prior=1.5),
    *_neural_specs(),
]


def _every(specs):
    return pytest.mark.parametrize("spec", specs, ids=str)


COINS = [spec for spec in SPECS if spec.binary]
MIXTURES = [spec for spec in SPECS if spec.mixture]
FACTORS = [spec for spec in SPECS if spec.factor]
NEURAL = [spec for spec in SPECS if spec.neural]
EXACT = [spec for spec in SPECS if not spec.neural]
MEASURED = [spec for spec in SPECS if spec.units]
GAUSSIANS = [spec for spec in MEASURED if not (spec.factor or spec.neural)]
GAUSSIAN_MIXTURES = [spec for spec in MIXTURES if not spec.binary]
COIN_MIXTURES = [spec for spec in MIXTURES if spec.binary]
SINGLES = [spec for spec in SPECS if not spec.mixture]

every_spec = _every(SPECS)
every_mixture = _every(MIXTURES)
every_single = _every(SINGLES)
every_exact = _every(EXACT)
every_neural = _every(NEURAL)
every_exact_measured = _every([spec for spec in EXACT if spec.units])
every_factor = _every(FACTORS)
every_measured = _every(MEASURED)
every_gaussian = _every(GAUSSIANS)
every_gaussian_mixture = _every(GAUSSIAN_MIXTURES)
every_gaussian_single = _every([spec for spec in GAUSSIANS if not spec.mixture])
every_coin = _every(COINS)
every_coin_mixture = _every(COIN_MIXTURES)
every_covariance_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)


@cache
def _clouds(n, d, seed):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) @ (np.eye(d) + 0.4 * rng.normal(size=(d, d)))
    return X + 2.0 * rng.integers(0, 3, size=(n, 1)) * rng.choice([-1, 1], d)


def clouds(n=150, d=3, seed=0):
    """Rows of three correlated clouds that overlap, so that EM has some way to go."""
    return _clouds(n, d, seed).copy()


def weights(n, seed=0):
    return np.random.default_rng(seed).uniform(0.2, 2.0, n)


def parameters(model):
    """Weights (K,), means (K, d) and dense covariances (K, d, d) of a fitted model."""
    if isinstance(model, BetaBernoulli | BernoulliMixture):
        return _of_coins(model)
    if isinstance(model, PPCA):
        W, d = model.loadings_, model.n_features_in_
        C = W @ W.T + model.noise_variance_ * np.eye(d)
        return np.ones(1), model.mean_[None], C[None]
    if isinstance(model, GaussianMLE):
        covariance, mean = np.asarray(model.covariance_)[None], model.mean_[None]
        return np.ones(1), mean, DENSE[model.covariance_type](covariance, 1, mean.shape[1])
    means = model.means_
    return model.weights_, means, DENSE[model.covariance_type](model.covariances_, *means.shape)


def _of_coins(model):
    """The moments of zeros and ones."""
    p = np.atleast_2d(getattr(model, "probabilities_", getattr(model, "probability_", None)))
    return getattr(model, "weights_", np.ones(1)), p, (p * (1 - p))[:, :, None] * np.eye(p.shape[1])


def sides(model, X):
    """1.0 for a one, 0.0 for a zero, NaN for what was not observed."""
    return np.where(np.isnan(X), np.nan, (model.binarize or 0.0) < X)


def _coin_joint(model, X):
    weights, p, _ = parameters(model)
    entries = bernoulli(p[:, None]).logpmf(np.nan_to_num(sides(model, X)))
    with np.errstate(divide="ignore"):
        return (np.log(weights)[:, None] + np.where(np.isnan(X), 0.0, entries).sum(axis=2)).T


def log_joint(model, X, scatter=0.0):
    """log p(k, x) by scipy, less what balls of scatter diag(scatter) cost, (n, K)."""
    if isinstance(model, BetaBernoulli | BernoulliMixture):
        return _coin_joint(model, X)
    columns = []
    for weight, mean, C in zip(*parameters(model), strict=True):
        tilt = -0.5 * (np.diag(np.linalg.inv(C)) * scatter).sum()
        log_prob = multivariate_normal(mean, C).logpdf(X).reshape(len(X))
        columns.append(np.log(weight) + log_prob + tilt)
    return np.stack(columns, axis=1)


def log_prob(model, X):
    """log p(x) by scipy."""
    return logsumexp(log_joint(model, X), axis=1)


def balls(model, X, w=None):
    """The scatter that reg_covar gives to each row, in the units of the data."""
    return model.reg_covar * np.diag(np.cov(X.T, aweights=w, bias=True).reshape(X.shape[1], -1))


def objective(model, X, w=None):
    """What the fit raises, recomputed from public attributes."""
    w = np.ones(len(X)) if w is None else w
    if isinstance(model, BernoulliMixture):
        return (w @ log_prob(model, X) + log_prior(model)) / w.sum()
    return w @ logsumexp(log_joint(model, X, balls(model, X, w)), axis=1) / w.sum()


def log_prior(model):
    """The log-density of a coin mixture's parameters without its constants."""
    if model.inference == "mle":
        return 0.0
    p, w = model.probabilities_, model.weights_
    coins = xlogy(np.subtract(model.alpha, 1), p) + xlog1py(np.subtract(model.beta, 1), -p)
    return coins.sum() + xlogy(model.weight_concentration_prior - 1, w).sum()


def public_state(model):
    """Fitted attributes that a user sees."""
    shown = {name: value for name, value in vars(model).items() if name.endswith("_")}
    history = shown.pop("history_", {})
    return shown | {f"history_[{name}]": value for name, value in history.items()}


def same_state(one, other):
    """Whether two estimators hold the same attributes, bit for bit."""
    a, b = vars(one), vars(other)
    return a.keys() == b.keys() and all(_same(a[name], b[name]) for name in a)


def _same(x, y):
    if isinstance(x, np.ndarray):
        return x.dtype == y.dtype and x.shape == y.shape and bool(np.array_equal(x, y))
    if isinstance(x, type):
        return x is y
    if isinstance(x, dict):
        return x.keys() == y.keys() and all(_same(x[name], y[name]) for name in x)
    if hasattr(x, "__dataclass_fields__"):
        return type(x) is type(y) and all(
            _same(getattr(x, name), getattr(y, name)) for name in x.__dataclass_fields__
        )
    return bool(x == y)
