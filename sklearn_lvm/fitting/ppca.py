"""Solvers of PPCA: leading eigenpairs of the covariance by eigh, SVD, Lanczos or EM."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from .._typing import Floats
from ..core.factor.centered_block import RowBlock
from ..core.factor.centered_rows import CenteredRows
from ..core.factor.em import PPCAParameters, PPCASteps
from ..core.factor.lanczos import leading_eigenpairs
from ..core.factor.spectrum import Spectrum
from ..core.linalg import EPS, fix_signs
from ..inference.em import run_em
from ..inference.problem import Problem

MAX_COVARIANCE_FEATURES = 4096  # features up to which a covariance matrix is formed
MAX_CONDITION_NUMBER = 1e6  # up to which likelihoods from a covariance matrix are right to 1e-9
N_EXTRA_VECTORS = 4  # vectors in a Lanczos block beyond the number of axes, at least
BLOCK_MULTIPLE = 4  # matrix products are fastest where the number of vectors is a multiple of this
ROWS_PER_VECTOR = 4  # rows in the subsample that starts Lanczos, for each vector of a block
MIN_TOL = 1e-13  # nats per row that rounding errors of products hide
EIGH_COST = 6.0  # operations of an eigendecomposition of a k x k matrix, in units of k^3
THIN_PRODUCT_COST = 1.3  # time of an operation in products with few vectors over one with many
START_GAP = 1e2  # nats per row, about, between the start of Lanczos and its limit
MIN_ROUNDS = 4  # Lanczos iterations that 'auto' must be able to afford before it tries


@dataclass(frozen=True)
class SpectrumProblem:
    """Rows, the number of axes, and when to stop.

    Attributes
    ----------
    rows : CenteredRows
    q : int or None
        The number of axes; None asks for all.
    tol : float
        In nats per row.
    max_iter : int
    rng : RandomState
    """

    rows: CenteredRows
    q: int | None
    tol: float
    max_iter: int
    rng: np.random.RandomState

    def n_axes(self, solver: str) -> int:
        """The number of axes for a solver that cannot find all."""
        if self.q is None:
            raise ValueError(
                f"solver={solver!r} needs an integer n_components: other values are chosen from "
                "the whole spectrum, which solver='covariance' and solver='svd' find."
            )
        return min(self.q, self.rows.shape[1] - 1)

    def random_directions(self, k: int) -> Floats:
        """Random vectors of about unit norm, (k, d)."""
        d = self.rows.shape[1]
        directions: Floats = self.rng.standard_normal((k, d)) / np.sqrt(d)
        return directions

    def resolves(self, spectrum: Spectrum, condition_number: float) -> bool:
        """Whether the noise of a spectrum is above rounding errors at some condition number."""
        return spectrum.resolved(self.q or self.rows.shape[1], condition_number)


@dataclass(frozen=True, eq=False)
class Solution:
    """A spectrum and how it was found.

    Attributes
    ----------
    spectrum : Spectrum
    n_iter : int
    converged : bool
    log_likelihood : float or None
        Per unit of weight, on the scale of the rows; None if it is that of the closed form.
    exact : bool
        Whether no other solver is more accurate.
    covariance : ndarray of shape (d, d) or None
        The covariance of the rows, where the solver formed it.
    """

    spectrum: Spectrum
    n_iter: int = 1
    converged: bool = True
    log_likelihood: float | None = None
    exact: bool = False
    covariance: Floats | None = None


Solver = Callable[[SpectrumProblem], Solution]


def covariance_solver(problem: SpectrumProblem) -> Solution:
    """Form the covariance matrix and compute as many eigenvectors as are asked for."""
    rows = problem.rows
    matrix = rows.covariance()
    spectrum = Spectrum.from_covariance(rows.mean, matrix, problem.q or len(matrix))
    return Solution(spectrum, covariance=matrix)


def svd_solver(problem: SpectrumProblem) -> Solution:
    """Compute the singular values of the centered rows from a triangular factor of them."""
    rows = problem.rows.refined()

    def combine(coefficients: Floats) -> Floats:
        return rows.combine(coefficients[: problem.q])

    n, blocks, error = rows.shape[0], rows.tall_blocks(), rows.rounding_error
    return Solution(Spectrum.from_blocks(rows.mean, blocks, n, combine, error), exact=True)


def dense_solver(problem: SpectrumProblem) -> Solution:
    """Solve by covariance or SVD, whichever forms no matrix larger than the rows."""
    n, d = problem.rows.shape
    return (covariance_solver if d <= min(n, MAX_COVARIANCE_FEATURES) else svd_solver)(problem)


@dataclass(frozen=True, eq=False)
class CovarianceOperator:
    """The covariance of rows as an operator: its products are sums over blocks of rows.

    Attributes
    ----------
    rows : CenteredRows
    """

    rows: CenteredRows

    def multiply(self, vectors: Floats) -> Floats:
        """From V (b, d) to V C, (b, d)."""
        return self.rows.sum(partial(RowBlock.multiply_scatter, axes=vectors))

    def project(self, vectors: Floats) -> Floats:
        """From V (b, d) to V C V', (b, b)."""
        return self.rows.sum(partial(RowBlock.project_scatter, axes=vectors))


