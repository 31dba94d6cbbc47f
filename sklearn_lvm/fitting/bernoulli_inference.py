"""How the parameters of a Bernoulli mixture are inferred: their modes, their likelihood, posteriors."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np

from ..core.bernoulli.beta import BetaPosterior
from ..core.bernoulli.counts import Counts
from ..core.bernoulli.density import BernoulliFamily, Bernoullis
from ..core.bernoulli.posterior import BernoulliPosteriorFamily, BernoulliPosteriors
from ..core.mixing import DirichletPosterior
from ..core.mixture import Mixture
from ..core.mixture_em import MixtureSteps
from ..core.mixture_variational import VariationalSteps
from ..inference.stopping import automatic_tolerance, evidence_tolerance
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

    def bound_unit(self, weight: float) -> float:
        """By what the objective is multiplied, given the weight of all rows: it is one of estimates."""
        return 1.0

    @property
    def automatic_tolerance(self) -> Callable[[int, float], float]:
        """From the numbers of parameters and of observations to when a fit ends by default."""
        return automatic_tolerance


class Likelihood(Modes):
    """The maximum of the likelihood."""

    @property
    def modes(self) -> BernoulliSteps:
        """EM without priors."""
        return cast(BernoulliSteps, MixtureSteps(BernoulliFamily()))


class Posteriors(Modes):
    """Posteriors, by variational EM."""

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

    def bound_unit(self, weight: float) -> float:
        """The weight of all rows: their log-evidence is what the objective bounds."""
        return weight

    @property
    def automatic_tolerance(self) -> Callable[[int, float], float]:
        """When less than a nat of the evidence remains."""
        return evidence_tolerance
