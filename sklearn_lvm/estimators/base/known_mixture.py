"""Mixtures of Gaussians of known parameters."""

from typing import Self

import numpy as np
from numpy.typing import ArrayLike

from .gaussian_parameters import check_given
from .low_rank_mixture import ALL_COVARIANCE_TYPES, AnyCovarianceType, LowRankMixture
from .validation import result_dtype


class KnownGaussianMixture(LowRankMixture):
    """Base of mixtures of Gaussians that are fitted, or made of known parameters."""

    @classmethod
    def from_parameters(
        cls,
        weights: ArrayLike,
        means: ArrayLike,
        covariances: ArrayLike,
        *,
        covariance_type: AnyCovarianceType = "full",
        **params: object,
    ) -> Self:
        """Build a fitted mixture from known parameters.

        Parameters
        ----------
        weights : array-like of shape (n_components,)
            Non-negative, with sum 1.
        means : array-like of shape (n_components, n_features)
        covariances : array-like
            In the shape of ``covariances_``.
        covariance_type : {'full', 'tied', 'diag', 'spherical', 'factor', 'ppca'}, default='full'
        **params
            Further parameters of the estimator; with 'factor' and 'ppca' an integer ``n_factors``.

        Returns
        -------
        mixture : EMGaussianMixture
            Fitted: it scores, predicts and samples.

        Raises
        ------
        ValueError
            If a shape does not fit, the weights do not sum to 1, or a covariance is not positive
            definite, or not W W' + Psi with W of so many columns, to six digits.

        Examples
        --------
        >>> from sklearn_lvm import EMGaussianMixture
        >>> coin = EMGaussianMixture.from_parameters(
        ...     [0.5, 0.5], [[-1.0], [1.0]], [0.1, 0.1], covariance_type="spherical"
        ... )
        >>> coin.predict([[-2.0], [3.0]])
        array([0, 1])
        """
        if covariance_type not in ALL_COVARIANCE_TYPES:
            raise ValueError(
                f"covariance_type={covariance_type!r} is not one of {sorted(ALL_COVARIANCE_TYPES)}."
            )
        centers = np.asarray(means)
        if centers.ndim != 2:
            raise ValueError(
                f"means must be of shape (n_components, n_features), got {centers.shape}."
            )
        for name, value in (("weights", weights), ("covariances", covariances)):
            if value is None:
                raise ValueError(f"{name} must be an array, got None.")
        K, d = centers.shape
        mixture = cls(K, covariance_type=covariance_type, **params)
        mixture.n_features_in_, mixture._n_fitted_components = d, K
        mixture._structure = mixture._structure_without_rows(d)
        given = check_given(
            mixture._structure, K, weights=weights, means=centers, covariances=covariances
        )
        standardization, density = given.standardized()
        mixture._dtype = result_dtype(centers)
        mixture._set_fitted(
            {
                "weights_": np.exp(density.log_weights).astype(mixture._dtype),
                **mixture._described(density, standardization),
                "n_parameters_": density.n_parameters(),
                "converged_": True,
                "n_iter_": 0,
                "_transformation": standardization,
                "_model": density,
                "_density": density,
            }
        )
        return mixture
