"""A contest of starts: several mixtures take a few steps of EM side by side, and the best goes on."""

import numpy as np

from .._typing import Floats
from ..core.family import C, S
from ..core.linalg import without_failures
from ..core.mixture import Mixture
from ..core.mixture_batch import MixtureBatch
from ..inference.stopping import EQUAL
from .sample import Sample

ROUNDS = ((2, 2), (3, 1))  # E-steps of each mixture, and how many of them go on


def winner(sample: Sample[C, S], batch: MixtureBatch[C]) -> Mixture[C]:
    """The mixture of the highest objective, by successive halving.

    After each round the best go on (em-EM: Biernacki, Celeux & Govaert, 2003).

    Raises
    ------
    SingularCovarianceError
        If in every mixture a covariance became singular.
    """

    def step(batch: MixtureBatch[C]) -> tuple[tuple[MixtureBatch[C], Floats], MixtureBatch[C]]:
        log_likelihood, following = sample.em_step(batch)
        return (batch, log_likelihood), following

    for n_steps, n_kept in ROUNDS if len(batch) > 1 else ():
        for _ in range(n_steps):
            known, batch = without_failures(step, batch, MixtureBatch.without)
        before, log_likelihood = known
        log_prior = [sample.steps.log_prior(before.mixture(i)) for i in range(len(before))]
        # Draws may lead to one mixture in different orders of components: rounding must not choose.
        with np.errstate(over="ignore"):  # a prior beside weights of next to nothing
            level = np.rint((log_likelihood + log_prior) / sample.rows.w.sum() / EQUAL)
        order = np.argsort(-level, kind="stable")
        batch = batch.subset(order[:n_kept])
    return batch.mixture(0)
