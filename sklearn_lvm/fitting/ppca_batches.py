"""Streams of rows for probabilistic PCA: what is kept of them, and in which units."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from ..core.centred import CentredRows, slab_slices
from ..core.standardization import Standardization
from ..core.stream import Scatter, Sketch
from ..inference.block_map import ThreadMap

STREAMED = 1024  # features up to which a stream keeps the whole covariance


@dataclass(frozen=True)
class Keeper:
    """What is kept of rows, as a function of these and their weights.

    Attributes
    ----------
    of : callable
        Rows (n, d) and weights (n,) to statistics.
    at_least : int
        How many rows are worth measuring at a time.
    """

    of: Callable[..., Any]
    at_least: int

    @classmethod
    def suited(cls, d: int, q: int | None, kept: Any) -> "Keeper":
        """The scatter of d features, or a sketch of it for q components; ``kept`` is the stream's.

        Raises
        ------
        ValueError
            If a sketch is needed and q is None, or more than the stream was begun with.
        """
        if d <= STREAMED:
            return cls(Scatter.of, d)
        if q is None:
            raise ValueError(
                f"partial_fit of {d} features needs an integer n_components: with more than "
                f"{STREAMED} features the whole spectrum is not kept."
            )
        size = 2 * q + 10
        if kept is not None and kept.size < size:
            raise ValueError(
                f"n_components={q} is more than this stream was begun with; call fit to start anew."
            )
        return cls(partial(Sketch.of, size=size), size)

    def measure(
        self,
        rows: CentredRows,
        standardization: Standardization,
        weight: float,
        block_map: ThreadMap,
    ) -> Any:
        """Statistics of rows of some weight in all, in the units of a frame."""

        def look(piece: slice) -> Any:
            slab = rows.slab(piece, near=0.0)
            return self.of(slab.dense(), weight * slab.weight)

        found = block_map.sum(look, slab_slices(*rows.shape, at_least=self.at_least))
        shift = (rows.center - standardization.center) / standardization.scale
        factor = rows.scale / standardization.scale[0]
        return found.rescaled(float(factor)).moved(shift + factor * rows.mean)


def made_room(
    standardization: Standardization, kept: Any, fresh: Standardization
) -> tuple[Standardization, Any]:
    """The frame and the statistics of a stream, where rows of another frame can be measured too."""
    adapted = standardization.rescaled_for(
        np.full(len(fresh.center), kept.still), fresh, per_feature=False
    )
    factor = 1.0 if kept.still else standardization.scale[0] / adapted.scale[0]
    return adapted, kept.rescaled(float(factor))
