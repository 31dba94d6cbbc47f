"""The parameters that are tried, and their combinations."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from numbers import Integral
from typing import Any

from sklearn.base import clone

from .paths import Model, path_of

__all__ = ["Combination", "Grid"]

Combination = dict[str, object]

NUMBERS_FROM = {0: "integers, 0 or more", 1: "positive integers"}


@dataclass(frozen=True)
class Grid:
    """Numbers of components, and values of further parameters.

    Attributes
    ----------
    counts : list of int
        In rising order, each once.
    others : dict
        Lists of values by the names of parameters.
    """

    counts: list[int]
    others: dict[str, list[object]]

    @classmethod
    def of(cls, estimator: Model, n_components: object, others: Mapping[str, object]) -> Grid:
        """Check what a user gives.

        Raises
        ------
        ValueError
            If a name is no parameter of the estimator, if there is no list of values, or if a value is
            not allowed.
        """
        known = estimator.get_params(deep=False)
        for name in others:
            if name not in known:
                raise ValueError(
                    f"{name} is no parameter of {type(estimator).__name__}: it has "
                    f"{', '.join(sorted(known))}."
                )
        counts = _counts(n_components, path_of(estimator).least)
        grid = cls(counts, {name: _listed(name, v) for name, v in others.items()})
        for model in grid.models(estimator):
            model.set_params(n_components=grid.counts[0])._validate_params()
        return grid

    def combinations(self) -> list[Combination]:
        """All combinations of the further parameters."""
        return [
            dict(zip(self.others, values, strict=True)) for values in product(*self.others.values())
        ]

    def models(self, estimator: Model) -> list[Model]:
        """The estimator with each of these combinations; it is not changed itself."""
        return [clone(estimator).set_params(**params) for params in self.combinations()]


def _counts(n_components: object, least: int) -> list[int]:
    counts = _listed("n_components", n_components)
    for count in counts:
        if isinstance(count, bool) or not isinstance(count, Integral) or count < least:
            raise ValueError(
                f"n_components must be {NUMBERS_FROM[least]}, such as range(1, 11), got {count!r} "
                "among them."
            )
    return sorted({int(count) for count in counts})


def _listed(name: str, values: Any) -> list[Any]:
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise ValueError(
            f"{name} must be a list of values to try, such as [{values!r}], got {values!r}."
        )
    if isinstance(values, Mapping | set | frozenset):
        raise ValueError(f"{name} must be a list of values in an order, got {values!r}.")
    listed = list(values)
    if not listed:
        raise ValueError(f"{name} is empty: give at least one value to try.")
    return listed
