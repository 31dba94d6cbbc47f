"""The rows of a table whose columns are cut into blocks, each with a family of its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Generic

import numpy as np

from .._typing import Floats, Ints, Rows, Slice, Table
from ..core.family import C, Family, S
from ..core.gaussian.missing import IncompleteRows, PartialStandardization
from ..core.gaussian.partial import filled
from ..core.product import PartialTransformation, ProductFamily, ProductTransformation
from ..core.rows import Transformation
from ..core.standardization import Standardization
from .incomplete_rows import StandardizedRowSource, sorted_by_pattern


@dataclass(frozen=True, eq=False)
class ColumnBlock(Generic[C, S]):
    """Some columns of a table: the units in which they are fitted, and the family of their densities.

    Attributes
    ----------
    columns : ndarray of int
    transformation : PartialTransformation
        Of these columns.
    family : Family
    """

    columns: Ints
    transformation: PartialTransformation
    family: Family[C, S]


def product_transformation(blocks: Sequence[ColumnBlock[C, S]]) -> ProductTransformation:
    """The units of all blocks."""
    transformations = tuple(block.transformation for block in blocks)
    return ProductTransformation(transformations, tuple(block.columns for block in blocks))


def product_family(blocks: Sequence[ColumnBlock[C, S]]) -> ProductFamily[C, S]:
    """The family of the products of the densities of all blocks."""
    families = tuple(block.family for block in blocks)
    return ProductFamily(families, tuple(block.columns for block in blocks))


@dataclass(frozen=True, eq=False)
class ProductRowSource(StandardizedRowSource):
    """Rows of a table of numbers, cut by columns; NaN was not observed.

    Starts and samples see each column in units of its own, whatever the blocks compute with.
    """

    @cached_property
    def _points(self) -> Floats:
        completed, known = np.array(self.X, dtype=np.float64), self.transformation
        assert isinstance(known, ProductTransformation)
        for each, columns, rows in zip(
            known.transformations, known.columns, self.block.blocks, strict=True
        ):
            completed[:, columns] = _completed(completed[:, columns], each, rows)
        # What is still missing stands at the center of its column.
        return np.nan_to_num(self.standardization.transform(completed), nan=0.0).T

    def points(self) -> Floats:
        """Rows (n, D) for clustering: numbers of scale 1, none of them missing."""
        return self._points


def _completed(X: Floats, transformation: Transformation, rows: Rows) -> Floats:
    """Columns (n, d) with what is expected of missing entries, where the rows of a block know that."""
    if not isinstance(rows, IncompleteRows) or rows.reference is None:
        return X
    expected = transformation.inverse_transform(filled(rows).T)
    return np.where(np.isnan(X), expected, X)


def product_rows(
    X: Floats,
    w: Floats,
    blocks: Sequence[ColumnBlock[C, S]],
    slices_of: Callable[[Table], list[Slice]],
) -> ProductRowSource:
    """The rows of a table, as a mixture of products of densities is fitted to them.

    Parameters
    ----------
    X : ndarray of shape (n, D)
        NaN was not observed. Each column has an observed entry of positive weight.
    w : ndarray of shape (n,)
    blocks : sequence of ColumnBlock
        Each column is in one of them.
    slices_of : callable
        From a table to the slices of its blocks of rows.
    """
    transformation = product_transformation(blocks)
    pairs = zip(transformation.transformations, transformation.columns, strict=True)
    partial = [own for each, own in pairs if isinstance(each, PartialStandardization)]
    if partial:
        X, w = sorted_by_pattern(X, w, np.concatenate(partial))
    standardization = Standardization.of_observed(X, w, per_feature=True)
    return ProductRowSource(X, w, transformation, slices_of, standardization=standardization)
