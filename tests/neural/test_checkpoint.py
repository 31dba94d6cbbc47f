"""Checkpoints: an interrupted training continues bit for bit; those of other fits are refused."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

torch = pytest.importorskip("torch", reason="torch is not installed: neural densities are an extra")

from sklearn_lvm import VAEDensity  # noqa: E402
from sklearn_lvm.neural import checkpoint  # noqa: E402
from sklearn_lvm.neural.training import Trainer  # noqa: E402

from ..estimators.specs import clouds  # noqa: E402

N = 150
SMALL = {"hidden_layer_sizes": (6,), "random_state": 0, "learning_rate": 0.01}


@pytest.fixture
def X():
    return clouds(N)


class InterruptedFit(KeyboardInterrupt):
    pass


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("epochs", [3, 7, 12])
def test_an_interrupted_training_continues_bit_for_bit(epochs, missing, X, tmp_path, monkeypatch):
    if missing:
        X[::4, 1] = np.nan
    params = SMALL | {"max_iter": 15, "checkpoint": tmp_path / "fit"}
    plain = VAEDensity(**SMALL, max_iter=15).fit(X)
    advance, calls = Trainer.advance, iter(range(100))

    def interrupted(self):
        if next(calls) == epochs:
            raise InterruptedFit
        advance(self)

    model = VAEDensity(**params)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "advance", interrupted)
        with pytest.raises(InterruptedFit):
            model.fit(X)
    assert not hasattr(model, "_density")
    assert (tmp_path / "fit").exists() == (epochs >= 5)
    model.fit(X)
    assert_array_equal(model.score_samples(X), plain.score_samples(X))
    assert model.history_ == plain.history_


def test_a_finished_training_is_not_repeated_but_may_continue(X, tmp_path, monkeypatch):
    params = SMALL | {"checkpoint": tmp_path / "fit", "random_state": None}
    first = VAEDensity(**params, max_iter=5).fit(X)
    again = VAEDensity(**params, max_iter=5)
    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "advance", None)
        again.fit(X)
    assert_array_equal(again.score_samples(X), first.score_samples(X))
    further = VAEDensity(**params, max_iter=8).fit(X)
    assert further.n_iter_ == 8
    assert further.history_["bound"][:5] == first.history_["bound"]


@pytest.mark.parametrize(
    ("change", "message"),
    [({"n_components": 1}, "other parameters"), ({"learning_rate": 0.02}, "other parameters")],
)
def test_a_checkpoint_of_other_parameters_is_refused(change, message, X, tmp_path):
    params = SMALL | {"max_iter": 2, "checkpoint": str(tmp_path / "fit")}
    VAEDensity(**params).fit(X)
    with pytest.raises(ValueError, match=message):
        VAEDensity(**params | change).fit(X)
    with pytest.raises(ValueError, match="other data"):
        VAEDensity(**params).fit(X + 1e-9)
    with pytest.raises(ValueError, match="other data"):
        VAEDensity(**params).fit(X, sample_weight=np.arange(1, N + 1))


# -- files and paths -----------------------------------------------------------------------------------


def inverted(content):
    return content[:-9] + bytes([255 - content[-9]]) + content[-8:]


def torch_file(content):
    path = checkpoint.BytesIO()
    torch.save({"a": 1}, path)
    return path.getvalue()


DAMAGES = {
    "empty": lambda content: b"",
    "text": lambda content: b"epoch,bound",
    "a beginning": lambda content: content[:40],
    "half": lambda content: content[: len(content) // 2],
    "all but the last": lambda content: content[:-1],
    "another end": inverted,
    "a file of torch": torch_file,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_refused_before_training(damage, X, tmp_path, monkeypatch):
    params = SMALL | {"checkpoint": tmp_path / "fit"}
    VAEDensity(**params, max_iter=2).fit(X)
    content = DAMAGES[damage]((tmp_path / "fit").read_bytes())
    (tmp_path / "fit").write_bytes(content)
    monkeypatch.setattr(Trainer, "advance", None)
    with pytest.raises(ValueError, match=r"checkpoint='.*fit' is no checkpoint.*remove the file"):
        VAEDensity(**params, max_iter=4).fit(X)
    assert (tmp_path / "fit").read_bytes() == content


PATHS = {
    "a folder": "",
    "in no folder": "nowhere/fit",
    "in a file": "file/fit",
    "too long": "x" * 300,
    "no name": "a\0b",
}


@pytest.mark.parametrize("kind", [str, Path])
@pytest.mark.parametrize("name", PATHS)
def test_a_path_that_cannot_be_written_is_refused_before_training(
    name, kind, X, tmp_path, monkeypatch
):
    (tmp_path / "file").touch()
    path = f"{tmp_path}/{PATHS[name]}"
    monkeypatch.setattr(Trainer, "advance", None)
    with pytest.raises(ValueError, match=r"checkpoint='.*' cannot be written.*give the path of"):
        VAEDensity(**SMALL, checkpoint=kind(path)).fit(X)
    assert [found.name for found in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize("denied", ["touch", "read_bytes"])
def test_a_path_without_permission_is_refused_before_training(denied, X, tmp_path, monkeypatch):
    VAEDensity(**SMALL, checkpoint=tmp_path / "fit", max_iter=1).fit(X)

    def deny(self, *args):
        raise PermissionError(f"Permission denied: '{self}'")

    monkeypatch.setattr(Path, denied, deny)
    monkeypatch.setattr(Trainer, "advance", None)
    with pytest.raises(
        ValueError, match=r"checkpoint='.*fit' cannot be written.*Permission denied"
    ):
        VAEDensity(**SMALL, checkpoint=tmp_path / "fit").fit(X)


def test_the_file_is_replaced_whole_or_not_at_all(X, tmp_path, monkeypatch):
    path = tmp_path / "fit"
    VAEDensity(**SMALL, checkpoint=path, max_iter=5).fit(X)
    before = path.read_bytes()

    def full(descriptor):
        raise OSError("No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space left"):
            VAEDensity(**SMALL, checkpoint=path, max_iter=10).fit(X)
    assert path.read_bytes() == before
    assert [found.name for found in tmp_path.iterdir()] == ["fit"]
    assert VAEDensity(**SMALL, checkpoint=path, max_iter=10).fit(X).n_iter_ == 10


def test_a_function_that_makes_another_network_is_refused(X, tmp_path):
    width = [4]

    class Function:
        def __call__(self, n_inputs, n_outputs):
            layers = torch.nn.Linear(n_inputs, width[0]), torch.nn.Linear(width[0], n_outputs)
            return torch.nn.Sequential(*layers)

    params = SMALL | {"checkpoint": tmp_path / "fit", "encoder": Function()}
    VAEDensity(**params, max_iter=2).fit(X)
    width[0] = 5
    with pytest.raises(ValueError, match=r"checkpoint='.*fit' was written for other networks"):
        VAEDensity(**params, max_iter=4).fit(X)


# -- functions and generators in another process -------------------------------------------------------

FIT = """
import functools, sys
import numpy as np, torch
from sklearn_lvm import VAEDensity

