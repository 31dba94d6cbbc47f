"""The outcome as text and as a data frame."""

import sys

import numpy as np
import pytest

from sklearn_lvm import PPCA, select_n_components

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 2)) @ RNG.normal(size=(2, 9)) + 0.1 * RNG.normal(size=(200, 9))


def test_the_best_are_shown():
    selection = select_n_components(PPCA(), X, n_components=range(1, 8))
    first, names, *lines, left = repr(selection).splitlines()
    assert first == "Selection by bic: n_components=2"
    assert names.split() == ["rank", "n_components", "bic", "n_parameters"]
    assert [int(line.split()[0]) for line in lines] == [1, 2, 3, 4, 5]
    assert lines[0].split()[1] == "2"
    assert left == "and 2 more"


def test_of_held_out_rows_the_error_is_shown():
    selection = select_n_components(PPCA(), X, criterion="cv", n_components=[1, 2])
    first, names, *lines = repr(selection).splitlines()
    assert first == "Selection by cv: n_components=2"
    assert names.split() == ["rank", "n_components", "cv", "standard_error", "n_parameters"]
    assert len(lines) == 2


def test_without_pandas_the_error_says_so(monkeypatch):
    selection = select_n_components(PPCA(), X, n_components=[1, 2])
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ImportError, match=r"to_frame needs pandas.*results_"):
        selection.to_frame()
