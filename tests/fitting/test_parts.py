"""Estimators as the densities of a mixture: what an M-step fits, and where a start begins."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.mixture import GaussianMixture

from sklearn_lvm import BetaBernoulli, GaussianMLE
from sklearn_lvm.core.mixture import Mixture
from sklearn_lvm.core.mixture_em import MixtureSteps
from sklearn_lvm.fitting.parts import (
    PartComponents,
    PartError,
    PartFamily,
    PartStatistics,
    as_template,
    draw_for,
)
from sklearn_lvm.fitting.starts import STARTS


def rows():
    rng = np.random.RandomState(0)
    return np.concatenate([rng.normal(-2, 1, (30, 2)), rng.normal(2, 1, (30, 2))])


def halves(X):
    return np.repeat(np.eye(2), len(X) // 2, axis=1)


def family(*parts, fixed=None):
    return PartFamily(tuple("ab"), parts, fixed or (None,) * len(parts))


def test_an_m_step_fits_each_part_under_its_weights():
    X = rows()
    steps = MixtureSteps(family(GaussianMLE(), GaussianMLE(covariance_type="diag")))
    model = steps.m_step(PartStatistics(X, halves(X)))
    full, diagonal = model.components.parts
    assert_allclose(full.covariance_, GaussianMLE().fit(X[:30]).covariance_, rtol=1e-13)
    assert_allclose(diagonal.mean_, GaussianMLE().fit(X[30:]).mean_, rtol=1e-13)
    assert diagonal.covariance_.shape == (2,)
    assert_allclose(np.exp(model.log_weights), 0.5)


def test_statistics_of_blocks_join():
    X = rows()
    resp = halves(X)
    joined = PartStatistics(X[:20], resp[:, :20]) + PartStatistics(X[20:], resp[:, 20:])
    assert_array_equal(joined.rows, X)
    assert_array_equal(joined.weight, resp.sum(axis=1))


def test_a_part_without_weight_stays_as_it_is():
    X = rows()
    known = family(GaussianMLE(), GaussianMLE())
    components = known.estimate(PartStatistics(X, halves(X)))
    all_to_one = np.array([np.ones(len(X)), np.zeros(len(X))])
    following = known.estimate(PartStatistics(X, all_to_one), components)
    assert following.parts[1] is components.parts[1]
    assert following.parts[0] is not components.parts[0]
    assert following.failures == ()


def test_a_part_that_cannot_be_fitted_keeps_its_last_fit():
    X = rows()
    known = family(GaussianMLE(), GaussianMLE())
    resp = np.array([np.ones(len(X)), np.arange(len(X)) == 3])
    with pytest.raises(PartError, match=r"component 1 \('b'\), of weight 1, cannot be fitted"):
        known.estimate(PartStatistics(X, resp))
    components = known.estimate(PartStatistics(X, halves(X)))
    following = known.estimate(PartStatistics(X, resp), components)
    assert following.parts[1] is components.parts[1]
    assert "component 1 ('b')" in following.failures[0]


def test_a_fixed_part_is_not_fitted_again():
    X = rows()
    held = GaussianMLE().fit(X)
    known = family(GaussianMLE(), GaussianMLE(), fixed=(None, held))
    assert known.estimate(PartStatistics(X, halves(X))).parts[1] is held


def test_a_predictive_is_fitted_as_a_mode_of_which_the_prior_counts():
    X = (rows() > 0).astype(float)
    given = BetaBernoulli(alpha=2.0, beta=0.5)
    template = as_template(given, np.random.RandomState(0))
    part = template.fit(X)
    assert (template.inference, template.alpha, template.beta) == ("map", 3.0, 1.5)
    assert_allclose(part.probability_, given.fit(X).probability_, rtol=1e-14)
    p = part.probability_
    expected = np.sum(2.0 * np.log(p) + 0.5 * np.log1p(-p))
    assert_allclose(family(template, template).log_prior(PartComponents((part,))), expected)


def test_random_parts_are_the_same_from_the_same_random_state():
    seeds = [
        as_template(GaussianMLE(), np.random.RandomState(0)).get_params()["random_state"]
        for _ in range(2)
    ]
    assert isinstance(seeds[0], int)
    assert seeds[0] == seeds[1]
    assert as_template(GaussianMLE(random_state=7), np.random.RandomState(0)).random_state == 7


def test_samples_come_from_the_part_of_their_label():
    X = rows()
    parts = [GaussianMLE().fit(X[:30]), GaussianMixture(2, random_state=0).fit(X[30:] + 50.0)]
    labels = np.array([0, 1, 1, 0, 1])
    drawn = PartComponents(tuple(parts)).sample(labels, np.random.RandomState(0))
    assert_array_equal(drawn[:, 0] > 20, labels == 1)


def test_a_mixture_has_the_log_densities_of_its_parts():
    X = rows()
    parts = (GaussianMLE().fit(X[:30]), GaussianMLE().fit(X[30:]))
    log_prob = Mixture(np.log([0.3, 0.7]), PartComponents(parts)).kernel().log_prob(X)
    first, second = (np.exp(part.score_samples(X)) for part in parts)
    assert_allclose(log_prob, np.log(0.3 * first + 0.7 * second), rtol=1e-12)


@pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)
def test_a_fixed_part_begins_with_what_lies_far_out(start):
    X = np.concatenate([rows(), [[90.0, 0.0], [0.0, -90.0]]])
    draw = draw_for(start.draw, [None, "held", None])
    resp = draw(X, np.ones(len(X)), 3, np.random.RandomState(0))
    assert_allclose(resp.sum(axis=0), 1.0)
    assert (resp > 0).all()
    assert (resp[1, -2:] > 0.9).all()
    assert (resp[1, :-2] < 0.1).all()
