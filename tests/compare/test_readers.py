"""Numeric tables are read from files, and what was done is said."""

import bz2
import gzip
import lzma
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import scipy.sparse

from sklearn_lvm.compare.readers import load_digits_table, read_table

nan = np.nan
pandas = pytest.importorskip("pandas")


def read(tmp_path, text, name="a.csv", encoding="utf-8", **options):
    content = text if isinstance(text, bytes) else text.encode(encoding)
    (tmp_path / name).write_bytes(content)
    return read_table(tmp_path / name, **options)


# -- text files: what is written, the matrix, the columns, and words of the notes in order ----------

AB = ("a", "b")
TEXTS = {
    # separators
    "commas": ("a,b\n1,2\n3,\n", [[1, 2], [3, nan]], AB, ()),
    "semicolons": ("\ufeffa;b\r\n1;2\r\n\r\n3;nan\r\n", [[1, 2], [3, nan]], AB, ()),
    "tabs": ("1\t2\n3\t \n", [[1, 2], [3, nan]], ("x0", "x1"), ()),
    "tabs with an empty cell": ("a\tb\tc\n1\t\t3\n4\t5\t6\n", [[1, nan, 3], [4, 5, 6]], "abc", ()),
    "bars": ("a|b\n1|2\n3|?\n", [[1, 2], [3, nan]], AB, ()),
    "whitespace": ("  1.5   2.0\n 3.0\t4.0\n", [[1.5, 2], [3, 4]], ("x0", "x1"), ()),
    "spaces after commas": ("a, b\n1, 2\n3, 4\n", [[1, 2], [3, 4]], AB, ()),
    "one column": ("height\n1.5\n2.5\n", [[1.5], [2.5]], ("height",), ()),
    "one line": ("1,2\n", [[1, 2]], ("x0", "x1"), ()),
    "told in the first line": ("sep=;\na;b\n1;2\n", [[1, 2]], AB, ()),
    "another one within quotes": (
        '"weight; kg","a|b"\n1,2\n3,4.5\n',
        [[1, 2], [3, 4.5]],
        ("weight; kg", "a|b"),
        (),
    ),
    "a comma within quotes": ('"a"\t"b, in m"\n1\t2\n', [[1, 2]], ("a", "b, in m"), ()),
    "spaces in names": (
        "body mass,age in years\n1,2\n",
        [[1, 2]],
        ("body mass", "age in years"),
        (),
    ),
    "a line break within quotes": ('"a\nb",c\n1,2\n', [[1, 2]], ("a\nb", "c"), ()),
    # lines
    "comments and blank lines": ("# of 2020\na,b\n\n1,2\n# more\n3,4\n", [[1, 2], [3, 4]], AB, ()),
    "names in a comment": ("# a,b\n1,2\n3,4\n", [[1, 2], [3, 4]], AB, ("comment",)),
    "an end of a line without a name": ("a,b,\n1,2,\n3,4,\n", [[1, 2], [3, 4]], AB, ()),
    "an end that the header lacks": ("a,b\n1,2,\n3,4,\n", [[1, 2], [3, 4]], AB, ()),
    "an end that the rows lack": ("a,b,\n1,2\n3,4\n", [[1, 2], [3, 4]], AB, ()),
    "an end without a header": ("1,2,\n3,4.5,\n", [[1, 2], [3, 4.5]], ("x0", "x1"), ()),
    "an end of some lines": ("a,b\n1,2\n3,4,\n", [[1, 2], [3, 4]], AB, ()),
    "old line ends": ("a,b\r1,2\r3,4\r", [[1, 2], [3, 4]], AB, ()),
    # cells
    "missing cells": (
        "a,b,c,d,e,f,g\n?,.,-,None,#N/A,null,N/A\n1,2,3,4,5,6,7\n8,9,8,7,6,5,4\n",
        [[nan] * 7, [1, 2, 3, 4, 5, 6, 7], [8, 9, 8, 7, 6, 5, 4]],
        "abcdefg",
        (),
    ),
    "booleans": ("a,b\nTrue,true\nFalse,\n", [[1, 1], [0, nan]], AB, ()),
    "infinity": ("a,b\n1,inf\n2,-Infinity\n", [[1, np.inf], [2, -np.inf]], AB, ()),
    "quoted numbers": ('"a","b"\n"1","2.5"\n', [[1, 2.5]], AB, ()),
    "exponents": ("a,b\n1e3,-.5\n+2,1.E-2\n", [[1000, -0.5], [2, 0.01]], AB, ()),
    "decimal commas": ("a;b\n1,5;2,7\n3;4\n", [[1.5, 2.7], [3, 4]], AB, ("decimal mark in 2",)),
    "decimal commas and spaces": (
        "1,5 2,7\n3,1 4\n",
        [[1.5, 2.7], [3.1, 4]],
        ("x0", "x1"),
        ("x0, x1",),
    ),
    "decimal commas, points between thousands": (
        "a;b\n1.234,5;1.234\n3,1;950\n",
        [[1234.5, 1234], [3.1, 950]],
        AB,
        ("decimal mark in 2 columns: a, b",),
    ),
    "decimal commas beside decimal points": (
        "a;b;c\n1,5;0.25;1.234\n2,5;0.5;2.345\n",
        [[1.5, 0.25, 1.234], [2.5, 0.5, 2.345]],
        "abc",
        ("decimal mark in 1 column: a",),
    ),
    "three digits after commas": (
        "a;b\n1,234;5\n2,345;6\n",
        [[1.234, 5], [2.345, 6]],
        AB,
        ("decimal",),
    ),
    "commas between thousands": (
        'a,b\n"1,234",2\n"12,345",3.5\n',
        [[1234, 2], [12345, 3.5]],
        AB,
        ("between thousands in 1 column: a",),
    ),
    "points with three digits": ("a;b\n1.234;5\n2.345;?\n", [[1.234, 5], [2.345, nan]], AB, ()),
    # columns
    "repeated names": ("a,a,a.1\n1,2,3\n", [[1, 2, 3]], ("a", "a.1", "a.1.1"), ()),
    "text and dates": (
        "a,city,day\n1,Bonn,2020-01-31\n2,Ulm,2021-12-24\n",
        [[1], [2]],
        ("a",),
        ("left out 2 columns of text, categories or dates: city, day",),
    ),
    "labels without a header": (
        "5.1,3.5,x\n4.9,3.0,y\n",
        [[5.1, 3.5], [4.9, 3]],
        ("x0", "x1"),
        ("x2",),
    ),
    "names that are partly numbers": (
        "year,2\n1,2.0\n3e0,\n",
        [[1, 2], [3, nan]],
        ("year", "2"),
        ("header",),
    ),
    # numbers of the rows
    "the index of pandas": (",a,b\n0,1,2\n1,3,4\n", [[1, 2], [3, 4]], AB, ("index",)),
    "the index of a part": ("Unnamed: 0,a,b\n7,1,2\n3,3,4\n", [[1, 2], [3, 4]], AB, ("index",)),
    "an id": ("ID,a,b\n2,1,2\n1,3,4\n", [[1, 2], [3, 4]], AB, ("numbers the rows: ID",)),
    "an id that is none": ("id,b\n7,2\n1,4\n", [[7, 2], [1, 4]], ("id", "b"), ()),
    "an index that repeats": ("index,b\n1,2\n1,4\n", [[1, 2], [1, 4]], ("index", "b"), ()),
    "names of rows, as R writes them": (
        '"a" "b"\n"u" 1 2\n"v" 3 4\n',
        [[1, 2], [3, 4]],
        AB,
        ("Unnamed",),
    ),
    "numbers of rows, as R writes them": (
        '"a" "b"\n"1" 1 2\n"2" 3 4\n',
        [[1, 2], [3, 4]],
        AB,
        ("index",),
    ),
}


