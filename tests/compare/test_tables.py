"""Arrays and frames become tables by one rule over columns."""

import datetime
from decimal import Decimal

import numpy as np
import pytest
import scipy.sparse

from sklearn_lvm.compare.tables import as_table

nan = np.nan
pandas = pytest.importorskip("pandas")
polars = pytest.importorskip("polars")

# What the columns of a frame hold, and what is read; None where a column is left out.
DAY, HOUR = datetime.date(2020, 1, 31), datetime.timedelta(hours=1)
COLUMNS = {
    "whole": ([1, 2, 3], [1, 2, 3]),
    "fractions": ([0.5, None, 2.0], [0.5, nan, 2]),
    "booleans": ([True, None, False], [1, nan, 0]),
    "decimals": ([Decimal("1.5"), None, Decimal(2)], [1.5, nan, 2]),
    "spelled": (["1.5", " NA", "-2e3"], [1.5, nan, -2000]),
    "spelled by commas": (["1,5", "?", "2.000,25"], [1.5, nan, 2000.25]),
    "booleans spelled": (["True", "false", ""], [1, 0, nan]),
    "missing": ([None, None, None], [nan, nan, nan]),
    "text": (["x", "y", None], None),
    "mostly text": (["x", "1", "y"], None),
    "days": ([DAY, DAY, None], None),
    "moments": ([datetime.datetime(2020, 1, 31, 12)] * 3, None),
    "durations": ([HOUR, HOUR, None], None),
    "lists": ([[1], [2], [3, 4]], None),
}
NUMERIC = {name: X for name, (_, X) in COLUMNS.items() if X is not None}
LEFT_OUT = [name for name, (_, X) in COLUMNS.items() if X is None]


def check(table, left_out):
    assert table.columns == tuple(NUMERIC)
    np.testing.assert_array_equal(table.X.T, list(NUMERIC.values()))
    shown, more = ", ".join(left_out[:4]), len(left_out) - 4
    out, commas = table.notes
    assert out == (
        f"left out {len(left_out)} columns of text, categories or dates: {shown} and {more} more"
    )
    assert commas == "a comma is read as the decimal mark in 1 column: spelled by commas"


def test_frames_of_pandas():
    frame = pandas.DataFrame({name: cells for name, (cells, _) in COLUMNS.items()})
    frame["codes"] = pandas.Categorical([1, 2, 1])
    frame["quarters"] = pandas.period_range("2020", periods=3, freq="Q")
    check(as_table(frame), [*LEFT_OUT, "codes", "quarters"])


def test_frames_of_polars():
    frame = polars.DataFrame({name: cells for name, (cells, _) in COLUMNS.items()})
    codes = polars.Series("codes", ["a", "b", "a"], dtype=polars.Categorical)
    check(as_table(frame.with_columns(codes)), [*LEFT_OUT, "codes"])


def test_arrays_of_objects():
    cells = np.empty((3, len(COLUMNS)), dtype=object)
    for j, (column, _) in enumerate(COLUMNS.values()):
        cells[:, j] = column
    check(as_table(cells, list(COLUMNS)), LEFT_OUT)


@pytest.mark.parametrize(
    "dtype",
    ["Int64", "Float32", "boolean", "int64[pyarrow]", "double[pyarrow]", "bool[pyarrow]", "object"],
)
def test_types_of_pandas_with_missing_cells(dtype):
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame({"a": pandas.array([1, None, 0], dtype=dtype), "b": [1.0, 2.0, 3.0]})
    np.testing.assert_array_equal(as_table(frame).X, [[1, 1], [nan, 2], [0, 3]])


def test_text_of_pandas_types():
    for dtype in ("string", "object"):
        frame = pandas.DataFrame({"a": pandas.array(["1.5", None], dtype=dtype)})
        np.testing.assert_array_equal(as_table(frame).X, [[1.5], [nan]])


def test_sparse_columns_of_a_frame():
    frame = pandas.DataFrame.sparse.from_spmatrix(scipy.sparse.eye(2, format="csr"))
    np.testing.assert_array_equal(as_table(frame).X, np.eye(2))


