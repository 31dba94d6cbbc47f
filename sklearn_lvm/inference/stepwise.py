"""How new statistics meet old ones where rows come in batches: stepwise EM."""

from dataclasses import dataclass
from typing import Any, Self

DECAY = 0.7  # between 1/2, which forgets fastest and still converges, and 1, which forgets nothing


@dataclass(frozen=True, eq=False)
class Stream:
    """Statistics of batch after batch, of which the early ones fade as the model outgrows them.

    Per unit of weight, s becomes (1 - g) s + g s_new (Cappe & Moulines, 2009), with the step g =
    (w / W)**DECAY for a batch of weight w when W has been seen in all: t**-DECAY for the t-th of equal
    batches. So much is remembered as w / g rows would tell.

    Attributes
    ----------
    statistics : object
        A value with ``+`` and ``scaled``, summed over the weight that is remembered.
    remembered, seen : float
        That weight, and the weight of all batches.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lvm.core.counts import Counts
    >>> from sklearn_lvm.inference.schedules import Stream
    >>> heads = Counts(np.ones(1), np.ones((1, 1)), np.zeros((1, 1)))
    >>> tails = Counts(np.ones(1), np.zeros((1, 1)), np.ones((1, 1)))
    >>> stream = Stream(heads, 1.0, 1.0).joined(tails, 1.0)
    >>> bool(stream.statistics.zeros[0, 0] > stream.statistics.ones[0, 0])
    True
    """

    statistics: Any
    remembered: float
    seen: float

    def joined(self, statistics: Any, weight: float) -> Self:
        """The stream after one more batch."""
        seen = self.seen + weight
        remembered = weight * (seen / weight) ** DECAY
        faded = self.statistics.scaled((remembered - weight) / self.remembered)
        return type(self)(faded + statistics, remembered, seen)
