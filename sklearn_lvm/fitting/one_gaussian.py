"""What is kept of the rows of one Gaussian, and how it becomes an estimate or a posterior.

Of complete rows, and of independent columns, moments are enough, and everything has a closed form. With
correlated features a missing entry is one more latent variable, and the rows themselves are needed.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Protocol, Self

import numpy as np

from .._typing import Block, Floats
from ..core.blocks import Blocks
from ..core.family import C
from ..core.gaussian.column_posterior import ColumnPosterior
from ..core.gaussian.columns import ColumnMoments
from ..core.gaussian.covariance import Structure
from ..core.gaussian.density import GaussianFamily, Gaussians
from ..core.gaussian.diagonal import Diagonal
from ..core.gaussian.kernels import row_width
from ..core.gaussian.missing import MIN_ROWS, IncompleteRows, mean_block_size
from ..core.gaussian.moments import Moments
from ..core.gaussian.normal_wishart import NormalWisharts
from ..core.gaussian.parameters import GaussianPosterior, VariationalPosterior, suggested_prior
from ..core.gaussian.posterior import GaussianPosteriorFamily
from ..core.linalg import SingularCovarianceError
from ..core.mixing import DirichletPosterior
from ..core.mixture import Mixture
from ..core.mixture_em import MixtureSteps
from ..core.mixture_variational import VariationalSteps
from ..core.standardization import Standardization
from ..inference.block_map import block_size, slices_of
from ..inference.em import Callback, EMRun
from ..inference.problem import M
from .incomplete_rows import run_squarem, sorted_by_pattern

SMALLEST = 1e-10  # share of the variances that EM may leave of them in some direction

Posterior = GaussianPosterior | ColumnPosterior
ONE_ROW = np.ones(1)


def in_closed_form(model: M) -> EMRun[M]:
    """A model that no iteration was needed for."""
    return EMRun(model, (), n_iter=1, converged=True)


class Summary(Protocol):
    """What is kept of standardized rows.

    Attributes
    ----------
    structure : Structure
        Of the covariance.
    n_rows : float
        Their summed weight.
    """

    @property
    def structure(self) -> Structure: ...
    @property
    def n_rows(self) -> float: ...
    @property
    def typical(self) -> Moments:
        """Moments that have the mean and the variances of observed entries."""
        ...

    def log_jacobian(self, standardization: Standardization, /) -> float:
        """log |dx / dz| of all observed entries, in nats."""
        ...

    def maximum(self, added_variance: Floats, /) -> EMRun[Gaussians]:
        """The Gaussian of the highest likelihood of rows that are spread with these variances, (d,).

        Raises
        ------
        SingularCovarianceError
            If there is none.
        """
        ...

    def log_likelihood(
        self, run: EMRun[Gaussians], added_variance: Floats, standardization: Standardization, /
    ) -> float:
        """The log-likelihood of that Gaussian, in nats, in the units of the data."""
        ...

    def suggested_prior(self, added_variance: Floats, /) -> Moments:
        """A weak prior of the mean and the covariance of the maximum."""
        ...

    def posterior(self, prior: NormalWisharts, /) -> EMRun[Posterior]:
        """What is known of mean and covariance."""
        ...

    def mode(self, known: Posterior, /) -> EMRun[Gaussians]:
        """The Gaussian at the mode of the joint density of mean and covariance."""
        ...


@dataclass(frozen=True, eq=False)
class CompleteSummary:
    """Moments of complete rows."""

    moments: Moments

    @classmethod
    def of(cls, Z: Floats, w: Floats, structure: Structure) -> Self:
        """Measure rows, feature-major (d, n), with weights (n,)."""
        return cls(Moments.of(Z, w[None], structure))

    def __add__(
        self, other: "CompleteSummary | ColumnSummary"
    ) -> "CompleteSummary | ColumnSummary":
        if isinstance(other, ColumnSummary):
            return self.by_column + other
        return CompleteSummary(self.moments + other.moments)

    def rescaled(self, factor: Floats) -> Self:
        """That of the same rows after z_j -> factor_j z_j."""
        return replace(self, moments=self.moments.rescaled(factor))

    @property
    def by_column(self) -> "ColumnSummary":
        """The same, column by column, of independent features."""
        return ColumnSummary(ColumnMoments.of_moments(self.moments))

    @property
    def structure(self) -> Structure:
        return self.moments.structure

    @property
    def n_rows(self) -> float:
        return float(self.moments.weight[0])

    @property
    def typical(self) -> Moments:
        return self.moments

    def log_jacobian(self, standardization: Standardization) -> float:
        return self.n_rows * standardization.log_jacobian

    def maximum(self, added_variance: Floats) -> EMRun[Gaussians]:
        family = GaussianFamily(self.structure, added_variance)
        return in_closed_form(family.estimate(self.moments))

    def log_likelihood(
        self, run: EMRun[Gaussians], added_variance: Floats, standardization: Standardization
    ) -> float:
        loss = run.model.trace_penalty(added_variance)
        mean_log_prob = float((run.model.max_log_prob - loss)[0]) - self.structure.d / 2
        return self.n_rows * (mean_log_prob - standardization.log_jacobian)

    def suggested_prior(self, added_variance: Floats) -> Moments:
        return widened(suggested_prior(self.moments), added_variance)

    def posterior(self, prior: NormalWisharts) -> EMRun[Posterior]:
        return in_closed_form(GaussianPosterior.of(self.moments, prior))

    def mode(self, known: Posterior) -> EMRun[Gaussians]:
        return in_closed_form(known.mode())


class ObservedColumns:
    """What summaries share that hold the moments of the observed entries of each column."""

    columns: ColumnMoments

    @property
    def n_rows(self) -> float:
        return self.columns.n_rows

    @property
    def typical(self) -> Moments:
        return self.columns.of_one_row

    def log_jacobian(self, standardization: Standardization) -> float:
        return float(self.columns.weight @ np.log(standardization.scale))


@dataclass(frozen=True, eq=False)
class ColumnSummary(ObservedColumns):
    """Moments of the observed entries of independent columns."""

    columns: ColumnMoments

    @classmethod
    def of(cls, Z: Floats, w: Floats, structure: Structure) -> Self:
        """Measure rows (d, n), in which NaN was not observed, with weights (n,)."""
        return cls(ColumnMoments.of(Z, w, structure))

    def __add__(self, other: "CompleteSummary | ColumnSummary") -> "ColumnSummary":
        others = other if isinstance(other, ColumnSummary) else other.by_column
        return ColumnSummary(self.columns + others.columns)

    def rescaled(self, factor: Floats) -> Self:
        """That of the same rows after z_j -> factor_j z_j."""
        return replace(self, columns=self.columns.rescaled(factor))

    @property
    def structure(self) -> Structure:
        return self.columns.structure

    def maximum(self, added_variance: Floats) -> EMRun[Gaussians]:
        family = GaussianFamily(self.structure, added_variance)
        return in_closed_form(family.estimate(self.typical))

    def log_likelihood(
        self, run: EMRun[Gaussians], added_variance: Floats, standardization: Standardization
    ) -> float:
        log_likelihood = self.columns.log_likelihood(run.model.covariance.variances[0])
        return log_likelihood - self.log_jacobian(standardization)

    def suggested_prior(self, added_variance: Floats) -> Moments:
        return widened(self.columns.suggested_prior(), added_variance)

    def posterior(self, prior: NormalWisharts) -> EMRun[Posterior]:
        return in_closed_form(ColumnPosterior.of(self.columns, prior))

    def mode(self, known: Posterior) -> EMRun[Gaussians]:
        return in_closed_form(known.mode())


@dataclass(frozen=True, eq=False)
class IncompleteTable(ObservedColumns):
    """Rows in which entries are missing, of correlated features: all of them, for EM.

    Attributes
    ----------
    blocks : sequence of pairs
        Standardized rows as kernels take them, and weights.
    columns : ColumnMoments
        Of what was observed of each feature.
    structure : Structure
    tol : float
        Of EM, in nats per unit of weight.
    max_iter : int
        The most steps of EM.
    """

    blocks: Blocks | tuple[Block, ...]
    columns: ColumnMoments
    structure: Structure
    tol: float
    max_iter: int

    @classmethod
    def of(
        cls,
        X: Floats,
        w: Floats,
        standardized: Callable[[Floats], Floats],
        structure: Structure,
        *,
        tol: float,
        max_iter: int,
    ) -> Self:
        """The rows of a table (n, d), which a function standardizes, (n, d) -> (d, n)."""

        def transform(rows: Floats) -> IncompleteRows:  # of complete blocks too: their sums add
            return IncompleteRows.of(standardized(rows))

        width = row_width(structure, 1) + mean_block_size(np.isnan(X))
        X, w = sorted_by_pattern(X, w)
        size, diagonal = block_size(width, MIN_ROWS), Diagonal(structure.d)
        slices = slices_of(len(X), size)
        columns = reduce(
            add, (ColumnMoments.of(standardized(X[s]), w[s], diagonal) for s in slices)
        )
        return cls(Blocks(X, w, transform, slices).held(), columns, structure, tol, max_iter)

    def without_rows(self) -> Self:
        """What is kept of the table after the fit."""
        return replace(self, blocks=())

    def maximum(self, added_variance: Floats) -> EMRun[Gaussians]:
        if (constant := (self.columns.scatter[0] == 0) & (added_variance == 0)).any():
            raise SingularCovarianceError(0, tuple(np.flatnonzero(constant).tolist()))
        steps = MixtureSteps(GaussianFamily(self.structure, added_variance))
        run = self._run(steps, SingularityCheck())
        return run.with_model(run.model.components)

    def log_likelihood(
        self, run: EMRun[Gaussians], added_variance: Floats, standardization: Standardization
    ) -> float:
        penalty = float(run.model.trace_penalty(added_variance)[0])
        return self.n_rows * (run.objective - penalty) - self.log_jacobian(standardization)

    def suggested_prior(self, added_variance: Floats) -> Moments:
        gaussian = self.maximum(added_variance).model
        return suggested_prior(self._moments_of(gaussian.mean, gaussian.covariance.scatter))

    def posterior(self, prior: NormalWisharts) -> EMRun[Posterior]:
        family = GaussianPosteriorFamily(prior, np.zeros(self.structure.d))
        one = DirichletPosterior.of(np.zeros(1), 1.0)  # there is but one component
        run = self._run(VariationalSteps(family, weights=one))
        known, bound = run.model.components, self.n_rows * run.objective
        expected = self._moments_of(known.expected.mean, known.expected.covariance.scatter)
        return run.with_model(VariationalPosterior(known.posterior, prior, expected, bound))

    def mode(self, known: Posterior) -> EMRun[Gaussians]:
        family = GaussianFamily(
            self.structure, np.zeros(self.structure.d), known.prior.pseudo_observations(1)
        )
        run = self._run(MixtureSteps(family))
        return run.with_model(run.model.components)

    def _run(
        self, steps: MixtureSteps[C, Moments], callback: Callback[Mixture[C]] | None = None
    ) -> EMRun[Mixture[C]]:
        """Run EM from uncorrelated features."""
        variance = np.where(
            self.columns.scatter > 0, self.columns.covariance(self.columns.dof), 1.0
        )
        scatter = self.structure.of_variances(variance[0])
        start = steps.m_step(self._moments_of(self.columns.mean[None], scatter))
        return run_squarem(
            steps, self.blocks, start, max_iter=self.max_iter, tol=self.tol, callback=callback
        )

    def _moments_of(self, mean: Floats, covariance: Floats) -> Moments:
        """The moments of rows with a mean (1, d) and a covariance (1, *S)."""
        weight = np.full(1, self.n_rows)
        return Moments(weight, weight, mean, self.n_rows * covariance, self.structure)


class SingularityCheck(Callback[Mixture[Gaussians]]):
    """Raises a SingularCovarianceError where the likelihood of EM goes to infinity.

    That takes EM many steps, in each of which a variance shrinks by the share of missing entries. It
    is over once a direction keeps no more than ``SMALLEST`` of the variances of the features.
    """

    def end(self, run: EMRun[Mixture[Gaussians]]) -> bool:
        C = run.model.components.covariance
        C.structure.estimate(C.scatter, ONE_ROW, -SMALLEST * C.variances[0])
        return False


def widened(prior: Moments, added_variance: Floats) -> Moments:
    """A prior whose covariance is larger by the variances (d,)."""
    structure = prior.structure
    share = structure.of_variances(added_variance) / structure.dof_per_row
    return replace(prior, scatter=prior.scatter + share)
