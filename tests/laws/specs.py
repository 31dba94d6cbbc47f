"""One spec per family of densities, with plain references that know none of the package's tricks."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import strategies as st
from scipy.special import digamma, gammaln, logsumexp, multigammaln
from scipy.stats import bernoulli, multivariate_normal, poisson

from sklearn_lvm.core.bernoulli.beta import BetaPosterior
from sklearn_lvm.core.bernoulli.binary_rows import binary_rows
from sklearn_lvm.core.bernoulli.density import BernoulliFamily, Bernoullis
from sklearn_lvm.core.bernoulli.posterior import BernoulliPosteriorFamily
from sklearn_lvm.core.exponential.columns import BERNOULLI, Categorical, Poisson
from sklearn_lvm.core.exponential.density import ExponentialComponents, ExponentialFamily
from sklearn_lvm.core.exponential.rows import FeatureMap
from sklearn_lvm.core.gaussian.density import GaussianFamily, Gaussians
from sklearn_lvm.core.gaussian.diagonal import Diagonal, Spherical
from sklearn_lvm.core.gaussian.full import Full
from sklearn_lvm.core.gaussian.low_rank import IsotropicLowRank, LowRank
from sklearn_lvm.core.gaussian.low_rank_covariances import LowRankCovariances
from sklearn_lvm.core.gaussian.moments import Moments
from sklearn_lvm.core.gaussian.normal_wishart import NormalWisharts
from sklearn_lvm.core.gaussian.posterior import GaussianPosteriorFamily
from sklearn_lvm.core.mixing import DirichletPosterior
from sklearn_lvm.core.mixture import Mixture
from sklearn_lvm.core.mixture_em import MixtureSteps
from sklearn_lvm.core.mixture_variational import EmpiricalSteps, VariationalSteps
from sklearn_lvm.core.product import ProductComponents, ProductFamily, ProductRows

# How arrays of covariances become d x d matrices, and what of a matrix a structure stores.
DENSE = {
    Full: lambda matrix, d: matrix,
    LowRank: lambda matrix, d: matrix,
    IsotropicLowRank: lambda matrix, d: matrix,
    Diagonal: lambda matrix, d: matrix[:, :, None] * np.eye(d),
    Spherical: lambda matrix, d: matrix[:, None, None] * np.eye(d),
}
PART = {
    Full: lambda C: C,
    LowRank: lambda C: C,
    IsotropicLowRank: lambda C: C,
    Diagonal: lambda C: np.diagonal(C, axis1=1, axis2=2),
    Spherical: lambda C: np.trace(C, axis1=1, axis2=2),
}
PUBLIC = {
    Full: lambda C: C,
    LowRank: lambda C: C,
    IsotropicLowRank: lambda C: C,
    Diagonal: lambda C: np.diagonal(C, axis1=1, axis2=2),
    Spherical: lambda C: np.trace(C, axis1=1, axis2=2) / C.shape[1],
}


class Spec:
    """What a spec states: densities, rows of data, the steps of EM, and references for all of them.

    ``extra`` (d,) is what the M-step adds to every variance, for families that have variances.
    """

    def components(self, K, d, rng):
        """K densities of d features."""
        raise NotImplementedError

    def rows(self, n, d, rng):
        """Rows (n, d)."""
        raise NotImplementedError

    def clustered_rows(self, labels, d, rng):
        """Rows (n, d) of clusters that differ, as their labels (n,) do."""
        raise NotImplementedError

    def block(self, rows):
        """Rows (n, d) as a kernel takes them."""
        raise NotImplementedError

    def family(self, added_variance):
        raise NotImplementedError

    def log_prob(self, components, rows):
        """Log-densities of rows (n, d) by scipy, (K, n)."""
        raise NotImplementedError

    def penalty(self, components, added_variance):
        """What the objective takes from each log-density, (K,)."""
        return np.zeros(1)

    def log_prior(self, mixture):
        """What the objective adds to the log-likelihood of all rows."""
        return 0.0

    def numbers(self, components):
        """Arrays that tell one set of densities from another."""
        raise NotImplementedError

    def mixture(self, K, d, rng):
        return Mixture(np.log(rng.dirichlet(np.full(K, 3.0))), self.components(K, d, rng))

    def steps(self, added_variance):
        return MixtureSteps(self.family(added_variance))


@dataclass(frozen=True)
class Family(Spec):
    """Gaussians of a covariance structure, which may share one covariance."""

    structure: type
    tied: bool

    def __str__(self):
        return f"{self.structure.__name__}{'-tied' if self.tied else ''}"

    def of(self, d):
        """The structure for d features."""
        return self.structure(d, self.tied)

    def dense(self, matrix, d):
        """The public form of covariances as matrices, (K or 1, d, d)."""
        return DENSE[self.structure](np.asarray(matrix)[None] if self.tied else matrix, d)

    def public(self, C):
        """The public form of the covariance of this structure that is nearest to C."""
        return self.of(C.shape[1]).public(PUBLIC[self.structure](C))

    def from_dense(self, C):
        """The covariances of this structure that are nearest to C, (K or 1, d, d)."""
        return self.of(C.shape[1]).from_public(self.public(C))

    def matrices(self, K, d, rng):
        """Well-conditioned covariances of this structure, (K or 1, d, d)."""
        K = 1 if self.tied else K
        factor = rng.normal(size=(K, d, d))
        C = factor @ factor.mT + 0.5 * np.eye(d)
        return self.dense(self.public(C), d)

    def covariance(self, K, d, rng):
        """The same as the package keeps them."""
        return self.from_dense(self.matrices(K, d, rng))

    def components(self, K, d, rng):
        return Gaussians(rng.normal(size=(K, d)), self.covariance(K, d, rng))

    def rows(self, n, d, rng):
        return rng.normal(size=(n, d))

    def clustered_rows(self, labels, d, rng):
        return rng.normal(size=(len(labels), d)) + 4 * labels[:, None]

    def block(self, rows):
        return np.ascontiguousarray(rows.T)

    def family(self, added_variance):
        return GaussianFamily(self.of(len(added_variance)), np.asarray(added_variance, dtype=float))

    def log_prob(self, components, rows):
        pairs = zip(*dense_gaussians(components), strict=True)
        return np.stack(
            [multivariate_normal(m, C).logpdf(rows).reshape(len(rows)) for m, C in pairs]
        )

    def penalty(self, components, added_variance):
        """tr(E inv(C_k)) / 2, from dense matrices."""
        _, C = dense_gaussians(components)
        precision = np.stack([np.linalg.inv(c) for c in C])
        return -0.5 * (np.diagonal(precision, axis1=1, axis2=2) * added_variance).sum(axis=1)

    def numbers(self, components):
        return components.mean, np.asarray(components.covariance.matrix)


@dataclass(frozen=True)
class LowRankFamily(Family):
    """Gaussians of q factors, or of as many as there may be of few features."""

    q: int

    def __str__(self):
        return f"{super().__str__()}-{self.q}"

    def of(self, d):
        return self.structure(d, self.tied, q=min(self.q, d - 1))

    def covariance(self, K, d, rng):
        structure = self.of(d)
        noise = rng.uniform(0.5, 2.0, size=(K, d if structure.per_feature else 1))
        loadings = rng.normal(size=(K, d, structure.q))
        return LowRankCovariances(
            structure, loadings, np.broadcast_to(noise, (K, d)), np.zeros((K, d))
        )

    def matrices(self, K, d, rng):
        return self.covariance(K, d, rng).scatter


class CoinFamily(Spec):
    """Rows of coins, which have no variances: ``extra`` says nothing of them."""

    def __str__(self):
        return "Coins"

    def components(self, K, d, rng):
        p = rng.uniform(0.02, 0.98, size=(K, d))
        return Bernoullis.of(p, 1 - p)

    def rows(self, n, d, rng):
        """Rows of which some entries were not observed."""
        return self._with_missing(rng.uniform(size=(n, d)) < rng.uniform(0.2, 0.8, size=d), rng)

    def clustered_rows(self, labels, d, rng):
        p = (1 + 2 * labels[:, None]) / (2 + 2 * labels.max())
        return self._with_missing(rng.uniform(size=(len(labels), d)) < p, rng)

    def _with_missing(self, rows, rng):
        return np.where(rng.uniform(size=rows.shape) < 0.1, np.nan, rows.astype(float))

    def block(self, rows):
        return binary_rows(rows, 0.5)

    def family(self, added_variance):
        return BernoulliFamily()

    def log_prob(self, components, rows):
        entries = bernoulli(components.probability[:, None]).logpmf(np.nan_to_num(rows))
        return np.where(np.isnan(rows), 0.0, entries).sum(axis=2)

    def numbers(self, components):
        return components.log_p, components.log_q


class ProductOf(Spec):
    """Gaussians of the even columns, coins of the odd ones: there may be none."""

    gaussians, coins = Family(Full, False), CoinFamily()

    def __str__(self):
        return "Product"

    def blocks(self, d):
        """The specs that are used, each with its columns."""
        pairs = (self.gaussians, np.arange(0, d, 2)), (self.coins, np.arange(1, d, 2))
        return [(spec, columns) for spec, columns in pairs if len(columns)]

    def columns(self, d):
        return tuple(columns for _, columns in self.blocks(d))

    def components(self, K, d, rng):
        parts = (spec.components(K, len(own), rng) for spec, own in self.blocks(d))
        return ProductComponents(tuple(parts), self.columns(d))

    def rows(self, n, d, rng):
        parts = [spec.rows(n, len(own), rng) for spec, own in self.blocks(d)]
        return self.table(parts, d)

    def clustered_rows(self, labels, d, rng):
        parts = [spec.clustered_rows(labels, len(own), rng) for spec, own in self.blocks(d)]
        return self.table(parts, d)

    def table(self, parts, d):
        rows = np.empty((len(parts[0]), d))
        for part, columns in zip(parts, self.columns(d), strict=True):
            rows[:, columns] = part
        return rows

    def block(self, rows):
        blocks = self.blocks(rows.shape[1])
        return ProductRows(tuple(spec.block(rows[:, own]) for spec, own in blocks))

    def family(self, added_variance):
        added_variance = np.asarray(added_variance, dtype=float)
        blocks = self.blocks(len(added_variance))
        families = tuple(spec.family(added_variance[own]) for spec, own in blocks)
        return ProductFamily(families, tuple(own for _, own in blocks))

    def log_prob(self, components, rows):
        triples = zip(components.parts, self.blocks(rows.shape[1]), strict=True)
        return sum(spec.log_prob(part, rows[:, own]) for part, (spec, own) in triples)

    def penalty(self, components, added_variance):
        d = sum(map(len, components.columns))
        own = np.broadcast_to(added_variance, d)[components.columns[0]]
        return self.gaussians.penalty(components.parts[0], own)

    def numbers(self, components):
        d = sum(map(len, components.columns))
        pairs = zip(components.parts, self.blocks(d), strict=True)
        return tuple(array for part, (spec, _) in pairs for array in spec.numbers(part))


class CoinPosteriorFamily(CoinFamily):
    """Posteriors of coins, of which the objective is the evidence bound."""

    concentration = 0.7

    def __str__(self):
        return "CoinPosteriors"

    def prior(self, d):
        return BetaPosterior(np.linspace(0.4, 1.3, d)[None], np.linspace(0.9, 0.6, d)[None])

    def family(self, added_variance):
        return BernoulliPosteriorFamily(self.prior(len(added_variance)))

    def steps(self, added_variance):
        weights = DirichletPosterior.of(np.zeros(1), self.concentration)
        return VariationalSteps(self.family(added_variance), weights=weights)

    def log_prob(self, components, rows):
        """Expected log-densities."""
        a, b = (part[:, None] for part in self.numbers(components))
        entries = np.where(rows == 1, digamma(a), digamma(b)) - digamma(a + b)
        return np.where(np.isnan(rows), 0.0, entries).sum(axis=2)

    def log_prior(self, mixture):
        """-KL(q || p) of all coins, one of two sides, and of the weights."""
        sides = np.stack(self.numbers(mixture.components))  # (2, K, d)
        prior = self.prior(sides.shape[2])
        before = np.concatenate([prior.alpha, prior.beta])
        coins = sum(
            dirichlet_divergence(sides[:, k, j], before[:, j])
            for k, j in np.ndindex(sides.shape[1:])
        )
        weights = mixture.weights.parameters
        return -coins - dirichlet_divergence(weights, np.full(len(weights), self.concentration))

    def numbers(self, components):
        return components.posterior.alpha, components.posterior.beta


class MixedColumns(Spec):
    """Counts, categories and zeros and ones, side by side, in which NaN is missing."""

    kinds = (Poisson(), Categorical((0.0, 1.0, 2.0)), BERNOULLI)

    def __str__(self):
        return "MixedColumns"

    def columns(self, d):
        return tuple(self.kinds[j % 3] for j in range(d))

    def components(self, K, d, rng):
        logs = [np.log(rng.dirichlet(np.full(c.n_features, 3.0), K)) for c in self.columns(d)]
        rates = rng.uniform(0.5, 4.0, (d, K, 1))
        counts = [np.concatenate([-rate, np.log(rate)], axis=1) for rate in rates]
        columns = self.columns(d)
        parts = [counts[j] if c is self.kinds[0] else logs[j] for j, c in enumerate(columns)]
        return ExponentialComponents(columns, np.concatenate(parts, axis=1))

    def rows(self, n, d, rng):
        return self.clustered_rows(np.zeros(n, int), d, rng)

    def clustered_rows(self, labels, d, rng):
        n = len(labels)
        values = [rng.poisson(1.0 + 6.0 * labels), (rng.integers(0, 3, n) * (1 + labels)) % 3]
        values.append(rng.uniform(size=n) < (1 + 2 * labels) / (2 + 2 * labels.max()))
        rows = np.stack([values[j % 3] for j in range(d)], axis=1)
        return np.where(rng.uniform(size=rows.shape) < 0.1, np.nan, rows.astype(float))

    def block(self, rows):
        return FeatureMap(self.columns(rows.shape[1])).transform(rows)

    def family(self, added_variance):
        return ExponentialFamily(self.columns(len(added_variance)))

    def log_prob(self, components, rows):
        total = 0.0
        for column, theta, x in zip(components.columns, components.parts, rows.T, strict=True):
            known = np.nan_to_num(x)
            if column is self.kinds[0]:
                entries = poisson(np.exp(theta[:, 1:])).logpmf(known)
            else:
                entries = theta[:, [column.values.index(value) for value in known]]
            total = total + np.where(np.isnan(x), 0.0, entries)
        return total

    def numbers(self, components):
        return (components.theta,)


class GaussianPosteriorsOf(Family):
    """Posteriors of Gaussians, of which the objective is the evidence bound."""

    concentration = 0.7

    def __str__(self):
        return f"{super().__str__()}Posteriors"

    def prior(self, d):
        """A prior of every kind that a structure has, by its parameters in public form."""
        structure = self.of(d)
        matrix = 0.4 * np.eye(d) + 0.1
        stored = structure.outer(np.linspace(0.5, 1.0, d)[None]) + structure.of_variances(
            np.diag(matrix)
        )
        dof = np.array([(d + 1.5) / structure.dof_per_row])
        mean = np.linspace(-0.5, 0.5, d)[None]
        return NormalWisharts.of(Moments(np.array([0.6]), dof, mean, stored, structure))

    def weights(self):
        return DirichletPosterior.of(np.zeros(1), self.concentration)

    def family(self, added_variance):
        d = len(added_variance)
        return GaussianPosteriorFamily(self.prior(d), np.asarray(added_variance, dtype=float))

    def steps(self, added_variance):
        return VariationalSteps(self.family(added_variance), weights=self.weights())

    def log_prob(self, components, rows):
        """Expected log-densities, by Wishart distributions of dense matrices."""
        posterior, d = components.posterior, rows.shape[1]
        means, C = dense_gaussians(posterior.expected)
        nu = np.broadcast_to(posterior.degrees_of_freedom, len(means))
        logs = []
        for mean, c, n, kappa in zip(means, C, nu, posterior.mean_precision, strict=True):
            log_prob = multivariate_normal(mean, c).logpdf(rows).reshape(len(rows))
            logs.append(log_prob + 0.5 * (self.log_det_gap(n, d) - d / kappa))
        return np.stack(logs)

    def log_det_gap(self, nu, d):
        """E log |P| - log |E P|."""
        if self.structure is Full:
            return digamma((nu - np.arange(d)) / 2).sum() - d * np.log(nu / 2)
        return d * (digamma(nu / 2) - np.log(nu / 2))

    def penalty(self, components, added_variance):
        return np.zeros(1)

    def log_prior(self, mixture):
        """-KL(q || p) of all means and precisions, and of the weights."""
        weights = mixture.weights.parameters
        cost = dirichlet_divergence(weights, np.full(len(weights), self.concentration))
        after, before = mixture.components.posterior, mixture.components.prior
        means, C = dense_gaussians(after.expected)
        (m0,), (C0,) = dense_gaussians(before.expected)
        (k0,), (nu0,) = before.mean_precision, before.degrees_of_freedom
        for mean, c, kappa in zip(means, C, after.mean_precision, strict=True):
            gap, d = mean - m0, len(m0)
            cost += 0.5 * (d * (k0 / kappa - 1 - np.log(k0 / kappa)))
            cost += 0.5 * k0 * gap @ np.linalg.solve(c, gap)
        for nu, c in zip(after.degrees_of_freedom, C, strict=False):  # one, if it is tied
            cost += self.wishart_divergence(nu, nu * c, nu0, nu0 * C0)
        return -cost

    def wishart_divergence(self, nu, psi, nu0, psi0):
        if self.structure is Full:
            return wishart_divergence(nu, psi, nu0, psi0)
        pairs = zip(np.diag(psi), np.diag(psi0), strict=True)
        each = [wishart_divergence(nu, np.array([[a]]), nu0, np.array([[b]])) for a, b in pairs]
        return each[0] if self.structure is Spherical else sum(each)

    def numbers(self, components):
        moments = components.posterior.moments
        return moments.weight, moments.dof, moments.mean, moments.scatter


class FittedGaussianPosteriors(GaussianPosteriorsOf):
    """The same, under priors that every step fits."""

    def __str__(self):
        return f"{super().__str__()}Empirical"

    def steps(self, added_variance):
        return EmpiricalSteps(self.family(added_variance), weights=self.weights())

    def log_prior(self, mixture):
        weights = mixture.weights
        fixed = dirichlet_divergence(
            weights.parameters, np.full(len(weights.parameters), self.concentration)
        )
        fitted = dirichlet_divergence(
            weights.parameters, np.full(len(weights.parameters), weights.concentration)
        )
        return super().log_prior(mixture) + fixed - fitted


STRUCTURES = (Full, Diagonal, Spherical)
FAMILIES = [Family(structure, tied) for structure in STRUCTURES for tied in (False, True)]
ONE_FACTOR = [LowRankFamily(structure, False, 1) for structure in (LowRank, IsotropicLowRank)]
TWO_FACTORS = [LowRankFamily(structure, False, 2) for structure in (LowRank, IsotropicLowRank)]
LOW_RANK = [*ONE_FACTOR, *TWO_FACTORS]
GAUSSIANS = [*FAMILIES, *LOW_RANK]
MEMBERS = [*GAUSSIANS, *TWO_FACTORS, CoinFamily(), MixedColumns(), ProductOf()]
POSTERIORS = [
    GaussianPosteriorsOf(Full, tied=True),
    FittedGaussianPosteriors(Spherical, tied=False),
]
# Of two features there are no two factors.
FITTED = [*GAUSSIANS, CoinFamily(), MixedColumns(), ProductOf(), CoinPosteriorFamily(), *POSTERIORS]
# An M-step of factor analyzers climbs, and is not at the top.
MAXIMIZED = [member for member in MEMBERS if getattr(member, "structure", None) is not LowRank]
every_family = pytest.mark.parametrize("family", FAMILIES, ids=str)
every_gaussian = pytest.mark.parametrize("family", GAUSSIANS, ids=str)
every_low_rank = pytest.mark.parametrize("family", LOW_RANK, ids=str)
every_maximized = pytest.mark.parametrize("family", MAXIMIZED, ids=str)
every_member = pytest.mark.parametrize("family", MEMBERS, ids=str)
every_fitted = pytest.mark.parametrize("family", FITTED, ids=str)
every_separate_gaussian = pytest.mark.parametrize(
    "family", [family for family in GAUSSIANS if not family.tied], ids=str
)
every_structure = pytest.mark.parametrize("structure", STRUCTURES, ids=lambda s: s.__name__)

seeds = st.integers(0, 10**6)
components = st.integers(1, 4)
features = st.integers(1, 5)


def dense_gaussians(gaussians):
    """Means (K, d) and one dense covariance for each of them, (K, d, d)."""
    K, d = gaussians.mean.shape
    structure = gaussians.covariance.structure
    matrix = np.asarray(gaussians.covariance.matrix)
    C = DENSE[type(structure)](matrix[None] if structure.tied else matrix, d)
    return gaussians.mean, np.broadcast_to(C, (K, d, d))


def plain_joint(family, mixture, rows, added_variance=0.0):
    """log p(k, x) by scipy, less what the objective takes from it, (K, n)."""
    penalty = family.penalty(mixture.components, added_variance)
    return family.log_prob(mixture.components, rows) + (mixture.log_weights + penalty)[:, None]


def plain_objective(family, mixture, rows, w, added_variance=0.0):
    """The objective of expectation-maximization per unit of weight, by scipy."""
    log_prob = logsumexp(plain_joint(family, mixture, rows, added_variance), axis=0)
    return (w @ log_prob + family.log_prior(mixture)) / w.sum()


def dirichlet_divergence(a, c):
    """KL(Dirichlet(a) || Dirichlet(c)), in nats."""
    log_normalizers = gammaln(a.sum()) - gammaln(a).sum() - gammaln(c.sum()) + gammaln(c).sum()
    return log_normalizers + (a - c) @ (digamma(a) - digamma(a.sum()))


def wishart_divergence(nu, psi, nu0, psi0):
    """KL(W(nu, inv(psi)) || W(nu0, inv(psi0))), in nats."""
    p = len(psi)
    ratio = np.linalg.solve(psi, psi0)
    total = multigammaln(nu0 / 2, p) - multigammaln(nu / 2, p)
    total += (nu - nu0) / 2 * digamma((nu - np.arange(p)) / 2).sum()
    return total - nu0 / 2 * np.linalg.slogdet(ratio)[1] + nu / 2 * (np.trace(ratio) - p)


def plain_moments(rows, R):
    """Weights (K,), means (K, d) and scatters (K, d, d) of rows (n, d) under weights R (K, n)."""
    weight = R.sum(axis=1)
    mean = R @ rows / weight[:, None]
    gaps = rows[None] - mean[:, None]
    return weight, mean, np.einsum("kn,kni,knj->kij", R, gaps, gaps)
