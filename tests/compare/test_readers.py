"""Numeric tables are read from files."""

import sys

import numpy as np
import pytest

from sklearn_lvm.compare.readers import read_table


@pytest.mark.parametrize(
    ("name", "text", "columns"),
    [
        ("a.csv", "a,b\n1,2\n3,\n", ("a", "b")),
        ("a.csv", "1,2\n3,NA\n", ("x0", "x1")),
        ("a.csv", "\ufeffa;b\r\n1;2\r\n\r\n3;nan\r\n", ("a", "b")),
        ("a.csv", "1\t2\n3\t \n", ("x0", "x1")),
        ("a.tsv", '"a"\t"b, in m"\n1\t2\n3\tnull\n', ("a", "b, in m")),
        ("a.CSV", "year,2\n1,2.0\n3e0,\n", ("year", "2")),
    ],
)
def test_csv(tmp_path, name, text, columns):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8", newline="")
    table = read_table(path)
    np.testing.assert_array_equal(table.X, [[1, 2], [3, np.nan]])
    assert (table.columns, table.name) == (columns, name)


@pytest.mark.parametrize(
    "arrays",
    [
        {"data": [[1, 2]], "target": [1]},
        {"X": [[1, 2]], "Z": [[3]]},
        {"X_train": [[1, 2]], "X_test": [[3]]},
        {"X": [[1, 2]], "X_train": [[3]], "names": [["a"]]},
        {"table": [[1, 2]], "objects": np.array([[None]], dtype=object)},
    ],
)
def test_npz(tmp_path, arrays):
    path = tmp_path / "a.npz"
    np.savez(path, **arrays)
    np.testing.assert_array_equal(read_table(path).X, [[1.0, 2.0]])


def test_npy(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[1, 0]], dtype=bool))
    np.testing.assert_array_equal(read_table(tmp_path / "a.npy").X, [[1.0, 0.0]])


def test_parquet(tmp_path):
    pytest.importorskip("pyarrow")
    pd = pytest.importorskip("pandas")
    frame = pd.DataFrame({"a": [1, 2], "b": pd.array([0.5, None], dtype="Float64")})
    frame.to_parquet(tmp_path / "a.parquet")
    table = read_table(tmp_path / "a.parquet")
    np.testing.assert_array_equal(table.X, [[1, 0.5], [2, np.nan]])
    assert table.columns == ("a", "b")


def test_parquet_without_pandas_says_what_to_install(tmp_path, monkeypatch):
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ValueError, match=r'pip install "sklearn-lvm\[parquet\]"'):
        read_table(tmp_path / "a.parquet")
