"""A contest of starts: several mixtures take a few steps of EM side by side, and the best goes on."""

import numpy as np

from ..core.family import C, S
from ..core.linalg import without_failures
from ..core.mixture import Mixture
from ..core.mixture_batch import MixtureBatch
from .sample import Sample

ROUNDS = ((2, 2), (3, 1))  # E-steps of each mixture, and how many of them go on


def winner(sample: Sample[C, S], batch: MixtureBatch[C]) -> Mixture[C]:
    """The mixture of the highest log-likelihood, by successive halving.

    After each round the best go on (em-EM: Biernacki, Celeux & Govaert, 2003).

    Raises
    ------
    SingularCovarianceError
        If in every mixture a covariance became singular.
    """
    for n_steps, n_kept in ROUNDS if len(batch) > 1 else ():
        for _ in range(n_steps):
            log_likelihood, batch = without_failures(sample.em_step, batch, MixtureBatch.without)
        batch = batch.subset(np.argsort(-log_likelihood, kind="stable")[:n_kept])
    return batch.mixture(0)
