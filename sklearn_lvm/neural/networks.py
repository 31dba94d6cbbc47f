"""The networks of a variational autoencoder: an encoder q(t | x) and a decoder of p(x | t)."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from .likelihoods import LIKELIHOODS

CLIP_DEVIATIONS = 100.0  # standard deviations to which the encoder clips entries
MIN_ONEDNN_PRODUCTS = 1 << 22  # in a layer; below this the call of oneDNN costs more than it saves
MAX_LOG_VARIANCE = 12.0  # of the posterior, in absolute value; exp(12) is 163 thousand

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "identity": nn.Identity,
    "logistic": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
}
Factory = Callable[[int, int], nn.Module]


@dataclass(frozen=True)
class Architecture:
    """What determines both networks but for their weights."""

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
        """Number of outputs of the decoder for one row."""
        return LIKELIHOODS[self.likelihood].outputs_per_feature * self.n_features

    @property
    def width(self) -> int:
        """The most units that a layer of the decoder has for one row."""
        sizes = self.hidden_layer_sizes
        if self.network == "conv":
            sizes = tuple(prod(shape) for shape in _image_shapes(self))
        return max(self.n_outputs, self.n_components, *sizes)


class Encoder(nn.Module):
    """q(t | x) = N(mean, diag exp(log_var)), of a row and the mask of its observed entries.

    The first layer takes the row, with zeros for missing entries. ``missing_layer`` adds a linear
    function of the mask of missing entries. Complete rows do not use ``missing_layer``: its weights
    change nothing for them.
    """

    def __init__(self, first: nn.Module, missing_layer: nn.Module, rest: nn.Module) -> None:
        super().__init__()
        self.first, self.missing_layer, self.rest = first, missing_layer, rest
        for parameter in missing_layer.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, observed: Tensor | None) -> tuple[Tensor, Tensor]:
        """Mean and log-variance, (n, q) each; those of the prior for a row without observed entries."""
        hidden = self.first(x.clamp(-CLIP_DEVIATIONS, CLIP_DEVIATIONS))
        if observed is not None:
            hidden = hidden + self.missing_layer(1.0 - observed)
        mean, raw = self.rest(hidden).to(x.dtype).chunk(2, dim=-1)
        log_var = MAX_LOG_VARIANCE * torch.tanh(raw / MAX_LOG_VARIANCE)
        if observed is None:
            return mean, log_var
        any_observed = observed.amax(dim=-1, keepdim=True)
        return mean * any_observed, log_var * any_observed


class Autoencoder(nn.Module):
    """Encoder, decoder, and the likelihood of a row given the outputs of the decoder."""

    def __init__(self, architecture: Architecture) -> None:
        super().__init__()
        make_encoder, make_decoder = NETWORKS[architecture.network]
        if architecture.encoder is not None:
            make_encoder = _custom_encoder
        if architecture.decoder is not None:
            make_decoder = _custom_decoder
        self.architecture, self.n_components = architecture, architecture.n_components
        self.encoder, self.decoder = make_encoder(architecture), make_decoder(architecture)
        self.likelihood = LIKELIHOODS[architecture.likelihood](architecture.n_features)

    def decode(self, t: Tensor) -> Tensor:
        """Outputs of the decoder, (..., q) -> (..., m)."""
        flat = self.decoder(t.reshape(-1, self.n_components))
        return flat.to(t.dtype).reshape(*t.shape[:-1], -1)

    def generative_parameters(self) -> int:
        """Number of parameters of p(x): those of the decoder and of the likelihood."""
        modules = (self.decoder, self.likelihood)
        return sum(p.numel() for module in modules for p in module.parameters())


def build(architecture: Architecture, seed: int) -> Autoencoder:
    """Networks with random weights that depend on the seed alone; torch's generator is not advanced."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Autoencoder(architecture).to(torch.float32)


# -- layers --------------------------------------------------------------------------------------------


class Dense(nn.Linear):
    """A linear layer that uses oneDNN for large float32 products on the CPU.

    torch itself uses its BLAS for them, which is half as fast on some processors.
    """

    def forward(self, x: Tensor) -> Tensor:
        if _faster_by_onednn(x, self.out_features):
            return linear(x.to_mkldnn(), self.weight, self.bias).to_dense()
        return super().forward(x)


def _faster_by_onednn(x: Tensor, n_outputs: int) -> bool:
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
    sizes = reversed(architecture.hidden_layer_sizes)
    widths = [architecture.n_components, *sizes, architecture.n_outputs]
    first = Dense(widths[0], widths[1])
    return nn.Sequential(first, *_chain(widths[1:], ACTIVATIONS[architecture.activation]))


def _custom_encoder(architecture: Architecture) -> Encoder:
    """A user's encoder; a linear function of the mask fills in missing entries."""
    assert architecture.encoder is not None
    d = architecture.n_features
    module = architecture.encoder(d, 2 * architecture.n_components)
    return Encoder(nn.Identity(), nn.Linear(d, d, bias=False), module)


def _custom_decoder(architecture: Architecture) -> nn.Module:
    """A user's decoder."""
    assert architecture.decoder is not None
    return architecture.decoder(architecture.n_components, architecture.n_outputs)


# -- convolutions: each stage halves the sides of the image --------------------------------------------


def _image_shapes(architecture: Architecture) -> list[tuple[int, ...]]:
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
    shapes, activation = _image_shapes(architecture), ACTIVATIONS[architecture.activation]
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
    shapes, activation = _image_shapes(architecture), ACTIVATIONS[architecture.activation]
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
