"""A trained autoencoder as a density: arrays in, arrays out, float64 throughout."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._typing import Array
from . import bounds
from .nets import Autoencoder, Plan, build

CELLS = 1 << 21  # numbers in the largest array of a pass: 16 MB
Arrays = dict[str, Array]


def device_of(name: str) -> torch.device:
    """The device of a name; 'auto' is CUDA where there is some, and the CPU elsewhere.

    Raises
    ------
    ValueError
        If there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as failure:
        raise ValueError(f"device={name!r} is not to be had here: {failure}") from failure
    return device


def load(model: Autoencoder, weights: Arrays) -> None:
    """Set all weights, from copies: arrays may be read-only."""
    model.load_state_dict({name: torch.from_numpy(a.copy()) for name, a in weights.items()})


@dataclass(frozen=True, eq=False)
class NeuralDensity:
    """The density p(x) = E_t p(x | t) of a decoder, with an encoder that says where to look for t.

    Attributes
    ----------
    plan : Plan
    weights : dict of ndarray
        In float32, as they were trained. The networks are built from them at once, here and when an
        object is loaded, and are no part of what is written down.
    device : str
        Where the networks live, if that is to be had; else on the CPU.
    """

    plan: Plan
    weights: Arrays
    device: str

    def __post_init__(self) -> None:
        model = build(self.plan, seed=0)
        load(model, self.weights)
        try:
            device = device_of(self.device)
        except ValueError:  # trained elsewhere
            device = torch.device("cpu")
        model = model.to(device, torch.float64).eval().requires_grad_(False)
        object.__setattr__(self, "_model", model)

    def __getstate__(self) -> dict[str, Any]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)
        self.__post_init__()

    @property
    def model(self) -> Autoencoder:
        """The networks."""
        model: Autoencoder = self._model  # type: ignore[attr-defined]
        return model

    def _tensor(self, rows: Array) -> Tensor:
        device = next(self.model.parameters()).device
        return torch.from_numpy(np.array(rows, dtype=np.float64)).to(device)

    def _enter(self, rows: Array) -> tuple[Tensor, Tensor | None]:
        """Rows filled with zeros, and what of them was seen."""
        x = self._tensor(rows)
        hole = torch.isnan(x)
        if not hole.any():
            return x, None
        return x.masked_fill(hole, 0.0), (~hole).to(x)

    # -- what is said of rows (n, d), in which NaN was not seen --------------------------------------

    def latent(self, rows: Array) -> Array:
        """The mean of the posterior of each row, (n, q)."""
        return self._each(rows, lambda x, seen: self.model.encoder(x, seen)[0], 1)

    def elbo(self, rows: Array, noise: Array) -> Array:
        """The evidence lower bound of each row, (n,), by noise (k, q) that all rows share."""
        eps = self._tensor(noise)[:, None]
        parts = self._parts(len(rows), len(noise))

        def bound(x: Tensor, seen: Tensor | None) -> Tensor:
            groups = [bounds.elbo(self.model, x, seen, eps[part]) for part in parts]
            share = [(part.stop - part.start) / len(noise) for part in parts]
            return torch.stack([w * g for w, g in zip(share, groups, strict=True)]).sum(0)

        return self._each(rows, bound, len(noise))

    def evidence(self, rows: Array, noise: Array) -> Array:
        """The importance-weighted bound and its standard error, (n, 2)."""
        return self._each(
            rows, lambda x, seen: bounds.evidence(self._weigh(x, seen, noise)[0]).T, len(noise)
        )

    def impute(self, rows: Array, noise: Array) -> Array:
        """E[x | what was seen] of all entries, by self-normalised importance weights, (n, d)."""

        def expect(x: Tensor, seen: Tensor | None) -> Tensor:
            log_w, means = self._weigh(x, seen, noise, decoded=self.model.likelihood.mean)
            log_w = log_w - torch.logsumexp(log_w, dim=0)
            share = torch.exp(log_w)
            assert means is not None
            return torch.einsum("kn,knd->nd", share, means)

        return self._each(rows, expect, len(noise))

    def _weigh(
        self,
        x: Tensor,
        seen: Tensor | None,
        noise: Array,
        decoded: Callable[[Tensor], Tensor] | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Log-weights (k, n), and a function of what is decoded, for all samples of a few rows."""
        posterior = self.model.encoder(x, seen)
        eps = self._tensor(noise)[:, None]
        log_w, found = [], []
        for part in self._parts(len(x), len(noise)):
            weights, output = bounds.weigh(self.model, x, seen, eps[part], posterior)
            log_w.append(weights)
            if decoded is not None:
                found.append(decoded(output))
        return torch.cat(log_w), torch.cat(found) if found else None

    def decode(self, t: Array) -> Array:
        """E[x | t], (n, q) -> (n, d)."""
        mean = self.model.likelihood.mean
        return self._each(t, lambda z, seen: mean(self.model.decode(z)), 1)

    def sample(self, n: int, rng: np.random.RandomState) -> tuple[Array, Array]:
        """Rows and the latent variables they were drawn with, (n, d) and (n, q)."""
        t = rng.standard_normal((n, self.plan.n_components))
        draw = self.model.likelihood.draw
        return self._each(t, lambda z, seen: draw(self.model.decode(z), rng), 1), t

    def noise_variance(self) -> Array | None:
        """The variances that are no function of t, if the likelihood has some."""
        free = getattr(self.model.likelihood, "free", None)
        if free is None:
            return None
        with torch.inference_mode():
            return np.exp(self.model.likelihood.parts(free)[1].cpu().numpy())

    # -- passes --------------------------------------------------------------------------------------

    def _each(
        self, rows: Array, function: Callable[[Tensor, Tensor | None], Tensor], k: int
    ) -> Array:
        """A function of all rows, in blocks whose arrays stay small."""
        size = max(1, CELLS // (self.plan.width * k))
        with torch.inference_mode():
            parts = [
                function(*self._enter(rows[start : start + size])).cpu().numpy()
                for start in range(0, len(rows), size)
            ]
        return np.concatenate(parts)

    def _parts(self, n: int, k: int) -> list[slice]:
        """Samples that are looked at together."""
        rows = min(n, max(1, CELLS // (self.plan.width * k)))
        size = max(1, CELLS // (self.plan.width * rows))
        return [slice(start, min(start + size, k)) for start in range(0, k, size)]
