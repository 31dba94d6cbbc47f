"""The types that all modules speak of: arrays by kind of entry, random states, and block maps."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.floating[Any]]
"""Numbers, in double precision unless a comment says otherwise; the docstring tells the shape."""
Complexes = NDArray[np.complexfloating[Any, Any]]
"""Arguments of a transform."""
Ints = NDArray[np.integer[Any]]
"""Positions, labels and codes."""
Bools = NDArray[np.bool_]
"""Masks."""
Hashes = NDArray[np.uint64]
"""64-bit hashes of rows."""

if TYPE_CHECKING:
    Slice = slice[int, int, None]
    """Consecutive rows."""
    AnySlice = slice[int | None, int | None, int | None]
else:
    Slice = AnySlice = slice  # which takes no parameters when it runs
Rows = Any
"""A block of rows as its kernel takes it: (d, n) numbers, or packed or sparse zeros and ones."""
Block = Any
"""Rows and their weights as an E-step takes them: a pair, or an object of its own."""
Features = Any
"""What a kernel makes of a block of rows; only that kernel knows its type."""

Table = Any
"""Rows of data as users give them, once validated: an array (n, d), or a CSR matrix."""

RandomState = int | np.random.RandomState | None
"""What scikit-learn's ``check_random_state`` takes."""
Weights = ArrayLike | None
"""Sample weights as users give them: None is one for each row."""

B = TypeVar("B")
T = TypeVar("T")


class BlockMap(Protocol):
    """Applies a function to every block of rows, wherever that is done."""

    def sum(self, function: Callable[[B], T], blocks: Sequence[B]) -> T:
        """Add up the function of all blocks, in an order that only their number decides."""
        ...

    def map(self, function: Callable[[B], T], blocks: Sequence[B]) -> list[T]:
        """List the function of each block, in order."""
        ...
