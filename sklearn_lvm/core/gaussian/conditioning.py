"""What known values of some features say of the others, where features are Gaussian."""

from dataclasses import dataclass

import numpy as np

from ..._typing import Floats, Ints
from .covariance import Covariances


@dataclass(frozen=True, eq=False)
class Conditioned:
    """K Gaussians, of which p features have known values and u others do not.

    With C = L L' for the known features before the others, L = [[A, 0], [B, D]], the others have means
    m + B e with e = inv(A) (values - m), and covariances D D' (Bishop, 2006, equations 2.81 and 2.82).

    Attributes
    ----------
    square : ndarray of shape (K,)
        |e|^2, the squared distances of the values.
    known : Covariances
        Those of the known features, A A'.
    mean : ndarray of shape (K, u)
    covariance : Covariances
        D D', one that all share if it is tied.
    """

    square: Floats
    known: Covariances
    mean: Floats
    covariance: Covariances

    @classmethod
    def of(
        cls, mean: Floats, covariance: Covariances, features: Ints, values: Floats
    ) -> "Conditioned":
        """The values (p,) of some features of Gaussians with these means and covariances."""
        p, rest = len(features), np.delete(np.arange(mean.shape[1]), features)
        ordered = covariance.marginal(np.concatenate([features, rest]))
        known, others = ordered.split(p)
        e = known.whiten_each(values - mean[:, features])
        with np.errstate(over="ignore"):
            square = (e**2).sum(axis=1)
        return cls(square, known, mean[:, rest] + ordered.regress(e), others)
