"""Every private or experimental scikit-learn import of the package, in one place.

Callbacks came with scikit-learn 1.9; below that version fits run without them.
"""

from collections.abc import Callable
from typing import Any, Self, TypeVar

from sklearn.base import _fit_context
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import _check_sample_weight

__all__ = [
    "CallbackSupportMixin",
    "Interval",
    "StrOptions",
    "_check_sample_weight",
    "_fit_context",
    "with_callbacks",
]

Method = TypeVar("Method", bound=Callable[..., Any])

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
