"""The component that promises most is split, and the two that lose least are merged."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_lvm.core.mixture_batch import batch_m_step
from sklearn_lvm.fitting.split_merge import merges, splits

from .samples import groups, sample_of

CENTERS = [[0.0, 0.0], [14.0, 0.0], [0.0, 14.0], [14.0, 14.0], [14.0, 17.0]]
X, LABELS = groups(100, CENTERS)
JOINED = np.minimum(LABELS, 3)  # the last two groups, which are the nearest, are one


def model_of(sample, labels):
    K = labels.max() + 1
    shares = np.eye(K)[:, labels] * sample.rows.w
    statistics = sample.steps.family.statistics(sample.rows.block, shares)
    return batch_m_step(sample.steps, statistics, 1).mixture(0)


def means_of(sample, model):
    units = sample.rows.transformation
    means = model.components.mean * units.scale + units.center
    return means[np.lexsort(means.round().T)]


@pytest.mark.parametrize("w", [None, np.random.default_rng(0).uniform(0.5, 2.0, len(X))])
def test_a_component_on_two_groups_is_split(w):
    sample = sample_of(X, w)
    (found,) = splits(sample, model_of(sample, JOINED), np.random.RandomState(0), 1)
    assert_allclose(np.exp(found.log_weights).sum(), 1.0)
    assert_allclose(means_of(sample, found), means_of(sample, model_of(sample, LABELS)), atol=0.5)


def test_the_nearest_two_are_merged():
    sample = sample_of(X)
    (found,) = merges(sample, model_of(sample, LABELS), 1)
    expected = model_of(sample, JOINED)
    assert_allclose(means_of(sample, found), means_of(sample, expected), atol=1e-3)
    assert_allclose(np.exp(found.log_weights).max(), 0.4, atol=1e-3)


def test_several_come_in_the_order_of_their_promise():
    sample = sample_of(X)
    model = model_of(sample, LABELS)
    objectives = [sample.run(found, 0)[1] for found in merges(sample, model, 4)]
    assert objectives == sorted(objectives, reverse=True)
    assert len(splits(sample, model, np.random.RandomState(0), 3)) == 3


def test_two_components_become_one_of_all_rows():
    sample = sample_of(X)
    (found,) = merges(sample, model_of(sample, (LABELS > 1).astype(int)), 2)
    assert_allclose(found.log_weights, [0.0], atol=1e-12)
    assert_allclose(means_of(sample, found), [X.mean(axis=0)], atol=1e-9)


def test_components_without_weight_are_merged():
    sample = sample_of(X)
    model = model_of(sample, np.where(LABELS == 3, 5, LABELS))  # none has the label 3
    (found,) = merges(sample, model, 1)
    assert np.isfinite(found.log_weights).all()
    before, after = (sample.run(mixture, 0)[1] for mixture in (model, found))
    assert before <= after < before + 0.01  # by the M-step


def test_nothing_is_split_of_few_rows():
    few, labels = groups(4, CENTERS)
    sample = sample_of(few)
    assert splits(sample, model_of(sample, labels), np.random.RandomState(0), 2) == []
