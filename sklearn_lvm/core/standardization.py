"""Standard units: where data are centred and how large they are, so that no digit is lost inside."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from .._typing import Array
from .blocks import row_slices

FAR = 1e100  # rows further out count as this far: their squares, and log-densities, stay finite
DISPROPORTION = 1e30  # new rows so much larger than a scale ask for another one


@dataclass(frozen=True, eq=False)
class Frame:
    """The affine map z = (x - centre) / scale, with what is needed to undo it.

    log p(x) = log p(z) - ``log_jacobian``. The entries of ``unit`` are the squared sizes, in z, of one
    standard deviation of each feature, or of a typical one where a feature is constant: regularisation
    in units of the data is a multiple of it.

    Attributes
    ----------
    centre, scale, unit : ndarray of shape (d,)
    varies : ndarray of bool of shape (d,)
        False for a constant feature, whose scale is borrowed from the others.
    """

    centre: Array
    scale: Array
    unit: Array
    varies: Array

    @classmethod
    def of(cls, X: Array, w: Array, *, per_feature: bool) -> "Frame":
        """Measure weighted data; ``per_feature=False`` gives all features one common scale.

        A constant feature is centred at its exact value and takes the typical scale.
        """
        share = w / w.sum()
        low, high, mean = _range_and_mean(X, w, share)
        constant = low == high
        centre = np.where(constant, low, mean)
        reach = np.where(constant, 1.0, np.maximum(high - centre, centre - low))
        deviation = reach * np.sqrt(_mean_square(X, share, centre, reach))
        size = np.where(constant, root_of_average(deviation[~constant], np.median), deviation)
        scale = size if per_feature else np.full_like(size, root_of_average(deviation, np.mean))
        return cls(centre, scale, (size / scale) ** 2, ~constant)

    def adapted(self, still: Array, other: "Frame", *, per_feature: bool) -> "Frame":
        """The same centre with scales that also suit other rows, which ``other`` was measured on.

        Features that stood ``still`` so far have no scale of their own, and take a new one. Others
        keep theirs, unless the new rows are out of all proportion to it: then it grows by a power of
        two, which costs no digits.
        """
        size = np.maximum(
            np.abs(other.centre - self.centre), np.where(other.varies, other.scale, 0)
        )
        size = size if per_feature else np.full_like(size, size.max())
        grown = size > DISPROPORTION * self.scale
        powers = np.log2(size, where=grown, out=np.zeros_like(size)) - np.log2(self.scale)
        scale = np.ldexp(self.scale, np.where(grown, np.rint(powers), 0.0).astype(int))
        return replace(self, scale=np.where(still & (size > 0), size, scale))

    @property
    def log_jacobian(self) -> float:
        """log |dx / dz|, in nats."""
        return float(np.log(self.scale).sum())

    def transform(self, X: Array) -> Array:
        """Rows in standard units, always in float64 and feature-major: (n, d) -> (d, n)."""
        with np.errstate(over="ignore"):
            Z = np.subtract(X.T, self.centre[:, None], dtype=np.float64, order="C")
            Z /= self.scale[:, None]
        return np.clip(Z, -FAR, FAR, out=Z)

    def inverse_transform(self, Z: Array) -> Array:
        """Rows in the data's own units, (n, d) -> (n, d)."""
        return Z * self.scale + self.centre


def observed_frame(X: Array, w: Array, *, per_feature: bool) -> Frame:
    """Measure what was observed of each feature; as ``Frame.of`` where that is everything.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Each column has an entry that was observed and has positive weight.
    w : ndarray of shape (n,)

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lvm.core.standardization import observed_frame
    >>> X = np.array([[1.0, 4.0], [3.0, np.nan], [np.nan, 8.0]])
    >>> frame = observed_frame(X, np.ones(3), per_feature=True)
    >>> frame.centre, frame.scale
    (array([2., 6.]), array([1., 2.]))
    """
    seen = ~np.isnan(X)
    if seen.all():
        return Frame.of(X, w, per_feature=per_feature)
    columns = [
        Frame.of(X[held, j : j + 1], w[held], per_feature=True) for j, held in enumerate(seen.T)
    ]
    centre = np.concatenate([column.centre for column in columns])
    varies = np.concatenate([column.varies for column in columns])
    deviation = np.where(varies, np.concatenate([column.scale for column in columns]), 0.0)
    size = np.where(varies, deviation, root_of_average(deviation[varies], np.median))
    scale = size if per_feature else np.full_like(size, root_of_average(deviation, np.mean))
    return Frame(centre, scale, (size / scale) ** 2, varies)


@dataclass(frozen=True, eq=False)
class Centred:
    """A frame, and how far from its centre the mean of the rows still is, for want of digits.

    Far from the origin a mean cannot be written down as finely as rows lie beside each other; moments
    about a frame's centre take care of that themselves, networks do not.
    """

    frame: Frame
    rest: Array

    @classmethod
    def of(cls, X: Array, w: Array, *, per_feature: bool) -> "Centred":
        """Measure weighted rows, in which NaN was not observed."""
        frame = observed_frame(X, w, per_feature=per_feature)
        Z, share = frame.transform(X), w / w.sum()
        seen = ~np.isnan(Z)
        return cls(frame, (np.where(seen, Z, 0.0) @ share) / (seen @ share))

    @property
    def centre(self) -> Array:
        """The mean, as well as it can be written down."""
        return self.frame.centre

    @property
    def scale(self) -> Array:
        """What one unit inside is in the units of the data."""
        return self.frame.scale

    @property
    def log_jacobian(self) -> float:
        """log |dx / dz|, in nats."""
        return self.frame.log_jacobian

    def transform(self, X: Array) -> Array:
        """Rows in standard units, feature-major: (n, d) -> (d, n)."""
        return self.frame.transform(X) - self.rest[:, None]

    def inverse_transform(self, Z: Array) -> Array:
        """Rows in the data's own units, (n, d) -> (n, d)."""
        return self.frame.inverse_transform(Z + self.rest)


def _range_and_mean(X: Array, w: Array, share: Array) -> tuple[Array, Array, Array]:
    low, high, mean = np.inf, -np.inf, np.zeros(X.shape[1])
    everything = bool(w.all())
    for rows in row_slices(*X.shape):
        block = np.ascontiguousarray(X[rows].T, dtype=np.float64)
        mean += block @ share[rows]
        held = block if everything else block[:, w[rows] > 0]
        low = np.minimum(low, held.min(axis=1, initial=np.inf))
        high = np.maximum(high, held.max(axis=1, initial=-np.inf))
    slack = np.zeros(X.shape[1])  # a second pass recovers what the first sum rounded away
    for rows in row_slices(*X.shape):
        slack += (X[rows].T - mean[:, None]) @ share[rows]
    return np.asarray(low), np.asarray(high), mean + slack


def _mean_square(X: Array, share: Array, centre: Array, reach: Array) -> Array:
    total = np.zeros(X.shape[1])
    for rows in row_slices(*X.shape):
        Z = np.subtract(X[rows].T, centre[:, None], order="C", dtype=np.float64)
        Z /= reach[:, None]
        total += np.square(Z, out=Z) @ share[rows]
    return total


def root_of_average(deviation: Array, average: Callable[[Array], Array]) -> float:
    """The square root of the average of squares, free of underflow; 1 if nothing varies."""
    largest = float(deviation.max(initial=0.0))
    return largest * float(np.sqrt(average((deviation / largest) ** 2))) if largest else 1.0