@pytest.mark.parametrize("case", TEXTS)
def test_text(tmp_path, case):
    text, X, columns, words = TEXTS[case]
    table = read(tmp_path, text)
    np.testing.assert_array_equal(table.X, X)
    assert (table.columns, table.name) == (tuple(columns), "a.csv")
    assert len(table.notes) == len(words)
    assert all(word in note for word, note in zip(words, table.notes, strict=True))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "latin-1"])
def test_encodings(tmp_path, encoding):
    table = read(tmp_path, "Größe,b\n1,2\n3,4\n", encoding=encoding)
    assert table.columns == ("Größe", "b")
    np.testing.assert_array_equal(table.X, [[1, 2], [3, 4]])


@pytest.mark.parametrize("name", ["a.csv", "a.TSV", "a.txt", "a.data"])
def test_text_files_by_name(tmp_path, name):
    assert read(tmp_path, "1\t2\n3\t4\n", name).X.shape == (2, 2)


@pytest.mark.parametrize("name", ["a.csv.gz", "a.tsv.bz2", "a.txt.xz", "a.gz"])
def test_compressed_text(tmp_path, name):
    compress = {"gz": gzip.compress, "bz2": bz2.compress, "xz": lzma.compress}
    content = compress[name.rpartition(".")[2]](b"a,b\n1,2\n3,4\n")
    table = read(tmp_path, content, name)
    np.testing.assert_array_equal(table.X, [[1, 2], [3, 4]])
    with pytest.raises(ValueError, match=f"{name}: .+"):
        read(tmp_path, content[:-9], name)


