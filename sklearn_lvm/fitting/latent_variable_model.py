"""EM of a model that its user wrote: three functions become the steps of the loop."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ParamSpec, Protocol, Self, TypeVar

import numpy as np

from .._typing import Block, Floats, Hashes, Table
from ..core.rows import RowSource, key_hashes
from ..inference.block_map import ThreadMap
from ..inference.em import EMRun, run_em
from ..inference.problem import Problem
from ..inference.stopping import StoppingRule, automatic_tolerance
from .restarts import CHOICES, Outcome, RunCallback, Tolerance, runs_side_by_side

START_ROWS = 1 << 13  # distinct rows that a start is drawn from
Theta = dict[str, Floats]
P = ParamSpec("P")
T = TypeVar("T")


class FailedStepError(FloatingPointError):
    """A function of the user failed; the loop drops a proposal for that, and a start."""


class Functions(Protocol):
    """What the user says of a model."""

    def start(self, X: Floats, weight: Floats, rng: np.random.RandomState, /) -> Theta: ...
    def expect(self, theta: Theta, X: Floats, weight: Floats, /) -> tuple[object, Floats]: ...
    def maximize(self, statistics: object, theta: Theta, /) -> Theta: ...
    def log_prior(self, theta: Theta, /) -> float: ...


class Unchanged:
    """Rows as they are, in double precision, (n, d) -> (d, n)."""

    log_jacobian = 0.0

    def transform(self, X: Table) -> Floats:
        return np.asarray(X, dtype=np.float64).T

    def inverse_transform(self, Z: Floats) -> Floats:
        return Z


@dataclass(frozen=True, eq=False)
class DistinctRows(RowSource):
    """Rows that are fitted once each, in the order of their content: weights are repetitions."""

    @cached_property
    def keys(self) -> Table:
        X = np.asarray(self.X, dtype=np.float64) + 0.0  # which makes 0.0 of -0.0
        return np.where(np.isnan(X), np.inf, X)

    @cached_property
    def hashes(self) -> Hashes:
        return key_hashes(self.keys)

    def merged(self) -> Self:
        return self.weighted(self.w)


@dataclass(frozen=True, eq=False)
class UserStatistics:
    """Statistics of the user: a dict of arrays, or a value with ``+`` and ``*`` by a number."""

    value: object

    def __add__(self, other: Self) -> Self:
        try:
            return type(self)(_added(self.value, other.value))
        except (TypeError, KeyError, ValueError) as error:
            raise FailedStepError(
                "expect must return statistics that add, a dict of arrays of the same shapes for all "
                f"blocks of rows or a value with +, got {_described(self.value)} and "
                f"{_described(other.value)}"
            ) from error

    def scaled(self, factor: float) -> Self:
        """The statistics of weights that are multiplied by a number."""
        if isinstance(self.value, dict):
            return type(self)({name: factor * part for name, part in self.value.items()})
        try:
            return type(self)(self.value * factor)  # type: ignore[operator]
        except TypeError as error:
            raise FailedStepError(
                "partial_fit needs statistics with * by a number, a dict of arrays say, and expect "
                f"returned {_described(self.value)}"
            ) from error


@dataclass(frozen=True, eq=False)
class UserTotal:
    """What the E-step finds in blocks of rows: a value with ``+``."""

    statistics: UserStatistics
    log_likelihood: float
    weight: float

    def __add__(self, other: Self) -> Self:
        return type(self)(
            self.statistics + other.statistics,
            self.log_likelihood + other.log_likelihood,
            self.weight + other.weight,
        )


@dataclass(frozen=True, eq=False)
class UserEStep:
    """The E-step of a theta."""

    functions: Functions
    theta: Theta
    condition_number = 1.0

    def __call__(self, block: Block) -> UserTotal:
        rows, w = block
        statistics, log_evidence = self.measured(rows, w)
        if not np.isfinite(log_evidence).all():
            first = log_evidence[~np.isfinite(log_evidence)][0]
            raise FailedStepError(f"expect returned a log-evidence of {first}")
        return UserTotal(UserStatistics(statistics), float(w @ log_evidence), float(w.sum()))

    def measured(self, rows: Floats, w: Floats) -> tuple[object, Floats]:
        """Statistics and the log-evidence of each row, (n,)."""
        found = called("expect", self.functions.expect, self.theta, rows.T, w)
        if not (isinstance(found, tuple) and len(found) == 2):
            raise FailedStepError(
                f"expect must return (statistics, log_evidence), got {_described(found)}"
            )
        statistics, log_evidence = found
        log_evidence = np.asarray(log_evidence)
        if log_evidence.shape != w.shape or log_evidence.dtype.kind not in "fiu":
            raise FailedStepError(
                f"expect must return a log-evidence of shape ({len(w)},), one number for each row, "
                f"got {_described(log_evidence)}"
            )
        return statistics, log_evidence.astype(np.float64)

    def log_prob(self, rows: Floats) -> Floats:
        """The log-evidence of rows (d, n), which may be impossible, but not NaN."""
        _, log_evidence = self.measured(rows, np.ones(rows.shape[1]))
        if np.isnan(log_evidence).any():
            raise FailedStepError("expect returned a log-evidence of nan")
        return log_evidence

    def statistics(self, total: UserTotal) -> UserStatistics:
        return total.statistics


class Flat:
    """A theta as a vector: all entries of its arrays, one after another."""

    def vector(self, theta: Theta) -> Floats:
        return np.concatenate([part.ravel() for part in theta.values()])

    def model(self, vector: Floats, like: Theta) -> Theta:
        ends = np.cumsum([part.size for part in like.values()])[:-1]
        parts = np.split(vector, ends)
        return {
            name: part.reshape(known.shape)
            for (name, known), part in zip(like.items(), parts, strict=True)
        }


@dataclass(frozen=True, eq=False)
class UserSteps:
    """The steps of EM that three functions of a user are."""

    functions: Functions

    def start(self, X: Floats, w: Floats, rng: np.random.RandomState) -> Theta:
        """Where a run begins."""
        return checked("start", called("start", self.functions.start, X, w, rng))

    def e_step(self, theta: Theta) -> UserEStep:
        return UserEStep(self.functions, theta)

    def m_step(self, statistics: UserStatistics, theta: Theta) -> Theta:
        found = called("maximize", self.functions.maximize, statistics.value, theta)
        return checked("maximize", found, theta)

    def log_prior(self, theta: Theta) -> float:
        found = np.asarray(called("log_prior", self.functions.log_prior, theta))
        if found.shape != () or found.dtype.kind not in "fiu":
            raise FailedStepError(f"log_prior must return one number, got {_described(found)}")
        return float(found)

    def coordinates(self, theta: Theta) -> Flat:
        return Flat()

    def measure(self, theta: Theta, rows: RowSource) -> UserTotal:
        """The E-step of all rows."""
        with ThreadMap() as block_map:
            return block_map.sum(self.e_step(theta), rows.streamed)


@dataclass(frozen=True, eq=False)
class UserSearch:
    """Runs of EM from several starts, or from one that is known.

    Attributes
    ----------
    steps : UserSteps
    rows : RowSource
        Distinct rows.
    n_parameters : callable
        From a theta to the number of its free parameters.
    known : dict or None
        Where the one run starts, if that is known.
    rule : StoppingRule or None
        That of an earlier run which ended there.
    """

    steps: UserSteps
    rows: RowSource
    n_parameters: Callable[[Theta], int]
    max_iter: int
    tol: Tolerance
    acceleration: str | None
    n_jobs: int | None
    known: Theta | None = None
    rule: StoppingRule | None = None

    def runs(
        self,
        seeds: Sequence[int],
        make_callback: Callable[[int], RunCallback[Theta]],
        stopped: Callable[[], bool],
    ) -> list[Outcome[Theta]]:
        """For each seed the run, why it failed, or None if it was left out."""
        sample = self.rows.sample(START_ROWS)
        X = np.asarray(sample.X, dtype=np.float64)
        with ThreadMap() as block_map:
            problem = Problem(self.steps, self.rows.blocks, block_map)

            def run(rng: np.random.RandomState, callback: RunCallback[Theta]) -> EMRun[Theta]:
                theta = self.known or self.steps.start(X.copy(), sample.w.copy(), rng)
                return run_em(
                    problem,
                    theta,
                    max_iter=self.max_iter,
                    tol=self._tolerance(theta),
                    acceleration=CHOICES[self.acceleration](self.tol),
                    callback=callback,
                    rule=self.rule,
                )

            return runs_side_by_side(run, seeds, make_callback, stopped, self.n_jobs)

    def _tolerance(self, theta: Theta) -> float:
        if self.tol == "auto":
            return automatic_tolerance(self.n_parameters(theta), self.rows.n_observations)
        return self.tol


def called(name: str, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """What a function of the user returns; a failure in it names it."""
    try:
        return function(*args, **kwargs)
    except (ArithmeticError, ValueError, np.linalg.LinAlgError) as error:
        raise FailedStepError(f"{name} raised {type(error).__name__}: {error}") from error


def checked(name: str, theta: object, like: Theta | None = None) -> Theta:
    """A dict of arrays in double precision, with the names and shapes of another one.

    Raises
    ------
    FailedStepError
        If it is something else, or an entry is NaN.
    """
    if not isinstance(theta, dict) or not theta:
        raise FailedStepError(f"{name} must return a dict of arrays, got {_described(theta)}")
    try:
        found = {key: np.array(value, dtype=np.float64) for key, value in theta.items()}
    except (TypeError, ValueError) as error:
        raise FailedStepError(f"{name} must return a dict of arrays of numbers: {error}") from error
    shapes = {key: value.shape for key, value in found.items()}
    expected = shapes if like is None else {key: value.shape for key, value in like.items()}
    if shapes != expected:
        raise FailedStepError(f"{name} must return arrays of shapes {expected}, got {shapes}")
    for key, value in found.items():
        if np.isnan(value).any():
            raise FailedStepError(f"{name} returned nan in {key!r}")
    return {key: found[key] for key in expected}


def _added(a: object, b: object) -> object:
    if isinstance(a, dict) and isinstance(b, dict):
        if a.keys() != b.keys():
            raise KeyError
        return {name: np.add(part, b[name]) for name, part in a.items()}
    return a + b  # type: ignore[operator]


def _described(value: object) -> str:
    if isinstance(value, dict):
        return f"a dict of shapes { {name: np.shape(part) for name, part in value.items()} }"
    if isinstance(value, np.ndarray):
        return f"an array of shape {value.shape} and type {value.dtype}"
    return f"a value of type {type(value).__name__}"
