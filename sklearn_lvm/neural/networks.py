"""The networks of a variational autoencoder: an encoder q(t | x) and a decoder of p(x | t)."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn

from .custom import Factory, custom
from .layers import Layers
from .likelihoods import LIKELIHOODS
from .settings import recorded_gradients

CLIP_DEVIATIONS = 10.0  # standard deviations to which the encoder, and it alone, clips entries
MAX_LOG_VARIANCE = 12.0  # of the posterior, in absolute value; exp(12) is 163 thousand

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "identity": nn.Identity,
    "logistic": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
}
COUNTED = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d)  # layers that take time


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
    def custom(self) -> bool:
        """Whether a network is a user's."""
        return self.encoder is not None or self.decoder is not None

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

    def __init__(self, architecture: Architecture, layers: Layers) -> None:
        super().__init__()
        make_encoder, make_decoder = NETWORKS[architecture.network]
        if architecture.encoder is not None:
            make_encoder = _custom_encoder
        if architecture.decoder is not None:
            make_decoder = _custom_decoder
        self.architecture, self.n_components = architecture, architecture.n_components
        self.encoder = make_encoder(architecture, layers)
        self.decoder = make_decoder(architecture, layers)
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
    """Networks on the CPU, in float32, with random weights that depend on the seed alone."""
    with recorded_gradients():
        return Autoencoder(architecture, Layers(seed))


def n_products(model: Autoencoder, k: int) -> int:
    """Multiplications for a row and k latent variables in linear layers and convolutions, about."""
    counts: list[int] = []

    def count(layer: nn.Module, inputs: object, output: Tensor) -> None:
        counts.append(output.numel() * layer.weight[0].numel())

    layers = [part for part in model.modules() if isinstance(part, COUNTED)]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    x = next(model.parameters())
    with torch.no_grad():
        model.encoder(x.new_zeros(1, model.architecture.n_features), None)
        model.decode(x.new_zeros(k, 1, model.n_components))
    for hook in hooks:
        hook.remove()
    return sum(counts)


# -- dense layers --------------------------------------------------------------------------------------


def _chain(widths: list[int], activation: type[nn.Module], layers: Layers) -> nn.Sequential:
    """Linear layers with an activation between any two."""
    chain: list[nn.Module] = []
    for n_inputs, n_outputs in pairwise(widths):
        chain += [activation(), layers.dense(n_inputs, n_outputs)]
    return nn.Sequential(*chain)


def _mlp_encoder(architecture: Architecture, layers: Layers) -> Encoder:
    d = architecture.n_features
    widths = [*architecture.hidden_layer_sizes, 2 * architecture.n_components]
    missing_layer = layers.dense(d, widths[0], bias=False)
    rest = _chain(widths, ACTIVATIONS[architecture.activation], layers)
    return Encoder(layers.dense(d, widths[0]), missing_layer, rest)


def _mlp_decoder(architecture: Architecture, layers: Layers) -> nn.Module:
    sizes = reversed(architecture.hidden_layer_sizes)
    widths = [architecture.n_components, *sizes, architecture.n_outputs]
    first = layers.dense(widths[0], widths[1])
    return nn.Sequential(first, *_chain(widths[1:], ACTIVATIONS[architecture.activation], layers))


def _custom_encoder(architecture: Architecture, layers: Layers) -> Encoder:
    """A user's encoder; a linear function of the mask fills in missing entries."""
    assert architecture.encoder is not None
    d, n_outputs = architecture.n_features, 2 * architecture.n_components
    module = custom("encoder", architecture.encoder, d, n_outputs, layers.generator)
    return Encoder(nn.Identity(), layers.dense(d, d, bias=False), module)


def _custom_decoder(architecture: Architecture, layers: Layers) -> nn.Module:
    """A user's decoder."""
    assert architecture.decoder is not None
    sizes = architecture.n_components, architecture.n_outputs
    return custom("decoder", architecture.decoder, *sizes, layers.generator)


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


def _double(
    before: tuple[int, ...], after: tuple[int, ...], n_channels: int, layers: Layers
) -> nn.Module:
    """A transposed convolution; an image of odd side has one row less than twice the half."""
    more = tuple(after[i] - (2 * before[i] - 1) for i in (1, 2))
    return layers.transposed(before[0], n_channels, more)


def _conv_encoder(architecture: Architecture, layers: Layers) -> Encoder:
    shapes, activation = _image_shapes(architecture), ACTIVATIONS[architecture.activation]
    image = nn.Unflatten(1, shapes[0])
    rest: list[nn.Module] = [activation()]
    for before, after in pairwise(shapes[1:]):
        rest += [layers.convolution(before[0], after[0]), activation()]
    rest += [nn.Flatten(), layers.dense(prod(shapes[-1]), 2 * architecture.n_components)]
    n_channels = shapes[0][0], shapes[1][0]
    first, missing_layer = (layers.convolution(*n_channels, bias=bias) for bias in (True, False))
    return Encoder(
        nn.Sequential(image, first), nn.Sequential(image, missing_layer), nn.Sequential(*rest)
    )


def _conv_decoder(architecture: Architecture, layers: Layers) -> nn.Module:
    shapes, activation = _image_shapes(architecture), ACTIVATIONS[architecture.activation]
    stages: list[nn.Module] = [
        layers.dense(architecture.n_components, prod(shapes[-1])),
        nn.Unflatten(1, shapes[-1]),
    ]
    for before, after in zip(shapes[:1:-1], shapes[-2:0:-1], strict=True):
        stages += [activation(), _double(before, after, after[0], layers)]
    n_channels = architecture.n_outputs // prod(shapes[0][1:])
    last = _double(shapes[1], shapes[0], n_channels, layers)
    return nn.Sequential(*stages, activation(), last, nn.Flatten())


NETWORKS: dict[
    str,
    tuple[Callable[[Architecture, Layers], Encoder], Callable[[Architecture, Layers], nn.Module]],
] = {
    "mlp": (_mlp_encoder, _mlp_decoder),
    "conv": (_conv_encoder, _conv_decoder),
}
