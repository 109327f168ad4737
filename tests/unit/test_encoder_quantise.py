"""Simulated eight-bit arithmetic: what is rounded, to which steps, and that gradients pass."""

from __future__ import annotations

import torch
from torch import nn

from nutgraf_training.encoder.quantise import round_weights, simulate_int8


def layer() -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(16, 8)


def test_training_rounds_inputs_and_weights() -> None:
    exact, rounded = layer(), layer()
    simulate_int8(rounded)
    hidden = torch.randn(3, 5, 16, generator=torch.Generator().manual_seed(1))
    found = rounded.train()(hidden)
    assert 0 < (found - exact(hidden)).abs().max() < 0.1
    for window, output in zip(hidden, found, strict=True):
        step = (window.max().clamp(min=0) - window.min().clamp(max=0)) / 255
        weight_step = exact.weight.abs().amax(1, keepdim=True) / 64
        by_hand = ((window / step).round() * step) @ ((exact.weight / weight_step).round() * weight_step).T + exact.bias
        torch.testing.assert_close(output, by_hand, atol=1e-6, rtol=0)


def test_a_window_is_rounded_by_itself() -> None:
    rounded = layer()
    simulate_int8(rounded)
    rounded.train()
    hidden = torch.randn(2, 5, 16)
    beside_large = torch.cat([hidden, 1000 * torch.randn(1, 5, 16)])
    torch.testing.assert_close(rounded(beside_large)[:2], rounded(hidden), atol=1e-6, rtol=0)


def test_evaluation_rounds_nothing() -> None:
    exact, rounded = layer(), layer()
    simulate_int8(rounded)
    hidden = torch.randn(2, 5, 16)
    assert torch.equal(rounded.eval()(hidden), exact(hidden))


def test_gradients_pass_as_if_nothing_was_rounded() -> None:
    exact, rounded = layer(), layer()
    simulate_int8(rounded)
    ours = torch.randn(2, 5, 16).requires_grad_()
    theirs = ours.detach().clone().requires_grad_()
    rounded.train()(ours).sum().backward()
    exact(theirs).sum().backward()
    assert ours.grad is not None
    assert theirs.grad is not None
    torch.testing.assert_close(ours.grad, theirs.grad, atol=0.02, rtol=0.02)
    assert rounded.weight.grad is not None
    assert (rounded.weight.grad != 0).any()


def test_a_window_of_zeros() -> None:
    rounded = layer()
    simulate_int8(rounded)
    torch.testing.assert_close(rounded.train()(torch.zeros(1, 2, 16))[0, 0], rounded.bias)


def test_rounded_weights_stay_and_are_few() -> None:
    torch.manual_seed(0)
    model = nn.ModuleDict({"words": nn.Embedding(2000, 8), "places": nn.Embedding(10, 8), "dense": layer()})
    before = {name: value.clone() for name, value in model.state_dict().items()}
    round_weights(model)
    once = {name: value.clone() for name, value in model.state_dict().items()}
    for name, steps in (("words.weight", 127), ("dense.weight", 64)):
        step = before[name].abs().amax(1, keepdim=True) / steps
        places = once[name] / step
        torch.testing.assert_close(places, places.round(), atol=1e-3, rtol=0)
        assert 0 < (once[name] - before[name]).abs().max() <= step.max() / 2 * 1.001
    for name in ("places.weight", "dense.bias"):
        assert torch.equal(once[name], before[name])
    round_weights(model)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(value, once[name], atol=1e-7, rtol=0)
