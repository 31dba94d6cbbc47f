"""Validation that estimators share: weights, precision of results, numbers of rows, and messages."""

from collections.abc import Callable, Sequence
from numbers import Real
from reprlib import repr
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, issparse
from sklearn.utils.validation import check_array, has_fit_parameter

from ..._compat import check_sample_weight
from ..._typing import Bools, Floats, Ints, Table, Weights
from ...core.blocks import row_slices
from ...core.standardization import CenteredStandardization, Standardization

Z = TypeVar("Z", Standardization, CenteredStandardization)
FLOAT64 = np.finfo(np.float64)
MAX_TOTAL_WEIGHT = 1e303  # sums of rows under more weight might overflow
FLOATS = [np.float64, np.float32]
N_NAMED = 5  # features that a message names


class CovarianceWarning(UserWarning):
    """A covariance was singular, and was regularized to have an inverse."""


def check_weights(sample_weight: Weights, X: Table) -> Floats:
    """Non-negative weights in float64, not all of them zero, whose sum is a number.

    Raises
    ------
    ValueError
        If a weight is negative or no number, or if all of them or their sum are out of range.
    """
    try:
        with np.errstate(all="ignore"):  # the sum of finite weights may overflow
            # Of X the number of rows counts alone, whatever holds them.
            w = check_sample_weight(sample_weight, np.broadcast_to(0.0, (X.shape[0], 1)))
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"sample_weight must hold a finite, non-negative number for each row: {error}"
        ) from error
    _check_sum(w)
    return w


def fit_weights(name: str, estimator: object, given: Weights, w: Floats) -> dict[str, Floats]:
    """The weights as an argument of ``fit`` of an inner estimator, if any were given.

    Raises
    ------
    ValueError
        If it takes none; ``name`` is that of the parameter.
    """
    if given is None:
        return {}
    if not has_fit_parameter(estimator, "sample_weight"):
        raise ValueError(
            f"{name}={estimator!r} takes no sample_weight: leave it out, or repeat rows."
        )
    return {"sample_weight": w}


def check_two_rows(w: Floats, purpose: str) -> None:
    """Raise a ValueError if weights, which count rows, add up to less than two of them."""
    if w.sum() < 2.0:
        raise ValueError(
            f"sample_weight adds up to {w.sum():g} rows, since a weight of two is a row given twice, "
            f"and {purpose} needs at least two: multiply the weights by a constant, so that one row "
            "weighs 1."
        )


def _check_sum(w: Floats) -> None:
    largest = float(w.max())
    if largest == 0.0:
        raise ValueError("sample_weight is zero for every row: give at least one row some weight.")
    if largest < FLOAT64.smallest_normal:
        raise ValueError(
            f"sample_weight is too small for full precision, its largest weight being {largest:g}: "
            "multiply all weights by a constant."
        )
    with np.errstate(over="ignore"):
        total = w.sum()
    if total > MAX_TOTAL_WEIGHT:
        raise ValueError(
            f"sample_weight has a sum above {MAX_TOTAL_WEIGHT:g}, its largest weight being "
            f"{largest:g}: divide all weights by a constant."
        )


def standardization_of(X: Floats, w: Floats, measure: Callable[..., Z], *, per_feature: bool) -> Z:
    """The standardization of weighted rows that a function makes.

    Raises
    ------
    ValueError
        If a feature is spread over more, or less, than a floating point number can hold.
    """
    with np.errstate(all="ignore"):
        found = measure(X, w, per_feature=per_feature)
    check_range(found.center, found.scale)
    return found


def missing_entries(X: Table) -> Table | None:
    """Where a table, dense or CSR, holds NaN; None if it is complete."""
    if X.dtype.kind != "f":
        return None
    if issparse(X):
        absent = np.isnan(X.data)
        return csr_array((absent, X.indices, X.indptr), shape=X.shape) if absent.any() else None
    if not any(np.isnan(X[rows]).any() for rows in row_slices(*X.shape)):
        return None
    return np.isnan(X)


def empty_rows(missing: Table) -> Bools:
    """The rows of which nothing was observed, given where entries are missing, (n,)."""
    return np.asarray(np.asarray(missing.sum(axis=1)).ravel() == missing.shape[1])


