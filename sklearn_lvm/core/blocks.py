"""Rows cut into blocks, each brought into the form that kernels take."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from mmap import mmap
from typing import overload

import numpy as np

from .._typing import AnySlice, Block, Floats, Rows, Slice, Table

BLOCK_ENTRIES = 1 << 17  # numbers in a block of rows in passes over raw data: 1 MB in float64


def row_slices(
    n: int, d: int, entries: int = BLOCK_ENTRIES, *, at_least: int = 64, at_most: int | None = None
) -> Iterator[Slice]:
    """Cut n rows of d features into consecutive blocks of about ``entries`` numbers."""
    size = max(at_least, min(at_most or n, entries // max(d, 1)))
    return (slice(start, min(start + size, n)) for start in range(0, n, size))


def on_disk(X: object) -> bool:
    """Whether an array is a view of a file, however many views lie between."""
    base = X
    while base is not None and not isinstance(base, np.memmap | mmap):
        base = getattr(base, "base", None)
    return base is not None


@dataclass(frozen=True, eq=False)
class Blocks(Sequence[Block]):
    """Weighted rows in blocks, each made anew whenever it is used, unless all are held in memory.

    Attributes
    ----------
    X, w : ndarray of shape (n, d) and (n,)
    transform : callable
        From rows of X to what kernels take.
    slices : sequence of slice
        The rows of each block.
    made : sequence
        The blocks, if they are held.
    """

    X: Table
    w: Floats
    transform: Callable[[Table], Rows]
    slices: Sequence[Slice]
    made: Sequence[Rows] = ()

    def __len__(self) -> int:
        return len(self.slices)

    @overload
    def __getitem__(self, i: int) -> Block: ...
    @overload
    def __getitem__(self, i: AnySlice) -> Sequence[Block]: ...
    def __getitem__(self, i: int | AnySlice) -> Block | Sequence[Block]:
        if isinstance(i, slice):
            return Blocks(self.X, self.w, self.transform, self.slices[i], self.made[i])
        rows = self.slices[i]
        return (self.made[i] if self.made else self.transform(self.X[rows])), self.w[rows]

    def held(self) -> "Blocks":
        """The same blocks, made once: a copy of the rows, unless these were left on disk."""
        if on_disk(self.X):
            return self
        made = [self.transform(self.X[rows]) for rows in self.slices]
        return Blocks(self.X, self.w, self.transform, self.slices, made)
