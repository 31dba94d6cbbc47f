"""The covariance structures by the names that users know."""

from collections.abc import Callable
from functools import partial

from .covariance import Structure
from .diagonal import Diagonal, Spherical
from .full import Full

# covariance_type -> the structure for so many features.
COVARIANCE_TYPES: dict[str, Callable[[int], Structure]] = {
    "full": Full,
    "tied": partial(Full, tied=True),
    "diag": Diagonal,
    "spherical": Spherical,
}
