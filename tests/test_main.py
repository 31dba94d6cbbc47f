"""The command ``sklearn-lvm``: a file in, a ranking out."""

import csv
import io
import json
import os
import re
import shlex
import signal
import subprocess
import sys

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

import sklearn_lvm
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
    assert all(line.startswith("sklearn-lvm: ") for line in err.splitlines())
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
    "short.csv": (b"a,b\n1,2\n2,3\n", "2 rows are too few for 5 folds"),
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


def test_interrupt_before_the_comparison_is_code_130_without_a_word(csv_file, monkeypatch, capsys):
    def interrupted(options, arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(command, "_compare", interrupted)
    assert command.main([str(csv_file)]) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_signal_ends_the_comparison_with_what_has_been_scored(tmp_path, number, code, jobs):
    """The whole group of processes hears of it, as from a terminal."""
    np.save(tmp_path / "rows.npy", two_clusters(6000))
    options = ("--models", "GaussianMLE,EMGaussianMixture,GaussianMixture", "--jobs", jobs)
    process = subprocess.Popen(
        [sys.executable, "-m", "sklearn_lvm", str(tmp_path / "rows.npy"), *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    for line in process.stderr:
        if "searched on 2000 rows" in line:
            break
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == code
    name = signal.Signals(number).name
    assert f"(INCOMPLETE: stopped by {name})" in out.splitlines()[0]
    assert "GaussianMLE" in out
    assert "So far, " in out
    assert [line for line in err.splitlines() if not line.startswith("sklearn-lvm: ")] == []


def test_code_1_if_every_model_fails(csv_file, monkeypatch, capsys):
    def broken(size):
        raise ImportError("no such backend")

    monkeypatch.setitem(MODELS, "PCA", broken)
    assert command.main([str(csv_file), "--models", "PCA"]) == 1
    assert "- PCA    failed: ImportError: no such backend" in capsys.readouterr().out


@pytest.mark.parametrize("terminal", [False, True])
def test_progress_is_a_line_per_model_without_rich(csv_file, terminal, monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal, raising=False)
    monkeypatch.setattr(command, "find_spec", lambda name: None)
    command.main([str(csv_file), *CHEAP])
    lines = capsys.readouterr().err.splitlines()
    assert sorted(line.split(": ")[1] for line in lines) == ["KernelDensity", "PCA"]
    assert all(re.search(r"-\d+\.\d\d nats per row \(\d+ s\)$", line) for line in lines)


def test_progress_is_a_bar_over_all_fits_with_rich(csv_file, monkeypatch, capsys):
    pytest.importorskip("rich")
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with command._observer() as observer:
        observer.expect(3)
        for _ in range(2):
            observer.fitted("PCA")
        (task,) = observer.progress.tasks
        assert (task.completed, task.total, task.description) == (2, 3, "PCA")
        observer.expect(5)
        assert task.total == 7
        observer.line("PCA: [-1.0]")
    out, err = capsys.readouterr()
    assert out == ""
    assert "sklearn-lvm: PCA: [-1.0]" in err


# -- options -------------------------------------------------------------------------------------------


def test_version(capsys):
    with pytest.raises(SystemExit) as end:
        command.main(["--version"])
    assert end.value.code == 0
    assert capsys.readouterr().out == f"sklearn-lvm {sklearn_lvm.__version__}\n"


def record_of(capsys, *arguments):
    assert command.main([*arguments, "--models", "GaussianMLE", "--jobs", "1", "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_columns_are_chosen_by_name(csv_file, capsys):
    assert record_of(capsys, str(csv_file), "--columns", "a,count")["n_columns"] == 2
    assert record_of(capsys, str(csv_file), "--drop", "a, same")["n_columns"] == 2
    assert command.main([str(csv_file), "--columns", "z"]) == 2
    assert_one_line(capsys, "z")


def test_the_first_line_can_be_a_row_and_cells_can_stand_for_missing_values(tmp_path, capsys):
    X = np.c_[np.round(two_clusters(40), 3), np.arange(40) % 5]
    X[3, 0] = -999
    np.savetxt(tmp_path / "a.csv", np.r_[[[0, 1, 2]], X], delimiter=",", fmt="%g")
    path = str(tmp_path / "a.csv")
    assert record_of(capsys, path, "--no-header")["n_rows"] == 41
    holes = ("--no-header", "--missing-values", "-999", "--models", "EMGaussianMixture")
    assert command.main([path, *holes, "--jobs", "1"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("a.csv: 41 rows, 3 columns, 5 folds")
    assert "1 of 123 cells (0.813 %) are missing, in 1 of 41 rows: every score is that of" in out


def test_models_that_take_no_missing_cells_are_named_and_code_1_if_there_are_no_others(
    tmp_path, capsys
):
    rows = [f"{a:.3f},{b:.3f}" for a, b in two_clusters()]
    (tmp_path / "a.csv").write_text("\n".join(["a,b", "NA,1.5", *rows, ",", "2.5,"]))
    assert command.main([str(tmp_path / "a.csv"), "--models", "KernelDensity,PCA"]) == 1
    out = capsys.readouterr().out
    assert "dropped 1 row without any observed cell" in out
    assert "- KernelDensity  left out: takes no missing entries" in out
    assert out.endswith("No model has a score.\n")


def test_rows_and_the_command_that_repeats_a_limited_table(tmp_path, monkeypatch, capsys):
    path = str(tmp_path / "rows.npy")
    np.save(path, two_clusters(5000))
    assert record_of(capsys, path, "--rows", "3000")["n_rows"] == 3000

    def gone(self, n_rows):
        return False

    monkeypatch.setattr("sklearn_lvm.compare.halving.SuccessiveHalving._affordable", gone)
    limited = record_of(capsys, path)
    assert limited["n_rows"] == 2000
    *_, said, repeat = limited["notes"]
    assert "2000 of 5000 rows were compared, for the time budget of 120 s allows no more" in said
    words = shlex.split(repeat.removeprefix("to repeat this table: "))
    assert words[-2:] == ["--rows", "2000"]
    assert command.main(words[1:]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["models"][0]["log_likelihood"] == limited["models"][0]["log_likelihood"]


@pytest.mark.parametrize("seconds", ["0", "-3", "nan"])
def test_a_time_budget_is_positive(csv_file, seconds, capsys):
    assert command.main([str(csv_file), f"--time-budget={seconds}"]) == 2
    assert_one_line(capsys, "time_budget must be a positive number of seconds")


def test_the_best_model_is_saved_and_knows_its_columns(csv_file, tmp_path, capsys):
    io_ = pytest.importorskip("skops.io")
    path = tmp_path / "best.skops"
    options = ("--models", "GaussianMLE", "--save", str(path), "--time-budget", "inf")
    assert command.main([str(csv_file), *options]) == 0
    assert "to all rows, which no time budget limits" in capsys.readouterr().err
    best = io_.load(path, trusted=io_.get_untrusted_types(file=path))
    assert list(best.feature_names_in_) == ["a", "b", "count"]
    assert best.sample(3).shape == (3, 3)


def test_the_comparison_is_drawn(csv_file, tmp_path):
    image = pytest.importorskip("matplotlib.image")
    path = tmp_path / "bars.png"
    assert command.main([str(csv_file), *CHEAP, "--plot", str(path)]) == 0
    pixels = image.imread(path)
    assert min(pixels.shape[:2]) > 200
    assert len(np.unique(pixels.reshape(-1, pixels.shape[2]), axis=0)) > 10


@pytest.mark.parametrize(
    ("option", "name", "message"),
    [
        ("--save", "gone/best.skops", "gone: no such folder"),
        ("--save", ".", "is a folder"),
        ("--plot", "gone/bars.png", "gone: no such folder"),
        ("--plot", "bars.docx", "no kind of picture; known are"),
    ],
)
def test_what_cannot_be_written_is_told_before_the_comparison(
    csv_file, tmp_path, option, name, message, capsys
):
    needed = {"--save": "skops", "--plot": "matplotlib"}[option]
    pytest.importorskip(needed)
    assert command.main([str(csv_file), option, str(tmp_path / name)]) == 2
    assert_one_line(capsys, message)


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
