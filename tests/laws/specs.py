"""One spec per family of Gaussians, and plain references that know nothing of the package's tricks."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import strategies as st
from scipy.special import logsumexp
from scipy.stats import bernoulli, multivariate_normal

from sklearn_lvm.core.bernoulli import BernoulliFamily, Bernoullis
from sklearn_lvm.core.covariance import Diagonal, Full, Spherical
from sklearn_lvm.core.gaussian import GaussianFamily, Gaussians
from sklearn_lvm.core.mixture import Mixture, MixtureSteps
from sklearn_lvm.core.tosses import tosses

# How arrays of covariances become d x d matrices, and what of a matrix a structure stores.
DENSE = {
    Full: lambda matrix, d: matrix,
    Diagonal: lambda matrix, d: matrix[:, :, None] * np.eye(d),
    Spherical: lambda matrix, d: matrix[:, None, None] * np.eye(d),
}
PART = {
    Full: lambda C: C,
    Diagonal: lambda C: np.diagonal(C, axis1=1, axis2=2),
    Spherical: lambda C: np.trace(C, axis1=1, axis2=2),
}
PUBLIC = {
    Full: lambda C: C,
    Diagonal: lambda C: np.diagonal(C, axis1=1, axis2=2),
    Spherical: lambda C: np.trace(C, axis1=1, axis2=2) / C.shape[1],
}


@dataclass(frozen=True)
class Family:
    """A covariance structure, and whether all Gaussians share one covariance."""

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

    def from_dense(self, C):
        """The covariances of this structure that are nearest to C, (K or 1, d, d)."""
        return self.of(C.shape[1]).from_public(self.public(C))

    def public(self, C):
        """The public form of the covariance of this structure that is nearest to C."""
        return self.of(C.shape[1]).public(PUBLIC[self.structure](C))

    def matrices(self, K, d, rng):
        """Well-conditioned covariances of this structure, (K or 1, d, d)."""
        K = 1 if self.tied else K
        factor = rng.normal(size=(K, d, d))
        C = factor @ factor.mT + 0.5 * np.eye(d)
        return self.dense(self.public(C), d)

    def covariance(self, K, d, rng):
        """The same as the package keeps them."""
        return self.from_dense(self.matrices(K, d, rng))

    def gaussians(self, K, d, rng):
        return Gaussians(rng.normal(size=(K, d)), self.covariance(K, d, rng))

    def mixture(self, K, d, rng):
        return Mixture(np.log(rng.dirichlet(np.full(K, 3.0))), self.gaussians(K, d, rng))

    def rows(self, n, d, rng):
        return rng.normal(size=(n, d))

    def block(self, rows):
        """Rows (n, d) as a lens takes them."""
        return np.ascontiguousarray(rows.T)

    def estimation(self, extra):
        return GaussianFamily(self.of(len(extra)), np.asarray(extra, dtype=float))

    def steps(self, extra):
        return MixtureSteps(self.estimation(extra))


class CoinFamily:
    """Rows of coins; there are no balls, and ``extra`` says nothing of them."""

    def __str__(self):
        return "Coins"

    def mixture(self, K, d, rng):
        p = rng.uniform(0.02, 0.98, size=(K, d))
        return Mixture(np.log(rng.dirichlet(np.full(K, 3.0))), Bernoullis.of(p, 1 - p))

    def rows(self, n, d, rng):
        """Rows of which some entries were not observed."""
        rows = (rng.uniform(size=(n, d)) < rng.uniform(0.2, 0.8, size=d)).astype(float)
        return np.where(rng.uniform(size=(n, d)) < 0.1, np.nan, rows)

    def block(self, rows):
        return tosses(rows, 0.5)

    def steps(self, extra):
        return MixtureSteps(BernoulliFamily())


STRUCTURES = (Full, Diagonal, Spherical)
FAMILIES = [Family(structure, tied) for structure in STRUCTURES for tied in (False, True)]
every_family = pytest.mark.parametrize("family", FAMILIES, ids=str)
every_member = pytest.mark.parametrize("family", [*FAMILIES, CoinFamily()], ids=str)
every_separate_family = pytest.mark.parametrize(
    "family", [family for family in FAMILIES if not family.tied], ids=str
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


def plain_log_prob(gaussians, rows):
    """log N(x | m_k, C_k) of rows (n, d) by scipy, (K, n)."""
    if isinstance(gaussians, Bernoullis):
        return _plain_log_prob_of_coins(gaussians, rows)
    pairs = zip(*dense_gaussians(gaussians), strict=True)
    return np.stack([multivariate_normal(m, C).logpdf(rows).reshape(len(rows)) for m, C in pairs])


def _plain_log_prob_of_coins(coins, rows):
    entries = bernoulli(coins.probability[:, None]).logpmf(np.nan_to_num(rows))
    return np.where(np.isnan(rows), 0.0, entries).sum(axis=2)


def plain_joint(mixture, rows, extra=0.0):
    """log p(k, x), less what a ball of scatter diag(extra) costs, (K, n)."""
    if isinstance(mixture.parts, Bernoullis):
        return plain_log_prob(mixture.parts, rows) + mixture.log_weights[:, None]
    _, C = dense_gaussians(mixture.parts)
    precision = np.stack([np.linalg.inv(c) for c in C])
    tilt = -0.5 * (np.diagonal(precision, axis1=1, axis2=2) * extra).sum(axis=1)
    return plain_log_prob(mixture.parts, rows) + (mixture.log_weights + tilt)[:, None]


def plain_objective(mixture, rows, w, extra=0.0):
    """The objective of expectation-maximisation per unit of weight, by scipy."""
    return w @ logsumexp(plain_joint(mixture, rows, extra), axis=0) / w.sum()


def plain_moments(rows, R):
    """Weights (K,), means (K, d) and scatters (K, d, d) of rows (n, d) under weights R (K, n)."""
    weight = R.sum(axis=1)
    mean = R @ rows / weight[:, None]
    gaps = rows[None] - mean[:, None]
    return weight, mean, np.einsum("kn,kni,knj->kij", R, gaps, gaps)
