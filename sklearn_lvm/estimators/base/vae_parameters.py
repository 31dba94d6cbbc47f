"""Validation of VAEDensity's parameters, and the network architecture they describe."""

from collections.abc import Mapping
from math import prod
from numbers import Integral, Real
from os import PathLike

import numpy as np

from ..._compat import Interval, StrOptions
from ..._typing import Floats
from ...core.bernoulli.threshold import DenseBinarization
from ...core.standardization import CenteredStandardization
from .binary import not_binary
from .importance_sampled import ScaledTransformation
from .validation import too_few_rows

# likelihood -> whether each feature has a scale of its own, or None where there are no units.
SCALES: dict[str, bool | None] = {
    "gaussian": True,
    "gaussian_shared": True,
    "gaussian_isotropic": False,
    "bernoulli": None,
}
DYNAMIC = "dynamic"
MIN_LATENT, MAX_LATENT = 2, 50  # latent variables, where their number is left open

CONSTRAINTS: dict[str, list[object]] = {
    "n_components": [Interval(Integral, 1, None, closed="left"), None],
    "likelihood": [StrOptions(set(SCALES))],
    "hidden_layer_sizes": ["array-like"],
    "activation": [StrOptions({"identity", "logistic", "tanh", "relu"})],
    "network": [StrOptions({"mlp", "conv"})],
    "image_shape": ["array-like", None],
    "encoder": [callable, None],
    "decoder": [callable, None],
    "n_importance_samples": [Interval(Integral, 1, None, closed="left")],
    "beta": [Interval(Real, 0, None, closed="left")],
    "learning_rate": [Interval(Real, 0, None, closed="neither")],
    "batch_size": [Interval(Integral, 1, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "early_stopping": ["boolean"],
    "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
    "n_iter_no_change": [Interval(Integral, 1, None, closed="left")],
    "tol": [Interval(Real, 0, None, closed="left")],
    "n_score_samples": [Interval(Integral, 1, None, closed="left")],
    "binarize": [Interval(Real, None, None, closed="neither"), StrOptions({DYNAMIC}), None],
    "device": [str],
    "precision": [StrOptions({"float32", "bf16"})],
    "compile": ["boolean"],
    "checkpoint": [str, PathLike, None],
    "warm_start": ["boolean"],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
}


# -- rows ----------------------------------------------------------------------------------------------


def check_entries(X: Floats, likelihood: str, binarize: object) -> None:
    """Refuse entries that a likelihood does not take.

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


def transformation_of(
    rows: Floats, weight: Floats, likelihood: str, binarize: object
) -> ScaledTransformation:
    """The units in which networks take distinct rows.

    Raises
    ------
    ValueError
        If there are fewer than two rows, or a column has no observed entry.
    """
    if len(rows) < 2:
        raise ValueError(too_few_rows("VAEDensity", len(rows)))
    if (empty := np.flatnonzero(np.isnan(rows).all(axis=0))).size:
        raise ValueError(f"column {empty[0]} of X has no observed entry: leave it out.")
    per_feature = SCALES[likelihood]
    if per_feature is not None:
        return CenteredStandardization.of(rows, weight, per_feature=per_feature)
    threshold = float(binarize) if isinstance(binarize, Real) else 0.5
    return DenseBinarization(threshold, rows.shape[1])


# -- networks ------------------------------------------------------------------------------------------


def architecture_of(params: Mapping[str, object], d: int) -> dict[str, object]:
    """The architecture of the networks for rows of d entries.

    Raises
    ------
    ValueError
        If parameters contradict each other, or the rows.
    """
    kept = ("likelihood", "activation", "network", "encoder", "decoder")
    sizes, shape = (_sizes(name, params[name]) for name in ("hidden_layer_sizes", "image_shape"))
    if params["network"] == "conv":
        _check_images(shape, params["image_shape"], d)
        if not sizes:
            raise ValueError("network='conv' needs hidden_layer_sizes with at least one stage.")
    n_components = params["n_components"]
    return {name: params[name] for name in kept} | {
        "n_features": d,
        "n_components": min(max(d // 2, MIN_LATENT), MAX_LATENT)
        if n_components is None
        else n_components,
        "hidden_layer_sizes": sizes,
        "image_shape": shape,
    }


def _check_images(shape: tuple[int, ...] | None, given: object, d: int) -> None:
    if shape is None or len(shape) not in (2, 3) or prod(shape) != d:
        raise ValueError(
            f"network='conv' needs image_shape, (height, width) or (channels, height, width) with "
            f"a product of {d}, the number of columns, got {given!r}."
        )


def _sizes(name: str, given: object) -> tuple[int, ...] | None:
    if given is None:
        return None
    sizes = np.atleast_1d(np.asarray(given))
    if sizes.ndim != 1 or (sizes.size and (sizes.dtype.kind not in "iu" or sizes.min() < 1)):
        raise ValueError(f"{name} must be a sequence of integers of at least 1, got {given!r}.")
    return tuple(int(size) for size in sizes)


def check_same_architecture(architecture: Mapping[str, object], before: object) -> None:
    """Refuse to continue with networks of another architecture than those there are.

    Raises
    ------
    ValueError
        If the architectures differ.
    """
    for name, value in architecture.items():
        if value != getattr(before, name):
            raise ValueError(
                f"{name}={value!r} differs from {getattr(before, name)!r}, with which "
                "the networks were built: they cannot go on. Set warm_start=False and call fit to "
                "start anew."
            )
