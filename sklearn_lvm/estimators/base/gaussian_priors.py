"""Priors of a Gaussian mixture as users give them: checked, and standardized; and as they are shown."""

from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..._typing import Floats
from ...core.gaussian.covariance import Structure
from ...core.gaussian.density import GaussianFamily
from ...core.gaussian.diagonal import Diagonal
from ...core.gaussian.low_rank import LowRank
from ...core.gaussian.prior import GaussianPrior
from ...core.rows import RowSource
from ...core.standardization import MAX_DEVIATIONS, Standardization
from ...fitting.gaussian_priors import Chosen, GaussianPriorChoice, center_of
from ...fitting.prior_choice import ChosenPrior
from .gaussian_parameters import check_covariances, check_distribution, check_shape


class PriorParameters(Protocol):
    """The parameters of :class:`EMGaussianMixture` that are about priors, as a user gives them."""

    n_components: int
    covariance_prior: str | ArrayLike | None
    degrees_of_freedom_prior: float | None
    mean_prior: ArrayLike | None
    mean_precision_prior: float
    weight_concentration_prior: float
    weights_init: ArrayLike | None
    _prefers_weak_prior: bool
    _fitted_log_jacobian: float


def chosen_prior(
    given: PriorParameters,
    rows: RowSource,
    standardization: Standardization,
    family: GaussianFamily,
    known: Chosen | None = None,
) -> Chosen:
    """The prior for the standardized rows; one that was chosen before, for other rows, is kept.

    Raises
    ------
    ValueError
        If a parameter does not fit the others, or is out of its bounds.
    """
    structure = family.structure
    if given.covariance_prior is None:
        _check_without_prior(given)
        return ChosenPrior(None)
    _check_weights(given)
    means = _prior_of_means(given, rows, standardization, structure.of_priors)
    if not isinstance(given.covariance_prior, str):
        return _given_prior(given, rows.unit, standardization, means)
    if given.degrees_of_freedom_prior is not None:
        raise ValueError(
            f"degrees_of_freedom_prior={given.degrees_of_freedom_prior:g} needs a covariance_prior "
            "that is a matrix: 'auto' chooses both. Give both, or leave both out."
        )
    if known is not None and known.prior is not None and known.was_chosen:
        return replace(known, prior=known.prior.with_mean_of(means))
    choice = _choice(given, standardization, family, means)
    chosen = choice.weak(rows) if given._prefers_weak_prior else choice.of(rows)
    return chosen.in_units(given._fitted_log_jacobian)


def _choice(
    given: PriorParameters,
    standardization: Standardization,
    family: GaussianFamily,
    means: GaussianPrior,
) -> GaussianPriorChoice:
    variance, concentration = standardization.feature_variance, given.weight_concentration_prior
    return GaussianPriorChoice(family, means, concentration, given.n_components, variance)


def refined_prior(
    given: PriorParameters,
    rows: RowSource,
    standardization: Standardization,
    family: GaussianFamily,
    chosen: Chosen,
) -> Chosen:
    """A prior that was chosen for full covariances, chosen anew for those of low rank."""
    if chosen.prior is None or not chosen.was_chosen:
        return chosen
    means = _prior_of_means(given, rows, standardization, family.structure.of_priors)
    found = _choice(given, standardization, family, means).refined(rows, chosen)
    return chosen if found is chosen else found.in_units(given._fitted_log_jacobian)


def _check_without_prior(given: PriorParameters) -> None:
    others = {
        "degrees_of_freedom_prior": None,
        "mean_prior": None,
        "mean_precision_prior": 0.0,
        "weight_concentration_prior": 1.0,
    }
    for name, default in others.items():
        value = getattr(given, name)
        if value is not default and (default is None or value != default):
            raise ValueError(
                f"covariance_prior=None asks for maximum likelihood without any prior, but {name} "
                f"is {value!r}: leave it at {default!r}, or set covariance_prior='auto'."
            )


def _check_weights(given: PriorParameters) -> None:
    if given.weights_init is None or given.weight_concentration_prior == 1.0:
        return
    if not check_distribution("weights_init", given.weights_init, given.n_components).all():
        raise ValueError(
            f"weights_init holds a 0, which weight_concentration_prior="
            f"{given.weight_concentration_prior:g} makes impossible: give positive weights, or set "
            "weight_concentration_prior=1."
        )


def check_size(name: str, value: Floats) -> None:
    if not (np.abs(value) < MAX_DEVIATIONS).all():
        raise ValueError(
            f"{name} is out of all proportion to X, up to {np.abs(value).max():g} in its standard "
            "units: give it in the units of X."
        )


