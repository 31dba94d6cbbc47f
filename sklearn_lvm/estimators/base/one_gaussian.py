"""The base of estimators of one Gaussian: its moments in standard units, and whitening by it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from numbers import Integral, Real
from typing import ClassVar, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from ..._compat import Interval
from ..._typing import Floats, Ints, Rows
from ...core.gaussian.covariance import Structure
from ...core.gaussian.density import Gaussians
from ...core.gaussian.kernels import row_width
from ...core.gaussian.structure_names import COVARIANCE_TYPES
from ...core.linalg import SingularCovarianceError
from ...core.standardization import Standardization
from ...inference.em import EMRun
from .closed_form import NoDensityError, of_density
from .conditioning import Restrictable, Restriction
from .moments import M, MomentsEstimator, OneGaussianRows
from .validation import check_columns, too_few_rows

SEPARATE = {"full", "diag", "spherical"}  # a covariance of one Gaussian cannot be tied
# How rows with NaN are fitted where features are correlated.
EM_CONSTRAINTS: dict[str, list[object]] = {
    "tol": [Interval(Real, 0, None, closed="left")],
    "max_iter": [Interval(Integral, 1, None, closed="left")],
}

T = TypeVar("T")


class OneGaussianEstimator(MomentsEstimator[M]):
    """Base of estimators of one Gaussian, a density that its moments determine.

    A subclass makes a density of what is kept of rows (``_estimate``) and
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

    _correlated = "with covariance_type='full'"
    _remedy_of_batches = (
        "call fit with all rows at once, or set covariance_type='diag' or 'spherical'."
    )

    covariance_type: str

    covariance_: Floats
    precision_: Floats
    n_iter_: int
    converged_: bool
    lower_bound_: float
    lower_bounds_: list[float]

    _gaussian: Gaussians  # of mean_ and covariance_, in standard units
    _added_variance: Floats  # what had to be added to the variances, in standard units
    _run: EMRun[None]  # the objective of each step, in standard units

    def _structure(self) -> Structure:
        return COVARIANCE_TYPES[self.covariance_type](self.n_features_in_)

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


def _completed(gaussian: Gaussians, rows: Rows) -> Floats:
    """Rows (d, n) with conditional means in place of missing entries."""
    if isinstance(rows, np.ndarray):
        return rows
    return np.asarray(gaussian.conditionals(rows).mean[0])
