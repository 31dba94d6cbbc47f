"""Normal-Wishart distributions to test with, and parameters that are drawn from them."""

import numpy as np
from scipy import stats

from sklearn_lvm.core.gaussian.diagonal import Diagonal
from sklearn_lvm.core.gaussian.full import Full
from sklearn_lvm.core.gaussian.moments import Moments
from sklearn_lvm.core.gaussian.normal_wishart import NormalWisharts

from ...laws.specs import dense_gaussians

N = 20_000  # draws


def example(family, K, d, seed, least=2.0):
    """K distributions, with a little more or many more degrees of freedom than they need."""
    rng = np.random.default_rng(seed)
    structure, pooled = family.of(d), 1 if family.tied else K
    dof = (d - 1 + rng.uniform(least, 12.0, pooled)) / structure.dof_per_row
    C = family.covariance(K, d, rng)
    scatter = C.scatter * dof.reshape(-1, *[1] * (C.scatter.ndim - 1))
    return NormalWisharts.of(
        Moments(rng.uniform(0.3, 5.0, K), dof, rng.normal(size=(K, d)), scatter, structure)
    )


def drawn(known, k, rng):
    """Precision matrices of one of them, (N, d, d), by scipy."""
    structure, d = known.structure, known.structure.d
    nu = np.broadcast_to(known.degrees_of_freedom, len(known.mean_precision))[k]
    _, C = dense_gaussians(known.expected)
    if type(structure) is Full:
        return stats.wishart(nu, np.linalg.inv(nu * C[k])).rvs(N, random_state=rng).reshape(N, d, d)
    size = d if type(structure) is Diagonal else 1
    gammas = rng.gamma(nu / 2, 2 / (nu * np.diag(C[k])[:size]), size=(N, size))
    return np.broadcast_to(gammas, (N, d))[:, :, None] * np.eye(d)


def pairs(known, k, rng):
    """Means and precisions, drawn."""
    P = drawn(known, k, rng)
    factor = np.linalg.cholesky(np.linalg.inv(P))
    e = rng.normal(size=(N, known.structure.d)) / np.sqrt(known.mean_precision[k])
    return known.moments.mean[k] + (factor @ e[:, :, None])[:, :, 0], P
