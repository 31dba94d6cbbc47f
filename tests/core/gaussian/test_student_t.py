"""Laws of Student-t densities that are estimated, several at once."""

import numpy as np
from numpy.testing import assert_allclose
from scipy.stats import multivariate_t

from sklearn_lvm.core.gaussian.density import GaussianFamily
from sklearn_lvm.core.gaussian.full import Full
from sklearn_lvm.core.gaussian.student_t import MAX_DOF, MIN_DOF, StudentTFamily, most_likely_dof
from sklearn_lvm.core.mixture_em import MixtureSteps

LOCATIONS, DOF = np.array([[0.0, 0.0], [8.0, 8.0]]), (3.0, 20.0)


def table(n=2000):
    known = zip(LOCATIONS, DOF, strict=True)
    parts = [multivariate_t(m, np.eye(2), df=dof, seed=3).rvs(n) for m, dof in known]
    return np.concatenate(parts).T.copy()


def iterates(steps, Z, n):
    """Objectives of EM steps from a split of the rows, the last model, and its statistics."""
    w = np.ones(Z.shape[1])
    first = (Z.sum(axis=0) < 8.0).astype(float)
    model, objectives = steps.m_step(steps.family.statistics(Z, np.stack([first, 1 - first]))), []
    for _ in range(n):
        step = steps.e_step(model)
        total = step((Z, w))
        objectives.append(total.log_likelihood + steps.log_prior(model))
        statistics = step.statistics(total)
        model = steps.m_step(statistics, model)
    return objectives, model, statistics


def test_em_of_a_mixture_never_falls_and_finds_the_tails():
    Z = table()
    steps = MixtureSteps(StudentTFamily(GaussianFamily(Full(2), np.full(2, 1e-3))))
    objectives, model, statistics = iterates(steps, Z, 60)
    assert (np.diff(objectives) > -1e-9 * abs(objectives[0])).all()
    assert_allclose(statistics.weight.sum(), Z.shape[1], rtol=1e-12)
    assert_allclose(np.exp(model.log_weights), 0.5, atol=0.02)
    assert_allclose(model.components.mean, LOCATIONS, atol=0.1)
    assert model.components.dof[0] < 4.0 < 10.0 < model.components.dof[1]


def test_statistics_of_blocks_add():
    Z = table(50)
    steps = MixtureSteps(StudentTFamily(GaussianFamily(Full(2), np.zeros(2))))
    _, model, _ = iterates(steps, Z, 3)
    step, w = steps.e_step(model), np.ones(Z.shape[1])
    whole = step.statistics(step((Z, w)))
    parts = [step.statistics(step((Z[:, s], w[s]))) for s in (slice(30), slice(30, None))]
    added = parts[0] + parts[1]
    for name in ("weight", "tails"):
        assert_allclose(getattr(added, name), getattr(whole, name), rtol=1e-10)
    assert_allclose(added.moments.scatter, whole.moments.scatter, rtol=1e-9)


def test_coordinates_are_undone_and_keep_given_degrees_of_freedom():
    Z = table(50)
    for dof in (None, 0.3):
        steps = MixtureSteps(StudentTFamily(GaussianFamily(Full(2), np.zeros(2)), dof))
        _, model, _ = iterates(steps, Z, 3)
        coordinates = steps.coordinates(model)
        again = coordinates.model(coordinates.vector(model), model).components
        assert_allclose(again.mean, model.components.mean, atol=1e-10)
        assert_allclose(again.covariance.scatter, model.components.covariance.scatter, atol=1e-10)
        assert_allclose(again.dof, model.components.dof, rtol=0.0 if dof else 1e-12)


def test_degrees_of_freedom_stay_within_bounds():
    assert most_likely_dof(-1.0) == MAX_DOF
    assert most_likely_dof(-100.0) == MIN_DOF
    assert MIN_DOF < most_likely_dof(-1.1) < MAX_DOF
