"""The weighted set of distinct rows, in an order that only their content decides.

A start, a subsample or a split that is drawn from this set cannot tell a row of weight two from the
same row given twice, nor one order of the rows from another.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Protocol, Self

import numpy as np

from .._typing import Block, Floats, Hashes, Ints, Rows, Slice, Table
from .blocks import Blocks

CELLS = 2.0**20  # hashed cells per standard deviation: coarse beside rounding, fine beside data
MAX_CELL = 2.0**62
FAR = 1e6  # standard deviations, beyond which no entry moves the center of the cells further
MAX_COUNT = 2.0**53  # of copies: larger numbers are all whole
MIN_LIGHTEST = 0.05  # of the distinct rows, which must weigh as little as the lightest
WHOLE = 1e-9  # from a whole number, as a share of it, by which sums of weights are rounded
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)  # odd, of no pattern: 2^64 over the golden ratio


@dataclass(frozen=True, eq=False)
class WeightedSet:
    """Distinct rows by position, with the weight that each of them carries.

    Attributes
    ----------
    index : ndarray of shape (m,)
        The position in X of one copy of each distinct row, in lexicographic order of the rows.
    weight : ndarray of shape (m,)
        The summed weight of all copies of that row.
    """

    index: Ints
    weight: Floats

    def __len__(self) -> int:
        return len(self.index)


class Transformation(Protocol):
    """How rows of a table become what kernels take, and samples become rows again."""

    @property
    def log_jacobian(self) -> float:
        """log |dx / dz|, in nats."""
        ...

    def transform(self, X: Table, /) -> Rows:
        """Rows (n, d) as kernels take them."""
        ...

    def inverse_transform(self, Z: Floats, /) -> Floats:
        """Rows in the units of the data, (n, d) -> (n, d)."""
        ...


@dataclass(frozen=True, eq=False)
class RowSource:
    """The weighted rows of a table, from which fits and their starts take blocks and samples.

    Attributes
    ----------
    X, w : ndarray of shape (n, d) and (n,)
    transformation : Transformation
    slices_of : callable
        From a table to the slices of its blocks.
    weight_unit : float or None
        The weight that counts as one observation; None if the weights of distinct rows tell.
    """

    X: Table
    w: Floats
    transformation: Transformation
    slices_of: Callable[[Table], list[Slice]]
    weight_unit: float | None = None

    def __len__(self) -> int:
        return len(self.w)

    @cached_property
    def blocks(self) -> Blocks:
        """All rows in blocks, which are held in memory unless the table is on disk."""
        return self.streamed.held()

    @property
    def streamed(self) -> Blocks:
        """All rows in blocks, for a single pass."""
        return Blocks(self.X, self.w, self.transformation.transform, self.slices_of(self.X))

    @cached_property
    def block(self) -> Rows:
        """All rows in one block."""
        return self.transformation.transform(self.X)

    def merged(self) -> Self:
        """The rows to fit to: measurements are seldom equal, and stay as they are."""
        return self

    @cached_property
    def keys(self) -> Table:
        """What tells rows apart and puts them in order, (n, m): the rows."""
        return self.X

    @cached_property
    def hashes(self) -> Hashes:
        """Hashes of the rows, (n,)."""
        return cell_hashes(self.blocks)

    @cached_property
    def distinct_weights(self) -> Floats:
        """The summed weight of each distinct row that has any."""
        kept = self.w > 0
        _, _, _, mass = _priorities(self.hashes[kept], self.w[kept])
        return mass

    @property
    def n_distinct(self) -> int:
        """How many distinct rows there are, rows without weight left out."""
        return len(self.distinct_weights)

    @cached_property
    def unit(self) -> float:
        """The weight that counts as one observation.

        Whole numbers are counts, and so are the multiples of a weight that all rows have, or that of
        the lightest distinct row where it is not alone; an observation is their greatest common
        divisor. Of other weights it is the median of distinct rows.
        """
        if self.weight_unit:
            return self.weight_unit
        weight, lightest = self.distinct_weights, float(self.w[self.w > 0].min())
        units = [1.0]
        if np.mean(weight <= lightest * (1.0 + WHOLE)) >= MIN_LIGHTEST or lightest == self.w.max():
            units.append(lightest)
        found = (common_divisor(weight / unit) for unit in units)
        counts = (unit * times for unit, times in zip(units, found, strict=True) if times)
        return next(counts, float(np.median(weight)))

    @property
    def n_observations(self) -> float:
        """How many observations the weights are worth."""
        return float(self.w.sum() / self.unit)

    def distinct(self, size: int) -> WeightedSet:
        """About ``size`` distinct rows with their weights."""
        if np.count_nonzero(self.w) <= size:
            return canonical(self.keys, self.w)
        return subsample(self.keys, self.w, self.hashes, size)

    def sample(self, size: int) -> Self:
        """About ``size`` distinct rows; those of a size are drawn once."""
        if size not in self._samples:
            rows = self.distinct(size)
            drawn = replace(self, X=self.X[rows.index], w=rows.weight, weight_unit=self.unit)
            self._samples[size] = drawn
        return self._samples[size]

    @cached_property
    def _samples(self) -> dict[int, Self]:
        return {}

    def points(self) -> Table:
        """Rows (n, d) for clustering."""
        return self.block.T

    def drawn(self, share: float, seed: int) -> Floats:
        """The weight of each row in about this share of the rows; the weights of all others are 0.

        The rows must be distinct and in the order of their content, as those of a sample are: units do
        not change it. A measurement that is repeated goes one way with all its copies, for it says
        nothing about others.
        """
        return self.w * (np.random.RandomState(seed).random_sample(len(self)) < share)

    def split(self, share: float, seed: int) -> tuple[Self, Self]:
        """About this share of the observations, and the others."""
        drawn = self.drawn(share, seed)
        return self.weighted(drawn), self.weighted(self.w - drawn)

    def weighted(self, w: Floats) -> Self:
        """The distinct rows that have any of these weights, (n,)."""
        rows = canonical(self.keys, w)
        return replace(self, X=self.X[rows.index], w=rows.weight, weight_unit=self.unit)


def canonical(X: Table, w: Floats) -> WeightedSet:
    """Merge equal rows, add their weights, and order them lexicographically.

    Rows of zero weight are dropped. The set keeps positions, not a copy of the rows.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    w : ndarray of shape (n,)
        Non-negative weights.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lvm.core.rows import canonical
    >>> X = np.array([[2.0], [1.0], [2.0], [0.0]])
    >>> rows = canonical(X, np.array([1.0, 1.0, 3.0, 0.0]))
    >>> X[rows.index].ravel(), rows.weight
    (array([1., 2.]), array([1., 4.]))
    """
    kept = np.flatnonzero(w)
    order, group = _lexicographic(X, kept)
    first = np.flatnonzero(np.diff(group, prepend=-1))
    if not len(first):
        return WeightedSet(order, w[order])
    return WeightedSet(order[first], np.add.reduceat(w[order], first))


def canonical_with_missing(X: Floats, w: Floats) -> WeightedSet:
    """Merge and order rows as ``canonical`` does; NaN equals NaN, and comes last."""
    missing = np.isnan(X)
    return canonical(np.where(missing, np.inf, X) if missing.any() else X, w)


def subsample(X: Floats, w: Floats, hashes: Hashes, size: int) -> WeightedSet:
    """Draw about ``size`` distinct rows, heavy ones first, in time linear in the rows but for one sort.

    Priority sampling (Duffield, Lund & Thorup, 2007): each distinct row of weight W has the priority
    W / u, with u a uniform number made from a hash of its content; the rows of highest priority are
    kept, each with the weight max(W, t), t being the first priority that was left out. Sums over the
    sample are unbiased for sums over the data. With no more distinct rows than ``size`` the sample is
    the canonical set itself.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        The rows, or numbers that are equal for equal rows alone.
    w, hashes : ndarray of shape (n,)
    size : int
    """
    kept = np.flatnonzero(w)
    order, first, priority, mass = _priorities(hashes[kept], w[kept])
    if len(first) <= size:
        return canonical(X, w)
    threshold = np.partition(priority, -size - 1)[-size - 1]
    chosen, copies = priority > threshold, np.diff(first, append=len(order))
    rows = kept[order[np.repeat(chosen, copies)]]
    boost = np.maximum(1.0, threshold / mass[chosen])
    sampled = np.zeros(len(w))
    sampled[rows] = w[rows] * np.repeat(boost, copies[chosen])
    return canonical(X, sampled)


def common_divisor(weights: Floats) -> float | None:
    """The greatest common divisor of whole numbers, or nearly whole ones; None if they are not.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lvm.core.rows import common_divisor
    >>> common_divisor(np.array([6.0, 9.0])), common_divisor(np.array([0.5, 1.0]))
    (3.0, None)
    """
    whole = np.rint(weights)
    if weights.max() > MAX_COUNT or (np.abs(weights - whole) > WHOLE * whole).any():
        return None
    return float(np.gcd.reduce(whole.astype(np.int64)))


def _priorities(hashes: Hashes, w: Floats) -> tuple[Ints, Ints, Floats, Floats]:
    """The order of the hashes; where each distinct row starts, its priority, and its weight."""
    order = np.argsort(hashes)
    hashes = hashes[order]
    first = np.append(0, 1 + np.flatnonzero(hashes[1:] != hashes[:-1]))
    mass = np.add.reduceat(w[order], first)
    return order, first, mass / _uniform(hashes[first]), mass


def _lexicographic(X: Table, rows: Ints) -> tuple[Ints, Ints]:
    """Order ``rows`` by content; return them with a rising label that equal rows share.

    Columns after the first are compared only where rows are still tied, so that data without
    duplicates cost a single sort.
    """
    order, group = rows, np.zeros(len(rows), dtype=np.intp)
    tied = np.arange(len(rows))
    for column in range(X.shape[1]):
        if not len(tied):
            break
        values = X[order[tied], column]
        ranks = np.lexsort((values, group[tied]))
        order[tied] = order[tied][ranks]
        values, before = values[ranks], group[tied]
        changed = (values[1:] != values[:-1]) | (before[1:] != before[:-1])
        starts = np.append(True, changed)
        # A label is the place where its run starts, so it rises along the order.
        group[tied] = np.maximum.accumulate(np.where(starts, tied, 0))
        same = ~starts
        tied = tied[same | np.append(same[1:], False)]
    return order, group


def cell_hashes(blocks: Sequence[Block]) -> Hashes:
    """Hash standardized rows to 64 bits by the cells that their centered entries fall into.

    A change of units or of origin leaves the hashes as they are, but for rounding.

    Parameters
    ----------
    blocks : sequence of (ndarray of shape (d, b), ndarray of shape (b,))
        Rows and their weights.
    """
    sums = np.sum([np.append(np.clip(Z, -FAR, FAR) @ w, w.sum()) for Z, w in blocks], axis=0)
    return np.concatenate([_hash(Z, sums[:-1] / sums[-1]) for Z, _ in blocks])


def key_hashes(keys: Floats) -> Hashes:
    """Hash rows of numbers (n, m) to 64 bits, (n,)."""
    hashes = np.zeros(len(keys), dtype=np.uint64)
    for key in np.ascontiguousarray(keys.T):
        hashes = _mix(hashes ^ key.view(np.uint64))
    return hashes


def _hash(block: Floats, center: Floats) -> Hashes:
    cells = block - center[:, None]
    cells *= CELLS
    np.clip(np.rint(cells, out=cells), -MAX_CELL, MAX_CELL, out=cells)
    hashes = np.zeros(block.shape[1], dtype=np.uint64)
    for feature in cells.astype(np.int64).view(np.uint64):
        hashes ^= feature
        hashes *= MULTIPLIER
        hashes ^= hashes >> np.uint64(32)
    return hashes


def _mix(x: Hashes) -> Hashes:
    """Scatter 64 bits: the finalizer of splitmix64 (Steele, Lea & Flood, 2014)."""
    x = x + np.uint64(0x9E3779B97F4A7C15)
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


def _uniform(hashes: Hashes) -> Floats:
    """Numbers in (0, 1) from hashes."""
    return ((_mix(hashes) >> np.uint64(11)).astype(np.float64) + 0.5) * 2.0**-53
