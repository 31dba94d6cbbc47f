"""Statistics of the batches of ``PPCA.partial_fit``."""

from dataclasses import dataclass
from functools import partial

import numpy as np

from .._typing import Slice
from ..core.factor.centered_rows import CenteredRows, block_slices
from ..core.factor.statistics import FullScatter, LowRankScatter, Scatter
from ..core.standardization import Standardization

MAX_FULL_FEATURES = 1024  # features up to which the whole scatter matrix is kept


@dataclass(frozen=True)
class BatchStatistics:
    """What is measured of a batch: the whole scatter of d features, or its leading directions.

    Attributes
    ----------
    d : int
    max_rank : int or None
        The number of directions; None for the whole scatter.
    """

    d: int
    max_rank: int | None

    @classmethod
    def suited(cls, d: int, q: int | None, previous: Scatter | None) -> "BatchStatistics":
        """Choose by the number of features d and of components q.

        ``previous`` are the statistics of earlier batches, to which the new ones will be added.

        Raises
        ------
        ValueError
            If only leading directions can be kept, and q is None or more than at the first batch.
        """
        if d <= MAX_FULL_FEATURES:
            return cls(d, None)
        if q is None:
            raise ValueError(
                f"partial_fit of {d} features needs an integer n_components: with more than "
                f"{MAX_FULL_FEATURES} features the whole spectrum is not kept."
            )
        max_rank = 2 * q + 10
        if isinstance(previous, LowRankScatter) and previous.max_rank < max_rank:
            raise ValueError(
                f"n_components={q} is more than this stream was begun with; call fit to start anew."
            )
        return cls(d, max_rank)

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


def rescale_for(
    standardization: Standardization, previous: Scatter, new: Standardization
) -> tuple[Standardization, Scatter]:
    """Adapt the units of earlier batches, and their statistics, to a batch of another scale."""
    constant = np.full(len(new.center), previous.is_constant)
    adapted = standardization.rescaled_for(constant, new, per_feature=False)
    factor = 1.0 if previous.is_constant else standardization.scale[0] / adapted.scale[0]
    return adapted, previous.rescaled(float(factor))
