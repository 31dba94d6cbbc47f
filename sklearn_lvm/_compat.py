"""Every private or experimental scikit-learn import of the package, in one place.

Callbacks came with scikit-learn 1.9; below that version fits run without them.
"""

from collections.abc import Callable
from inspect import signature
from typing import Any, Self, TypeVar

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, RealNotInt, StrOptions
from sklearn.utils.validation import _check_sample_weight

from ._typing import Array

__all__ = [
    "CallbackSupportMixin",
    "Interval",
    "RealNotInt",
    "StrOptions",
    "_fit_context",
    "check_sample_weight",
    "with_callbacks",
]

Method = TypeVar("Method", bound=Callable[..., Any])

# From 1.9 on, weights that are all zero end in a message that does not name the argument.
_ZEROS = {"allow_all_zero_weights": True}
_WEIGHTS = {k: v for k, v in _ZEROS.items() if k in signature(_check_sample_weight).parameters}


def check_sample_weight(sample_weight: Any, X: Array) -> Array:
    """Non-negative weights in float64, ones by default; all of them may be zero."""
    w: Array = _check_sample_weight(
        sample_weight, X, dtype=np.float64, ensure_non_negative=True, **_WEIGHTS
    )
    return w


try:
    from sklearn.callback import CallbackSupportMixin, with_callbacks
except ImportError:

    class _Unwatched:
        """A task that nobody watches."""

        def subcontext(self, **task: Any) -> Self:
            return self

        def call_on_fit_task_begin(self, **state: Any) -> Self:
            return self

        def call_on_fit_task_end(self, **state: Any) -> bool:
            return False

    class CallbackSupportMixin:  # type: ignore[no-redef]
        """Stands in for scikit-learn's mixin where callbacks do not exist."""

        def _init_callback_context(self, **task: Any) -> _Unwatched:
            return _Unwatched()

    def with_callbacks(method: Method) -> Method:
        """Return the method as it is."""
        return method
