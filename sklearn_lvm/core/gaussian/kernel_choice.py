"""Which kernel suits K Gaussians best."""

from ..._typing import Floats
from .covariance import Covariances
from .kernels import MAX_CANCELLATION, MixedKernel, NaturalKernel, ResidualKernel, TiedKernel
from .low_rank_covariances import LowRankCovariances
from .projected_kernel import ProjectedKernel

CompleteKernel = ResidualKernel | NaturalKernel | TiedKernel | MixedKernel | ProjectedKernel


def kernel_of(mean: Floats, covariance: Covariances, max_log_prob: Floats) -> CompleteKernel:
    """The cheapest kernel of K Gaussians whose digits survive it.

    Parameters
    ----------
    mean : ndarray of shape (K, d)
    covariance : Covariances
        K of them, or one.
    max_log_prob : ndarray of shape (K,)
        Log-densities at the means, log-weights included.
    """
    if covariance.structure.projected and isinstance(covariance, LowRankCovariances):
        return ProjectedKernel(mean, covariance, max_log_prob)
    if len(covariance) == 1:
        far = (covariance.whiten_each(mean) ** 2).sum(axis=1).max() > MAX_CANCELLATION
        return (ResidualKernel if far else TiedKernel).of(mean, covariance, max_log_prob)
    if covariance.structure.d > covariance.structure.max_natural_features:
        return ResidualKernel.of(mean, covariance, max_log_prob)
    safe = covariance.cancellation(mean) <= MAX_CANCELLATION
    if safe.all():
        return NaturalKernel.of(mean, covariance, max_log_prob)
    kind = MixedKernel if safe.any() else ResidualKernel
    return kind.of(mean, covariance, max_log_prob)
