"""The two networks of a variational autoencoder: one proposes latent variables, one decodes them."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from math import prod

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from .likelihoods import LIKELIHOODS

REACH = 100.0  # standard deviations at which the encoder's view of an entry ends
ONEDNN = 1 << 22  # products in a layer from which on oneDNN is worth being asked
BOUND = 12.0  # log-variances of the posterior stay within this

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "identity": nn.Identity,
    "logistic": nn.Sigmoid,
    "tanh": nn.Tanh,
    "relu": nn.ReLU,
}
Factory = Callable[[int, int], nn.Module]


@dataclass(frozen=True)
class Plan:
    """From what both networks can be built anew."""

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
        """How many numbers the decoder gives for a row."""
        return LIKELIHOODS[self.likelihood].outputs_per_feature * self.n_features

    @property
    def width(self) -> int:
        """About how many numbers a row grows into on its way through the decoder."""
        stages = _sizes(self) if self.network == "conv" else [(n,) for n in self.hidden_layer_sizes]
        return max(self.n_outputs, self.n_components, *map(prod, stages))


class Encoder(nn.Module):
    """q(t | x) = N(mean, diag exp(log_var)), from a row and from what of it was seen.

    The first layer sees a row, filled with zeros, and through ``holes`` what is missing. Complete rows
    do not touch ``holes``: what is learned of missing entries changes nothing for them.
    """

    def __init__(self, first: nn.Module, holes: nn.Module, rest: nn.Module) -> None:
        super().__init__()
        self.first, self.holes, self.rest = first, holes, rest
        for parameter in holes.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, seen: Tensor | None) -> tuple[Tensor, Tensor]:
        """Mean and log-variance, (n, q) each; of a row with nothing seen those of the prior."""
        hidden = self.first(x.clamp(-REACH, REACH))
        if seen is not None:
            hidden = hidden + self.holes(1.0 - seen)
        mean, free = self.rest(hidden).to(x.dtype).chunk(2, dim=-1)
        log_var = BOUND * torch.tanh(free / BOUND)
        if seen is None:
            return mean, log_var
        anything = seen.amax(dim=-1, keepdim=True)
        return mean * anything, log_var * anything


class Autoencoder(nn.Module):
    """Encoder, decoder, and the likelihood of a row given what is decoded."""

    def __init__(self, plan: Plan) -> None:
        super().__init__()
        encoder, decoder = NETWORKS[plan.network]
        q, d = plan.n_components, plan.n_features
        self.plan, self.n_components = plan, q
        self.encoder = encoder(plan) if plan.encoder is None else _own(plan.encoder(d, 2 * q), d)
        self.decoder = decoder(plan) if plan.decoder is None else plan.decoder(q, plan.n_outputs)
        self.likelihood = LIKELIHOODS[plan.likelihood](d)

    def decode(self, t: Tensor) -> Tensor:
        """Outputs of the decoder, (..., q) -> (..., m)."""
        flat = self.decoder(t.reshape(-1, self.n_components))
        return flat.to(t.dtype).reshape(*t.shape[:-1], -1)

    def generative_parameters(self) -> int:
        """How many numbers determine p(x): the encoder only helps to find it."""
        parts = (self.decoder, self.likelihood)
        return sum(p.numel() for part in parts for p in part.parameters())


def build(plan: Plan, seed: int) -> Autoencoder:
    """Networks with weights that only the seed decides; torch's own state is left as it is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Autoencoder(plan).to(torch.float32)


# -- layers --------------------------------------------------------------------------------------------


class Dense(nn.Linear):
    """A linear layer that oneDNN computes where it is large, in float32 and on the CPU.

    There torch itself asks its BLAS, which on some processors is half as fast.
    """

    def forward(self, x: Tensor) -> Tensor:
        if _suits_onednn(x, self.out_features):
            return linear(x.to_mkldnn(), self.weight, self.bias).to_dense()
        return super().forward(x)


def _suits_onednn(x: Tensor, n_outputs: int) -> bool:
    return (
        x.numel() * n_outputs > ONEDNN
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


def _mlp_encoder(plan: Plan) -> Encoder:
    d = plan.n_features
    widths = [*plan.hidden_layer_sizes, 2 * plan.n_components]
    holes = Dense(d, widths[0], bias=False)
    rest = _chain(widths, ACTIVATIONS[plan.activation])
    return Encoder(Dense(d, widths[0]), holes, rest)


def _mlp_decoder(plan: Plan) -> nn.Module:
    widths = [plan.n_components, *reversed(plan.hidden_layer_sizes), plan.n_outputs]
    first = Dense(widths[0], widths[1])
    return nn.Sequential(first, *_chain(widths[1:], ACTIVATIONS[plan.activation]))


def _own(module: nn.Module, d: int) -> Encoder:
    """A user's encoder; what is missing shows as what stands in its place."""
    return Encoder(nn.Identity(), nn.Linear(d, d, bias=False), module)


# -- convolutions: each stage halves the sides of the image --------------------------------------------


def _sizes(plan: Plan) -> list[tuple[int, ...]]:
    """The shapes of the image after each stage, channels first."""
    assert plan.image_shape is not None
    *channels, height, width = plan.image_shape
    shapes: list[tuple[int, ...]] = [(*(channels or [1]), height, width)]
    for n_channels in plan.hidden_layer_sizes:
        _, height, width = shapes[-1]
        shapes.append((n_channels, -(-height // 2), -(-width // 2)))
    return shapes


def _halve(before: tuple[int, ...], after: tuple[int, ...], **options: bool) -> nn.Conv2d:
    return nn.Conv2d(before[0], after[0], 3, stride=2, padding=1, **options)


def _double(before: tuple[int, ...], after: tuple[int, ...], n_channels: int) -> nn.Module:
    """A transposed convolution; an image of odd side has one row less than twice the half."""
    more = tuple(after[i] - (2 * before[i] - 1) for i in (1, 2))
    return nn.ConvTranspose2d(before[0], n_channels, 3, 2, padding=1, output_padding=more)


def _conv_encoder(plan: Plan) -> Encoder:
    shapes, activation = _sizes(plan), ACTIVATIONS[plan.activation]
    image = nn.Unflatten(1, shapes[0])
    rest: list[nn.Module] = [activation()]
    for before, after in pairwise(shapes[1:]):
        rest += [_halve(before, after), activation()]
    rest += [nn.Flatten(), Dense(prod(shapes[-1]), 2 * plan.n_components)]
    first, holes = (_halve(shapes[0], shapes[1], bias=bias) for bias in (True, False))
    return Encoder(nn.Sequential(image, first), nn.Sequential(image, holes), nn.Sequential(*rest))


def _conv_decoder(plan: Plan) -> nn.Module:
    shapes, activation = _sizes(plan), ACTIVATIONS[plan.activation]
    layers: list[nn.Module] = [
        Dense(plan.n_components, prod(shapes[-1])),
        nn.Unflatten(1, shapes[-1]),
    ]
    for before, after in zip(shapes[:1:-1], shapes[-2:0:-1], strict=True):
        layers += [activation(), _double(before, after, after[0])]
    n_channels = plan.n_outputs // prod(shapes[0][1:])
    return nn.Sequential(
        *layers, activation(), _double(shapes[1], shapes[0], n_channels), nn.Flatten()
    )


NETWORKS: dict[str, tuple[Callable[[Plan], Encoder], Callable[[Plan], nn.Module]]] = {
    "mlp": (_mlp_encoder, _mlp_decoder),
    "conv": (_conv_encoder, _conv_decoder),
}
