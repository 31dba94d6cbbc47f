"""A linear-Gaussian density of rows: scores, latent coordinates and covariances, dense or sparse."""

from collections.abc import Callable
from numbers import Integral

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array, issparse
from sklearn.utils import Tags, assert_all_finite
from sklearn.utils.validation import check_is_fitted

from ..._typing import Floats, Ints
from ...core.conditionals import Conditionals
from ...core.factor.centered_block import Rows
from ...core.factor.centered_rows import block_slices
from ...core.factor.density import PPCADensity
from ...core.factor.incomplete_rows import LinearGaussian
from ...core.factor.kernel import PPCAKernel
from ...core.factor.statistics import Scatter
from ...core.standardization import Standardization
from ...inference.block_map import ThreadMap
from .closed_form import ClosedFormEstimator, of_density
from .conditioning import Restriction
from .validation import as_count, check_columns, explained, missing_entries


class LinearGaussianDensity(ClosedFormEstimator[Standardization, Scatter, PPCADensity]):
    """x = W z + mu + noise: what a fitted density says of rows, however it was fitted."""

    n_components: int | float | str | None
    components_: Floats
    explained_variance_: Floats
    explained_variance_ratio_: Floats
    singular_values_: Floats
    mean_: Floats
    noise_variance_: float
    loadings_: Floats
    posterior_covariance_: Floats
    n_components_: int
    n_samples_seen_: int | float
    log_likelihood_: float
    n_iter_: int

    _parameter_names = ("mean_", "explained_variance_", "noise_variance_")
    _of_density = (
        "components_",
        "n_components_",
        "explained_variance_",
        "explained_variance_ratio_",
        "singular_values_",
        "noise_variance_",
        "loadings_",
        "posterior_covariance_",
        "n_parameters_",
        "log_likelihood_",
    )
    _total_variance: float  # of the standardized rows

    @np.errstate(all="ignore")  # squares of extreme units overflow
    def _described_density(
        self, density: PPCADensity, total: float, standardization: Standardization
    ) -> dict[str, object]:
        """Fitted attributes of a density whatever it was made of; ``total`` is that of variances."""
        scale, dtype = float(standardization.scale[0]), self._dtype
        return {
            "mean_": standardization.inverse_transform(density.mean).astype(dtype),
            "components_": density.axes.astype(dtype),
            "n_components_": len(density.axes),
            "explained_variance_": (density.variance * np.square(scale)).astype(dtype),
            "explained_variance_ratio_": (density.variance / total).astype(dtype),
            "noise_variance_": float(density.noise * np.square(scale)),
            "loadings_": (density.loadings * scale).astype(dtype),
            "posterior_covariance_": np.diag(density.posterior_variance).astype(dtype),
            "n_parameters_": density.n_parameters(),
        }

    def _restricted(self, kept: Ints, restrict: Restriction) -> dict[str, object]:
        density, units = restrict(self._density_or_raise()), self._transformation.of_features(kept)
        return {
            **self._described_density(density, density.total_variance, units),
            **of_density(density, units),
        }

    def _params_of_features(self, kept: Ints) -> dict[str, object]:
        q = self.n_components
        return {"n_components": min(q, len(kept)) if isinstance(q, Integral) else q}

    def get_covariance(self) -> Floats:
        """Compute W W' + s2 I.

        Returns
        -------
        covariance : ndarray of shape (n_features, n_features)
        """
        check_is_fitted(self)
        matrix = self._density_or_raise().covariance() * np.square(self._transformation.scale[0])
        return np.asarray(matrix, dtype=self._dtype)

    def get_precision(self) -> Floats:
        """Compute the inverse of the covariance, by Woodbury's identity.

        Returns
        -------
        precision : ndarray of shape (n_features, n_features)
        """
        check_is_fitted(self)
        matrix = self._density_or_raise().precision() / np.square(self._transformation.scale[0])
        return np.asarray(matrix, dtype=self._dtype)

    def _map_rows(self, X: Rows, function: Callable[[PPCAKernel, Rows], Floats]) -> Floats:
        """Apply a function of the kernel to all rows; its last axis runs over them.

        Rows that hold infinity are refused, and the values of those that hold NaN are NaN. The kernel
        is made within the thread map, so that the number of threads changes no bit of it.
        """
        density, standardization = self._density_or_raise(), self._transformation
        with ThreadMap() as block_map:
            kernel = PPCAKernel.of(density, standardization.center, float(standardization.scale[0]))
            parts = block_map.map(lambda rows: function(kernel, X[rows]), block_slices(*X.shape))
        found = np.concatenate(parts, axis=-1)
        if not np.isfinite(found).all():
            self._refuse(X)
        return found

    def _refuse(self, X: Rows) -> None:
        """Raise a ValueError if an entry is infinite, or missing in a sparse matrix."""
        name = type(self).__name__
        try:
            with np.errstate(all="ignore"):  # the sum of finite entries may overflow
                assert_all_finite(X, allow_nan=True, estimator_name=name, input_name="X")
        except ValueError as error:
            raise explained(error, X) from error
        if issparse(X) and missing_entries(X) is not None:
            raise ValueError(
                f"Input X contains NaN.\n{name} takes NaN as not observed in a dense X only: pass "
                "X.toarray(), or drop the incomplete rows."
            )

    def _rows_to_complete(self, X: ArrayLike) -> Rows:
        rows = super()._rows_to_complete(X)
        self._refuse(rows)
        return rows

    def _log_prob(self, X: Rows) -> Floats:
        found = self._map_rows(X, PPCAKernel.log_prob) - self._transformation.log_jacobian

        def of_observed(rows: Floats, model: LinearGaussian) -> Floats:
            log_prob = self._by_block(rows, lambda: lambda Z: model.latent(Z).log_prob)
            return log_prob - self._log_jacobians(rows)

        return self._with_incomplete(X, found, of_observed)

    # -- missing entries ---------------------------------------------------------------------------

    def _with_incomplete(
        self, X: Rows, found: Floats, function: Callable[[Floats, LinearGaussian], Floats]
    ) -> Floats:
        """Values (..., n) of all rows, where those that are NaN are a function of incomplete rows."""
        missing = np.isnan(found).any(axis=tuple(range(found.ndim - 1)))
        if missing.any():
            found[..., missing] = function(X[missing], self._linear_gaussian)
        return found

    @property
    def _linear_gaussian(self) -> LinearGaussian:
        return LinearGaussian.of(self._density_or_raise())

    def _log_jacobians(self, X: Floats) -> Floats:
        """log |dx / dz| of what was observed of each row, in nats."""
        return np.asarray(~np.isnan(X) @ np.log(self._transformation.scale))

    def _width(self) -> int:
        q = self.n_components_
        return 2 * q * q + 3 * self.n_features_in_

    def _conditional_means(self, X: Floats) -> Floats:
        """Rows (n, d) with conditional means in place of missing entries."""
        means = self._by_block(X, lambda: self._linear_gaussian.conditional_mean)
        return self._transformation.inverse_transform(means.T)

    def _conditional_draws(self, X: Floats, rng: np.random.RandomState) -> Floats:
        """Rows (n, d) with a draw of the missing entries."""
        model = self._linear_gaussian
        parts = [model.draw(self._kernel_rows(X[rows]), rng) for rows in self._slices(X)]
        return self._transformation.inverse_transform(np.concatenate(parts, axis=1).T)

    def _conditional_mixture(self, X: Floats) -> tuple[Floats, Conditionals]:
        """Responsibilities (1, n), and each missing entry given the observed ones."""
        units = self._transformation
        found = self._linear_gaussian.conditionals(self._kernel_rows(X))
        return np.ones((1, len(X))), found.rescaled(units.center, units.scale)

    # -- fitted attributes -------------------------------------------------------------------------

    def _take_density(
        self,
        density: PPCADensity,
        weight: float,
        units: Standardization,
        dtype: type[np.float32 | np.float64],
    ) -> None:
        """Set what a density of rows of a summed weight determines."""
        self.__dict__.pop("_statistics", None)  # of partial_fit
        self._transformation, self._dtype = units, dtype
        self._density, self._no_density, self._pending_warning = density, None, None
        self._set_fitted(self._described_rows(density, weight, units))

    def _described_rows(
        self, density: PPCADensity, weight: float, standardization: Standardization
    ) -> dict[str, object]:
        """Fitted attributes of a density of rows of a summed weight, in the units of the data."""
        scale, total = float(standardization.scale[0]), self._total_variance
        mean_log_prob = density.mean_log_prob - standardization.log_jacobian
        size = np.sqrt(density.variance * weight) * scale
        return {
            **self._described_density(density, total, standardization),
            "singular_values_": size.astype(self._dtype),
            "n_samples_seen_": as_count(weight),
            "log_likelihood_": weight * mean_log_prob,
        }

    # -- latent variables --------------------------------------------------------------------------

    def transform(self, X: ArrayLike | csr_array) -> Floats:
        """Compute the posterior mean of the latent variable, E[z | x] = inv(W'W + s2 I) W' (x - mu).

        The posterior covariance, ``posterior_covariance_``, does not depend on the row. Coordinate j
        is sqrt(l_j - s2) / l_j u_j' (x - mu): that of PCA over its standard deviation, shrunk.

        Of a row of which only the entries x_o were observed, it is E[z | x_o], with W_o in place of W;
        0 if there is none.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            NaN was not observed, in a dense X.

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
        """
        rows = self._check_rows(X)
        complete = self._map_rows(rows, PPCAKernel.latent_mean)

        def of_observed(incomplete: Floats, model: LinearGaussian) -> Floats:
            return self._by_block(incomplete, lambda: lambda Z: model.latent(Z).mean)

        latent = self._with_incomplete(rows, complete, of_observed)
        return np.ascontiguousarray(latent.T, dtype=rows.dtype)

    def inverse_transform(self, Z: ArrayLike) -> Floats:
        """Compute the mean of a row given its latent variable, E[x | z] = W z + mu.

        It is no projection: ``inverse_transform(transform(X))`` is nearer to the mean than X.

        Parameters
        ----------
        Z : array-like of shape (n_samples, n_components)

        Returns
        -------
        X : ndarray of shape (n_samples, n_features)
        """
        check_is_fitted(self)
        density = self._density_or_raise()
        latent = check_columns(Z, "Z", len(density.axes))
        with np.errstate(over="ignore"):  # rows that are no floating point numbers are infinite
            rows = latent.astype(np.float64) @ density.loadings.T + density.mean
            return self._transformation.inverse_transform(rows).astype(latent.dtype)

    @property
    def _n_features_out(self) -> int:
        return self.n_components_

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.allow_nan = True
        return tags
