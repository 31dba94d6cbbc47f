"""A component that is not missed is moved to where one is missing."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_lvm.core.mixture_batch import batch_m_step
from sklearn_lvm.fitting.swaps import Swaps, best_swaps, gain_by_halves, loss_without

from .samples import groups, sample_of

CENTERS = [[0.0, 0.0], [12.0, 0.0], [0.0, 12.0], [12.0, 12.0]]
X, LABELS = groups(150, CENTERS)


def model_of(sample, labels, K=4):
    """The mixture of the clusters that labels tell."""
    shares = np.eye(K)[:, labels] * sample.rows.w
    statistics = sample.steps.family.statistics(sample.rows.block, shares)
    return batch_m_step(sample.steps, statistics, 1).mixture(0)


def misplaced(seed=0):
    """Labels that put two components on the first group, and one on the last two."""
    labels = np.where(LABELS == 3, 2, LABELS)
    labels[LABELS == 0] = np.where(np.random.default_rng(seed).random(150) < 0.5, 0, 3)
    return labels


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("w", [None, np.random.default_rng(0).uniform(0.5, 2.0, len(X))])
def test_em_stays_where_a_swap_finds_the_groups(seed, w):
    sample = sample_of(X, w)
    start = model_of(sample, misplaced(seed))
    stuck, objective = sample.run(start, 100)
    model = Swaps(sample).improved(start, np.random.RandomState(seed))
    found, better = sample.run(model, 100)
    assert better > objective + 0.1
    centers = found.components.mean * sample.rows.transformation.scale
    centers = centers + sample.rows.transformation.center
    found_groups = sorted(map(tuple, (centers / 12.0).round().tolist()))
    assert found_groups == sorted(map(tuple, (np.array(CENTERS) / 12.0).tolist()))
    assert np.exp(stuck.log_weights).max() > 0.4


@pytest.mark.parametrize("seed", range(5))
def test_a_mixture_that_is_right_stays(seed):
    sample = sample_of(X)
    right = model_of(sample, LABELS)
    model = Swaps(sample).improved(right, np.random.RandomState(seed))
    assert_allclose(model.components.mean, right.components.mean, atol=1e-3)


def test_components_of_few_rows_are_not_halved():
    few, labels = groups(4, CENTERS)
    sample = sample_of(few)
    right = model_of(sample, labels)
    joint, resp = sample.joint(right), np.eye(4)[:, labels]
    assert Swaps(sample).halves(right, joint, resp, np.random.RandomState(0)) is None


def test_a_component_that_cannot_be_halved_is_left_whole():
    """Its rows are three points: a half has one or two of them, and no spread in some direction."""
    points = np.repeat([[30.0, 30.0], [30.0, 31.0], [31.0, 30.0]], 50, axis=0)
    labels = np.concatenate([LABELS, np.full(150, 4)])
    sample = sample_of(np.concatenate([X, points]))
    object.__setattr__(sample.steps.family, "added_variance", np.zeros(2))
    model = model_of(sample, labels, 5)
    resp = np.eye(5)[:, labels]
    halves = Swaps(sample).halves(model, sample.joint(model), resp, np.random.RandomState(0))
    assert_array_equal(halves.component, range(4))
    assert halves.shares.shape == (4, 2, len(labels))
    assert halves.gain.shape == (4,)


# -- what is known before a swap -----------------------------------------------------------------------


def test_what_is_lost_without_a_component_is_lost():
    """The loss is that of the mixture of the others, weights divided by their sum."""
    sample = sample_of(X, np.random.default_rng(0).uniform(0.5, 2.0, len(X)))
    model, _ = sample.run(model_of(sample, misplaced()), 5)
    joint, w = sample.joint(model), sample.rows.w
    log_prob = np.logaddexp.reduce(joint)
    resp = np.exp(joint - log_prob)
    share = resp @ w / w.sum()
    loss = loss_without(resp, w)
    for k in (0, 3):
        others = np.delete(joint, k, axis=0)
        rest = np.logaddexp.reduce(others) - np.log(1.0 - share[k])
        assert_allclose(loss[k], w @ (log_prob - rest), rtol=1e-6)


def test_what_is_gained_by_halves_is_gained():
    rng = np.random.default_rng(0)
    log_parts, log_half = rng.normal(size=(3, 50)), rng.normal(size=(2, 50))
    w, chosen = rng.uniform(size=50), [0, 2]
    log_prob = np.logaddexp.reduce(log_parts)
    resp = np.exp(log_parts - log_prob)[chosen]
    found = gain_by_halves(resp, log_half - log_parts[chosen], w)
    for g, k in enumerate(chosen):
        replaced = log_parts.copy()
        replaced[k] = log_half[g]
        assert_allclose(found[g], w @ (np.logaddexp.reduce(replaced) - log_prob), rtol=1e-12)


def test_extreme_shares_and_ratios_are_finite():
    resp, w = np.array([[1.0, 0.0, 0.5]]), np.ones(3)
    assert np.isfinite(loss_without(resp, w)).all()
    assert np.isfinite(gain_by_halves(resp, np.array([[-1e6, 1e6, 1e6]]), w)).all()


def test_swaps_are_of_different_components_and_gain():
    gain, loss = np.array([9.0, 8.0, 1.0]), np.array([50.0, 50.0, 1.5, 2.0, 3.0])
    assert best_swaps(gain, np.array([0, 1, 4]), loss) == [(0, 2), (1, 3)]


def test_the_first_swap_is_tried_even_if_it_seems_to_lose():
    gain = np.array([2.0])
    assert best_swaps(gain, np.array([1]), np.array([5.0, 2.0, 6.0])) == [(1, 0)]
    assert best_swaps(gain, np.array([1]), np.array([7.0, 2.0, 8.0])) == []
