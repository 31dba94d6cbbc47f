"""The start of variational EM: what is believed after the E-step of a mixture that was estimated."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, cast

from ..core.family import BlockSums, C, S
from ..core.mixture import Mixture
from ..core.mixture_em import MixtureSteps
from ..core.mixture_variational import Q, VariationalSteps
from ..inference.problem import Problem
from .clusters import Rng
from .sample import Sample
from .starts import Start


@dataclass(frozen=True, eq=False)
class PosteriorStart(Generic[C, Q, S]):
    """Every run begins with the posteriors under the responsibilities of a start of EM.

    Attributes
    ----------
    start : Start
    modes : MixtureSteps
        Of EM for the modes, which ``start`` is a start of.
    steps : VariationalSteps
    """

    start: Start[C, S]
    modes: MixtureSteps[C, S]
    steps: VariationalSteps[Q, S]

    def prepared(self, data: Sample[Q, S]) -> Callable[[Rng], Mixture[Q]]:
        """A function that makes the first posteriors of a run."""
        # The class of the problem is the same for whatever model.
        kind = cast(type[Problem[Mixture[C], BlockSums, S]], data.kind)
        sample = Sample(self.modes, data.rows, data.block_map, kind, data.n_observations)
        draw = self.start.prepared(sample)

        def drawn(rng: Rng) -> Mixture[Q]:
            found = sample.problem.evaluate(draw(rng))
            return self.steps.m_step(found.statistics).in_order()

        return drawn
