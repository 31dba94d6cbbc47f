"""Blocks of rows: every row once, made anew or held, in memory or on disk."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from sklearn_lvm.core.blocks import Blocks, on_disk, row_slices
from sklearn_lvm.core.standardization import Standardization

from ..laws.specs import features, seeds

N = 50
per_feature = pytest.mark.parametrize("per_feature", [True, False], ids=["each", "common"])


def table(seed, d, n=N):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) * rng.uniform(0.5, 2.0, d) + rng.normal(size=d)


def weights(seed, n=N):
    return np.random.default_rng(seed + 1).uniform(0.1, 2.0, n)


@given(n=st.integers(1, 1000), d=st.integers(1, 50), entries=st.integers(1, 5000))
def test_row_slices_cover_every_row_once(n, d, entries):
    rows = np.concatenate([np.arange(n)[part] for part in row_slices(n, d, entries)])
    assert_array_equal(rows, np.arange(n))


@per_feature
@given(seed=seeds, d=features, size=st.integers(1, N + 5))
def test_blocks_made_anew_are_those_that_are_held(per_feature, seed, d, size):
    X, w = table(seed, d), weights(seed)
    standardization = Standardization.of(X, w, per_feature=per_feature)
    slices = [slice(start, start + size) for start in range(0, N, size)]
    anew = Blocks(X, w, standardization.transform, slices)
    kept = anew.held()
    assert len(kept) == len(anew) == len(slices)
    for (one, v), (two, u), rows in zip(kept, anew, slices, strict=True):
        assert_array_equal(one, two)
        assert_array_equal(v, w[rows])
        assert_array_equal(u, w[rows])
    assert_array_equal(np.concatenate([Z for Z, _ in anew], axis=1), standardization.transform(X))


def test_views_of_a_file_are_known_however_far_removed(tmp_path):
    path = tmp_path / "rows.npy"
    np.save(path, table(0, 3))
    mapped, memory = np.load(path, mmap_mode="r"), np.load(path)
    for array in (mapped, mapped[::2], np.asarray(mapped), np.asarray(mapped)[3:].T):
        assert on_disk(array)
    for array in (memory, memory[::2], mapped + 0.0, np.array(mapped)):
        assert not on_disk(array)
