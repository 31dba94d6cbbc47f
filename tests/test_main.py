"""The command ``sklearn-lvm``: a file in, a ranking out."""

import csv
import io
import json
import subprocess
import sys

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import sklearn_lvm.__main__ as command
from sklearn_lvm.compare.models import MODELS
from tests.compare.helpers import two_clusters


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Keep threads from waiting for each other over matrices of a few rows."""
    with threadpool_limits(1):
        yield


@pytest.fixture
def csv_file(tmp_path):
    path = tmp_path / "clusters.csv"
    X = np.c_[two_clusters(), np.ones(60), np.arange(60) % 3]
    np.savetxt(path, X, delimiter=",", header="a,b,same,count", comments="")
    return path


CHEAP = ("--models", "KernelDensity, PCA", "--jobs", "1", "--cv", "3")


def test_the_command_prints_the_ranking(csv_file, capsys):
    assert command.main([str(csv_file), *CHEAP]) == 0
    out, err = capsys.readouterr()
    assert out.startswith(
        "clusters.csv: 60 rows, 3 columns, 3 folds\n  dropped 1 constant column: same"
    )
    assert "one grid step (1) to 1 column: count" in out
    assert max(map(len, out.splitlines())) <= 120
    assert err == ""
    assert command.main(["compare", str(csv_file), *CHEAP, "--no-dequantize"]) == 0
    assert "no noise added" in capsys.readouterr().out


def test_json(csv_file, capsys):
    command.main([str(csv_file), *CHEAP, "--json"])
    record = json.loads(capsys.readouterr().out)
    assert record["notes"][0] == "dropped 1 constant column: same"
    first, second = record["models"]
    assert {first["model"], second["model"]} == {"KernelDensity", "PCA"}
    assert first["difference"] == 0
    assert second["difference"] == pytest.approx(
        second["log_likelihood"] - first["log_likelihood"], abs=1e-9
    )


def test_csv_output(csv_file, capsys):
    command.main([str(csv_file), *CHEAP, "--csv"])
    out, err = capsys.readouterr()
    rows = list(csv.DictReader(io.StringIO(out)))
    assert {row["model"] for row in rows} == {"KernelDensity", "PCA"}
    assert float(rows[0]["log_likelihood"]) > float(rows[1]["log_likelihood"])
    assert all(json.loads(row["best_params"]) for row in rows)
    assert "dropped 1 constant column: same" in err


def archive(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


BAD_FILES = {
    "text.csv": (b"a,b\nu,x\nv,y\n", "no column is numeric: left out 2 columns"),
    "empty_column.csv": (b"a,b\n1,\n2,NA\n", "no values at all in b"),
    "ragged.csv": (b"a,b\n1,2\n1\n", "line 3 has 1 cells, line 1 has 2"),
    "empty.csv": (b"", "no rows"),
    "header.csv": (b"a,b\n", "no rows"),
    "binary.csv": (b"\x00\x01", "not a text file"),
    "infinite.csv": (b"a,b\n1,inf\n2,3\n", "infinite values in b"),
    "short.csv": (b"a,b\n1,2\n2,3\n", "2 complete rows are too few for 5 folds"),
    "table.xlsx": (b"", "unknown kind of file; known are .csv"),
    "noise.npz": (b"PK no zip", "not a NumPy file"),
    "noise.npy": (b"noise", "not a NumPy file"),
    "nothing.npz": (archive(a=[1.0], b=[1]), "no numeric 2-d array; the file holds a, b"),
    "several.npz": (archive(a=[[1.0]], b=[[2.0]]), "several two-dimensional arrays"),
    "objects.npz": (archive(a=np.array([[None]], dtype=object)), "the file holds a"),
}


@pytest.mark.parametrize("name", BAD_FILES)
def test_a_file_that_cannot_be_used_is_one_line_and_code_2(tmp_path, name, capsys):
    content, message = BAD_FILES[name]
    (tmp_path / name).write_bytes(content)
    assert command.main([str(tmp_path / name)]) == 2
    assert_one_line(capsys, message)


def assert_one_line(capsys, message):
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("sklearn-lvm: error: ")
    assert message in err
    assert err.count("\n") == 1


def test_corrupt_parquet_is_one_line_and_code_2(tmp_path, capsys):
    pytest.importorskip("pyarrow")
    (tmp_path / "a.parquet").write_bytes(b"no parquet at all")
    assert command.main([str(tmp_path / "a.parquet")]) == 2
    assert_one_line(capsys, "a.parquet")


def test_no_file_and_no_such_model(tmp_path, capsys):
    assert command.main([str(tmp_path / "gone.csv")]) == 2
    assert_one_line(capsys, "gone.csv: no such file")
    assert command.main([str(tmp_path)]) == 2
    assert_one_line(capsys, "a directory, not a file")
    assert command.main(["--models", "Fortune"]) == 2
    assert_one_line(capsys, "unknown model Fortune; known are GaussianMLE")


def test_interrupt_is_code_130_without_a_traceback(csv_file, monkeypatch, capsys):
    def interrupted(options):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "_compare", interrupted)
    assert command.main([str(csv_file)]) == 130
    assert capsys.readouterr() == ("", "")


def test_code_1_if_every_model_fails(csv_file, monkeypatch, capsys):
    def broken(size):
        raise ImportError("no such backend")

    monkeypatch.setitem(MODELS, "PCA", broken)
    assert command.main([str(csv_file), "--models", "PCA"]) == 1
    assert "- PCA  failed: ImportError: no such backend" in capsys.readouterr().out


def test_progress_is_a_line_per_model_without_rich(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setitem(sys.modules, "rich.progress", None)
    assert list(command._progress()(["PCA", "KernelDensity"])) == ["PCA", "KernelDensity"]
    out, err = capsys.readouterr()
    assert out == ""
    assert [line.split()[:2] for line in err.splitlines()] == [
        ["1/2", "PCA"],
        ["2/2", "KernelDensity"],
    ]


def test_progress_is_a_bar_with_rich(monkeypatch, capsys):
    pytest.importorskip("rich")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert list(command._progress()(["PCA", "KernelDensity"])) == ["PCA", "KernelDensity"]
    assert capsys.readouterr().out == ""


def test_help_loads_nothing_heavy():
    code = (
        "import sys, sklearn_lvm.__main__ as command\n"
        "try: command.main(['--help'])\n"
        "except SystemExit: pass\n"
        "sys.exit(' '.join({'numpy', 'sklearn', 'scipy', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stderr.split() == []
    assert "--no-dequantize" in done.stdout


@pytest.mark.slow
def test_default_ranking(capsys):
    assert command.main(["--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert (record["n_rows"], record["n_columns"]) == (1797, 61)
    scores = {row["model"]: row["log_likelihood"] for row in record["models"]}
    assert set(scores) == set(MODELS)
    assert -118 < scores["GaussianMixture"] < -113
    assert -132 < scores["GaussianMLE"] < -129
