"""Priors of a Bernoulli mixture as users give them: checked, and chosen where they are left open."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..._typing import Floats
from ...core.bernoulli.beta import BetaPosterior
from ...core.rows import RowSource
from ...fitting.bernoulli_priors import BetaPriorChoice, Chosen
from ...fitting.prior_choice import ChosenPrior
from .bernoulli_inference import INFERENCES
from .binary import check_prior


class PriorParameters(Protocol):
    """The parameters of :class:`BernoulliMixture` that are about priors, as a user gives them."""

    n_components: int
    alpha: str | float | ArrayLike
    beta: str | float | ArrayLike
    weight_concentration_prior: float
    inference: str


def chosen_prior(given: PriorParameters, rows: RowSource, known: Chosen | None = None) -> Chosen:
    """The prior for some rows; one that was chosen before, for others, is kept.

    Raises
    ------
    ValueError
        If a parameter is out of its bounds.
    """
    d = rows.X.shape[1]
    fixed = _given_priors(given, d)
    if given.inference == "mle":
        return ChosenPrior(BetaPosterior(np.ones((1, d)), np.ones((1, d))))
    if len(fixed) == 2:
        prior = BetaPosterior(**fixed)
        strength = float((prior.alpha + prior.beta).mean() - 2.0)
        return ChosenPrior(prior, "given", strength / rows.unit)
    choice = BetaPriorChoice(given.n_components, given.weight_concentration_prior, fixed)
    if known is None or known.kind != choice.kind:
        return choice.of(rows)
    return replace(known, prior=replace(known.prior, **fixed))


def _given_priors(given: PriorParameters, d: int) -> dict[str, Floats]:
    """What is given of alpha and beta, (1, d) each; the prior of weights is checked beside them."""
    least = INFERENCES[given.inference].least_prior
    bound = f"at least {least:g} with inference={given.inference!r}, which estimates a mode,"
    bound = bound if least else "positive"
    concentration = given.weight_concentration_prior
    if concentration < least:
        raise ValueError(
            f"weight_concentration_prior must be {bound} got {concentration!r}. With "
            "inference='variational' it may be any positive number."
        )
    return {
        name: check_prior(name, value, d, bound=bound, least=least)
        for name, value in (("alpha", given.alpha), ("beta", given.beta))
        if not isinstance(value, str)
    }


def described(chosen: Chosen, dtype: DTypeLike) -> Mapping[str, object]:
    """Fitted attributes of a prior."""
    return {
        "alpha_": chosen.prior.alpha[0].astype(dtype),
        "beta_": chosen.prior.beta[0].astype(dtype),
        "prior_": chosen.described(),
    }
