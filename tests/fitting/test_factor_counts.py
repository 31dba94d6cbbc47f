"""The number of factors is the one by which rows that were held back are predicted."""

from dataclasses import replace

import numpy as np
import pytest

from sklearn_lvm import EMGaussianMixture
from sklearn_lvm.core.gaussian.density import GaussianFamily
from sklearn_lvm.core.gaussian.prior import GaussianPrior
from sklearn_lvm.core.gaussian.structure_names import LOW_RANK
from sklearn_lvm.core.standardization import Standardization
from sklearn_lvm.fitting import factor_counts
from sklearn_lvm.fitting.factor_counts import n_factors_for
from sklearn_lvm.fitting.incomplete_rows import incomplete_rows

from .samples import row_source

every_kind = pytest.mark.parametrize("kind", LOW_RANK)


def rows_of(n, d=8, q=2, K=1, seed=0):
    """Rows of K groups, each with q factors of its own."""
    axes, rng = np.random.default_rng(0), np.random.default_rng(seed)
    groups = []
    for k in range(K):
        W = np.linalg.qr(axes.normal(size=(d, d)))[0][:, :q] * 4.0
        groups.append(12.0 * k + rng.normal(size=(n // K, q)) @ W.T + rng.normal(size=(n // K, d)))
    return np.concatenate(groups)


def family_of(kind, d, strength=None, weight=1.0):
    structure = LOW_RANK[kind](d)
    family = GaussianFamily(structure, np.full(d, 1e-6))
    if strength is None:
        return family
    A = np.array([strength * weight])
    prior = GaussianPrior(structure, A * 0.1 * np.eye(d)[None], A, np.zeros(d))
    return replace(family, prior=prior)


def source(X, kind, w=None):
    rows = row_source(X, w)
    common = Standardization.of(X, rows.w, per_feature=LOW_RANK[kind].per_feature)
    return replace(rows, transformation=common)


def found(X, kind="factor", K=1, w=None, strength=1.0, rows=None):
    rows = source(X, kind, w) if rows is None else rows
    family = family_of(kind, X.shape[1], strength, rows.unit)
    return n_factors_for(rows, K, family.structure, family)


@every_kind
@pytest.mark.parametrize("K", [1, 3])
def test_factors_that_rows_have_are_found(kind, K):
    assert found(rows_of(600, q=2, K=K), kind, K) == 2


@every_kind
@pytest.mark.parametrize("strength", [None, 0.01, 8.0])
def test_noise_has_next_to_no_factors(kind, strength):
    X = rows_of(300, q=0)
    assert found(X, kind, strength=strength) <= 1


@every_kind
def test_too_few_rows_have_none(kind):
    X = rows_of(60)
    assert [found(X[:n], kind, K) for n, K in ((1, 1), (2, 1), (3, 3), (8, 6))] == [0, 0, 0, 0]


def test_components_of_few_rows_have_fewer_factors_without_a_prior():
    X = rows_of(90, d=20, q=6)
    few, many = (found(X, K=K, strength=None) for K in (12, 1))
    assert few < many <= 12


def test_a_strong_prior_allows_more():
    """What all rows have in common need not be learned from those of one component."""
    X = rows_of(120, d=20, q=6)
    scatter = np.cov(row_source(X).block)
    rows, family = row_source(X), family_of("factor", 20, 40.0)
    informed = replace(family, prior=replace(family.prior, scatter=40.0 * scatter[None]))
    weak, strong = (
        n_factors_for(rows, 8, family.structure, one) for one in (family_of("factor", 20), informed)
    )
    assert weak < 6 <= strong


@every_kind
def test_weights_are_repetitions_and_the_order_of_rows_does_not_matter(kind):
    X = rows_of(150, K=2)
    rng = np.random.default_rng(1)
    w = rng.integers(1, 4, len(X)).astype(float)
    order = rng.permutation(int(w.sum()))
    weighted = found(X, kind, 2, w)
    assert found(np.repeat(X, w.astype(int), axis=0)[order], kind, 2) == weighted
    assert found(X, kind, 2, 0.25 * w) == weighted


def test_units_of_columns_do_not_matter():
    X = rows_of(150, K=2)
    unit = 10.0 ** np.arange(-4, 4)
    assert found(X * unit, K=2) == found(X, K=2)


def test_a_common_unit_does_not_matter_where_noise_is_common():
    X = rows_of(150, K=2)
    counts = [
        EMGaussianMixture(2, covariance_type="ppca", random_state=0, max_iter=0).fit(unit * X)
        for unit in (1e-6, 1.0, 1e6)
    ]
    assert len({mixture.n_factors_ for mixture in counts}) == 1


def test_rows_with_missing_entries_tell_as_much_as_they_can():
    X = rows_of(400, q=2)
    X[np.random.default_rng(1).random(X.shape) < 0.2] = np.nan
    standardization = Standardization.of_observed(X, np.ones(len(X)), per_feature=True)
    structure = LOW_RANK["factor"](X.shape[1])
    rows = incomplete_rows(row_source_of(X, standardization), standardization, structure)
    assert found(X, rows=rows) == 2


def row_source_of(X, standardization):
    return replace(row_source(np.nan_to_num(X)), X=X, transformation=standardization)


@every_kind
def test_many_features_are_counted_by_parallel_analysis(kind, monkeypatch):
    monkeypatch.setattr(factor_counts, "MAX_FEATURES", 7)
    assert found(rows_of(600), kind) == 2
    few = rows_of(60, K=4)
    assert [found(few, kind, 4, strength=A) for A in (None, 0.5)] == [0, 0]
    assert found(few, kind, 4, strength=8.0) >= 2  # all rows have told of that prior


def test_a_mixture_with_chosen_factors_predicts_as_with_the_best_of_fixed_ones():
    X, new = rows_of(120, d=12, q=3, K=2), rows_of(2000, d=12, q=3, K=2, seed=1)
    held_out = {
        q: EMGaussianMixture(2, covariance_type="factor", n_factors=q, random_state=0)
        .fit(X)
        .score(new)
        for q in (0, 1, 2, 3, 4, 5, "auto")
    }
    chosen = held_out.pop("auto")
    assert chosen > max(held_out.values()) - 0.1
    assert chosen > min(held_out.values()) + 1.0
