"""One spec per configuration of an estimator, and plain references built from public attributes."""

from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from scipy.special import betaln, digamma, gammaln, logsumexp, xlog1py, xlogy
from scipy.stats import bernoulli, multivariate_normal, multivariate_t
from scipy.stats import t as univariate_t
from sklearn.base import BaseEstimator, clone

from sklearn_lvm import (
    PPCA,
    BayesianGaussian,
    BernoulliMixture,
    BetaBernoulli,
    EMGaussianMixture,
    FactorAnalysis,
    GaussianMLE,
    VAEDensity,
    VariationalGaussianMixture,
)

from ..helpers import scale_of
from ..laws.specs import wishart_divergence

DIRICHLET = "dirichlet_distribution"
COVARIANCE_TYPES = ("full", "tied", "diag", "spherical")
LOW_RANK = ("factor", "ppca")
ONE_UNIT = ("spherical", "ppca")  # of all features

# covariance_type -> public covariances as one d x d matrix for each of K components.
DENSE = {
    "full": lambda C, K, d: C,
    "tied": lambda C, K, d: np.stack([C] * K),
    "diag": lambda C, K, d: C[:, :, None] * np.eye(d),
    "spherical": lambda C, K, d: C[:, None, None] * np.eye(d),
    "factor": lambda C, K, d: C,
    "ppca": lambda C, K, d: C,
}


# -- what is true of a configuration -------------------------------------------------------------------


@dataclass(frozen=True)
class Spec:
    """A configuration, and the grid that a user would search around it.

    Attributes
    ----------
    mixture, binary, neural, linear, factors, posterior, variational : bool
        The kind of model: several components; zeros and ones; known by a bound; PPCA; factor analysis;
        one Gaussian with a posterior; several with posteriors.
    measured : bool
        Whether entries are measurements, and not zeros and ones.
    prior : bool
        Whether a prior or a choice counts beside the rows, so that twice their weight says something
        else.
    one_scale : bool
        Whether only a change of all units by one factor leaves the model what it is.
    refused : dict
        A parameter that is refused.
    accepted : tuple of str
        Tables that are too poor for other models.
    """

    name: str
    estimator: BaseEstimator
    grid: dict[str, Any] = field(default_factory=dict)
    mixture: bool = False
    binary: bool = False
    neural: bool = False
    linear: bool = False
    factors: bool = False
    posterior: bool = False
    variational: bool = False
    measured: bool = True
    prior: bool = False
    one_scale: bool = False
    refused: dict[str, Any] = field(default_factory=dict)
    accepted: tuple[str, ...] = ()

    def __str__(self):
        return self.name

    def new(self, **params):
        return clone(self.estimator).set_params(**params)


def _single(covariance_type):
    return Spec(
        f"single-{covariance_type}",
        GaussianMLE(covariance_type=covariance_type),
        {"reg_covar": [0.0, 1e-6], "covariance_type": ["full", "diag"]},
        one_scale=covariance_type == "spherical",
        refused={"reg_covar": -1.0},
    )


def _bayesian(covariance_type, inference):
    return Spec(
        f"bayesian-{inference}-{covariance_type}",
        BayesianGaussian(covariance_type=covariance_type, inference=inference, random_state=0),
        {"mean_precision_prior": [0.1, None], "inference": ["bayes", "mle"]},
        posterior=inference != "mle",
        prior=inference != "mle",
        one_scale=covariance_type == "spherical",
        refused={"mean_precision_prior": -1.0},
    )


def _mixture(covariance_type, K, **params):
    named = "-".join(str(value) for value in params.values())
    return Spec(
        f"mixture-{covariance_type}-{K}" + (f"-{named}" if named else ""),
        EMGaussianMixture(K, covariance_type=covariance_type, random_state=0, **params),
        {"n_components": [1, 2], "covariance_type": ["full", "spherical"]},
        mixture=True,
        prior="mean_precision_prior" in params,
        one_scale=covariance_type in ONE_UNIT,
        refused={"reg_covar": -1.0},
        # What is added to the variances makes one row data enough for a component, and a repeated
        # row data enough for several.
        accepted=("equal rows", *["one row"][: K == 1]),
    )


