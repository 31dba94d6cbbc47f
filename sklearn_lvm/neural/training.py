"""Training: stochastic gradient ascent of a bound, with early stopping and averaged weights."""

import math
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor, nn

from .._typing import Floats
from . import bounds
from .density import load
from .networks import Architecture, Autoencoder

MAX_GRADIENT_NORM = 1.0  # of the mean loss per entry
MISSING_LAYER_INTERVAL = 20  # steps between two that train the layer of missing entries
RATE_FACTOR = 0.5  # of the learning rate, on a plateau and after a loss that is not finite
RATE_DROPS_PER_PATIENCE = 3  # times that the rate is lowered within ``n_iter_no_change`` epochs
MAX_FAILURES = 5  # losses that are not finite until a fit gives up
MIN_AVERAGED_STEPS = 100  # that the running average spans, once there are ten times as many
MAX_AVERAGING_INTERVAL = 10  # steps between two updates of the running average
VALIDATION_BLOCK_ROWS = 4096

State = dict[str, Any]


@dataclass(frozen=True)
class TrainingOptions:
    """The parameters of a training; see VAEDensity."""

    n_importance_samples: int
    beta: float
    learning_rate: float
    batch_size: int
    max_iter: int
    n_iter_no_change: int
    tol: float
    precision: str
    compile: bool


