"""Standardization: the affine map to features of center 0 and scale 1, and its Jacobian."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Self

import numpy as np

from .._typing import Bools, Floats, Ints
from .blocks import row_slices
from .outliers import outlier_limits, quantile

MAX_DEVIATIONS = 1e100  # rows further out count as this far: log-densities stay finite
MAX_DEVIATION_RATIO = 3.0  # with outliers to without, beyond which the mean is no center
MAX_GROWTH = 1e30  # the ratio of new deviations to the scale from which on another scale is needed


@dataclass(frozen=True, eq=False)
class Standardization:
    """The affine map z = (x - center) / scale, with what is needed to undo it.

    log p(x) = log p(z) - ``log_jacobian``. Inside, entries are about 1, so that neither an offset nor
    the units of the data cost digits.

    Attributes
    ----------
    center, scale : ndarray of shape (d,)
    feature_variance : ndarray of shape (d,)
        The square of the scale that each standardized feature has of its own, or that of a typical one
        where a feature is constant: regularization in units of the data is a multiple of it.
    constant : ndarray of bool of shape (d,)
        Features that are constant; their scale is borrowed from the others.
    """

    center: Floats
    scale: Floats
    feature_variance: Floats
    constant: Bools

    @classmethod
    def of(cls, X: Floats, w: Floats, *, per_feature: bool) -> Self:
        """Measure weighted rows; ``per_feature=False`` gives all features one common scale.

        The scale of a feature is its standard deviation without outliers. A feature whose mean these
        have moved is centered at its median, and a constant one at its exact value; it takes the
        typical scale.
        """
        low, high, center, deviation = _range_and_moments(X, w)
        nearest, farthest = outlier_limits(X, w)
        for j in np.flatnonzero((low < nearest) | (farthest < high)):
            x = np.asarray(X[:, j], dtype=np.float64)
            kept = (nearest[j] <= x) & (x <= farthest[j])
            *_, clean = _range_and_moments(x[kept, None], w[kept])
            if deviation[j] > MAX_DEVIATION_RATIO * clean[0]:
                center[j] = quantile(x, w, 50)
            deviation[j] = clean[0]
        return cls._scaled(center, deviation, low == high, per_feature)

    @classmethod
    def of_observed(cls, X: Floats, w: Floats, *, per_feature: bool) -> Self:
        """Measure what was observed of each feature; as ``of`` where that is everything.

        Parameters
        ----------
        X : ndarray of shape (n, d)
            NaN was not observed. Each column has an observed entry of positive weight.
        w : ndarray of shape (n,)
        per_feature : bool

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn_lvm.core.standardization import Standardization
        >>> X = np.array([[1.0, 4.0], [3.0, np.nan], [np.nan, 8.0]])
        >>> found = Standardization.of_observed(X, np.ones(3), per_feature=True)
        >>> found.center, found.scale
        (array([2., 6.]), array([1., 2.]))
        """
        observed = ~np.isnan(X)
        if observed.all():
            return cls.of(X, w, per_feature=per_feature)
        columns = [
            cls.of(X[rows, j : j + 1], w[rows], per_feature=True)
            for j, rows in enumerate(observed.T)
        ]
        center = np.concatenate([column.center for column in columns])
        constant = np.concatenate([column.constant for column in columns])
        scale = np.concatenate([column.scale for column in columns])
        return cls._scaled(center, np.where(constant, 0.0, scale), constant, per_feature)

    @classmethod
    def _scaled(cls, center: Floats, deviation: Floats, constant: Bools, per_feature: bool) -> Self:
        """Scales from standard deviations."""
        size = np.where(constant, root_of_average(deviation[~constant], np.median), deviation)
        common = np.full_like(size, root_of_average(deviation, np.mean))
        scale = size if per_feature else common
        return cls(center, scale, (size / scale) ** 2, constant)

    def rescaled_for(self, constant: Bools, other: Self, *, per_feature: bool) -> Self:
        """The same center with scales that also suit other rows, which ``other`` was measured on.

        Features that were ``constant`` so far have no scale of their own, and take a new one. Others
        keep theirs, unless the new rows are out of all proportion to it: then it grows by a power of
        two, which costs no digits.
        """
        size = np.maximum(
            np.abs(other.center - self.center), np.where(other.constant, 0, other.scale)
        )
        size = size if per_feature else np.full_like(size, size.max())
        grown = size > MAX_GROWTH * self.scale
        powers = np.log2(size, where=grown, out=np.zeros_like(size)) - np.log2(self.scale)
        scale = np.ldexp(self.scale, np.where(grown, np.rint(powers), 0.0).astype(int))
        return replace(self, scale=np.where(constant & (size > 0), size, scale))

    def of_features(self, features: Ints) -> Self:
        """The same map of some of the features."""
        scale, variance = self.scale[features], self.feature_variance[features]
        return type(self)(self.center[features], scale, variance, self.constant[features])

    @property
    def log_jacobian(self) -> float:
        """log |dx / dz|, in nats."""
        return float(np.log(self.scale).sum())

    def transform(self, X: Floats) -> Floats:
        """Standardized rows, always in float64 and feature-major: (n, d) -> (d, n)."""
        with np.errstate(over="ignore"):
            Z = np.subtract(X.T, self.center[:, None], dtype=np.float64, order="C")
            Z /= self.scale[:, None]
        return np.clip(Z, -MAX_DEVIATIONS, MAX_DEVIATIONS, out=Z)

    def inverse_transform(self, Z: Floats) -> Floats:
        """Rows in the units of the data, (n, d) -> (n, d)."""
        return Z * self.scale + self.center


@dataclass(frozen=True, eq=False)
class CenteredStandardization:
    """A standardization that also removes the rounding error of its center.

    Far from the origin a mean cannot be written down as finely as rows lie beside each other. Moments
    take care of what is left of it themselves; networks do not.

    Attributes
    ----------
    standardization : Standardization
    residual_mean : ndarray of shape (d,)
        The mean of the standardized rows, as far as it is a rounding error of the center.
    """

    standardization: Standardization
    residual_mean: Floats

    @classmethod
    def of(cls, X: Floats, w: Floats, *, per_feature: bool) -> Self:
        """Measure weighted rows, in which NaN was not observed."""
        standardization = Standardization.of_observed(X, w, per_feature=per_feature)
        Z, share = standardization.transform(X), w / w.sum()
        observed = ~np.isnan(Z)
        mean = (np.where(observed, Z, 0.0) @ share) / (observed @ share)
        rounding = 2.0 * np.spacing(np.abs(standardization.center)) / standardization.scale
        return cls(standardization, np.clip(mean, -rounding, rounding))

    @property
    def center(self) -> Floats:
        """The mean, as well as it can be written down."""
        return self.standardization.center

    @property
    def scale(self) -> Floats:
        """One standardized unit in the units of the data."""
        return self.standardization.scale

    @property
    def log_jacobian(self) -> float:
        """log |dx / dz|, in nats."""
        return self.standardization.log_jacobian

    def transform(self, X: Floats) -> Floats:
        """Standardized rows, feature-major: (n, d) -> (d, n)."""
        return self.standardization.transform(X) - self.residual_mean[:, None]

    def inverse_transform(self, Z: Floats) -> Floats:
        """Rows in the units of the data, (n, d) -> (n, d)."""
        return self.standardization.inverse_transform(Z + self.residual_mean)


def _range_and_moments(X: Floats, w: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    """The least and the largest value, the mean, and the standard deviation of each feature, (d,)."""
    share = w / w.sum()
    low, high, mean = _range_and_mean(X, w, share)
    constant = low == high
    center = np.where(constant, low, mean)
    largest = np.where(constant, 1.0, np.maximum(high - center, center - low))
    return low, high, center, largest * np.sqrt(_mean_square(X, share, center, largest))


def _range_and_mean(X: Floats, w: Floats, share: Floats) -> tuple[Floats, Floats, Floats]:
    low, high, mean = np.inf, -np.inf, np.zeros(X.shape[1])
    everything = bool(w.all())
    for rows in row_slices(*X.shape):
        block = np.ascontiguousarray(X[rows].T, dtype=np.float64)
        mean += block @ share[rows]
        weighted = block if everything else block[:, w[rows] > 0]
        low = np.minimum(low, weighted.min(axis=1, initial=np.inf))
        high = np.maximum(high, weighted.max(axis=1, initial=-np.inf))
    residual = np.zeros(X.shape[1])  # a second pass recovers what the first sum rounded away
    for rows in row_slices(*X.shape):
        residual += (X[rows].T - mean[:, None]) @ share[rows]
    return np.asarray(low), np.asarray(high), mean + residual


def _mean_square(X: Floats, share: Floats, center: Floats, unit: Floats) -> Floats:
    """The mean of ((x - center) / unit)^2, (d,)."""
    total = np.zeros(X.shape[1])
    for rows in row_slices(*X.shape):
        Z = np.subtract(X[rows].T, center[:, None], order="C", dtype=np.float64)
        Z /= unit[:, None]
        total += np.square(Z, out=Z) @ share[rows]
    return total


def root_of_average(deviation: Floats, average: Callable[[Floats], float]) -> float:
    """The square root of the average of squares, free of underflow; 1 if nothing varies."""
    largest = float(deviation.max(initial=0.0))
    return largest * float(np.sqrt(average((deviation / largest) ** 2))) if largest else 1.0
