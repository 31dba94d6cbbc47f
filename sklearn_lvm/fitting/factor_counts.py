"""How many factors the components of a mixture have, by the rows it is fitted to."""

from collections.abc import Callable

from .._typing import Floats
from ..core.gaussian.factor_count import n_components_beyond_noise, n_factors_beyond_noise
from ..core.gaussian.low_rank import IsotropicLowRank, LowRank
from ..core.rows import RowSource
from .gaussian_priors import nearby, scatter_within
from .prior_choice import rows_for_choice

COUNTS: dict[type[LowRank], Callable[[Floats, float], int]] = {
    LowRank: n_factors_beyond_noise,
    IsotropicLowRank: n_components_beyond_noise,
}


def n_factors_for(rows: RowSource, n_components: int, structure: LowRank) -> int:
    """The number of factors, the same of all components, that a component's share of the rows shows.

    Parameters
    ----------
    rows : RowSource
        Standardized.
    n_components : int
    structure : LowRank
        With any number of factors.
    """
    sample = nearby(rows_for_choice(rows, n_components))
    if len(sample) <= n_components:
        return 0
    S = scatter_within(sample, n_components, structure.unconstrained)[0]
    n_rows = min(rows.n_observations, rows.n_distinct) / n_components
    return COUNTS[type(structure)](S, n_rows)
