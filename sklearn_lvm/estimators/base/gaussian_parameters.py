"""Parameters of a Gaussian mixture as users give them: checked, and put into standard units."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.utils.validation import check_array

from ..._typing import Array
from ...core.gaussian.covariance import Covariances, Structure
from ...core.gaussian.density import Gaussians
from ...core.gaussian.full import Full
from ...core.linalg import SingularCovarianceError
from ...core.mixture import Mixture
from ...core.standardization import Standardization


@dataclass(frozen=True, eq=False)
class Given:
    """Some or all parameters of a mixture, in the units of the data; None where not given."""

    weights: Array | None
    means: Array | None
    covariance: Covariances | None

    @property
    def complete(self) -> bool:
        """Whether nothing is left to estimate."""
        return not (self.weights is None or self.means is None or self.covariance is None)

    def mixture(
        self, standardization: Standardization, model: Mixture[Gaussians] | None = None
    ) -> Mixture[Gaussians]:
        """The mixture in standard units; what is not given comes from ``model``."""
        log_weights, mean, covariance = None, None, None
        if model is not None:
            log_weights, components = model.log_weights, model.components
            mean, covariance = components.mean, components.covariance
        if self.weights is not None:
            with np.errstate(divide="ignore"):
                log_weights = np.log(self.weights)
        if self.means is not None:
            mean = standardization.transform(self.means).T
        if self.covariance is not None:
            covariance = self.covariance.rescale(1.0 / standardization.scale)
        return Mixture(log_weights, Gaussians(mean, covariance))  # type: ignore[arg-type]

    def standardization(self) -> Standardization:
        """Standard units of a complete mixture: its own mean and standard deviations."""
        weights, means, covariance = self.weights, self.means, self.covariance
        assert weights is not None
        assert means is not None
        assert covariance is not None
        center = weights @ means
        variance = weights @ (covariance.variances + (means - center) ** 2)
        if not covariance.structure.per_feature:
            variance = np.full_like(variance, variance.mean())
        return Standardization(center, np.sqrt(variance), np.ones_like(variance), variance == 0)


def check_given(structure: Structure, K: int, **parameters: Any) -> Given:
    """Check parameters by name: weights, means, and covariances or precisions, or with '_init'.

    Raises
    ------
    ValueError
        If a shape does not fit, weights are not a distribution, or a matrix is not symmetric positive
        definite.
    """
    d, matrix = structure.d, structure.public_shape(K)
    checks: dict[str, tuple[tuple[int, ...], Callable[[str, Array], Any]]] = {
        "weights": ((K,), check_distribution),
        "means": ((K, d), lambda name, means: means),
        "covariances": (matrix, _checked(structure, structure.from_public)),
        "precisions": (matrix, _checked(structure, structure.from_public_precision)),
    }
    found: dict[str, Any] = dict.fromkeys(checks)
    for name, value in parameters.items():
        if value is not None:
            kind = name.removesuffix("_init")
            expected, check = checks[kind]
            found[kind] = check(name, check_shape(name, value, expected))
    matrix_given = found["covariances"] if found["precisions"] is None else found["precisions"]
    return Given(found["weights"], found["means"], matrix_given)


def check_shape(name: str, value: Any, shape: tuple[int, ...]) -> Array:
    array: Array = check_array(
        value, dtype=np.float64, ensure_2d=False, allow_nd=True, input_name=name
    )
    if array.shape != shape:
        raise ValueError(f"{name} must be of shape {shape}, got {array.shape}.")
    return array


def check_distribution(name: str, weights: Array) -> Array:
    if weights.min() < 0 or abs(weights.sum() - 1.0) > 1e-6:
        raise ValueError(
            f"{name} must be non-negative with sum 1, got minimum {weights.min():g} and sum "
            f"{weights.sum():g}: divide them by their sum."
        )
    return weights / weights.sum()


def _asymmetry(matrices: Array) -> float:
    """The largest difference across the diagonal, as a correlation."""
    size = np.sqrt(np.abs(np.diagonal(matrices, axis1=-2, axis2=-1)))
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = np.abs(matrices - matrices.mT) / (size[..., :, None] * size[..., None, :])
    return float(np.nan_to_num(gap).max())


def _checked(
    structure: Structure, read: Callable[[Array], Covariances]
) -> Callable[[str, Array], Covariances]:
    """A reader of covariances or their inverses that refuses what is none, by name."""

    def read_checked(name: str, matrix: Array) -> Covariances:
        if isinstance(structure, Full) and _asymmetry(matrix) > 1e-6:
            raise ValueError(f"{name} must be symmetric.")
        try:
            return read(matrix)
        except SingularCovarianceError as error:
            raise ValueError(f"{name}[{error.component}] is not positive definite.") from None

    return read_checked