def _prior_of_means(
    given: PriorParameters,
    rows: RowSource,
    standardization: Standardization,
    structure: Structure,
) -> GaussianPrior:
    """The prior of means alone, standardized."""
    mean: Floats = np.zeros(structure.d)
    if given.mean_prior is None and given.mean_precision_prior:
        mean = center_of(rows)
    elif given.mean_prior is not None:
        row = check_shape("mean_prior", given.mean_prior, (structure.d,))[None]
        mean = standardization.transform(row)[:, 0]
        check_size("mean_prior", mean)
    return GaussianPrior(
        structure,
        scatter=structure.outer(np.zeros((1, structure.d))),
        strength=np.zeros(1),
        mean=mean,
        mean_precision=float(given.mean_precision_prior),
        n_means=given.n_components if structure.tied else 1,
    )


def _given_prior(
    given: PriorParameters,
    unit: float,
    standardization: Standardization,
    means: GaussianPrior,
) -> Chosen:
    covariance, freedom = given.covariance_prior, given.degrees_of_freedom_prior
    prior = prior_of_covariances(covariance, freedom, standardization, means)
    return ChosenPrior(prior, "given", float(prior.strength[0]) / unit)


def prior_of_covariances(
    covariance_prior: ArrayLike | None,
    degrees_of_freedom_prior: float | None,
    standardization: Standardization,
    means: GaussianPrior,
) -> GaussianPrior:
    """A prior of covariances as a user gives it, standardized, with a prior of means.

    Raises
    ------
    ValueError
        If one of the two is not given, or they are no prior.
    """
    structure, least = means.structure, -means.structure.d - 2
    if degrees_of_freedom_prior is None:
        raise ValueError(
            "degrees_of_freedom_prior is None, but covariance_prior is a matrix: give both."
        )
    if not degrees_of_freedom_prior > least:
        raise ValueError(
            f"degrees_of_freedom_prior={degrees_of_freedom_prior:g} must be greater than "
            f"-n_features - 2 = {least}."
        )
    assert covariance_prior is not None
    scatter = _checked_scatter(covariance_prior, structure)
    strength = np.array([degrees_of_freedom_prior - least])
    prior = replace(means, scatter=scatter, strength=strength)
    with np.errstate(all="ignore"):
        prior = standardized(prior, standardization).with_mean_of(means)
    check_size("covariance_prior", prior.scatter)
    return prior


def is_matrix(covariance_prior: object) -> bool:
    """Whether a prior of covariances is given as a matrix, and not as a diagonal or a name."""
    if covariance_prior is None or isinstance(covariance_prior, str):
        return False
    try:
        return np.ndim(covariance_prior) != 1  # type: ignore[arg-type]
    except ValueError:  # rows of several lengths, which are refused elsewhere
        return True


def _checked_scatter(covariance_prior: ArrayLike, structure: Structure) -> Floats:
    """The scatter of a prior in stored form, (1, *S); of low rank it may be given as its diagonal."""
    diagonal = isinstance(structure, LowRank) and not is_matrix(covariance_prior)
    stored = Diagonal(structure.d) if diagonal else structure.unconstrained
    one = replace(stored, tied=True)
    scatter = check_covariances("covariance_prior", covariance_prior, 1, one).scatter
    return structure.of_variances(scatter[0]) if diagonal else scatter


def standardized(prior: GaussianPrior, standardization: Standardization) -> GaussianPrior:
    """The prior for standardized rows."""
    scale = standardization.scale
    return prior.rescale(-standardization.center / scale, 1.0 / scale)


@np.errstate(all="ignore")
def described(
    chosen: Chosen, standardization: Standardization, dtype: DTypeLike
) -> dict[str, object]:
    """Fitted attributes of a prior, in the units of the data; None where there is no prior."""
    about: dict[str, object] = {"prior_": chosen.described()}
    if chosen.prior is None:
        names = ("covariance", "degrees_of_freedom", "mean", "mean_precision")
        return about | {f"{name}_prior_": None for name in names}
    prior = chosen.prior.rescale(standardization.center, standardization.scale)
    one = replace(prior.structure.unconstrained, tied=True)
    return about | {
        "covariance_prior_": one.to_public(prior.scatter).astype(dtype),
        "degrees_of_freedom_prior_": float(prior.strength[0]) - prior.structure.d - 2.0,
        "mean_prior_": prior.mean.astype(dtype),
        "mean_precision_prior_": prior.mean_precision,
    }
