"""The steps that methods of a user become."""

import numpy as np
import pytest

from sklearn_lvm.fitting.latent_variable_model import DistinctRows, Flat, Unchanged, UserSteps
from sklearn_lvm.inference.block_map import ThreadMap, slices_of
from sklearn_lvm.inference.problem import Problem, attempt


class Rate:
    """Exponential waiting times, of which a rate must be positive."""

    def expect(self, theta, X, weight):
        if theta["rate"] <= 0:
            raise ValueError("a rate must be positive")
        log_evidence = np.log(theta["rate"]) - theta["rate"] * X[:, 0]
        return {"n": weight.sum(), "time": weight @ X[:, 0]}, log_evidence

    def maximize(self, statistics, theta):
        return {"rate": statistics["n"] / statistics["time"]}

    def log_prior(self, theta):
        return 0.0


X = np.array([[3.0], [1.0], [3.0], [-0.0], [0.0]])
ROWS = DistinctRows(X, np.ones(5), Unchanged(), lambda X: slices_of(len(X), 2)).merged()


def test_equal_rows_are_merged_and_ordered():
    np.testing.assert_array_equal(ROWS.X[:, 0], [0.0, 1.0, 3.0])
    np.testing.assert_array_equal(ROWS.w, [2.0, 1.0, 2.0])


def test_a_step_of_blocks_is_that_of_all_rows():
    steps, theta = UserSteps(Rate()), {"rate": np.array(1.0)}
    found = steps.m_step(steps.measure(theta, ROWS).statistics, theta)
    assert found["rate"] == pytest.approx(1 / X.mean())


def test_a_proposal_for_which_a_method_raises_is_no_model():
    with ThreadMap() as block_map:
        problem = Problem(UserSteps(Rate()), ROWS.blocks, block_map)
        assert attempt(problem.evaluate, {"rate": np.array(-1.0)}) is None
        with pytest.raises(FloatingPointError, match="expect raised ValueError: a rate must be"):
            problem.evaluate({"rate": np.array(-1.0)})


def test_a_vector_and_its_theta_are_inverse():
    theta = {"a": np.arange(6.0).reshape(2, 3), "b": np.array(7.0)}
    again = Flat().model(Flat().vector(theta), theta)
    assert {name: part.tolist() for name, part in again.items()} == {
        name: part.tolist() for name, part in theta.items()
    }
