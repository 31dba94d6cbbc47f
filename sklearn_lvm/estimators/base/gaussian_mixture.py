"""The base of mixtures of Gaussians: their units, and what a user is told of them."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from typing import Generic, Literal

import numpy as np

from ..._typing import Floats, Ints
from ...core.family import C
from ...core.gaussian.covariance import Structure
from ...core.gaussian.density import Gaussians
from ...core.gaussian.kernels import row_width
from ...core.gaussian.moments import Moments
from ...core.gaussian.structure_names import COVARIANCE_TYPES
from ...core.mixture import Mixture
from ...core.rows import RowSource
from ...core.standardization import MAX_DEVIATIONS, Standardization
from ...fitting.incomplete_rows import incomplete_rows
from ...fitting.starts import FEW_ROWS, StartStrategy
from .conditioning import Restriction
from .mixture import MixtureEstimator
from .standardized_rows import StandardizedRowsDensity
from .validation import missing_entries, standardization_of

CovarianceType = Literal["full", "tied", "diag", "spherical"]


class GaussianMixtureEstimator(
    StandardizedRowsDensity, MixtureEstimator[Standardization, C, Moments], Generic[C]
):
    """Base of mixtures of Gaussians, or of what is believed of them.

    A subclass says which Gaussians its components stand for (``_gaussians``).
    """

    covariance_type: CovarianceType

    means_: Floats
    covariances_: Floats
    precisions_: Floats
    precisions_cholesky_: Floats

    _parameter_names = ("weights_", "means_", "covariances_")
    _structure: Structure  # of the covariances
    _part_gaussians: Gaussians  # only of what condition and marginal made

    @property
    def _shared_names(self) -> tuple[str, ...]:
        return ("covariances_",) if self._structure.tied else ()

    @abstractmethod
    def _gaussians(self, model: Mixture[C]) -> Gaussians:
        """The Gaussians that a model describes."""

    def _fit_transformation(self, X: Floats, w: Floats) -> Standardization:
        self._structure = COVARIANCE_TYPES[self.covariance_type](self.n_features_in_)
        return standardization_of(
            X, w, Standardization.of_observed, per_feature=self._structure.per_feature
        )

    def _row_source(self, X: Floats, w: Floats, standardization: Standardization) -> RowSource:
        rows = super()._row_source(X, w, standardization)
        missing = missing_entries(X)
        if missing is None:
            self._fitted_log_jacobian = standardization.log_jacobian
            return replace(rows, slices_of=self._slices_of_complete)
        share = w @ ~missing / w.sum()
        self._fitted_log_jacobian = float(share @ np.log(standardization.scale))
        return incomplete_rows(rows, standardization, self._structure)

    def _change_of_units(self, standardization: Standardization) -> tuple[Floats, Floats]:
        """Shift and scale from the standardized rows of the last fit to those of this one."""
        old, gaussians = self._transformation, self._gaussians(self._model)
        K, structure = len(gaussians.mean), self._structure
        if self.n_components != K or not structure.fits(gaussians.covariance, K):
            raise ValueError(
                "warm_start=True cannot continue from a solution with another n_components, "
                "covariance_type or number of features: set warm_start=False."
            )
        with np.errstate(all="ignore"):
            shift = (old.center - standardization.center) / standardization.scale
            scale = old.scale / standardization.scale
        if max(np.abs(shift).max(), scale.max(), 1.0 / scale.min()) > MAX_DEVIATIONS:
            raise ValueError(
                "warm_start=True cannot continue from a solution for rows that lie so far off, in "
                "units of these: set warm_start=False."
            )
        return shift, scale

    def _described(
        self, model: Mixture[C], standardization: Standardization
    ) -> Mapping[str, object]:
        return self._described_gaussians(self._gaussians(model), standardization)

    def _restricted(self, kept: Ints, restrict: Restriction) -> dict[str, object]:
        # What was restricted before may have no model, but has Gaussians.
        known = self._gaussians(self._model) if hasattr(self, "_model") else self._part_gaussians
        gaussians, units = restrict(known), self._transformation.of_features(kept)
        return {
            **super()._restricted(kept, restrict),
            **self._described_gaussians(gaussians, units),
            "_transformation": units,
            "_structure": gaussians.covariance.structure,
            "_part_gaussians": gaussians,
        }

    def _described_gaussians(
        self, gaussians: Gaussians, standardization: Standardization
    ) -> Mapping[str, object]:
        with np.errstate(all="ignore"):  # in extreme units
            covariance = gaussians.covariance.rescale(standardization.scale)
            return {
                "means_": standardization.inverse_transform(gaussians.mean).astype(self._dtype),
                "covariances_": covariance.matrix.astype(self._dtype),
                "precisions_": covariance.precision.astype(self._dtype),
                "precisions_cholesky_": covariance.precision_factor.astype(self._dtype),
            }

    def _few_rows(self, n_rows: int, weight: float) -> StartStrategy:
        if self.n_components > weight:
            raise ValueError(
                f"n_components={self.n_components}, but X has n_samples={n_rows} distinct rows, of "
                f"summed weight {weight:g}: lower n_components to at most "
                f"{max(n_rows, int(weight))}."
            )
        return FEW_ROWS["in turn"]

    def _width(self) -> int:
        return row_width(self._structure, self._n_fitted_components)

    def _n_gaussians(self) -> int:
        return self._n_fitted_components
