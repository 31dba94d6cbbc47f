"""The latent coordinates of rows under Gaussians whose covariances are of low rank plus noise."""

from ..._typing import Floats, Rows
from .density import Gaussians
from .low_rank_covariances import LowRankCovariances
from .missing import IncompleteRows


def latent_means(gaussians: Gaussians, rows: Rows) -> Floats:
    """E[t | z] under each of K Gaussians, given what was observed of each row, (K, q, n).

    It is affine in z, so that conditional means stand for what is missing.

    Raises
    ------
    TypeError
        If the covariances have no loadings.
    """
    covariance = gaussians.covariance
    if not isinstance(covariance, LowRankCovariances):
        raise TypeError(f"{type(covariance).__name__} have no latent coordinates")
    incomplete = isinstance(rows, IncompleteRows)
    completed = gaussians.conditionals(rows).mean if incomplete else rows
    return covariance.latent_mean(completed - gaussians.mean[:, :, None])
