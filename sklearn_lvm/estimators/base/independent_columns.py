"""The base of densities in closed form whose columns are independent of each other."""

from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import OneToOneFeatureMixin

from ..._typing import Floats, Table
from ...core.exponential.columns import possible
from ...core.exponential.rows import FeatureMap, FeatureRows
from .closed_form import ClosedFormEstimator
from .density import Density
from .validation import result_dtype


class EntryComponents(Protocol):
    """Densities that tell the log-density of each entry."""

    def entries(self, rows: FeatureRows, /) -> Floats:
        """(K, d, n); 0 where an entry is missing."""
        ...


class EntryDensity(Density, Protocol):
    """A density of independent entries: a mixture of one component."""

    @property
    def components(self) -> EntryComponents: ...


S = TypeVar("S")
D = TypeVar("D", bound=EntryDensity)


class IndependentColumnsEstimator(OneToOneFeatureMixin, ClosedFormEstimator[FeatureMap, S, D]):
    """Base of densities of independent columns, each of an exponential family or a mixture of one."""

    def _known_values(self, row: Floats) -> Floats:
        return row[0]

    def _log_prob(self, X: Table) -> Floats:
        return possible(super()._log_prob(X))

    def transform(self, X: ArrayLike) -> Floats:
        """Compute the log-density of each entry; each row sums to its score.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        log_prob : ndarray of shape (n_samples, n_features)
            In nats; 0 where nothing was observed.
        """
        table = self._check_rows(X)
        components = self._density_or_raise().components

        def entries(rows: FeatureRows) -> Floats:
            return possible(components.entries(rows)[0])

        found = self._by_block(table, lambda: entries).T
        return np.asarray(found.astype(result_dtype(table)))