def test_zipped_text(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("folder/b.csv", "a,b\n1,2\n3,4\n")
        archive.mkdir("empty")
    np.testing.assert_array_equal(read_table(tmp_path / "a.zip").X, [[1, 2], [3, 4]])
    with zipfile.ZipFile(tmp_path / "a.zip", "a") as archive:
        archive.writestr("c.csv", "a,b\n1,2\n3,4\n")
    with pytest.raises(ValueError, match="holds 2 files, and must hold one"):
        read_table(tmp_path / "a.zip")


def test_numbers_are_read_as_they_were_written(tmp_path):
    X = np.random.default_rng(0).normal(size=(300, 3))
    pandas.DataFrame(X, columns=list("abc")).to_csv(tmp_path / "a.csv", index=False)
    np.testing.assert_array_equal(read_table(tmp_path / "a.csv").X, X)


# -- headers of numbers -----------------------------------------------------------------------------


def written(first, X, fmt="%g"):
    lines = [",".join(first), *(",".join(fmt % x for x in row) for row in X)]
    return "\n".join(lines)


RNG = np.random.RandomState(0)
ONES = RNG.randint(0, 2, (60, 3))
COUNTS = RNG.poisson(5, (60, 4))
FRACTIONS = RNG.randn(60, 3)


@pytest.mark.parametrize(
    ("first", "X"),
    [
        (["0", "1", "2"], ONES),
        (["1", "2", "3"], ONES),
        (["2019", "2020", "2021"], ONES),
        (["2019", "2020"], ONES[:, :2]),
        (["2000", "2010", "2050"], FRACTIONS),
        (["3", "12", "40"], FRACTIONS),
        (["0", "1", "2", "3"], COUNTS),
        (["0", "1"], FRACTIONS[:, :2]),
        (["0"], FRACTIONS[:, :1]),
        (["400.5", "401.0", "401.5"], FRACTIONS),
        (["", "0", "1"], np.c_[np.arange(60), ONES[:, :2]]),
    ],
)
def test_a_header_of_numbers(tmp_path, first, X):
    table = read(tmp_path, written(first, X))
    names = tuple(filter(None, first))
    assert table.columns == names
    np.testing.assert_allclose(table.X, X[:, -len(names) :], rtol=1e-4)
    assert "header" in table.notes[0]
    assert "--no-header" in table.notes[0]
    assert ", ".join(first) in table.notes[0]


@pytest.mark.parametrize(
    ("first", "X", "said"),
    [
        (["0.5", "1.5", "2.5"], FRACTIONS, False),
        (["0", "0", "1"], ONES, False),
        (["1", "0", "1"], FRACTIONS, False),
        (["-3", "1", "2"], FRACTIONS, False),
        (["1"], FRACTIONS[:, :1], False),
        (["3", "5"], FRACTIONS[:, :2], False),
        (["3", "4", "5", "9"], COUNTS, False),
        (["0", "1"], ONES[:, :2], False),
        (["0.0", "1.0", "2.0"], FRACTIONS, False),
        (["-999", "-998", "-997"], ONES, False),
        (["3", "12", "40"], np.where(FRACTIONS > -0.7, np.nan, COUNTS[:, :3]), False),
        (["1", "2"], np.array([[np.inf, -np.inf], [np.inf, 3]]), False),
        (["0", "1", "2"], np.arange(3, 63).reshape(20, 3), True),
        (["0", "1", "2"], np.array([[0, 1, 2], [2, 1, 0], [1, 1, 0]] * 20), True),
    ],
)
def test_a_first_line_of_data(tmp_path, first, X, said):
    table = read(tmp_path, written(first, X))
    np.testing.assert_array_equal(table.X[0], np.array(first, dtype=float))
    assert len(table.X) == len(X) + 1
    assert table.columns == tuple(f"x{j}" for j in range(len(first)))
    assert any("first line" in note for note in table.notes) == said


def test_no_header_is_taken_if_there_is_none(tmp_path):
    table = read(tmp_path, written(["0", "1", "2"], ONES), header=False)
    np.testing.assert_array_equal(table.X, np.r_[[[0, 1, 2]], ONES])
    assert (table.columns, table.notes) == (("x0", "x1", "x2"), ())


# -- what is asked for ------------------------------------------------------------------------------

CITIES = ",city,2,b\n0,Bonn,3,4\n1,Ulm,5,-999\n"


@pytest.mark.parametrize(
    ("options", "columns"),
    [
        ({"columns": ["b", "2"]}, ("b", "2")),
        ({"columns": ["3"]}, ("b",)),
        ({"columns": ["0", "b"]}, ("Unnamed: 0", "b")),
        ({"columns": ["Unnamed: 0", "b", "b"]}, ("Unnamed: 0", "b")),
        ({"drop": ["2"]}, ("b",)),
        ({"drop": ["3", "0"]}, ("2",)),
        ({"columns": ["2", "b"], "drop": ["b"]}, ("2",)),
    ],
)
def test_columns_by_name_or_position(tmp_path, options, columns):
    table = read(tmp_path, CITIES, **options)
    X = {"Unnamed: 0": [0, 1], "2": [3, 5], "b": [4, -999]}
    assert table.columns == columns
    np.testing.assert_array_equal(table.X.T, [X[name] for name in columns])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"columns": ["c"]}, "unknown column 'c'; known are Unnamed: 0, city, 2, b"),
        ({"drop": ["4"]}, "unknown column '4'; known are"),
        ({"columns": ["city", "b"]}, "column city is not numeric: for example 'Bonn' in row 1"),
        ({"columns": ["b"], "drop": ["b"]}, "no columns are left"),
        ({"drop": ["2", "b"]}, "no column is numeric: dropped the index .* left out 1 .*: city"),
    ],
)
def test_columns_that_are_not_there(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, CITIES, **options)


