"""Priors that the columns of a table suggest."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_lvm.core.bernoulli.counts import Counts
from sklearn_lvm.core.bernoulli.density import BernoulliFamily
from sklearn_lvm.core.bernoulli.prior import STRENGTHS, column_prior, side_by_side

TOTAL = Counts(np.full(1, 8.0), np.array([[8.0, 0.0, 2.0, 0.0]]), np.array([[0.0, 8.0, 6.0, 0.0]]))


@pytest.mark.parametrize("strength", STRENGTHS)
def test_a_prior_is_worth_as_much_in_every_column(strength):
    pseudo = column_prior(TOTAL, strength).pseudo_counts()
    assert_allclose(pseudo.ones + pseudo.zeros, strength)
    assert_allclose(pseudo.ones / strength, [[0.95, 0.05, 0.275, 0.5]])


def test_nothing_is_impossible_to_a_component_without_rows():
    nothing = Counts(np.zeros(2), np.zeros((2, 4)), np.zeros((2, 4)))
    family = BernoulliFamily(column_prior(TOTAL, 1.0).pseudo_counts())
    assert_allclose(family.estimate(nothing).probability, [[0.95, 0.05, 0.275, 0.5]] * 2)


def test_an_unknown_column_is_even():
    assert_array_equal(TOTAL.share_of_ones, [[1.0, 0.0, 0.25, 0.5]])


def test_priors_side_by_side_are_those_of_the_densities_of_each_mixture():
    priors = [column_prior(TOTAL, strength) for strength in (1.0, 3.0)]
    found = side_by_side(priors, 2)
    for name in ("alpha", "beta"):
        one, other = (getattr(prior, name) for prior in priors)
        assert_array_equal(getattr(found, name), np.concatenate([one, one, other, other]))
