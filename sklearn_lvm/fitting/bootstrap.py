"""The weights of a bootstrap, and which component of one mixture is which of another."""

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.sparse import issparse

from .._typing import Floats, Ints, Table
from ..core.rows import WeightedSet, canonical, canonical_with_missing

N_KEYS = 3  # numbers that tell one sparse row from another
MISSING = 7.389  # what counts as the value of a missing entry of a sparse row


def distinct_rows(X: Table, w: Floats) -> WeightedSet:
    """The weighted set of distinct rows of a dense or sparse table, in which NaN equals NaN."""
    return (_distinct_sparse if issparse(X) else canonical_with_missing)(X, w)


def _distinct_sparse(X: Table, w: Floats) -> WeightedSet:
    """Sparse rows are told apart by random sums of their entries, none of which is likely twice."""
    entries = X.astype(np.float64)  # a copy
    entries.sum_duplicates()
    entries.data[np.isnan(entries.data)] = MISSING
    directions = np.random.RandomState(0).standard_normal((X.shape[1], N_KEYS))
    return canonical(entries @ directions, w)


def redrawn_weights(w: Floats, rng: np.random.RandomState) -> Floats:
    """Dirichlet weights of distinct rows with the sum of the given ones, (n,).

    A row of weight w counts as w rows, whose exponential weights add up to a Gamma(w) number (Newton &
    Raftery, 1994).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lvm.fitting.bootstrap import redrawn_weights
    >>> w = redrawn_weights(np.array([1.0, 5.0, 0.0]), np.random.RandomState(0))
    >>> bool(np.isclose(w.sum(), 6.0)), float(w[2])
    (True, 0.0)
    """
    drawn = rng.gamma(w)
    return np.asarray(drawn * (w.sum() / drawn.sum()))


def matching_components(reference: Floats, drawn: Floats, w: Floats) -> Ints:
    """Which component of a mixture stands for each component of another, (K,).

    It is the one-to-one assignment of the least squared differences between their responsibilities, so
    that neither units nor the form of the densities matter.

    Parameters
    ----------
    reference, drawn : ndarray of shape (n, K)
        Responsibilities of the same rows.
    w : ndarray of shape (n,)

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lvm.fitting.bootstrap import matching_components
    >>> resp = np.array([[0.9, 0.1], [0.2, 0.8]])
    >>> matching_components(resp, resp[:, ::-1], np.ones(2))
    array([1, 0])
    """
    weighted = reference.T * w
    # The squares of the reference are the same in every assignment.
    cost = (w @ drawn**2) - 2.0 * (weighted @ drawn)
    return np.asarray(linear_sum_assignment(cost)[1])
