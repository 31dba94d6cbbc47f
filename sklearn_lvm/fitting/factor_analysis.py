"""Factor analysis of what is kept of rows: at the maximum of the profile likelihood, or by EM."""

from dataclasses import dataclass, replace
from math import log, tau

import numpy as np

from .._typing import Floats
from ..core.gaussian.density import GaussianFamily, Gaussians
from ..core.gaussian.factor_analysis import FactorSolution, most_likely
from ..core.gaussian.factor_count import n_factors_beyond_noise
from ..core.gaussian.full import Full
from ..core.gaussian.low_rank import LowRank
from ..core.gaussian.low_rank_covariances import LowRankCovariances
from ..core.gaussian.moments import Moments
from ..core.gaussian.prior import GaussianPrior
from ..core.linalg import deviations
from ..core.mixture import Mixture
from ..core.mixture_em import MixtureSteps
from ..core.standardization import Standardization
from ..inference.em import EMRun
from .incomplete_rows import run_squarem
from .one_gaussian import CompleteSummary, IncompleteTable

START_STEPS, START_TOL = 12, 1e-3  # of EM of a full covariance, whose factors EM starts from
START_SHARE = 0.01  # of the rows, which its prior of uncorrelated features is worth
COUNT_STEPS, COUNT_TOL = 100, 1e-6  # where its factors are counted as well

FactorRows = CompleteSummary | IncompleteTable


@dataclass(frozen=True, eq=False)
class FactorProblem:
    """What is asked of standardized rows.

    Attributes
    ----------
    q : int or None
        Factors; None is as many as the rows show.
    added_variance : ndarray of shape (d,)
        Added to the variances, and the least noise.
    prior : GaussianPrior or None
        Of the covariance.
    tol : float
        Estimated remaining gain, in nats per unit of weight.
    max_iter : int
    """

    q: int | None
    added_variance: Floats
    prior: GaussianPrior | None
    tol: float
    max_iter: int

    @property
    def d(self) -> int:
        return len(self.added_variance)

    def solved(self, rows: FactorRows) -> EMRun[Gaussians]:
        """The run to the maximum of the likelihood, or of the posterior density."""
        if isinstance(rows, CompleteSummary):
            return self._of_complete(rows)
        return self._of_incomplete(rows)

    def log_likelihood(
        self, rows: FactorRows, run: EMRun[Gaussians], standardization: Standardization
    ) -> float:
        """The log-likelihood of what was observed, in nats, in the units of the data."""
        model = run.model
        if isinstance(rows, CompleteSummary):
            level = -0.5 * rows.n_rows * self.d * log(tau)
            total = level + model.log_density_of(rows.moments, np.zeros(self.d))
        else:
            penalty = float(model.trace_penalty(self.added_variance)[0])
            total = rows.n_rows * (run.objective - penalty) - self._family().log_prior(model)
        return total - rows.log_jacobian(standardization)

    # -- complete rows -----------------------------------------------------------------------------

    def _of_complete(self, rows: CompleteSummary) -> EMRun[Gaussians]:
        q = self._count(rows.moments, rows.n_rows) if self.q is None else self.q
        known = self._family().with_prior(rows.moments)
        share = float(known.dof[0]) / rows.n_rows
        solution, covariance = self._maximum(known, q, self.tol / share, self.max_iter)
        level = -0.5 * self.d * log(tau)
        trace = tuple(share * value + level for value in solution.trace)
        model = Gaussians(known.mean, covariance)
        return EMRun(model, trace, solution.n_iter, solution.converged)

    def _maximum(
        self, known: Moments, q: int, tol: float, max_iter: int
    ) -> tuple[FactorSolution, LowRankCovariances]:
        S = known.scatter[0] / known.dof[0] + np.diag(self.added_variance)
        variance = np.diagonal(S)
        deviations(variance[None])  # a feature without any variance is refused by name
        structure = LowRank(self.d, q=q)
        least = structure.least_noise(variance, self.added_variance)
        found = most_likely(S, least, q, tol=tol, max_iter=max_iter)
        parts = found.loadings[None], found.noise[None], least[None]
        return found, LowRankCovariances(structure, *parts)

    def _count(self, moments: Moments, n_rows: float) -> int:
        """As many factors as so many rows show."""
        return n_factors_beyond_noise(moments.scatter[0] / moments.dof[0], n_rows)

    # -- incomplete rows ---------------------------------------------------------------------------

    def _of_incomplete(self, rows: IncompleteTable) -> EMRun[Gaussians]:
        """EM, which completes rows, from the factors of a full covariance."""
        steps, tol = (COUNT_STEPS, COUNT_TOL) if self.q is None else (START_STEPS, START_TOL)
        full = self._full_covariance(rows, steps, tol)
        q = self._count(full, _rows_with_pairs(rows)) if self.q is None else self.q
        _, covariance = self._maximum(full, q, START_TOL, self.max_iter)
        start = Mixture(np.zeros(1), Gaussians(full.mean, covariance))
        run = run_squarem(
            MixtureSteps(self._family(q)),
            rows.blocks,
            start,
            max_iter=self.max_iter,
            tol=self.tol,
        )
        return run.with_model(run.model.components)

    def _family(self, q: int = 0) -> GaussianFamily:
        return GaussianFamily(LowRank(self.d, q=q), self.added_variance, self.prior)

    def _full_covariance(self, rows: IncompleteTable, max_iter: int, tol: float) -> Moments:
        """Moments of rows that have the mean and the covariance of a Gaussian near the most likely."""
        structure, columns = Full(self.d), rows.columns
        variance = np.where(columns.scatter[0] > 0, columns.covariance(columns.dof)[0], 1.0)
        scatter = structure.of_variances(variance)
        prior = GaussianPrior(
            structure,
            scatter=START_SHARE * rows.n_rows * scatter,
            strength=np.full(1, START_SHARE * rows.n_rows),
            mean=columns.mean,
        )
        steps = MixtureSteps(GaussianFamily(structure, self.added_variance, prior))
        weight = np.full(1, rows.n_rows)
        start = Moments(weight, weight, columns.mean[None], rows.n_rows * scatter, structure)
        run = run_squarem(steps, rows.blocks, steps.m_step(start), max_iter=max_iter, tol=tol)
        found = run.model.components
        return replace(start, mean=found.mean, scatter=rows.n_rows * found.covariance.scatter)


def _rows_with_pairs(rows: IncompleteTable) -> float:
    """In how many rows both of two typical features were observed, if that is independent."""
    share = float(rows.columns.weight.mean()) / rows.n_rows
    return rows.n_rows * share**2
