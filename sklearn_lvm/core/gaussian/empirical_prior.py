"""Priors that are fitted to posteriors of several Gaussians: type-II maximum likelihood."""

from dataclasses import replace
from math import isfinite, log

import numpy as np
from scipy.optimize import brentq

from ..._typing import Floats
from .density import Gaussians
from .normal_wishart import NormalWisharts, multivariate_digamma

# Fitted precisions and degrees of freedom end here: of one Gaussian alone a prior could be certain.
MIN_PRECISION, MAX_PRECISION = 1e-6, 1e6
MIN_FREEDOM = 1e-3  # beyond p - 1, where a Wishart distribution begins


def fitted_prior(posterior: NormalWisharts, least_variance: Floats) -> NormalWisharts:
    """The prior from which K posteriors q(m_k, P_k) diverge least.

    It maximizes sum_k E log p(m_k, P_k). With A = mean_k E P_k, Psi0 is nu0 C0, where C0 is inv(A), or
    more where rows without any variance would make it singular: at least diag(least_variance). m0 is
    the mean of the means, each with its expected precision, 1 / kappa0 the mean of
    E (m_k - m0)' P_k (m_k - m0) / d, and nu0 the root of
    p log(nu0 / 2) - psi_p(nu0 / 2) = (tr(C0 A) - d - log |C0| - mean_k E log |P_k|) / n, for n
    independent blocks of p features.

    Parameters
    ----------
    posterior : NormalWisharts
    least_variance : ndarray of shape (d,)

    Raises
    ------
    FloatingPointError
        If precisions or their spread are no finite numbers.
    SingularCovarianceError
        If C0 is singular to working precision.
    """
    structure, C = posterior.structure, posterior.expected.covariance
    precision = C.precision if structure.tied else C.precision.mean(axis=0)
    if not np.isfinite(precision).all():
        raise FloatingPointError("expected precisions became infinite")
    harmonic = replace(structure, tied=True).from_public_precision(precision)
    typical = harmonic.at_least(least_variance)
    mean = posterior.moments.mean
    center = harmonic.times(C.natural_parameters(mean)[0].mean(axis=0, keepdims=True))
    gap = (C.whiten_each(mean - center) ** 2).sum(axis=1) / structure.d
    kappa = 1.0 / np.mean(1.0 / posterior.mean_precision + gap)
    excess = float(C.traces(typical.scatter).mean()) - structure.d
    spread = excess - float(typical.log_det[0]) - float(posterior.expected_log_det.mean())
    freedom = _freedom(spread * structure.wishart_size / structure.d, structure.wishart_size)
    dof = np.array([freedom / structure.dof_per_row])
    weight = np.clip([kappa], MIN_PRECISION, MAX_PRECISION)
    expected = Gaussians(center, typical.restructured(structure))
    return NormalWisharts.expecting(expected, weight, dof)


def _freedom(spread: float, p: int) -> float:
    """nu0 with p log(nu0 / 2) - psi_p(nu0 / 2) equal to a spread, within its limits."""
    if not isfinite(spread):
        raise FloatingPointError(f"the spread of precisions became {spread}")

    def excess(log_gap: float) -> float:
        x: Floats = (np.exp(np.array([log_gap])) + p - 1.0) / 2.0
        return float((p * np.log(x) - multivariate_digamma(x, p))[0]) - spread

    low, high = log(MIN_FREEDOM), log(MAX_PRECISION)
    if excess(low) <= 0:
        return MIN_FREEDOM + p - 1.0
    if excess(high) >= 0:
        return MAX_PRECISION + p - 1.0
    return float(np.exp(brentq(excess, low, high, xtol=1e-12))) + p - 1.0
