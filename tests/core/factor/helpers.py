"""Random rows, parameters and densities for the tests of probabilistic PCA."""

import numpy as np

from sklearn_lvm.core.factor.density import PPCADensity
from sklearn_lvm.core.factor.em import PPCAParameters

N, D, Q = 60, 5, 2


def random_rows(seed, n=N, d=D, q=Q):
    """Centered rows (n, d), weights of sum 1, and parameters to start EM from."""
    rng = np.random.default_rng(seed)
    V = rng.normal(size=(n, q)) @ rng.normal(size=(q, d)) * 2 + rng.normal(size=(n, d))
    w = rng.dirichlet(np.full(n, 5.0))
    return V - w @ V, w, PPCAParameters(rng.normal(size=(d, q)), float(rng.uniform(0.2, 3.0)))


def random_density(seed, d=D, q=Q):
    """A density with a random mean."""
    _, _, model = random_rows(seed, d=d, q=q)
    return PPCADensity.from_spectrum(model.spectrum(np.random.default_rng(seed).normal(size=d)), q)
