"""Training by Adam: one epoch after another, until the bound of validation rows stalls."""

import math
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn

from .._typing import Floats
from . import bounds
from .adam import Adam
from .checkpoint import State, Weights
from .density import load
from .networks import Autoencoder, n_products
from .settings import lent

MAX_GRADIENT_NORM = 1.0  # of the mean loss per entry; longer gradients are clipped
MISSING_LAYER_EVERY_STEPS = (
    20  # steps between two updates of the encoder's layer for missing entries
)
RATE_FACTOR = 0.5  # by which the learning rate is multiplied when it is reduced
N_RATE_REDUCTIONS = 3  # within n_iter_no_change epochs without a gain
MAX_FAILURES = 5  # epochs with a bound that is not finite, until a fit ends
MIN_AVERAGE_STEPS = 100  # that the running average spans, after ten times as many steps
MAX_AVERAGE_INTERVAL = 10  # steps between two updates of the running average
VALIDATION_BLOCK_ROWS = 4096  # rows for which the validation bound is computed at once

PRECISIONS = {"float32": False, "bf16": True}  # whether matrix products are in bfloat16


@dataclass(frozen=True)
class TrainingOptions:
    """Parameters of VAEDensity that determine training."""

    n_importance_samples: int
    beta: float
    learning_rate: float
    batch_size: int
    max_iter: int
    n_iter_no_change: int
    tol: float
    precision: str
    compile: bool


