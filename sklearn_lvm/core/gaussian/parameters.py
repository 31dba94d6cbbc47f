"""What is known of the mean and the covariance of one Gaussian: prior, regions, and draws."""

from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Self

import numpy as np
from scipy.optimize import brentq
from scipy.special import binom
from scipy.stats import f as f_distribution
from scipy.stats import t as t_distribution

from ..._typing import Complexes, Floats, Ints
from ..linalg import inverse_triangular
from ..mixture import Mixture
from .covariance import Structure, along
from .density import Gaussians
from .moments import Moments
from .normal_wishart import NormalWisharts
from .student import StudentTs, positive_chi2

# Numerical inversion of a Laplace transform: errors of about exp(-DAMPING) and of the last means.
DAMPING, N_TERMS, N_AVERAGED = 23.0, 40, 15
N_NODES, NEGLIGIBLE = 4000, 40.0  # of an integral; the exponent from which on it is zero
MAX_DOF = 1e10  # of an F distribution; with more it is chi squared to ten digits


@dataclass(frozen=True, eq=False)
class GaussianPosterior:
    """What rows have turned a prior of one Gaussian's mean and precision into.

    Attributes
    ----------
    posterior, prior : NormalWisharts
        One distribution each, K = 1.
    rows : Moments
    """

    posterior: NormalWisharts
    prior: NormalWisharts
    rows: Moments

    @classmethod
    def of(cls, moments: Moments, prior: NormalWisharts) -> Self:
        """The posterior after rows of these moments.

        Raises
        ------
        SingularCovarianceError
            If the scatter of prior and rows together is singular to working precision.
        """
        posterior = NormalWisharts.of(moments + prior.moments)
        return cls(posterior, prior, moments)

    @property
    def log_evidence(self) -> float:
        """The log marginal likelihood of the rows, in nats."""
        return self.prior.log_evidence(self.rows)

    @property
    def structure(self) -> Structure:
        return self.posterior.structure

    @property
    def mean_precision(self) -> Floats:
        """kappa, (1,)."""
        return self.posterior.mean_precision

    @property
    def degrees_of_freedom(self) -> Floats:
        """nu, (1,)."""
        return self.posterior.degrees_of_freedom

    def expected(self) -> Gaussians:
        """The Gaussian of the expected mean and precision."""
        return self.posterior.expected

    def predictive(self) -> Mixture[StudentTs]:
        """The density of the next row, mean and precision integrated out."""
        return Mixture(np.zeros(1), self.posterior.predictive())

    def mode(self) -> Gaussians:
        """The Gaussian at the mode of the joint density of mean and covariance."""
        return self.posterior.mode()

    # -- the mean ----------------------------------------------------------------------------------

    @property
    def of_mean(self) -> StudentTs:
        """The marginal posterior of the mean.

        It is the density of the next row without the spread of that row: nu - p + 1 degrees of freedom
        and the scale matrix Psi / (kappa (nu - p + 1)) (Murphy, 2007, equation 255).
        """
        row = self.posterior.predictive()
        return replace(row, factor=row.factor / (self.posterior.mean_precision + 1.0))

    def interval_of_mean(self, level: float) -> tuple[Floats, Floats]:
        """The central interval that holds each coordinate with a probability, (d,) and (d,)."""
        mean = self.of_mean
        size = np.sqrt(mean.factor[0] * mean.covariance.variances[0])
        reach = size * t_distribution.isf((1.0 - level) / 2, mean.dof[0])
        return mean.mean[0] - reach, mean.mean[0] + reach

    def region_of_mean(self, level: float) -> Gaussians:
        """The ellipsoid about a center, (m - c)' inv(S) (m - c) <= 1, that holds the mean.

        Where one precision is that of all features the squared radius has an F distribution; where
        each has its own, it is a sum of independent squares.
        """
        mean, structure = self.of_mean, self.posterior.structure
        size, dof = structure.d // structure.n_wisharts, min(float(mean.dof[0]), MAX_DOF)
        if structure.n_wisharts == 1:
            quantile = size * float(f_distribution.ppf(level, size, dof))
        else:
            quantile = quantile_of_squares(level, (dof,) * structure.n_wisharts)
        radius = np.sqrt(mean.factor[0] * quantile)
        return Gaussians(mean.mean, mean.covariance.rescale(np.full(structure.d, radius)))

    # -- draws -------------------------------------------------------------------------------------

    def draw(self, n: int, rng: np.random.RandomState) -> tuple[Floats, Floats]:
        """Draw means (n, d), and covariances in stored form (n, *S).

        With C = L L' = Psi / nu, and A a Bartlett factor, A A' ~ W(nu, I), a covariance is nu B B' with
        B = L inv(A)', and a mean is m + sqrt(nu / kappa) B e.
        """
        known, structure = self.posterior, self.posterior.structure
        nu, C = known.degrees_of_freedom[0], known.expected.covariance
        p, blocks, copies = structure.wishart_size, structure.n_wisharts, structure.dof_per_row
        B = _inverse_factors(nu, p, n * blocks, rng).reshape(n, blocks, p, p)
        noise = (B @ rng.standard_normal((n, blocks, p, copies))).reshape(n, structure.d)
        columns = np.repeat(B.reshape(n, blocks * p, p), copies, axis=1)
        squares = np.sum([structure.outer(columns[:, :, c]) for c in range(p)], axis=0)
        reach = np.sqrt(nu / known.mean_precision[0])
        return known.moments.mean + reach * C.colorize_each(noise), nu * C.restore(squares)


