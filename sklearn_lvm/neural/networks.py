"""The networks of a variational autoencoder: an encoder and a decoder, dense or convolutional."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from .likelihoods import LIKELIHOODS

MAX_DEVIATIONS = 100.0  # standard deviations at which entries are clipped for the encoder
MIN_ONEDNN_PRODUCTS = 1 << 22  # multiplications in a layer from which on oneDNN is faster
MAX_LOG_VARIANCE = 12.0  # log-variances of the posterior stay within this

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "identity": nn.Identity,
    "logistic": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
}
Factory = Callable[[int, int], nn.Module]


@dataclass(frozen=True)
class Architecture:
    """What both networks are built from."""

    n_features: int
    n_components: int
    likelihood: str
    hidden_layer_sizes: tuple[int, ...]
    activation: str
    network: str
    image_shape: tuple[int, ...] | None
    encoder: Factory | None
    decoder: Factory | None

    @property
    def n_outputs(self) -> int:
        """The number of outputs of the decoder."""
        return LIKELIHOODS[self.likelihood].outputs_per_feature * self.n_features

    @property
    def width(self) -> int:
        """The largest number of entries of a row in a layer of the decoder, about."""
        stages = (
            _stage_shapes(self)
            if self.network == "conv"
            else [(n,) for n in self.hidden_layer_sizes]
        )
        return max(self.n_outputs, self.n_components, *map(prod, stages))


class Encoder(nn.Module):
    """The encoder q(t | x) = N(mean, diag exp(log_var)) of a row and of which entries were observed.

    The first layer takes the row, filled with zeros; ``missing_layer`` takes an indicator of missing
    entries. Complete rows do not pass through ``missing_layer``, so that its weights change nothing
    for them.
    """

    def __init__(self, first: nn.Module, missing_layer: nn.Module, rest: nn.Module) -> None:
        super().__init__()
        self.first, self.missing_layer, self.rest = first, missing_layer, rest
        for parameter in missing_layer.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, observed: Tensor | None) -> tuple[Tensor, Tensor]:
        """Mean and log-variance, (n, q) each; those of the prior where nothing was observed."""
        hidden = self.first(x.clamp(-MAX_DEVIATIONS, MAX_DEVIATIONS))
        if observed is not None:
            hidden = hidden + self.missing_layer(1.0 - observed)
        mean, free = self.rest(hidden).to(x.dtype).chunk(2, dim=-1)
        log_var = MAX_LOG_VARIANCE * torch.tanh(free / MAX_LOG_VARIANCE)
        if observed is None:
            return mean, log_var
        anything = observed.amax(dim=-1, keepdim=True)
        return mean * anything, log_var * anything


class Autoencoder(nn.Module):
    """An encoder, a decoder, and the likelihood of a row given the decoder's outputs."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        encoder, decoder = NETWORKS[architecture.network]
        q, d = architecture.n_components, architecture.n_features
        self.architecture, self.n_components = architecture, q
        self.encoder = (
            encoder(architecture)
            if architecture.encoder is None
            else _custom_encoder(architecture.encoder(d, 2 * q), d)
        )
        self.decoder = (
            decoder(architecture)
            if architecture.decoder is None
            else architecture.decoder(q, architecture.n_outputs)
        )
        self.likelihood = LIKELIHOODS[architecture.likelihood](d)

    def decode(self, t: Tensor) -> Tensor:
        """Outputs of the decoder, (..., q) -> (..., m)."""
        flat = self.decoder(t.reshape(-1, self.n_components))
        return flat.to(t.dtype).reshape(*t.shape[:-1], -1)

    def generative_parameters(self) -> int:
        """The number of parameters of p(x): those of the decoder and of the likelihood."""
        parts = (self.decoder, self.likelihood)
        return sum(p.numel() for part in parts for p in part.parameters())