def observed_part(
    X: Table, w: Floats, names: Sequence[object] | None, *, every_column: bool
) -> tuple[Table, Floats]:
    """The rows of which something was observed, and their weights.

    Raises
    ------
    ValueError
        If nothing was observed of any row, or, with ``every_column``, of a column in rows that have
        weight; the message names it.
    """
    missing = missing_entries(X)
    if missing is None:
        return X, w
    empty = _unobserved(missing, w)
    if every_column or len(empty) == X.shape[1]:
        _refuse_columns(empty, names)
    some = ~empty_rows(missing)
    return (X, w) if some.all() else (X[some], w[some])


def check_observed(X: Table, w: Floats, names: Sequence[object] | None) -> None:
    """Raise a ValueError if nothing was observed of a column in rows that have weight."""
    missing = missing_entries(X)
    if missing is not None:
        _refuse_columns(_unobserved(missing, w), names)


def _unobserved(missing: Table, w: Floats) -> Ints:
    """The columns of which nothing was observed in rows that have weight."""
    n_missing = np.asarray(missing[w > 0].sum(axis=0)).ravel()
    return np.flatnonzero(n_missing == np.count_nonzero(w))


def _refuse_columns(empty: Ints, names: Sequence[object] | None) -> None:
    if len(empty):
        named = listed([j if names is None else repr(names[j]) for j in empty.tolist()])
        raise ValueError(
            f"X has no observed entry in column {named}, NaN in every row that has weight: leave the "
            "column out, or add rows in which it was observed."
        )


def check_range(center: Floats, scale: Floats) -> None:
    """Raise a ValueError if a mean or a standard deviation is out of the range of numbers."""
    lost = ~(np.isfinite(center) & np.isfinite(scale))
    for columns, much, remedy in ((lost, "more", "divide"), (scale == 0, "less", "multiply")):
        if columns.any():
            named = listed(np.flatnonzero(columns).tolist())
            raise ValueError(
                f"X spreads over {much} than a floating point number can hold, in column {named}: "
                f"{remedy} X by a constant."
            )


def check_level(level: float) -> float:
    """A probability inside (0, 1); the ValueError says what was given."""
    if not (isinstance(level, Real) and 0 < level < 1):
        raise ValueError(f"level must be a number in (0, 1), got {level!r}.")
    return float(level)


def explained(error: Exception, X: object) -> TypeError | ValueError:
    """What validation of X has raised, with cause and remedy."""
    kind = TypeError if isinstance(error, TypeError) else ValueError
    return kind(f"{error}{_first_that_is_no_number(X)}")


def _objects(X: object) -> NDArray[np.object_]:
    """A table of what it holds; of no dimension if that is no table."""
    try:
        return np.array(X, dtype=object)
    except ValueError:  # rows of unequal shape
        return np.array(None, dtype=object)


def _first_that_is_no_number(X: object) -> str:
    """Where a table of objects or strings holds what is no number; nothing of other tables."""
    if issparse(X) or (table := _objects(X)).ndim != 2:
        return ""
    for (i, j), entry in np.ndenumerate(table):
        try:
            float(entry)
        except (TypeError, ValueError, OverflowError):
            return (
                f". X holds {repr(entry)} in row {i}, column {j}: encode it as a number, or as NaN if "
                "it was not observed, or drop it."
            )
    return ""


def check_columns(Z: object, name: str, n_columns: int) -> Floats:
    """Rows of floating point numbers with so many columns, such as latent variables.

    Raises
    ------
    ValueError
        If they are no such rows; ``name`` is that of the argument.
    """
    try:
        with np.errstate(all="ignore"):  # the sum of finite entries may overflow
            rows: Floats = check_array(
                Z, dtype=FLOATS, input_name=name, ensure_min_features=min(n_columns, 1)
            )
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"inverse_transform needs {name} to be rows of finite numbers, as transform returns "
            f"them: {error}"
        ) from error
    if rows.shape[1] != n_columns:
        raise ValueError(
            f"{name} has {rows.shape[1]} columns, expected {n_columns}: inverse_transform needs rows "
            "as transform returns them."
        )
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
    with np.errstate(over="ignore"):
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
