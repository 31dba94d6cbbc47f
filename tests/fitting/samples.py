"""Samples of rows for tests of searches."""

from functools import reduce
from operator import add

import numpy as np

from sklearn_lvm.core.blocks import row_slices
from sklearn_lvm.core.gaussian.density import GaussianFamily
from sklearn_lvm.core.gaussian.full import Full
from sklearn_lvm.core.mixture_em import MixtureSteps
from sklearn_lvm.core.rows import RowSource
from sklearn_lvm.core.standardization import Standardization
from sklearn_lvm.fitting.sample import Sample
from sklearn_lvm.inference.problem import Problem


class InTurn:
    """A block map without threads."""

    def map(self, function, blocks):
        return [function(blocks[i]) for i in range(len(blocks))]

    def sum(self, function, blocks):
        return reduce(add, self.map(function, blocks))


def groups(n_each, centers, seed=0):
    """Rows around centers, each with a spread of one, and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.repeat(np.arange(len(centers)), n_each)
    return np.asarray(centers, float)[labels] + rng.normal(
        size=(len(labels), len(centers[0]))
    ), labels


def gaussian_steps(d):
    return MixtureSteps(GaussianFamily(Full(d), np.full(d, 1e-6)))


def row_source(X, w=None):
    w = np.ones(len(X)) if w is None else w
    standardization = Standardization.of(X, w, per_feature=True)
    return RowSource(X, w, standardization, lambda X: list(row_slices(len(X), X.shape[1], 300)))


def sample_of(X, w=None, kind=Problem):
    """A sample that is all rows, in several blocks."""
    return Sample(gaussian_steps(X.shape[1]), row_source(X, w), InTurn(), kind, len(X))
