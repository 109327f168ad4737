"""Attention where transformers has a slower one: MPNet's in training, BERT's and RoBERTa's in an exported graph."""

from __future__ import annotations

import types
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers.modeling_outputs import BaseModelOutput

__all__ = ["use_exported_attention", "use_fused_attention"]

#: Up to this many tokens a processor goes back through attention two to three times as fast step by step.
_SHORT = 384


def use_fused_attention(encoder: nn.Module) -> None:
    """Gives an MPNet encoder torch's fused attention, which trains about three times as fast; leaves others alone.

    MPNet (Song et al., 2020, arXiv:2004.09297) adds a bias for the distance of two tokens to their attention scores.
    transformers adds it step by step in every layer; here it is put into the mask, once, and is not trained any more.
    """
    from transformers.models.mpnet.modeling_mpnet import MPNetEncoder, MPNetSelfAttention

    for module in encoder.modules():
        if isinstance(module, MPNetEncoder):
            module.relative_attention_bias.requires_grad_(False)
            module.forward = types.MethodType(_encode, module)
        elif isinstance(module, MPNetSelfAttention):
            module.forward = types.MethodType(_attend, module)


def use_exported_attention(encoder: nn.Module) -> None:
    """Gives a BERT or RoBERTa encoder, before it is exported, attention without a mask; leaves others alone.

    In a window by itself every token sees every other, and the operator takes what the linear layers give as it is.
    """
    from transformers.models.bert.modeling_bert import BertSelfAttention
    from transformers.models.roberta.modeling_roberta import RobertaSelfAttention

    for module in encoder.modules():
        if isinstance(module, BertSelfAttention | RobertaSelfAttention):
            module.forward = types.MethodType(_attend_whole, module)


def _encode(self: Any, hidden_states: Tensor, attention_mask: Tensor | None = None, **_: Any) -> BaseModelOutput:
    """Stands in for ``MPNetEncoder.forward``; ``hidden_states`` is ``(batch, tokens, hidden)``."""
    mask = self.compute_position_bias(hidden_states)  # (batch, heads, tokens, tokens)
    if attention_mask is not None:
        mask = mask + attention_mask
    device = hidden_states.device.type
    if torch.is_autocast_enabled(device):
        mask = mask.to(torch.get_autocast_dtype(device))
    for layer in self.layer:
        hidden_states = layer(hidden_states, None, mask)[0]
    return BaseModelOutput(last_hidden_state=hidden_states)


def _attend(self: Any, hidden_states: Tensor, attention_mask: None, position_bias: Tensor, **_: Any) -> tuple[Tensor]:
    """Stands in for ``MPNetSelfAttention.forward``; the mask of ``_encode`` comes as the bias."""
    shape = (*hidden_states.shape[:-1], -1, self.attention_head_size)
    query, key, value = (part(hidden_states).view(shape).transpose(1, 2) for part in (self.q, self.k, self.v))
    if query.requires_grad and query.device.type == "cpu" and query.shape[-2] <= _SHORT:
        scores = query * self.attention_head_size**-0.5 @ key.transpose(-1, -2) + position_bias.to(query.dtype)
        found = scores.softmax(dim=-1) @ value
    else:
        found = scaled_dot_product_attention(query, key, value, attn_mask=position_bias.to(query.dtype))
    return (self.o(found.transpose(1, 2).reshape(hidden_states.shape)),)


def _attend_whole(self: Any, hidden_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, None]:
    """Stands in for ``BertSelfAttention.forward``."""
    heads = self.num_attention_heads
    parts = (self.query(hidden_states), self.key(hidden_states), self.value(hidden_states))
    return torch.onnx.ops.attention(*parts, q_num_heads=heads, kv_num_heads=heads)[0], None
