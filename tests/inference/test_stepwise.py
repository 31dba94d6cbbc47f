"""Stepwise statistics: how much a batch counts beside those before it."""

import numpy as np
from numpy.testing import assert_allclose

from sklearn_lvm.core.bernoulli.counts import Counts
from sklearn_lvm.inference.stepwise import DECAY, StepwiseStatistics


def counted(ones, zeros):
    return Counts(np.ones(1), np.array([[float(ones)]]), np.array([[float(zeros)]]))


def test_equal_batches_enter_with_falling_steps():
    found = StepwiseStatistics(counted(1, 0), 1.0, 1.0)
    share = 1.0
    for t in range(2, 10):
        found = found.updated(counted(0, 1), 1.0)
        share *= 1 - t**-DECAY
        ones, zeros = found.statistics.ones[0, 0], found.statistics.zeros[0, 0]
        assert_allclose(ones / (ones + zeros), share, rtol=1e-12)
        assert_allclose(ones + zeros, found.effective_weight, rtol=1e-12)
    assert found.total_weight == 9.0


def test_a_small_batch_moves_a_stream_little():
    found = StepwiseStatistics(counted(1000, 0), 1000.0, 1000.0)
    moved = found.updated(counted(0, 1), 1.0).statistics
    assert moved.zeros[0, 0] / (moved.ones + moved.zeros)[0, 0] < 0.01


def test_statistics_at_the_weight_of_all_batches_have_the_same_shares():
    found = StepwiseStatistics(counted(3, 1), 4.0, 4.0).updated(counted(0, 4), 4.0)
    whole = found.of_all_batches
    assert_allclose((whole.ones + whole.zeros)[0, 0], 8.0, rtol=1e-12)
    assert_allclose(whole.ones / whole.zeros, found.statistics.ones / found.statistics.zeros)