def build(architecture: Architecture, seed: int) -> Autoencoder:
    """Networks whose weights depend on the seed alone; torch's own random state is left as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Autoencoder(architecture).to(torch.float32)


# -- layers --------------------------------------------------------------------------------------------


class Dense(nn.Linear):
    """A linear layer that oneDNN computes where it is large, in float32 and on the CPU.

    torch uses its BLAS there, which on some processors is half as fast.
    """

    def forward(self, x: Tensor) -> Tensor:
        if _suits_onednn(x, self.out_features):
            return linear(x.to_mkldnn(), self.weight, self.bias).to_dense()
        return super().forward(x)


def _suits_onednn(x: Tensor, n_outputs: int) -> bool:
    return (
        x.numel() * n_outputs > MIN_ONEDNN_PRODUCTS
        and x.dtype is torch.float32
        and x.device.type == "cpu"
        and torch.backends.mkldnn.is_available()
        and not torch.is_autocast_enabled("cpu")
        and not torch.compiler.is_compiling()
    )


def _chain(widths: list[int], activation: type[nn.Module]) -> nn.Sequential:
    """Linear layers with an activation between any two."""
    layers: list[nn.Module] = []
    for n_inputs, n_outputs in pairwise(widths):
        layers += [activation(), Dense(n_inputs, n_outputs)]
    return nn.Sequential(*layers)


def _mlp_encoder(architecture: Architecture) -> Encoder:
    d = architecture.n_features
    widths = [*architecture.hidden_layer_sizes, 2 * architecture.n_components]
    missing_layer = Dense(d, widths[0], bias=False)
    rest = _chain(widths, ACTIVATIONS[architecture.activation])
    return Encoder(Dense(d, widths[0]), missing_layer, rest)


def _mlp_decoder(architecture: Architecture) -> nn.Module:
    widths = [
        architecture.n_components,
        *reversed(architecture.hidden_layer_sizes),
        architecture.n_outputs,
    ]
    first = Dense(widths[0], widths[1])
    return nn.Sequential(first, *_chain(widths[1:], ACTIVATIONS[architecture.activation]))


def _custom_encoder(module: nn.Module, d: int) -> Encoder:
    """An encoder around a user's module, to which missing entries are numbers in their place."""
    return Encoder(nn.Identity(), nn.Linear(d, d, bias=False), module)


# -- convolutions: each stage halves the sides of the image --------------------------------------------


def _stage_shapes(architecture: Architecture) -> list[tuple[int, ...]]:
    """The shapes of the image after each stage, channels first."""
    assert architecture.image_shape is not None
    *channels, height, width = architecture.image_shape
    shapes: list[tuple[int, ...]] = [(*(channels or [1]), height, width)]
    for n_channels in architecture.hidden_layer_sizes:
        _, height, width = shapes[-1]
        shapes.append((n_channels, -(-height // 2), -(-width // 2)))
    return shapes


def _halve(before: tuple[int, ...], after: tuple[int, ...], **options: bool) -> nn.Conv2d:
    return nn.Conv2d(before[0], after[0], 3, stride=2, padding=1, **options)


def _double(before: tuple[int, ...], after: tuple[int, ...], n_channels: int) -> nn.Module:
    """A transposed convolution; an image of odd side has one row less than twice the half."""
    more = tuple(after[i] - (2 * before[i] - 1) for i in (1, 2))
    return nn.ConvTranspose2d(before[0], n_channels, 3, 2, padding=1, output_padding=more)


def _conv_encoder(architecture: Architecture) -> Encoder:
    shapes, activation = _stage_shapes(architecture), ACTIVATIONS[architecture.activation]
    image = nn.Unflatten(1, shapes[0])
    rest: list[nn.Module] = [activation()]
    for before, after in pairwise(shapes[1:]):
        rest += [_halve(before, after), activation()]
    rest += [nn.Flatten(), Dense(prod(shapes[-1]), 2 * architecture.n_components)]
    first, missing_layer = (_halve(shapes[0], shapes[1], bias=bias) for bias in (True, False))
    return Encoder(
        nn.Sequential(image, first), nn.Sequential(image, missing_layer), nn.Sequential(*rest)
    )


def _conv_decoder(architecture: Architecture) -> nn.Module:
    shapes, activation = _stage_shapes(architecture), ACTIVATIONS[architecture.activation]
    layers: list[nn.Module] = [
        Dense(architecture.n_components, prod(shapes[-1])),
        nn.Unflatten(1, shapes[-1]),
    ]
    for before, after in zip(shapes[:1:-1], shapes[-2:0:-1], strict=True):
        layers += [activation(), _double(before, after, after[0])]
    n_channels = architecture.n_outputs // prod(shapes[0][1:])
    return nn.Sequential(
        *layers, activation(), _double(shapes[1], shapes[0], n_channels), nn.Flatten()
    )


NETWORKS: dict[
    str, tuple[Callable[[Architecture], Encoder], Callable[[Architecture], nn.Module]]
] = {
    "mlp": (_mlp_encoder, _mlp_decoder),
    "conv": (_conv_encoder, _conv_decoder),
}