@pytest.mark.parametrize("spelling", ["-999", "-999.0", "-9.99e2", " -999 "])
def test_numbers_that_mean_missing_are_compared_by_value(tmp_path, spelling):
    X = np.array([[1.0, -999.0], [2.0, 3.0]])
    np.save(tmp_path / "a.npy", X.astype(np.float32))
    np.savez(tmp_path / "a.npz", X=X.astype(int))
    pandas.DataFrame(X, columns=["a", "b"]).to_csv(tmp_path / "a.csv", index=False)
    for name in ("a.npy", "a.npz", "a.csv"):
        table = read_table(tmp_path / name, missing_values=[spelling])
        np.testing.assert_array_equal(table.X, [[1, nan], [2, 3]])


def test_words_that_mean_missing(tmp_path):
    table = read(tmp_path, "a,b\n1,N.D.\n2,3\n,7\n", missing_values=["n.d.", "7"])
    np.testing.assert_array_equal(table.X, [[1, nan], [2, 3], [nan, nan]])


# -- text files that cannot be read -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no rows: the file is empty"),
        ("\n \n# nothing\n", "no rows: the file is empty"),
        ("a,b\n", "no rows below the header"),
        ("a,b\n1,2\n3\n", "line 3 has 1 cells, line 1 has 2"),
        ("# of 2020\na,b\n\n1,2\n3,4,5\n", "line 5 has 3 cells, line 2 has 2"),
        ("a,b,c\n1,2\n3,4\n", "line 1 has 3 cells, line 2 has 2"),
        ("a,b\n1\n2\n", "line 1 has 2 cells, line 2 has 1"),
        ("city\nBonn\nUlm\n", "no column is numeric: left out 1 column of .*: city"),
        ("a,b\n1,2\nx,3\n4,5\n", r"not numeric: a has 'x' in row 2 \(1 of 3 .*--missing-values"),
        (
            "a\tb\n1,234\t2\n5,678\t3\n",
            "commas in a may be decimal marks or stand between thousands",
        ),
        (b"\x89PNG\x00\x01", "not a text file"),
        ('a,b\n1,"2\n3,4\n', "EOF inside string"),
        ('a,b\n"1,2\n' + "3,4\n" * 50_000, "field larger than field limit"),
    ],
)
def test_text_that_is_no_table(tmp_path, text, message):
    with pytest.raises(ValueError, match=message) as caught:
        read(tmp_path, text)
    assert str(caught.value).startswith(str(tmp_path / "a.csv"))
    assert "\n" not in str(caught.value)


