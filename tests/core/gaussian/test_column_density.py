"""Student-t densities of independent columns, beside scipy."""

import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy import stats

from sklearn_lvm.core.gaussian.column_density import ColumnStudentTs

MEAN, SCALE = np.array([1.0, -2.0, 0.5]), np.array([0.5, 2.0, 1.0])
KINDS = {"a precision each": np.array([3.0, 8.0, 30.0]), "one precision": np.array([5.0])}
every_kind = pytest.mark.parametrize("kind", KINDS)


def density(kind):
    return ColumnStudentTs(MEAN[None], SCALE[None], KINDS[kind][None])


def log_prob(densities, Z):
    kernel = densities.kernel(np.zeros(len(densities.mean)))
    return kernel.log_prob(kernel.features(Z))


def expected(kind, z):
    """The log-density of the observed entries of one row."""
    o, dof = ~np.isnan(z), KINDS[kind]
    if not o.any():
        return 0.0
    if len(dof) == 3:
        return stats.t(dof[o], MEAN[o], SCALE[o]).logpdf(z[o]).sum()
    return stats.multivariate_t(MEAN[o], np.diag(SCALE[o] ** 2), dof[0]).logpdf(z[o])


def rows(n=40, seed=0):
    rng = np.random.RandomState(seed)
    Z = 3.0 * rng.normal(size=(3, n))
    Z[rng.uniform(size=Z.shape) < 0.4] = np.nan
    Z[:, 0] = np.nan
    return Z


@every_kind
def test_scores_are_those_of_the_observed_entries(kind):
    Z = rows()
    assert_allclose(log_prob(density(kind), Z)[0], [expected(kind, z) for z in Z.T], atol=1e-12)


@every_kind
def test_a_density_given_values_is_the_joint_one_over_the_marginal(kind):
    joint, values = density(kind), np.array([4.0])
    marginal, given = joint.conditional(np.array([1]), values)
    others = np.array([[0.3, -2.0], [7.0, 0.1]])
    whole = np.stack([others[0], np.full(2, 4.0), others[1]])
    assert_allclose(log_prob(given, others) + marginal[:, None], log_prob(joint, whole))
    assert_allclose(marginal, log_prob(joint.marginal(np.array([1])), values[:, None])[:, 0])
    found = joint.conditionals(np.array([[np.nan], [4.0], [np.nan]]))
    assert_allclose(found.mean[0, :, 0], [MEAN[0], 4.0, MEAN[2]])
    assert_allclose(np.sqrt(found.square[0, [0, 2], 0]), given.scale[0])
    assert_allclose(found.dof[0, [0, 2], 0], np.broadcast_to(given.dof[0], 2))
    assert found.square[0, 1, 0] == 0.0


@every_kind
def test_draws_of_missing_entries_are_those_of_the_conditional_density(kind):
    n, rng = 4000, np.random.RandomState(0)
    joint = density(kind)
    Z = np.repeat([[np.nan], [4.0], [np.nan]], n, axis=1)
    drawn = joint.draw_missing(Z, np.zeros(n, dtype=int), rng)
    assert (drawn[:, 1] == 4.0).all()
    _, given = joint.conditional(np.array([1]), np.array([4.0]))
    dof = np.broadcast_to(given.dof[0], 2)
    for place, j in enumerate((0, 2)):
        law = stats.t(dof[place], given.mean[0, place], given.scale[0, place])
        assert stats.kstest(drawn[:, j], law.cdf).pvalue > 1e-3
    sample = joint.sample(np.zeros(n, dtype=int), rng)
    law = stats.t(KINDS[kind][0], MEAN[0], SCALE[0])
    assert stats.kstest(sample[:, 0], law.cdf).pvalue > 1e-3


def test_several_densities_stand_side_by_side():
    both = ColumnStudentTs(
        np.stack([MEAN, -MEAN]), np.stack([SCALE, 2 * SCALE]), np.array([[5.0], [9.0]])
    )
    Z = rows()
    found = log_prob(both, Z)
    for k in range(2):
        assert_allclose(found[k], log_prob(both.subset(np.array([k])), Z)[0])
    labels = np.arange(Z.shape[1]) % 2
    drawn = both.draw_missing(Z, labels, np.random.RandomState(0))
    assert_allclose(drawn[~np.isnan(Z.T)], Z.T[~np.isnan(Z.T)])
    assert both.n_parameters() == 8
