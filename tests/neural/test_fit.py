"""Fits: failures end in warnings, and torch's own state is not changed."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.exceptions import ConvergenceWarning

torch = pytest.importorskip("torch", reason="torch is not installed: neural densities are an extra")

from sklearn_lvm import VAEDensity  # noqa: E402
from sklearn_lvm.neural.training import Trainer  # noqa: E402

from ..estimators.specs import clouds, same_state  # noqa: E402

N = 150
SMALL = {"hidden_layer_sizes": (6,), "random_state": 0, "learning_rate": 0.01}


@pytest.fixture
def X():
    return clouds(N)


def test_a_fit_whose_bound_is_not_finite_ends_in_a_warning_with_finite_weights(X, monkeypatch):
    train_epoch, calls = Trainer.train_epoch, iter(range(100))
    monkeypatch.setattr(
        Trainer, "train_epoch", lambda self: train_epoch(self) if next(calls) < 3 else float("inf")
    )
    with pytest.warns(ConvergenceWarning, match="5 times the bound was no number.*learning_rate"):
        model = VAEDensity(**SMALL).fit(X)
    assert np.isfinite(model.score(X))
    monkeypatch.undo()
    assert_array_equal(model.sample(3), VAEDensity(**SMALL, max_iter=3).fit(X).sample(3))


def test_extreme_rates_end_with_finite_weights(X):
    params = SMALL | {"learning_rate": 1e30}
    with pytest.warns(ConvergenceWarning, match="no number"):
        model = VAEDensity(**params, max_iter=30).fit(X)
    assert np.isfinite(model.score(X))


def test_a_fit_does_not_change_the_state_of_torch(X):
    torch.manual_seed(5)
    before = torch.get_rng_state(), torch.get_default_dtype(), torch.get_num_threads()
    model = VAEDensity(**SMALL, max_iter=2).fit(X)
    model.sample(2), model.score(X)
    after = torch.get_rng_state(), torch.get_default_dtype(), torch.get_num_threads()
    assert torch.equal(before[0], after[0])
    assert before[1:] == after[1:]
    torch.manual_seed(6)
    assert same_state(VAEDensity(**SMALL, max_iter=2).fit(X), model)


def test_scores_do_not_depend_on_the_default_precision_of_torch(X):
    model = VAEDensity(**SMALL, max_iter=2).fit(X)
    torch.set_default_dtype(torch.float64)
    try:
        assert_array_equal(model.score_samples(X), model.score_samples(X.copy()))
        assert np.isfinite(VAEDensity(**SMALL, max_iter=2).fit(X).score(X))
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("k", [1, 4])
def test_low_precision_reaches_nearly_the_same_score(k, X):
    params = SMALL | {"max_iter": 60, "n_importance_samples": k}
    plain, low = (VAEDensity(**params, precision=p).fit(X) for p in ("float32", "bf16"))
    assert plain.score(X) != low.score(X)
    assert abs(plain.score(X) - low.score(X)) < 0.15