@dataclass(frozen=True, eq=False)
class Rows:
    """Standardized rows as tensors on the device of the networks.

    Attributes
    ----------
    x : Tensor of shape (n, d)
        With zeros for missing entries; uint8 if binary.
    observed : Tensor of shape (n, d) or None
        uint8; None if no entry is missing.
    weight : Tensor of shape (n,) or None
        With a mean of 1; None if all weights are equal.
    probabilities : bool
        Whether ``x`` holds probabilities, from which binary rows are drawn at each use.
    """

    x: Tensor
    observed: Tensor | None
    weight: Tensor | None
    probabilities: bool

    @classmethod
    def of(cls, rows: Floats, weight: Floats, *, probabilities: bool, device: torch.device) -> Self:
        """Tensors of rows (n, d), in which NaN is missing, and of their weights (n,)."""
        missing, equal = np.isnan(rows), weight.min() == weight.max()
        x = np.where(missing, 0.0, rows)
        kind = np.uint8 if np.isin(x, (0.0, 1.0)).all() else np.float32
        observed, share = (~missing).astype(np.uint8), (weight / weight.mean()).astype(np.float32)
        return cls(
            torch.from_numpy(x.astype(kind)).to(device),
            torch.from_numpy(observed).to(device) if missing.any() else None,
            None if equal else torch.from_numpy(share).to(device),
            probabilities,
        )

    def __len__(self) -> int:
        return len(self.x)

    def take(self, index: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """Rows in float32 and their masks; probabilities are replaced by a new draw."""
        x = self.x.index_select(0, index).to(torch.float32)
        if self.probabilities:
            x = (torch.empty_like(x).uniform_(generator=generator) < x).to(x)
        return x, None if self.observed is None else self.observed.index_select(0, index).to(x)

    def mean(self, values: Tensor, index: Tensor) -> Tensor:
        """The weighted mean over some rows, whose expectation is that over all."""
        if self.weight is None:
            return values.mean()
        return (values * self.weight.index_select(0, index)).mean()


@dataclass(eq=False, repr=False)
class Trainer:
    """A training between two epochs; ``state`` and ``restore`` save and continue it.

    Attributes
    ----------
    model : Autoencoder
        The networks whose weights the optimizer changes.
    rows, validation : Rows
        Rows whose bound is maximized, and rows whose bound decides when training ends.
    n_failures : int
        Epochs whose bound was not finite.
    n_stalled : int
        Epochs since the validation bound last rose by more than ``tol``.
    best_so_far : float
        The validation bound at that epoch.
    best_bound, best : float and dict of Tensor
        The highest validation bound, and the averaged weights that it belongs to.
    average : Autoencoder
        The running average of the weights over the last tenth of all steps, two epochs at most.
        Its bound is validated, and its weights are kept. It is in evaluation mode.
    history : dict of list
        Of each epoch the mean bound of ``rows`` during it, that of ``validation`` at its end, and the
        learning rate.
    """

    model: Autoencoder
    rows: Rows
    validation: Rows
    options: TrainingOptions
    seed: int
    epoch: int = 0
    n_steps: int = 0
    n_failures: int = 0
    n_stalled: int = 0
    best_bound: float = -math.inf
    best_so_far: float = -math.inf
    best: Weights = field(default_factory=dict)
    history: dict[str, list[float]] = field(
        default_factory=lambda: {"bound": [], "validation_bound": [], "learning_rate": []}
    )

    def __post_init__(self) -> None:
        self.device = self.rows.x.device
        shared = self.model.architecture  # whose functions are the user's, and are not copied
        self.average = deepcopy(self.model, {id(shared): shared}).requires_grad_(False).eval()
        self.parameters = list(self.model.parameters())
        self.missing_layer = list(self.model.encoder.missing_layer.parameters())
        self.objective = bounds.objective(self.options.n_importance_samples)
        compiled = self.options.compile
        self.compiled_objective = torch.compile(self.objective) if compiled else self.objective
        self.generator = self._generator(0)
        self.rate = self.options.learning_rate
        self.optimizer = Adam(self.parameters, MAX_GRADIENT_NORM)
        self._keep_all_weights()

    def _generator(self, stream: int) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(2 * self.seed + stream)

    def begin_from(self, weights: Mapping[str, Floats]) -> None:
        """Replace the initial weights."""
        for module in (self.model, self.average):
            load(module, weights)
        self._keep_all_weights()

    def _keep_all_weights(self) -> None:
        self.best, self.last_finite = _weights(self.average), _weights(self.model)

    def products_of_a_step(self) -> int:
        """Multiplications of one pass forward in a step, about."""
        with self._lent(self._generator(0)):
            products = n_products(self.average, self.options.n_importance_samples)
        return products * min(self.options.batch_size, len(self.rows))

    # -- epochs --------------------------------------------------------------------------------------

    @property
    def failed(self) -> bool:
        """Whether the bound was not finite in too many epochs."""
        return self.n_failures >= MAX_FAILURES

    @property
    def finished(self) -> bool:
        """Whether training has ended."""
        stalled = self.n_stalled >= self.options.n_iter_no_change
        return self.epoch >= self.options.max_iter or stalled or self.failed

    def advance(self) -> None:
        """Train for one epoch, validate, and keep or restore weights accordingly."""
        bound = self.train_epoch()
        validation_bound = self.validate()
        self.epoch += 1
        if math.isfinite(bound) and math.isfinite(validation_bound):
            self._record(bound, validation_bound)
            self._update_best(validation_bound)
        else:
            self._restore_last_finite()

    def advance_without_validation(self) -> None:
        """Train for one epoch and keep its weights, if they are finite."""
        bound = self.train_epoch()
        self.epoch += 1
        if math.isfinite(bound):
            self._record(bound, bound)
            self._keep_all_weights()
        else:
            self._restore_last_finite()

    def train_epoch(self) -> float:
        """Take a step for each batch; return the mean bound, each batch's before its step."""
        n, d = self.rows.x.shape
        order = torch.randperm(n, generator=self.generator, device=self.device)
        batches = order.tensor_split(-(-n // self.options.batch_size))
        total = torch.zeros((), device=self.device, dtype=torch.float32)
        for index in batches:
            x, observed = self.rows.take(index, self.generator)
            bound = self._bound(x, observed, index)
            for parameter in self.parameters:
                parameter.grad = None
            (bound / -d).backward()
            if observed is None and self.n_steps % MISSING_LAYER_EVERY_STEPS == 0:
                self._set_missing_layer_gradient(x, index)
            self.optimizer.step(self.rate)
            self._update_average(2 * len(batches))
            total += bound.detach() * len(index)
        self._copy_buffers()
        return float(total) / n

    def _bound(self, x: Tensor, observed: Tensor | None, index: Tensor) -> Tensor:
        noise = self._noise(len(x), self.generator)
        with self._autocast(), self._lent(self.generator):
            values = self.compiled_objective(self.model, x, observed, noise, self.options.beta)
        return self.rows.mean(values, index)

    def _noise(self, n: int, generator: torch.Generator) -> Tensor:
        """Standard normal, (k, n, q)."""
        shape = (self.options.n_importance_samples, n, self.model.n_components)
        return torch.randn(shape, generator=generator, device=self.device, dtype=torch.float32)

    def _autocast(self) -> torch.autocast:
        low = PRECISIONS[self.options.precision]
        # The cache of rounded weights would outlive the step where a caller's autocast is around it.
        return torch.autocast(
            self.device.type, dtype=torch.bfloat16, enabled=low, cache_enabled=False
        )

    def _lent(self, generator: torch.Generator) -> AbstractContextManager[None]:
        """Users' networks draw from a generator, for dropout or as they like; others draw nothing."""
        return lent(generator) if self.model.architecture.custom else nullcontext()

    def _set_missing_layer_gradient(self, x: Tensor, index: Tensor) -> None:
        """The gradient of the encoder's layer for missing entries, with entries hidden at random.

        Other weights keep the gradient of complete rows.
        """
        rate = torch.empty_like(x[:, :1]).uniform_(generator=self.generator)
        observed = (torch.empty_like(x).uniform_(generator=self.generator) < rate).to(x)
        bound = self._bound(x * observed, observed, index)
        gradients = torch.autograd.grad(bound / -x.shape[1], self.missing_layer)
        for parameter, gradient in zip(self.missing_layer, gradients, strict=True):
            parameter.grad = gradient

    def _update_average(self, max_span: int) -> None:
        """Update the running average, after many steps only once in a few of them."""
        self.n_steps += 1
        interval = min(1 + self.n_steps // MIN_AVERAGE_STEPS, MAX_AVERAGE_INTERVAL)
        if self.n_steps % interval:
            return
        span = min(max(MIN_AVERAGE_STEPS, max_span), 1 + self.n_steps // 10)
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), self.parameters, interval / span)

    def _copy_buffers(self) -> None:
        """Give the average what users' networks keep beside weights, such as moments of batches."""
        for kept, buffer in zip(self.average.buffers(), self.model.buffers(), strict=True):
            kept.copy_(buffer)

    def validate(self) -> float:
        """The mean bound of the validation rows under the average, with one noise for all epochs."""
        generator, total = self._generator(1), 0.0
        everything = torch.arange(len(self.validation), device=self.device)
        with torch.inference_mode(), self._autocast():
            for index in everything.split(VALIDATION_BLOCK_ROWS):
                x, observed = self.validation.take(index, generator)
                noise = self._noise(len(x), generator)
                with self._lent(generator):
                    values = self.objective(self.average, x, observed, noise, self.options.beta)
                total += float(self.validation.mean(values, index)) * len(index)
        return total / len(self.validation)

    def _record(self, bound: float, validation_bound: float) -> None:
        """Append the epoch to the history."""
        for name, value in zip(self.history, (bound, validation_bound, self.rate), strict=True):
            self.history[name].append(value)

    def _update_best(self, validation_bound: float) -> None:
        """Keep the best weights; reduce the learning rate if the bound stalls."""
        self.last_finite = _weights(self.model)
        if validation_bound > self.best_bound:
            self.best_bound, self.best = validation_bound, _weights(self.average)
        self.n_stalled += 1
        if validation_bound > self.best_so_far + self.options.tol:
            self.best_so_far, self.n_stalled = validation_bound, 0
        elif self.n_stalled % max(1, self.options.n_iter_no_change // N_RATE_REDUCTIONS) == 0:
            self.rate *= RATE_FACTOR

    def _restore_last_finite(self) -> None:
        """Restore the last finite weights and halve the learning rate."""
        self.n_failures += 1
        self.model.load_state_dict(self.last_finite)
        self.average.load_state_dict(self.best)
        self.rate *= RATE_FACTOR
        self.optimizer = Adam(self.parameters, MAX_GRADIENT_NORM)

    def __str__(self) -> str:
        last = {name: values[-1] for name, values in self.history.items() if values}
        shown = "  ".join(f"{name} {value:.6g}" for name, value in last.items())
        return f"Epoch {self.epoch}  {shown}"

    # -- states --------------------------------------------------------------------------------------

    COUNTERS = ("epoch", "n_steps", "n_failures", "n_stalled", "best_bound", "best_so_far", "rate")

    def state(self) -> State:
        """A copy of all that the next epoch depends on."""
        return {
            "seed": self.seed,
            "counters": {name: getattr(self, name) for name in self.COUNTERS},
            "history": deepcopy(self.history),
            "weights": _weights(self.model),
            "average": _weights(self.average),
            "best": self.best,
            "last_finite": self.last_finite,
            "optimizer": self.optimizer.state(),
            "generator": self.generator.get_state(),
        }

    def restore(self, state: State) -> None:
        """Continue from a state."""
        self.seed, self.history = state["seed"], state["history"]
        for name, value in state["counters"].items():
            setattr(self, name, value)
        self.model.load_state_dict(state["weights"])
        self.average.load_state_dict(state["average"])
        self.best, self.last_finite = state["best"], state["last_finite"]
        self.optimizer.restore(state["optimizer"])
        self.generator.set_state(state["generator"].cpu())


def _weights(module: nn.Module) -> Weights:
    """Copies of all weights."""
    return {name: value.clone() for name, value in module.state_dict().items()}
