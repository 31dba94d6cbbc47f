"""Every private or experimental scikit-learn import of the package, in one place.

Callbacks came with scikit-learn 1.9; below that version fits run without them.
"""

from collections.abc import Callable
from inspect import signature
from numbers import Integral
from typing import Any, Protocol, Self, TypeVar

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils._indexing import _get_column_indices as column_indices
from sklearn.utils._indexing import _safe_indexing as safe_indexing
from sklearn.utils._param_validation import (
    HasMethods,
    RealNotInt,
    StrOptions,
    validate_parameter_constraints,
)
from sklearn.utils._param_validation import Interval as _Interval
from sklearn.utils.metaestimators import _BaseComposition as BaseComposition
from sklearn.utils.validation import _check_feature_names_in as check_feature_names_in
from sklearn.utils.validation import _check_sample_weight

from ._typing import Floats, Table, Weights

__all__ = [
    "RANDOM_STATE",
    "BaseComposition",
    "CallbackContext",
    "CallbackSupportMixin",
    "HasMethods",
    "Interval",
    "RealNotInt",
    "StrOptions",
    "_fit_context",
    "check_feature_names_in",
    "check_random_state_of",
    "check_sample_weight",
    "column_indices",
    "has_callbacks",
    "safe_indexing",
    "with_callbacks",
    "without_callbacks",
]

Method = TypeVar("Method", bound=Callable[..., Any])
E = TypeVar("E")


class Interval(_Interval):  # type: ignore[misc]
    """Numbers of an interval; True and False are none, though Python has them for integers."""

    def is_satisfied_by(self, val: object) -> bool:
        """Whether a value is a number of the interval."""
        return not isinstance(val, bool) and bool(super().is_satisfied_by(val))


RANDOM_STATE: list[object] = [
    Interval(Integral, 0, 2**32 - 1, closed="both"),
    np.random.RandomState,
    None,
]
"""What a random state may be."""


def check_random_state_of(function: str, random_state: object) -> None:
    """Raise a ValueError that names the function if a random state is none."""
    given = {"random_state": random_state}
    validate_parameter_constraints({"random_state": RANDOM_STATE}, given, caller_name=function)


# From 1.9 on, weights that are all zero end in a message that does not name the argument.
_ZEROS = {"allow_all_zero_weights": True}
_WEIGHTS = {k: v for k, v in _ZEROS.items() if k in signature(_check_sample_weight).parameters}


def check_sample_weight(sample_weight: Weights, X: Table) -> Floats:
    """Non-negative weights in float64, ones by default; all of them may be zero."""
    w: Floats = _check_sample_weight(
        sample_weight, X, dtype=np.float64, ensure_non_negative=True, **_WEIGHTS
    )
    return w


def has_callbacks(estimator: object) -> bool:
    """Whether an estimator has callbacks, its own or those of a search that it is part of."""
    return bool(getattr(estimator, "_skl_callbacks", ()))


def without_callbacks(estimator: E) -> E:
    """Take its callbacks from an estimator, which is a copy of another."""
    vars(estimator).pop("_skl_callbacks", None)
    return estimator


class CallbackContext(Protocol):
    """What scikit-learn's callbacks are told of a task: that it begins, and that it ends."""

    def subcontext(self, **task: object) -> Self: ...
    def call_on_fit_task_begin(self, **state: object) -> object: ...
    def call_on_fit_task_end(self, **state: object) -> bool: ...


try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class _NoContext:
        """A task without callbacks."""

        def subcontext(self, **task: object) -> Self:
            return self

        def call_on_fit_task_begin(self, **state: object) -> Self:
            return self

        def call_on_fit_task_end(self, **state: object) -> bool:
            return False

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in for scikit-learn's mixin where callbacks do not exist."""

        def _init_callback_context(self, **task: object) -> _NoContext:
            return _NoContext()

    def with_callbacks(method: Method) -> Method:
        """Return the method as it is."""
        return method
