"""Derivatives of Bernoulli log-densities, in coordinates in which each has unit information."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..._typing import Floats, Ints
from .binary_rows import MISSING, ONE, BinaryRows
from .counts import Counts
from .density import Bernoullis


@dataclass(frozen=True, eq=False)
class BernoulliScores:
    """Derivatives of K log-densities of d entries in log-odds over their standard deviations.

    With t = log p - log q and u = t sqrt(p q) the score of an observed entry is (x - p) / sqrt(p q),
    and its information is one. No probability is 0 or 1.

    Attributes
    ----------
    components : Bernoullis
    prior : Counts or None
        The pseudo-observations that the components were estimated with.
    """

    components: Bernoullis
    prior: Counts | None

    @property
    def n_coordinates(self) -> int:
        """K d."""
        return self.components.log_p.size

    @property
    def positions(self) -> Ints:
        """Those of each density, (K, d)."""
        return np.arange(self.n_coordinates).reshape(self.components.log_p.shape)

    @cached_property
    def deviation(self) -> Floats:
        """sqrt(p q), the standard deviations of the entries, (K, d)."""
        return np.exp(0.5 * (self.components.log_p + self.components.log_q))

    def first(self, rows: BinaryRows) -> Floats:
        """First derivatives, (K, d, n); those of entries that are missing are zero."""
        codes = rows.codes().T
        one = np.exp(self.components.log_q)[:, :, None] / self.deviation[:, :, None]
        zero = -np.exp(self.components.log_p)[:, :, None] / self.deviation[:, :, None]
        return np.where(codes == ONE, one, np.where(codes == MISSING, 0.0, zero))

    def second(self, rows: BinaryRows, resp: Floats) -> Floats:
        """The weight of the rows of each density in which an entry was observed, (K d,)."""
        return _n_observed(Counts.of(rows, resp)).ravel()

    def first_of_prior(self) -> Floats:
        """Those of the log-probability of the pseudo-observations, (K d,)."""
        if self.prior is None:
            return np.zeros(self.n_coordinates)
        ones = self.prior.ones * np.exp(self.components.log_q)
        zeros = self.prior.zeros * np.exp(self.components.log_p)
        return np.asarray(((ones - zeros) / self.deviation).ravel())

    def second_of_prior(self) -> Floats:
        """The pseudo-observations of each probability, (K d,)."""
        shape = self.components.log_p.shape
        known = np.zeros((1, 1)) if self.prior is None else _n_observed(self.prior)
        return np.broadcast_to(known, shape).ravel()

    def errors(self, variance: Floats) -> Floats:
        """Standard errors of probabilities from variances of coordinates, (K d,) to (K, d)."""
        return self.deviation * np.sqrt(np.maximum(variance, 0.0)).reshape(self.deviation.shape)


def _n_observed(counts: Counts) -> Floats:
    return counts.ones + counts.zeros
