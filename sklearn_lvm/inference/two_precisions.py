"""EM in two precisions: two runs joined, one on float32 blocks and one on float64 blocks after it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import overload

import numpy as np

from .._typing import AnySlice, Block
from .em import Callback, EMRun, em_states, run_to_end
from .problem import Conditioned, Iterate, M, Problem, S, V
from .stopping import N_CONFIRMATIONS, StoppingRule

EPS = float(np.finfo(np.float32).eps)
MAX_ERROR = 1e-3  # nats by which rounding its entries may move the log-density of a row
MIN_TOL = 1e-6  # nats per unit of weight that float32 blocks can still tell apart
LAST_STEPS = 2  # E-steps that are left for float64
MIN_ITER = 10  # runs of fewer E-steps are not worth two precisions


@dataclass(frozen=True, eq=False)
class Float32Blocks(Sequence[Block]):
    """Blocks of rows in single precision, each rounded when it is used; weights keep theirs."""

    blocks: Sequence[Block]

    def __len__(self) -> int:
        return len(self.blocks)

    @overload
    def __getitem__(self, i: int) -> Block: ...
    @overload
    def __getitem__(self, i: AnySlice) -> Sequence[Block]: ...
    def __getitem__(self, i: int | AnySlice) -> Block | Sequence[Block]:
        if isinstance(i, slice):
            return Float32Blocks(self.blocks[i])
        rows, w = self.blocks[i]
        return rows.astype(np.float32), w


class SinglePrecision(Problem[M, V, S]):
    """A problem whose rows are rounded to float32, except for models that would lose digits by it."""

    def evaluate(self, model: M) -> Iterate[M, S]:
        with np.errstate(all="ignore"):  # what overflows here need not in float64
            return super().evaluate(model)

    @staticmethod
    def blocks_for(step: Conditioned, blocks: Sequence[Block]) -> Sequence[Block]:
        """Blocks in single precision, unless an E-step would lose digits by it."""
        return Float32Blocks(blocks) if step.condition_number * EPS <= MAX_ERROR else blocks


def run_em_in_two_precisions(
    problem: Problem[M, V, S],
    model: M,
    *,
    max_iter: int,
    tol: float,
    acceleration: str | None = None,
    callback: Callback[M] | None = None,
    rule: StoppingRule | None = None,
) -> EMRun[M]:
    """``run_em`` on float32 blocks as far as their digits lead, then on float64 blocks.

    The second run begins with one more E-step of the last model, and alone decides about the end.
    Of an earlier run only the rule of one in float64 goes on.
    """
    if max_iter < MIN_ITER:
        states = em_states(problem, model, tol=tol, acceleration=acceleration, rule=rule)
    else:
        states = _states(problem, model, tol, acceleration, max_iter - LAST_STEPS)
    return run_to_end(states, max_iter, callback)


def _states(
    problem: Problem[M, V, S], model: M, tol: float, acceleration: str | None, max_iter: int
) -> Iterator[EMRun[M]]:
    rounded = SinglePrecision(problem.steps, problem.blocks, problem.block_map)
    rounded_tol = max(tol, MIN_TOL)
    # A start that is good enough by a first estimate needs no second one: float64 confirms it.
    rule = StoppingRule(rounded_tol, confirmations=N_CONFIRMATIONS - 1)
    states = em_states(rounded, model, tol=rounded_tol, acceleration=acceleration, rule=rule)
    run = None
    try:
        for run in islice(states, max_iter + 1):  # the first state is that of the start
            yield replace(run, converged=False)
            if run.converged:
                break
    except (np.linalg.LinAlgError, FloatingPointError):
        pass  # float64 decides whether the fit fails
    last = model if run is None else run.model
    yield from em_states(problem, last, tol=tol, acceleration=acceleration, earlier=run)
