"""Parameters of a Gaussian mixture as users give them: checked, and standardized."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_array

from ..._typing import Floats
from ...core.gaussian.covariance import Covariances, Structure
from ...core.gaussian.density import Gaussians
from ...core.gaussian.full import Full
from ...core.gaussian.low_rank import LowRank
from ...core.linalg import SingularCovarianceError
from ...core.mixture import Mixture
from ...core.standardization import Standardization

MAX_ASYMMETRY = 1e-6  # of a covariance, as a correlation
MAX_GAP = 1e-6  # of a covariance from what stands for it, as a correlation


@dataclass(frozen=True, eq=False)
class GivenParameters:
    """Some or all parameters of a mixture, in the units of the data; None where not given."""

    weights: Floats | None
    means: Floats | None
    covariance: Covariances | None

    def completed(
        self, standardization: Standardization, model: Mixture[Gaussians] | None
    ) -> Mixture[Gaussians] | None:
        """The standardized mixture, in which what was not given comes from a model.

        None where something was not given, and there is no model.
        """
        log_weights = None if self.weights is None else log_of(self.weights)
        mean = None if self.means is None else standardization.transform(self.means).T
        covariance = self.covariance and self.covariance.rescale(1.0 / standardization.scale)
        if model is not None:
            log_weights = model.log_weights if log_weights is None else log_weights
            mean = model.components.mean if mean is None else mean
            covariance = covariance or model.components.covariance
        if log_weights is None or mean is None or covariance is None:
            return None
        return Mixture(log_weights, Gaussians(mean, covariance))

    def standardized(self) -> tuple[Standardization, Mixture[Gaussians]]:
        """A mixture of which all is given, standardized by its own mean and standard deviations.

        Raises
        ------
        ValueError
            If squares of the means are out of the range of numbers.
        """
        weights, means, covariance = self.weights, self.means, self.covariance
        assert weights is not None
        assert means is not None
        assert covariance is not None
        with np.errstate(over="ignore"):
            center = weights @ means
            variance = weights @ (covariance.variances + (means - center) ** 2)
        if not np.isfinite(variance).all():
            raise ValueError(
                f"means are too large, up to {np.abs(means).max():g}: their squares must be floating "
                "point numbers. Divide them by a constant."
            )
        if not covariance.structure.per_feature:
            variance = np.full_like(variance, variance.mean())
        scale = np.sqrt(variance)
        standardization = Standardization(center, scale, np.ones_like(scale), variance == 0)
        mean = standardization.transform(means).T
        gaussians = Gaussians(mean, covariance.rescale(1.0 / scale))
        return standardization, Mixture(log_of(weights), gaussians)


def check_given(
    structure: Structure,
    K: int,
    *,
    weights: ArrayLike | None,
    means: ArrayLike | None,
    covariances: ArrayLike | None = None,
    precisions: ArrayLike | None = None,
    suffix: str = "",
) -> GivenParameters:
    """Check parameters; messages name them with a suffix, such as '_init'.

    Raises
    ------
    ValueError
        If a shape does not fit, weights are not a distribution, or a matrix is not symmetric positive
        definite.
    """
    covariance = None
    if covariances is not None:
        covariance = check_covariances("covariances" + suffix, covariances, K, structure)
    if precisions is not None:
        covariance = check_covariances(
            "precisions" + suffix, precisions, K, structure, inverse=True
        )
    return GivenParameters(
        None if weights is None else check_distribution("weights" + suffix, weights, K),
        None if means is None else check_shape("means" + suffix, means, (K, structure.d)),
        covariance,
    )


def check_shape(name: str, value: ArrayLike, shape: tuple[int, ...]) -> Floats:
    """An array of a shape in float64; the ValueError names it."""
    try:
        array: Floats = check_array(
            value if shape else np.atleast_1d(value),
            dtype=np.float64,
            ensure_2d=False,
            allow_nd=True,
            input_name=name,
        )
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(
            f"{name} must hold finite numbers, in the shape {shape}: {error}"
        ) from error
    if array.shape != (shape or (1,)):
        raise ValueError(f"{name} must be of shape {shape}, got {np.shape(value)}.")
    return array.reshape(shape)


def check_distribution(name: str, value: ArrayLike, K: int) -> Floats:
    """K weights whose sum is 1; the ValueError names them."""
    weights = check_shape(name, value, (K,))
    if weights.min() < 0 or abs(weights.sum() - 1.0) > 1e-6:
        raise ValueError(
            f"{name} must be non-negative with sum 1, got minimum {weights.min():g} and sum "
            f"{weights.sum():g}: divide them by their sum."
        )
    return weights / weights.sum()


def log_of(weights: Floats) -> Floats:
    """Log-weights, -inf where a weight is 0."""
    with np.errstate(divide="ignore"):
        return np.log(weights)


def check_covariances(
    name: str, value: ArrayLike, K: int, structure: Structure, *, inverse: bool = False
) -> Covariances:
    """Covariances from their public form, or from that of their inverses; the ValueError names them."""
    matrix = check_shape(name, value, structure.public_shape(K))
    if isinstance(structure, Full | LowRank) and _asymmetry(matrix) > MAX_ASYMMETRY:
        raise ValueError(f"{name} must be symmetric.")
    read = structure.from_public_precision if inverse else structure.from_public
    try:
        found = read(matrix)
    except SingularCovarianceError as error:
        which = name if structure.tied else f"{name}[{error.component}]"
        raise ValueError(f"{which} is not positive definite.") from None
    if isinstance(structure, LowRank) and not inverse:
        _check_rank(name, matrix, found, structure.q)
    return found


def _check_rank(name: str, matrices: Floats, found: Covariances, q: int) -> None:
    """Raise a ValueError if matrices are not those of low rank plus noise that were found for them."""
    size = np.sqrt(np.diagonal(matrices, axis1=1, axis2=2))
    gap = np.abs(found.scatter - matrices) / (size[:, :, None] * size[:, None, :])
    largest = gap.max(axis=(1, 2))
    k = int(largest.argmax())
    if largest[k] > MAX_GAP:
        raise ValueError(
            f"{name}[{k}] is not W W' + Psi with W of n_factors={q} columns: a correlation of the "
            f"nearest of these is {largest[k]:.1g} off. Raise n_factors, or set covariance_type='full'."
        )


def _asymmetry(matrices: Floats) -> float:
    """The largest difference across the diagonal, as a correlation."""
    size = np.sqrt(np.abs(np.diagonal(matrices, axis1=-2, axis2=-1)))
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = np.abs(matrices - matrices.mT) / (size[..., :, None] * size[..., None, :])
    return float(np.nan_to_num(gap).max())