def _posterior_mixture(covariance_type, K, **params):
    named = "".join(f"-{value}" for value in params.values())
    return Spec(
        f"variational-{covariance_type}-{K}{named}",
        VariationalGaussianMixture(K, covariance_type=covariance_type, random_state=0, **params),
        {"n_components": [1, 2], "priors": ["fixed", "empirical"]},
        mixture=True,
        variational=True,
        prior=True,
        one_scale=covariance_type == "spherical",
        refused={"mean_precision_prior": -1.0},
        accepted=("equal rows", *["one row"][: K == 1]),
    )


BINARY = {
    "binary": True,
    "measured": False,
    "refused": {"alpha": -1.0},
    "accepted": ("one row", "equal rows"),
}


def _coins(inference, **params):
    return Spec(
        f"coins-{inference}",
        BetaBernoulli(inference=inference, **params),
        {"alpha": [1.0, 2.0], "inference": ["bayes", "map"]},
        prior=inference != "mle",
        **BINARY,
    )


def _coin_mixture(K, **params):
    named = "".join(f"-{value}" for value in params.values())
    return Spec(
        f"coin-mixture-{K}{named}",
        BernoulliMixture(K, random_state=0, **params),
        {"n_components": [1, 2], "alpha": [1.5, 2]},
        mixture=True,
        prior=params.get("inference") != "mle",
        **BINARY,
    )


def _ppca(q, **params):
    named = "-".join(str(value) for value in params.values())
    return Spec(
        f"factor-{q}" + (f"-{named}" if named else ""),
        PPCA(q, random_state=0, **params),
        {"n_components": [1, 2, "bic"], "solver": ["covariance", "svd"]},
        linear=True,
        one_scale=True,
        refused={"max_iter": -1},
    )


def _factor(q, **params):
    named = "-".join(str(value) for value in params.values())
    return Spec(
        f"factors-{q}" + (f"-{named}" if named else ""),
        FactorAnalysis(q, **params),
        {"n_components": [0, 1], "reg_covar": [0.0, 1e-6]},
        factors=True,
        prior=q is None,  # by the weights, which count rows, factors are told from noise
        refused={"reg_covar": -1.0},
    )


def _neural(likelihood, **params):
    """A small one, trained for a few epochs: a promise is kept from the first on."""
    return Spec(
        f"neural-{likelihood}",
        VAEDensity(likelihood=likelihood, max_iter=4, random_state=0, **params),
        {"n_components": [1, 2], "learning_rate": [0.001, 0.01]},
        neural=True,
        measured=likelihood != "bernoulli",
        one_scale=likelihood == "gaussian_isotropic",
        refused={"max_iter": -1},
    )


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
    *(_bayesian(covariance_type, "bayes") for covariance_type in ("full", "diag", "spherical")),
    _bayesian("diag", "map"),
    _ppca(None),
    _ppca(1),
    _ppca(2, solver="svd"),
    _ppca(1, solver="subspace"),
    _ppca(1, solver="em", tol=1e-6),
    _ppca("mle", solver="covariance"),
    _factor(None),
    _factor(1, rotation=None),
    _factor(1, rotation="varimax"),
    _mixture("full", 1),
    _mixture("full", 3),
    _mixture("full", 2, init_params="random", n_init=2),
    _mixture("tied", 3, init_params="k-means++"),
    _mixture("diag", 3, init_params="random_from_data", n_init=2),
    _mixture("spherical", 3, init_params="k-means++"),
    _mixture("full", 2, covariance_prior=None),
    _mixture("factor", 2),
    _mixture("factor", 3, covariance_prior=None, reg_covar=1e-2),
    _mixture("ppca", 2, n_factors=1),
    _mixture("full", 3, mean_precision_prior=0.5, weight_concentration_prior=1.5),
    _posterior_mixture("full", 1),
    _posterior_mixture("full", 3, priors="empirical", reg_covar=1e-3),
    _posterior_mixture(
        "tied", 2, init_params="k-means++", weight_concentration_prior_type=DIRICHLET
    ),
    _posterior_mixture("diag", 2, priors="empirical", weight_concentration_prior_type=DIRICHLET),
    _posterior_mixture("spherical", 2, init_params="random", n_init=2),
    _coins("bayes"),
    _coins("map", alpha=2.0, beta=1.5),
    _coins("mle"),
    _coin_mixture(1),
    _coin_mixture(2, inference="mle", init_params="random", n_init=2),
    _coin_mixture(3, init_params="k-means++", weight_concentration_prior=1.5),
    _coin_mixture(3, inference="variational", weight_concentration_prior=0.5),
    _coin_mixture(2, inference="variational", alpha=0.5, beta=0.7, init_params="random", n_init=2),
    *_neural_specs(),
]


