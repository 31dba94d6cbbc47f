"""What ``inference`` may be in a Bernoulli mixture, and what a user is told of posteriors."""

from collections.abc import Callable, Mapping
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import DTypeLike

from ...core.bernoulli.posterior import BernoulliPosteriors
from ...core.mixture import Mixture
from ...core.mixture_variational import weights_of
from ...fitting.bernoulli_inference import Coins, Likelihood, Modes, Posteriors

OF_POSTERIORS = (
    "n_components_",
    "weight_concentration_",
    "probability_alpha_",
    "probability_beta_",
)


def _nothing(model: Mixture[Coins], unit: float, dtype: DTypeLike) -> Mapping[str, object]:
    return {}


def _posteriors(model: Mixture[Coins], unit: float, dtype: DTypeLike) -> Mapping[str, object]:
    """Fitted attributes of posteriors; a component that holds more than a row counts."""
    known = cast(Mixture[BernoulliPosteriors], model)
    weights, posterior = weights_of(known), known.components.posterior
    found = (
        int(np.count_nonzero(weights.counts > unit)),
        *(
            np.asarray(part).astype(dtype)
            for part in (weights.parameters, posterior.alpha, posterior.beta)
        ),
    )
    return dict(zip(OF_POSTERIORS, found, strict=True))


class Inference(NamedTuple):
    """How priors become the steps of a fit, whether they must have a mode, and what is said of it."""

    of: type[Modes]
    least_prior: float
    described: Callable[[Mixture[Coins], float, DTypeLike], Mapping[str, object]]


INFERENCES = {
    "map": Inference(Modes, 1.0, _nothing),
    "mle": Inference(Likelihood, 0.0, _nothing),
    "variational": Inference(Posteriors, 0.0, _posteriors),
}
