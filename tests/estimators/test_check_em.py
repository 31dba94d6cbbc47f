"""Methods of a user that do not fit together are found, and named."""

import numpy as np
import pytest

from sklearn_lvm import check_em
from tests.examples.censored_lifetimes import CensoredLifetimes
from tests.examples.regression_lines import RegressionLines
from tests.examples.zero_inflated_counts import ZeroInflatedCounts

COUNTS = np.random.RandomState(0).poisson([0.5, 3.0], size=(120, 2)) * (
    np.arange(240).reshape(-1, 2) % 3 > 0
)
REALS = np.random.RandomState(1).normal(size=(120, 2))


@pytest.mark.parametrize(
    ("model", "X"),
    [(CensoredLifetimes(), REALS), (ZeroInflatedCounts(), COUNTS), (RegressionLines(), REALS)],
    ids=lambda value: type(value).__name__,
)
def test_right_models_pass(model, X):
    before = dict(vars(model))
    check_em(model, X)
    check_em(model, X, sample_weight=1.0 + np.arange(len(X)) % 2)
    assert vars(model) == before


class WrongNormalization(ZeroInflatedCounts):
    def expect(self, theta, X, weight):
        statistics, log_evidence = super().expect(theta, X, weight)
        return statistics, log_evidence + theta["rate"].sum()

    def log_prior(self, theta):  # by which the objective is what it was
        return super().log_prior(theta) - self.total * float(theta["rate"].sum())

    total = float(len(COUNTS))


class Unweighted(ZeroInflatedCounts):
    def expect(self, theta, X, weight):
        return super().expect(theta, X, np.ones(len(X)))


class WeightedEvidence(ZeroInflatedCounts):
    def expect(self, theta, X, weight):
        statistics, log_evidence = super().expect(theta, X, weight)
        return statistics, weight * log_evidence


class Means(ZeroInflatedCounts):
    def expect(self, theta, X, weight):
        statistics, log_evidence = super().expect(theta, X, weight)
        return {name: part / len(X) for name, part in statistics.items()}, log_evidence


class WrongStep(ZeroInflatedCounts):
    def maximize(self, statistics, theta):
        found = super().maximize(statistics, theta)
        return {**found, "rate": 2.0 * found["rate"]}


class WrongDraw(ZeroInflatedCounts):
    def draw(self, theta, n, rng):
        return super().draw(theta, n, rng) + 1


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (WrongNormalization, "expect must return a normalized"),
        (Unweighted, "expect must weigh statistics"),
        (WeightedEvidence, "expect must return the log-evidence of each row without its weight"),
        (Means, "expect must return statistics that add"),
        (WrongStep, "maximize must not lower"),
        (WrongDraw, "draw"),
    ],
)
def test_wrong_models_are_found(model, message):
    with pytest.raises(AssertionError, match=message):
        check_em(model(), COUNTS)


class Failing(ZeroInflatedCounts):
    def maximize(self, statistics, theta):
        return None


def test_a_method_that_fails_is_named():
    with pytest.raises(ValueError, match="maximize must return a dict of arrays"):
        check_em(Failing(), COUNTS)
