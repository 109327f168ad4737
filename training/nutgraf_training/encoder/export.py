"""From a trained model to one ONNX file that onnxruntime runs, in fp32 or int8."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from nutgraf.encoder import INPUTS, OUTPUT
from nutgraf.graph import check_graph
from nutgraf_training.encoder.attention import use_exported_attention
from nutgraf_training.encoder.modeling import NutgrafModel
from nutgraf_training.encoder.quantise import EMBEDDING_STEPS, LARGE_EMBEDDING

__all__ = ["export_graph"]

#: The first version in which attention is one operator.
_OPSET = 23


def export_graph(model: NutgrafModel, *, precision: str, tokens: int, scale: str = "window") -> bytes:
    """The graph that ``nutgraf.encoder`` runs.

    Args:
        model: in fp32.
        precision: ``fp32``; or ``int8``, which stores matrices per output channel and embeddings per row in eight bits
            (seven for matrices: on processors without VNNI two products of eight bits overflow), and computes products
            of matrices in integers, with activations scaled by their largest value.
        tokens: the longest window.
        scale: what enters the feed-forward layers is scaled, in ``int8``, by the largest value of the ``window``, or of
            each ``token`` (Yao et al., 2022, arXiv:2206.01861), which rounds less and is slower.

    Returns:
        an ONNX model with the inputs ``nutgraf.encoder.INPUTS`` and the output ``nutgraf.encoder.OUTPUT``.
    """
    single = _OneWindow(copy.deepcopy(model).float().cpu().eval())
    use_exported_attention(single.model.encoder)
    if precision == "int8":
        _shrink_embeddings(single)
        if scale == "token":
            _scale_tokens(single.model.encoder)
    length = torch.export.Dim("tokens", min=2, max=tokens)
    paragraphs = torch.export.Dim("paragraphs", min=2, max=tokens)
    example = (torch.arange(24)[None] % 7 + 3, (torch.arange(24) // 8)[None], torch.arange(3)[None])
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings(), _quiet():
        warnings.simplefilter("ignore")
        file = Path(folder) / "model.onnx"
        torch.onnx.export(
            single,
            example,
            file,
            dynamo=True,
            opset_version=_OPSET,
            input_names=list(INPUTS),
            output_names=[OUTPUT],
            dynamic_shapes=({1: length}, {1: length}, {1: paragraphs}),
            external_data=False,
            verbose=False,
        )
        if precision == "fp32":
            return _plain(file)
        from onnxruntime.quantization import QuantType, quantize_dynamic

        small = Path(folder) / "int8.onnx"
        quantize_dynamic(
            file,
            small,
            op_types_to_quantize=["MatMul"],
            weight_type=QuantType.QInt8,
            per_channel=True,
            reduce_range=True,
            extra_options={"MatMulConstBOnly": True},
        )
        return _plain(small)


class _OneWindow(nn.Module):
    """The model without padding and loss."""

    def __init__(self, model: NutgrafModel) -> None:
        super().__init__()
        self.model = model
        # Of rank two, so that they are exported as Gemm, which keeps the names of their weights.
        model.dense, model.classifier = _Flat(model.dense), _Flat(model.classifier)

    def forward(self, input_ids: Tensor, segments: Tensor, positions: Tensor) -> Tensor:
        logits: Tensor = self.model(input_ids=input_ids, segments=segments, positions=positions).logits
        return logits


class _Flat(nn.Module):
    """A linear layer over all rows of a batch at once."""

    def __init__(self, inner: nn.Linear) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, hidden: Tensor) -> Tensor:
        flat: Tensor = self.inner(hidden.reshape(-1, hidden.shape[-1]))
        return flat.reshape(hidden.shape[0], -1, flat.shape[-1])


class _SmallEmbedding(nn.Module):
    """An embedding whose rows are stored in eight bits, each with a scale of its own."""

    def __init__(self, embedding: nn.Embedding) -> None:
        super().__init__()
        weight = embedding.weight.data
        scale = weight.abs().amax(dim=1, keepdim=True).clamp(min=1e-12) / EMBEDDING_STEPS
        self.register_buffer("rows", torch.round(weight / scale).to(torch.int8))
        self.register_buffer("scale", scale)

    def forward(self, numbers: Tensor) -> Tensor:
        rows, scale = self.get_buffer("rows"), self.get_buffer("scale")
        return rows[numbers].to(torch.float32) * scale[numbers]


def _shrink_embeddings(module: nn.Module) -> None:
    for name, child in module.named_children():
        if isinstance(child, nn.Embedding) and child.num_embeddings > LARGE_EMBEDDING:
            setattr(module, name, _SmallEmbedding(child))
        else:
            _shrink_embeddings(child)


class _TokenScaled(nn.Module):
    """A linear layer that sees every token divided by its largest value."""

    def __init__(self, inner: nn.Linear) -> None:
        super().__init__()
        self.weight, self.bias = inner.weight, inner.bias

    def forward(self, hidden: Tensor) -> Tensor:
        scale = hidden.abs().amax(dim=-1, keepdim=True).clamp(min=1e-6)
        product = linear(hidden / scale, self.weight) * scale
        return product if self.bias is None else product + self.bias


def _scale_tokens(encoder: nn.Module) -> None:
    """In the feed-forward layers, those that are not square."""
    for name, child in encoder.named_children():
        if isinstance(child, nn.Linear) and child.in_features != child.out_features:
            setattr(encoder, name, _TokenScaled(child))
        else:
            _scale_tokens(child)


def _plain(file: Path) -> bytes:
    """Without the notes that the exporter leaves on every node, which name files of this machine."""
    import onnx

    model = onnx.load(file)
    for node in model.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*model.graph.input, *model.graph.output, *model.graph.value_info):
        del value.metadata_props[:]
    for tensor in model.graph.initializer:
        del tensor.metadata_props[:]
        tensor.doc_string = ""
    del model.graph.metadata_props[:]
    del model.metadata_props[:]
    model.graph.doc_string = model.doc_string = ""
    content: bytes = model.SerializeToString(deterministic=True)
    check_graph(content)  # what is not read back is better not written
    return content


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the exporter's chatter."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            yield
    finally:
        logging.disable(before)
