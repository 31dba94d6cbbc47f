"""impute: conditional means and draws of missing entries, in tables of every kind."""

import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy import sparse
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import get_tags

from sklearn_lvm import BernoulliMixture, BetaBernoulli, EMGaussianMixture

from .specs import SPECS, every_coin

N, D = 120, 4
COINS = {
    "coins": BetaBernoulli(),
    "mixture": BernoulliMixture(2, random_state=0),
    "variational": BernoulliMixture(2, inference="variational", random_state=0),
}
every_model = pytest.mark.parametrize("name", COINS)
MISSING = [spec for spec in SPECS if get_tags(spec.estimator).input_tags.allow_nan]
EXACT_MISSING = [spec for spec in MISSING if not spec.neural]
every_missing_spec = pytest.mark.parametrize("spec", MISSING, ids=str)
every_exact_missing_spec = pytest.mark.parametrize("spec", EXACT_MISSING, ids=str)


def two_sets(n=N, d=D, missing=0.2, seed=0):
    """Rows of one of two sets of coins, and the same with missing entries, the first row and column."""
    rng = np.random.default_rng(seed)
    p = np.where(np.arange(2)[:, None] == 0, 0.9, 0.15) + np.zeros(d)
    X = (rng.uniform(size=(n, d)) < p[rng.integers(2, size=n)]).astype(float)
    Y = X.copy()
    Y[rng.uniform(size=X.shape) < missing] = np.nan
    Y[0] = np.nan
    return X, Y


def same_bits(X, Y):
    """Whether two arrays are equal to the last bit, signs of zeros included."""
    return (
        X.dtype == Y.dtype
        and np.ascontiguousarray(X).tobytes() == np.ascontiguousarray(Y).tobytes()
    )


# -- what every estimator promises ---------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@every_missing_spec
def test_observed_entries_are_the_same_bit_for_bit(spec):
    X = np.random.default_rng(0).normal(size=(60, 3)).astype(np.float32)
    X[X[:, 0] > 1, 1] = np.nan
    X[2], X[3, 0] = np.nan, -0.0
    model, before, seen = spec.new().fit(X), X.copy(), ~np.isnan(X)
    tables = [model.impute(X), model.impute(X, mode=True)]
    tables += model.impute(X, n_draws=2, random_state=0)
    for filled in tables:
        assert same_bits(filled[seen], before[seen])
        assert np.isfinite(filled).all()
        assert filled is not X
    assert same_bits(X, before)
    again = model.impute(X, n_draws=2, random_state=0)
    assert all(same_bits(one, other) for one, other in zip(tables[2:], again, strict=True))
    assert not same_bits(tables[2], tables[3])
    complete = X[seen.all(axis=1)]
    for filled in (model.impute(complete), *model.impute(complete, n_draws=2)):
        assert same_bits(filled, complete)
        assert not np.shares_memory(filled, complete)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@every_exact_missing_spec
def test_draws_have_the_conditional_means(spec):
    X = np.random.default_rng(0).normal(size=(60, 3))
    X[:, 1] += X[:, 0]
    X[::3, 1] = np.nan
    X[0] = np.nan
    model, some = spec.new().fit(X), X[[0, 3, 6]]
    (drawn,) = model.impute(np.tile(some, (2000, 1)), n_draws=1, random_state=0)
    drawn = drawn.reshape(2000, 3, 3).transpose(1, 2, 0)[np.isnan(some)]
    error = drawn.std(axis=1) / np.sqrt(2000)
    assert (error > 0).all()
    assert (abs(drawn.mean(axis=1) - model.impute(some)[np.isnan(some)]) <= 5 * error).all()


