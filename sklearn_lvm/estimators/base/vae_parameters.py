"""Validation of VAEDensity's parameters, and the architecture, rows and files that they describe."""

from collections.abc import Callable, Mapping
from inspect import signature
from math import prod
from numbers import Integral, Real
from os import PathLike
from typing import Any, Literal, TypeVar

import numpy as np
from numpy.typing import ArrayLike

from ..._compat import Interval, StrOptions
from ..._typing import Floats
from ...core.bernoulli.binarization import DenseBinarization
from ...core.rows import canonical_with_missing
from ...core.standardization import CenteredStandardization
from .binary import not_binary
from .validation import standardization_of, too_few_rows

# likelihood -> whether each feature has a scale of its own, or None where there are no units.
SCALES: dict[str, bool | None] = {
    "gaussian": True,
    "gaussian_shared": True,
    "gaussian_isotropic": False,
    "bernoulli": None,
}
DYNAMIC = "dynamic"
RowTransformation = CenteredStandardization | DenseBinarization
Likelihood = Literal["gaussian", "gaussian_shared", "gaussian_isotropic", "bernoulli"]
Binarize = float | Literal["dynamic"] | None
MIN_COMPONENTS, MAX_COMPONENTS = 2, 50  # latent variables, if their number is not given
MAX_DEVIATIONS = 1e15  # in training
ROUND_TO = 4096.0  # parts of a standard deviation: the least noise is about 40 of them


SIZE = Interval(Integral, 1, None, closed="left")
CONSTRAINTS: dict[str, list[object]] = {
    "n_components": [Interval(Integral, 1, 2**31 - 1, closed="both"), None],
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

A = TypeVar("A")


# -- rows ----------------------------------------------------------------------------------------------


def check_entries(X: Floats, likelihood: str, binarize: Binarize) -> None:
    """Refuse entries that do not suit the likelihood.

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
            "binarize='dynamic' needs gray levels in [0, 1], got entries from "
            f"{np.nanmin(X)} to {np.nanmax(X)}: divide X by its highest level."
        )


def distinct_rows(
    X: Floats, w: Floats, likelihood: str, binarize: Binarize
) -> tuple[Floats, Floats]:
    """Distinct rows and their weights, in an order that depends on nothing else."""
    check_entries(X, likelihood, binarize)
    distinct = canonical_with_missing(X, w)
    return X[distinct.index], distinct.weight


def transformation_of(
    rows: Floats, weight: Floats, likelihood: str, binarize: Binarize
) -> RowTransformation:
    """The standardization of distinct rows, or their binarization.

    Raises
    ------
    ValueError
        If there are fewer than two rows, or these spread over more than numbers can hold.
    """
    if len(rows) < 2:
        raise ValueError(too_few_rows("VAEDensity", len(rows)))
    per_feature = SCALES[likelihood]
    if per_feature is not None:
        return standardization_of(rows, weight, CenteredStandardization.of, per_feature=per_feature)
    level = binarize if isinstance(binarize, Real) else 0.5
    return DenseBinarization(float(level), rows.shape[1])


def training_rows(
    rows: Floats,
    transformation: RowTransformation,
    likelihood: str,
    binarize: Binarize,
) -> Floats:
    """Standardized rows (n, d), rounded so far that the units of the data change no bit of them.

    Rows so far out that single precision would not hold their squares are trained on as if they were
    nearer. Probabilities stay as they are: training draws binary rows from them.
    """
    if binarize == DYNAMIC:
        return rows
    Z = transformation.transform(rows).T
    if SCALES[likelihood] is None:
        return Z
    return np.rint(np.clip(Z, -MAX_DEVIATIONS, MAX_DEVIATIONS) * ROUND_TO) / ROUND_TO


def scale_attributes(
    transformation: RowTransformation,
    noise_variance: Floats | None,
    dtype: type[np.float32 | np.float64],
) -> dict[str, Floats]:
    """The fitted attributes in units of the data, by name."""
    attributes: dict[str, Floats] = {}
    if isinstance(transformation, CenteredStandardization):
        attributes["mean_"] = transformation.center.astype(dtype)
        attributes["scale_"] = transformation.scale.astype(dtype)
    if noise_variance is not None:
        with np.errstate(all="ignore"):  # squares of extreme scales overflow
            variance = noise_variance * np.square(transformation.scale[: len(noise_variance)])
            attributes["noise_variance_"] = variance.astype(dtype)
    return attributes


# -- networks ------------------------------------------------------------------------------------------


def options_of(kind: Callable[..., A], params: Mapping[str, object]) -> A:
    """The options of training, made by ``kind`` from those parameters that it names."""
    return kind(**{name: params[name] for name in signature(kind).parameters})


def architecture_of(kind: Callable[..., A], params: Mapping[str, Any], d: int) -> A:
    """The architecture, made by ``kind``, of the networks for rows of d entries.

    Raises
    ------
    ValueError
        If parameters contradict each other, or the rows.
    """
    sizes = _sizes("hidden_layer_sizes", params["hidden_layer_sizes"])
    image_shape = _sizes("image_shape", params["image_shape"])
    if params["network"] == "conv":
        _check_images(image_shape, params["image_shape"], d)
        if not sizes:
            raise ValueError("network='conv' needs hidden_layer_sizes with at least one stage.")
    q = params["n_components"]
    same = ("likelihood", "activation", "network", "encoder", "decoder")
    return kind(
        n_features=d,
        n_components=min(max(d // 2, MIN_COMPONENTS), MAX_COMPONENTS) if q is None else q,
        hidden_layer_sizes=sizes,
        image_shape=image_shape,
        **{name: params[name] for name in same},
    )


def _check_images(shape: tuple[int, ...] | None, given: object, d: int) -> None:
    if shape is None or len(shape) not in (2, 3) or prod(shape) != d:
        raise ValueError(
            f"network='conv' needs image_shape, (height, width) or (channels, height, width) with "
            f"a product of {d}, the number of columns, got {given!r}."
        )


def _sizes(name: str, given: ArrayLike | None) -> tuple[int, ...] | None:
    if given is None:
        return None
    sizes = np.atleast_1d(np.asarray(given, dtype=object))  # which keeps what integers were not
    if sizes.ndim != 1 or not all(SIZE.is_satisfied_by(size) for size in sizes):
        raise ValueError(f"{name} must be a sequence of integers of at least 1, got {given!r}.")
    return tuple(int(size) for size in sizes)


def check_same_architecture(architecture: object, previous: object) -> None:
    """Refuse to continue with networks of another architecture.

    Raises
    ------
    ValueError
        If the architectures differ.
    """
    for name, value in vars(architecture).items():
        before = getattr(previous, name)
        if value != before:
            raise ValueError(
                f"{name}={value!r} differs from {before!r}, with which the networks were built: "
                "they cannot go on. Set warm_start=False and call fit to start anew."
            )
