"""A fit succeeds whole or leaves no trace; warnings are shown at the user's line."""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from sklearn.base import BaseEstimator

from ..._compat import _fit_context, with_callbacks
from ...inference.block_map import single_threaded_blas

PACKAGES = {"sklearn", "sklearn_lvm"}  # whose frames are not the user's
P = ParamSpec("P")
R = TypeVar("R")
E = TypeVar("E", bound=BaseEstimator)


@contextmanager
def unchanged_on_failure(estimator: BaseEstimator) -> Iterator[None]:
    """On any exception, an interrupt included, the attributes are what they were before."""
    before = dict(vars(estimator))
    try:
        yield
    except BaseException:
        vars(estimator).clear()
        vars(estimator).update(before)
        raise


def transactional(method: Callable[Concatenate[E, P], R]) -> Callable[Concatenate[E, P], R]:
    """Make a method that fits a transaction; parameters are checked, and callbacks torn down.

    BLAS is held to one thread, so that no bit of a fit depends on how many there are; blocks of rows
    are mapped in threads instead.
    """
    managed = with_callbacks(_fit_context(prefer_skip_nested_validation=True)(method))

    @wraps(method)
    def transaction(self: E, /, *args: P.args, **kwargs: P.kwargs) -> R:
        with unchanged_on_failure(self), single_threaded_blas():
            fitted: R = managed(self, *args, **kwargs)
            return fitted

    return transaction


def warn(message: str, category: type[Warning]) -> None:
    """Warn at the line of the user's code, however many layers of scikit-learn lie between."""
    level, frame = 1, sys._getframe()
    while frame.f_back and frame.f_globals["__name__"].partition(".")[0] in PACKAGES:
        level, frame = level + 1, frame.f_back
    warnings.warn(message, category, stacklevel=level)
