"""Which covariances a prior expects, and how strongly, is chosen by rows that were held back."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_lvm.core.gaussian.density import GaussianFamily
from sklearn_lvm.core.gaussian.low_rank import LowRank
from sklearn_lvm.core.gaussian.prior import GaussianPrior
from sklearn_lvm.core.gaussian.structure_names import COVARIANCE_TYPES
from sklearn_lvm.fitting.gaussian_priors import (
    FAR,
    KINDS,
    GaussianPriorChoice,
    center_of,
    nearby,
    scatter_within,
    scatters,
)

from .samples import groups, row_source

CENTERS = [[0.0, 0.0, 0.0], [9.0, 0.0, 0.0], [0.0, 9.0, 0.0]]
D = 3


def choice_of(K, covariance_type="full", d=D):
    structure = COVARIANCE_TYPES[covariance_type](d)
    family = GaussianFamily(structure, np.full(d, 1e-6))
    nothing = structure.outer(np.zeros((1, d)))
    n_means = K if structure.tied else 1
    means = GaussianPrior(structure, nothing, np.zeros(1), np.zeros(d), 0.0, n_means)
    return GaussianPriorChoice(family, means, 1.0, K, np.ones(d))


def chosen(X, K, w=None, **params):
    return choice_of(K, d=X.shape[1], **params).of(row_source(X, w))


def test_the_scatter_within_clusters_is_that_of_other_rows():
    """In the sample itself, as many clusters as rows leave no scatter at all."""
    X, _ = groups(20, CENTERS)
    rows = row_source(X)
    structure = COVARIANCE_TYPES["full"](D)
    unit = rows.transformation.scale
    few, many = (
        np.diag(scatter_within(rows, K, structure)[0] * np.outer(unit, unit)) for K in (3, 30)
    )
    assert ((few > 0.6) & (few < 1.8)).all()  # each group has a variance of one
    assert (many > 0.05).all()


def test_scatters_are_those_of_a_structure():
    X, _ = groups(40, CENTERS)
    rows = row_source(X)
    full = scatters(rows, 3, COVARIANCE_TYPES["full"](D), KINDS)
    diagonal = scatters(rows, 3, COVARIANCE_TYPES["diag"](D), KINDS)
    spherical = scatters(rows, 3, COVARIANCE_TYPES["spherical"](D), KINDS)
    for kind in KINDS:
        assert_allclose(np.diag(full[kind][0]), diagonal[kind][0], rtol=1e-12)
        assert_allclose(np.trace(full[kind][0]), spherical[kind][0], rtol=1e-12)
    half = (full["within"] + full["within"] * np.eye(D)) / 2
    assert_allclose(full["shrunk"], half, rtol=1e-14)
    assert (np.diag(full["total"][0]) >= 0.9).all()  # of standardized rows


@pytest.mark.parametrize("covariance_type", COVARIANCE_TYPES)
def test_few_rows_want_a_strong_prior_and_many_want_none(covariance_type):
    few, _ = groups(8, CENTERS)
    many, _ = groups(2000, CENTERS)
    strong = chosen(few, 5, covariance_type=covariance_type)
    assert strong.kind in KINDS
    assert strong.strength > 0.3
    weak = chosen(many, 5, covariance_type=covariance_type)
    assert (weak.kind, weak.scores) == ("variances", ())
    assert weak.strength < 0.1


def test_the_prior_has_as_many_observations_as_it_says():
    X, _ = groups(30, CENTERS)
    w = np.full(len(X), 0.25)
    found = chosen(X, 4, w)
    assert_allclose(found.prior.strength, 0.25 * found.strength)
    kind, strength, _ = found.scores[-1]
    assert (kind, strength) == (found.kind, found.strength)
    assert len({pair[:2] for pair in found.scores}) == len(found.scores)


@pytest.mark.parametrize("n", [1, 2, 3])
def test_rows_that_are_too_few_get_a_prior_too(n):
    found = chosen(np.random.default_rng(0).normal(size=(n, D)), 1)
    assert np.isfinite(found.prior.scatter).all()
    assert np.diag(found.prior.scatter[0]).min() > 0


def test_a_row_far_out_says_nothing():
    X, _ = groups(40, CENTERS)
    outlier = np.concatenate([X, np.full((1, D), 1e6)])
    rows = row_source(outlier)
    assert len(nearby(rows)) == len(X)
    assert np.abs(nearby(rows).block).max() <= FAR
    plain, found = chosen(X, 4), chosen(outlier, 4)
    assert found.kind == plain.kind
    assert_allclose(found.prior.scatter, plain.prior.scatter, rtol=0.5)


def test_rows_of_one_gaussian_want_components_alike():
    """Components that are too many had better be as wide as all rows."""
    X = np.random.default_rng(0).normal(size=(200, 2))
    assert chosen(X, 20).kind == "total"


def test_priors_that_are_alike_are_tried_once():
    """With one component the clusters of all kinds are all rows."""
    X = np.random.default_rng(0).normal(size=(60, D))
    found = chosen(X, 1).scores
    assert len({score for *_, score in found}) == len(found)
    assert len(found) < len(chosen(X, 4).scores)


def test_the_center_leaves_out_what_is_far():
    X, _ = groups(40, CENTERS)
    rows = row_source(np.concatenate([X, np.full((1, D), 1e6)]))
    expected = rows.transformation.transform(X).mean(axis=1)
    assert_allclose(center_of(rows), expected, rtol=1e-12)


@pytest.mark.parametrize("covariance_type", list(COVARIANCE_TYPES))
def test_a_weak_prior_is_one_observation_within_a_cluster(covariance_type):
    """However far the clusters lie apart, it is no wider than they are."""
    for apart in (1.0, 100.0):
        X, _ = groups(100, apart * np.asarray(CENTERS))
        rows = row_source(X)
        found = choice_of(3, covariance_type).weak(rows)
        assert found.strength == found.prior.strength[0] == 1.0
        structure = COVARIANCE_TYPES[covariance_type](D)
        variance = structure.diagonal(found.prior.scatter)[0] * rows.transformation.scale**2
        if covariance_type != "spherical":
            assert ((variance > 0.3) & (variance < 3.0)).all()


def test_of_few_rows_a_weak_prior_has_their_variances():
    X = np.random.default_rng(0).normal(size=(4, D))
    found = choice_of(4).weak(row_source(X))
    assert found.kind == "variances"
    assert_allclose(found.prior.scatter[0], 4 ** (-2 / D) * np.eye(D), atol=1e-5)


def test_low_rank_chooses_among_the_best_priors_of_full_covariances():
    """One factor of eight columns wants another prior than all their covariances do."""
    rng, d = np.random.RandomState(0), 8
    X = rng.normal(size=(60, 1)) @ rng.normal(size=(1, d)) + 0.3 * rng.normal(size=(60, d))
    rows, structure = row_source(X), LowRank(d, q=1)
    full = choice_of(2, d=d)
    choice = replace(
        full,
        family=GaussianFamily(structure, np.full(d, 1e-6)),
        means=replace(full.means, structure=structure),
    )
    first = choice.of(rows)
    assert first.scores == full.of(rows).scores
    found = choice.refined(rows, first)
    names = [candidate[:2] for candidate in first.scores]
    kind, strength = names[-1]
    tried = {candidate[:2] for candidate in found.scores}
    assert set(names[-4:]) <= tried < set(names)
    assert {name for name in names if name[0] == kind and name[1] < strength} <= tried
    assert found.scores[-1][:2] == (found.kind, found.strength)
    assert (found.kind, found.strength) != (first.kind, first.strength)
    assert choice.refined(rows, choice.weak(rows)).kind == choice.weak(rows).kind
