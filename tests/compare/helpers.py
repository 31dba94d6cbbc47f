"""What tests of the comparison share: two tables, and an estimator that scores as it is told."""

import numpy as np
from sklearn.base import BaseEstimator


def two_clusters(n=60, seed=0):
    X = np.random.default_rng(seed).normal(size=(n, 2))
    X[: n // 2] += 4
    return X @ np.array([[1.0, 0.4], [0.0, 0.7]])


def binary_rows(n=90, d=4, seed=0):
    """Zeros and ones of two kinds of rows."""
    rng = np.random.default_rng(seed)
    p = np.array([[0.9], [0.1]])[rng.integers(2, size=n)]
    return (rng.uniform(size=(n, d)) < p).astype(int)


class ScriptedDensity(BaseEstimator):
    """Fails, or gives the scores it is told to give."""

    def __init__(self, score=0.0, error=None, random_state=None):
        self.score = score
        self.error = error
        self.random_state = random_state

    def fit(self, X, y=None):
        if self.error:
            raise RuntimeError(self.error)
        return self

    def score_samples(self, X):
        return np.full(np.shape(X)[:1] if np.isscalar(self.score) else (1,), self.score)