@dataclass(frozen=True, eq=False)
class VariationalPosterior(GaussianPosterior):
    """The closest of such posteriors, in which mean and precision do not depend on missing entries.

    It maximizes the evidence lower bound over q(m, P) q(missing) (Bishop, 2006, section 10.1). The rows
    are those that a Gaussian expects.

    Attributes
    ----------
    bound : float
        That of the log marginal likelihood of the observed entries, in nats.
    """

    bound: float

    @property
    def log_evidence(self) -> float:
        """The evidence lower bound, in nats."""
        return self.bound


def suggested_prior(moments: Moments) -> Moments:
    """A weak prior for rows of these moments: a mean known from one row, and nu = d.

    Psi is the covariance of the rows, or what the structure keeps of it: its diagonal, or the mean of
    that.
    """
    structure, weight = moments.structure, moments.weight
    divisor = structure.dof_per_row * np.maximum(weight - 1.0, weight / 2.0)
    return weak_prior(moments.mean, moments.scatter / along(divisor, moments.scatter), structure)


def weak_prior(mean: Floats, scatter: Floats, structure: Structure) -> Moments:
    """A mean (1, d) that is known from one row, and a scatter (1, *S) of nu = d."""
    dof = np.full(1, structure.d / structure.dof_per_row)
    return Moments(np.ones(1), dof, mean, scatter, structure)


def _inverse_factors(nu: float, p: int, n: int, rng: np.random.RandomState) -> Floats:
    """inv(A)' for Bartlett factors A, lower triangular with A A' ~ W(nu, I), (n, p, p)."""
    A = np.tril(rng.standard_normal((n, p, p)), -1)
    i = np.arange(p)
    A[:, i, i] = np.sqrt(positive_chi2(nu - i, (n, p), rng))
    return np.stack([inverse_triangular(a).T for a in A])


# -- sums of squares -----------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def quantile_of_squares(level: float, dof: tuple[float, ...]) -> float:
    """The quantile of the sum of squares of independent t variables with these degrees of freedom.

    It is where the distribution function, by inversion of its Laplace transform, takes the level.

    Examples
    --------
    Of one square it is the quantile of F(1, dof):

    >>> from scipy.stats import f
    >>> from sklearn_lvm.core.gaussian.parameters import quantile_of_squares
    >>> print(f.ppf(0.95, 1, 4).round(5), round(quantile_of_squares(0.95, (4.0,)), 5))
    7.70865 7.70865
    """
    kinds, counts = np.unique(dof, return_counts=True)
    # One square is less than the sum, and the sum is less than n times the largest.
    low = f_distribution.ppf(level, 1, kinds).max()
    high = len(dof) * f_distribution.isf(-np.expm1(np.log(level) / len(dof)), 1, kinds).max()

    def gap(log_q: float) -> float:
        return _probability_of_squares(float(np.exp(log_q)), kinds, counts) - level

    return float(np.exp(brentq(gap, np.log(low) - 0.01, np.log(high) + 0.01, xtol=1e-10)))


def _probability_of_squares(q: float, dof: Floats, counts: Ints) -> float:
    """The probability that a sum of squares of t variables, so many of each kind, is at most q.

    By the Euler algorithm of Abate & Whitt (1995, equations 11 to 15).
    """
    k = np.arange(N_TERMS + N_AVERAGED + 1)
    s = (DAMPING + 2j * np.pi * k) / (2.0 * q)
    terms = (_laplace_of_squares(s, dof, counts) / s).real * (-1.0) ** k / q
    terms[0] /= 2.0
    sums = np.cumsum(terms)[N_TERMS:]
    weights = binom(N_AVERAGED, np.arange(N_AVERAGED + 1)) / 2.0**N_AVERAGED
    return float(np.exp(DAMPING / 2) * (weights @ sums))


def _laplace_of_squares(s: Complexes, dof: Floats, counts: Ints) -> Complexes:
    """prod E exp(-s t^2)^count for complex s (m,), by the trapezoidal rule in v, t = sinh v."""
    end = np.arcsinh(np.sqrt(NEGLIGIBLE / s.real.min()))
    v, step = np.linspace(0.0, end, N_NODES, retstep=True)
    decay = np.exp(-s[:, None] * np.sinh(v) ** 2)
    found = np.ones_like(s)
    for kind, count in zip(dof, counts, strict=True):
        weight = 2.0 * step * t_distribution.pdf(np.sinh(v), kind) * np.cosh(v)
        weight[0] /= 2.0
        found *= (decay @ weight) ** count
    return found
