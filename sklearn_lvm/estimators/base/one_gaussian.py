"""The base of estimators of one Gaussian: its moments in standard units, and whitening by it."""

from collections.abc import Callable
from typing import ClassVar, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from ..._typing import Floats, Ints
from ...core.gaussian.covariance import Structure
from ...core.gaussian.density import GaussianFamily, Gaussians
from ...core.gaussian.kernels import row_width
from ...core.gaussian.moments import Moments
from ...core.gaussian.structure_names import COVARIANCE_TYPES
from ...core.linalg import SingularCovarianceError
from ...core.rows import canonical
from ...core.standardization import Standardization, root_of_average
from ...inference.block_map import ThreadMap, block_size, slices_of
from .closed_form import ClosedFormEstimator, NoDensityError, of_density
from .conditioning import Restrictable, Restriction
from .density import Density
from .validation import (
    FLOAT64,
    as_count,
    check_columns,
    check_range,
    listed,
    standardization_of,
    too_few_rows,
)

SEPARATE = {"full", "diag", "spherical"}  # a covariance of one Gaussian cannot be tied

M = TypeVar("M", bound=Density)


class OneGaussianEstimator(ClosedFormEstimator[Standardization, Moments, M]):
    """Base of estimators of one Gaussian, a density that its moments determine.

    A subclass makes a density of moments (``_estimate``) and describes it (``_described``) with
    ``_gaussian_attributes``, the Gaussian by which rows are whitened among them.
    """

    _parameter_names = ("mean_", "covariance_")
    _of_density: ClassVar[tuple[str, ...]] = (
        "covariance_",
        "precision_",
        "n_parameters_",
        "_gaussian",
        "_added_variance",
    )

    covariance_type: str
    reg_covar: float

    mean_: Floats
    covariance_: Floats
    precision_: Floats
    n_samples_seen_: int | float

    _gaussian: Gaussians  # of mean_ and covariance_, in standard units
    _added_variance: Floats  # what had to be added to the variances, in standard units

    # -- statistics --------------------------------------------------------------------------------

    def _structure(self) -> Structure:
        return COVARIANCE_TYPES[self.covariance_type](self.n_features_in_)

    def _measured(self, X: Floats, w: Floats) -> tuple[Standardization, Moments]:
        structure = self._structure()
        standardization = standardization_of(
            X, w, Standardization.of, per_feature=structure.per_feature
        )
        return standardization, _moments(X, w, standardization, structure)

    def _joined(self, X: Floats, w: Floats) -> tuple[Standardization, Moments]:
        structure, moments = self._structure(), self._statistics
        if moments.structure != structure:
            raise ValueError(
                f"covariance_type={self.covariance_type!r} differs from that of the rows seen so "
                "far; call fit to start anew."
            )
        constant = structure.diagonal(moments.scatter)[0] == 0
        fresh = standardization_of(X, w, Standardization.of, per_feature=structure.per_feature)
        with np.errstate(over="ignore"):
            standardization = self._transformation.rescaled_for(
                constant, fresh, per_feature=structure.per_feature
            )
        check_range(standardization.center, standardization.scale)
        # A constant feature has a mean and a scatter of zero: they are so in any units.
        factor = np.divide(
            self._transformation.scale,
            standardization.scale,
            where=~constant,
            out=np.ones(len(standardization.scale)),
        )
        return standardization, moments.rescaled(factor) + _moments(
            X, w, standardization, structure
        )

    def _fit_rows(self, X: Floats, w: Floats) -> None:
        super()._fit_rows(X, w)
        if self._pending_warning is not None:
            # A singular covariance magnifies rounding: measured on the canonical set, not even the
            # last digit tells weights from repetitions, or one order of the rows from another.
            rows = canonical(X, w)
            super()._fit_rows(X[rows.index], rows.weight)

    # -- the density -------------------------------------------------------------------------------

    def _maximum(self, moments: Moments, standardization: Standardization) -> Gaussians:
        """The Gaussian of the highest likelihood, regularized only where it is singular.

        Raises
        ------
        NoDensityError
            If there is none.
        """
        self._check_spread(moments, too_few_rows("a Gaussian", 1))
        self._added_variance = np.zeros(moments.structure.d)
        try:
            return self._regularized(moments)
        except SingularCovarianceError as singular:
            cause = self._cause("the covariance is singular", singular)
        remedy = "set reg_covar > 0, or drop these features."
        self._added_variance = self._share_of_variances(moments, standardization, cause, remedy)
        return self._regularized(moments)

    def _regularized(self, moments: Moments) -> Gaussians:
        return GaussianFamily(moments.structure, self._added_variance).estimate(moments)

    def _check_spread(self, moments: Moments, complaint: str) -> None:
        """Raise a NoDensityError if rows are one, or hardly more."""
        variance = moments.structure.diagonal(moments.scatter)[0] / moments.dof
        if variance.max() < FLOAT64.smallest_normal:  # what one row of all the weight leaves
            raise NoDensityError(complaint)

    def _share_of_variances(
        self, moments: Moments, standardization: Standardization, cause: str, remedy: str
    ) -> Floats:
        """What reg_covar adds to each variance; using the density warns of it.

        Raises
        ------
        NoDensityError
            If ``reg_covar`` is 0.
        """
        if self.reg_covar == 0:
            raise NoDensityError(f"{cause}; {remedy}")
        variance = moments.structure.diagonal(moments.scatter)[0] / moments.dof
        deviation = (
            np.sqrt(variance) * standardization.scale
        )  # medians are taken in the units of the data
        typical = root_of_average(deviation[deviation > 0], np.median)
        size = np.where(deviation > 0, deviation, typical) / standardization.scale
        self._pending_warning = f"{cause}; reg_covar={self.reg_covar:g} of each variance was added."
        return np.asarray(self.reg_covar * size**2)

    def _cause(self, what: str, singular: SingularCovarianceError) -> str:
        names = getattr(self, "feature_names_in_", range(self.n_features_in_))
        named = listed([names[j] for j in singular.features])
        return f"{what}: features {named} are constant or follow from others"

    def _summary(self, moments: Moments, standardization: Standardization) -> dict[str, object]:
        return {"n_samples_seen_": as_count(moments.weight[0])}

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

        Returns
        -------
        Z : ndarray of shape (n_samples, n_features)
            Of mean 0 and covariance 1 under the Gaussian.
        """
        rows = self._check_rows(X)
        self._density_or_raise()
        gaussian = self._gaussian

        def prepare() -> Callable[[Floats], Floats]:
            whiten = gaussian.covariance.whitener(gaussian.mean)
            return lambda Z: whiten(Z)[0]

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


def _moments(
    X: Floats, w: Floats, standardization: Standardization, structure: Structure
) -> Moments:
    """The moments of rows in standard units."""

    def of_rows(rows: slice) -> Moments:
        return Moments.of(standardization.transform(X[rows]), w[None, rows], structure)

    with ThreadMap() as block_map:
        return block_map.sum(of_rows, slices_of(len(X), block_size(3 * X.shape[1])))
