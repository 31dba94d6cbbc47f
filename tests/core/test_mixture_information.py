"""Coordinates of weights, and the covariance of estimates from information."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_lvm.core.mixture_information import (
    COVARIANCES,
    Information,
    WeightCoordinates,
    errors_of_images,
)


@pytest.mark.parametrize("weights", [[1.0], [0.3, 0.7], [0.5, 0.2, 0.2, 0.1]])
def test_weights_have_unit_information(weights):
    """Under labels of rows the coordinates have the identity for information, and weights sum to 1."""
    found = WeightCoordinates(np.array(weights))
    K = len(weights)
    information = (found.scores.T * weights) @ found.scores
    assert_allclose(information, np.eye(K - 1), atol=1e-12)
    assert_allclose(weights @ found.scores, 0.0, atol=1e-12)
    assert_allclose(found.jacobian.sum(axis=0), 0.0, atol=1e-12)
    multinomial = np.diag(weights) - np.outer(weights, weights)
    assert_allclose(found.jacobian @ found.jacobian.T, multinomial, atol=1e-12)


def test_covariances_are_inverses():
    rng = np.random.default_rng(0)
    A, B = rng.normal(size=(2, 4, 9))
    information = Information(A @ A.T, B @ B.T, np.zeros(4))
    inverse = np.linalg.inv(A @ A.T)
    assert_allclose(COVARIANCES["observed"](information), inverse, rtol=1e-9)
    assert_allclose(COVARIANCES["sandwich"](information), inverse @ B @ B.T @ inverse, rtol=1e-9)


def test_information_that_is_not_positive_has_no_inverse():
    for observed in (np.diag([1.0, -1.0]), np.ones((2, 2))):
        with pytest.raises(np.linalg.LinAlgError):
            COVARIANCES["observed"](Information(observed, np.eye(2), np.zeros(2)))


def test_the_distance_is_that_to_the_maximum_of_a_quadratic_function():
    """In standard errors, of the coordinate that is furthest away."""
    rng = np.random.default_rng(0)
    A, gap = rng.normal(size=(4, 9)), rng.normal(size=4)
    found = Information(A @ A.T, np.eye(4), A @ A.T @ gap)
    errors = np.sqrt(np.diagonal(np.linalg.inv(A @ A.T)))
    assert_allclose(found.distance, np.abs(gap / errors).max())


def test_errors_of_linear_functions():
    rng = np.random.default_rng(1)
    images, root = rng.normal(size=(3, 2, 2)), rng.normal(size=(3, 5))
    covariance = root @ root.T
    flat = images.reshape(3, 4)
    expected = np.sqrt(np.diagonal(flat.T @ covariance @ flat)).reshape(2, 2)
    assert_allclose(errors_of_images(images, covariance), expected, rtol=1e-12)
