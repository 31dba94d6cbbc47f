"""Derivatives by finite differences, for tests of those that are derived."""

from itertools import combinations_with_replacement

import numpy as np


def first_differences(function, size, step=1e-5):
    """The gradient of a function of a vector, at zero."""
    steps = step * np.eye(size)
    return np.array([(function(h) - function(-h)) / (2 * step) for h in steps])


def second_differences(function, size, step=5e-4):
    """The matrix of second derivatives of a function of a vector, at zero."""
    found, steps = np.empty((size, size)), step * np.eye(size)
    for i, j in combinations_with_replacement(range(size), 2):
        a, b = steps[i], steps[j]
        total = function(a + b) - function(a - b) - function(b - a) + function(-a - b)
        found[i, j] = found[j, i] = total / (4 * step**2)
    return found
