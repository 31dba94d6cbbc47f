"""Products of densities, block by block; that they are a family is among the laws."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sklearn_lvm.core.bernoulli.binarization import Binarization
from sklearn_lvm.core.bernoulli.density import BernoulliFamily, Bernoullis
from sklearn_lvm.core.gaussian.density import GaussianFamily, Gaussians
from sklearn_lvm.core.gaussian.full import Full
from sklearn_lvm.core.gaussian.missing import ObservedStandardization, observed_rows
from sklearn_lvm.core.gaussian.student import StudentTs
from sklearn_lvm.core.linalg import SingularCovarianceError
from sklearn_lvm.core.mixture import Mixture
from sklearn_lvm.core.mixture_em import MixtureSteps
from sklearn_lvm.core.product import (
    ProductComponents,
    ProductFamily,
    ProductRows,
    ProductTransformation,
)
from sklearn_lvm.core.standardization import Standardization

K, D, N = 3, 5, 40
MEASURED, BINARY = (
    np.array([4, 0, 2]),
    np.array([3, 1]),
)  # columns in another order than the table's
COLUMNS = MEASURED, BINARY


@pytest.fixture
def components():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(K, 3, 3))
    gaussians = Gaussians(rng.normal(size=(K, 3)), Full(3).from_public(A @ A.mT + np.eye(3)))
    p = rng.uniform(0.1, 0.9, size=(K, 2))
    return ProductComponents((gaussians, Bernoullis.of(p, 1.0 - p)), COLUMNS)


def table(components, n=N, missing=0.3):
    X = components.sample(np.arange(n) % K, np.random.RandomState(0))
    X[np.random.RandomState(1).uniform(size=X.shape) < missing] = np.nan
    return X


def block(X):
    measured = observed_rows(np.ascontiguousarray(X[:, MEASURED].T))
    return ProductRows((measured, Binarization(0.5).transform(X[:, BINARY])))


def log_prob(part, rows):
    kernel = part.kernel(np.zeros(K))
    return kernel.log_prob(kernel.features(rows))


def test_log_densities_of_blocks_add_up(components):
    rows = block(table(components))
    each = [log_prob(*pair) for pair in zip(components.parts, rows.blocks, strict=True)]
    assert_allclose(log_prob(components, rows), sum(each), rtol=1e-14)


def test_log_weights_count_once(components):
    rows, log_weights = block(table(components)), np.log([0.2, 0.3, 0.5])
    kernel = components.kernel(log_weights)
    assert_allclose(
        kernel.log_prob(kernel.features(rows)), log_prob(components, rows) + log_weights[:, None]
    )


def test_samples_have_their_columns(components):
    X = table(components, 3000, missing=0.0)
    assert set(np.unique(X[:, BINARY])) == {0.0, 1.0}
    for k in range(K):
        gap = X[k::K][:, MEASURED].mean(axis=0) - components.parts[0].mean[k]
        assert (np.abs(gap) < 4 * X[k::K][:, MEASURED].std(axis=0) / np.sqrt(1000)).all()


def test_missing_entries_follow_from_their_own_block(components):
    X = table(components)
    rows, missing = block(X), np.isnan(X).T
    found = components.conditionals(rows)
    for part, columns, own in zip(components.parts, COLUMNS, rows.blocks, strict=True):
        assert_array_equal(found.mean[:, columns], part.conditionals(own).mean)
        assert_array_equal(found.variance[:, columns], part.conditionals(own).variance)
    assert_array_equal(
        found.mean[:, ~missing], np.broadcast_to(X.T[~missing], (K, (~missing).sum()))
    )
    assert (found.variance[:, missing] > 0).all()
    drawn = components.draw_missing(rows, np.arange(N) % K, np.random.RandomState(0))
    assert_array_equal(drawn.T[~missing], X.T[~missing])
    assert np.isfinite(drawn).all()


def test_degrees_of_freedom_are_those_of_the_block(components):
    gaussians, coins = components.parts
    heavy = StudentTs(gaussians.mean, gaussians.covariance, np.ones(K), np.full(K, 5.0))
    found = ProductComponents((heavy, coins), COLUMNS).conditionals(block(table(components)))
    assert np.isinf(found.dof[:, BINARY]).all()
    assert np.isfinite(found.dof[:, MEASURED]).all()


@pytest.mark.parametrize("features", [[4], [1, 3], [2, 4, 0], [3, 2], [1, 0, 4], [0, 1, 2, 3, 4]])
def test_marginals_are_densities_of_what_was_observed(components, features):
    X, features = table(components, missing=0.0), np.array(features)
    part = components.marginal(features)
    partial = np.full_like(X, np.nan)
    partial[:, features] = X[:, features]
    kinds = {3: observed_rows, 2: lambda Z: Binarization(0.5).transform(Z.T)}
    own = X[:, features]
    blocks = [
        kinds[len(columns)](np.ascontiguousarray(own[:, place].T))
        for columns, place in zip(
            [c for c in COLUMNS if np.isin(c, features).any()], part.columns, strict=True
        )
    ]
    assert_allclose(
        log_prob(part, ProductRows(tuple(blocks))), log_prob(components, block(partial)), rtol=1e-10
    )


@pytest.mark.parametrize("features", [[4], [1, 3], [2, 0], [3, 2], [1, 0, 4], [4, 2, 0, 1]])
def test_a_density_is_that_of_some_features_times_that_of_the_others(components, features):
    row, features = table(components, missing=0.0)[0], np.array(features)
    others = np.delete(np.arange(D), features)
    given, rest = components.conditional(features, row[features])
    again, nothing = rest.conditional(np.arange(len(others)), row[others])
    assert_allclose(given + again, log_prob(components, block(row[None]))[:, 0], rtol=1e-10)
    assert nothing.parts == ()
    assert sorted(np.concatenate(rest.columns)) == list(range(len(others)))


def test_products_nest(components):
    X, resp = table(components), np.random.default_rng(0).uniform(size=(K, N))
    inner = ProductFamily(
        (GaussianFamily(Full(3), np.full(3, 0.1)), BernoulliFamily()),
        (np.array([2, 0, 1]), np.array([4, 3])),
    )
    outer = ProductFamily((inner, BernoulliFamily()), (np.arange(5), np.array([5])))
    coin = Binarization(0.5).transform(X[:, [1]])
    rows = ProductRows((block(X), coin))
    start = ProductComponents(
        (ProductComponents(components.parts, inner.columns), Bernoullis.of(*np.ones((2, K, 1)))),
        outer.columns,
    )
    kernel = outer.kernel(start, np.zeros(K))
    sums = kernel.accumulate(kernel.features(rows), resp)
    doubled = kernel.statistics(tuple(a + b for a, b in zip(sums, sums, strict=True)))
    assert_allclose(doubled.weight, 2.0 * resp.sum(axis=1))
    model = Mixture(np.log(np.full(K, 1 / K)), outer.estimate(doubled, start))
    known = MixtureSteps(outer).coordinates(model)
    again = known.model(known.vector(model), like=model)
    assert_allclose(
        again.kernel().log_prob(rows), model.kernel().log_prob(rows), rtol=1e-10, atol=1e-10
    )


def test_rows_go_there_and_back():
    X = np.random.default_rng(0).normal(size=(N, D)) * [1.0, 2.0, 3.0, 4.0, 5.0]
    X[:, BINARY] = X[:, BINARY] > 0
    units = ObservedStandardization(
        Standardization.of(X[:, MEASURED], np.ones(N), per_feature=True)
    )
    both = ProductTransformation((units, Binarization(0.5)), COLUMNS)
    rows = both.transform(X)
    back = np.empty_like(X)
    back[:, MEASURED], back[:, BINARY] = rows.blocks[0].T, rows.blocks[1].filled(np.zeros(2))
    assert_allclose(both.inverse_transform(back), X)
    assert both.log_jacobian == units.log_jacobian
    assert_allclose(both.log_jacobians(X), both.log_jacobian)
    X[:, [1, 4]] = np.nan
    scale = units.standardization.scale
    assert_allclose(both.log_jacobians(X), np.log(scale[1]) + np.log(scale[2]))


def test_a_singular_block_names_columns_of_the_table(components):
    X = table(components, missing=0.0)
    X[:, 2] = X[:, 0]
    families = GaussianFamily(Full(3), np.zeros(3)), BernoulliFamily()
    family = ProductFamily(families, COLUMNS)
    with pytest.raises(SingularCovarianceError) as caught:
        family.estimate(family.statistics(block(X), np.ones((1, N))))
    assert set(caught.value.features) <= {0, 2}
    assert caught.value.features
