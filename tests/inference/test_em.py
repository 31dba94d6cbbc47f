"""The loop of EM on models whose objectives are known: what it accepts, and where it ends."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_lvm.core.family import BlockSums
from sklearn_lvm.inference.acceleration import ACCELERATIONS
from sklearn_lvm.inference.em import EQUAL, EMRun, best_run
from sklearn_lvm.inference.stopping import N_CONFIRMATIONS, WINDOW

from ..helpers import Recorder, run

every_acceleration = pytest.mark.parametrize("acceleration", ACCELERATIONS)


class Known:
    """An E-step that finds a known objective, and whose statistics are the model."""

    condition_number = np.inf

    def __init__(self, model, objective):
        self.model, self.objective = model, objective

    def __call__(self, block):
        if isinstance(self.objective, Exception):
            raise self.objective
        return BlockSums((), self.objective, 1.0)

    def statistics(self, total):
        return self.model


class Line:
    """Steps of a model that is a number x below its optimum at 0: x -> rate x, of objective -x^2."""

    def __init__(self, rate, fails=(), failure=None):
        self.rate, self.fails, self.failure, self.asked = rate, fails, failure, []

    def e_step(self, model):
        self.asked.append(model)
        fails = len(self.asked) - 1 in self.fails
        return Known(model, self.failure if fails else -(model**2))

    def m_step(self, statistics, model):
        return self.rate * statistics

    def log_prior(self, model):
        return 0.0

    def coordinates(self, model):
        return self

    def vector(self, model):
        return np.array([model])

    def model(self, vector, like):
        return float(vector[0])


def test_an_extrapolation_finds_the_end_of_a_line():
    end = run(Line(0.7), 1.0, [None], max_iter=3, acceleration="squarem")
    assert_allclose(end.model, 0.0, atol=1e-14)


@pytest.mark.parametrize(
    "failure",
    [np.nan, np.inf, -np.inf, -9.0, np.linalg.LinAlgError("singular"), FloatingPointError("inf")],
    ids=str,
)
def test_a_proposal_that_is_worse_is_rejected(failure):
    """E-steps are of the start, of two steps, of the proposal (3), and of the plain step instead."""
    steps, seen = Line(0.9, (3,), failure), Recorder()
    end = run(steps, 1.0, [None], max_iter=4, acceleration="squarem", callback=seen)
    assert_allclose([now.model for now in seen.ended], [0.9, 0.81, 0.81, 0.729])
    assert end.n_iter == 4
    assert len(end.trace) == 4
    assert not end.converged


def test_a_plain_step_that_fails_is_an_error():
    with pytest.raises(np.linalg.LinAlgError):
        run(Line(0.9, (1,), np.linalg.LinAlgError()), 1.0, [None], acceleration="squarem")


# -- when it is over ---------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [0.3, 0.9, 0.99, 0.999])
@pytest.mark.parametrize("tol", [1e-2, 1e-5])
def test_a_plain_run_ends_when_less_than_the_tolerance_remains(rate, tol):
    """Gains shrink by rate^2 a step, so that the remaining gain, x^2, is known."""
    seen = Recorder()
    end = run(Line(rate), 1.0, [None], tol=tol, max_iter=10**5, callback=seen)
    assert end.converged
    left = [now.model**2 for now in seen.ended]
    assert left[-1] < tol
    assert left[-2] < tol * (1 + 1e-9)
    # A step before, one of the two estimates was not yet small, or what the last steps had gained.
    lately = left[max(-1 - WINDOW, -len(left))] - left[-2]
    assert len(left) <= 1 + N_CONFIRMATIONS or max(left[-1 - N_CONFIRMATIONS], lately) >= tol * (
        1 - 1e-9
    )


@every_acceleration
def test_a_tolerance_of_zero_goes_on_to_the_last_step(acceleration):
    end = run(Line(0.99), 1.0, [None], tol=0.0, max_iter=500, acceleration=acceleration)
    assert end.n_iter == 500
    assert not end.converged


# -- the loop alone ----------------------------------------------------------------------------------


class Listed:
    """Steps of a model that is an index into a list of objectives."""

    def __init__(self, *objectives):
        self.objectives = objectives

    def e_step(self, model):
        return Known(model, self.objectives[model])

    def m_step(self, statistics, model):
        return statistics + 1

    def log_prior(self, model):
        return 0.0


def run_through(*objectives, **options):
    return run(Listed(*objectives), 0, [None], **options)


def test_a_callback_sees_every_step_and_may_end_the_run():
    seen = Recorder(until=2)
    end = run_through(0.0, 1.0, 2.0, 3.0, max_iter=3, callback=seen)
    assert [now.model for now in seen.begun] == [0, 1]
    assert [now.model for now in seen.ended] == [1, 2]
    assert (end.model, end.stopped, end.converged) == (2, True, False)
    assert end.trace == (0.0, 1.0, 2.0)


def test_a_run_ends_after_max_iter_steps():
    end = run_through(0.0, 1.0, 2.0, 3.0, max_iter=2)
    assert (end.model, end.n_iter, end.converged) == (2, 2, False)


def test_a_run_without_steps_keeps_the_start():
    end = run_through(5.0, 6.0, max_iter=0)
    assert (end.model, end.trace, end.converged) == (0, (5.0,), False)


def test_a_step_down_by_more_than_rounding_is_not_taken():
    end = run_through(0.0, 1.0, 1.0 - 1e-6, 9.0, max_iter=3)
    assert (end.model, end.n_iter, end.converged, end.trace) == (1, 2, True, (0.0, 1.0))


def test_a_step_down_by_rounding_is_level():
    end = run_through(0.0, 1.0, 1.0 - 1e-12, 1.0 - 2e-12, max_iter=3, tol=1e-3)
    assert end.converged
    assert end.trace == (0.0, 1.0, 1.0, 1.0)


@pytest.mark.parametrize("objective", [np.nan, np.inf, -np.inf])
def test_an_objective_that_is_not_finite_is_an_error(objective):
    with pytest.raises(FloatingPointError, match=str(objective)):
        run_through(0.0, objective, max_iter=2)


def test_the_highest_run_is_chosen_and_the_first_among_equals():
    low, first, second = EMRun("low", (1.0,)), EMRun("first", (2.0,)), EMRun("second", (2.0,))
    assert best_run([low, first, second]).model == "first"
    assert best_run([second, first, low]).model == "second"
    nearly = EMRun("nearly", (2.0 + EQUAL / 10,))
    assert best_run([first, nearly]).model == "first"
