"""What is asked of any density that stands inside another: ours, scikit-learn's, or the reader's."""

from copy import copy
from inspect import signature
from typing import Any

from sklearn.utils import check_random_state

from ..._typing import RandomState, Table


def drawn_rows(density: Any, n_samples: int, random_state: RandomState) -> Table:
    """Rows that a density draws, with a random state of the call where it takes one.

    Raises
    ------
    ValueError
        If it draws none.
    """
    if not hasattr(density, "sample"):
        raise ValueError(
            f"{density!r} has no sample: rows can be drawn from densities that have it."
        )
    drawn = _drawn(copy(density), n_samples, random_state)
    # The mixtures of scikit-learn give labels too.
    return drawn[0] if isinstance(drawn, tuple) else drawn


def _drawn(density: Any, n_samples: int, random_state: RandomState) -> Table:
    if "random_state" in signature(density.sample).parameters:
        return density.sample(n_samples, random_state=random_state)
    if random_state is not None:
        density.random_state = check_random_state(random_state)
    return density.sample(n_samples)
