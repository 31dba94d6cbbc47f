"""Fingerprints of fits: texts that are equal, in any process, where data and parameters are."""

import hashlib
from collections.abc import Mapping
from functools import partial, singledispatch
from pathlib import PurePath
from reprlib import recursive_repr
from types import BuiltinFunctionType, CellType, CodeType, FunctionType, MethodType, ModuleType

import numpy as np

from ..._typing import Floats

# Parameters that may differ between a fit and the checkpoint that it continues.
UNCHECKED = {"max_iter", "n_score_samples", "device", "checkpoint", "verbose", "warm_start"}


def fingerprint(rows: Floats, weight: Floats, params: Mapping[str, object]) -> dict[str, str]:
    """What a fit and the checkpoint that it continues have in common: data and parameters."""
    checked = {name: value for name, value in params.items() if name not in UNCHECKED}
    return {"data": _digest(described([rows, weight])), "parameters": _digest(described(checked))}


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def _name(thing: type | FunctionType | BuiltinFunctionType) -> str:
    return f"{thing.__module__}.{thing.__qualname__}"


@recursive_repr("itself")
def described(value: object) -> str:
    """A text for a value of any kind, without addresses in memory."""
    return _described(value)


@singledispatch
def _described(value: object) -> str:
    """An object by its class and what it holds, as far as it tells."""
    try:
        state = value.__getstate__()
    except Exception:  # a class may forbid it with any exception
        state = None
    return f"{_name(type(value))}{{{described(state)}}}"


@_described.register(type(None))
@_described.register(bool | int | float | complex | str | bytes | PurePath)
def _(value: object) -> str:
    return repr(value)


@_described.register
def _(value: np.generic) -> str:
    return str(value)


@_described.register
def _(value: np.ndarray) -> str:
    if value.dtype.hasobject:
        return described(value.tolist())
    digest = hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()
    return f"{value.dtype}{value.shape}:{digest}"


@_described.register
def _(value: np.random.RandomState) -> str:
    return described(value.get_state(legacy=False))


@_described.register(list | tuple)
def _(values: list[object] | tuple[object, ...]) -> str:
    return f"[{', '.join(map(described, values))}]"


@_described.register(set | frozenset)
def _(values: set[object]) -> str:
    return f"{{{', '.join(sorted(map(described, values)))}}}"


@_described.register(dict)
def _(values: dict[object, object]) -> str:
    return described({(described(name), described(value)) for name, value in values.items()})


# -- functions -----------------------------------------------------------------------------------------


@_described.register(type | BuiltinFunctionType)
def _(value: type | BuiltinFunctionType) -> str:
    return _name(value)


@_described.register
def _(value: ModuleType) -> str:
    return value.__name__


@_described.register
def _(code: CodeType) -> str:
    return described([code.co_code, code.co_names, code.co_consts])


@_described.register
def _(function: FunctionType) -> str:
    values = [function.__defaults__, function.__kwdefaults__, *(function.__closure__ or ())]
    return f"{_name(function)}({described(function.__code__)}, {described(values)})"


@_described.register
def _(cell: CellType) -> str:
    try:
        return described(cell.cell_contents)
    except ValueError:  # a variable that has no value yet
        return "empty"


@_described.register
def _(method: MethodType) -> str:
    return described([method.__func__, method.__self__])


@_described.register(partial)
def _(function: partial[object]) -> str:
    return described(["partial", function.func, function.args, function.keywords])
