"""Statistics of the rows of ``PPCA.fit``, and of the batches of ``PPCA.partial_fit``."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from .._typing import Floats, Slice
from ..core.factor.centered_rows import CenteredRows, block_slices
from ..core.factor.spectrum import Spectrum
from ..core.factor.statistics import FullScatter, LowRankScatter, Scatter
from ..core.standardization import Standardization
from .ppca import Solution

MAX_FULL_FEATURES = 1024  # features up to which the whole scatter matrix is kept
CHEAP_FEATURES = 128  # features up to which a fit measures it where its solver did not


@dataclass(frozen=True)
class BatchStatistics:
    """What is measured of a batch: the whole scatter of d features, or its leading directions.

    Attributes
    ----------
    d : int
    q : int or None
        The number of components, where it is given as such.
    max_rank : int or None
        The number of directions; None for the whole scatter.
    """

    d: int
    q: int | None
    max_rank: int | None

    @classmethod
    def suited(cls, d: int, q: int | None) -> "BatchStatistics":
        """Choose by the number of features d and of components q.

        Raises
        ------
        ValueError
            If only leading directions can be kept, and q is None.
        """
        if d <= MAX_FULL_FEATURES:
            return cls(d, q, None)
        if q is None:
            raise ValueError(
                f"partial_fit of {d} features needs an integer n_components: with more than "
                f"{MAX_FULL_FEATURES} features the whole spectrum is not kept."
            )
        return cls(d, q, _max_rank(q))

    def check_suits(self, previous: Scatter) -> None:
        """Raise a ValueError if more directions are to be kept than are of earlier batches."""
        if isinstance(previous, LowRankScatter) and previous.max_rank < (self.max_rank or 0):
            raise ValueError(
                f"n_components={self.q} is more than this stream was begun with; call fit to start "
                "anew."
            )

    def of_spectrum(self, spectrum: Spectrum, weight: float) -> Scatter:
        """The statistics of rows of which only a spectrum is known, and their summed weight."""
        if self.max_rank is None:
            return FullScatter.of_spectrum(spectrum, weight)
        return LowRankScatter.of_spectrum(spectrum, weight, self.max_rank)

    def measure(
        self, rows: CenteredRows, standardization: Standardization, weight: float
    ) -> Scatter:
        """The statistics of rows of a summed weight, in units that are given."""
        slices = block_slices(*rows.shape, at_least=self.max_rank or self.d)
        found = rows.block_map.sum(partial(self._measure_block, rows, weight), slices)
        shift = (rows.center - standardization.center) / standardization.scale
        factor = rows.scale / standardization.scale[0]
        return found.rescaled(float(factor)).shifted(shift + factor * rows.mean)

    def _measure_block(self, rows: CenteredRows, weight: float, block: Slice) -> Scatter:
        V, w = rows.dense(block), weight * rows.share[block]
        if self.max_rank is None:
            return FullScatter.of(V, w)
        return LowRankScatter.of(V, w, self.max_rank)


@dataclass(frozen=True, eq=False)
class FittedRows:
    """What a fit remembers of its rows; statistics are made of it if batches follow.

    Attributes
    ----------
    weight : float
        The summed weight of the rows.
    spectrum : Spectrum
        On the scale of the rows.
    covariance : ndarray of shape (d, d) or None
        None where it follows from the spectrum, or is approximated from it.
    """

    weight: float
    spectrum: Spectrum
    covariance: Floats | None

    @classmethod
    def of(cls, rows: CenteredRows, solution: Solution, weight: float, q: int) -> "FittedRows":
        """Keep what a solver found, and what is cheap to add, after a fit of q components."""
        spectrum, covariance, d = solution.spectrum, solution.covariance, rows.shape[1]
        if d > MAX_FULL_FEATURES:
            return cls(weight, spectrum.leading(_max_rank(q)), None)
        if covariance is None and not spectrum.complete and d <= CHEAP_FEATURES:
            covariance = rows.covariance()
        return cls(weight, spectrum, covariance)

    def statistics(self, batch: BatchStatistics) -> Scatter:
        """The statistics of the rows, to which those of a batch can be added.

        Raises
        ------
        ValueError
            If only some components of the rows are known, and as many or fewer are not asked for.
        """
        spectrum, q = self.spectrum, batch.q
        if self.covariance is not None:
            return FullScatter.of_covariance(spectrum.mean, self.covariance, self.weight)
        if not spectrum.complete and (q is None or q > len(spectrum.axes)):
            raise ValueError(
                f"n_components must be an integer of at most {len(spectrum.axes)}, for no more "
                "components are known of the rows that were fitted; call fit to start anew."
            )
        return batch.of_spectrum(spectrum, self.weight)


def _max_rank(q: int) -> int:
    """The number of leading directions that are kept for q components."""
    return 2 * q + 10


def rescale_for(
    standardization: Standardization, previous: Scatter, new: Standardization
) -> tuple[Standardization, Scatter]:
    """Adapt the units of earlier batches, and their statistics, to a batch of another scale."""
    constant = np.full(len(new.center), previous.is_constant)
    with np.errstate(over="ignore"):  # the estimator refuses units that are infinite
        adapted = standardization.rescaled_for(constant, new, per_feature=False)
    factor = 1.0 if previous.is_constant else standardization.scale[0] / adapted.scale[0]
    return adapted, previous.rescaled(float(factor))
