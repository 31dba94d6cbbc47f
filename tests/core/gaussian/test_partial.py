"""K densities for rows with missing entries, beside sums over rows one by one."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import multivariate_normal, multivariate_t
from scipy.stats import t as univariate_t

from sklearn_lvm.core.gaussian.density import Gaussians
from sklearn_lvm.core.gaussian.missing import IncompleteRows, Reference, observed_rows
from sklearn_lvm.core.gaussian.partial import filled, hidden_scatter, moments_of
from sklearn_lvm.core.gaussian.structure_names import COVARIANCE_TYPES
from sklearn_lvm.core.gaussian.student import StudentTs

K, D, N = 3, 6, 60
COMPLETE = 12  # the first rows; the last is missing throughout
DOF, FACTOR = np.array([2.5, 4.0, 60.0]), np.array([1.2, 0.7, 1.0])

STORED = {
    "full": lambda C: C,
    "tied": lambda C: C.sum(axis=0, keepdims=True),
    "diag": lambda C: np.diagonal(C, axis1=1, axis2=2),
    "spherical": lambda C: np.trace(C, axis1=1, axis2=2),
}
every_type = pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)


def problem(covariance_type, seed=0):
    """Gaussians, their dense covariances, and rows with NaN."""
    rng = np.random.default_rng(seed)
    A = rng.normal(size=(K, D, D))
    C = A @ A.mT + 0.2 * np.eye(D)
    public, dense = {
        "full": (C, C),
        "tied": (C[0], np.stack([C[0]] * K)),
        "diag": (np.diagonal(C, axis1=1, axis2=2), C * np.eye(D)),
        "spherical": (C[:, 0, 0], C[:, :1, :1] * np.eye(D)),
    }[covariance_type]
    gaussians = Gaussians(
        rng.normal(size=(K, D)), COVARIANCE_TYPES[covariance_type](D).from_public(public)
    )
    missing = rng.random((D, N)) < 0.4
    missing[:, :COMPLETE], missing[:, -1] = False, True
    return gaussians, dense, np.where(missing, np.nan, 2.0 * rng.normal(size=(D, N)))


def conditional(mean, C, x):
    """The mean and the covariance of a row given what was observed of it."""
    u, o = np.isnan(x), ~np.isnan(x)
    gain = C[np.ix_(u, o)] @ np.linalg.inv(C[np.ix_(o, o)])
    full_mean, full_covariance = x.copy(), np.zeros_like(C)
    full_mean[u] = mean[u] + gain @ (x[o] - mean[o])
    full_covariance[np.ix_(u, u)] = C[np.ix_(u, u)] - gain @ C[np.ix_(o, u)]
    return full_mean, full_covariance


def log_prob_of(mean, C, x):
    o = ~np.isnan(x)
    return multivariate_normal(mean[o], C[np.ix_(o, o)]).logpdf(x[o]) if o.any() else 0.0


def of_each(function, means, dense, Z):
    return [[function(m, C, x) for x in Z.T] for m, C in zip(means, dense, strict=True)]


@every_type
def test_scores_are_those_of_what_was_observed(covariance_type):
    gaussians, dense, Z = problem(covariance_type)
    kernel = gaussians.kernel(np.zeros(K))
    found = kernel.log_prob(kernel.features(observed_rows(Z)))
    assert_allclose(found, of_each(log_prob_of, gaussians.mean, dense, Z), atol=1e-9)


@every_type
def test_moments_are_those_of_conditional_means_plus_conditional_covariances(covariance_type):
    gaussians, dense, Z = problem(covariance_type)
    resp = np.random.default_rng(1).dirichlet(np.ones(K), N).T
    kernel = gaussians.kernel(np.zeros(K))
    found = kernel.statistics(kernel.accumulate(kernel.features(observed_rows(Z)), resp))
    for k, rows in enumerate(of_each(conditional, gaussians.mean, dense, Z)):
        X = np.array([mean for mean, _ in rows])
        assert_allclose(found.mean[k], resp[k] @ X / resp[k].sum(), atol=1e-10)
    scatters = [
        sum(
            r * (np.outer(mean - center, mean - center) + C)
            for r, (mean, C) in zip(w, rows, strict=True)
        )
        for w, center, rows in zip(
            resp, found.mean, of_each(conditional, gaussians.mean, dense, Z), strict=True
        )
    ]
    expected = STORED[covariance_type](np.array(scatters))
    assert_allclose(found.weight, resp.sum(axis=1))
    assert_allclose(found.scatter, expected, rtol=1e-9, atol=1e-9)


@every_type
def test_complete_rows_are_scored_and_measured_as_ever(covariance_type):
    gaussians, _, Z = problem(covariance_type)
    rows, resp = Z[:, :COMPLETE], np.random.default_rng(1).dirichlet(np.ones(K), COMPLETE).T
    kernel = gaussians.kernel(np.zeros(K))
    ever, sorted_by_pattern = kernel.features(rows), kernel.features(IncompleteRows.of(rows))
    assert_array_equal(
        kernel.log_prob(ever), kernel.complete.log_prob(kernel.complete.features(rows))
    )
    assert_array_equal(kernel.log_prob(sorted_by_pattern), kernel.log_prob(ever))
    one = kernel.statistics(kernel.accumulate(ever, resp))
    other = kernel.statistics(kernel.accumulate(sorted_by_pattern, resp))
    assert_array_equal(one.scatter, other.scatter)


@every_type
def test_missing_entries_given_the_observed_ones(covariance_type):
    gaussians, dense, Z = problem(covariance_type)
    found = gaussians.conditionals(observed_rows(Z))
    for k, rows in enumerate(of_each(conditional, gaussians.mean, dense, Z)):
        assert_allclose(found.mean[k].T, [mean for mean, _ in rows], atol=1e-10)
        assert_allclose(found.square[k].T, [np.diag(C) for _, C in rows], atol=1e-10)
    assert_array_equal(found.variance, found.square)


@every_type
def test_draws_have_the_conditional_moments_and_leave_what_was_observed(covariance_type):
    gaussians, dense, Z = problem(covariance_type)
    x = Z[:, COMPLETE + 1]
    many, labels = np.repeat(x[:, None], 20000, axis=1), np.full(20000, 1)
    drawn = gaussians.draw_missing(observed_rows(many), labels, np.random.RandomState(0))
    mean, C = conditional(gaussians.mean[1], dense[1], x)
    assert_array_equal(drawn[:, ~np.isnan(x)], many.T[:, ~np.isnan(x)])
    size = np.sqrt(np.maximum(np.diag(C), 1e-12))
    assert (np.abs(drawn.mean(axis=0) - mean) < 5 * size / np.sqrt(20000) + 1e-9).all()
    assert_allclose(np.cov(drawn.T, bias=True), C, atol=0.06 * np.abs(C).max())


@every_type
def test_student_densities_of_what_was_observed(covariance_type):
    gaussians, dense, Z = problem(covariance_type)
    densities = StudentTs(gaussians.mean, gaussians.covariance, FACTOR, DOF)

    def expected(k, x):
        o, mean, C = ~np.isnan(x), gaussians.mean[k], FACTOR[k] * dense[k]
        if not o.any():
            return 0.0
        if covariance_type == "diag":
            return univariate_t(DOF[k], mean[o], np.sqrt(np.diag(C)[o])).logpdf(x[o]).sum()
        return multivariate_t(mean[o], C[np.ix_(o, o)], DOF[k]).logpdf(x[o])

    kernel = densities.kernel(np.zeros(K))
    found = kernel.log_prob(kernel.features(observed_rows(Z)))
    assert_allclose(found, [[expected(k, x) for x in Z.T] for k in range(K)], atol=1e-9)


@every_type
def test_a_student_entry_given_others_is_the_ratio_of_two_densities(covariance_type):
    gaussians, _, Z = problem(covariance_type)
    densities = StudentTs(gaussians.mean, gaussians.covariance, FACTOR, DOF)
    kernel = densities.kernel(np.zeros(K))
    x = Z[:, [COMPLETE + 1]]
    j = int(np.flatnonzero(np.isnan(x[:, 0]))[0])
    known = x.copy()
    known[j] = 1.3
    joint, observed = (
        kernel.log_prob(kernel.features(IncompleteRows.of(rows)))[:, 0] for rows in (known, x)
    )
    given = densities.conditionals(observed_rows(x))
    dof, mean, size = given.dof[:, j, 0], given.mean[:, j, 0], np.sqrt(given.square[:, j, 0])
    assert_allclose(univariate_t.logpdf(1.3, dof, mean, size), joint - observed, atol=1e-9)


@every_type
def test_a_reference_completes_rows_where_no_model_is_known(covariance_type):
    gaussians, dense, Z = problem(covariance_type)
    one = gaussians.subset(np.array([0]))
    rows = IncompleteRows.of(Z, Reference(one.mean, one.covariance))
    given = [conditional(one.mean[0], dense[0], x) for x in Z.T]
    assert_allclose(filled(rows).T, [mean for mean, _ in given], atol=1e-10)
    structure, w = one.covariance.structure, np.linspace(0.5, 1.5, N)
    hidden = sum(weight * C for weight, (_, C) in zip(w, given, strict=True))
    stored = STORED[covariance_type](hidden[None])
    assert_allclose(hidden_scatter(rows, w, structure), stored, atol=1e-9)
    found = moments_of(rows, w[None], structure)
    X = np.array([mean for mean, _ in given]) - found.mean[0]
    total = STORED[covariance_type](((X * w[:, None]).T @ X + hidden)[None])
    assert_allclose(found.scatter, total, rtol=1e-9, atol=1e-9)
