"""Starts of several numbers of components are found from each other."""

import numpy as np
import pytest

from sklearn_lvm.fitting.component_counts import CountPath

from .samples import gaussian_steps, groups, sample_of

RNG = np.random.default_rng(1)
CENTERS = RNG.uniform(-40.0, 40.0, size=(6, 2))


def path_of(X, counts):
    return CountPath.of(sample_of(X), {K: gaussian_steps(X.shape[1]) for K in counts})


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("counts", [range(1, 9), range(4, 8)])
def test_every_number_of_components_has_a_start_near_its_maximum(seed, counts):
    X, _ = groups(150, CENTERS)
    sample, path = sample_of(X), path_of(X, counts)
    starts = path.starts(np.random.RandomState(seed))
    assert list(starts) == list(counts)
    assert [len(model.log_weights) for model in starts.values()] == list(counts)
    ends = [sample.run(model, 200, 1e-9, "squarem")[1] for model in starts.values()]
    assert (np.diff(ends) > -1e-6).all()  # one more component never loses


def test_groups_are_found_from_either_side():
    """By splits from below, and by merges from above."""
    X, labels = groups(150, CENTERS)
    for counts in (range(1, 7), range(6, 10)):
        model = path_of(X, counts).starts(np.random.RandomState(0))[6]
        share = np.exp(sample_of(X).joint(model))
        found = share.argmax(axis=0)
        pairs = {(int(a), int(b)) for a, b in zip(labels, found, strict=True)}
        assert len(pairs) <= 8  # 6 but for a row or two between groups
        assert len({b for _, b in pairs}) == 6


def test_many_rows_are_sampled():
    X, _ = groups(4000, CENTERS)
    path = path_of(X, range(1, 8))
    assert len(path.samples[1]) < len(X) / 4
    assert list(path.starts(np.random.RandomState(0))) == list(range(1, 8))


def test_numbers_that_no_search_makes_sense_for_are_left_out():
    X, _ = groups(5, CENTERS)
    path = path_of(X, range(1, 40))
    assert 1 <= max(path.steps) < 10
    assert path_of(X, [31, 32]) is None
