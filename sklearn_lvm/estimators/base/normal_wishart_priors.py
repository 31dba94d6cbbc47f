"""Normal-Wishart priors as users give them: checked, and standardized; and as they are shown."""

from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, DTypeLike

from ..._typing import Floats, Ints
from ...core.gaussian.covariance import Structure
from ...core.gaussian.moments import Moments
from ...core.gaussian.normal_wishart import NormalWisharts
from ...core.standardization import Standardization
from .gaussian_parameters import check_covariances, check_shape
from .gaussian_priors import check_size


class PriorParameters(Protocol):
    """The parameters that are about means and covariances, as a user gives them."""

    mean_prior: ArrayLike | None
    mean_precision_prior: float | None
    degrees_of_freedom_prior: float | None
    covariance_prior: ArrayLike | None


def given_prior(
    given: PriorParameters, standardization: Standardization, moments: Moments
) -> NormalWisharts:
    """The prior for standardized rows; what a user left open is that of the moments of another.

    Raises
    ------
    ValueError
        If a parameter is out of its bounds, or not of the right shape.
    SingularCovarianceError
        If the covariance of the prior is singular to working precision.
    """
    structure = moments.structure
    if given.mean_prior is not None:
        row = check_shape("mean_prior", given.mean_prior, (structure.d,))[None]
        moments = replace(moments, mean=standardization.transform(row).T)
        check_size("mean_prior", moments.mean)
    if given.mean_precision_prior is not None:
        moments = replace(moments, weight=np.array([float(given.mean_precision_prior)]))
    if given.degrees_of_freedom_prior is not None:
        freedom = _check_freedom(float(given.degrees_of_freedom_prior), structure.d)
        moments = replace(moments, dof=np.array([freedom / structure.dof_per_row]))
    if given.covariance_prior is not None:
        scatter = _check_scatter(given.covariance_prior, structure, standardization)
        moments = replace(moments, scatter=scatter)
    return NormalWisharts.of(moments)


def _check_freedom(freedom: float, d: int) -> float:
    if not freedom > d - 1:
        raise ValueError(
            f"degrees_of_freedom_prior={freedom:g} must be greater than n_features - 1 = {d - 1}: "
            "with less, the prior of a covariance is no distribution."
        )
    return freedom


def _check_scatter(
    value: ArrayLike, structure: Structure, standardization: Standardization
) -> Floats:
    """Psi0 in stored form, for standardized rows."""
    one = replace(structure, tied=True)
    stored = check_covariances("covariance_prior", value, 1, one).scatter
    with np.errstate(all="ignore"):
        scatter = stored * structure.growth(1.0 / standardization.scale) / structure.dof_per_row
    check_size("covariance_prior", scatter)
    return np.asarray(scatter)


@np.errstate(all="ignore")
def described_prior(
    prior: NormalWisharts, standardization: Standardization, dtype: DTypeLike
) -> dict[str, object]:
    """Fitted attributes of a prior, in the units of the data."""
    known = prior.rescale(standardization.center, standardization.scale)
    one = replace(known.structure, tied=True)
    scatter = known.moments.scatter * known.structure.dof_per_row
    return {
        "mean_prior_": known.moments.mean[0].astype(dtype),
        "mean_precision_prior_": float(known.mean_precision[0]),
        "degrees_of_freedom_prior_": float(known.degrees_of_freedom[0]),
        "covariance_prior_": one.to_public(scatter).astype(dtype),
    }


def marginal_freedom(given: PriorParameters, structure: Structure, kept: Ints) -> dict[str, object]:
    """nu0 of the prior of some features; None stays None.

    A block of p of the d features of a Wishart prior has d - p degrees of freedom less, where they
    share a matrix.
    """
    freedom = given.degrees_of_freedom_prior
    if freedom is None:
        return {}
    lost = structure.wishart_size - replace(structure, d=len(kept)).wishart_size
    return {"degrees_of_freedom_prior": freedom - lost}
