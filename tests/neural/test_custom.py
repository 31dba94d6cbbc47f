"""Networks of users: what does not suit is refused before training, and none is changed."""

import re
from threading import Lock

import numpy as np
import pytest
from numpy.testing import assert_array_equal

torch = pytest.importorskip("torch", reason="torch is not installed: neural densities are an extra")

from torch import nn  # noqa: E402

from sklearn_lvm import VAEDensity  # noqa: E402
from sklearn_lvm.neural.custom import custom  # noqa: E402
from sklearn_lvm.neural.training import Trainer  # noqa: E402

from ..estimators.specs import clouds, same_state  # noqa: E402

SMALL = {"n_components": 2, "max_iter": 3, "random_state": 0}


@pytest.fixture
def X():
    return clouds(80)


class Pair(nn.Module):
    def forward(self, x):
        return x, x


class Array(nn.Module):
    def forward(self, x):
        return x.numpy()


# what the function returns for so many inputs and outputs, the kind of error, what was got
UNSUITABLE = {
    "outputs": (lambda n, m: nn.Linear(n, m + 1), ValueError, r"got shape \(2, {more}\)"),
    "inputs": (lambda n, m: nn.Linear(n + 1, m), ValueError, r"fails: mat1 and mat2"),
    "images": (
        lambda n, m: nn.Sequential(nn.Linear(n, m), nn.Unflatten(1, (1, m))),
        ValueError,
        r"got shape \(2, 1, {m}\)",
    ),
    "flat": (
        lambda n, m: nn.Sequential(nn.Linear(n, m), nn.Flatten(0)),
        ValueError,
        r"got shape \({twice},\)",
    ),
    "a pair": (lambda n, m: Pair(), TypeError, "got tuple"),
    "an array": (lambda n, m: Array(), TypeError, "got ndarray"),
    "nothing": (lambda n, m: None, TypeError, "a torch.nn.Module, got None"),
    "a function": (lambda n, m: len, TypeError, "a torch.nn.Module, got <built-in function len>"),
    "a class": (lambda n, m: nn.Linear, TypeError, "a torch.nn.Module, got <class"),
    "one argument": (lambda n: nn.Linear(n, n), TypeError, "takes 1 positional argument"),
    "a network": (nn.Linear(3, 4), TypeError, "a torch.nn.Module, but it fails"),
}


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
@pytest.mark.parametrize(("name", "n", "m"), [("encoder", 3, 4), ("decoder", 2, 6)])
@pytest.mark.parametrize("case", UNSUITABLE)
def test_unsuitable_networks_are_refused_before_training(case, name, n, m, method, X, monkeypatch):
    function, kind, got = UNSUITABLE[case]
    monkeypatch.setattr(Trainer, "train_epoch", None)
    model = VAEDensity(**SMALL, **{name: function})
    wanted = re.escape(f"{name}({n}, {m}) must return")
    got = got.format(m=m, more=m + 1, twice=2 * m)
    with pytest.raises(kind, match=f"(?s)^{wanted}.*{got}") as raised:
        getattr(model, method)(X)
    if kind is ValueError:
        assert f"shape (n, {n}) to a tensor of shape (n, {m})" in str(raised.value)
    assert vars(model).keys() == model.get_params().keys()


def test_exceptions_of_functions_are_their_own(X):
    with pytest.raises(ZeroDivisionError):
        VAEDensity(encoder=lambda n, m: 1 / 0).fit(X)


def test_a_network_that_is_returned_again_and_again_is_not_changed(X):
    network = nn.Linear(3, 4)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    first, again = (
        VAEDensity(**SMALL, encoder=lambda n_inputs, n_outputs: network).fit(X) for _ in range(2)
    )
    assert_array_equal(first.score_samples(X), again.score_samples(X))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert network.weight.requires_grad
    assert network.weight.dtype is torch.float32


def test_a_trial_changes_neither_modes_nor_moments():
    def function(n_inputs, n_outputs):
        frozen = nn.BatchNorm1d(n_outputs).eval()
        return nn.Sequential(nn.Linear(n_inputs, n_outputs), nn.BatchNorm1d(n_outputs), frozen)

    module = custom("encoder", function, 3, 4, torch.Generator().manual_seed(0))
    assert [part.training for part in module.modules()] == [True, True, True, False]
    assert module[1].num_batches_tracked == 0


def test_networks_with_sizes_to_be_found_are_built(X):
    lazy = VAEDensity(**SMALL, decoder=lambda n, m: nn.LazyLinear(m)).fit(X)
    assert same_weights(lazy, VAEDensity(**SMALL, decoder=nn.Linear).fit(X))


def same_weights(one, other):
    mine, theirs = one._density.weights, other._density.weights
    return mine.keys() == theirs.keys() and all((mine[k] == theirs[k]).all() for k in mine)


def dropping(n_inputs, n_outputs):
    return nn.Sequential(nn.Linear(n_inputs, 30), nn.Dropout(0.5), nn.Linear(30, n_outputs))


def test_networks_that_draw_at_random_depend_on_the_seed_alone(X):
    torch.manual_seed(5)
    before = torch.get_rng_state()
    model = VAEDensity(**SMALL, encoder=dropping).fit(X)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(6)
    assert same_state(VAEDensity(**SMALL, encoder=dropping).fit(X), model)


def test_bounds_are_validated_without_dropout(X, monkeypatch):
    validate, seen = Trainer.validate, []

    def watched(self):
        seen.append(self.average.training)
        return validate(self)

    monkeypatch.setattr(Trainer, "validate", watched)
    VAEDensity(**SMALL, encoder=dropping).fit(X)
    assert seen == [False] * 3


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_moments_of_batches_are_those_of_training(method, X, monkeypatch):
    def normalized(n_inputs, n_outputs):
        return nn.Sequential(nn.BatchNorm1d(n_inputs), nn.Linear(n_inputs, n_outputs))

    train_epoch, seen = Trainer.train_epoch, []

    def watched(self):
        bound = train_epoch(self)
        seen.append([buffer.numpy().copy() for buffer in self.model.buffers()])
        return bound

    monkeypatch.setattr(Trainer, "train_epoch", watched)
    params = SMALL | {"max_iter": 1}
    model = getattr(VAEDensity(**params, encoder=normalized), method)(X)
    kept = {name: value for name, value in model._density.weights.items() if "rest.0." in name}
    mean, variance, n_batches = seen[-1]
    assert n_batches > 0
    assert_array_equal(kept["encoder.rest.0.running_mean"], mean)
    assert_array_equal(kept["encoder.rest.0.running_var"], variance)


def test_functions_with_parts_that_cannot_be_copied(X):
    class Locked:
        def __init__(self):
            self.lock = Lock()

        def __call__(self, n_inputs, n_outputs):
            return nn.Linear(n_inputs, n_outputs)

    assert np.isfinite(VAEDensity(**SMALL, encoder=Locked()).fit(X).score(X))
