"""The search for a mixture: runs of EM from several starts, side by side."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import isfinite
from typing import Generic

import numpy as np

from .._typing import BlockMap
from ..core.family import BlockSums, C, S
from ..core.mixture import Mixture
from ..core.mixture_em import MixtureSteps
from ..core.rows import RowSource
from ..inference.block_map import ThreadMap
from ..inference.em import EMRun, run_em
from ..inference.problem import Problem
from ..inference.stopping import StoppingRule, automatic_tolerance
from ..inference.two_precisions import SinglePrecision, run_em_in_two_precisions
from .restarts import CHOICES, Outcome, RunCallback, Tolerance, runs_side_by_side
from .sample import Sample
from .starts import Start

FLOAT32_WEIGHTS = 1e-25, 1e25  # largest weights whose products and sums float32 holds


@dataclass(frozen=True, eq=False)
class MixtureSearch(Generic[C, S]):
    """How runs of EM for one mixture are made.

    Attributes
    ----------
    steps : MixtureSteps
    rows : RowSource
    max_iter : int
    tol : float or 'auto'
    acceleration : str or None
        A key of ``CHOICES``.
    n_jobs : int or None
        Runs side by side, in threads.
    rule : StoppingRule or None
        That of a run whose last model is the start.
    automatic : callable
        From the numbers of parameters and of observations to the tolerance that 'auto' stands for.
    """

    steps: MixtureSteps[C, S]
    rows: RowSource
    max_iter: int
    tol: Tolerance
    acceleration: str | None
    n_jobs: int | None
    rule: StoppingRule | None = None
    automatic: Callable[[int, float], float] = automatic_tolerance

    def runs(
        self,
        start: Start[C, S],
        seeds: Sequence[int],
        make_callback: Callable[[int], RunCallback[Mixture[C]]],
        stopped: Callable[[], bool],
    ) -> list[Outcome[Mixture[C]]]:
        """Run EM once for each seed.

        Parameters
        ----------
        start : Start
        seeds : sequence of int
        make_callback : callable
            Makes the callback of the i-th run.
        stopped : callable
            Whether runs that have not begun are left out.

        Returns
        -------
        outcomes : list
            For each seed the run, why it failed, or None if it was left out.
        """
        acceleration = CHOICES[self.acceleration](self.tol)
        rows = self.rows.merged()
        with ThreadMap() as block_map:
            data = self._sample(rows, block_map)
            draw = start.prepared(data)
            problem = Problem(self.steps, rows.blocks, block_map)

            def run(
                rng: np.random.RandomState, callback: RunCallback[Mixture[C]]
            ) -> EMRun[Mixture[C]]:
                model = draw(rng)
                tol = self._tolerance(model, rows)
                return self._run(problem, data.kind, model, tol, acceleration, callback)

            return runs_side_by_side(run, seeds, make_callback, stopped, self.n_jobs)

    def sample(self, block_map: BlockMap) -> Sample[C, S]:
        """All rows, as starts are searched for on them."""
        return self._sample(self.rows.merged(), block_map)

    def _sample(self, rows: RowSource, block_map: BlockMap) -> Sample[C, S]:
        return Sample(self.steps, rows, block_map, self._kind(rows), rows.n_observations)

    def _run(
        self,
        problem: Problem[Mixture[C], BlockSums, S],
        kind: type[Problem[Mixture[C], BlockSums, S]],
        model: Mixture[C],
        tol: float,
        acceleration: str | None,
        callback: RunCallback[Mixture[C]],
    ) -> EMRun[Mixture[C]]:
        rounded = kind is SinglePrecision and isfinite(self.steps.e_step(model).condition_number)
        run = run_em_in_two_precisions if rounded and acceleration else run_em
        return run(
            problem,
            model,
            max_iter=self.max_iter,
            tol=tol,
            acceleration=acceleration,
            callback=callback,
            rule=self.rule,
        )

    def _kind(self, rows: RowSource) -> type[Problem[Mixture[C], BlockSums, S]]:
        """Float32 first, unless it saves little, since there is one block, or would lose weights."""
        low, high = FLOAT32_WEIGHTS
        many = len(rows.blocks) > 1 and low < rows.w.max() < high
        return SinglePrecision if many and self.tol != 0 else Problem

    def _tolerance(self, model: Mixture[C], rows: RowSource) -> float:
        if self.tol == "auto":
            return self.automatic(model.n_parameters(), rows.n_observations)
        return self.tol
