"""Factor analysis of what is kept of rows: objectives, likelihoods, and how many factors."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_lvm.core.gaussian.density import GaussianFamily
from sklearn_lvm.core.gaussian.full import Full
from sklearn_lvm.core.gaussian.low_rank import LowRank
from sklearn_lvm.core.gaussian.prior import GaussianPrior
from sklearn_lvm.core.standardization import Standardization
from sklearn_lvm.fitting.factor_analysis import FactorProblem
from sklearn_lvm.fitting.one_gaussian import CompleteSummary, IncompleteTable

D, N = 6, 120
ADDED = np.full(D, 1e-3)
PRIOR = GaussianPrior(Full(D), 4.0 * np.eye(D)[None], np.array([9.0]), np.zeros(D))
SAME = Standardization(np.zeros(D), np.ones(D), np.ones(D), np.zeros(D, dtype=bool))

every_prior = pytest.mark.parametrize("prior", [None, PRIOR], ids=["flat", "prior"])
every_kind = pytest.mark.parametrize("missing", [False, True], ids=["complete", "incomplete"])


def table(missing):
    rng = np.random.RandomState(0)
    X = rng.normal(size=(N, 2)) @ rng.normal(size=(2, D)) + rng.normal(size=(N, D))
    return np.where(rng.random_sample(X.shape) < 0.2 * missing, np.nan, X)


def kept(X):
    w = np.linspace(0.5, 1.5, len(X))
    if not np.isnan(X).any():
        return w, CompleteSummary.of(X.T, w, Full(D))
    options = {"tol": 1e-10, "max_iter": 1000}
    return w, IncompleteTable.of(X, w, np.transpose, Full(D), **options)


def solved(X, q, prior):
    w, rows = kept(X)
    problem = FactorProblem(q, ADDED, prior, 1e-10, 1000)
    return w, rows, problem, problem.solved(rows)


def log_prob(model, X):
    """By the densities of what was observed."""
    mean, C = model.mean[0], model.covariance.scatter[0]
    found = []
    for x in X:
        seen = ~np.isnan(x)
        gap, part = (x - mean)[seen], C[np.ix_(seen, seen)]
        size = np.linalg.slogdet(2 * np.pi * part)[1] + gap @ np.linalg.solve(part, gap)
        found.append(-0.5 * size)
    return np.array(found)


@every_prior
@every_kind
@pytest.mark.parametrize("q", [0, 2, None])
def test_what_is_raised_is_the_likelihood_less_the_penalty_and_with_the_prior(q, missing, prior):
    X = table(missing)
    w, rows, problem, run = solved(X, q, prior)
    likelihood = w @ log_prob(run.model, X)
    assert_allclose(problem.log_likelihood(rows, run, SAME), likelihood, rtol=1e-10)
    family = GaussianFamily(LowRank(D), ADDED, prior)
    penalty = w.sum() * float(run.model.trace_penalty(ADDED)[0])
    objective = likelihood + penalty + family.log_prior(run.model)
    assert_allclose(w.sum() * run.objective, objective, rtol=1e-9)
    assert (np.diff(run.trace) >= 0).all()
    assert run.converged


@every_prior
@every_kind
def test_a_step_of_em_stays_where_the_run_ends(missing, prior):
    X = table(missing)
    _, rows, _, run = solved(X, 2, prior)
    family, model = GaussianFamily(LowRank(D, q=2), ADDED, prior), run.model
    if missing:
        block, w = rows.blocks[0]
        kernel = family.kernel(model, np.zeros(1))
        sums = kernel.accumulate(kernel.features(block), w[None])
        moments = kernel.statistics(sums)
    else:
        moments = rows.moments
    following = family.estimate(moments, model)
    before, after = model.covariance.scatter, following.covariance.scatter
    assert_allclose(after, before, rtol=0, atol=1e-4)
    assert_allclose(following.mean, model.mean, atol=1e-4)


@every_kind
def test_as_many_factors_are_found_as_there_are(missing):
    *_, run = solved(table(missing), None, None)
    assert run.model.covariance.loadings.shape == (1, D, 2)


def test_likelihoods_are_in_the_units_of_the_data():
    X = table(False)
    _, rows, problem, run = solved(X, 2, None)
    scaled = Standardization(np.zeros(D), np.full(D, 10.0), np.ones(D), np.zeros(D, dtype=bool))
    own = problem.log_likelihood(rows, run, SAME)
    jacobian = rows.n_rows * D * np.log(10.0)
    assert_allclose(problem.log_likelihood(rows, run, scaled), own - jacobian)
