"""Lists of estimators with names, and their parameters."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from sklearn.base import BaseEstimator
from sklearn.utils.validation import has_fit_parameter

NamedParts = list[tuple[str, Any]]


def is_list(parts: object) -> bool:
    """Whether parts are several, and not one estimator."""
    return isinstance(parts, list | tuple)


def named_parts(parts: Sequence[object]) -> NamedParts:
    """Estimators with their names; those without are named as ``make_pipeline`` names its steps."""
    pairs = [_pair(part) for part in parts]
    unnamed = Counter(_kind(part) for name, part in pairs if name is None)
    seen = Counter[str]()
    named = []
    for given, part in pairs:
        name, kind = given, _kind(part)
        if name is None:
            seen[kind] += 1
            name = f"{kind}-{seen[kind]}" if unnamed[kind] > 1 else kind
        named.append((name, part))
    return named


def _kind(part: object) -> str:
    return type(part).__name__.lower()


def _pair(part: object) -> tuple[str | None, Any]:
    """A name, if any was given, and an estimator."""
    if isinstance(part, tuple) and len(part) == 2 and isinstance(part[0], str):
        return part
    return None, part


def replaced(parts: Sequence[object], name: str, part: object) -> list[object]:
    """The list with another estimator of this name."""
    pairs = zip(parts, named_parts(parts), strict=True)
    return [
        old if known != name else (name, part) if _pair(old)[0] is not None else part
        for old, (known, _) in pairs
    ]


def check_names(argument: str, parts: NamedParts, taken: Sequence[str]) -> None:
    """Raise a ValueError if a name stands for several things, or cannot be set."""
    names = [name for name, _ in parts]
    for name in names:
        if names.count(name) > 1 or name in taken or "__" in name:
            raise ValueError(
                f"{argument} has the name {name!r}, which must be given once, be no parameter of the "
                "mixture, and hold no '__': choose another."
            )


def check_density(argument: str, name: str, part: object) -> None:
    """Raise a ValueError if an estimator cannot be fitted under weights, or scores no rows."""
    is_estimator = isinstance(part, BaseEstimator) or hasattr(part, "get_params")
    if isinstance(part, type) or not is_estimator:
        raise ValueError(
            f"{argument}: {name!r} must be an estimator with fit and score_samples, got {part!r}."
        )
    if not hasattr(part, "fit") or not has_fit_parameter(part, "sample_weight"):
        raise ValueError(
            f"{argument}: {name!r} has no fit that takes sample_weight, by which a mixture says which "
            f"rows are its own: {part!r} cannot be a part."
        )
    if not hasattr(part, "score_samples"):
        raise ValueError(
            f"{argument}: {name!r} has no score_samples, the log-density of each row: {part!r} cannot "
            "be a part."
        )
