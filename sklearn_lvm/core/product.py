"""Products of densities: blocks of columns that are independent given the component.

log p_k(x) = sum_b log p_kb(x_b). Each block has a family of its own, and whatever a mixture asks of a
family is asked of the blocks one by one: log-densities add up, and everything else stands side by side.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Generic, NamedTuple, Protocol, Self, TypeVar, cast

import numpy as np
from numpy.typing import DTypeLike

from .._typing import Features, Floats, Ints, Rows, Table
from .conditionals import Conditionals
from .family import C, D, Family, Kernel, PartialComponents, S, ScoringComponents
from .linalg import SingularCovarianceError
from .rows import Transformation

P = TypeVar("P", bound=PartialComponents)
T = TypeVar("T")


@dataclass(frozen=True, eq=False)
class ProductRows:
    """A block of rows, cut by columns.

    Attributes
    ----------
    blocks : tuple
        The same rows as the kernel of each block of columns takes them.
    """

    blocks: tuple[Rows, ...]

    def astype(self, dtype: DTypeLike) -> Self:
        """These rows in another precision."""
        return type(self)(tuple(block.astype(dtype) for block in self.blocks))


class PartialTransformation(Transformation, Protocol):
    """A transformation of rows of which some entries may be missing."""

    def log_jacobians(self, X: Table, /) -> Floats:
        """log |dx / dz| of what was observed of each row, in nats, (n,)."""
        ...


@dataclass(frozen=True, eq=False)
class ProductTransformation:
    """The units of each block of columns.

    Attributes
    ----------
    transformations : tuple of PartialTransformation
    columns : tuple of ndarray of int
        The columns of each block; together they are all columns, each once.
    """

    transformations: tuple[PartialTransformation, ...]
    columns: tuple[Ints, ...]

    @property
    def log_jacobian(self) -> float:
        """log |dx / dz| of a complete row, in nats."""
        return sum(each.log_jacobian for each in self.transformations)

    def log_jacobians(self, X: Floats) -> Floats:
        """log |dx / dz| of what was observed of each row, in nats, (n, D) -> (n,)."""
        pairs = zip(self.transformations, self.columns, strict=True)
        return np.asarray(sum(each.log_jacobians(X[:, columns]) for each, columns in pairs))

    def transform(self, X: Floats) -> ProductRows:
        """Rows (n, D), cut by columns."""
        pairs = zip(self.transformations, self.columns, strict=True)
        return ProductRows(tuple(each.transform(X[:, columns]) for each, columns in pairs))

    def inverse_transform(self, Z: Floats) -> Floats:
        """Rows in the units of the data, (n, D) -> (n, D)."""
        pairs = zip(self.transformations, self.columns, strict=True)
        return _joined((each.inverse_transform(Z[:, own]) for each, own in pairs), self.columns)


def _joined(parts: Iterator[Floats], columns: Sequence[Ints], axis: int = 1) -> Floats:
    """Arrays of the columns of each block, side by side in the order of the table."""
    return np.take(
        np.concatenate(list(parts), axis=axis), np.argsort(np.concatenate(columns)), axis
    )


@dataclass(frozen=True, eq=False)
class ProductStatistics(Generic[S]):
    """The statistics of each block of columns, of the same rows under the same weights."""

    parts: tuple[S, ...]

    @property
    def weight(self) -> Floats:
        """Summed responsibilities, (K,)."""
        return self.parts[0].weight

    def __add__(self, other: Self) -> Self:
        return type(self)(tuple(a + b for a, b in zip(self.parts, other.parts, strict=True)))

    def tiled(self, n: int) -> Self:
        """Those of K densities n times over, for n K densities."""
        return type(self)(tuple(part.tiled(n) for part in self.parts))


@dataclass(frozen=True, eq=False)
class ProductKernel(Generic[S]):
    """The kernel of each block of columns; the first one knows the log-weights."""

    kernels: tuple[Kernel[S], ...]

    @property
    def condition_number(self) -> float:
        """By how much a rounding error of a row grows in its log-density: that of the worst block."""
        return max(kernel.condition_number for kernel in self.kernels)

    def features(self, rows: ProductRows) -> tuple[Features, ...]:
        """What each kernel computes from."""
        pairs = zip(self.kernels, rows.blocks, strict=True)
        return tuple(kernel.features(block) for kernel, block in pairs)

    def log_prob(self, features: tuple[Features, ...]) -> Floats:
        """Log-densities, log-weights included, (K, n)."""
        first, *others = zip(self.kernels, features, strict=True)
        total = first[0].log_prob(first[1])
        for kernel, known in others:
            total += kernel.log_prob(known)
        return total

    def accumulate(self, features: tuple[Features, ...], resp: Floats) -> tuple[Floats, ...]:
        """The sums of all blocks of columns, one after the other.

        How many there are of each depends on the rows. The first array says so, with a one at its end
        that counts how often it was added up.
        """
        pairs = zip(self.kernels, features, strict=True)
        sums = [kernel.accumulate(known, resp) for kernel, known in pairs]
        counts = np.array([*map(len, sums), 1], dtype=np.float64)
        return (counts, *(array for arrays in sums for array in arrays))

    def statistics(self, total: tuple[Floats, ...]) -> ProductStatistics[S]:
        """The statistics of which these are the sums over all rows."""
        counts, *arrays = total
        parts = _cut(arrays, np.rint(counts[:-1] / counts[-1]).astype(int).tolist())
        pairs = zip(self.kernels, parts, strict=True)
        return ProductStatistics(tuple(kernel.statistics(part) for kernel, part in pairs))


def _cut(items: Sequence[T], counts: Sequence[int]) -> list[tuple[T, ...]]:
    """So many of the items, and as many of the next as the second count says, and so on."""
    ends = accumulate(counts, initial=0)
    return [tuple(items[start:end]) for start, end in pairwise(ends)]


class _Known(NamedTuple):
    """Of a block of columns: where in it some features are, and where they are among the features."""

    inside: Ints
    place: Ints


@dataclass(frozen=True, eq=False)
class ProductComponents(Generic[D]):
    """K densities, each a product of densities of blocks of columns.

    Attributes
    ----------
    parts : tuple of ScoringComponents
        K densities of each block.
    columns : tuple of ndarray of int
        The columns of each block.

    Examples
    --------
    A Gaussian and a coin that are independent given the component. Their log-densities add up:

    >>> import numpy as np
    >>> from sklearn_lvm.core.bernoulli.binary_rows import binary_rows
    >>> from sklearn_lvm.core.bernoulli.density import Bernoullis
    >>> from sklearn_lvm.core.gaussian.density import Gaussians
    >>> from sklearn_lvm.core.gaussian.full import Full
    >>> from sklearn_lvm.core.product import ProductComponents, ProductRows
    >>> size = Gaussians(np.zeros((1, 1)), Full(1).from_public(np.ones((1, 1, 1))))
    >>> coin = Bernoullis.of(np.ones((1, 1)), np.ones((1, 1)))
    >>> both = ProductComponents((size, coin), (np.array([0]), np.array([1])))
    >>> rows = ProductRows((np.zeros((1, 1)), binary_rows(np.ones((1, 1)), 0.5)))
    >>> kernel = both.kernel(np.zeros(1))
    >>> np.exp(kernel.log_prob(kernel.features(rows))).round(4), (0.5 / np.sqrt(2 * np.pi)).round(4)
    (array([[0.1995]]), np.float64(0.1995))
    """

    parts: tuple[D, ...]
    columns: tuple[Ints, ...]

    def kernel(self, log_weights: Floats) -> ProductKernel[S]:
        """The E-step kernel of these densities; log-weights (K,) are added once."""
        pairs = zip(self.parts, _only_once(log_weights, len(self.parts)), strict=True)
        kernels = tuple(cast(Kernel[S], part.kernel(logs)) for part, logs in pairs)
        return ProductKernel(kernels)

    def sample(self, labels: Ints, rng: np.random.RandomState) -> Floats:
        """Draw a row for each label, (n, D)."""
        return _joined((part.sample(labels, rng) for part in self.parts), self.columns)

    def n_parameters(self) -> int:
        """Count free parameters: those of all blocks."""
        return sum(part.n_parameters() for part in self.parts)

    def subset(self, chosen: Ints) -> Self:
        """Some of the densities."""
        return type(self)(tuple(part.subset(chosen) for part in self.parts), self.columns)

    # -- coordinates -------------------------------------------------------------------------------

    def pooled(self: "ProductComponents[C]", weights: Floats) -> "ProductComponents[C]":
        """Of each block the one density in units of which its coordinates are."""
        return ProductComponents(tuple(part.pooled(weights) for part in self.parts), self.columns)

    def to_coordinates(
        self: "ProductComponents[C]", reference: "ProductComponents[C]"
    ) -> tuple[Floats, ...]:
        """The coordinates of all blocks, one after the other."""
        pairs = zip(self.parts, reference.parts, strict=True)
        return tuple(array for part, known in pairs for array in part.to_coordinates(known))

    def from_coordinates(
        self: "ProductComponents[C]", coordinates: tuple[Floats, ...]
    ) -> "ProductComponents[C]":
        """The densities that have these coordinates in units of this reference."""
        counts = [len(part.to_coordinates(part)) for part in self.parts]
        pairs = zip(self.parts, _cut(coordinates, counts), strict=True)
        parts = tuple(part.from_coordinates(own) for part, own in pairs)
        return ProductComponents(parts, self.columns)

    # -- missing entries, and some of the columns ----------------------------------------------------

    def conditionals(self: "ProductComponents[P]", rows: ProductRows) -> Conditionals:
        """Each missing entry given the observed ones of its own block: others do not matter."""
        pairs = zip(self.parts, rows.blocks, strict=True)
        found = [part.conditionals(block) for part, block in pairs]
        mean = _joined((each.mean for each in found), self.columns)
        square = _joined((each.square for each in found), self.columns)
        dofs = (np.broadcast_to(each.dof_of_entries, each.mean.shape) for each in found)
        return Conditionals(mean, square, _joined(dofs, self.columns))

    def draw_missing(
        self: "ProductComponents[P]", rows: ProductRows, labels: Ints, rng: np.random.RandomState
    ) -> Floats:
        """Rows (n, D) with a draw in place of missing entries, each from the density of its label."""
        pairs = zip(self.parts, rows.blocks, strict=True)
        drawn = (part.draw_missing(block, labels, rng) for part, block in pairs)
        return _joined(drawn, self.columns)

    def marginal(self: "ProductComponents[P]", features: Ints) -> "ProductComponents[P]":
        """The densities of some of the features; blocks of which there are none are left out."""
        known = self._known(features)
        held = [b for b, each in enumerate(known) if len(each.inside)]
        parts = tuple(self.parts[b].marginal(known[b].inside) for b in held)
        return ProductComponents(parts, tuple(known[b].place for b in held))

    def conditional(
        self: "ProductComponents[P]", features: Ints, values: Floats
    ) -> tuple[Floats, "ProductComponents[P]"]:
        """Log-densities (K,) of values of some features, and densities of the others given these.

        The features are known in the blocks that they belong to, and say nothing of other blocks.
        """
        others = np.delete(np.arange(sum(map(len, self.columns))), features)
        log_prob: Floats | float = 0.0
        parts, places = [], []
        triples = zip(self.parts, self._known(features), self._known(others), strict=True)
        for whole, known, rest in triples:
            part = whole
            if len(known.inside):
                given, part = whole.conditional(known.inside, values[known.place])
                log_prob = log_prob + given
            if len(rest.inside):
                parts.append(part)
                places.append(rest.place[np.argsort(rest.inside)])  # in the order of the block
        return np.asarray(log_prob), ProductComponents(tuple(parts), tuple(places))

    def _known(self, features: Ints) -> list[_Known]:
        """Where features are in each block."""
        owner = np.concatenate([np.full(len(own), b) for b, own in enumerate(self.columns)])
        inside = np.concatenate([np.arange(len(own)) for own in self.columns])
        order = np.argsort(np.concatenate(self.columns))
        owner, inside = owner[order][features], inside[order][features]
        places = [np.flatnonzero(owner == b) for b in range(len(self.columns))]
        return [_Known(inside[place], place) for place in places]


def _only_once(log_weights: Floats, n: int) -> list[Floats]:
    """Log-weights for the first of n kernels, which are added up."""
    return [log_weights, *[np.zeros_like(log_weights)] * (n - 1)]


@dataclass(frozen=True, eq=False)
class ProductFamily(Generic[C, S]):
    """Estimation of products of densities: of each block by its own family.

    Given the responsibilities the bound of EM is a sum over blocks, so that the M-step of each block
    alone is the M-step of all.

    Attributes
    ----------
    families : tuple of Family
    columns : tuple of ndarray of int
        The columns of each block.
    """

    families: tuple[Family[C, S], ...]
    columns: tuple[Ints, ...]

    @property
    def n_parts(self) -> int:
        """The least of the blocks, so that none is estimated from too few rows."""
        return min(family.n_parts for family in self.families)

    def statistics(self, rows: ProductRows, resp: Floats) -> ProductStatistics[S]:
        """Measure each block of rows under K sets of weights, (K, n)."""
        pairs = zip(self.families, rows.blocks, strict=True)
        return ProductStatistics(tuple(family.statistics(block, resp) for family, block in pairs))

    def estimate(
        self, statistics: ProductStatistics[S], current: ProductComponents[C] | None = None
    ) -> ProductComponents[C]:
        """The next densities of each block.

        Raises
        ------
        SingularCovarianceError
            If that of a block is; its features are columns of the table.
        """
        last = [None] * len(self.families) if current is None else current.parts
        parts = []
        for family, own, part, columns in zip(
            self.families, statistics.parts, last, self.columns, strict=True
        ):
            with _named_by(columns):
                parts.append(family.estimate(own, part))
        return ProductComponents(tuple(parts), self.columns)

    def kernel(self, components: ProductComponents[C], log_weights: Floats) -> ProductKernel[S]:
        """The kernel of the E-step: log-densities of all blocks, each with its penalty, added up."""
        logs = _only_once(log_weights, len(self.families))
        triples = zip(self.families, components.parts, logs, strict=True)
        return ProductKernel(tuple(family.kernel(part, each) for family, part, each in triples))

    def log_prior(self, components: ProductComponents[C]) -> float:
        """What the objective adds to the log-likelihood, of all blocks together, in nats."""
        pairs = zip(self.families, components.parts, strict=True)
        return sum(family.log_prior(part) for family, part in pairs)

    def predictive(self, components: ProductComponents[C]) -> ProductComponents[ScoringComponents]:
        """The densities that score rows: the product of those of the blocks."""
        pairs = zip(self.families, components.parts, strict=True)
        parts = tuple(family.predictive(part) for family, part in pairs)
        return ProductComponents(parts, self.columns)


@contextmanager
def _named_by(columns: Ints) -> Iterator[None]:
    """Features of a block as columns of the table, where a covariance is singular."""
    try:
        yield
    except SingularCovarianceError as failure:
        features = tuple(columns[list(failure.features)].tolist())
        raise SingularCovarianceError(failure.component, features) from None
