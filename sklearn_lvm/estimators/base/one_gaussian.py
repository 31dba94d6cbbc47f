"""The base of estimators of one Gaussian: its moments in standard units, and whitening by it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from typing import ClassVar, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from ..._compat import Interval
from ..._typing import Bools, Floats, Ints, Rows
from ...core.gaussian.covariance import Structure
from ...core.gaussian.density import Gaussians
from ...core.gaussian.kernels import row_width
from ...core.gaussian.structure_names import COVARIANCE_TYPES
from ...core.linalg import SingularCovarianceError
from ...core.rows import canonical_with_missing
from ...core.standardization import Standardization, root_of_average
from ...fitting.one_gaussian import ColumnSummary, CompleteSummary, IncompleteTable
from ...inference.block_map import ThreadMap, block_size, slices_of
from ...inference.em import EMRun
from .closed_form import ClosedFormEstimator, NoDensityError, of_density
from .conditioning import Restrictable, Restriction
from .density import Density
from .standardized_rows import StandardizedRowsDensity
from .transaction import warn
from .validation import (
    FLOAT64,
    as_count,
    check_columns,
    check_range,
    listed,
    missing_entries,
    standardization_of,
    too_few_rows,
)

SEPARATE = {"full", "diag", "spherical"}  # a covariance of one Gaussian cannot be tied
# How rows with NaN are fitted where features are correlated.
EM_CONSTRAINTS: dict[str, list[object]] = {
    "tol": [Interval(Real, 0, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
}

M = TypeVar("M", bound=Density)
T = TypeVar("T")

OneGaussianRows = CompleteSummary | ColumnSummary | IncompleteTable


class OneGaussianEstimator(
    StandardizedRowsDensity, ClosedFormEstimator[Standardization, OneGaussianRows, M]
):
    """Base of estimators of one Gaussian, a density that its moments determine.

    Where features are correlated and entries are missing, the rows determine it, by
    expectation-maximization. A subclass makes a density of what is kept of rows (``_estimate``) and
    describes it (``_described``) with ``_gaussian_attributes``, the Gaussian by which rows are whitened
    among them, and ``_run_attributes``.
    """

    _parameter_names = ("mean_", "covariance_")
    _of_density: ClassVar[tuple[str, ...]] = (
        "covariance_",
        "precision_",
        "n_parameters_",
        "_gaussian",
        "_added_variance",
        "n_iter_",
        "converged_",
        "lower_bound_",
        "lower_bounds_",
        "_run",
    )

    covariance_type: str
    reg_covar: float
    tol: float
    max_iter: int

    mean_: Floats
    covariance_: Floats
    precision_: Floats
    n_samples_seen_: int | float
    n_iter_: int
    converged_: bool
    lower_bound_: float
    lower_bounds_: list[float]

    _gaussian: Gaussians  # of mean_ and covariance_, in standard units
    _added_variance: Floats  # what had to be added to the variances, in standard units
    _run: EMRun[None]  # the objective of each step, in standard units

    # -- statistics --------------------------------------------------------------------------------

    def _structure(self) -> Structure:
        return COVARIANCE_TYPES[self.covariance_type](self.n_features_in_)

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
        remedy = "call fit with all rows at once, or set covariance_type='diag' or 'spherical'."
        if missing_entries(X) is not None:
            raise ValueError(
                "X contains NaN, and with covariance_type='full' rows with missing entries do not add: "
                f"{remedy}"
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

    def _finished(self, run: EMRun[T]) -> T:
        """The model of a run, which is remembered without it."""
        self._run = run.with_model(None)
        return run.model

    # -- the density -------------------------------------------------------------------------------

    def _maximum(self, rows: OneGaussianRows, standardization: Standardization) -> EMRun[Gaussians]:
        """The Gaussian of the highest likelihood, regularized only where it is singular.

        Raises
        ------
        NoDensityError
            If there is none.
        """
        self._check_spread(rows, too_few_rows("a Gaussian", 1))
        self._added_variance = np.zeros(rows.structure.d)
        try:
            return rows.maximum(self._added_variance)
        except SingularCovarianceError as singular:
            cause = self._cause("the covariance is singular", singular)
        remedy = "set reg_covar > 0, or drop these features."
        self._added_variance = self._share_of_variances(rows, standardization, cause, remedy)
        with self._singular_means(cause, "raise reg_covar."):
            return rows.maximum(self._added_variance)

    @contextmanager
    def _singular_means(self, cause: str, remedy: str) -> Iterator[None]:
        """Say what to do where a covariance is singular nevertheless."""
        try:
            yield
        except SingularCovarianceError:
            raise NoDensityError(f"{cause}, even so: {remedy}") from None

    def _check_spread(self, rows: OneGaussianRows, complaint: str) -> None:
        """Raise a NoDensityError if rows are one, or hardly more."""
        if (
            _variances(rows).max() < FLOAT64.smallest_normal
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
        deviation = (
            np.sqrt(_variances(rows)) * standardization.scale
        )  # medians are taken in the units of the data
        typical = root_of_average(deviation[deviation > 0], np.median)
        size = np.where(deviation > 0, deviation, typical) / standardization.scale
        self._pending_warning = f"{cause}; reg_covar={self.reg_covar:g} of each variance was added."
        return np.asarray(self.reg_covar * size**2)

    def _cause(self, what: str, singular: SingularCovarianceError) -> str:
        names = getattr(self, "feature_names_in_", range(self.n_features_in_))
        named = listed([names[j] for j in singular.features])
        return f"{what}: features {named} are constant or follow from others"

    def _summary(
        self, rows: OneGaussianRows, standardization: Standardization
    ) -> dict[str, object]:
        return {"n_samples_seen_": as_count(rows.n_rows)}

    def _run_attributes(
        self, rows: OneGaussianRows, standardization: Standardization, unit: float
    ) -> dict[str, object]:
        """Fitted attributes of the iteration, its objective times a unit of weight."""
        run, level = self._run, rows.log_jacobian(standardization) / rows.n_rows
        about: dict[str, object] = {"n_iter_": run.n_iter, "converged_": run.converged}
        bounds = [unit * (bound - level) for bound in run.trace]
        if not bounds:
            return about
        return about | {"lower_bound_": bounds[-1], "lower_bounds_": bounds[1:] or bounds}

    def _mean(self, mean: Floats, standardization: Standardization) -> Floats:
        """A mean in the units and the precision of the data."""
        return standardization.inverse_transform(mean).astype(self._dtype)

    @np.errstate(all="ignore")  # in extreme units
    def _gaussian_attributes(
        self, gaussian: Gaussians, standardization: Standardization
    ) -> dict[str, object]:
        """Fitted attributes of a Gaussian but for its mean, by which rows are whitened."""
        covariance = gaussian.covariance.rescale(standardization.scale)
        return {
            "covariance_": covariance.matrix[0].astype(self._dtype),
            "precision_": covariance.precision[0].astype(self._dtype),
            "n_parameters_": gaussian.n_parameters(),
            "_gaussian": gaussian,
        }

    def _restricted(self, kept: Ints, restrict: Restriction) -> dict[str, object]:
        gaussian, units = restrict(self._gaussian), self._transformation.of_features(kept)
        return {
            "mean_": self._mean(gaussian.mean[0], units),
            **self._gaussian_attributes(gaussian, units),
            **of_density(restrict(cast(Restrictable, self._density)), units),
        }

    # -- rows --------------------------------------------------------------------------------------

    def transform(self, X: ArrayLike) -> Floats:
        """Whiten rows: z = inv(L) (x - m), with L the lower Cholesky factor of the covariance.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN was not observed, and takes its conditional mean given the other entries of the row.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_features)
            Of mean 0 and covariance 1 under the Gaussian, if X is complete.
        """
        rows = self._check_rows(X)
        self._density_or_raise()
        gaussian = self._gaussian

        def prepare() -> Callable[[Rows], Floats]:
            whiten = gaussian.covariance.whitener(gaussian.mean)
            return lambda block: whiten(_completed(gaussian, block))[0]

        return self._by_block(rows, prepare).T.astype(rows.dtype)

    def inverse_transform(self, Z: ArrayLike) -> Floats:
        """Undo ``transform``: x = m + L z.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_features)

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
        """
        check_is_fitted(self)
        whitened = check_columns(Z, "Z", self.n_features_in_)
        self._density_or_raise()
        gaussian = self._gaussian
        with np.errstate(over="ignore"):  # rows that are no floating point numbers are infinite
            rows = gaussian.covariance.colorize(whitened.astype(np.float64), 0) + gaussian.mean
            return self._transformation.inverse_transform(rows).astype(whitened.dtype)

    def _latent_of(self, X: Floats, latent: object) -> Floats:
        return self.transform(X)

    def _width(self) -> int:
        return row_width(self._gaussian.covariance.structure, 1)

    @property
    def _n_features_out(self) -> int:
        return self.n_features_in_


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


def _variances(rows: OneGaussianRows) -> Floats:
    """The variances of observed entries, (d,)."""
    typical = rows.typical
    return np.asarray(typical.structure.diagonal(typical.scatter)[0] / typical.dof)


def _completed(gaussian: Gaussians, rows: Rows) -> Floats:
    """Rows (d, n) with conditional means in place of missing entries."""
    if isinstance(rows, np.ndarray):
        return rows
    return np.asarray(gaussian.conditionals(rows).mean[0])
