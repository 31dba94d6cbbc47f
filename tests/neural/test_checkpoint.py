"""Checkpoints: an interrupted training continues bit for bit; those of other fits are refused."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

torch = pytest.importorskip("torch", reason="torch is not installed: neural densities are an extra")

from sklearn_lvm import VAEDensity  # noqa: E402
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
