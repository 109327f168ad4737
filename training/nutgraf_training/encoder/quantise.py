"""Eight-bit arithmetic, simulated while training, so that the exported graph loses little by it."""

from __future__ import annotations

import types
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

__all__ = ["EMBEDDING_STEPS", "LARGE_EMBEDDING", "round_weights", "simulate_int8"]

#: What the export stores: activations in eight bits, weights in seven (see ``export_graph``).
_ACTIVATION_STEPS, _WEIGHT_STEPS = 255, 64
#: Steps on either side of zero that a row of a large embedding has, and how many rows make it large.
EMBEDDING_STEPS, LARGE_EMBEDDING = 127, 1000


def simulate_int8(encoder: nn.Module) -> None:
    """Makes the linear layers of an encoder compute, while it trains, as its eight-bit export will.

    Inputs are rounded to the steps between the smallest and the largest value in their window, weights to those of
    their output channel; gradients pass as if nothing had been rounded (Jacob et al., 2018, arXiv:1712.05877, and the
    straight-through estimator of Bengio et al., 2013, arXiv:1308.3432). In evaluation nothing is rounded.
    An export with a scale for every token rounds less than this.
    """
    for module in encoder.modules():
        if isinstance(module, nn.Linear):
            module.forward = types.MethodType(_forward, module)


def round_weights(encoder: nn.Module) -> None:
    """Gives matrices and large embeddings the values that the eight-bit export can store.

    So the export of a model that was trained to be rounded differs from the model in its activations alone.
    """
    with torch.no_grad():
        for module in encoder.modules():
            if isinstance(module, nn.Linear):
                module.weight.copy_(_in_steps(module.weight, _WEIGHT_STEPS))
            elif isinstance(module, nn.Embedding) and module.num_embeddings > LARGE_EMBEDDING:
                module.weight.copy_(_in_steps(module.weight, EMBEDDING_STEPS))


def _forward(self: Any, hidden: Tensor) -> Tensor:
    """Stands in for ``nn.Linear.forward``; ``hidden`` is ``(batch, tokens, features)``."""
    if not self.training:
        return linear(hidden, self.weight, self.bias)
    axes = tuple(range(1, hidden.ndim))
    high, low = hidden.detach().amax(axes, keepdim=True), hidden.detach().amin(axes, keepdim=True)
    span = high.clamp(min=0.0) - low.clamp(max=0.0)
    return linear(_rounded(hidden, span / _ACTIVATION_STEPS), _in_steps(self.weight, _WEIGHT_STEPS), self.bias)


def _in_steps(weight: Tensor, steps: int) -> Tensor:
    """Rounded to so many steps between zero and the largest value of each row."""
    return _rounded(weight, weight.detach().abs().amax(1, keepdim=True) / steps)


def _rounded(values: Tensor, step: Tensor) -> Tensor:
    """To multiples of the step, with the gradient of the values themselves."""
    step = step.float().clamp(min=1e-12)
    found = (values.detach().float() / step).round() * step
    return values + (found.to(values.dtype) - values.detach())
