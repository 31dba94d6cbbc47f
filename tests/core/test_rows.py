"""The weighted set of distinct rows knows neither the order of the rows nor how often they come."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_lvm.core.blocks import Blocks
from sklearn_lvm.core.rows import (
    RowSource,
    canonical,
    canonical_with_missing,
    cell_hashes,
    subsample,
)
from sklearn_lvm.core.standardization import Standardization
from sklearn_lvm.inference.block_map import slices_of

# Few different numbers, so that rows are often equal, and both zeros.
entries = st.sampled_from([-1.0, -0.0, 0.0, 1.0, 2.5])
tables = st.integers(1, 3).flatmap(
    lambda d: st.integers(1, 12).flatmap(lambda n: arrays(float, (n, d), elements=entries))
)


def as_dict(X, rows):
    """The set as row -> weight; + 0.0 makes the two zeros one."""
    return {
        tuple(row + 0.0): weight for row, weight in zip(X[rows.index], rows.weight, strict=True)
    }


@given(X=tables, data=st.data())
def test_canonical_is_the_sum_of_weights_by_row(X, data):
    w = data.draw(arrays(float, len(X), elements=st.integers(0, 3).map(float)))
    expected = {}
    for row, weight in zip(X, w, strict=True):
        if weight:
            expected[tuple(row + 0.0)] = expected.get(tuple(row + 0.0), 0.0) + weight
    rows = canonical(X, w)
    assert len(rows) == len(expected)
    assert as_dict(X, rows) == expected


@given(X=tables, data=st.data())
def test_canonical_rows_are_in_lexicographic_order(X, data):
    order = data.draw(st.permutations(range(len(X))))
    w = np.arange(1.0, 1 + len(X))
    rows, again = canonical(X, w), canonical(X[order], w[order])
    found = X[rows.index].tolist()
    assert found == sorted(found)
    assert_array_equal(X[rows.index], X[order][again.index])
    assert_array_equal(rows.weight, again.weight)


@given(X=tables, data=st.data())
def test_weights_are_repetitions(X, data):
    times = data.draw(arrays(int, len(X), elements=st.integers(0, 3)))
    repeated = np.repeat(X, times, axis=0)
    rows, again = canonical(X, times.astype(float)), canonical(repeated, np.ones(len(repeated)))
    assert as_dict(X, rows) == as_dict(repeated, again)


@given(X=tables)
def test_canonical_of_canonical_is_itself(X):
    rows = canonical(X, np.ones(len(X)))
    distinct = X[rows.index]
    again = canonical(distinct, rows.weight)
    assert_array_equal(again.index, np.arange(len(rows)))
    assert_array_equal(again.weight, rows.weight)


def test_canonical_of_the_largest_numbers():
    largest = np.finfo(float).max
    X = np.array([[largest, 1.0], [-largest, 1.0], [largest, 1.0], [largest, -largest]])
    rows = canonical(X, np.ones(4))
    assert_array_equal(X[rows.index], X[[1, 3, 0]])
    assert_array_equal(rows.weight, [1.0, 1.0, 2.0])


# -- subsamples --------------------------------------------------------------------------------------

N, D, SIZE = 600, 3, 100


def drawn(X, w, size=SIZE):
    """The rows of a subsample and their weights, as a table in lexicographic order."""
    standardization = Standardization.of(X, w, per_feature=True)
    blocks = Blocks(X, w, standardization.transform, slices_of(len(X), 128))
    rows = subsample(X, w, cell_hashes(blocks), size)
    return X[rows.index], rows.weight


@pytest.fixture
def data():
    rng = np.random.default_rng(0)
    return rng.normal(size=(N, D)), rng.integers(0, 4, N).astype(float)


def test_a_subsample_has_the_size_that_was_asked_for(data):
    X, weight = drawn(*data)
    assert X.shape == (SIZE, D)
    assert weight.shape == (SIZE,)
    assert len(np.unique(X, axis=0)) == SIZE


@pytest.mark.parametrize("columns", [[0, 0], [0, 1, 0, 1]], ids=str)
def test_copied_columns_do_not_make_rows_alike(data, columns):
    X, w = data
    assert len(drawn(X[:, columns], w)[0]) == SIZE


def test_mirrored_rows_are_drawn_apart(data):
    X, _ = data
    X = np.concatenate([X[:, :2], X[:, 1::-1]])
    rows, _ = drawn(X, np.ones(len(X)))
    drawn_rows = set(map(tuple, rows))
    assert len(rows) == SIZE
    assert sum(row[::-1] in drawn_rows for row in drawn_rows) < SIZE / 2


def source_of(X, w):
    standardization = Standardization.of(X, w, per_feature=True)
    return RowSource(X, w, standardization, lambda X: slices_of(len(X), 128))


def test_a_table_knows_how_many_distinct_rows_it_has(data):
    X, w = data
    assert source_of(X, w).n_distinct == np.count_nonzero(w)
    assert source_of(np.tile(X, (3, 1)), np.tile(w, 3)).n_distinct == np.count_nonzero(w)
    assert source_of(X, np.ones(N)).n_distinct == N


@pytest.mark.parametrize("far", [1e9, 1e20, 1e100])
def test_a_row_far_out_does_not_make_others_alike(data, far):
    X = data[0].copy()
    X[0] = far
    assert source_of(X, np.ones(N)).n_distinct == N


def test_observations_are_rows_of_weight_one_whatever_the_unit_of_weights(data):
    """Few distinct rows, each of which was observed many times, can tell much."""
    X, _ = data
    few = np.random.default_rng(0).integers(0, 2, size=(N, 2)).astype(float)
    few[0] = 7.0
    assert source_of(X, np.ones(N)).n_observations == N
    assert source_of(few, np.ones(N)).n_observations == N
    assert source_of(few, np.ones(N)).sample(N).n_observations == N
    assert_allclose(source_of(few, np.full(N, 0.3)).n_observations, N)
    times = np.random.default_rng(1).integers(1, 4, N)
    repeated = np.repeat(X, times, axis=0)
    assert source_of(repeated, np.ones(len(repeated))).n_observations == times.sum()
    assert source_of(X, times.astype(float)).n_observations == times.sum()


def test_an_observation_is_a_typical_row_where_weights_are_no_counts(data):
    X, _ = data
    w = np.random.default_rng(0).uniform(0.5, 1.5, N)
    w[3] = 1e-9  # one light row does not make the others heavy
    assert 0.8 < source_of(X, w).unit < 1.2
    assert_allclose(source_of(X, 1e-200 * w).unit, 1e-200 * source_of(X, w).unit, rtol=1e-12)
    assert source_of(X, np.full(N, 0.3)).unit == 0.3
    assert source_of(np.repeat(X, 4, axis=0), np.ones(4 * N)).unit == 4.0
    w = np.ones(N)
    w[3] = 0.01  # which divides the others, but is alone
    assert source_of(X, w).unit == 1.0


def test_whole_weights_are_counts_whatever_the_lightest_is():
    X = np.arange(4.0)[:, None]
    counts = np.array([110.0, 125.0, 133.0, 500.0])
    assert source_of(X, counts).unit == 1.0
    assert source_of(np.repeat(X, counts.astype(int), axis=0), np.ones(868)).unit == 1.0
    assert_allclose(source_of(X, 0.3 * np.array([1.0, 2.0, 3.0, 7.0])).unit, 0.3)


def source_in_order(X, w):
    """Distinct rows in the order of their content."""
    return source_of(X, w).sample(len(X))


def test_a_split_takes_about_its_share_and_leaves_the_rest(data):
    rows = source_in_order(*data)
    first, second = rows.split(0.3, seed=0)
    assert_allclose(first.w.sum() + second.w.sum(), rows.w.sum(), rtol=1e-12)
    assert 0.2 < first.w.sum() / rows.w.sum() < 0.4
    other, _ = rows.split(0.3, seed=1)
    assert len(other) != len(first) or (other.X != first.X).any()


def test_a_split_does_not_depend_on_units_or_order_or_copies(data):
    X, w = data
    expected = source_in_order(X, w).split(0.3, seed=0)
    order = np.random.default_rng(0).permutation(len(X))
    copies = np.repeat(X, w.astype(int), axis=0)
    for unit, moved, weight in (
        (1.0, X[order], w[order]),
        (1.0, copies, np.ones(len(copies))),
        (1e-8, X * 1e-8 + 1.0, w),
    ):
        found = source_in_order(moved, weight).split(0.3, seed=0)
        for one, other in zip(found, expected, strict=True):
            assert_allclose(one.w, other.w, rtol=1e-12)
            assert_allclose(one.X - (1.0 if unit != 1.0 else 0.0), unit * other.X, atol=unit * 1e-6)


def test_a_measurement_goes_one_way_with_its_copies(data):
    first, second = source_in_order(*data).split(0.3, seed=0)
    assert not {*map(tuple, first.X)} & {*map(tuple, second.X)}


def test_few_rows_are_their_own_subsample(data):
    X, w = data
    rows = canonical(X, w)
    for size in (len(rows), N):
        found, weight = drawn(X, w, size)
        assert_array_equal(found, X[rows.index])
        assert_array_equal(weight, rows.weight)


def test_few_distinct_rows_are_their_own_subsample(data):
    X, _ = data
    tenfold = np.tile(X[:SIZE], (10, 1))
    rows = canonical(X[:SIZE], np.full(SIZE, 10.0))
    found, weight = drawn(tenfold, np.ones(len(tenfold)), SIZE)
    assert_array_equal(found, X[rows.index])
    assert_array_equal(weight, rows.weight)


def test_a_subsample_ignores_the_order_of_rows(data):
    X, w = data
    order = np.random.default_rng(1).permutation(N)
    for one, other in zip(drawn(X, w), drawn(X[order], w[order]), strict=True):
        assert_array_equal(one, other)


def test_a_subsample_takes_repetition_for_weight(data):
    X, w = data
    repeated = np.repeat(X, w.astype(int), axis=0)
    for one, other in zip(drawn(X, w), drawn(repeated, np.ones(len(repeated))), strict=True):
        assert_allclose(one, other, rtol=1e-14)


@pytest.mark.parametrize("unit", [1.0, [1e-6, 1.0, 1e9]])
@pytest.mark.parametrize("offset", [0.0, 1e3, [-1e4, 0.0, 7.0]])
def test_a_subsample_ignores_units_and_offsets(data, unit, offset):
    X, w = data
    X = np.round(X, 3)  # so that the offset costs no digits that the comparison would see
    unit, offset = np.broadcast_to(unit, D), np.broadcast_to(offset, D)
    found, weight = drawn(X, w)
    moved, moved_weight = drawn((X + offset) * unit, w)
    assert_allclose(moved / unit - offset, found, rtol=0, atol=1e-9)
    assert_allclose(moved_weight, weight, rtol=1e-12)


def test_a_subsample_ignores_where_the_standard_units_begin(data):
    X, w = data
    Z = Standardization.of(X, w, per_feature=True).transform(X)
    plain, moved = (subsample(X, w, cell_hashes([(Z + shift, w)]), SIZE) for shift in (0.0, 0.3))
    assert_array_equal(moved.index, plain.index)
    assert_array_equal(moved.weight, plain.weight)


def test_scaled_weights_scale_the_subsample(data):
    X, w = data
    found, weight = drawn(X, w)
    again, scaled = drawn(X, 8.0 * w)
    assert_array_equal(again, found)
    assert_allclose(scaled, 8.0 * weight, rtol=1e-14)


def test_heavy_rows_are_always_kept(data):
    X, w = data
    w = w.copy()
    w[7], w[13] = 1e6, 1e7
    found, weight = drawn(X, w)
    kept = dict(zip(map(tuple, found), weight, strict=True))
    assert kept[tuple(X[7])] == 1e6
    assert kept[tuple(X[13])] == 1e7


def test_sums_over_a_subsample_are_unbiased():
    """Over many data sets the mean error of a weighted sum is within its own standard error."""
    errors = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        X, w = rng.normal(size=(400, 2)), rng.exponential(size=400) ** 2
        found, weight = drawn(X, w, 60)
        errors.append([weight.sum() / w.sum() - 1, *(weight @ found - w @ X) / w.sum()])
    errors = np.array(errors)
    assert (abs(errors.mean(axis=0)) < 3 * errors.std(axis=0) / np.sqrt(len(errors))).all()
    assert (errors.std(axis=0) < 0.5).all()


def test_a_missing_entry_equals_a_missing_entry():
    X = np.array([[np.nan, 1.0], [2.0, np.nan], [np.nan, 1.0], [2.0, 0.0]])
    rows = canonical_with_missing(X, np.array([1.0, 2.0, 4.0, 8.0]))
    assert_array_equal(X[rows.index], [[2.0, 0.0], [2.0, np.nan], [np.nan, 1.0]])
    assert_array_equal(rows.weight, [8.0, 2.0, 5.0])
