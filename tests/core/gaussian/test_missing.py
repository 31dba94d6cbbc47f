"""Rows with missing entries, sorted by what is missing."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_array_equal

from sklearn_lvm.core.gaussian.missing import GROWTH, IncompleteRows, observed_rows, sizes_for

PATTERNS = arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 30)))


def numbered(missing):
    """Rows whose entries all differ, with NaN where they are missing."""
    return np.where(missing, np.nan, np.arange(missing.size, dtype=float).reshape(missing.shape))


@given(PATTERNS)
def test_what_was_sorted_comes_back_in_its_order(missing):
    Z = numbered(missing)
    rows = IncompleteRows.of(Z)
    assert_array_equal(rows.with_nan, Z)
    assert_array_equal(rows.unsorted(rows.sorted(Z)), Z)


@given(PATTERNS)
def test_groups_cover_all_rows_and_name_what_is_missing(missing):
    rows, d = IncompleteRows.of(numbered(missing)), len(missing)
    covered = [i for group in rows.groups for i in range(group.rows.start, group.rows.stop)]
    assert covered == list(range(missing.shape[1]))
    for group in rows.groups:
        for i, pattern in zip(range(group.rows.start, group.rows.stop), group.pattern, strict=True):
            named = group.missing[pattern]
            assert_array_equal(named[named < d], np.flatnonzero(~rows.observed[:, i]))
            assert len(set(named.tolist())) == len(named)
        assert_array_equal(group.pattern[group.first], np.arange(len(group.first)))


@given(PATTERNS)
def test_complete_rows_come_first(missing):
    rows = IncompleteRows.of(numbered(missing))
    complete, partial = rows.parts
    assert complete.shape[1] == rows.n_complete == np.count_nonzero(~missing.any(axis=0))
    assert all(group.missing.shape[1] for group in partial)


@pytest.mark.parametrize("most", [0, 1, 7, 40, 300])
def test_a_group_has_little_room_to_spare(most):
    n_missing = np.arange(most + 1)
    sizes = sizes_for(n_missing)
    assert (sizes >= n_missing).all()
    assert (sizes <= np.maximum(n_missing + 1, np.ceil(GROWTH * n_missing))).all()
    assert sizes[0] == 0


def test_rows_that_are_complete_stay_an_array():
    Z = np.ones((2, 3))
    assert observed_rows(Z) is Z
