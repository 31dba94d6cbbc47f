"""The covariance structures by the names that users know."""

from collections.abc import Callable
from functools import partial

from .covariance import Structure
from .diagonal import Diagonal, Spherical
from .full import Full
from .low_rank import IsotropicLowRank, LowRank

# covariance_type -> the structure for so many features.
COVARIANCE_TYPES: dict[str, Callable[[int], Structure]] = {
    "full": Full,
    "tied": partial(Full, tied=True),
    "diag": Diagonal,
    "spherical": Spherical,
}

# covariance_type -> the structure for so many features, as LOW_RANK["factor"](d, q=4).
LOW_RANK: dict[str, type[LowRank]] = {"factor": LowRank, "ppca": IsotropicLowRank}
