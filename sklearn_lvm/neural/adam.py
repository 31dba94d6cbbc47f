"""Adam with clipped gradients, in few calls."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

# A mean of squares over 20 steps follows the gradients of short trainings, one over 1000 does not.
SETTINGS = {"beta1": 0.9, "beta2": 0.95, "eps": 1e-8, "weight_decay": 0.0}


class Adam:
    """Adam (Kingma & Ba, 2015), whose steps first shorten a gradient that is too long.

    The arithmetic is that of ``torch.optim.Adam``, but for a count of steps that parameters share.
    That class looks at its settings again in each step, which takes small networks longer than the
    arithmetic, and the first one of a process imports torch's compiler, which takes a second.

    Parameters
    ----------
    parameters : sequence of Tensor
        A step changes those that have a gradient. All of them are on one device.
    max_norm : float
        Of the gradient with respect to all parameters; a longer one is scaled to this length.
    """

    def __init__(self, parameters: Sequence[Tensor], max_norm: float) -> None:
        self.parameters, self.max_norm = parameters, max_norm
        self.n_steps = torch.zeros((), dtype=torch.float32, device=parameters[0].device)
        self.values = {"n_steps": self.n_steps}
        self.groups: dict[torch.dtype, list[tuple[Tensor, ...]]] = {}
        for i, p in enumerate(parameters):
            first, second = torch.zeros_like(p), torch.zeros_like(p)
            self.values |= {f"first.{i}": first, f"second.{i}": second}
            self.groups.setdefault(p.dtype, []).append((p, first, second))

    @torch.no_grad()
    def step(self, rate: float) -> None:
        """Change the parameters by their gradients, which may be scaled in place."""
        self.n_steps += 1.0
        gradients = [p.grad for p in self.parameters if p.grad is not None]
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        divisor = (norm / self.max_norm).clamp_(min=1.0).to(torch.float32)
        for parts in self.groups.values():
            self._change(parts, rate, divisor)

    def _change(self, parts: list[tuple[Tensor, ...]], rate: float, divisor: Tensor) -> None:
        """Change parameters of one type, by gradients that are divided first."""
        present = [(p, p.grad, *moments) for p, *moments in parts if p.grad is not None]
        if present:
            torch._fused_adam_(
                *map(list, zip(*present, strict=True)),
                [],
                [self.n_steps] * len(present),
                grad_scale=divisor,
                lr=rate,
                amsgrad=False,
                maximize=False,
                **SETTINGS,
            )

    def state(self) -> dict[str, Tensor]:
        """A copy of the moments of the gradients, and of the number of steps."""
        return {name: value.clone() for name, value in self.values.items()}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Continue from a state.

        Raises
        ------
        ValueError
            If the state is one of another optimizer.
        """
        if state.keys() != self.values.keys():
            unknown = ", ".join(sorted(state.keys() ^ self.values.keys()))
            raise ValueError(f"The state of the optimizer is one of others: {unknown}.")
        for name, value in self.values.items():
            value.copy_(state[name])