@pytest.mark.parametrize(
    ("data", "X", "columns"),
    [
        (pandas.Series([1, 2], name="h"), [[1], [2]], ("h",)),
        (polars.Series("h", ["1", None]), [[1], [nan]], ("h",)),
        ([["1", True], [None, 2.5]], [[1, 1], [nan, 2.5]], ("x0", "x1")),
        (np.array([(1, 0.5)], dtype=[("a", int), ("b", float)]), [[1, 0.5]], ("a", "b")),
        (np.array([[b"1", b"2"]]), [[1, 2]], ("x0", "x1")),
        (np.ma.masked_equal([[1, 2], [3, 4]], 3), [[1, 2], [nan, 4]], ("x0", "x1")),
        (pandas.DataFrame([[1, 2]], columns=["a", "a"]), [[1, 2]], ("a", "a.1")),
        (pandas.DataFrame({"Unnamed: 0": [4, 2], "b": [1, 2]}), [[1], [2]], ("b",)),
        (polars.DataFrame({"": [4, 2], "b": [1, 2]}), [[1], [2]], ("b",)),
    ],
)
def test_other_tables(data, X, columns):
    table = as_table(data)
    np.testing.assert_array_equal(table.X, X)
    assert table.columns == columns


def test_a_first_column_that_counts_is_named_and_kept_unless_its_name_says_so():
    X = np.c_[np.arange(1, 21), np.zeros(20)]
    table = as_table(X)
    assert table.columns == ("x0", "x1")
    assert "x0 numbers the rows" in table.notes[0]
    table = as_table(X[::-1], ["No", "b"])
    assert table.columns == ("b",)
    assert table.notes == (
        "dropped a column that numbers the rows: No; name it in --columns (columns) to keep it",
    )
    assert as_table(X[:3]).notes == as_table(X[::-1]).notes == as_table(X[1:]).notes == ()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.zeros(5), r"got ndarray of shape \(5,\); X.reshape\(-1, 1\) makes one column"),
        (np.zeros((2, 2, 2)), r"expected a table of rows and columns, got ndarray of shape"),
        (None, "expected a table of rows and columns, got NoneType"),
        (polars.LazyFrame({"a": [1]}), "got LazyFrame"),
        ([[1, 2], [3]], "rows of the table have different lengths"),
        (np.eye(2) + 1j, "not numeric: the type of x0 is complex128"),
        (pandas.DataFrame({"a": [1j]}), "not numeric: the type of a is complex128"),
        (np.array([(1, [2.0, 3.0])], dtype=[("a", int), ("b", float, 2)]), r"b holds an array of"),
        (pandas.DataFrame(), "no columns"),
        (polars.DataFrame(), "no columns"),
        (pandas.DataFrame({"a": []}), "no rows"),
        (np.zeros((0, 2)), "no rows"),
        (pandas.DataFrame({"a": ["x"], "b": [DAY]}), "no column is numeric: left out .*: a, b"),
        (np.array([[np.datetime64("2020-01-31")]]), "no column is numeric"),
        ([["1"], ["n.d."], ["3"]], r"not numeric: x0 has 'n\.d\.' in row 2 \(1 of 3 cells"),
        ([["1,500"], ["2,250"]], "commas in x0 may be decimal marks or stand between thousands"),
    ],
)
def test_data_that_are_no_table(data, message):
    with pytest.raises(ValueError, match=message):
        as_table(data)


@pytest.mark.parametrize("kind", ["csr_matrix", "csr_array", "coo_array"])
def test_sparse_matrices_are_refused_by_name_with_the_remedy(kind):
    with pytest.raises(TypeError, match=rf"sparse \({kind}\); give a dense one: X.toarray\(\)"):
        as_table(getattr(scipy.sparse, kind)(np.eye(2)))


def test_as_many_names_as_columns():
    with pytest.raises(ValueError, match="3 column names for a table of 2 columns"):
        as_table(np.eye(2), list("abc"))
