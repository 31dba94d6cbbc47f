"""The prior of Gaussians that the rows of a table suggest, all of them together."""

import numpy as np

from .._typing import Floats
from ..core.gaussian.covariance import Structure
from ..core.gaussian.partial import filled, moments_of
from ..core.linalg import SingularCovarianceError
from ..core.rows import RowSource
from .gaussian_priors import FAR


def typical_scatter(
    rows: RowSource, structure: Structure, variance: Floats, added_variance: Floats
) -> Floats:
    """The covariance of all rows without outliers, (1, *S), as the scatter of a prior.

    Parameters
    ----------
    rows : RowSource
        Standardized.
    structure : Structure
    variance : ndarray of shape (d,)
        Variances without outliers, which the covariance is given.
    added_variance : ndarray of shape (d,)
        What is added to the variances where the covariance would be singular: once for each row, so
        that a posterior expects as much, but no more than the variances.
    """
    weight = rows.w.sum()
    unbiased = weight / max(weight - 1.0, weight / 2.0)
    found = structure.of_variances(variance)
    if structure.n_monomials > structure.d:
        found = _correlated(rows, structure, variance)
    found = unbiased / structure.dof_per_row * found
    try:
        structure.estimate(found, np.ones(1), np.zeros(structure.d))
    except SingularCovarianceError:
        most = np.maximum(variance, added_variance)
        added = np.minimum(max(weight, 1.0) * added_variance, most)
        found = found + structure.of_variances(added) / structure.dof_per_row
    return np.asarray(found)


def _correlated(rows: RowSource, structure: Structure, variance: Floats) -> Floats:
    """The covariance with these variances and the correlations of rows that are not far out."""
    parts = [
        moments_of(Z, (w * (np.abs(filled(Z)) <= FAR).all(axis=0))[None], structure)
        for Z, w in rows.streamed
    ]
    moments = parts[0]
    for part in parts[1:]:
        moments = moments + part
    known = structure.diagonal(moments.scatter)[0]
    factor = np.sqrt(np.divide(variance, known, where=known > 0, out=np.zeros_like(known)))
    return moments.scatter * structure.growth(factor)