# -- other files ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arrays",
    [
        {"data": [[1, 2]], "target": [1]},
        {"X": [[1, 2]], "Z": [[3]]},
        {"X_train": [[1, 2]], "X_test": [[3]]},
        {"X": [[1, 2]], "X_train": [[3]], "names": [["a"]]},
        {"table": [[1, 2]], "objects": np.array([[None]], dtype=object)},
        {"text": [["1", "2"]], "target": [1]},
        {"fields": np.array([(1, 2.0)], dtype=[("a", int), ("b", float)]), "text": [["3"]]},
    ],
)
def test_npz(tmp_path, arrays):
    path = tmp_path / "a.npz"
    np.savez(path, **arrays)
    np.testing.assert_array_equal(read_table(path).X, [[1.0, 2.0]])


@pytest.mark.parametrize(
    ("array", "columns"),
    [
        (np.array([[1, 0]], dtype=bool), ("x0", "x1")),
        (np.array([["1", "False"]]), ("x0", "x1")),
        (np.array([(1, 0.0)], dtype=[("a", int), ("b", float)]), AB),
    ],
)
def test_npy(tmp_path, array, columns):
    np.save(tmp_path / "a.npy", array)
    table = read_table(tmp_path / "a.npy")
    np.testing.assert_array_equal(table.X, [[1.0, 0.0]])
    assert table.columns == columns


def test_parquet(tmp_path):
    pytest.importorskip("pyarrow")
    frame = pandas.DataFrame({"a": [1, 2], "b": pandas.array([0.5, None], dtype="Float64")})
    frame.assign(day=pandas.Timestamp("2020-01-01"), n=["-9", "3"]).to_parquet(
        tmp_path / "a.parquet"
    )
    table = read_table(tmp_path / "a.parquet", missing_values=["-9"])
    np.testing.assert_array_equal(table.X, [[1, 0.5, nan], [2, nan, 3]])
    assert table.columns == ("a", "b", "n")
    assert table.notes == ("left out 1 column of text, categories or dates: day",)


def test_digits():
    table = load_digits_table()
    assert table.X.shape == (1797, len(table.columns)) == (1797, 64)
    assert table.notes == ()


OBJECTS = np.array([[1.5, "2"]], dtype=object)


