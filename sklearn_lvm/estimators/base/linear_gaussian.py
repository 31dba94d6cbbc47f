"""A linear-Gaussian density of rows: scores, latent coordinates and covariances, dense or sparse."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike
from scipy.sparse import csr_array
from sklearn.utils import Tags, assert_all_finite
from sklearn.utils.validation import check_is_fitted

from ..._typing import Floats
from ...core.factor.centered_block import Rows
from ...core.factor.centered_rows import block_slices
from ...core.factor.density import PPCADensity
from ...core.factor.kernel import PPCAKernel
from ...core.factor.statistics import Scatter
from ...core.standardization import Standardization
from ...inference.block_map import ThreadMap
from .closed_form import ClosedFormEstimator
from .validation import check_columns, explained


class LinearGaussianDensity(ClosedFormEstimator[Standardization, Scatter, PPCADensity]):
    """x = W z + mu + noise: what a fitted density says of rows, however it was fitted."""

    n_components_: int

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

        Rows that hold NaN or infinity are refused. The kernel is made within the thread map, so that
        the number of threads changes no bit of it.
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
        """Raise a ValueError if an entry is not finite."""
        name = type(self).__name__
        try:
            with np.errstate(all="ignore"):  # the sum of finite entries may overflow
                assert_all_finite(X, estimator_name=name, input_name="X")
        except ValueError as error:
            raise explained(error, X, name) from error

    def _rows_to_complete(self, X: ArrayLike) -> Rows:
        rows = super()._rows_to_complete(X)
        self._refuse(rows)
        return rows

    def _log_prob(self, X: Rows) -> Floats:
        return self._map_rows(X, PPCAKernel.log_prob) - self._transformation.log_jacobian

    def transform(self, X: ArrayLike | csr_array) -> Floats:
        """Compute the posterior mean of the latent variable, E[z | x] = inv(W'W + s2 I) W' (x - mu).

        The posterior covariance, ``posterior_covariance_``, does not depend on the row. Coordinate j
        is sqrt(l_j - s2) / l_j u_j' (x - mu): that of PCA over its standard deviation, shrunk.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        Z : ndarray of shape (n_samples, n_components)
        """
        rows = self._check_rows(X)
        latent = self._map_rows(rows, PPCAKernel.latent_mean)
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
        return tags