def _every(specs):
    return pytest.mark.parametrize("spec", specs, ids=str)


COINS = [spec for spec in SPECS if spec.binary]
MIXTURES = [spec for spec in SPECS if spec.mixture]
FACTORS = [spec for spec in SPECS if spec.linear]
FACTOR_ANALYSES = [spec for spec in SPECS if spec.factors]
NEURAL = [spec for spec in SPECS if spec.neural]
EXACT = [spec for spec in SPECS if not spec.neural]
MEASURED = [spec for spec in SPECS if spec.measured]
GAUSSIANS = [spec for spec in MEASURED if not (spec.linear or spec.factors or spec.neural)]
GAUSSIAN_MIXTURES = [spec for spec in MIXTURES if not spec.binary]
EM_MIXTURES = [spec for spec in GAUSSIAN_MIXTURES if not spec.variational]
VARIATIONAL = [spec for spec in SPECS if spec.variational]
COIN_MIXTURES = [spec for spec in MIXTURES if spec.binary]
SINGLES = [spec for spec in SPECS if not spec.mixture]

every_spec = _every(SPECS)
every_mixture = _every(MIXTURES)
every_single = _every(SINGLES)
every_exact = _every(EXACT)
every_neural = _every(NEURAL)
EXACT_MEASURED = [spec for spec in EXACT if spec.measured]
every_exact_measured = _every(EXACT_MEASURED)
every_factor = _every(FACTORS)
every_measured = _every(MEASURED)
every_gaussian = _every(GAUSSIANS)
every_gaussian_mixture = _every(GAUSSIAN_MIXTURES)
every_em_mixture = _every(EM_MIXTURES)
every_variational = _every(VARIATIONAL)
every_gaussian_single = _every([spec for spec in GAUSSIANS if not spec.mixture])
every_gaussian_maximum = _every([spec for spec in SPECS if isinstance(spec.estimator, GaussianMLE)])
every_posterior = _every([spec for spec in SPECS if spec.posterior])
every_coin = _every(COINS)
every_coin_mixture = _every(COIN_MIXTURES)
every_covariance_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
every_em_covariance_type = pytest.mark.parametrize(
    "covariance_type", [*COVARIANCE_TYPES, *LOW_RANK]
)


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


# -- plain references ----------------------------------------------------------------------------------


class GaussianReference:
    """Densities that are mixtures of Gaussians, by scipy."""

    @staticmethod
    def parameters(model):
        """Weights (K,), means (K, d) and dense covariances (K, d, d)."""
        means = model.means_
        dense = DENSE[model.covariance_type](model.covariances_, *means.shape)
        return model.weights_, means, dense

    @classmethod
    def log_joint(cls, model, X, added_variance=0.0):
        """log p(k, x), less tr(E inv(C_k)) / 2 with E = diag(added_variance), (n, K)."""
        columns = []
        for weight, mean, C in zip(*cls.parameters(model), strict=True):
            penalty = -0.5 * (np.diag(np.linalg.inv(C)) * added_variance).sum()
            log_prob = multivariate_normal(mean, C).logpdf(X).reshape(len(X))
            columns.append(np.log(weight) + log_prob + penalty)
        return np.stack(columns, axis=1)

    @classmethod
    def objective(cls, model, X, w):
        """What the fit raises, per unit of weight."""
        joint = cls.log_joint(model, X, added_variance(model, X, w))
        log_prior = gaussian_log_prior(model, X, w)
        return (w @ logsumexp(joint, axis=1) + log_prior) / w.sum()


class SingleGaussianReference(GaussianReference):
    @staticmethod
    def parameters(model):
        covariance, mean = np.asarray(model.covariance_)[None], model.mean_[None]
        return np.ones(1), mean, DENSE[model.covariance_type](covariance, 1, mean.shape[1])


