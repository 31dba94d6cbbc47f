"""The base of estimators that moments of rows determine: these moments, in standard units."""

from typing import ClassVar, TypeVar

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from ..._typing import Bools, Floats
from ...core.gaussian.covariance import Structure
from ...core.linalg import SingularCovarianceError
from ...core.rows import canonical_with_missing
from ...core.standardization import Standardization, root_of_average
from ...fitting.one_gaussian import ColumnSummary, CompleteSummary, IncompleteTable
from ...inference.block_map import ThreadMap, block_size, slices_of
from .closed_form import ClosedFormEstimator, NoDensityError
from .density import Density
from .standardized_rows import StandardizedRowsDensity
from .transaction import warn
from .validation import (
    FLOAT64,
    as_count,
    check_range,
    listed,
    missing_entries,
    standardization_of,
)

M = TypeVar("M", bound=Density)

OneGaussianRows = CompleteSummary | ColumnSummary | IncompleteTable


class MomentsEstimator(
    StandardizedRowsDensity, ClosedFormEstimator[Standardization, OneGaussianRows, M]
):
    """Base of estimators of one density that mean and scatter of the rows determine.

    Where features are correlated and entries are missing, the rows determine it, by
    expectation-maximization. A subclass says which entries of the scatter it needs (``_structure``).
    """

    _correlated: ClassVar[str]  # when rows with missing entries do not add
    _remedy_of_batches: ClassVar[str]

    reg_covar: float
    tol: float
    max_iter: int

    mean_: Floats
    n_samples_seen_: int | float

    def _structure(self) -> Structure:
        """That of the scatter."""
        raise NotImplementedError

    # -- statistics --------------------------------------------------------------------------------

    def _measured(self, X: Floats, w: Floats) -> tuple[Standardization, OneGaussianRows]:
        structure = self._structure()
        standardization = standardization_of(
            X, w, Standardization.of_observed, per_feature=structure.per_feature
        )
        return standardization, self._kept(X, w, standardization)

    def _kept(self, X: Floats, w: Floats, standardization: Standardization) -> OneGaussianRows:
        """What is kept of rows in standard units."""
        structure = self._structure()
        if missing_entries(X) is None:
            return _summary_of(CompleteSummary, X, w, standardization, structure)
        if self._by_column:
            return _summary_of(ColumnSummary, X, w, standardization, structure)
        return IncompleteTable.of(
            X,
            w,
            standardization.transform,
            structure,
            tol=float(self.tol),
            max_iter=int(self.max_iter),
        )

    @property
    def _by_column(self) -> bool:
        """Whether a missing entry says nothing, as features are independent."""
        return self._structure().wishart_size == 1

    def _check_batch(self, X: Floats) -> None:
        if self._by_column:
            return
        remedy = self._remedy_of_batches
        if missing_entries(X) is not None:
            raise ValueError(
                f"X contains NaN, and {self._correlated} rows with missing entries do not add: {remedy}"
            )
        if isinstance(getattr(self, "_statistics", None), IncompleteTable):
            raise ValueError(
                f"partial_fit cannot go on from a fit to rows that contain NaN: {remedy}"
            )

    def _joined(self, X: Floats, w: Floats) -> tuple[Standardization, OneGaussianRows]:
        structure, seen = self._structure(), self._statistics
        if seen.structure != structure:
            raise ValueError(
                f"covariance_type={self.covariance_type!r} differs from that of the rows seen so "
                "far; call fit to start anew."
            )
        constant = structure.diagonal(seen.typical.scatter)[0] == 0
        standardization = self._units_for(X, w, constant)
        # A constant feature has a mean and a scatter of zero: they are so in any units.
        factor = np.divide(
            self._transformation.scale,
            standardization.scale,
            where=~constant,
            out=np.ones(len(standardization.scale)),
        )
        new = self._kept(X, w, standardization)
        assert not isinstance(seen, IncompleteTable)
        assert not isinstance(new, IncompleteTable)
        return standardization, seen.rescaled(factor) + new

    def _units_for(self, X: Floats, w: Floats, constant: Bools) -> Standardization:
        """The units so far, adapted to a batch; of features that were constant they are those of it."""
        per_feature = self._structure().per_feature
        rows = self._without_empty_columns(X, w)
        fresh = standardization_of(rows, w, Standardization.of_observed, per_feature=per_feature)
        with np.errstate(over="ignore"):
            found = self._transformation.rescaled_for(constant, fresh, per_feature=per_feature)
        check_range(found.center, found.scale)
        return found

    def _without_empty_columns(self, X: Floats, w: Floats) -> Floats:
        """A batch with the center in columns of which nothing was observed: they say nothing."""
        missing = missing_entries(X)
        if missing is None or not (empty := missing[w > 0].all(axis=0)).any():
            return X
        return np.where(empty, self._transformation.center, X)

    # -- fitting -----------------------------------------------------------------------------------

    def _fit_rows(self, X: Floats, w: Floats) -> None:
        super()._fit_rows(X, w)
        if isinstance(self._statistics, IncompleteTable):
            self._statistics = self._statistics.without_rows()
            self._warn_of_run()
        elif self._pending_warning is not None:
            # A singular covariance magnifies rounding: measured on the canonical set, not even the
            # last digit tells weights from repetitions, or one order of the rows from another.
            rows = canonical_with_missing(X, w)
            super()._fit_rows(X[rows.index], rows.weight)

    def _warn_of_run(self) -> None:
        if not getattr(self, "converged_", True):
            warn(
                f"EM had not converged after max_iter={self.max_iter} steps. Raise max_iter or tol. "
                "Few rows of many features need a prior: see EMGaussianMixture(n_components=1).",
                ConvergenceWarning,
            )

    def _check_spread(self, rows: OneGaussianRows, complaint: str) -> None:
        """Raise a NoDensityError if rows are one, or hardly more."""
        if (
            variances_of(rows).max() < FLOAT64.smallest_normal
        ):  # what one row of all the weight leaves
            raise NoDensityError(complaint)

    def _share_of_variances(
        self, rows: OneGaussianRows, standardization: Standardization, cause: str, remedy: str
    ) -> Floats:
        """What reg_covar adds to each variance; using the density warns of it.

        Raises
        ------
        NoDensityError
            If ``reg_covar`` is 0.
        """
        if self.reg_covar == 0:
            raise NoDensityError(f"{cause}; {remedy}")
        self._pending_warning = f"{cause}; reg_covar={self.reg_covar:g} of each variance was added."
        return self._added_to_each(rows, standardization)

    def _added_to_each(self, rows: OneGaussianRows, standardization: Standardization) -> Floats:
        """reg_covar times each variance, or times the median of the others' where it is 0, (d,)."""
        deviation = (
            np.sqrt(variances_of(rows)) * standardization.scale
        )  # medians are taken in the units of the data
        typical = root_of_average(deviation[deviation > 0], np.median)
        size = np.where(deviation > 0, deviation, typical) / standardization.scale
        return np.asarray(self.reg_covar * size**2)

    def _cause(self, what: str, singular: SingularCovarianceError) -> str:
        names = getattr(self, "feature_names_in_", range(self.n_features_in_))
        named = listed([names[j] for j in singular.features])
        return f"{what}: features {named} are constant or follow from others"

    def _summary(
        self, rows: OneGaussianRows, standardization: Standardization
    ) -> dict[str, object]:
        return {"n_samples_seen_": as_count(rows.n_rows)}

    def _mean(self, mean: Floats, standardization: Standardization) -> Floats:
        """A mean in the units and the precision of the data."""
        return standardization.inverse_transform(mean).astype(self._dtype)


def _summary_of(
    kind: type[CompleteSummary] | type[ColumnSummary],
    X: Floats,
    w: Floats,
    standardization: Standardization,
    structure: Structure,
) -> CompleteSummary | ColumnSummary:
    """What is kept of rows in standard units, measured in blocks."""

    def of_rows(rows: slice) -> CompleteSummary | ColumnSummary:
        return kind.of(standardization.transform(X[rows]), w[rows], structure)

    with ThreadMap() as block_map:
        return block_map.sum(of_rows, slices_of(len(X), block_size(3 * X.shape[1])))


def variances_of(rows: OneGaussianRows) -> Floats:
    """The variances of observed entries, (d,)."""
    typical = rows.typical
    return np.asarray(typical.structure.diagonal(typical.scatter)[0] / typical.dof)
