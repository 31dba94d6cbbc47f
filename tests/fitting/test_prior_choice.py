"""Of several priors the one wins under which rows that were held back are most likely."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_lvm.core.gaussian.density import GaussianFamily
from sklearn_lvm.core.gaussian.full import Full
from sklearn_lvm.core.gaussian.prior import GaussianPrior
from sklearn_lvm.core.mixture_em import MixtureSteps
from sklearn_lvm.fitting.prior_choice import ROUNDS, PriorContest, rows_for_choice
from sklearn_lvm.inference.problem import Problem

from .samples import InTurn, groups, row_source

K, D = 3, 2
X, _ = groups(60, [[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]])


def prior_of(scatter, strength):
    return GaussianPrior(
        Full(D), strength * scatter * np.eye(D)[None], np.array([strength]), np.zeros(D)
    )


def steps_under(priors):
    prior = GaussianPrior.side_by_side(priors, K)
    return MixtureSteps(GaussianFamily(Full(D), np.zeros(D), prior))


def contest_of(candidates, rows=X, n_together=100):
    held_back, rest = rows_for_choice(row_source(rows), K).split(0.3, seed=0)
    return PriorContest(candidates, steps_under, n_together, rest, held_back, K)


CANDIDATES = {
    "too narrow": prior_of(1e-4, 200.0),
    "good": prior_of(0.06, 5.0),
    "too wide": prior_of(5.0, 200.0),
    "far too wide": prior_of(50.0, 900.0),
    "hardly any": prior_of(0.06, 1e-3),
}


def test_the_best_prior_is_the_last():
    scores = contest_of(CANDIDATES).scores()
    assert scores.keys() == CANDIDATES.keys()
    assert list(scores)[-1] == "good"
    assert scores["good"] > scores["too wide"] > scores["far too wide"]


@pytest.mark.parametrize("n_together", [1, 2, 3])
def test_how_many_are_fitted_side_by_side_does_not_matter(n_together):
    expected = contest_of(CANDIDATES).scores()
    found = contest_of(CANDIDATES, n_together=n_together).scores()
    assert list(found) == list(expected)
    assert_allclose(list(found.values()), list(expected.values()), rtol=1e-4)  # rows in float32


def test_a_score_is_that_of_rows_that_were_not_fitted_to():
    """The winner's score, by plain steps of EM from the same clusters."""
    contest = contest_of({"good": CANDIDATES["good"]})
    found = contest.scores()["good"]
    steps = steps_under([CANDIDATES["good"]])
    model = steps.m_step(contest._clusters)
    for _ in range(ROUNDS[-1][0]):
        model = Problem(steps, contest.rows.blocks, InTurn()).evaluate(model).following
    log_prob = model.kernel().log_prob(contest.held_back.block)
    w = contest.held_back.w
    assert_allclose(found, w @ log_prob / w.sum(), rtol=1e-5)
    rest = {tuple(row) for row in contest.rows.X}
    assert not rest & {tuple(row) for row in contest.held_back.X}


def test_a_prior_under_which_covariances_are_singular_has_no_score():
    nothing = replace(CANDIDATES["good"], scatter=np.zeros((1, D, D)), strength=np.array([1e-9]))
    line = X.copy()
    line[:, 1] = line[:, 0]  # without a prior no covariance has an inverse
    scores = contest_of({"none": nothing, "good": CANDIDATES["good"]}, line).scores()
    assert list(scores) == ["good"]
    assert contest_of({"none": nothing}, line).scores() == {}


def test_a_choice_takes_few_rows_and_weighs_them_anew():
    many = np.random.default_rng(0).normal(size=(20_000, D))
    sample = rows_for_choice(row_source(many, np.full(20_000, 1e-30)), K)
    assert len(sample) <= 1100
    assert sample.unit == 1.0
    assert_allclose(np.median(sample.w), 1.0, rtol=1e-12)


def test_copies_and_weights_are_split_alike():
    times = np.random.default_rng(1).integers(1, 5, len(X))
    copies = row_source(np.repeat(X, times, axis=0))
    weighted = row_source(X, times.astype(float))
    split = partial(rows_for_choice, n_components=K)
    for one, other in zip(
        split(copies).split(0.3, seed=0), split(weighted).split(0.3, seed=0), strict=True
    ):
        assert_allclose(one.X, other.X, rtol=0)
        assert_allclose(one.w, other.w, rtol=1e-12)