class BayesianGaussianReference(SingleGaussianReference):
    """The predictive is a t density, or a product of them."""

    @staticmethod
    def predictive(model):
        """Degrees of freedom and the scale matrix, (d, d)."""
        d, nu, k = model.n_features_in_, model.degrees_of_freedom_, model.mean_precision_
        dof = nu - d + 1 if model.covariance_type == "full" else nu
        C = DENSE[model.covariance_type](np.asarray(model.covariance_)[None], 1, d)[0]
        return dof, C * nu * (k + 1) / (k * dof)

    @classmethod
    def parameters(cls, model):
        if model.inference != "bayes":
            return super().parameters(model)
        dof, scale = cls.predictive(model)
        return np.ones(1), model.mean_[None], scale[None] * dof / (dof - 2)

    @classmethod
    def log_joint(cls, model, X, added_variance=0.0):
        if model.inference != "bayes":
            return super().log_joint(model, X, added_variance)
        dof, scale = cls.predictive(model)
        if model.covariance_type == "diag":
            each = univariate_t(dof, model.mean_, np.sqrt(np.diag(scale))).logpdf(X)
            return each.sum(axis=1, keepdims=True)
        return np.reshape(multivariate_t(model.mean_, scale, dof).logpdf(X), (-1, 1))


class VariationalReference(GaussianReference):
    """The predictive is a mixture of t densities, or of products of them."""

    @staticmethod
    def predictive(model):
        """Degrees of freedom (K,) and scale matrices (K, d, d)."""
        K, d = model.means_.shape
        nu = model.degrees_of_freedom_ + np.zeros(K)
        k = model.mean_precision_
        dof = nu - d + 1 if model.covariance_type in ("full", "tied") else nu
        C = DENSE[model.covariance_type](model.covariances_, K, d)
        return dof, C * (nu * (k + 1) / (k * dof))[:, None, None]

    @classmethod
    def parameters(cls, model):
        dof, scale = cls.predictive(model)
        return model.weights_, model.means_, scale * (dof / (dof - 2))[:, None, None]

    @classmethod
    def log_joint(cls, model, X, added_variance=0.0):
        columns = []
        for w, mean, dof, scale in zip(
            model.weights_, model.means_, *cls.predictive(model), strict=True
        ):
            if model.covariance_type == "diag":
                log_prob = univariate_t(dof, mean, np.sqrt(np.diag(scale))).logpdf(X).sum(axis=1)
            else:
                log_prob = multivariate_t(mean, scale, dof).logpdf(X)
            columns.append(np.log(w) + np.reshape(log_prob, len(X)))
        return np.stack(columns, axis=1)

    @classmethod
    def objective(cls, model, X, w):
        return gaussian_evidence_bound(model, X, w)


class PPCAReference(GaussianReference):
    @staticmethod
    def parameters(model):
        W, d = model.loadings_, model.n_features_in_
        C = W @ W.T + model.noise_variance_ * np.eye(d)
        return np.ones(1), model.mean_[None], C[None]


class FactorReference(GaussianReference):
    @staticmethod
    def parameters(model):
        W = model.loadings_
        return np.ones(1), model.mean_[None], (W @ W.T + np.diag(model.noise_variance_))[None]


class BernoulliReference:
    """Densities that are mixtures of independent zeros and ones, by scipy."""

    @staticmethod
    def probabilities(model):
        return model.weights_, model.probabilities_

    @classmethod
    def parameters(cls, model):
        """Weights, and the moments of zeros and ones."""
        weights, p = cls.probabilities(model)
        return weights, p, (p * (1 - p))[:, :, None] * np.eye(p.shape[1])

    @classmethod
    def log_joint(cls, model, X, added_variance=0.0):
        weights, p = cls.probabilities(model)
        entries = bernoulli(p[:, None]).logpmf(np.nan_to_num(sides(model, X)))
        with np.errstate(divide="ignore"):
            log_prob = np.where(np.isnan(X), 0.0, entries).sum(axis=2)
            return (np.log(weights)[:, None] + log_prob).T

    @classmethod
    def objective(cls, model, X, w):
        if model.inference == "variational":
            return evidence_bound(model, X, w)
        log_prob = logsumexp(cls.log_joint(model, X), axis=1)
        return (w @ log_prob + log_prior(model)) / w.sum()


class SingleBernoulliReference(BernoulliReference):
    @staticmethod
    def probabilities(model):
        return np.ones(1), model.probability_[None]


