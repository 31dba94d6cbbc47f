"""Tables of zeros and ones for the tests of Bernoulli densities."""

import numpy as np

from sklearn_lvm.core.bernoulli.binary_rows import MISSING, ONE, ZERO


def table(n, d, seed, missing, share=0.3):
    """Rows of 0, 1 and perhaps NaN."""
    rng = np.random.default_rng(seed)
    X = (rng.uniform(size=(n, d)) < share).astype(float)
    X[rng.uniform(size=X.shape) < 0.2 * missing] = np.nan
    return X, rng


def codes_of(X):
    return np.where(np.isnan(X), MISSING, np.where(X > 0, ONE, ZERO))
