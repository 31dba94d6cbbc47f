"""Units of rows in which entries may be missing: NaN was not observed."""

from dataclasses import dataclass

import numpy as np

from .._typing import Array
from .frame import Frame, root_of_average
from .rows import WeightedSet, canonical


def canonical_with_holes(X: Array, w: Array) -> WeightedSet:
    """The canonical set of rows in which NaN equals NaN, and comes last."""
    hole = np.isnan(X)
    return canonical(np.where(hole, np.inf, X) if hole.any() else X, w)


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
    >>> from sklearn_lvm.core.observed import observed_frame
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


@dataclass(frozen=True, eq=False)
class Threshold:
    """Entries above a threshold are ones, others zeros; what was not observed stays NaN."""

    level: float
    scale: Array

    @classmethod
    def at(cls, level: float, n_features: int) -> "Threshold":
        """The threshold for so many features; ones and zeros have no units."""
        return cls(level, np.ones(n_features))

    @property
    def log_jacobian(self) -> float:
        """Probabilities do not change with units."""
        return 0.0

    def transform(self, X: Array) -> Array:
        """Zeros and ones, feature-major: (n, d) -> (d, n)."""
        return np.where(np.isnan(X), np.nan, self.level < X).T

    def inverse_transform(self, Z: Array) -> Array:
        """Ones and zeros are what they are."""
        return Z
