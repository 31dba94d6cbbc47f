"""Priors of a Bernoulli mixture as users give them: checked, and chosen where they are left open."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

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
    _prefers_weak_prior: bool


def chosen_prior(given: PriorParameters, rows: RowSource, known: Chosen | None = None) -> Chosen:
    """The prior for some rows; one that was chosen before, for others, is kept.

    Raises
    ------
    ValueError
        If a parameter is out of its bounds.
    """
    d, flat = rows.X.shape[1], INFERENCES[given.inference].flat
    _check_concentration(given, flat)
    fixed = {
        name: check_prior(name, value, d, least=flat, bound=_bound(given, flat))
        for name, value in (("alpha", given.alpha), ("beta", given.beta))
        if not isinstance(value, str)
    }
    if given.inference == "mle":
        return ChosenPrior(BetaPosterior(np.ones((1, d)), np.ones((1, d))))
    if len(fixed) == 2:
        prior = BetaPosterior(**fixed)
        strength = float((prior.alpha + prior.beta).mean() - 2.0 * flat)
        return ChosenPrior(prior, "given", strength / rows.unit)
    choice = BetaPriorChoice(given.n_components, given.weight_concentration_prior, fixed, flat)
    if known is None or known.kind != choice.kind:
        return choice.weak(rows) if given._prefers_weak_prior else choice.of(rows)
    return replace(known, prior=replace(known.prior, **fixed))


def _check_concentration(given: PriorParameters, least: float) -> None:
    value = given.weight_concentration_prior
    if value < least:
        raise ValueError(
            f"weight_concentration_prior must be {_bound(given, least)}, got {value!r}."
        )


def _bound(given: PriorParameters, least: float) -> str:
    """The bound of a prior, in words."""
    if not least:
        return "positive"
    return (
        f"at least {least:g} with inference={given.inference!r} (with 'variational' it may be any "
        "positive number)"
    )


def described(chosen: Chosen, dtype: DTypeLike) -> Mapping[str, object]:
    """Fitted attributes of a prior."""
    return {
        "alpha_": chosen.prior.alpha[0].astype(dtype),
        "beta_": chosen.prior.beta[0].astype(dtype),
        "prior_": chosen.described(),
    }
