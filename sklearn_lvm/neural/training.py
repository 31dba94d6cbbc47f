"""Stochastic gradient ascent of the bound: batches, a running average, best weights, steps back."""

import math
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .._typing import Array
from . import bounds
from .density import load
from .nets import Autoencoder, Plan

CLIP = 1.0  # the longest gradient of the mean loss per entry
HOLES_EVERY = 20  # steps between two that teach the encoder about missing entries
DROP = 0.5  # of the learning rate, on a plateau and after a loss that is no number
PLATEAUS = 3  # learning rate drops within the patience of a fit
STRIKES = 5  # losses that are no number until a fit gives up
SHORTEST = 100  # steps that the running average spans at least, once there are ten times as many
STRIDE = 10  # steps from one weight to the next in it, at most
WATCHED = 4096  # rows of a block when a bound is watched

State = dict[str, Any]


@dataclass(frozen=True)
class Recipe:
    """How to train."""

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
        Filled with zeros where nothing was seen; uint8 if binary.
    seen : Tensor of shape (n, d) or None
        uint8; None if all was seen.
    weight : Tensor of shape (n,) or None
        None if all weigh the same, else with a mean of 1.
    grey : bool
        Whether ``x`` holds the probabilities of ones.
    """

    x: Tensor
    seen: Tensor | None
    weight: Tensor | None
    grey: bool

    @classmethod
    def of(cls, rows: Array, weight: Array, *, grey: bool, device: torch.device) -> "Rows":
        """Rows (n, d) in standard units, in which NaN was not seen, and their weights (n,)."""
        hole, even = np.isnan(rows), weight.min() == weight.max()
        x = np.where(hole, 0.0, rows)
        kind = np.uint8 if np.isin(x, (0.0, 1.0)).all() else np.float32
        seen, share = (~hole).astype(np.uint8), (weight / weight.mean()).astype(np.float32)
        return cls(
            torch.from_numpy(x.astype(kind)).to(device),
            torch.from_numpy(seen).to(device) if hole.any() else None,
            None if even else torch.from_numpy(share).to(device),
            grey,
        )

    def __len__(self) -> int:
        return len(self.x)

    def take(self, index: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor | None]:
        """Some rows in float32, grey levels drawn anew."""
        x = self.x.index_select(0, index).to(torch.float32)
        if self.grey:
            x = (torch.empty_like(x).uniform_(generator=generator) < x).to(x)
        return x, None if self.seen is None else self.seen.index_select(0, index).to(x)

    def mean(self, values: Tensor, index: Tensor) -> Tensor:
        """The weighted mean over some rows: a sum over all of them, in expectation."""
        if self.weight is None:
            return values.mean()
        return (values * self.weight.index_select(0, index)).mean()


@dataclass(eq=False, repr=False)
class Trainer:
    """The state of a training, which can be written down after any epoch and taken up again.

    Attributes
    ----------
    model : Autoencoder
        Takes the steps.
    average : Autoencoder
        The running average of its weights over the last tenth of all steps, up to two epochs' worth:
        what is watched, and kept.
    rows, watched : Rows
        What is learned from, and what decides when learning ends.
    history : dict of list
        Of each epoch the mean bound of ``rows`` under way, that of ``watched`` at its end, and the
        learning rate.
    """

    model: Autoencoder
    rows: Rows
    watched: Rows
    recipe: Recipe
    seed: int
    epoch: int = 0
    n_steps: int = 0
    strikes: int = 0
    since: int = 0
    best_bound: float = -math.inf
    mark: float = -math.inf
    best: dict[str, Tensor] = field(default_factory=dict)
    history: dict[str, list[float]] = field(
        default_factory=lambda: {"bound": [], "watched_bound": [], "learning_rate": []}
    )

    def __post_init__(self) -> None:
        self.device = self.rows.x.device
        self.average = deepcopy(self.model).requires_grad_(False)
        self.parameters = list(self.model.parameters())
        self.holes = list(self.model.encoder.holes.parameters())
        self.objective = bounds.objective(self.recipe.n_importance_samples)
        self.climbed = torch.compile(self.objective) if self.recipe.compile else self.objective
        self.generator = self._generator(0)
        self.rate = self.recipe.learning_rate
        self.optimizer = self._new_optimizer()
        self.best = self._weights(self.average)
        self.good = self._weights(self.model)

    def _generator(self, stream: int) -> torch.Generator:
        return torch.Generator(self.device).manual_seed(2 * self.seed + stream)

    def _new_optimizer(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters, lr=self.rate, fused=True)

    def begin_from(self, weights: dict[str, Array]) -> None:
        """Start from weights that are known."""
        for module in (self.model, self.average):
            load(module, weights)
        self.best, self.good = self._weights(self.average), self._weights(self.model)

    def _weights(self, module: nn.Module) -> dict[str, Tensor]:
        return {name: value.clone() for name, value in module.state_dict().items()}

    # -- the loop ------------------------------------------------------------------------------------

    @property
    def finished(self) -> bool:
        """Whether no epoch is left to do."""
        patience = self.recipe.n_iter_no_change
        return (
            self.epoch >= self.recipe.max_iter or self.since >= patience or self.strikes >= STRIKES
        )

    def advance(self) -> None:
        """One epoch, and what follows from it."""
        bound = self.learn()
        watched = self.watch()
        self.epoch += 1
        if math.isfinite(bound) and math.isfinite(watched):
            self._judge(bound, watched)
        else:
            self._step_back()

    def learn(self) -> float:
        """One epoch; the mean bound on the way."""
        n, d = self.rows.x.shape
        order = torch.randperm(n, generator=self.generator, device=self.device)
        batches = order.tensor_split(-(-n // self.recipe.batch_size))
        total = torch.zeros((), device=self.device)
        for index in batches:
            x, seen = self.rows.take(index, self.generator)
            bound = self._bound(x, seen, index)
            for parameter in self.parameters:
                parameter.grad = None
            (bound / -d).backward()
            if seen is None and self.n_steps % HOLES_EVERY == 0:
                self._teach_holes(x, index)
            nn.utils.clip_grad_norm_(self.parameters, CLIP)
            self.optimizer.step()
            self._follow(2 * len(batches))
            total += bound.detach() * len(index)
        return float(total) / n

    def _bound(self, x: Tensor, seen: Tensor | None, index: Tensor) -> Tensor:
        noise = self._noise(len(x), self.generator)
        with self._autocast():
            values = self.climbed(self.model, x, seen, noise, self.recipe.beta)
        return self.rows.mean(values, index)

    def _noise(self, n: int, generator: torch.Generator) -> Tensor:
        """Standard normal, (k, n, q)."""
        shape = (self.recipe.n_importance_samples, n, self.model.n_components)
        return torch.randn(shape, generator=generator, device=self.device, dtype=torch.float32)

    def _autocast(self) -> torch.autocast:
        low = PRECISIONS[self.recipe.precision]
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=low)

    def _teach_holes(self, x: Tensor, index: Tensor) -> None:
        """Hide entries at random; only what the encoder makes of that is learned from it."""
        rate = torch.empty_like(x[:, :1]).uniform_(generator=self.generator)
        seen = (torch.empty_like(x).uniform_(generator=self.generator) < rate).to(x)
        bound = self._bound(x * seen, seen, index)
        gradients = torch.autograd.grad(bound / -x.shape[1], self.holes)
        for parameter, gradient in zip(self.holes, gradients, strict=True):
            parameter.grad = gradient

    def _follow(self, longest: int) -> None:
        """Move the average towards the weights, at long last every few steps only."""
        self.n_steps += 1
        stride = min(1 + self.n_steps // SHORTEST, STRIDE)
        if self.n_steps % stride:
            return
        span = min(max(SHORTEST, longest), 1 + self.n_steps // 10)
        with torch.no_grad():
            torch._foreach_lerp_(list(self.average.parameters()), self.parameters, stride / span)

    def watch(self) -> float:
        """The mean bound of the watched rows under the average, by the same noise at each call."""
        generator, total = self._generator(1), 0.0
        everything = torch.arange(len(self.watched), device=self.device)
        with torch.inference_mode(), self._autocast():
            for index in everything.split(WATCHED):
                x, seen = self.watched.take(index, generator)
                noise = self._noise(len(x), generator)
                values = self.objective(self.average, x, seen, noise, self.recipe.beta)
                total += float(self.watched.mean(values, index)) * len(index)
        return total / len(self.watched)

    def _judge(self, bound: float, watched: float) -> None:
        """Keep the best weights; slow down on a plateau."""
        for name, value in zip(self.history, (bound, watched, self.rate), strict=True):
            self.history[name].append(value)
        self.good = self._weights(self.model)
        if watched > self.best_bound:
            self.best_bound, self.best = watched, self._weights(self.average)
        self.since += 1
        if watched > self.mark + self.recipe.tol:
            self.mark, self.since = watched, 0
        elif self.since % max(1, self.recipe.n_iter_no_change // PLATEAUS) == 0:
            self._slow_down()

    def stream(self) -> None:
        """One epoch, with nothing to choose from."""
        bound = self.learn()
        self.epoch += 1
        if not math.isfinite(bound):
            return self._step_back()
        for name, value in zip(self.history, (bound, bound, self.rate), strict=True):
            self.history[name].append(value)
        self.good, self.best = self._weights(self.model), self._weights(self.average)

    def _slow_down(self) -> None:
        self.rate *= DROP
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate

    def _step_back(self) -> None:
        """Return to the last weights that made sense, more carefully."""
        self.strikes += 1
        self.model.load_state_dict(self.good)
        self.average.load_state_dict(self.best)
        self.rate *= DROP
        self.optimizer = self._new_optimizer()

    @property
    def plan(self) -> Plan:
        """What the networks are built from."""
        return self.model.plan

    def __str__(self) -> str:
        ends = {name: values[-1] for name, values in self.history.items() if values}
        shown = "  ".join(f"{name} {value:.6g}" for name, value in ends.items())
        return f"Epoch {self.epoch}  {shown}"

    @property
    def failed(self) -> bool:
        """Whether the loss was no number too many times."""
        return self.strikes >= STRIKES

    # -- written down --------------------------------------------------------------------------------

    COUNTERS = (
        "epoch",
        "n_steps",
        "strikes",
        "since",
        "best_bound",
        "mark",
        "rate",
        "history",
        "seed",
    )

    def state(self) -> State:
        """All that the next epoch depends on."""
        return {
            "counters": {name: deepcopy(getattr(self, name)) for name in self.COUNTERS},
            "weights": self._weights(self.model),
            "average": self._weights(self.average),
            "best": self.best,
            "good": self.good,
            "optimizer": self.optimizer.state_dict(),
            "generator": self.generator.get_state(),
        }

    def restore(self, state: State) -> None:
        """Go on from there."""
        for name, value in state["counters"].items():
            setattr(self, name, value)
        self.model.load_state_dict(state["weights"])
        self.average.load_state_dict(state["average"])
        self.best, self.good = state["best"], state["good"]
        self.optimizer.load_state_dict(state["optimizer"])
        self.generator.set_state(state["generator"].cpu())
