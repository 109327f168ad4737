"""Weights read back from an exported graph, so that training can go on from a model that kept nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

__all__ = ["restore"]

Arrays = Mapping[str, NDArray[Any]]

#: How a graph names what wraps the model, and what wraps its last layers (see ``nutgraf_training.encoder.export``).
_AROUND, _WRAPPED = "model.", ".inner."


def restore(model: nn.Module, graph: bytes) -> None:
    """Gives a model the weights of a graph that ``export_graph`` made of one of the same configuration.

    Those of an eight-bit graph are the rounded ones that it computes with. A classifier of other labels keeps its own.

    Args:
        model: a NutgrafModel, whose linear layers are run in the order of its modules.
        graph: an ONNX model in fp32 or int8.

    Raises:
        ValueError: the graph does not fit the model.
    """
    import onnx
    from onnx.numpy_helper import to_array

    found = onnx.load_from_string(graph).graph
    arrays = {each.name: to_array(each) for each in found.initializer}
    state = {
        name.removeprefix(_AROUND).replace(_WRAPPED, "."): torch.tensor(array)
        for name, array in arrays.items()
        if name.startswith(_AROUND) and array.dtype == np.float32
    }
    matrices = _matrices(found.node, arrays)
    layers = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    layers.sort(key=lambda name: not name.startswith("encoder."))  # in the order that they are run in
    if len(layers) != len(matrices):
        raise ValueError(f"the graph has {len(matrices)} products of matrices, expected {len(layers)}")
    state |= {f"{layer}.weight": matrix for layer, matrix in zip(layers, matrices, strict=True)}
    expected = model.state_dict()
    for name, module in model.named_modules():
        if isinstance(module, nn.Embedding) and f"{name}.weight" not in state:
            state[f"{name}.weight"] = _large_embedding(arrays, module)
    for name, weight in expected.items():
        if name not in state or (name.startswith("classifier.") and state[name].shape != weight.shape):
            if not name.startswith("classifier."):
                raise ValueError(f"the graph lacks {name}; an export stores weights once that are equal")
            state[name] = weight
    try:
        model.load_state_dict({name: state[name] for name in expected})
    except RuntimeError as error:
        raise ValueError(f"the graph has other shapes: {error}") from None


def _matrices(nodes: Any, arrays: Arrays) -> list[Tensor]:
    """What the graph multiplies by, in order, each ``(out, in)``."""
    found = []
    for node in nodes:
        if node.op_type == "MatMulInteger":
            matrix, zero = (arrays[node.input[place]].astype(np.float32) for place in (1, 3))
            scale = arrays[node.input[1].removesuffix("_quantized") + "_scale"]
            found.append(torch.from_numpy(((matrix - zero) * scale).T.copy()))
        elif node.op_type in {"MatMul", "Gemm"} and node.input[1] in arrays:
            matrix = arrays[node.input[1]]
            turned = any(each.name == "transB" and each.i for each in node.attribute)
            found.append(torch.from_numpy((matrix if turned else matrix.T).copy()))
    return found


def _large_embedding(arrays: Arrays, module: nn.Embedding) -> Tensor:
    """An embedding that is stored in eight bits, with a scale for each row."""
    shape = (module.num_embeddings, module.embedding_dim)
    rows = [array for array in arrays.values() if array.dtype == np.int8 and array.shape == shape]
    scales = [array for array in arrays.values() if array.dtype == np.float32 and array.shape == (shape[0], 1)]
    if len(rows) != 1 or len(scales) != 1:
        raise ValueError(f"the graph has no embedding of {shape[0]} rows and {shape[1]} columns")
    return torch.from_numpy(rows[0] * scales[0])
