"""What ``inference`` may be in a Bernoulli mixture, and what a user is told of posteriors."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import DTypeLike

from ...core.bernoulli.posterior import BernoulliPosteriors
from ...core.mixture import Mixture
from ...core.mixture_variational import posteriors_of, weights_of
from ...core.rows import RowSource
from ...fitting.bernoulli_inference import (
    BernoulliModel,
    Likelihood,
    Modes,
    Posteriors,
)

OF_POSTERIORS = (
    "n_components_",
    "weight_concentration_",
    "probability_alpha_",
    "probability_beta_",
)


def _one(rows: RowSource) -> float:
    return 1.0


def _row(rows: RowSource) -> float:
    return min(rows.unit, 1.0)


def _nothing(model: BernoulliModel, unit: float, dtype: DTypeLike) -> Mapping[str, object]:
    return {}


def _posteriors(model: BernoulliModel, unit: float, dtype: DTypeLike) -> Mapping[str, object]:
    """Fitted attributes of posteriors; a component counts that holds more than a row of unit weight."""
    known = cast(Mixture[BernoulliPosteriors], model)
    weights, posterior = weights_of(known), known.components.posterior
    found = (
        posteriors_of(known).n_occupied(unit),
        *(
            np.asarray(part).astype(dtype)
            for part in (weights.parameters, posterior.alpha, posterior.beta)
        ),
    )
    return dict(zip(OF_POSTERIORS, found, strict=True))


class Inference(NamedTuple):
    """How priors become the steps of a fit, and what is told of the outcome.

    Attributes
    ----------
    of : type
        Makes the steps.
    flat : float
        What alpha, beta and concentrations are where they add no observations; they may not be less.
    least_weight : callable
        From the rows to what a component holds at least to count.
    described : callable
        From a model and that weight to the fitted attributes of posteriors.
    """

    of: type[Modes]
    flat: float
    least_weight: Callable[[RowSource], float]
    described: Callable[[BernoulliModel, float, DTypeLike], Mapping[str, object]]


INFERENCES = {
    "map": Inference(Modes, 1.0, _one, _nothing),
    "mle": Inference(Likelihood, 0.0, _one, _nothing),
    "variational": Inference(Posteriors, 0.0, _row, _posteriors),
}
