"""Blocks of rows as the stacked features of their columns."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import DTypeLike

from ..._typing import Floats
from .columns import Column


@dataclass(frozen=True, eq=False)
class FeatureRows:
    """A block of n rows, and what the families of d columns make of it.

    Attributes
    ----------
    values : ndarray of shape (d, n)
        The entries; NaN is missing.
    phi : ndarray of shape (P, n)
        The features of all columns, one column after another.
    base : ndarray of shape (n,)
        The summed base of each row, in nats.
    """

    values: Floats
    phi: Floats
    base: Floats

    @property
    def shape(self) -> tuple[int, ...]:
        """(d, n)."""
        return self.values.shape

    def astype(self, dtype: DTypeLike, copy: bool = True) -> Self:
        """These rows: counts and probabilities are not rounded."""
        return self


@dataclass(frozen=True, eq=False)
class FeatureMap:
    """The transformation of a table, whose entries stay what they are, to the features of columns.

    Attributes
    ----------
    columns : tuple of Column
    """

    columns: tuple[Column, ...]

    @property
    def log_jacobian(self) -> float:
        """0: entries keep their units."""
        return 0.0

    def transform(self, X: Floats) -> FeatureRows:
        """Rows (n, d) as a block."""
        return feature_rows(self.columns, np.asarray(X, dtype=np.float64).T)

    def inverse_transform(self, Z: Floats) -> Floats:
        """Rows, (n, d), as they are."""
        return Z


def feature_rows(columns: tuple[Column, ...], values: Floats) -> FeatureRows:
    """A block of the entries (d, n) of some columns."""
    pairs = list(zip(columns, values, strict=True))
    phi = np.concatenate([column.features(x) for column, x in pairs])
    base = np.sum([np.where(np.isnan(x), 0.0, column.base(x)) for column, x in pairs], axis=0)
    return FeatureRows(values, phi, base)
