"""Fingerprints: values that are equal share theirs, and others do not, as far as can be told."""

from functools import partial
from operator import itemgetter
from threading import Lock

import numpy as np
import pytest

from sklearn_lvm.estimators.base.fingerprint import described, fingerprint


def function(n_inputs, n_outputs, hidden=5):
    return n_inputs


def namesake(names):
    """A function of the same name in the same module that does something else."""

    def function(n_inputs, n_outputs, hidden=5):
        return n_outputs

    function.__qualname__ = "function"
    return function


def with_default(hidden):
    def local(n_inputs, n_outputs, hidden=hidden):
        return hidden

    return local


def with_cell(hidden):
    def local(n_inputs, n_outputs):
        return local if hidden is None else hidden

    return local


def unfinished():
    def local():
        return later

    if local is None:
        later = 1
    return local


class Maker:
    def __init__(self, hidden):
        self.hidden, self.itself, self.function = hidden, self, lambda: 3

    def make(self, n_inputs, n_outputs):
        return self.hidden

    @classmethod
    def of_class(cls, n_inputs, n_outputs):
        return cls


class Slotted:
    __slots__ = ("hidden",)

    def __init__(self, hidden):
        self.hidden = hidden


class Closed:
    def __init__(self):
        self.lock = Lock()

    def __getstate__(self):
        raise TypeError("I hold a lock")


# Each maker gives equal values at each call, and other values than all other makers.
MAKERS = [
    lambda: None,
    lambda: True,
    lambda: 1.5,
    lambda: "relu",
    lambda: np.random.RandomState(3),
    lambda: np.random.RandomState(4),
    lambda: np.random.RandomState(3).rand(2),
    lambda: np.array([1, 2]),
    lambda: np.array([[1], [2]]),
    lambda: np.array([1, "a"], dtype=object),
    lambda: {"a": 1, "b": 2},
    lambda: {"a", "b"},
    lambda: [1, "b"],
    lambda: function,
    lambda: namesake(0),
    lambda: with_default(1),
    lambda: with_default(2),
    lambda: with_cell(1),
    lambda: with_cell(2),
    lambda: with_cell(None),
    unfinished,
    lambda: partial(function, 3),
    lambda: partial(function, 4),
    lambda: partial(function, hidden=3),
    lambda: partial(with_cell(1), 3),
    lambda: lambda n, m: n,
    lambda: lambda n, m: m,
    lambda: lambda n, m: n + 2,
    lambda: lambda n, m: n in {"x", "y", "z"},
    lambda: Maker,
    lambda: Maker(1),
    lambda: Maker(2),
    lambda: Maker(1).make,
    lambda: Maker(2).make,
    lambda: Maker.of_class,
    lambda: Slotted(1),
    lambda: Slotted(2),
    Closed,
    lambda: len,
    lambda: np,
    lambda: itemgetter,
]


@pytest.mark.parametrize("i", range(len(MAKERS)))
def test_equal_values_share_a_description_without_addresses(i):
    found = described(MAKERS[i]())
    assert found == described(MAKERS[i]())
    assert " at 0x" not in found
    assert [j for j, make in enumerate(MAKERS) if described(make()) == found] == [i]


def test_numbers_of_numpy_are_numbers():
    for number, same in ((np.int64(3), 3), (np.float64(0.1), 0.1), (np.longdouble(2), 2.0)):
        assert described(number) == described(same)
    assert described((5, 4)) == described([np.int32(5), 4])


def test_a_fingerprint_is_that_of_data_and_parameters():
    rows, weight, params = np.ones((3, 2)), np.ones(3), {"n_components": 2, "max_iter": 5}
    known = fingerprint(rows, weight, params)
    assert fingerprint(rows.copy(), weight, params | {"max_iter": 6}) == known
    changed = fingerprint(2 * rows, weight, params)
    assert (changed["data"] != known["data"], changed["parameters"]) == (True, known["parameters"])
    changed = fingerprint(rows, 2 * weight, params)
    assert changed["data"] != known["data"]
    changed = fingerprint(rows, weight, params | {"n_components": 3})
    assert (changed["data"], changed["parameters"] != known["parameters"]) == (known["data"], True)
