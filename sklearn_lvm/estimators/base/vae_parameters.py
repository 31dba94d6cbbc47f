"""What parameters of VAEDensity mean for rows and for networks, and where they mean nothing."""

from dataclasses import fields
from math import prod
from numbers import Real
from typing import Any

import numpy as np

from ..._typing import Array
from ...core.bernoulli.threshold import DenseBinarization
from ...core.rows import Transformation
from ...core.standardization import CenteredStandardization
from .binary import not_binary

# likelihood -> whether each feature has a scale of its own, or None where there are no units.
SCALES: dict[str, bool | None] = {
    "gaussian": True,
    "gaussian_shared": True,
    "gaussian_isotropic": False,
    "bernoulli": None,
}
DYNAMIC = "dynamic"
FEWEST, MOST = 2, 50  # latent variables, where their number is left open


# -- rows ----------------------------------------------------------------------------------------------


def check_entries(X: Array, likelihood: str, binarize: Any) -> None:
    """Refuse entries that a likelihood does not know.

    Raises
    ------
    ValueError
        If there are some, or if ``binarize`` is given to a Gaussian.
    """
    if SCALES[likelihood] is not None:
        if binarize is not None:
            raise ValueError(
                f"binarize={binarize!r} is for likelihood='bernoulli', not {likelihood!r}."
            )
    elif binarize is None and (found := not_binary(X)) is not None:
        raise ValueError(
            f"likelihood='bernoulli' with binarize=None needs X to hold nothing but 0, 1 and NaN, "
            f"got {X[found]} in row {found[0]}, column {found[1]}. Set binarize to a threshold."
        )
    elif binarize == DYNAMIC and not (np.nanmin(X) >= 0 and np.nanmax(X) <= 1):
        raise ValueError(
            "binarize='dynamic' needs grey levels in [0, 1], got entries from "
            f"{np.nanmin(X)} to {np.nanmax(X)}: divide X by its highest level."
        )


def transformation(rows: Array, weight: Array, likelihood: str, binarize: Any) -> Transformation:
    """The units in which networks see distinct rows.

    Raises
    ------
    ValueError
        If a column, or the difference between rows, was never observed.
    """
    if len(rows) < 2:
        raise ValueError(
            "VAEDensity needs at least two distinct rows with positive weight, got "
            f"n_samples={len(rows)} after equal rows were merged."
        )
    if (unseen := np.flatnonzero(np.isnan(rows).all(axis=0))).size:
        raise ValueError(f"column {unseen[0]} of X has no observed entry: leave it out.")
    per_feature = SCALES[likelihood]
    if per_feature is not None:
        return CenteredStandardization.of(rows, weight, per_feature=per_feature)
    level = binarize if isinstance(binarize, Real) else 0.5
    return DenseBinarization(float(level), rows.shape[1])


# -- networks ------------------------------------------------------------------------------------------


def plan_networks(kind: type, params: dict[str, Any], d: int) -> Any:
    """The plan, of a given kind, of the networks for rows of d entries.

    Raises
    ------
    ValueError
        If parameters contradict each other, or the rows.
    """
    given = {f.name: params[f.name] for f in fields(kind) if f.name in params}
    for name in ("hidden_layer_sizes", "image_shape"):
        given[name] = _sizes(name, given[name])
    if given["n_components"] is None:
        given["n_components"] = min(max(d // 2, FEWEST), MOST)
    plan = kind(n_features=d, **given)
    if plan.network == "conv":
        _check_images(plan.image_shape, params["image_shape"], d)
        if not plan.hidden_layer_sizes:
            raise ValueError("network='conv' needs hidden_layer_sizes with at least one stage.")
    return plan


def _check_images(shape: tuple[int, ...] | None, given: Any, d: int) -> None:
    if shape is None or len(shape) not in (2, 3) or prod(shape) != d:
        raise ValueError(
            f"network='conv' needs image_shape, (height, width) or (channels, height, width) with "
            f"a product of {d}, the number of columns, got {given!r}."
        )


def _sizes(name: str, given: Any) -> tuple[int, ...] | None:
    if given is None:
        return None
    sizes = np.atleast_1d(np.asarray(given))
    if sizes.ndim != 1 or (sizes.size and (sizes.dtype.kind not in "iu" or sizes.min() < 1)):
        raise ValueError(f"{name} must be a sequence of integers of at least 1, got {given!r}.")
    return tuple(int(size) for size in sizes)


def check_same_networks(plan: Any, before: Any) -> None:
    """Refuse to go on with other networks than those that are there.

    Raises
    ------
    ValueError
        If the plans differ.
    """
    for name in (field.name for field in fields(plan)):
        if getattr(plan, name) != getattr(before, name):
            raise ValueError(
                f"{name}={getattr(plan, name)!r} differs from {getattr(before, name)!r}, with which "
                "the networks were built: they cannot go on. Set warm_start=False and call fit to "
                "start anew."
            )
