"""Eight-bit arithmetic, simulated while training, so that the exported graph loses little by it."""

from __future__ import annotations

import types
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import linear

__all__ = ["simulate_int8"]

#: What the export stores: activations in eight bits, weights in seven (see ``export_graph``).
_ACTIVATION_STEPS, _WEIGHT_STEPS = 255, 64


def simulate_int8(encoder: nn.Module) -> None:
    """Makes the linear layers of an encoder compute, while it trains, as its eight-bit export will.

    Inputs are rounded to the steps between the smallest and the largest value in their window, weights to those of
    their output channel; gradients pass as if nothing had been rounded (Jacob et al., 2018, arXiv:1712.05877, and the
    straight-through estimator of Bengio et al., 2013, arXiv:1308.3432). In evaluation nothing is rounded.
    """
    for module in encoder.modules():
        if isinstance(module, nn.Linear):
            module.forward = types.MethodType(_forward, module)


def _forward(self: Any, hidden: Tensor) -> Tensor:
    """Stands in for ``nn.Linear.forward``; ``hidden`` is ``(batch, tokens, features)``."""
    if not self.training:
        return linear(hidden, self.weight, self.bias)
    axes = tuple(range(1, hidden.ndim))
    high, low = hidden.detach().amax(axes, keepdim=True), hidden.detach().amin(axes, keepdim=True)
    span = high.clamp(min=0.0) - low.clamp(max=0.0)
    step = self.weight.detach().abs().amax(1, keepdim=True) / _WEIGHT_STEPS
    return linear(_rounded(hidden, span / _ACTIVATION_STEPS), _rounded(self.weight, step), self.bias)


def _rounded(values: Tensor, step: Tensor) -> Tensor:
    """To multiples of the step, with the gradient of the values themselves."""
    step = step.float().clamp(min=1e-12)
    found = (values.detach().float() / step).round() * step
    return values + (found.to(values.dtype) - values.detach())
