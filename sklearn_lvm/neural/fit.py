"""Fits of a variational autoencoder to standardized rows; estimators import this module alone."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from os import PathLike
from typing import Self

import numpy as np
import torch

from .._typing import Floats, Ints
from .checkpoint import Checkpoint, Fingerprint, as_arrays, as_tensors, weights_as_arrays
from .density import NeuralDensity, device_of
from .networks import Architecture, build
from .settings import one_thread, recorded_gradients
from .training import Rows, Trainer, TrainingOptions

__all__ = [
    "Architecture",
    "Fit",
    "FitResult",
    "NeuralDensity",
    "Problem",
    "TrainingOptions",
    "partial_fit",
    "start",
]

SAVE_EVERY_EPOCHS = 5  # epochs between two checkpoints
N_VALIDATION_ROWS = 1000  # training rows, at most, whose bound is computed where none are set aside
MAX_PRODUCTS_OF_A_THREAD = 1 << 25  # of a step, forward; two threads gain a quarter from here on


@dataclass(frozen=True, eq=False)
class Problem:
    """Rows, and the networks to be fitted to them.

    Attributes
    ----------
    rows : ndarray of shape (m, d)
        Standardized; NaN is missing.
    weight : ndarray of shape (m,)
    architecture : Architecture
    options : TrainingOptions
    device : str
    probabilities : bool
        Whether rows are probabilities, from which binary rows are drawn in each epoch.
    previous : NeuralDensity or None
        A density whose weights are the initial ones.
    """

    rows: Floats
    weight: Floats
    architecture: Architecture
    options: TrainingOptions
    device: str
    probabilities: bool = False
    previous: NeuralDensity | None = None

    def tensors(self, index: Ints | None = None) -> Rows:
        """Some rows, by default all, on the device."""
        rows, weight = self.rows, self.weight
        if index is not None:
            rows, weight = rows[index], weight[index]
        device = device_of(self.device)
        return Rows.of(rows, weight, probabilities=self.probabilities, device=device)

    def trainer(self, training: Ints | None, validation: Ints | None, seed: int) -> Trainer:
        """A training from the initial weights on some rows, which others validate; None is all."""
        rows = self.tensors(training)
        others = rows if validation is training else self.tensors(validation)
        model = build(self.architecture, seed).to(rows.x.device)
        trainer = Trainer(model, rows, others, self.options, seed)
        if self.previous is not None:
            trainer.begin_from(self.previous.weights)
        return trainer


@dataclass(frozen=True, eq=False)
class FitResult:
    """The best density of a fit, and how training went.

    Attributes
    ----------
    density : NeuralDensity
    history : dict of list of float
    n_iter : int
        Epochs.
    seed : int
    n_failures : int
        Epochs whose bound was not finite.
    failed : bool
        Whether training ended because there were too many of them.
    state : object
        What the next ``partial_fit`` continues from, of NumPy arrays; None after a whole fit.
    """

    density: NeuralDensity
    history: dict[str, list[float]]
    n_iter: int
    seed: int
    n_failures: int
    failed: bool
    state: object = None

    @classmethod
    def of(cls, trainer: Trainer, device: str, *, state: object = None) -> Self:
        """The result after the epochs so far."""
        weights = weights_as_arrays(trainer.best)
        return cls(
            NeuralDensity(trainer.model.architecture, weights, device),
            {name: list(values) for name, values in trainer.history.items()},
            trainer.epoch,
            trainer.seed,
            trainer.n_failures,
            trainer.failed,
            state,
        )


@dataclass(frozen=True, eq=False)
class Fit:
    """A fit between two epochs; printed, it is a line about the last one."""

    trainer: Trainer
    device: str
    checkpoint: Checkpoint | None

    @property
    def finished(self) -> bool:
        """Whether training has ended."""
        return self.trainer.finished

    def advance(self) -> None:
        """Train for one epoch; write the checkpoint every few epochs and at the end."""
        self.trainer.advance()
        due = self.finished or self.trainer.epoch % SAVE_EVERY_EPOCHS == 0
        if self.checkpoint is not None and due:
            self.checkpoint.write(self.trainer.state())

    def result(self) -> FitResult:
        """The result after the epochs so far."""
        return FitResult.of(self.trainer, self.device)

    def __str__(self) -> str:
        return str(self.trainer)


@contextmanager
def start(
    problem: Problem,
    *,
    new_seed: Callable[[], int],
    validation_fraction: float | None,
    checkpoint: str | PathLike[str] | None,
    fingerprint: Fingerprint,
) -> Iterator[Fit]:
    """Begin a fit, or continue the one in a checkpoint; torch's settings are held until its end.

    Parameters
    ----------
    problem : Problem
    new_seed : callable
        Draws a seed; also called where a checkpoint has one, as generators are to move on.
    validation_fraction : float or None
        The share of the rows that are set aside for validation. None trains on all rows, and validates
        on some of them.
    checkpoint : str, path-like or None
    fingerprint : dict of str
        Texts that identify data and parameters; a checkpoint with others is refused.
    """
    file = None if checkpoint is None else Checkpoint(checkpoint, fingerprint)
    seed, state = new_seed(), None if file is None else file.read()
    seed = seed if state is None else state["seed"]
    rows = split(len(problem.rows), validation_fraction, seed)
    with _settings_held(lambda: problem.trainer(*rows, seed)) as trainer:
        if file is not None and state is not None:
            file.restore(trainer, state)
        yield Fit(trainer, problem.device, file)


def partial_fit(problem: Problem, *, seed: int, state: object) -> FitResult:
    """Train for one epoch, from the ``state`` of an earlier result or from initial weights."""
    with _settings_held(lambda: problem.trainer(None, None, seed)) as trainer:
        if state is not None:
            trainer.restore(as_tensors(state))
        trainer.advance_without_validation()
        return FitResult.of(trainer, problem.device, state=as_arrays(trainer.state()))


@contextmanager
def _settings_held(new_trainer: Callable[[], Trainer]) -> Iterator[Trainer]:
    """Hold torch's settings while a training is made and used.

    Gradients are recorded, precision is lowered only where the training says so, and small networks
    use one thread: more gain little, and lose much where other processes are busy.
    """
    with recorded_gradients(), ExitStack() as threads:
        threads.enter_context(one_thread())
        trainer = new_trainer()
        if trainer.products_of_a_step() > MAX_PRODUCTS_OF_A_THREAD:
            threads.close()
        with torch.autocast(trainer.device.type, enabled=False):
            yield trainer


def split(m: int, validation_fraction: float | None, seed: int) -> tuple[Ints, Ints]:
    """Positions of the training rows, and of the validation rows."""
    order = np.random.RandomState(seed).permutation(m)
    if validation_fraction is None:
        return np.arange(m), np.sort(order[:N_VALIDATION_ROWS])
    n_validation = min(max(1, round(validation_fraction * m)), m - 1)
    return np.sort(order[n_validation:]), np.sort(order[:n_validation])
