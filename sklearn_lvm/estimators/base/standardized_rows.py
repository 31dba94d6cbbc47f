"""The base of densities of standardized rows, in which NaN was not observed."""

from ..._typing import Floats, Rows
from ...core.conditionals import Conditionals
from ...core.gaussian.missing import MIN_ROWS, mean_block_size, observed_rows
from ...core.standardization import Standardization, log_jacobians
from ...inference.block_map import block_size, slices_of
from .imputation import ImputingEstimator
from .validation import missing_entries


class StandardizedRowsDensity(ImputingEstimator):
    """Base of densities of Gaussians, or of what is believed of them, in standard units.

    Entries that are NaN were not observed: every score is that of the others.
    """

    _transformation: Standardization

    def _kernel_rows(self, X: Floats) -> Rows:
        return observed_rows(self._transformation.transform(X))

    def _log_jacobian(self, X: Floats) -> Floats:
        return log_jacobians(self._transformation.scale, X)

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
            return self._slices_of_complete(X)
        width = self._width() + self._n_gaussians() * mean_block_size(missing)
        return slices_of(len(X), block_size(width, MIN_ROWS))

    def _slices_of_complete(self, X: Floats) -> list[slice]:
        """The rows of each block of a table that is known to be complete."""
        return super()._slices(X)

    def _n_gaussians(self) -> int:
        """How many Gaussians invert the block of the missing entries of a row."""
        return 1
