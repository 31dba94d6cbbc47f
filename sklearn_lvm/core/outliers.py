"""How far out a value may be before it counts as an outlier; quantiles of weighted columns."""

from math import ceil, floor

import numpy as np

from .._typing import Floats
from .blocks import row_slices

TAIL_PERCENT = 1.0  # of the weight
REACH = 10.0  # in distances between the quantiles: 46 standard deviations of normal values
TIE_TOLERANCE = 1e-9  # sums of weights that are relatively closer differ by rounding alone
COPIED_ENTRIES = 1 << 20  # numbers in a copy of some columns
MIN_PROBED_ROWS = 4096  # columns that are shorter are sorted whole
PROBE_ROWS = 1024  # rows that tell about where a tail begins
PROBE_PERCENT = 3.0  # of these, taken for a tail: more than it holds, but for rare bad luck


def outlier_limits(X: Floats, w: Floats) -> tuple[Floats, Floats]:
    """The limits of each feature beyond which values are outliers, (d,) and (d,).

    They lie ten times the distance between the 1 % and the 99 % quantile below and above these, and
    nowhere if these are one value.
    """
    low, high = tail_quantiles(X, w)
    reach = np.where(low < high, REACH * (high - low), np.inf)
    return low - reach, high + reach


def quantile(values: Floats, w: Floats, percent: float) -> float:
    """The inverse of the weighted distribution function of values (n,), averaged at its steps.

    Weights are repetitions, and a reflection of the values reflects it: the method
    'averaged_inverted_cdf' of :func:`numpy.quantile`.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lvm.core.outliers import quantile
    >>> quantile(np.array([3.0, 1.0, 2.0]), np.array([2.0, 1.0, 1.0]), 50)
    2.5
    """
    held = w > 0
    return float(_at_step(values[held], w[held], percent / 100 * float(w.sum())))


def tail_quantiles(X: Floats, w: Floats) -> tuple[Floats, Floats]:
    """The 1 % and 99 % quantiles of each feature of weighted rows, (d,) and (d,)."""
    held = w > 0
    if not held.all():
        X, w = X[held], w[held]
    n, d = X.shape
    low, high = np.empty((2, d))
    for features in row_slices(d, n, COPIED_ENTRIES, at_least=1):
        columns = np.ascontiguousarray(X[:, features].T, dtype=np.float64)
        low[features] = _lower_quantiles(columns, w)
        high[features] = -_lower_quantiles(-columns, w)
    return low, high


def _lower_quantiles(columns: Floats, w: Floats) -> Floats:
    """The 1 % quantiles of columns (d, n), (d,); of long ones, found below those of a few rows."""
    target, n = TAIL_PERCENT / 100 * float(w.sum()), len(w)
    if n <= MIN_PROBED_ROWS:
        return _at_step(columns, w, target)
    probe = columns[:, :: n // PROBE_ROWS]
    rank = int(PROBE_PERCENT / 100 * probe.shape[1])
    limits = np.partition(probe, rank)[:, rank]
    pairs = zip(columns, limits, strict=True)
    return np.array([_lower_quantile(x, w, target, limit) for x, limit in pairs])


def _lower_quantile(x: Floats, w: Floats, target: float, limit: float) -> Floats:
    """The value at which the weight of the values up to it is ``target``; near ``limit``, by guess."""
    below = np.flatnonzero(x < limit)
    if w[below].sum() <= target * (1 + TIE_TOLERANCE):  # many equal values, or a bad guess
        below = np.flatnonzero(x <= limit)
    if w[below].sum() <= target * (1 + TIE_TOLERANCE):
        below = np.arange(len(x))
    return _at_step(x[below], w[below], target)


def _at_step(values: Floats, w: Floats, target: float) -> Floats:
    """Where the cumulated weight of the sorted values (..., n) reaches a target, (...).

    Between two values, where it stays at the target from one to the next.
    """
    surely, barely = target * (1 - TIE_TOLERANCE), target * (1 + TIE_TOLERANCE)
    steps = _equal_steps if w.min() == w.max() else _steps
    low, high = np.moveaxis(steps(values, w, surely, barely), -1, 0)
    return np.asarray(np.where(low == high, low, 0.5 * low + 0.5 * high))


def _equal_steps(values: Floats, w: Floats, surely: float, barely: float) -> Floats:
    """The first values (..., 2) at which the weight reaches one number and exceeds another."""
    ranks = [ceil(surely / w[0]) - 1, min(floor(barely / w[0]), len(w) - 1)]
    return np.asarray(np.partition(values, ranks)[..., ranks])


def _steps(values: Floats, w: Floats, surely: float, barely: float) -> Floats:
    """As ``_equal_steps``, of values with weights of their own."""
    order = np.argsort(values)
    reached = np.cumsum(w[order], axis=-1)
    ranks = np.stack([np.sum(reached < surely, -1), np.sum(reached <= barely, -1)], axis=-1)
    places = np.take_along_axis(order, np.minimum(ranks, len(w) - 1), axis=-1)
    return np.asarray(np.take_along_axis(values, places, axis=-1))
