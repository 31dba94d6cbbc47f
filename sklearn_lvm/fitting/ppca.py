"""The ways to a spectrum: what probabilistic PCA is fitted with, each under its name."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from .._typing import Array
from ..core.centred import CentredRows, slab_slices
from ..core.factor.lanczos import Operator, leading
from ..core.loadings import FactorSteps, Loadings
from ..core.spectrum import EPS, Spectrum, of_covariance, of_pieces, upright
from ..inference.block_map import ThreadMap
from ..inference.em import run_em
from ..inference.problem import Problem as EMProblem

MODERATE = 4096  # features up to which a covariance matrix is formed
DIGITS = 1e6  # the condition number up to which a covariance holds the digits of a likelihood
SPARE = 4  # vectors more than are asked for, at least, in the block of a subspace
SAMPLED = 4  # rows for each vector of a start
ROUNDING = 1e-13  # nats per row that no product can tell
WHOLE = 6.0  # what a whole decomposition of a k x k matrix costs, in k^3
PRICE = 1.3  # of an operation in products with few vectors, in those with many
FAR_OFF = 1e2  # nats that a start is away from where it leads, about
ENOUGH = 4  # rounds that a subspace must be allowed to be worth a try


@dataclass(frozen=True)
class Problem:
    """Rows, how many axes are asked for, and how far to go for them.

    Attributes
    ----------
    rows : CentredRows
    walker : Walker
    q : int or None
        None asks for all of them.
    tol : float
        In nats per row.
    max_iter : int
    rng : RandomState
    """

    rows: CentredRows
    block_map: ThreadMap
    q: int | None
    tol: float
    max_iter: int
    rng: np.random.RandomState

    @property
    def mean(self) -> Array:
        """The mean in standard units, all but zero."""
        return self.rows.mean

    def total(self, function: Callable[[Any], Any]) -> Any:
        """The sum of a function over all slabs."""
        return self.block_map.sum(function, self.rows)

    def number(self, solver: str) -> int:
        """How many axes to look for, where all of them will not do."""
        if self.q is None:
            raise ValueError(
                f"solver={solver!r} needs an integer n_components: other values are chosen from "
                "the whole spectrum, which solver='covariance' and solver='svd' find."
            )
        return min(self.q, self.rows.shape[1] - 1)

    def random(self, k: int) -> Array:
        """Random directions of unit length, about, (k, d)."""
        d = self.rows.shape[1]
        return self.rng.standard_normal((k, d)) / np.sqrt(d)


@dataclass(frozen=True, eq=False)
class Solution:
    """A spectrum, and how it was found.

    ``log_likelihood`` is None where the estimate is that of the closed form; ``exact`` says that no
    other way holds more digits.
    """

    spectrum: Spectrum
    n_iter: int = 1
    converged: bool = True
    log_likelihood: float | None = None
    exact: bool = False


Solver = Callable[[Problem], Solution]


def covariance(problem: Problem) -> Solution:
    """The covariance matrix, and as many of its eigenvectors as are asked for."""
    matrix = problem.rows.covariance(problem.block_map)
    return Solution(of_covariance(problem.mean, matrix, problem.q or len(matrix)))


def singular(problem: Problem) -> Solution:
    """The singular values of the centred rows, from a triangular factor of their long side."""
    rows = problem.rows.refined(problem.block_map)
    n, d = rows.shape

    def gather(coefficients: Array) -> Array:
        coefficients = coefficients[: problem.q]

        def part(piece: slice) -> Array:
            slab = rows.slab(piece)
            return slab.gather(coefficients[:, piece] * np.sqrt(slab.weight))

        found: Array = problem.block_map.sum(part, slab_slices(n, d, at_least=len(coefficients)))
        return found

    return Solution(of_pieces(rows.mean, rows.long_side(), n, gather, rows.grain), exact=True)


def direct(problem: Problem) -> Solution:
    """One of the two above: no matrix is larger than the rows are."""
    n, d = problem.rows.shape
    return (covariance if d <= min(n, MODERATE) else singular)(problem)


def subspace(problem: Problem, sample: "Sample | None" = None) -> Solution:
    """Products with the rows, and no d x d matrix, until less than ``tol`` nats are left."""
    q, d = problem.number("subspace"), problem.rows.shape[1]
    if d <= 4 * _block(q):
        return direct(problem)
    total = float(problem.total(lambda slab: slab.weight @ slab.squares()))

    def slope(values: Array) -> Array:
        noise = max(total - values.sum(), EPS * total) / (d - q)
        return 0.5 * np.maximum(1.0 / noise - 1.0 / np.maximum(values, noise), 0.0)

    def multiply(axes: Array) -> Array:
        found: Array = problem.total(lambda slab: slab.gather(slab.project(axes) * slab.weight))
        return found

    def form(axes: Array) -> Array:
        found: Array = problem.total(lambda slab: slab.form(axes))
        return found

    start = (sample or Sample.of(problem.rows, q)).start(problem)
    tol, max_iter = max(problem.tol, ROUNDING), problem.max_iter
    pairs = leading(Operator(multiply, form), start, q, slope, tol=tol, max_iter=max_iter)
    spectrum = Spectrum(problem.mean, pairs.values, upright(pairs.vectors), total)
    return Solution(spectrum, pairs.n_iter, pairs.converged)


def _block(q: int) -> int:
    """How many vectors to multiply at once: products like multiples of four."""
    return -(-(q + SPARE) // 4) * 4


@dataclass(frozen=True, eq=False)
class Sample:
    """What a few rows tell of the spectrum of all: eigenvalues (m,) in falling order, axes (k, d)."""

    q: int
    variance: Array
    axes: Array

    @classmethod
    def of(cls, rows: CentredRows, q: int) -> "Sample":
        k = _block(q)
        V = rows.slab(rows.representatives(min(SAMPLED * k, rows.shape[0])), near=0.0).dense()
        variance, coefficients = np.linalg.eigh(V @ V.T)
        axes = coefficients[:, -k:].T @ V
        length = np.linalg.norm(axes, axis=1, keepdims=True)
        return cls(q, variance[::-1], axes / np.where(length > 0, length, 1.0))

    def start(self, problem: Problem) -> Array:
        """These axes, and a little of every other direction, lest one be missed; (k, d)."""
        start = problem.random(_block(self.q))
        start[: len(self.axes)] *= 0.01
        start[: len(self.axes)] += self.axes
        return start

    def rounds(self, tol: float) -> float:
        """About how many products it takes to come so close.

        Each takes the loss down by a factor of (sqrt(g) + sqrt(g - 1))^4, as Chebyshev polynomials
        have it, where g is the ratio of the q-th eigenvalue to the first beyond the block.
        """
        if len(self.variance) <= _block(self.q) or self.variance[_block(self.q)] <= 0.0:
            return 1.0
        g = self.variance[self.q - 1] / self.variance[_block(self.q)]
        pace = 4.0 * np.log(np.sqrt(g) + np.sqrt(g - 1.0))
        return 1.0 + float(np.log(FAR_OFF / tol) / pace) if tol > 0 and pace > 0 else np.inf


def expectation_maximisation(problem: Problem) -> Solution:
    """The shared loop, accelerated, from random loadings."""
    q, d = problem.number("em"), problem.rows.shape[1]
    total = float(problem.total(lambda slab: slab.weight @ slab.squares()))
    if q == 0 or total == 0.0:
        return direct(problem)
    start = Loadings(problem.random(q).T * np.sqrt(total / q), total / d)
    try:
        run = run_em(
            EMProblem(FactorSteps(), problem.rows, problem.block_map),
            start,
            max_iter=problem.max_iter,
            tol=problem.tol,
            acceleration="squarem",
        )
    except (FloatingPointError, np.linalg.LinAlgError):
        return singular(problem)  # no noise is left to climb on: singular values tell why
    spectrum = run.model.spectrum(problem.mean)
    if not spectrum.resolved(q, DIGITS):
        return singular(problem)
    return Solution(spectrum, max(run.n_iter, 1), run.converged, run.objective)


def automatic(problem: Problem) -> Solution:
    """The cheapest way for this shape that holds the digits of this spectrum."""
    n, d = problem.rows.shape
    solution = _first_choice(problem, n, d)
    if solution.exact or solution.spectrum.resolved(problem.q or d, DIGITS):
        return solution
    return singular(problem)


def _first_choice(problem: Problem, n: int, d: int) -> Solution:
    if problem.q is None:
        return direct(problem)
    small = min(n, d)
    pair = 4.0 * problem.rows.stored * _block(problem.q)
    rounds = int((n * d * small + WHOLE * small**3) / (PRICE * pair))
    if rounds < ENOUGH:
        return direct(problem)
    sample = Sample.of(problem.rows, problem.q)
    if sample.rounds(problem.tol) > rounds:
        return direct(problem)
    solution = subspace(replace(problem, max_iter=min(rounds, problem.max_iter)), sample)
    return solution if solution.converged else direct(problem)


SOLVERS: dict[str, Solver] = {
    "auto": automatic,
    "covariance": covariance,
    "svd": singular,
    "subspace": subspace,
    "em": expectation_maximisation,
}


def solve(solver: str, problem: Problem) -> Solution:
    """A spectrum that tells apart what has to be told apart, by singular values if not as asked."""
    solution, d = SOLVERS[solver](problem), problem.rows.shape[1]
    if solution.exact or solution.spectrum.resolved(problem.q or d, 1.0 / (d * EPS)):
        return solution
    return singular(problem)
