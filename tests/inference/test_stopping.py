"""The stopping rule: how much remains to be gained, and when that is known well enough."""

import numpy as np
import pytest

from sklearn_lvm.inference.stopping import (
    EQUAL,
    MAX_AUTO_TOL,
    MIN_AUTO_TOL,
    MIN_GAIN,
    WINDOW,
    StoppingRule,
    automatic_tolerance,
    precision_of,
)


def rules(rule, *steps):
    """The rule after each of some steps of a gain and a rate, all equally high."""
    for gain, rate in steps:
        rule = rule.after_proposal(0.0) if gain is None else rule.after_step(0.0, gain, rate)
        yield rule


def met(rule, *steps):
    """Whether the rule is met after each of some steps."""
    return [after.is_met for after in rules(rule, *steps)]


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
    (rule,) = rules(StoppingRule(0.1), (1.0, 0.999))
    assert not rule.is_met
    assert met(rule, *[SMALL] * (WINDOW + 1)) == [False] * WINDOW + [True]


def test_as_long_as_extrapolations_gain_more_remains():
    """Of iterates in pairs, the second of which a plain step reaches that gains next to nothing."""
    rule, found = StoppingRule(0.1), []
    for i, objective in enumerate([*np.repeat(np.arange(5.0), 2), *np.full(WINDOW, 4.0)]):
        rule = rule.after_step(objective, 1e-6, 0.5) if i % 2 else rule.after_proposal(objective)
        found.append(rule.is_met)
    assert found.index(True) == 8 + WINDOW - 1


def test_a_gain_of_rounding_leaves_nothing():
    assert met(StoppingRule(1e-300), (MIN_GAIN, np.inf), (-MIN_GAIN, np.nan)) == [False, True]
    assert not any(met(StoppingRule(0.0), *[(0.0, 0.5)] * 5))


def test_without_a_rate_the_last_two_gains_tell_it():
    (rule,) = rules(StoppingRule(0.1), (0.04, None))
    assert rule.confirmations == 0
    assert met(rule, (0.02, None), (0.01, None)) == [False, True]
    (proposed,) = rules(rule, PROPOSAL)
    assert met(proposed, (0.02, None), (0.01, None), (0.005, None)) == [False, False, True]


def test_a_rule_goes_on_where_its_run_ended():
    (rule,) = rules(StoppingRule(0.1), SMALL)
    assert met(rule.resumed(EQUAL / 2, 0.1), SMALL) == [True]
    assert rule.resumed(2 * EQUAL, 0.1) == StoppingRule(0.1)
    assert rule.resumed(0.0, 0.2) == StoppingRule(0.2)


# -- two precisions, and the tolerance by default ------------------------------------------------------


def test_an_exact_evaluation_leaves_one_estimate_to_confirm():
    *_, rule = rules(StoppingRule(0.1), SMALL, SMALL)
    again = rule.reevaluated(0.0, 0.1)
    assert not again.is_met
    assert met(again, (0.01, None)) == [True]
    assert met(again, (1.0, None), SMALL, SMALL) == [False, False, True]


def test_an_exact_evaluation_confirms_nothing_by_itself():
    assert met(StoppingRule(0.1).reevaluated(0.0, 0.1), SMALL, SMALL) == [False, True]


def test_the_default_tolerance_is_a_share_of_what_rows_can_tell():
    assert automatic_tolerance(20, 10**4) == precision_of(20, 10**4) < 20 / 10**4
    assert precision_of(40, 10**4) == 2 * precision_of(20, 10**4) == 4 * precision_of(20, 2 * 10**4)
    assert automatic_tolerance(100, 10) == MAX_AUTO_TOL < precision_of(100, 10)
    assert automatic_tolerance(10, 1e300) == MIN_AUTO_TOL > precision_of(10, 1e300)
