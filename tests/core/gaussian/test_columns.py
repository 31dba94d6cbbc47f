"""Moments of columns that were observed in different rows."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from sklearn_lvm.core.gaussian.columns import ColumnMoments
from sklearn_lvm.core.gaussian.diagonal import Diagonal, Spherical
from sklearn_lvm.core.gaussian.moments import Moments
from sklearn_lvm.core.gaussian.parameters import suggested_prior

every_structure = pytest.mark.parametrize("structure", [Diagonal(3), Spherical(3)])
STORED = {Diagonal: lambda v: v[None], Spherical: lambda v: v.sum(keepdims=True)}


def rows(n=12, seed=0):
    rng = np.random.RandomState(seed)
    Z = rng.normal(size=(3, n)) + np.array([[0.0], [5.0], [-1.0]])
    Z[rng.uniform(size=Z.shape) < 0.3] = np.nan
    return Z, rng.uniform(0.5, 2.0, n)


def assert_same(a, b):
    for name in ("n_rows", "weight", "dof", "mean", "scatter"):
        assert_allclose(getattr(a, name), getattr(b, name), rtol=1e-12, atol=1e-12, err_msg=name)


@every_structure
def test_moments_are_those_of_observed_entries(structure):
    Z, w = rows()
    found = ColumnMoments.of(Z, w, structure)
    seen = [~np.isnan(z) for z in Z]
    mean = np.array([np.average(z[o], weights=w[o]) for z, o in zip(Z, seen, strict=True)])
    square = [w[o] @ (z[o] - m) ** 2 for z, o, m in zip(Z, seen, mean, strict=True)]
    weight = np.array([w[o].sum() for o in seen])
    stored = STORED[type(structure)]
    assert_allclose(found.weight, weight)
    assert_allclose(found.mean, mean)
    assert_allclose(found.scatter, stored(np.array(square)))
    assert_allclose(found.dof, stored(weight))
    assert found.n_rows == w.sum()


@every_structure
def test_parts_add_in_any_order(structure):
    Z, w = rows()
    parts = [
        ColumnMoments.of(Z[:, s], w[s], structure) for s in (slice(5), slice(5, 6), slice(6, 12))
    ]
    whole = ColumnMoments.of(Z, w, structure)
    assert_same(parts[0] + (parts[1] + parts[2]), whole)
    assert_same(parts[2] + parts[0] + parts[1], whole)


@every_structure
def test_complete_rows_are_a_special_case(structure):
    Z, w = rows()
    Z = np.nan_to_num(Z)
    moments = Moments.of(Z, w[None], structure)
    columns = ColumnMoments.of_moments(moments)
    assert_same(columns, ColumnMoments.of(Z, w, structure))
    assert_allclose(columns.of_one_row.scatter, moments.scatter / moments.dof[0])
    for name in ("weight", "dof", "mean", "scatter"):
        found = getattr(columns.suggested_prior(), name)
        assert_allclose(found, getattr(suggested_prior(moments), name), rtol=1e-12)


@every_structure
def test_units_change_moments_as_they_change_rows(structure):
    Z, w = rows()
    factor = np.array([2.0, 2.0, 2.0]) if structure == Spherical(3) else np.array([0.1, 3.0, 1e4])
    changed = ColumnMoments.of(factor[:, None] * Z, w, structure)
    assert_same(ColumnMoments.of(Z, w, structure).rescaled(factor), changed)