def encoder(n_inputs, n_outputs, hidden=5, names=frozenset("abc")):
    assert hidden in {5, 6, 7} and "a" in {"a", "b", "c"}
    return torch.nn.Linear(n_inputs, n_outputs)

def local(hidden):
    def function(n_inputs, n_outputs):
        return torch.nn.Linear(n_inputs, n_outputs) if hidden else function
    return function

class Encoder:
    def __init__(self, hidden):
        self.hidden, self.itself, self.names = hidden, self, {"a", "b", "c"}
    def __call__(self, n_inputs, n_outputs):
        return torch.nn.Linear(n_inputs, n_outputs)

X = np.random.RandomState(0).normal(size=(40, 3))
for i, params in enumerate([PARAMS]):
    params = {"random_state": 0, "max_iter": int(sys.argv[1]), "checkpoint": f"fit {i}"} | params
    try:
        print(VAEDensity(2, hidden_layer_sizes=(4,), **params).fit(X).n_iter_)
    except ValueError as error:
        print(str(error).partition(":")[0])
"""

FUNCTIONS = {
    "a function": ("encoder=encoder", "encoder=local(1)"),
    "a lambda": (
        "encoder=lambda n, m: torch.nn.Linear(n, m)",
        "encoder=lambda n, m: torch.nn.Linear(n, m, bias=False)",
    ),
    "a partial": (
        "encoder=functools.partial(encoder, hidden=6)",
        "encoder=functools.partial(encoder, hidden=7)",
    ),
    "a local function": ("encoder=local(1)", "encoder=local(2)"),
    "an object": ("encoder=Encoder(1)", "encoder=Encoder(2)"),
    "a method": ("encoder=Encoder(1).__call__", "encoder=Encoder(2).__call__"),
    "a generator": (
        "random_state=np.random.RandomState(3)",
        "random_state=np.random.RandomState(4)",
    ),
    "an integer": ("random_state=3", "random_state=4"),
}


def test_fits_go_on_in_another_process(tmp_path):
    def run(params, epochs):
        script = FIT.replace("PARAMS", ", ".join(f"dict({each})" for each in params))
        found = subprocess.run(
            [sys.executable, "-c", script, str(epochs)],
            cwd=tmp_path,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "PYTHONHASHSEED": "random"},
            capture_output=True,
            text=True,
            check=True,
        )
        return dict(zip(FUNCTIONS, found.stdout.splitlines(), strict=True))

    same, other = zip(*FUNCTIONS.values(), strict=True)
    assert run(same, 2) == dict.fromkeys(FUNCTIONS, "2")
    assert run(same, 3) == dict.fromkeys(FUNCTIONS, "3")
    refused = "checkpoint='fit {}' was written for other parameters"
    assert run(other, 4) == {kind: refused.format(i) for i, kind in enumerate(FUNCTIONS)}


def test_a_generator_moves_on_where_a_fit_is_continued(X, tmp_path):
    """So that the next fit with it is the same, whether or not this one was interrupted."""
    drawn = []
    for epochs in (2, 4):
        rng = np.random.RandomState(3)
        params = SMALL | {"random_state": rng, "checkpoint": tmp_path / "fit"}
        VAEDensity(**params, max_iter=epochs).fit(X)
        drawn.append(rng.randint(1 << 30))
    assert drawn[0] == drawn[1]
