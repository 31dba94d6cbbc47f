"""Blocks of rows of which some entries were not observed, sorted by what is missing."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import DTypeLike

from ..._typing import Bools, Floats, Ints, Rows
from ..standardization import Standardization, log_jacobians
from .completion import Group
from .covariance import Covariances, Structure

MIN_ROWS = 640  # of a block: with fewer, calls cost more than what they do
GROWTH = 1.2  # of the sizes of groups: blocks padded to one size are inverted together


class Reference(NamedTuple):
    """One Gaussian, by which rows are completed where no other model is known.

    Attributes
    ----------
    mean : ndarray of shape (1, d)
    covariance : Covariances
        One.
    """

    mean: Floats
    covariance: Covariances


@dataclass(frozen=True, eq=False)
class IncompleteRows:
    """Rows (d, n) with missing entries, sorted by the number of missing entries and by pattern.

    Attributes
    ----------
    values : ndarray of shape (d, n)
        The sorted rows, with 0 in place of what is missing.
    observed : ndarray of bool of shape (d, n)
        Of the sorted rows.
    order : ndarray of int of shape (n,), or None
        Where each of the sorted rows stands in the block; None if they were sorted.
    groups : tuple of Group
        The complete rows first, if there are any.
    reference : Reference or None

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn_lvm.core.gaussian.missing import IncompleteRows
    >>> rows = IncompleteRows.of(np.array([[np.nan, 1.0, np.nan], [2.0, 3.0, 4.0]]))
    >>> rows.order, [group.missing for group in rows.groups]
    (array([1, 0, 2]), [array([], shape=(1, 0), dtype=int64), array([[0]])])
    """

    values: Floats
    observed: Bools
    order: Ints | None
    groups: tuple[Group, ...]
    reference: Reference | None = None

    @classmethod
    def of(cls, Z: Floats, reference: Reference | None = None) -> Self:
        """Sort rows (d, n), in which NaN was not observed."""
        missing = np.isnan(Z)
        order = order_of_patterns(missing)
        kept = (np.diff(order) == 1).all()
        if not kept:
            Z, missing = Z[:, order], missing[:, order]
        values, groups = np.where(missing, 0.0, Z), tuple(_groups(missing))
        return cls(values, ~missing, None if kept else order, groups, reference)

    @property
    def n_complete(self) -> int:
        """How many rows have no missing entry; they are the first of the sorted ones."""
        first = self.groups[0] if self.groups else None
        return first.rows.stop if first is not None and not first.missing.shape[1] else 0

    @property
    def parts(self) -> tuple[Floats, tuple[Group, ...]]:
        """The complete rows (d, m), and the groups of the others."""
        n = self.n_complete
        return self.values[:, :n], self.groups[1:] if n else self.groups

    @property
    def with_nan(self) -> Floats:
        """The rows of the block, (d, n), with NaN in place of what is missing."""
        return self.unsorted(np.where(self.observed, self.values, np.nan))

    @cached_property
    def n_missing(self) -> Floats:
        """The number of missing entries of each of the sorted rows, (n,)."""
        return np.asarray((~self.observed).sum(axis=0, dtype=np.float64))

    def astype(self, dtype: DTypeLike) -> Self:
        """These rows: what is missing is inferred in double precision."""
        return self

    def sorted(self, values: Floats) -> Floats:
        """Values of the rows of the block, (..., n), as those of the sorted rows."""
        return values if self.order is None else values[..., self.order]

    def unsorted(self, values: Floats) -> Floats:
        """Values of the sorted rows, (..., n), as those of the rows of the block."""
        if self.order is None:
            return values
        found = np.empty_like(values)
        found[..., self.order] = values
        return found


def order_of_patterns(missing: Bools) -> Ints:
    """The order of rows by their number of missing entries, and by which these are, (d, n) -> (n,)."""
    packed = np.packbits(missing, axis=0)
    order: Ints = np.lexsort((*packed, missing.sum(axis=0)))
    return order


def mean_block_size(missing: Bools) -> int:
    """The numbers in the block of the missing entries of a row, on average, (n, d)."""
    return int(np.square(missing.sum(axis=1, dtype=np.float64)).mean())


def _groups(missing: Bools) -> Iterator[Group]:
    """The groups of sorted rows, (d, n)."""
    d = len(missing)
    size = sizes_for(missing.sum(axis=0))
    changed = np.append(True, (missing[:, 1:] != missing[:, :-1]).any(axis=0))
    for start, stop in _runs(size):
        first = np.flatnonzero(changed[start:stop])
        pattern = np.cumsum(changed[start:stop]) - 1
        patterns = missing[:, start + first].T
        yield Group(slice(start, stop), _padded(patterns, int(size[start]), d), first, pattern)


def sizes_for(n_missing: Ints) -> Ints:
    """The places that groups have for so many missing entries: 0 to 6, 8, 10, 12, 15, ..."""
    sizes = [0]
    while sizes[-1] < n_missing.max(initial=0):
        sizes.append(max(sizes[-1] + 1, int(np.ceil(GROWTH * sizes[-1]))))
    places = np.array(sizes)
    return np.asarray(places[np.searchsorted(places, n_missing)])


def _padded(patterns: Bools, k: int, d: int) -> Ints:
    """The missing features of patterns (p, d), and stand-ins up to k of them, (p, k)."""
    n_missing = patterns.sum(axis=1)
    place = np.arange(k)
    features: Ints = d + place - n_missing[:, None]
    features[place < n_missing[:, None]] = np.nonzero(patterns)[1]
    return features


def _runs(values: Ints) -> Iterator[tuple[int, int]]:
    """Where runs of equal values begin and end."""
    ends = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
    return ((start, stop) for start, stop in pairwise(ends) if start < stop)


def incomplete(rows: Rows) -> IncompleteRows:
    """Rows of either kind as rows with missing entries, though there may be none."""
    return rows if isinstance(rows, IncompleteRows) else IncompleteRows.of(rows)


def with_nan(rows: Rows) -> Floats:
    """Rows of either kind as (d, n) with NaN in place of what is missing."""
    return rows.with_nan if isinstance(rows, IncompleteRows) else rows


def observed_rows(Z: Floats) -> Rows:
    """Rows (d, n) as kernels of Gaussians take them; NaN was not observed."""
    return IncompleteRows.of(Z) if np.isnan(Z).any() else Z


@dataclass(frozen=True, eq=False)
class ObservedStandardization:
    """A standardization of rows that may lack entries, whether or not those do that are fitted.

    Attributes
    ----------
    standardization : Standardization
    """

    standardization: Standardization

    @property
    def log_jacobian(self) -> float:
        """log |dx / dz| of a complete row, in nats."""
        return self.standardization.log_jacobian

    def log_jacobians(self, X: Floats) -> Floats:
        """log |dx / dz| of what was observed of each row, in nats: (n, d) -> (n,)."""
        return log_jacobians(self.standardization.scale, X)

    def transform(self, X: Floats) -> Rows:
        """Standardized rows, as numbers if none is missing: (n, d) -> (d, n)."""
        return observed_rows(self.standardization.transform(X))

    def inverse_transform(self, Z: Floats) -> Floats:
        """Rows in the units of the data, (n, d) -> (n, d)."""
        return self.standardization.inverse_transform(Z)


@dataclass(frozen=True, eq=False)
class PartialStandardization(ObservedStandardization):
    """A standardization of incomplete rows, and the Gaussian that says what is expected of them.

    Attributes
    ----------
    standardization : Standardization
    reference : Reference
        In standard units.
    """

    reference: Reference

    def stored_form(self, structure: Structure) -> Structure:
        """The structure in which conditional covariances are summed: that of the reference, or more."""
        own = self.reference.covariance.structure
        return structure if own.n_monomials >= structure.n_monomials else own

    def transform(self, X: Floats) -> IncompleteRows:
        """Standardized rows, even if they are complete: (n, d) -> (d, n)."""
        return IncompleteRows.of(self.standardization.transform(X), self.reference)