@pytest.mark.parametrize(
    ("save", "message"),
    [
        (lambda path: np.save(path, OBJECTS), r"a\.npy: it holds Python objects.*astype\(float\)"),
        (lambda path: np.save(path, np.zeros(3)), r"shape \(3,\); X.reshape\(-1, 1\)"),
        (lambda path: np.save(path, np.zeros((0, 2))), "no rows"),
        (lambda path: np.save(path, np.eye(2) * 1j), "not numeric: the type of x0 is complex128"),
        (lambda path: path.write_bytes(b""), "the file is empty"),
        (lambda path: path.write_bytes(b"noise"), "not a NumPy file"),
        (lambda path: path.mkdir(), "a directory, not a file"),
    ],
)
def test_npy_that_is_no_table(tmp_path, save, message):
    save(tmp_path / "a.npy")
    with pytest.raises(ValueError, match=message):
        read_table(tmp_path / "a.npy")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"a": OBJECTS, "b": [1]}, "Python objects.*the file holds a, b"),
        ({"a": [1], "b": [2]}, "no numeric 2-d array; the file holds a, b"),
        ({"a": [[1]], "b": [[2]]}, "several two-dimensional arrays, none of them X"),
        ({}, "the file holds nothing"),
    ],
)
def test_npz_that_is_no_table(tmp_path, arrays, message):
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=message):
        read_table(tmp_path / "a.npz")


@pytest.mark.parametrize("kind", ["csr", "coo"])
def test_a_sparse_matrix_in_a_file_is_refused_with_the_remedy(tmp_path, kind):
    scipy.sparse.save_npz(tmp_path / "a.npz", scipy.sparse.eye(3, format=kind))
    with pytest.raises(ValueError, match=r"sparse matrix.*toarray\(\)"):
        read_table(tmp_path / "a.npz")


@pytest.mark.parametrize("name", ["a.npy", "a.npz", "a.parquet"])
def test_a_damaged_file_is_one_line(tmp_path, name):
    X = np.random.default_rng(0).normal(size=(50, 3))
    save = {
        "a.npy": lambda path: np.save(path, X),
        "a.npz": lambda path: np.savez_compressed(path, X=X),
        "a.parquet": lambda path: pandas.DataFrame(X, columns=list("abc")).to_parquet(path),
    }
    save[name](tmp_path / name)
    content = (tmp_path / name).read_bytes()
    for end in (3, 40, 130, len(content) // 2, len(content) - 5):
        (tmp_path / name).write_bytes(content[:end])
        with pytest.raises(ValueError, match=r"a\.np. ?|a\.parquet: not a Parquet file") as caught:
            read_table(tmp_path / name)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "message"),
    [("gone.csv", "no such file"), ("a.xlsx", "unknown kind"), ("a.npy.gz", "unknown kind")],
)
def test_other_files(tmp_path, name, message):
    for known in ("a.xlsx", "a.npy.gz"):
        (tmp_path / known).write_bytes(b"1")
    with pytest.raises(ValueError, match=f"{name}: {message}"):
        read_table(tmp_path / name)


# -- without pandas ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["a.csv", "a.parquet", "a.txt.gz"])
def test_pandas_is_asked_for_where_it_is_needed(tmp_path, monkeypatch, name):
    (tmp_path / name).write_bytes(b"PAR1")
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(
        ValueError, match=r'pip install "sklearn-lvm\[cli\]"; NPZ and NPY .* no pandas'
    ):
        read_table(tmp_path / name)


def test_numpy_files_and_digits_need_no_pandas(tmp_path):
    np.save(tmp_path / "a.npy", np.eye(2))
    np.savez(tmp_path / "a.npz", X=np.eye(2))
    script = (
        "import sys; sys.modules['pandas'] = sys.modules['polars'] = None\n"
        "from sklearn_lvm.compare.readers import as_table, load_digits_table, read_table\n"
        "read_table(sys.argv[1]), read_table(sys.argv[2]), load_digits_table(), as_table([['1']])"
    )
    paths = [tmp_path / "a.npy", tmp_path / "a.npz"]
    subprocess.run([sys.executable, "-c", script, *paths], check=True)
