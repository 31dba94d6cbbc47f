"""Stacked columns: missing entries, marginals, conditionals, and conjugate priors."""

import numpy as np
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_lvm.core.exponential.columns import BERNOULLI, Categorical, Poisson, Uniform
from sklearn_lvm.core.exponential.density import ExponentialComponents, ExponentialFamily
from sklearn_lvm.core.exponential.rows import FeatureMap
from sklearn_lvm.core.mixture import Mixture
from sklearn_lvm.core.mixture_em import MixtureSteps

COLUMNS = (Poisson(), Categorical((0.0, 1.0, 2.0)), Uniform(-4.0, 4.0), BERNOULLI)
MAP = FeatureMap(COLUMNS)


def rows_of(n, seed=0):
    rng = np.random.RandomState(seed)
    columns = (
        rng.poisson(3, n),
        rng.randint(3, size=n),
        rng.uniform(-4, 4, n),
        rng.randint(2, size=n),
    )
    return np.stack(columns, axis=1).astype(float)


def fitted(K=2, prior=None):
    rng, rows = np.random.RandomState(1), rows_of(50)
    family = ExponentialFamily(COLUMNS, prior)
    return family.estimate(family.statistics(MAP.transform(rows), rng.dirichlet(np.ones(K), 50).T))


def log_prob(components, rows):
    columns = FeatureMap(components.columns)
    return components.kernel(np.zeros(len(components.theta))).log_prob(columns.transform(rows))


def test_the_score_of_incomplete_rows_is_that_of_the_marginal():
    components, rows, kept = fitted(), rows_of(9), np.array([0, 3])
    incomplete = rows.copy()
    incomplete[:, [1, 2]] = np.nan
    expected = log_prob(components.marginal(kept), rows[:, kept])
    assert_allclose(log_prob(components, incomplete), expected, rtol=1e-12)


def test_a_row_of_which_nothing_was_observed_scores_zero():
    assert_array_equal(log_prob(fitted(), np.full((1, 4), np.nan)), np.zeros((2, 1)))


def test_entries_add_up_to_the_score():
    components, rows = fitted(), rows_of(9)
    rows[::2, 1] = np.nan
    entries = components.entries(MAP.transform(rows))
    assert_allclose(entries.sum(axis=1), log_prob(components, rows), rtol=1e-12)


def test_a_joint_density_is_a_marginal_and_a_conditional():
    components, rows = fitted(), rows_of(1)
    known, others = components.conditional(np.array([1, 3]), rows[0, [1, 3]])
    total = known + log_prob(others, rows[:, [0, 2]])[:, 0]
    assert_allclose(total, log_prob(components, rows)[:, 0], rtol=1e-12)


def test_the_impossible_is_ruled_out():
    assert_array_equal(fitted().conditional(np.array([2]), np.array([5.0]))[0], [-np.inf] * 2)


def test_missing_entries_are_expected_and_drawn():
    components, rows = fitted(), rows_of(6)
    rows[::2, 0] = np.nan
    block, missing = MAP.transform(rows), np.isnan(rows)
    found = components.conditionals(block)
    assert_allclose(found.mean[:, 0, ::2], np.repeat(components.means[:, :1], 3, axis=1))
    drawn = components.draw_missing(block, np.zeros(6, int), np.random.RandomState(0))
    assert_array_equal(drawn[~missing], rows[~missing])
    assert np.isfinite(drawn).all()


def test_parameters_are_counted():
    assert fitted(K=3).n_parameters() == 3 * (1 + 2 + 0 + 1)


def test_a_prior_is_as_good_as_rows():
    extra = rows_of(5, seed=7)
    prior = MAP.transform(extra).phi.sum(axis=1)
    both = MAP.transform(np.concatenate([rows_of(20), extra]))
    family, plain = ExponentialFamily(COLUMNS, prior), ExponentialFamily(COLUMNS)
    found = family.estimate(family.statistics(MAP.transform(rows_of(20)), np.ones((1, 20))))
    expected = plain.estimate(plain.statistics(both, np.ones((1, 25))))
    assert_allclose(found.theta, expected.theta, rtol=1e-12)
    base = MAP.transform(extra).base.sum()
    assert_allclose(family.log_prior(found), log_prob(found, extra).sum() - base, rtol=1e-12)


def test_coordinates_lead_back():
    components = fitted()
    found = components.from_coordinates(components.to_coordinates(components))
    assert isinstance(found, ExponentialComponents)
    assert_allclose(found.theta, components.theta, rtol=1e-12)


def test_the_steps_of_a_mixture_raise_the_penalized_likelihood():
    prior = MAP.transform(rows_of(3, seed=4)).phi.mean(axis=1)
    steps = MixtureSteps(ExponentialFamily(COLUMNS, prior))
    block, objectives = (MAP.transform(rows_of(50)), np.ones(50)), []
    model = Mixture(np.log([0.5, 0.5]), fitted(prior=prior))
    for _ in range(5):
        total = steps.e_step(model)(block)
        objectives.append(total.log_likelihood + steps.log_prior(model))
        model = steps.m_step(steps.e_step(model).statistics(total), model)
    assert (np.diff(objectives) > 0).all()
