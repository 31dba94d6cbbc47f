"""Which columns of a table belong to which density."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..._compat import column_indices, safe_indexing
from ..._typing import Bools, Floats, Ints, Table
from ...fitting.drawn_tables import frame_like
from ..bayesian_gaussian import BayesianGaussian
from ..beta_bernoulli import BetaBernoulli
from ..dirichlet_categorical import DirichletCategorical
from .validation import listed

METHODS = ("fit", "score_samples")


class NamedBlock(NamedTuple):
    """A named density of some of the columns, as positions."""

    name: str
    density: object
    columns: Ints


def is_mixed(X: object) -> bool:
    """Whether a table is a frame of which some columns are no numbers."""
    if not (hasattr(X, "columns") and hasattr(X, "dtypes")):
        return False
    return not all(_is_number(dtype) for dtype in X.dtypes)


def _is_number(dtype: Any) -> bool:
    """Whether a data type of NumPy, pandas or Polars is one of numbers."""
    if hasattr(dtype, "is_numeric"):  # of Polars
        return bool(dtype.is_numeric())
    return getattr(dtype, "kind", "O") in "biuf"


def column_name(X: Table, j: int) -> str:
    """A column as messages name it."""
    return repr(X.columns[j]) if hasattr(X, "columns") else str(j)


def checked_blocks(
    X: Table, given: Sequence[tuple[str, object, object]], remainder: object
) -> list[NamedBlock]:
    """The blocks of a table, each with the positions of its columns.

    Raises
    ------
    ValueError
        If a block is no density, a column is not there, or it is in two blocks or in none.
    """
    blocks = [NamedBlock(name, _density(name, part), _positions(X, name, key))
              for name, part, key in given]  # fmt: skip
    _check_names([block.name for block in blocks])
    owner: dict[int, str] = {}
    for block in blocks:
        for j in block.columns.tolist():
            if j in owner:
                raise ValueError(
                    f"column {column_name(X, j)} is in block {owner[j]!r} and in block "
                    f"{block.name!r}: a column belongs to one block."
                )
            owner[j] = block.name
    rest = np.array([j for j in range(X.shape[1]) if j not in owner], dtype=np.intp)
    if len(rest):
        blocks.append(_remaining(X, rest, remainder))
    return blocks


def _remaining(X: Table, rest: Ints, remainder: object) -> NamedBlock:
    if isinstance(remainder, str):
        named = listed([column_name(X, j) for j in rest.tolist()])
        raise ValueError(
            f"column {named} is in no block: add it to one, or set remainder to a density estimator."
        )
    return NamedBlock("remainder", _density("remainder", remainder), rest)


def _density(name: str, density: object) -> object:
    for method in METHODS:
        if not hasattr(density, method):
            raise ValueError(
                f"block {name!r} needs an estimator with {' and '.join(METHODS)}, but {density!r} has "
                f"no {method}."
            )
    return density


def _positions(X: Table, name: str, key: object) -> Ints:
    chosen = key(X) if callable(key) else key
    try:
        found = np.asarray(column_indices(X, chosen), dtype=np.intp)
    except (KeyError, IndexError, TypeError, ValueError) as error:
        raise ValueError(
            f"block {name!r} asks for columns {chosen!r}, which X does not have: {error}"
        ) from error
    if not len(found):
        raise ValueError(f"block {name!r} has no columns: columns={chosen!r} picks none of X.")
    return found


def _check_names(names: list[str]) -> None:
    if not names:
        raise ValueError("blocks is empty: give at least one block, or None.")
    if len(set(names)) < len(names) or "remainder" in names:
        raise ValueError(
            f"blocks must have names of their own, other than 'remainder', got {names!r}."
        )


def blocks_of_table(X: Table, w: Floats) -> list[NamedBlock]:
    """Blocks that a table suggests: columns of 0 and 1, categories, and one Gaussian of the rest."""
    used = w > 0
    kinds = np.array([_kind(safe_indexing(X, j, axis=1), used) for j in range(X.shape[1])])
    return [
        NamedBlock(kind, make(), np.flatnonzero(kinds == kind))
        for kind, make in SUGGESTED.items()
        if (kinds == kind).any()
    ]


def _kind(column: Table, used: Bools) -> str:
    if not _is_number(column.dtype):
        return "categories"
    entries = np.asarray(column, dtype=np.float64)[used]
    observed = entries[~np.isnan(entries)]
    return "binary" if np.isin(observed, (0.0, 1.0)).all() else "numbers"


SUGGESTED: dict[str, Callable[[], object]] = {
    "binary": lambda: BetaBernoulli(binarize=None),
    "categories": DirichletCategorical,
    "numbers": BayesianGaussian,
}


def in_block(
    name: str, method: Callable[..., Any], rows: Table, columns: Ints, **weights: Floats
) -> Any:
    """What a method of a block says of its columns; a ValueError or TypeError names both."""
    try:
        return method(safe_indexing(rows, columns, axis=1), **weights)
    except (TypeError, ValueError) as error:
        kind = ValueError if isinstance(error, ValueError) else TypeError
        named = listed([column_name(rows, j) for j in columns.tolist()])
        raise kind(f"block {name!r} of columns {named}: {error}") from error


def framed(frame: Table, columns: list[Table]) -> Table:
    """A frame of columns, with names and dtypes of another."""
    whole = [getattr(dtype, "kind", "O") in "iu" for dtype in frame.dtypes]
    values = [np.rint(x) if is_whole else x for x, is_whole in zip(columns, whole, strict=True)]
    return frame_like(frame, dict(zip(frame.columns, values, strict=True)))