REFUSED = {
    "no draws": ({"n_draws": 0}, "n_draws must be a positive integer.*got 0"),
    "a fraction": ({"n_draws": 2.0}, "n_draws must be a positive integer.*got 2.0"),
    "a truth value": ({"n_draws": True}, "n_draws must be a positive integer.*got True"),
    "mode": ({"mode": True, "n_draws": 2}, "mode=True is for one table.*n_draws=2"),
    "no number": ({"parameter_draws": True}, "give n_draws"),
    "mode word": ({"mode": "median"}, "mode must be True or False, got 'median'"),
    "parameter word": (
        {"n_draws": 1, "parameter_draws": 1},
        "parameter_draws must be True or False",
    ),
    "state": ({"n_draws": 1, "random_state": "x"}, "random_state"),
    "generator": ({"n_draws": 1, "random_state": np.random.default_rng()}, "random_state"),
}


@pytest.mark.parametrize("case", REFUSED)
@pytest.mark.parametrize("X", [two_sets()[0], two_sets()[1]], ids=["complete", "incomplete"])
def test_a_bad_argument_is_named(case, X):
    arguments, message = REFUSED[case]
    with pytest.raises(ValueError, match=message):
        BetaBernoulli().fit(X).impute(X, **arguments)


# -- coins -------------------------------------------------------------------------------------------


@every_model
def test_means_are_responsibilities_times_probabilities(name):
    _, Y = two_sets()
    model = COINS[name].fit(Y)
    if name == "coins":
        expected = np.broadcast_to(model.probability_, Y.shape)
    else:
        expected = model.predict_proba(Y) @ model.probabilities_
    filled, missing = model.impute(Y), np.isnan(Y)
    assert_allclose(filled[missing], expected[missing], rtol=1e-12)
    assert_array_equal(model.impute(Y, mode=True)[missing], expected[missing] > 0.5)
    if name != "coins":
        assert_allclose(filled[0], model.weights_ @ model.probabilities_, rtol=1e-12)


@every_coin
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_sparse_tables_are_completed_as_dense_ones(spec):
    X, Y = two_sets()
    model, rows = spec.new().fit(Y), sparse.csr_array(Y)
    means, *drawn = [model.impute(rows), *model.impute(rows, n_draws=2, random_state=0)]
    assert_allclose(means.toarray(), model.impute(Y), rtol=1e-12)
    for filled, dense in zip(drawn, model.impute(Y, n_draws=2, random_state=0), strict=True):
        assert filled.format == "csr"
        assert_array_equal(filled.toarray(), dense)
    assert_array_equal(np.isnan(rows.toarray()), np.isnan(Y))
    counts = sparse.csr_matrix(X.astype(np.uint8))
    assert (model.impute(counts) != counts).nnz == 0
    assert model.impute(counts).dtype == np.uint8


def test_a_wide_sparse_table_is_completed_block_by_block():
    rng = np.random.default_rng(0)
    X = sparse.random_array((300, 20_000), density=2e-3, format="csr", rng=rng)
    X.data[:] = 1.0
    Y = X.copy()
    Y.data[rng.uniform(size=Y.nnz) < 0.1] = np.nan
    model = BetaBernoulli().fit(Y)
    filled, missing = model.impute(Y), np.isnan(Y.data)
    assert_allclose(filled.data[missing], model.probability_[Y.indices[missing]], rtol=1e-12)
    assert_array_equal(filled.data[~missing], 1.0)
    (drawn,) = model.impute(Y, n_draws=1, random_state=0)
    assert set(np.unique(drawn.data)) == {0.0, 1.0}


# -- kinds of tables -----------------------------------------------------------------------------------


def frame(Y):
    """Columns of many types; only the first has no missing entry."""
    a, b = np.nan_to_num(Y[:, 0]).astype(int), Y[:, 1]
    return pd.DataFrame(
        {
            "whole": a,
            "flag": a > 0,
            "double": Y[:, 0],
            "single": b.astype(np.float32),
            "nullable": pd.array(b, dtype="Float32"),
            "count": pd.array(b, dtype="Int64"),
            "yes": pd.array(b).astype("boolean"),
            "objects": pd.Series(b, dtype=object),
        }
    ).set_axis(np.arange(len(Y))[::-1] * 3)


