"""Rows that estimators draw, and tables made of them: arrays, or frames of pandas and polars."""

from collections.abc import Sequence
from copy import copy
from inspect import signature
from typing import Protocol, cast

import numpy as np
from sklearn.utils import check_random_state

from .._typing import Floats, Ints, RandomState, Table


class SamplingEstimator(Protocol):
    """An estimator that draws rows; a random state of the call is not taken by all."""

    random_state: RandomState

    def sample(self, n_samples: int, **params: RandomState) -> Table: ...


def drawn_rows(density: object, n_samples: int, random_state: RandomState) -> Table:
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
    drawn = _drawn(cast(SamplingEstimator, copy(density)), n_samples, random_state)
    # The mixtures of scikit-learn give labels too.
    return drawn[0] if isinstance(drawn, tuple) else drawn


def _drawn(density: SamplingEstimator, n_samples: int, random_state: RandomState) -> Table:
    if "random_state" in signature(density.sample).parameters:
        return density.sample(n_samples, random_state=random_state)
    if random_state is not None:
        density.random_state = check_random_state(random_state)
    return density.sample(n_samples)


def concatenated(tables: Sequence[Table]) -> Table:
    """Tables one below the other: arrays, or frames of the same columns."""
    first = tables[0]
    if not hasattr(first, "columns"):
        return np.concatenate([np.asarray(table) for table in tables])
    joined = {
        name: np.concatenate([np.asarray(table[name]) for table in tables])
        for name in first.columns
    }
    return frame_like(first, joined)


def frame_like(frame: Table, columns: dict[str, Floats]) -> Table:
    """A frame of these columns, in the types of another."""
    if hasattr(frame, "iloc"):
        return type(frame)(columns).astype(dict(frame.dtypes))
    return type(frame)(columns, schema=frame.schema)


def in_order(table: Table, order: Ints) -> Table:
    """The rows of an array or a frame in another order."""
    if hasattr(table, "iloc"):
        return table.iloc[order].reset_index(drop=True)
    return table[order]
