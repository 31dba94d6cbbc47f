"""The best of several starts goes on, as far as likelihoods tell after a few steps."""

from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_lvm.core.linalg import SingularCovarianceError
from sklearn_lvm.core.mixture_batch import MixtureBatch, batch_m_step
from sklearn_lvm.fitting.contest import ROUNDS, winner
from sklearn_lvm.fitting.sample import Sample
from sklearn_lvm.inference.two_precisions import SinglePrecision

from .samples import groups, sample_of

CENTERS = [[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]]
X, LABELS = groups(150, CENTERS)


def batch_of(sample, *labelings):
    """The mixtures of the clusters that labels tell."""
    shares = np.concatenate([np.eye(3)[:, labels] for labels in labelings])
    statistics = sample.steps.family.statistics(sample.rows.block, shares)
    return batch_m_step(sample.steps, statistics, len(labelings))


@pytest.mark.parametrize("place", range(3))
def test_the_start_that_knows_the_groups_wins(place):
    """Two others have one component on two groups, and two on one."""
    sample = sample_of(X)
    merged = np.where(LABELS == 2, 1, LABELS)
    merged[:75] = 2
    labelings = [merged, np.roll(merged, 7)]
    labelings.insert(place, LABELS)
    model = winner(sample, batch_of(sample, *labelings))
    assert_allclose(np.exp(model.log_weights), 1 / 3, atol=1e-3)


def test_a_start_that_is_alone_takes_no_steps():
    sample = sample_of(X)
    batch = batch_of(sample, LABELS)
    model = winner(sample, batch)
    assert_allclose(model.components.mean, batch.components.mean, rtol=0)


def test_every_round_leaves_the_best(monkeypatch):
    """Each round takes its steps, and those that go on were the most likely ones."""
    sample, seen = sample_of(X), []
    step = Sample.em_step

    def recorded(sample, batch):
        log_likelihood, following = step(sample, batch)
        seen.append(log_likelihood)
        return log_likelihood, following

    monkeypatch.setattr(Sample, "em_step", recorded)
    rng = np.random.default_rng(0)
    winner(sample, batch_of(sample, *[rng.integers(3, size=len(X)) for _ in range(4)]))
    (first, kept), (second, _) = ROUNDS
    assert [len(found) for found in seen] == [4] * first + [kept] * second
    best = -np.sort(-seen[first - 1])[:kept]
    assert (seen[first] >= best).all()  # an EM step later


class Flat:
    """Steps without a prior."""

    def log_prior(self, model):
        return 0.0


class FailingSample:
    """A sample on which a component of one mixture becomes singular, as long as it is there."""

    steps = Flat()
    rows = SimpleNamespace(w=np.ones(1))

    def em_step(self, batch):
        bad = np.flatnonzero(batch.components.values == -1)
        if len(bad):
            raise SingularCovarianceError(int(bad[0]), (0,))
        return batch.components.values.reshape(len(batch), -1).sum(axis=1), batch


class Values:
    """Components that are numbers."""

    def __init__(self, values):
        self.values = np.asarray(values)

    def subset(self, chosen):
        return Values(self.values[chosen])


def test_starts_that_fail_are_left_out():
    values = [[1, 1], [-1, 9], [3, 3], [9, -1]]
    model = winner(FailingSample(), MixtureBatch(np.zeros((4, 2)), Values(np.ravel(values))))
    assert model.components.values.tolist() == [3, 3]


def test_if_all_fail_the_last_says_why():
    with pytest.raises(SingularCovarianceError):
        winner(FailingSample(), MixtureBatch(np.zeros((2, 2)), Values([-1, 0, 0, -1])))


def test_single_precision_is_enough_for_a_contest():
    double, single = (
        winner(sample, batch_of(sample, LABELS, np.roll(LABELS, 40)))
        for sample in (sample_of(X), sample_of(X, kind=SinglePrecision))
    )
    assert_allclose(single.components.mean, double.components.mean, atol=1e-4)
