"""The density of a trained autoencoder, in float64: arrays in, arrays out."""

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from .._typing import Floats
from . import bounds
from .likelihoods import Bernoulli, SharedGaussian
from .networks import Architecture, Autoencoder, build
from .settings import one_thread, recorded_gradients

MAX_CELLS = 1 << 21  # float64 numbers in the largest array of a block: 16 MB
Weights = dict[str, Floats]


def device_of(name: str) -> torch.device:
    """The device of a name; 'auto' is CUDA if it is available, else the CPU.

    Raises
    ------
    ValueError
        If the device is not available.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.zeros(1, device=device, dtype=torch.float64).item()
    except Exception as failure:  # each kind of device has exceptions of its own
        raise ValueError(
            f"device={name!r} cannot compute in float64 here; set device='auto'. {failure}"
        ) from failure
    return device


def load(model: Autoencoder, weights: Mapping[str, Floats]) -> None:
    """Set all weights from copies of arrays, which may be read-only."""
    model.load_state_dict({name: torch.from_numpy(a.copy()) for name, a in weights.items()})


@dataclass(frozen=True, eq=False)
class NeuralDensity:
    """The density p(x) = E_t p(x | t) of a decoder, with an encoder that proposes t for each row.

    Attributes
    ----------
    architecture : Architecture
    weights : dict of ndarray
        In float32, as they were trained. The networks are built from them, here and when an object is
        unpickled; pickles hold the arrays alone.
    device : str
        Where the networks compute. If it is not available, they compute on the CPU.
    """

    architecture: Architecture
    weights: Weights
    device: str

    @recorded_gradients()
    def __post_init__(self) -> None:
        model = build(self.architecture, seed=0)
        load(model, self.weights)
        try:
            device = device_of(self.device)
        except ValueError:  # trained on another machine
            device = torch.device("cpu")
        model = model.to(device, torch.float64).eval().requires_grad_(False)
        object.__setattr__(self, "_model", model)

    def __getstate__(self) -> dict[str, object]:
        return {field.name: getattr(self, field.name) for field in fields(self)}

    def __setstate__(self, state: dict[str, object]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)
        self.__post_init__()

    @property
    def model(self) -> Autoencoder:
        """The networks."""
        model: Autoencoder = self._model  # type: ignore[attr-defined]
        return model

    @property
    def binary(self) -> bool:
        """Whether entries are zeros and ones."""
        return isinstance(self.model.likelihood, Bernoulli)

    def _tensor(self, rows: Floats) -> Tensor:
        device = next(self.model.parameters()).device
        return torch.from_numpy(np.array(rows, dtype=np.float64)).to(device)

    def _filled(self, rows: Floats) -> tuple[Tensor, Tensor | None]:
        """Rows with zeros for NaN, and the mask of observed entries, None if all are observed."""
        x = self._tensor(rows)
        missing = torch.isnan(x)
        if not missing.any():
            return x, None
        return x.masked_fill(missing, 0.0), (~missing).to(x)

    # -- functions of standardized rows (n, d), in which NaN is missing ------------------------------

    def latent(self, rows: Floats) -> Floats:
        """The posterior mean of each row, (n, q)."""
        return self._by_block(rows, lambda x, observed: self.model.encoder(x, observed)[0], 1)

    def elbo(self, rows: Floats, noise: Floats) -> Floats:
        """The evidence lower bound of each row, (n,), with noise (k, q) that all rows share."""
        eps = self._tensor(noise)[:, None]
        slices = self._sample_slices(len(rows), len(noise))

        def bound(x: Tensor, observed: Tensor | None) -> Tensor:
            means = [bounds.elbo(self.model, x, observed, eps[samples]) for samples in slices]
            share = [(samples.stop - samples.start) / len(noise) for samples in slices]
            return torch.stack([w * mean for w, mean in zip(share, means, strict=True)]).sum(0)

        return self._by_block(rows, bound, len(noise))

    def evidence(self, rows: Floats, noise: Floats) -> Floats:
        """The importance-weighted bound and its standard error, (n, 2)."""

        def bound(x: Tensor, observed: Tensor | None) -> Tensor:
            return bounds.evidence(self._log_weights(x, observed, noise)[0]).T

        return self._by_block(rows, bound, len(noise))

    def impute(self, rows: Floats, noise: Floats) -> Floats:
        """E[x | observed entries] of all entries, by self-normalized importance weights, (n, d)."""

        def expected(x: Tensor, observed: Tensor | None) -> Tensor:
            log_w, means = self._log_weights(x, observed, noise, self.model.likelihood.mean)
            share = torch.exp(log_w - torch.logsumexp(log_w, dim=0))
            return torch.einsum("kn,knd->nd", share, torch.cat(means))

        return self._by_block(rows, expected, len(noise))

    def draw_missing(self, rows: Floats, k: int, rng: np.random.RandomState) -> Floats:
        """Rows (n, d) drawn from p(x | t), with t drawn by importance from k samples of each row.

        Where entries are missing these are draws given the observed ones as k grows
        (sampling-importance-resampling: Rubin, 1987; Mattei & Frellsen, 2019).
        """

        def drawn(x: Tensor, observed: Tensor | None) -> Tensor:
            noise = rng.standard_normal((k, len(x), self.architecture.n_components))
            log_w, outputs = self._log_weights(x, observed, noise, lambda output: output)
            # The highest of log-weights with Gumbel noise is a draw in proportion to the weights.
            levels = log_w + self._tensor(rng.gumbel(size=tuple(log_w.shape)))
            chosen = torch.cat(outputs)[levels.argmax(dim=0), torch.arange(len(x))]
            return self.model.likelihood.draw(chosen, rng)

        return self._by_block(rows, drawn, k)

    def _log_weights(
        self,
        x: Tensor,
        observed: Tensor | None,
        noise: Floats,
        function: Callable[[Tensor], Tensor] | None = None,
    ) -> tuple[Tensor, list[Tensor]]:
        """Log-weights (k, n), and a function of the decoder's outputs, for a block of rows.

        The noise is (k, q), or (k, n, q) if rows do not share it.
        """
        posterior = self.model.encoder(x, observed)
        eps = self._tensor(noise if noise.ndim == 3 else noise[:, None])
        log_w, values = [], []
        for samples in self._sample_slices(len(x), len(noise)):
            weights, output = bounds.log_weights(self.model, x, observed, eps[samples], posterior)
            log_w.append(weights)
            if function is not None:
                values.append(function(output))
        return torch.cat(log_w), values

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
        """The learned variances that do not depend on t, or None if the likelihood has none."""
        likelihood = self.model.likelihood
        if not isinstance(likelihood, SharedGaussian):
            return None
        with torch.inference_mode():
            return np.asarray(np.exp(likelihood.log_variance.cpu().numpy()))

    # -- blocks --------------------------------------------------------------------------------------

    def _by_block(
        self, rows: Floats, function: Callable[[Tensor, Tensor | None], Tensor], k: int
    ) -> Floats:
        """Apply a function to all rows, in blocks so small that k samples of each fit into memory.

        A single block is too little work for more than one thread.
        """
        size = max(1, MAX_CELLS // (self.architecture.width * k))
        with torch.inference_mode(), one_thread() if len(rows) <= size else nullcontext():
            values = [
                function(*self._filled(rows[start : start + size])).cpu().numpy()
                for start in range(0, len(rows), size)
            ]
        return np.concatenate(values)

    def _sample_slices(self, n: int, k: int) -> list[slice]:
        """Slices of k samples, each small enough for a block of at most n rows."""
        rows = min(n, max(1, MAX_CELLS // (self.architecture.width * k)))
        size = max(1, MAX_CELLS // (self.architecture.width * rows))
        return [slice(start, min(start + size, k)) for start in range(0, k, size)]
