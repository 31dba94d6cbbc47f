"""Validation that estimators share: weights, precision of results, numbers of rows, and messages."""

from collections.abc import Sequence

import numpy as np
from sklearn.utils.validation import check_array

from ..._compat import check_sample_weight
from ..._typing import Floats, Table, Weights

FLOATS = [np.float64, np.float32]
N_NAMED = 5  # features that a message names


class CovarianceWarning(UserWarning):
    """A covariance was singular, and was regularized to have an inverse."""


def check_weights(sample_weight: Weights, X: Table) -> Floats:
    """Non-negative weights in float64, not all of them zero.

    Raises
    ------
    ValueError
        If a weight is negative, no number, all are zero, or their sum is no finite number.
    """
    w = check_sample_weight(sample_weight, X)
    with np.errstate(over="ignore"):
        total = w.sum()
    if not np.isfinite(total):
        raise ValueError(
            f"the sum of sample_weight overflows, its largest is {w.max():g}: divide all weights by "
            "one number."
        )
    if not w.any():
        raise ValueError("sample_weight is zero for every row: give at least one row some weight.")
    return w


def check_columns(Z: object, name: str, n_columns: int) -> Floats:
    """Rows of floating point numbers with so many columns, such as latent variables.

    Raises
    ------
    ValueError
        If they are no such rows; ``name`` is that of the argument.
    """
    rows: Floats = check_array(Z, dtype=FLOATS, input_name=name)
    if rows.shape[1] != n_columns:
        raise ValueError(f"{name} has {rows.shape[1]} columns, expected {n_columns}.")
    return rows


def result_dtype(X: Table) -> type[np.float32 | np.float64]:
    """The type in which results about rows are given: float32 for float32 rows, else float64."""
    return np.float32 if X.dtype == np.float32 else np.float64


def as_count(weight: float) -> int | float:
    """The summed weight of rows as their number, an integer where it is whole."""
    return int(weight) if float(weight).is_integer() else weight


def weighted_total(w: Floats, log_prob: Floats) -> float:
    """The weighted sum of log-densities; rows of zero weight are left out, even those of -inf."""
    held = w > 0
    return float(w[held] @ log_prob[held])


def too_few_rows(model: str, n_rows: int) -> str:
    """The message about fewer than two distinct rows."""
    return (
        f"{model} needs at least two distinct rows with positive weight, got n_samples={n_rows} "
        "after equal rows were merged."
    )


def listed(names: Sequence[object]) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(str(name) for name in names[:N_NAMED])
    more = len(names) - N_NAMED
    return f"{shown} and {more} more" if more > 0 else shown