def subspace_solver(
    problem: SpectrumProblem, subsample: "SubsampleSpectrum | None" = None
) -> Solution:
    """Compute leading eigenpairs by block Lanczos, until less than ``tol`` nats can be gained."""
    q, (_, d) = problem.n_axes("subspace"), problem.rows.shape
    if d <= 4 * _block_size(q):
        return dense_solver(problem)
    total = problem.rows.total_variance()

    def gradient(values: Floats) -> Floats:
        """The derivative of the mean log-likelihood with respect to each eigenvalue."""
        noise = max(total - values.sum(), EPS * total) / (d - q)
        return np.asarray(0.5 * np.maximum(1.0 / noise - 1.0 / np.maximum(values, noise), 0.0))

    start = (subsample or SubsampleSpectrum.of(problem.rows, q)).start(problem)
    operator, tol = CovarianceOperator(problem.rows), max(problem.tol, MIN_TOL)
    pairs = leading_eigenpairs(operator, start, q, gradient, tol=tol, max_iter=problem.max_iter)
    spectrum = Spectrum(problem.rows.mean, pairs.values, fix_signs(pairs.vectors), total)
    return Solution(spectrum, pairs.n_iter, pairs.converged)


def _block_size(q: int) -> int:
    """The number of vectors in a Lanczos block for q axes."""
    return -(-(q + N_EXTRA_VECTORS) // BLOCK_MULTIPLE) * BLOCK_MULTIPLE


@dataclass(frozen=True, eq=False)
class SubsampleSpectrum:
    """The spectrum of a few representative rows, which starts Lanczos and predicts its length.

    Attributes
    ----------
    q : int
        The number of axes that will be asked for.
    variance : ndarray of shape (m,)
        All eigenvalues, in falling order.
    axes : ndarray of shape (k, d)
    """

    q: int
    variance: Floats
    axes: Floats

    @classmethod
    def of(cls, rows: CenteredRows, q: int) -> "SubsampleSpectrum":
        """Compute the spectrum of representative rows."""
        k = _block_size(q)
        V = rows.dense(rows.representative_rows(min(ROWS_PER_VECTOR * k, rows.shape[0])))
        variance, coefficients = np.linalg.eigh(V @ V.T)
        axes = coefficients[:, -k:].T @ V
        norm = np.linalg.norm(axes, axis=1, keepdims=True)
        return cls(q, variance[::-1], axes / np.where(norm > 0, norm, 1.0))

    def start(self, problem: SpectrumProblem) -> Floats:
        """The first Lanczos block, (k, d): these axes plus small random vectors.

        The random part lets the iteration find directions in which none of these rows varies.
        """
        start = problem.random_directions(_block_size(self.q))
        start[: len(self.axes)] *= 0.01
        start[: len(self.axes)] += self.axes
        return start

    def expected_rounds(self, tol: float) -> float:
        """Predict how many Lanczos iterations it takes to be within ``tol``.

        An iteration divides the error by (sqrt(g) + sqrt(g - 1))^4, a bound by Chebyshev polynomials,
        where g is the ratio of the q-th eigenvalue to the first beyond the block.
        """
        k = _block_size(self.q)
        if len(self.variance) <= k or self.variance[k] <= 0.0:
            return 1.0
        g = self.variance[self.q - 1] / self.variance[k]
        rate = 4.0 * np.log(np.sqrt(g) + np.sqrt(g - 1.0))
        return 1.0 + float(np.log(START_GAP / tol) / rate) if tol > 0 and rate > 0 else np.inf


def em_solver(problem: SpectrumProblem) -> Solution:
    """Run accelerated EM from random loadings."""
    rows, q = problem.rows, problem.n_axes("em")
    d, total = rows.shape[1], rows.total_variance()
    if q == 0 or total == 0.0:
        return dense_solver(problem)
    W = problem.random_directions(q).T * np.sqrt(total / q)
    try:
        run = run_em(
            Problem(PPCASteps(), rows, rows.block_map),
            PPCAParameters(W, total / d),
            max_iter=problem.max_iter,
            tol=problem.tol,
            acceleration="squarem",
        )
    except (FloatingPointError, np.linalg.LinAlgError):
        return svd_solver(problem)  # the noise vanished: the rank of the rows says why
    spectrum = run.model.spectrum(rows.mean)
    if not spectrum.resolved(q, MAX_CONDITION_NUMBER):
        return svd_solver(problem)
    return Solution(spectrum, max(run.n_iter, 1), run.converged, run.objective)


def auto_solver(problem: SpectrumProblem) -> Solution:
    """Choose the fastest solver for this shape, and SVD if it turns out not to be accurate enough."""
    solution = _fastest(problem)
    if solution.exact or problem.resolves(solution.spectrum, MAX_CONDITION_NUMBER):
        return solution
    return svd_solver(problem)


def _fastest(problem: SpectrumProblem) -> Solution:
    """Solve by Lanczos if it is expected to take fewer operations than a decomposition."""
    if problem.q is None:
        return dense_solver(problem)
    n, d = problem.rows.shape
    k = min(n, d)
    round_cost = 4.0 * max(problem.rows.stored, 1) * _block_size(problem.q)
    rounds = int((n * d * k + EIGH_COST * k**3) / (THIN_PRODUCT_COST * round_cost))
    if rounds < MIN_ROUNDS:
        return dense_solver(problem)
    subsample = SubsampleSpectrum.of(problem.rows, problem.q)
    if subsample.expected_rounds(problem.tol) > rounds:
        return dense_solver(problem)
    limited = replace(problem, max_iter=min(rounds, problem.max_iter))
    solution = subspace_solver(limited, subsample)
    return solution if solution.converged else dense_solver(problem)


SOLVERS: dict[str, Solver] = {
    "auto": auto_solver,
    "covariance": covariance_solver,
    "svd": svd_solver,
    "subspace": subspace_solver,
    "em": em_solver,
}


def solve(solver: str, problem: SpectrumProblem) -> Solution:
    """Compute a spectrum; by SVD if that of the named solver leaves no noise above rounding errors."""
    if problem.q == 0:
        rows = problem.rows
        return Solution(Spectrum.without_axes(rows.mean, rows.total_variance()))
    solution, d = SOLVERS[solver](problem), problem.rows.shape[1]
    if solution.exact or problem.resolves(solution.spectrum, 1.0 / (d * EPS)):
        return solution
    return svd_solver(problem)