def test_a_frame_of_pandas_keeps_names_index_and_types():
    F = frame(two_sets()[1])
    F.columns.name = "answers"
    before = F.copy(deep=True)
    model = BernoulliMixture(2, random_state=0).fit(F)
    for filled in (model.impute(F), *model.impute(F, n_draws=2, random_state=0)):
        assert list(filled.columns) == list(F.columns)
        assert filled.columns.name == "answers"
        assert filled.index.equals(F.index)
        for name in ("whole", "flag", "double", "single", "nullable", "objects"):
            assert filled[name].dtype == F[name].dtype
        assert filled["count"].dtype == filled["yes"].dtype == pd.Float64Dtype()
        for name in F:
            seen = F[name].notna()
            assert (filled[name][seen] == F[name][seen]).all()
        assert not filled.isna().any(axis=None)
    pd.testing.assert_frame_equal(F, before)


def test_a_frame_of_polars_keeps_names_and_types():
    a, b = two_sets()[1][1:, :2].T
    count = [None if np.isnan(x) else int(x) for x in b]
    F = pl.DataFrame(
        {
            "whole": np.nan_to_num(a).astype(int),
            "double": a,
            "single": b.astype(np.float32),
            "count": count,
            "yes": pl.Series(count).cast(pl.Boolean),
        }
    )
    model = BernoulliMixture(2, random_state=0).fit(F)
    filled = model.impute(F)
    assert filled.columns == F.columns
    expected = [pl.Int64, pl.Float64, pl.Float32, pl.Float64, pl.Float64]
    assert filled.dtypes == expected
    assert filled["count"].null_count() == filled["double"].is_nan().sum() == 0
    for name in F.columns:
        given = F[name].cast(float).to_numpy()
        seen = ~np.isnan(given)
        assert_array_equal(filled[name].to_numpy()[seen], given[seen])


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.longdouble, object])
def test_an_array_keeps_its_type(dtype):
    Y = two_sets()[1].astype(dtype)
    filled = BetaBernoulli().fit(Y).impute(Y)
    assert filled.dtype == dtype
    assert not np.isnan(filled.astype(float)).any()


def test_lists_and_integers():
    X, Y = two_sets()
    model = BetaBernoulli().fit(Y.tolist())
    assert_array_equal(model.impute(Y.tolist()), model.impute(Y))
    assert model.impute(X.astype(bool)).dtype == bool
    assert model.impute(X.astype(int).tolist()).dtype.kind == "i"


# -- draws of parameters -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["coins", "mixture"])
def test_parameters_are_drawn_from_the_rows_that_are_imputed(name):
    """The share of ones that a drawn table has in a column spreads as that of a bootstrap does."""
    _, Y = two_sets(60, missing=0.0)
    Y[20:, 1] = np.nan
    model = COINS[name].fit(Y)
    plain, proper = (
        np.array(model.impute(Y, n_draws=120, parameter_draws=drawn, random_state=0))[:, 20:, 1]
        for drawn in (False, True)
    )
    spread = [shares.mean(axis=1).std() for shares in (plain, proper)]
    assert spread[1] > 1.3 * spread[0]
    assert_allclose(proper.mean(), plain.mean(), atol=0.1)
    assert vars(model).keys() == vars(COINS[name].fit(Y)).keys()


def test_a_fit_of_drawn_parameters_leaves_the_estimator_alone():
    _, Y = two_sets()
    model = BernoulliMixture(2, random_state=0).fit(Y)
    before = dict(vars(model))
    model.impute(Y, n_draws=2, parameter_draws=True)
    assert all(vars(model)[name] is value for name, value in before.items())
    assert vars(model).keys() == before.keys()
    empty = Y.copy()
    empty[:, 2] = np.nan
    with pytest.raises(ValueError, match="no observed entry in column 2"):
        model.impute(empty, n_draws=1, parameter_draws=True)


def test_fits_of_drawn_parameters_that_do_not_converge_are_told_of_once():
    X = np.random.default_rng(0).normal(size=(80, 3))
    X[::2, 1] = np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = EMGaussianMixture(3, max_iter=2, random_state=0).fit(X)
    with pytest.warns(ConvergenceWarning, match="3 of 3 fits of parameter_draws") as caught:
        model.impute(X, n_draws=3, parameter_draws=True)
    assert len(caught) == 1
