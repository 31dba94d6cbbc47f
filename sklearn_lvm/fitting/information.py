"""The information that rows have of a mixture, summed over blocks of them."""

from dataclasses import replace
from functools import reduce
from operator import add

from .._typing import Slice, Table
from ..core.mixture_information import Information, MixtureScores, ScoreSums
from ..core.rows import RowSource
from ..inference.block_map import ThreadMap, block_size, slices_of

MAX_RUNS = 16  # of blocks, each with sums of its own
MAX_BYTES = 1 << 29  # of all these sums


def information(scores: MixtureScores, rows: RowSource, concentration: float) -> Information:
    """The information that weighted rows and the prior have of a mixture.

    Blocks are added up in so many runs that the sums of all of them fit into memory; their number does
    not depend on that of the threads.
    """

    def slices(X: Table) -> list[Slice]:
        return slices_of(X.shape[0], block_size(scores.width))

    blocks = replace(rows.merged(), slices_of=slices).streamed

    def subtotal(run: Slice) -> ScoreSums:
        return reduce(add, (scores(blocks[i]) for i in range(run.start, run.stop)))

    n_runs = max(1, min(MAX_RUNS, MAX_BYTES // (24 * scores.n_coordinates**2 + 1)))
    with ThreadMap() as block_map:
        runs = slices_of(len(blocks), -(-len(blocks) // n_runs))
        sums = reduce(add, block_map.map(subtotal, runs))
    return Information.of(scores, sums, concentration)
