"""The stopping rule: how much remains to be gained, and when that is known well enough."""

import numpy as np
import pytest

from sklearn_lvm.inference.stopping import MIN_GAIN, WINDOW, StoppingRule


def met(rule, *steps):
    """Whether the rule is met after each of some steps of a gain and a rate, all equally high."""
    return [rule.is_met(0.0, *step) for step in steps]


SMALL, STEEP, PROPOSAL = (0.01, 0.5), (1.0, 0.5), (None, 0.5)


def test_two_estimates_must_agree():
    assert met(StoppingRule(0.1), SMALL, STEEP, SMALL, SMALL) == [False, False, False, True]


def test_an_extrapolation_confirms_nothing():
    steps = [PROPOSAL] * 3 + [SMALL, PROPOSAL, SMALL]
    assert met(StoppingRule(0.1), *steps) == [False, False, False, False, False, True]


@pytest.mark.parametrize("rate", [-0.5, 0.0, 1.0, 2.0, np.inf, np.nan])
def test_what_remains_is_unknown_where_gains_do_not_shrink(rate):
    assert not any(met(StoppingRule(0.1), *[(1e-6, rate)] * 5))


def test_the_slowest_recent_rate_counts():
    rule = StoppingRule(0.1)
    assert met(rule, (1.0, 0.999)) == [False]
    assert met(rule, *[SMALL] * (WINDOW + 1)) == [False] * WINDOW + [True]


def test_as_long_as_extrapolations_gain_more_remains():
    """Of iterates in pairs, the second of which a plain step reaches that gains next to nothing."""
    rule = StoppingRule(0.1)
    objectives = [*np.repeat(np.arange(5.0), 2), *np.full(WINDOW, 4.0)]
    found = [
        rule.is_met(objective, 1e-6 if i % 2 else None, 0.5)
        for i, objective in enumerate(objectives)
    ]
    assert found.index(True) == 8 + WINDOW - 1


def test_a_gain_of_rounding_leaves_nothing():
    assert met(StoppingRule(1e-300), (MIN_GAIN, np.inf), (-MIN_GAIN, np.nan)) == [False, True]
    assert not any(met(StoppingRule(0.0), *[(0.0, 0.5)] * 5))