REFERENCES = {
    GaussianMLE: SingleGaussianReference,
    BayesianGaussian: BayesianGaussianReference,
    EMGaussianMixture: GaussianReference,
    VariationalGaussianMixture: VariationalReference,
    PPCA: PPCAReference,
    FactorAnalysis: FactorReference,
    BetaBernoulli: SingleBernoulliReference,
    BernoulliMixture: BernoulliReference,
}


def parameters(model):
    """Weights (K,), means (K, d) and dense covariances (K, d, d) of a fitted model."""
    return REFERENCES[type(model)].parameters(model)


def log_joint(model, X, added_variance=0.0):
    """log p(k, x) by scipy, less what the objective takes from it, (n, K)."""
    return REFERENCES[type(model)].log_joint(model, X, added_variance)


def log_prob(model, X):
    """log p(x) by scipy."""
    return logsumexp(log_joint(model, X), axis=1)


def objective(model, X, w=None):
    """What the fit raises, recomputed from public attributes; a total where it bounds the evidence."""
    w = np.ones(len(X)) if w is None else w
    return REFERENCES[type(model)].objective(model, X, w)


def sides(model, X):
    """1.0 for a one, 0.0 for a zero, NaN for what was not observed."""
    return np.where(np.isnan(X), np.nan, (model.binarize or 0.0) < X)


def added_variance(model, X, w=None):
    """What reg_covar adds to every variance, in the units of the data."""
    if isinstance(model, GaussianMLE | FactorAnalysis):  # whose statistics know of variances alone
        return model.reg_covar * np.diag(np.cov(X.T, aweights=w, bias=True).reshape(X.shape[1], -1))
    return model.reg_covar * np.array([scale_of(x, w) for x in X.T]) ** 2


def gaussian_log_prior(model, X, w=None):
    """The log-density of the pseudo-observations of a Gaussian mixture's prior, but for constants.

    Covariances are measured in units of the scales of the features.
    """
    if getattr(model, "covariance_prior_", None) is None:
        return 0.0
    d, tied = X.shape[1], model.covariance_type == "tied"
    scale = np.array([scale_of(x, w) for x in X.T])
    if model.covariance_type in ONE_UNIT:
        scale = np.full(d, np.sqrt(np.mean(scale**2)))
    weights, means, covariances = parameters(model)
    beta, c = model.mean_precision_prior_, model.weight_concentration_prior_
    psi = np.asarray(model.covariance_prior_)
    psi = psi if psi.ndim == 2 else np.diag(np.broadcast_to(psi, d))
    total = xlogy(c - 1.0, weights).sum()
    for mean, C in zip(means, covariances, strict=True):
        gap = mean - model.mean_prior_
        total -= 0.5 * beta * gap @ np.linalg.solve(C, gap)
    n_means = len(means) if tied else 1
    dof = model.degrees_of_freedom_prior_ + d + 1 + (n_means if beta else 1)
    added = np.diag(added_variance(model, X, w))
    for C in covariances[:1] if tied else covariances:
        log_det = np.linalg.slogdet(C / np.outer(scale, scale))[1]
        total -= 0.5 * (dof * log_det + np.trace(np.linalg.solve(C, psi + dof * added)))
    return total


def log_prior(model):
    """The log-density of a Bernoulli mixture's parameters without its constants."""
    if model.inference == "mle":
        return 0.0
    p, w = model.probabilities_, model.weights_
    coins = xlogy(np.subtract(model.alpha_, 1), p) + xlog1py(np.subtract(model.beta_, 1), -p)
    return coins.sum() + xlogy(model.weight_concentration_prior - 1, w).sum()


def evidence_bound(model, X, w):
    """The evidence lower bound of a Bernoulli mixture for all rows, in nats."""
    dirichlet, c = model.weight_concentration_, model.weight_concentration_prior
    a, b = model.probability_alpha_[:, None], model.probability_beta_[:, None]
    log_weights = digamma(dirichlet) - digamma(dirichlet.sum())
    entries = np.where(sides(model, X) == 1, digamma(a), digamma(b)) - digamma(a + b)
    joint = np.where(np.isnan(X), 0.0, entries).sum(axis=2) + log_weights[:, None]
    weights = log_dirichlet(np.full(len(dirichlet), c)) - log_dirichlet(dirichlet)
    weights += (dirichlet - c) @ log_weights
    before, after = betaln(model.alpha_, model.beta_), betaln(a, b)
    one, zero = digamma(a) - digamma(a + b), digamma(b) - digamma(a + b)
    coins = before - after + (a - model.alpha_) * one + (b - model.beta_) * zero
    return w @ logsumexp(joint, axis=0) - weights - coins.sum()


