"""Constant columns are dropped, and regular grids are found and get noise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sklearn_lvm.compare.preprocessing import grid_step, missing_notes, prepare
from sklearn_lvm.compare.readers import as_table
from tests.compare.helpers import two_clusters


@pytest.mark.parametrize(
    ("values", "step"),
    [
        ([0, 1, 1, 0], 1),
        ([3, 1, 2, 16], 1),
        ([0.5, 1.0, 3.5], 0.5),
        ([5.1, 4.9, 4.7, 7.0, 5.4], 0.1),
        ([0, 3, 7, 12], 1),
        ([-299, 120, 225], 1),
        (np.array([-122, 10, 743]) * 1.741490465751094e-05, 1.741490465751094e-05),
        ([0.1 + 0.2, 0.3, 0.1, 0.6], 0.1),
        (np.float32([5.1, 4.9, 4.7, 7.0, 5.4]), 0.1),
        ([1.7e9 + 0.25, 1.7e9, 1.7e9 + 1], 0.25),
        (np.arange(1000) * 1e-9, 1e-9),
        ([2.0, 2.0, 2.0], None),
        ([0.1 + 0.2, 0.3], None),
        ([3e8 * (0.1 + 0.2), 3e8 * 0.3], None),
        ([0, 1, np.pi, 7 * np.e, 19 * np.sqrt(2), 100 / 7], None),
        (np.random.default_rng(0).normal(size=500), None),
        (np.random.default_rng(0).uniform(1, 2, size=5000), None),
        (np.exp(np.arange(20.0)), None),
    ],
)
def test_grid_step(values, step):
    found = grid_step(np.asarray(values, dtype=float))
    assert found == (step if step is None else pytest.approx(step, rel=1e-6))


@given(
    ticks=st.lists(st.integers(-500, 500), min_size=2, max_size=40, unique=True),
    unit=st.floats(1e-6, 1e6),
    offset=st.integers(-500, 500),
)
def test_grid_step_is_the_common_divisor_of_the_gaps_in_any_unit(ticks, unit, offset):
    divisor = np.gcd.reduce(np.diff(np.sort(ticks)))
    found = grid_step((np.array(ticks) + offset) * unit)
    assert found == pytest.approx(divisor * unit, rel=1e-6)


@given(st.integers(0, 2**32 - 1), st.integers(10, 300))
def test_full_precision_is_not_a_grid(seed, n):
    assert grid_step(np.random.default_rng(seed).normal(size=n)) is None


def prepared(X, dequantize=True, seed=0, columns=None):
    rng = np.random.RandomState(seed)
    return prepare(as_table(X, columns), dequantize=dequantize, rng=rng)


def test_noise_fills_one_step_of_the_columns_on_a_grid_and_no_others():
    counts = np.random.default_rng(0).integers(0, 5, size=2000)
    X = np.c_[counts, counts * 0.25, np.random.default_rng(1).normal(size=2000)]
    noise = prepared(X).X - X
    for column, step in zip(noise.T, (1.0, 0.25), strict=False):
        assert 0 <= column.min() < 0.01 * step
        assert 0.99 * step < column.max() < step
    assert not noise[:, 2].any()
    np.testing.assert_array_equal(prepared(X).X, prepared(X).X)
    assert (prepared(X, seed=1).X[:, 0] != prepared(X).X[:, 0]).all()
    np.testing.assert_array_equal(prepared(X, dequantize=False).X, X)


def test_notes_name_what_was_dropped_and_filled():
    X = np.c_[two_clusters(), np.full(60, 0.3), np.arange(60) % 4]
    X[:3, 0] = np.nan
    X[5:7, [0, 1, 3]] = np.nan  # nothing is left of these without the constant column
    data = prepared(X, columns=["a", "b", "same", "count"])
    assert data.X.shape == (58, 3)
    assert data.columns == ("a", "b", "count")
    assert data.notes == (
        "dropped 1 constant column: same",
        "dropped 2 rows without any observed cell",
        "added uniform noise of one grid step (1) to 1 column: count",
    )


def with_holes(X, share=0.3, seed=0):
    return np.where(np.random.RandomState(seed).uniform(size=X.shape) < share, np.nan, X)


def test_missing_cells_stay_and_columns_are_judged_by_their_observed_cells():
    X = with_holes(np.c_[two_clusters(200), np.arange(200) % 4, np.full(200, 0.3)])
    X[:30, 0] = 0.0  # an atom among the observed cells
    data = prepared(X, columns=["a", "b", "count", "same"])
    kept = X[~np.isnan(X[:, :3]).all(axis=1), :3]
    np.testing.assert_array_equal(np.isnan(data.X), np.isnan(kept))
    np.testing.assert_array_equal(data.X[:, :2], kept[:, :2])
    noise = data.X[:, 2] - kept[:, 2]
    assert 0 <= np.nanmin(noise) < np.nanmax(noise) < 1
    constant, empty, grid, atom = data.notes
    assert constant == "dropped 1 constant column: same"
    assert empty == f"dropped {200 - len(kept)} rows without any observed cell"
    assert grid == "added uniform noise of one grid step (1) to 1 column: count"
    assert atom.endswith("in 1 column: a")


def test_a_value_in_every_row_that_was_observed_is_constant():
    X = np.c_[two_clusters(), np.full(60, np.nan)]
    X[7, 2] = 5.0
    assert prepared(X).notes == ("dropped 1 constant column: x2",)


def test_missing_cells_are_counted():
    assert list(missing_notes(two_clusters())) == []
    X = two_clusters(10)
    X[[0, 0, 4], [0, 1, 1]] = np.nan
    assert list(missing_notes(X)) == [
        "3 of 20 cells (15 %) are missing, in 2 of 10 rows: every score is that of the observed cells"
    ]


def test_every_constant_column_is_named():
    X = np.c_[np.zeros((60, 12)), two_clusters()]
    (note,) = prepared(X).notes
    assert note.endswith(": " + ", ".join(f"x{j}" for j in range(12)))


def test_notes_warn_of_densities_without_a_bound():
    X = np.c_[two_clusters(), np.arange(60) % 4]
    X[:20, 0] = 0.0
    off, atom = prepared(X, dequantize=False).notes
    assert off.startswith("no noise added")
    assert off.endswith("1 column: x2")
    assert atom.endswith("in 1 column: x0")


def test_notes_of_the_table_come_first_and_name_codes_for_missing():
    X = np.c_[two_clusters(), np.full(60, 0.3)]
    X[:3, 0] = -999.0
    table = as_table(X, ["a", "b", "same"])._replace(notes=("left out a column",))
    for binary in (False, True):
        rng = np.random.RandomState(0)
        own, code, constant = prepare(table, dequantize=True, rng=rng, binary=binary).notes
        assert own == "left out a column"
        assert code.startswith("-999 may be a code for missing: it stands 3 times")
        assert constant.startswith("dropped 1 constant column")
