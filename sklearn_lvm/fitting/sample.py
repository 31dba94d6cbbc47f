"""A sample of rows, and what a search for a start does on it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic

import numpy as np

from .._typing import Block, BlockMap, Floats
from ..core.family import BlockSums, C, Kernel, S
from ..core.mixture import Mixture
from ..core.mixture_batch import BatchEStep, MixtureBatch, SharedSums, batch_m_step
from ..core.mixture_em import MixtureSteps
from ..core.rows import RowSource
from ..inference.em import run_em
from ..inference.problem import Problem


@dataclass(frozen=True, eq=False)
class Sample(Generic[C, S]):
    """Weighted rows on which mixtures are estimated.

    Attributes
    ----------
    steps : MixtureSteps
    rows : RowSource
    block_map : BlockMap
    kind : type
        ``Problem`` or a subclass, which decides on the precision of rows.
    n_observations : float
        How many observations the rows are worth.
    """

    steps: MixtureSteps[C, S]
    rows: RowSource
    block_map: BlockMap
    kind: type[Problem[Mixture[C], BlockSums, S]]
    n_observations: float

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def problem(self) -> Problem[Mixture[C], BlockSums, S]:
        """The rows as a mixture is fitted to them."""
        return self.kind(self.steps, self.rows.blocks, self.block_map)

    def run(
        self, model: Mixture[C], max_iter: int, tol: float = 0.0, acceleration: str | None = None
    ) -> tuple[Mixture[C], float]:
        """The end of a run of EM, and its objective."""
        end = run_em(self.problem, model, max_iter=max_iter, tol=tol, acceleration=acceleration)
        return end.model, end.objective

    def em_step(
        self, batch: MixtureBatch[C], shares: Floats | None = None
    ) -> tuple[Floats, MixtureBatch[C]]:
        """Log-likelihoods of several mixtures, (G,), and the mixtures after an EM step.

        Parameters
        ----------
        batch : MixtureBatch
        shares : ndarray of shape (G, n), optional
            Weights of the rows that differ among the mixtures.

        Raises
        ------
        SingularCovarianceError
            If a covariance of any mixture becomes singular.
        """
        log_weights = batch.log_weights.ravel()
        step = BatchEStep(self.steps.family.kernel(batch.components, log_weights), len(batch))
        with np.errstate(all="ignore"):
            total = self.block_map.sum(step, self.kind.blocks_for(step, self._shared(shares)))
        statistics = step.kernel.statistics(total.arrays)
        following = batch_m_step(self.steps, statistics, len(batch), batch.components)
        return total.log_likelihood, following

    def statistics(self, kernel: Kernel[S], shares: Floats) -> S:
        """The statistics of the rows under given shares, (K, n), weights included."""
        total = self.block_map.sum(SharedSums(kernel), self._shared(shares))
        return kernel.statistics(total.arrays)

    def joint(self, model: Mixture[C] | MixtureBatch[C]) -> Floats:
        """log p(k, z) of all rows, (K, n), or (G, K, n) of several mixtures."""
        kernel = self.steps.family.kernel(model.components, model.log_weights.ravel())

        def joint(block: Block) -> Floats:
            return kernel.log_prob(kernel.features(block[0]))

        with np.errstate(all="ignore"):
            parts = self.block_map.map(joint, self.kind.blocks_for(kernel, self.rows.blocks))
        joined = np.concatenate(parts, axis=1, dtype=np.float64)
        return np.ascontiguousarray(joined).reshape(*model.log_weights.shape, -1)

    def _shared(self, shares: Floats | None) -> Sequence[Block]:
        """The blocks, with shares of their rows in place of weights."""
        blocks = self.rows.blocks
        if shares is None:
            return blocks
        return [(blocks[i][0], shares[:, part]) for i, part in enumerate(blocks.slices)]
