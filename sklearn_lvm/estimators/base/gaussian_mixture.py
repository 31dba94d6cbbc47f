"""The base of mixtures of Gaussians: their units, and what a user is told of them."""

from abc import abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import replace
from operator import attrgetter
from typing import ClassVar, Generic, Literal, Self, overload

import numpy as np

from ..._typing import Floats, Ints
from ...core.family import C
from ...core.gaussian.covariance import Covariances, Structure
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


class Matrices:
    """A fitted array of matrices, which is computed when it is read where it is not stored.

    An estimator that stores none says how it is computed (``_matrices``).
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name

    @overload
    def __get__(self, estimator: None, owner: type) -> Self: ...
    @overload
    def __get__(self, estimator: "GaussianMixtureEstimator[C]", owner: type) -> Floats: ...
    def __get__(
        self, estimator: "GaussianMixtureEstimator[C] | None", owner: type
    ) -> Self | Floats:
        return self if estimator is None else estimator._matrices(self.name)


# Fitted attribute -> what it is of covariances in the units of the data.
MATRICES: dict[str, Callable[[Covariances], Floats]] = {
    "covariances_": attrgetter("matrix"),
    "precisions_": attrgetter("precision"),
    "precisions_cholesky_": attrgetter("precision_factor"),
}


class GaussianMixtureEstimator(
    StandardizedRowsDensity, MixtureEstimator[Standardization, C, Moments], Generic[C]
):
    """Base of mixtures of Gaussians, or of what is believed of them.

    A subclass says which Gaussians its components stand for (``_gaussians``).
    """

    covariance_type: str

    means_: Floats
    covariances_ = Matrices()
    precisions_ = Matrices()
    precisions_cholesky_ = Matrices()

    _parameter_names = ("weights_", "means_", "covariances_")
    _kept_when_warm: ClassVar[str] = "n_components, covariance_type"
    _structure: Structure  # of the covariances
    _part_gaussians: Gaussians  # only of what condition and marginal made

    @property
    def _shared_names(self) -> tuple[str, ...]:
        return ("covariances_",) if self._structure.tied else ()

    @abstractmethod
    def _gaussians(self, model: Mixture[C]) -> Gaussians:
        """The Gaussians that a model describes."""

    def _structure_of(self, d: int) -> Structure:
        """That of covariances of so many features, as far as it is known without rows."""
        return COVARIANCE_TYPES[self.covariance_type](d)

    def _fit_transformation(self, X: Floats, w: Floats) -> Standardization:
        self._structure = self._structure_of(self.n_features_in_)
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
                f"warm_start=True cannot continue from a solution with another {self._kept_when_warm} "
                "or number of features: set warm_start=False."
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
            mean = standardization.inverse_transform(gaussians.mean).astype(self._dtype)
            return {"means_": mean, **self._described_covariances(covariance)}

    def _described_covariances(self, covariance: Covariances) -> Mapping[str, object]:
        """Fitted attributes of covariances in the units of the data."""
        return {name: read(covariance).astype(self._dtype) for name, read in MATRICES.items()}

    def _matrices(self, name: str) -> Floats:
        """Matrices that are not stored, by the name of the attribute."""
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

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
