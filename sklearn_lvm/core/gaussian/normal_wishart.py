"""Normal-Wishart distributions of means and precisions: priors of Gaussians, and their posteriors."""

from dataclasses import dataclass, replace
from functools import cached_property
from math import log, pi
from typing import Self

import numpy as np
from scipy.special import digamma, gammaln

from ..._typing import Floats, Ints
from ..log_gamma import log1p_ratio, log_gamma_ratio
from .covariance import Covariances, Structure, along
from .density import Gaussians
from .moments import Moments
from .prior import GaussianPrior
from .student import StudentTs


@dataclass(frozen=True, eq=False)
class NormalWisharts:
    """K Normal-Wishart distributions, m | P ~ N(m_k, inv(kappa_k P)) and P ~ W(nu_k, inv(Psi_k)).

    Features that are independent have a precision each, P_j ~ Gamma(nu_k / 2, Psi_kj / 2). A spherical
    covariance has one in all, P ~ Gamma(nu_k / 2, Psi_k / 2), to which a row adds d degrees of freedom.
    The distributions are moments: with those of rows added to a prior, they are the posterior (Bishop,
    2006, equations 10.60 to 10.63).

    Attributes
    ----------
    moments : Moments
        ``weight`` is kappa, how many rows the mean is known from; ``dof`` is nu in rows, nu divided by
        what a row adds; ``mean`` is the mean of the means, and ``scatter`` is Psi in stored form.
    expected : Gaussians
        Those of the expected means and precisions, with covariances Psi_k / nu_k.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lvm.core.gaussian.diagonal import Diagonal
    >>> from sklearn_lvm.core.gaussian.moments import Moments
    >>> from sklearn_lvm.core.gaussian.normal_wishart import NormalWisharts
    >>> one, zero = np.ones(1), np.zeros((1, 1))
    >>> prior = Moments(one, one, zero, zero + 2.0, Diagonal(1))
    >>> rows = Moments.of(np.array([[1.0, 3.0]]), np.ones((1, 2)), Diagonal(1))
    >>> posterior = NormalWisharts.of(rows + prior)
    >>> posterior.mean_precision, posterior.degrees_of_freedom, posterior.moments.mean
    (array([3.]), array([3.]), array([[1.33333333]]))
    """

    moments: Moments
    expected: Gaussians

    @classmethod
    def of(cls, moments: Moments) -> Self:
        """The distributions of these moments.

        Raises
        ------
        SingularCovarianceError
            If Psi is singular to working precision.
        """
        return cls(moments, Gaussians(moments.mean, _per(moments, moments.dof)))

    @classmethod
    def expecting(cls, expected: Gaussians, weight: Floats, dof: Floats) -> Self:
        """The distributions with these expectations, known from so many rows."""
        C = expected.covariance
        scatter = C.scatter * along(dof, C.scatter)
        return cls(Moments(weight, dof, expected.mean, scatter, C.structure), expected)

    @property
    def structure(self) -> Structure:
        return self.moments.structure

    @property
    def mean_precision(self) -> Floats:
        """kappa, (K,)."""
        return self.moments.weight

    @property
    def degrees_of_freedom(self) -> Floats:
        """nu, (K,), or (1,) of a covariance that is tied."""
        return self.moments.dof * self.structure.dof_per_row

    def mode(self) -> Gaussians:
        """The Gaussians at the mode of the joint density of means and covariances.

        The covariance is Psi / (nu + d + 2), Psi_j / (nu + 3) of features that are independent, and
        Psi / (nu + d + 2) for a single variance.
        """
        return Gaussians(
            self.moments.mean, _per(self.moments, self.moments.dof + self._dof_at_mode)
        )

    @property
    def _dof_at_mode(self) -> float:
        """By how many rows more a covariance is divided at the mode."""
        structure = self.structure
        return (structure.wishart_size + 1 + structure.dof_per_row) / structure.dof_per_row

    def pseudo_observations(self, n_components: int) -> GaussianPrior:
        """A single distribution as the prior of the modes of K Gaussians."""
        moments = self.moments
        return GaussianPrior(
            self.structure,
            moments.scatter,
            moments.dof + self._dof_at_mode,
            moments.mean[0],
            float(moments.weight[0]),
            n_components if self.structure.tied else 1,
        )

    def predictive(self) -> StudentTs:
        """The densities of the next row, Student-t (Bishop, 2006, equation 10.81 and B.68)."""
        nu, kappa = self.degrees_of_freedom, self.mean_precision
        dof = nu - self.structure.wishart_size + 1.0 + np.zeros_like(kappa)
        factor = (1.0 + 1.0 / kappa) * nu / dof
        return StudentTs(self.moments.mean, self.expected.covariance, factor, dof)

    # -- expectations ------------------------------------------------------------------------------

    @cached_property
    def _digamma(self) -> Floats:
        """The derivative of log Gamma_p at nu / 2, (K,) or (1,)."""
        return multivariate_digamma(self.degrees_of_freedom / 2, self.structure.wishart_size)

    @cached_property
    def _log_gamma(self) -> Floats:
        """log Gamma_p(nu / 2), (K,) or (1,)."""
        x, p = self.degrees_of_freedom[:, None] / 2, self.structure.wishart_size
        each = gammaln(x - np.arange(p) / 2)
        return np.asarray(each.sum(axis=1) + p * (p - 1) / 4 * log(pi))

    @property
    def _log_det_gap(self) -> Floats:
        """E log |P| - log |E P|, (K,) or (1,)."""
        p, log_half = self.structure.wishart_size, np.log(self.degrees_of_freedom / 2)
        return np.asarray(self.structure.d / p * (self._digamma - p * log_half))

    @property
    def log_prob_gap(self) -> Floats:
        """The expected log-density of a row less that of the expected Gaussian, (K,)."""
        return np.asarray(0.5 * (self._log_det_gap - self.structure.d / self.mean_precision))

    @property
    def expected_log_det(self) -> Floats:
        """E log |P|, (K,) or (1,)."""
        return np.asarray(self._log_det_gap - self.expected.covariance.log_det)

    @property
    def _log_det(self) -> Floats:
        """log |Psi|, all independent blocks together, (K,) or (1,)."""
        structure = self.structure
        size = structure.n_wisharts * structure.wishart_size
        level = self.expected.covariance.log_det / structure.dof_per_row
        return np.asarray(level + size * np.log(self.degrees_of_freedom))

    # -- evidence ----------------------------------------------------------------------------------

    def divergence(self, prior: Self) -> float:
        """The Kullback-Leibler divergence from a prior, KL(q || p), in nats, summed over k.

        Parameters
        ----------
        prior : NormalWisharts
            One, the same for all k.
        """
        nu, nu0 = self.degrees_of_freedom, prior.degrees_of_freedom
        p, n, C = self.structure.wishart_size, self.structure.n_wisharts, self.expected.covariance
        gammas = prior._log_gamma - self._log_gamma + (nu - nu0) / 2 * self._digamma - nu * p / 2
        wishart = n * gammas + nu0 / 2 * (self._log_det - prior._log_det)
        wishart += C.traces(prior.moments.scatter) / 2
        kappa, kappa0 = self.mean_precision, prior.mean_precision
        gap = (C.whiten_each(self.moments.mean - prior.moments.mean) ** 2).sum(axis=1)
        ratio = kappa0 / kappa
        normal = 0.5 * (self.structure.d * (ratio - 1.0 - np.log(ratio)) + kappa0 * gap)
        return float(wishart.sum() + normal.sum())

    def log_evidence(self, rows: Moments) -> float:
        """The log marginal likelihood under this prior of rows of these moments, in nats (K = 1).

        Normalizers of prior and posterior are divided before they are large, so that a prior of 1e12
        observations costs no digits (Murphy, 2007, equation 266).
        """
        d, p, n = self.structure.d, self.structure.wishart_size, self.structure.n_wisharts
        nu, new = self.degrees_of_freedom, rows.weight * self.structure.dof_per_row
        half = (nu[:, None] - np.arange(p)) / 2
        gammas = log_gamma_ratio(half, new[:, None] / 2) + new[:, None] / 2 * np.log(half)
        growth = self._log_det_growth(rows)
        level = -n * gammas.sum(axis=1) + rows.weight * d / 2 * log(pi) + new / 2 * self._log_det
        level += (nu + new) / 2 * growth + d / 2 * log1p_ratio(rows.weight, self.mean_precision)
        return -float(level[0])

    def _log_det_growth(self, rows: Moments) -> Floats:
        """log |Psi after the rows| - log |Psi|, (1,)."""
        nothing = replace(self.moments, scatter=np.zeros_like(self.moments.scatter))
        dof = along(self.moments.dof, rows.scatter)
        added = (rows + nothing).scatter / dof
        return np.asarray(
            self.expected.covariance.log_det_growth(added) / self.structure.dof_per_row
        )

    # -- a part, and other units -------------------------------------------------------------------

    def subset(self, chosen: Ints) -> Self:
        """Some of the distributions; what is tied stays that of all."""
        return type(self)(self.moments.subset(chosen), self.expected.subset(chosen))

    def rescale(self, shift: Floats, scale: Floats) -> Self:
        """The distributions for rows scale * z + shift, one common scale if they are spherical."""
        moments = self.moments.rescaled(scale).shifted(shift)
        return type(self)(moments, self.expected.rescale(shift, scale))


def _per(moments: Moments, dof: Floats) -> Covariances:
    """Psi divided by other degrees of freedom, in rows."""
    structure = moments.structure
    return structure.estimate(moments.scatter, dof, np.zeros(structure.d))


def multivariate_digamma(x: Floats, p: int) -> Floats:
    """The derivative of log Gamma_p(x), (...)."""
    return np.asarray(digamma(x[..., None] - np.arange(p) / 2).sum(axis=-1))
