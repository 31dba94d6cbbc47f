"""Linear layers and convolutions, with initial weights from a generator of one's own."""

import math
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.functional import linear
from torch.nn.utils import skip_init

MIN_ONEDNN_PRODUCTS = 1 << 22  # in a layer; below this the call of oneDNN costs more than it saves

Layer = TypeVar("Layer", bound=nn.Module)


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


class Layers:
    """Makes layers on the CPU in float32, whatever torch's defaults are.

    Initial weights have the distribution that torch gives them, but are drawn from ``generator``: the
    one that torch draws from is shared by all threads.
    """

    def __init__(self, seed: int) -> None:
        self.generator = torch.Generator("cpu").manual_seed(seed)

    def dense(self, n_inputs: int, n_outputs: int, *, bias: bool = True) -> Dense:
        """A linear layer."""
        return self._drawn(skip_init(Dense, n_inputs, n_outputs, bias=bias, dtype=torch.float32))

    def convolution(self, n_inputs: int, n_outputs: int, *, bias: bool = True) -> nn.Conv2d:
        """A convolution that halves both sides of an image."""
        options = {"stride": 2, "padding": 1, "bias": bias, "dtype": torch.float32}
        return self._drawn(skip_init(nn.Conv2d, n_inputs, n_outputs, 3, **options))

    def transposed(
        self, n_inputs: int, n_outputs: int, output_padding: tuple[int, ...]
    ) -> nn.ConvTranspose2d:
        """A transposed convolution that doubles both sides of an image, about."""
        options = {"stride": 2, "padding": 1, "output_padding": output_padding}
        layer = skip_init(
            nn.ConvTranspose2d, n_inputs, n_outputs, 3, **options, dtype=torch.float32
        )
        return self._drawn(layer)

    def _drawn(self, layer: Layer) -> Layer:
        """The layer, its weights drawn as ``reset_parameters`` of torch draws them."""
        nn.init.kaiming_uniform_(layer.weight, a=math.sqrt(5), generator=self.generator)
        if layer.bias is not None:
            bound = 1.0 / math.sqrt(layer.weight[0].numel())
            nn.init.uniform_(layer.bias, -bound, bound, generator=self.generator)
        return layer
