"""The density of a trained autoencoder: arrays in, arrays out, float64 throughout."""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._typing import Floats
from . import bounds
from .networks import Architecture, Autoencoder, build

MAX_ENTRIES = 1 << 21  # of the largest array of a pass: 16 MB
Weights = dict[str, Floats]


def device_of(name: str) -> torch.device:
    """The device of a name; 'auto' is CUDA if there is a device of it, else the CPU.

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


def load(model: Autoencoder, weights: Weights) -> None:
    """Set all weights, from copies: arrays may be read-only."""
    model.load_state_dict({name: torch.from_numpy(a.copy()) for name, a in weights.items()})


@dataclass(frozen=True, eq=False)
class NeuralDensity:
    """The density p(x) = E_t p(x | t) of a decoder; its encoder proposes t for importance sampling.

    Attributes
    ----------
    architecture : Architecture
    weights : dict of ndarray
        In float32. The networks are built from them, here and when a pickled object is loaded, and
        are not pickled.
    device : str
        That of the networks; the CPU where there is no such device.
    """

    architecture: Architecture
    weights: Weights
    device: str

    def __post_init__(self) -> None:
        model = build(self.architecture, seed=0)
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

    def _tensor(self, rows: Floats) -> Tensor:
        device = next(self.model.parameters()).device
        return torch.from_numpy(np.array(rows, dtype=np.float64)).to(device)

    def _tensors(self, rows: Floats) -> tuple[Tensor, Tensor | None]:
        """Rows filled with zeros, and which entries are observed."""
        x = self._tensor(rows)
        missing = torch.isnan(x)
        if not missing.any():
            return x, None
        return x.masked_fill(missing, 0.0), (~missing).to(x)

    # -- rows (n, d), in which NaN is missing --------------------------------------

    def latent(self, rows: Floats) -> Floats:
        """The mean of the posterior of each row, (n, q)."""
        return self._by_block(rows, lambda x, observed: self.model.encoder(x, observed)[0], 1)

    def elbo(self, rows: Floats, noise: Floats) -> Floats:
        """The evidence lower bound of each row, (n,), by noise (k, q) that all rows share."""
        eps = self._tensor(noise)[:, None]
        parts = self._sample_slices(len(rows), len(noise))

        def bound(x: Tensor, observed: Tensor | None) -> Tensor:
            groups = [bounds.elbo(self.model, x, observed, eps[part]) for part in parts]
            share = [(part.stop - part.start) / len(noise) for part in parts]
            return torch.stack([w * g for w, g in zip(share, groups, strict=True)]).sum(0)

        return self._by_block(rows, bound, len(noise))

    def evidence(self, rows: Floats, noise: Floats) -> Floats:
        """The importance-weighted bound and its standard error, (n, 2)."""
        return self._by_block(
            rows,
            lambda x, observed: bounds.evidence(self._log_weights(x, observed, noise)[0]).T,
            len(noise),
        )

    def impute(self, rows: Floats, noise: Floats) -> Floats:
        """E[x | observed entries], by self-normalized importance weights, (n, d)."""

        def expect(x: Tensor, observed: Tensor | None) -> Tensor:
            log_w, means = self._log_weights(x, observed, noise, decoded=self.model.likelihood.mean)
            log_w = log_w - torch.logsumexp(log_w, dim=0)
            share = torch.exp(log_w)
            assert means is not None
            return torch.einsum("kn,knd->nd", share, means)

        return self._by_block(rows, expect, len(noise))

    def _log_weights(
        self,
        x: Tensor,
        observed: Tensor | None,
        noise: Floats,
        decoded: Callable[[Tensor], Tensor] | None = None,
    ) -> tuple[Tensor, Tensor | None]:
        """Log-weights (k, n) of all samples, and a function of the decoder's outputs."""
        posterior = self.model.encoder(x, observed)
        eps = self._tensor(noise)[:, None]
        log_w, found = [], []
        for part in self._sample_slices(len(x), len(noise)):
            weights, output = bounds.log_importance_weights(
                self.model, x, observed, eps[part], posterior
            )
            log_w.append(weights)
            if decoded is not None:
                found.append(decoded(output))
        return torch.cat(log_w), torch.cat(found) if found else None

    def decode(self, t: Floats) -> Floats:
        """E[x | t], (n, q) -> (n, d)."""
        mean = self.model.likelihood.mean
        return self._by_block(t, lambda z, observed: mean(self.model.decode(z)), 1)

    def sample(self, n: int, rng: np.random.RandomState) -> tuple[Floats, Floats]:
        """Rows and the latent variables they were drawn with, (n, d) and (n, q)."""
        t = rng.standard_normal((n, self.architecture.n_components))
        draw = self.model.likelihood.draw
        return self._by_block(t, lambda z, observed: draw(self.model.decode(z), rng), 1), t

    def noise_variance(self) -> Floats | None:
        """The variances that do not depend on t, if the likelihood has some."""
        free = getattr(self.model.likelihood, "free", None)
        if free is None:
            return None
        with torch.inference_mode():
            return np.exp(self.model.likelihood.mean_and_log_variance(free)[1].cpu().numpy())

    # -- passes --------------------------------------------------------------------------------------

    def _by_block(
        self, rows: Floats, function: Callable[[Tensor, Tensor | None], Tensor], k: int
    ) -> Floats:
        """Apply a function to all rows, in blocks whose arrays are of limited size."""
        size = max(1, MAX_ENTRIES // (self.architecture.width * k))
        with torch.inference_mode():
            parts = [
                function(*self._tensors(rows[start : start + size])).cpu().numpy()
                for start in range(0, len(rows), size)
            ]
        return np.concatenate(parts)

    def _sample_slices(self, n: int, k: int) -> list[slice]:
        """The samples of each pass."""
        rows = min(n, max(1, MAX_ENTRIES // (self.architecture.width * k)))
        size = max(1, MAX_ENTRIES // (self.architecture.width * rows))
        return [slice(start, min(start + size, k)) for start in range(0, k, size)]