PRECISIONS = {"float32": False, "bf16": True}  # whether matrix products are in bfloat16


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows on the device of the networks.

    Attributes
    ----------
    x : Tensor of shape (n, d)
        Filled with zeros where an entry is missing; uint8 if binary.
    observed : Tensor of shape (n, d) or None
        uint8; None if no entry is missing.
    weight : Tensor of shape (n,) or None
        None if all weigh the same, else with a mean of 1.
    grey : bool
        Whether ``x`` holds the probabilities of ones.
    """

    x: Tensor
    observed: Tensor | None
    weight: Tensor | None
    grey: bool

    @classmethod
    def of(cls, rows: Floats, weight: Floats, *, grey: bool, device: torch.device) -> Self:
        """Move standardized rows (n, d), NaN being missing, and their weights (n,) to a device."""
        missing, even = np.isnan(rows), weight.min() == weight.max()
        x = np.where(missing, 0.0, rows)
        kind = np.uint8 if np.isin(x, (0.0, 1.0)).all() else np.float32
        observed, share = (~missing).astype(np.uint8), (weight / weight.mean()).astype(np.float32)
        return cls(
            torch.from_numpy(x.astype(kind)).to(device),
            torch.from_numpy(observed).to(device) if missing.any() else None,
            None if even else torch.from_numpy(share).to(device),
            grey,
        )

    def __len__(self) -> int:
        return len(self.x)

    def take(self, index: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """Some rows in float32, drawn anew from grey levels, and which entries are observed."""
        x = self.x.index_select(0, index).to(torch.float32)
        if self.grey:
            x = (torch.empty_like(x).uniform_(generator=generator) < x).to(x)
        return x, None if self.observed is None else self.observed.index_select(0, index).to(x)

    def mean(self, values: Tensor, index: Tensor) -> Tensor:
        """The weighted mean over some rows; in expectation that over all of them."""
        if self.weight is None:
            return values.mean()
        return (values * self.weight.index_select(0, index)).mean()


@dataclass(eq=False, repr=False)
class Trainer:
    """A training, whose state can be saved after any epoch and restored.

    Attributes
    ----------
    model : Autoencoder
        The networks that are trained.
    average : Autoencoder
        Networks with the running average of the weights over the last tenth of all steps, at most two
        epochs: those that are validated, and kept.
    rows, validation : Rows
        The rows to train on, and those that decide when training ends.
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
    best: dict[str, Tensor] = field(default_factory=dict)
    history: dict[str, list[float]] = field(
        default_factory=lambda: {"bound": [], "validation_bound": [], "learning_rate": []}
    )

    def __post_init__(self) -> None:
        self.device = self.rows.x.device
        self.average = deepcopy(self.model).requires_grad_(False)
        self.parameters = list(self.model.parameters())
        self.missing_layer = list(self.model.encoder.missing_layer.parameters())
        self.objective = bounds.objective(self.options.n_importance_samples)
        self.compiled_objective = (
            torch.compile(self.objective) if self.options.compile else self.objective
        )
        self.generator = self._generator(0)
        self.rate = self.options.learning_rate
        self.optimizer = self._new_optimizer()
        self.best = self._weights(self.average)
        self.last_finite = self._weights(self.model)

    def _generator(self, number: int) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(2 * self.seed + number)

    def _new_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters, lr=self.rate, fused=True)

    def begin_from(self, weights: dict[str, Floats]) -> None:
        """Start from given weights."""
        for module in (self.model, self.average):
            load(module, weights)
        self.best, self.last_finite = self._weights(self.average), self._weights(self.model)

    def _weights(self, module: nn.Module) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in module.state_dict().items()}

    # -- the loop ------------------------------------------------------------------------------------

    @property
    def finished(self) -> bool:
        """Whether training ends before another epoch."""
        patience = self.options.n_iter_no_change
        return (
            self.epoch >= self.options.max_iter
            or self.n_stalled >= patience
            or self.n_failures >= MAX_FAILURES
        )

    def advance(self) -> None:
        """Train for one epoch, validate, and keep the best weights."""
        bound = self.train_epoch()
        validation = self.validate()
        self.epoch += 1
        if math.isfinite(bound) and math.isfinite(validation):
            self._record(bound, validation)
        else:
            self._restore_last_finite()

    def train_epoch(self) -> float:
        """Train for one epoch; return the mean bound during it."""
        n, d = self.rows.x.shape
        order = torch.randperm(n, generator=self.generator, device=self.device)
        batches = order.tensor_split(-(-n // self.options.batch_size))
        total = torch.zeros((), device=self.device)
        for index in batches:
            x, observed = self.rows.take(index, self.generator)
            bound = self._bound(x, observed, index)
            for parameter in self.parameters:
                parameter.grad = None
            (bound / -d).backward()
            if observed is None and self.n_steps % MISSING_LAYER_INTERVAL == 0:
                self._fit_missing_layer(x, index)
            nn.utils.clip_grad_norm_(self.parameters, MAX_GRADIENT_NORM)
            self.optimizer.step()
            self._update_average(2 * len(batches))
            total += bound.detach() * len(index)
        return float(total) / n

    def _bound(self, x: Tensor, observed: Tensor | None, index: Tensor) -> Tensor:
        noise = self._noise(len(x), self.generator)
        with self._autocast():
            values = self.compiled_objective(self.model, x, observed, noise, self.options.beta)
        return self.rows.mean(values, index)

    def _noise(self, n: int, generator: torch.Generator) -> Tensor:
        """Standard normal, (k, n, q)."""
        shape = (self.options.n_importance_samples, n, self.model.n_components)
        return torch.randn(shape, generator=generator, device=self.device, dtype=torch.float32)

    def _autocast(self) -> torch.autocast:
        low = PRECISIONS[self.options.precision]
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=low)

    def _fit_missing_layer(self, x: Tensor, index: Tensor) -> None:
        """Set the gradient of the layer of missing entries, from rows of which some are hidden."""
        rate = torch.empty_like(x[:, :1]).uniform_(generator=self.generator)
        observed = (torch.empty_like(x).uniform_(generator=self.generator) < rate).to(x)
        bound = self._bound(x * observed, observed, index)
        gradients = torch.autograd.grad(bound / -x.shape[1], self.missing_layer)
        for parameter, gradient in zip(self.missing_layer, gradients, strict=True):
            parameter.grad = gradient

    def _update_average(self, longest: int) -> None:
        """Move the running average towards the weights, later on every few steps only."""
        self.n_steps += 1
        stride = min(1 + self.n_steps // MIN_AVERAGED_STEPS, MAX_AVERAGING_INTERVAL)
        if self.n_steps % stride:
            return
        span = min(max(MIN_AVERAGED_STEPS, longest), 1 + self.n_steps // 10)
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), self.parameters, stride / span)

    def validate(self) -> float:
        """The mean bound of the validation rows under the average, by the same noise at each call."""
        generator, total = self._generator(1), 0.0
        everything = torch.arange(len(self.validation), device=self.device)
        with torch.inference_mode(), self._autocast():
            for index in everything.split(VALIDATION_BLOCK_ROWS):
                x, observed = self.validation.take(index, generator)
                noise = self._noise(len(x), generator)
                values = self.objective(self.average, x, observed, noise, self.options.beta)
                total += float(self.validation.mean(values, index)) * len(index)
        return total / len(self.validation)

    def _record(self, bound: float, validation: float) -> None:
        """Record an epoch and keep the best weights; lower the learning rate on a plateau."""
        for name, value in zip(self.history, (bound, validation, self.rate), strict=True):
            self.history[name].append(value)
        self.last_finite = self._weights(self.model)
        if validation > self.best_bound:
            self.best_bound, self.best = validation, self._weights(self.average)
        self.n_stalled += 1
        if validation > self.best_so_far + self.options.tol:
            self.best_so_far, self.n_stalled = validation, 0
        elif self.n_stalled % max(1, self.options.n_iter_no_change // RATE_DROPS_PER_PATIENCE) == 0:
            self._lower_rate()

    def train_without_validation(self) -> None:
        """Train for one epoch, and keep its weights."""
        bound = self.train_epoch()
        self.epoch += 1
        if not math.isfinite(bound):
            return self._restore_last_finite()
        for name, value in zip(self.history, (bound, bound, self.rate), strict=True):
            self.history[name].append(value)
        self.last_finite, self.best = self._weights(self.model), self._weights(self.average)

    def _lower_rate(self) -> None:
        self.rate *= RATE_FACTOR
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate

    def _restore_last_finite(self) -> None:
        """Restore the last finite weights and halve the learning rate."""
        self.n_failures += 1
        self.model.load_state_dict(self.last_finite)
        self.average.load_state_dict(self.best)
        self.rate *= RATE_FACTOR
        self.optimizer = self._new_optimizer()

    @property
    def architecture(self) -> Architecture:
        """What the networks are built from."""
        return self.model.architecture

    def __str__(self) -> str:
        ends = {name: values[-1] for name, values in self.history.items() if values}
        shown = "  ".join(f"{name} {value:.6g}" for name, value in ends.items())
        return f"Epoch {self.epoch}  {shown}"

    @property
    def failed(self) -> bool:
        """Whether the loss was not finite too many times."""
        return self.n_failures >= MAX_FAILURES

    # -- states -------------------------------------------------------------------------------------

    COUNTERS = (
        "epoch",
        "n_steps",
        "n_failures",
        "n_stalled",
        "best_bound",
        "best_so_far",
        "rate",
        "history",
        "seed",
    )

    def state(self) -> State:
        """The state that the next epoch depends on."""
        return {
            "counters": {name: deepcopy(getattr(self, name)) for name in self.COUNTERS},
            "weights": self._weights(self.model),
            "average": self._weights(self.average),
            "best": self.best,
            "last_finite": self.last_finite,
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
        }

    def restore(self, state: State) -> None:
        """Resume from a state."""
        for name, value in state["counters"].items():
            setattr(self, name, value)
        self.model.load_state_dict(state["weights"])
        self.average.load_state_dict(state["average"])
        self.best, self.last_finite = state["best"], state["last_finite"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"].cpu())
