"""The base of densities of standardized rows, in which NaN was not observed."""

from typing import ClassVar

import numpy as np
from sklearn.utils import Tags

from ..._typing import Floats, Rows
from ...core.conditionals import Conditionals
from ...core.gaussian.missing import observed_rows
from ...core.standardization import Standardization
from ...inference.block_map import block_size, slices_of
from .imputation import ImputingEstimator
from .validation import FLOATS, missing_entries, observed_log_jacobian


class StandardizedRowsDensity(ImputingEstimator):
    """Base of densities of Gaussians, or of what is believed of them, in standard units.

    Entries that are NaN were not observed: every score is that of the others.
    """

    _checks: ClassVar[dict[str, object]] = {"dtype": FLOATS, "ensure_all_finite": "allow-nan"}
    _transformation: Standardization

    def _kernel_rows(self, X: Floats) -> Rows:
        return observed_rows(self._transformation.transform(X))

    def _log_jacobian(self, X: Floats) -> float | Floats:
        found = self._transformation
        return observed_log_jacobian(found.scale, X, found.log_jacobian)

    # -- missing entries ---------------------------------------------------------------------------

    def _conditional_mixture(self, X: Floats) -> tuple[Floats, Conditionals]:
        """Responsibilities (K, n), and the missing entries under each component."""
        mixture, rows = self._mixture, self._kernel_rows(X)
        _, resp = mixture.kernel().posterior(rows)
        standard, found = self._transformation, mixture.components.conditionals(rows)
        return resp, found.rescaled(standard.center, standard.scale)

    # -- blocks ------------------------------------------------------------------------------------

    def _slices(self, X: Floats) -> list[slice]:
        missing = missing_entries(X)
        if missing is None:
            return super()._slices(X)
        squares = np.square(missing.sum(axis=1, dtype=np.float64)).mean()
        width = self._width() + self._n_gaussians() * int(squares)
        return slices_of(len(X), block_size(width))

    def _n_gaussians(self) -> int:
        """How many Gaussians invert the block of the missing entries of a row."""
        return 1

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags
