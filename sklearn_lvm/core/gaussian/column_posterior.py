"""What is known of the means and variances of columns that were observed in different rows."""

from dataclasses import dataclass
from math import log, pi
from typing import Self

import numpy as np
from scipy.stats import f as f_distribution
from scipy.stats import t as t_distribution

from ..._typing import Floats
from ..log_gamma import log1p_ratio, log_gamma_ratio
from ..mixture import Mixture
from .column_density import ColumnStudentTs
from .columns import ColumnMoments
from .covariance import Structure
from .density import Gaussians
from .diagonal import Diagonal, DiagonalCovariances
from .normal_wishart import NormalWisharts
from .parameters import MAX_DOF, quantile_of_squares
from .student import positive_chi2


@dataclass(frozen=True, eq=False)
class ColumnPosterior:
    """What observed entries have turned a Normal-Gamma prior of independent columns into.

    Column j has the mean m_j | P ~ N(m_j, 1 / (kappa_j P)) with kappa_j = kappa_0 + n_j, n_j being the
    weight of its observed entries. Its precision is Gamma(nu_j / 2, Psi_j / 2) with nu_j = nu_0 + n_j,
    or one for all columns, with nu = nu_0 + sum_j n_j (Murphy, 2007, section 3).

    Attributes
    ----------
    posterior : ColumnMoments
        ``weight`` is kappa, ``dof`` is nu, ``mean`` that of the means, and ``scatter`` is Psi.
    prior : NormalWisharts
    rows : ColumnMoments
    """

    posterior: ColumnMoments
    prior: NormalWisharts
    rows: ColumnMoments

    @classmethod
    def of(cls, rows: ColumnMoments, prior: NormalWisharts) -> Self:
        """The posterior after entries of these moments."""
        return cls(rows + ColumnMoments.of_moments(prior.moments), prior, rows)

    @property
    def structure(self) -> Structure:
        return self.posterior.structure

    @property
    def mean_precision(self) -> Floats:
        """kappa, (d,)."""
        return self.posterior.weight

    @property
    def degrees_of_freedom(self) -> Floats:
        """nu, (d,) of columns that have a variance each, or (1,)."""
        return self.posterior.dof.ravel()

    @property
    def log_evidence(self) -> float:
        """The log marginal likelihood of the observed entries, in nats (Murphy, 2007, equation 95)."""
        prior = ColumnMoments.of_moments(self.prior.moments)
        nu, new = prior.dof, self.rows.dof
        ratio = log_gamma_ratio(nu / 2, new / 2) + new / 2 * np.log(nu / 2)
        level = ratio - new / 2 * (np.log(prior.scatter) + log(pi))
        level -= (nu + new) / 2 * self._log_growth
        of_means = log1p_ratio(self.rows.weight, prior.weight)
        return float(level.sum() - of_means.sum() / 2)

    @property
    def _log_growth(self) -> Floats:
        """log Psi - log Psi0, (1, *S)."""
        prior = self.prior.moments.scatter
        gap = ColumnMoments.of_moments(self.prior.moments).without_scatter() + self.rows
        with np.errstate(divide="ignore"):
            return np.asarray(np.logaddexp(0.0, np.log(gap.scatter) - np.log(prior)))

    def expected(self) -> Gaussians:
        """The Gaussian of the expected means and precisions."""
        return self._gaussian(self.posterior.dof)

    def mode(self) -> Gaussians:
        """The Gaussian at the mode of the joint density of means and variances.

        Its variances are Psi_j / (nu_j + 3), or Psi / (nu + d + 2) where there is one.
        """
        structure = self.structure
        return self._gaussian(self.posterior.dof + structure.dof_per_row + 2)

    def _gaussian(self, dof: Floats) -> Gaussians:
        structure, scatter = self.structure, self.posterior.covariance(dof)
        covariance = structure.estimate(scatter, np.ones(1), np.zeros(structure.d))
        return Gaussians(self.posterior.mean[None], covariance)

    def predictive(self) -> Mixture[ColumnStudentTs]:
        """The density of the next row, means and precisions integrated out."""
        return Mixture(np.zeros(1), self._student(1.0 + 1.0 / self.mean_precision))

    def _student(self, growth: Floats) -> ColumnStudentTs:
        """t about the means, with so many times the variances, (d,), as squared scales."""
        size = self._deviations * np.sqrt(growth)
        return ColumnStudentTs(self.posterior.mean[None], size[None], self.degrees_of_freedom[None])

    @property
    def _deviations(self) -> Floats:
        """Square roots of Psi / nu, (d,)."""
        return np.asarray(np.sqrt(self.expected().covariance.variances[0]))

    # -- the means ---------------------------------------------------------------------------------

    def interval_of_mean(self, level: float) -> tuple[Floats, Floats]:
        """The central interval that holds each coordinate with a probability, (d,) and (d,)."""
        size = self._deviations / np.sqrt(self.mean_precision)
        reach = size * t_distribution.isf((1.0 - level) / 2, self.degrees_of_freedom)
        return self.posterior.mean - reach, self.posterior.mean + reach

    def region_of_mean(self, level: float) -> Gaussians:
        """The ellipsoid about a center, (m - c)' inv(S) (m - c) <= 1, that holds the means."""
        dof = np.minimum(self.degrees_of_freedom, MAX_DOF)
        if len(dof) == 1:
            quantile = self.structure.d * float(f_distribution.ppf(level, self.structure.d, dof[0]))
        else:
            quantile = quantile_of_squares(level, tuple(dof.tolist()))
        size = self._deviations / np.sqrt(self.mean_precision) * np.sqrt(quantile)
        covariance = DiagonalCovariances(Diagonal(self.structure.d), size[None])
        return Gaussians(self.posterior.mean[None], covariance)

    # -- draws -------------------------------------------------------------------------------------

    def draw(self, n: int, rng: np.random.RandomState) -> tuple[Floats, Floats]:
        """Draw means (n, d), and covariances in stored form (n, *S)."""
        nu = self.posterior.dof
        chi2 = positive_chi2(nu, (n, *nu.shape[1:]), rng)
        stored = self.posterior.covariance(nu) * (nu / chi2)
        variance = self.structure.diagonal(stored)
        noise = rng.standard_normal(variance.shape)
        mean = self.posterior.mean + noise * np.sqrt(variance / self.mean_precision)
        return mean, stored
