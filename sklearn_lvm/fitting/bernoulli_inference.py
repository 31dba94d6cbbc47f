"""How the parameters of a Bernoulli mixture are inferred: their modes, their likelihood, posteriors."""

from dataclasses import dataclass
from typing import ClassVar, cast

import numpy as np

from ..core.bernoulli.beta import BetaPosterior
from ..core.bernoulli.counts import Counts
from ..core.bernoulli.density import BernoulliFamily, Bernoullis
from ..core.bernoulli.posterior import BernoulliPosteriorFamily, BernoulliPosteriors
from ..core.mixing import DirichletPosterior
from ..core.mixture import Mixture
from ..core.mixture_em import MixtureSteps
from ..core.mixture_variational import VariationalSteps
from .posterior_start import PosteriorStart
from .starts import Start

BernoulliComponents = Bernoullis | BernoulliPosteriors
BernoulliModel = Mixture[BernoulliComponents]
BernoulliSteps = MixtureSteps[BernoulliComponents, Counts]


@dataclass(frozen=True, eq=False)
class Modes:
    """The mode of the posterior.

    Attributes
    ----------
    prior : BetaPosterior
        Of the probabilities, (1, d).
    concentration : float
        Of the prior of the weights.
    n_components : int
    """

    bounds_evidence: ClassVar[bool] = False  # whether the objective bounds the log-evidence of rows
    prior: BetaPosterior
    concentration: float
    n_components: int

    @property
    def pseudo_counts(self) -> Counts:
        """What a mode is estimated with; where it would be at infinity, nothing."""
        return self.prior.with_a_mode().pseudo_counts()

    @property
    def modes(self) -> BernoulliSteps:
        """EM for the mode."""
        family = BernoulliFamily(self.pseudo_counts)
        return cast(BernoulliSteps, MixtureSteps(family, max(self.concentration, 1.0)))

    @property
    def steps(self) -> BernoulliSteps:
        """The steps of the fit."""
        return self.modes

    def start(
        self, start: Start[BernoulliComponents, Counts]
    ) -> Start[BernoulliComponents, Counts]:
        """Where runs begin, given a start of EM for the mode."""
        return start

    def continued(self, density: BernoulliModel, counts: Counts) -> BernoulliModel:
        """Where a fit goes on, given the density that scores rows and what it follows from."""
        return density


class Likelihood(Modes):
    """The maximum of the likelihood."""

    @property
    def modes(self) -> BernoulliSteps:
        """EM without priors."""
        return cast(BernoulliSteps, MixtureSteps(BernoulliFamily()))


class Posteriors(Modes):
    """Posteriors, by variational EM."""

    bounds_evidence = True

    @property
    def steps(self) -> BernoulliSteps:
        """The steps of variational EM."""
        return cast(BernoulliSteps, self._variational)

    @property
    def _variational(self) -> VariationalSteps[BernoulliPosteriors, Counts]:
        weights = DirichletPosterior.of(np.zeros(self.n_components), self.concentration)
        return VariationalSteps(BernoulliPosteriorFamily(self.prior), weights=weights)

    def start(
        self, start: Start[BernoulliComponents, Counts]
    ) -> Start[BernoulliComponents, Counts]:
        """The posteriors after an E-step of the start."""
        posteriors = PosteriorStart(start, self.modes, self._variational)
        return cast(Start[BernoulliComponents, Counts], posteriors)

    def continued(self, density: BernoulliModel, counts: Counts) -> BernoulliModel:
        """What counts say under these priors."""
        return self.steps.m_step(counts)