def gaussian_evidence_bound(model, X, w):
    """The evidence lower bound of a variational Gaussian mixture for all rows, in nats."""
    K, d = model.means_.shape
    blocks, blocks0 = wishart_blocks(model), prior_blocks(model)
    k, k0 = model.mean_precision_, model.mean_precision_prior_
    log_weights, weights = weight_terms(model)
    joint, normals = [], 0.0
    for j in range(K):
        log_det, P = expected_precision(blocks[j % len(blocks)], d)
        gaps = X - model.means_[j]
        distance = np.einsum("ni,ij,nj->n", gaps, P, gaps) + d / k[j]
        joint.append(log_weights[j] + 0.5 * (log_det - d * np.log(2 * np.pi) - distance))
        gap, ratio = model.means_[j] - model.mean_prior_, k0 / k[j]
        normals += 0.5 * (d * (ratio - 1 - np.log(ratio)) + k0 * gap @ P @ gap)
    wisharts = sum(
        wishart_divergence(*q, *p)
        for blocks_of_one in blocks
        for q, p in zip(blocks_of_one, blocks0, strict=True)
    )
    return w @ logsumexp(joint, axis=0) - weights - normals - wisharts


def wishart_blocks(model):
    """Degrees of freedom and scale matrices of the independent blocks of each precision."""
    K, tied = len(model.means_), model.covariance_type == "tied"
    nu = np.broadcast_to(model.degrees_of_freedom_, 1 if tied else K)
    C = model.covariances_[None] if tied else model.covariances_
    return [blocks_of(n, n * c) for n, c in zip(nu, C, strict=True)]


def prior_blocks(model):
    return blocks_of(model.degrees_of_freedom_prior_, np.asarray(model.covariance_prior_))


def blocks_of(nu, psi):
    return [(nu, psi)] if psi.ndim == 2 else [(nu, np.array([[x]])) for x in np.atleast_1d(psi)]


def expected_precision(blocks, d):
    """E log |P| and E P of the Wishart distributions of independent blocks."""
    log_dets = [
        digamma((nu - np.arange(len(psi))) / 2).sum()
        + len(psi) * np.log(2)
        - np.linalg.slogdet(psi)[1]
        for nu, psi in blocks
    ]
    means = [nu * np.linalg.inv(psi) for nu, psi in blocks]
    if len(means[0]) == d:
        return log_dets[0], means[0]
    numbers = np.concatenate([mean[0] for mean in means])
    return np.sum(log_dets) * d / len(blocks), np.diag(np.broadcast_to(numbers, d))


def weight_terms(model):
    """Expected log-weights, and the divergence of the weights from their prior."""
    c, known = model.weight_concentration_prior_, model.weight_concentration_
    if not isinstance(known, tuple):
        log_weights = digamma(known) - digamma(known.sum())
        prior = np.full(len(known), c)
        return log_weights, (
            log_dirichlet(prior) - log_dirichlet(known) + (known - prior) @ log_weights
        )
    a, b = known
    if len(a) == 1:
        return np.zeros(1), 0.0
    taken, left = digamma(a) - digamma(a + b), digamma(b) - digamma(a + b)
    before = np.append(0.0, np.cumsum(left)[:-1])
    divergence = betaln(1, c) - betaln(a, b) + (a - 1) * taken + (b - c) * left
    return taken + before, divergence.sum()


def log_dirichlet(a):
    """The log-normalizer of a Dirichlet density."""
    return gammaln(a).sum() - gammaln(a.sum())


def public_state(model):
    """Fitted attributes that a user sees."""
    public = {name: value for name, value in vars(model).items() if name.endswith("_")}
    shown = {name: value for name, value in public.items() if value is not None}
    history = shown.pop("history_", {})
    shown.pop("prior_", None)  # what was chosen, and what the choice scored
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
    if isinstance(x, tuple):
        return isinstance(y, tuple) and len(x) == len(y) and all(map(_same, x, y))
    if hasattr(x, "__dataclass_fields__"):
        return type(x) is type(y) and all(
            _same(getattr(x, name), getattr(y, name)) for name in x.__dataclass_fields__
        )
    return bool(x == y)
