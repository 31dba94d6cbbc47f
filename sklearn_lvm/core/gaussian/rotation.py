"""Loadings in a canonical form, or turned to a simple structure: no turn changes the density."""

import numpy as np

from ..._typing import Floats
from ..linalg import fix_signs

MAX_TURNS, LEVEL = 1000, 1e-12  # of a rotation, and the relative gain at which it ends

# By how much the criterion counts how unequal columns are, beside how unequal entries.
ORTHOMAX = {"varimax": 1.0, "quartimax": 0.0}


def canonical(loadings: Floats, noise: Floats) -> Floats:
    """W (d, q) turned so that its columns are orthogonal in units of the noise, (d,), and ordered."""
    size = np.sqrt(noise)[:, None]
    axes, length, _ = np.linalg.svd(loadings / size, full_matrices=False)
    return ordered(size * axes * length, noise)


def ordered(loadings: Floats, noise: Floats) -> Floats:
    """The columns of W (d, q) by what they explain in units of the noise, largest entries positive."""
    explained = (loadings**2 / noise[:, None]).sum(axis=0)
    return fix_signs(loadings[:, np.argsort(-explained, kind="stable")].T).T


def rotated(loadings: Floats, unit: Floats, power: float) -> Floats:
    """W (d, q) turned to the maximum of the orthomax criterion of its entries over units, (d,).

    The criterion is the sum of fourth powers, less ``power`` / d times that of squared sums of squares
    of columns: 1 is varimax (Kaiser, 1958), 0 quartimax. Each turn is the best for a linear
    approximation.

    Examples
    --------
    Turned loadings of a simple structure are turned back:

    >>> import numpy as np
    >>> from sklearn_lvm.core.gaussian.rotation import rotated
    >>> simple = np.array([[1.0, 0.0], [0.5, 0.0], [0.0, 1.0], [0.0, 0.7]])
    >>> turned = simple @ [[0.8, 0.6], [-0.6, 0.8]]
    >>> np.abs(rotated(turned, np.ones(4), 1.0)).round(6)
    array([[1. , 0. ],
           [0.5, 0. ],
           [0. , 1. ],
           [0. , 0.7]])
    """
    W = loadings / unit[:, None]
    turn, before = np.eye(W.shape[1]), 0.0
    for _ in range(MAX_TURNS):
        current = W @ turn
        pull = current**3 - (power / len(W)) * current * (current**2).sum(axis=0)
        left, size, right = np.linalg.svd(W.T @ pull)
        turn = left @ right
        if size.sum() <= before * (1.0 + LEVEL):
            break
        before = size.sum()
    return loadings @ turn
