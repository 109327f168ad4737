"""What an ONNX file may ask for: a line of operators and their weights; all else is found wherever it hides."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from nutgraf import graph
from nutgraf.encoder import GRAPH
from nutgraf.graph import check_graph

OUTSIDE = "takes weights from outside of the file"
INNER = "has graphs within its graph"


def tensor(location: str | None = None, **fields: str) -> Any:
    """A tensor; with a location, its values are elsewhere."""
    made = helper.make_tensor("w", TensorProto.FLOAT, [2], [1.0, 2.0])
    if location is not None:
        made.ClearField("float_data")
        made.data_location = TensorProto.EXTERNAL
        for key, value in {"location": location, **fields}.items():
            entry = made.external_data.add()
            entry.key, entry.value = key, value
    return made


def sparse(values: Any = None, indices: Any = None) -> Any:
    made = onnx.SparseTensorProto()
    made.values.CopyFrom(values or tensor())
    made.indices.CopyFrom(indices or tensor())
    return made


def model(*nodes: Any, **parts: Any) -> bytes:
    found = onnx.ModelProto(ir_version=9)
    found.opset_import.append(helper.make_opsetid("", 20))
    found.graph.name = "g"
    found.graph.node.extend(nodes)
    for name, values in parts.items():
        getattr(found if name in {"functions", "training_info"} else found.graph, name).extend(values)
    content: bytes = found.SerializeToString()
    return content


def constant(**attributes: Any) -> Any:
    """An operator with attributes set field by field: ``constant(t=tensor)``."""
    made = helper.make_node("Constant", [], ["y"])
    for name, value in attributes.items():
        attribute = made.attribute.add()
        attribute.name = name
        field = getattr(attribute, name)
        if isinstance(value, list):
            field.extend(value)
        else:
            field.CopyFrom(value)
    return made


INNER_GRAPH = helper.make_graph([constant(t=tensor("x"))], "inner", [], [])
FUNCTION = helper.make_function("own", "F", ["a"], ["b"], [helper.make_node("Identity", ["a"], ["b"])], [])

HARMLESS: dict[str, bytes] = {
    "nothing": b"",
    "a weight": model(initializer=[tensor()]),
    "a sparse weight": model(sparse_initializer=[sparse()]),
    "constants": model(constant(t=tensor()), constant(tensors=[tensor(), tensor()]), constant(sparse_tensor=sparse())),
    "notes": model(metadata_props=[onnx.StringStringEntryProto(key="location", value="/etc/passwd")]),
    "a place that is said to be the file": model(
        initializer=[TensorProto(name="w", data_type=1, data_location=TensorProto.DEFAULT)]
    ),
}

REFUSED: dict[str, tuple[bytes, str]] = {
    "a weight": (model(initializer=[tensor("weights.data")]), OUTSIDE),
    "the second weight": (model(initializer=[tensor(), tensor("../../etc/passwd"), tensor()]), OUTSIDE),
    "an absolute path": (model(initializer=[tensor("/etc/passwd", offset="0", length="8")]), OUTSIDE),
    "an address in memory": (model(initializer=[tensor("*/_ORT_MEM_ADDR_/*", offset="4096", length="8")]), OUTSIDE),
    "a path without a mark": (
        model(
            initializer=[TensorProto(name="w", external_data=[onnx.StringStringEntryProto(key="location", value="x")])]
        ),
        OUTSIDE,
    ),
    "a mark without a path": (
        model(initializer=[TensorProto(name="w", data_location=TensorProto.EXTERNAL)]),
        OUTSIDE,
    ),
    "sparse values": (model(sparse_initializer=[sparse(values=tensor("x"))]), OUTSIDE),
    "sparse indices": (model(sparse_initializer=[sparse(indices=tensor("x"))]), OUTSIDE),
    "a constant": (model(constant(t=tensor("x"))), OUTSIDE),
    "one of several tensors": (model(constant(tensors=[tensor(), tensor("x")])), OUTSIDE),
    "a sparse constant": (model(constant(sparse_tensor=sparse(values=tensor("x")))), OUTSIDE),
    "one of several sparse ones": (model(constant(sparse_tensors=[sparse(), sparse(indices=tensor("x"))])), OUTSIDE),
    "an inner graph": (model(constant(g=INNER_GRAPH)), INNER),
    "inner graphs": (model(constant(graphs=[helper.make_graph([], "empty", [], [])])), INNER),
    "a function": (model(functions=[FUNCTION]), "has functions of its own"),
    "training": (model(training_info=[onnx.TrainingInfoProto(algorithm=INNER_GRAPH)]), "it trains"),
}


@pytest.mark.parametrize("name", HARMLESS)
def test_what_passes(name: str) -> None:
    check_graph(HARMLESS[name])


def test_a_real_graph_passes(encoder_files: dict[str, bytes]) -> None:
    check_graph(encoder_files[GRAPH])


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    content, message = REFUSED[name]
    onnx.ModelProto.FromString(content)  # else the test says nothing
    with pytest.raises(ValueError, match=message):
        check_graph(content)


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_put_together_from_two_files(name: str, encoder_files: dict[str, bytes]) -> None:
    """Protocol buffers one after the other are one, with the fields of both."""
    content, message = REFUSED[name]
    for both in (encoder_files[GRAPH] + content, content + encoder_files[GRAPH]):
        with pytest.raises(ValueError, match=message):
            check_graph(both)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_what_a_reader_finds_is_refused(encoder_files: dict[str, bytes], data: st.DataObject) -> None:
    """Whatever bytes are changed: what onnx reads as a file with a weight elsewhere never passes."""
    content = bytearray(REFUSED[data.draw(st.sampled_from(sorted(REFUSED)))][0])
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        read = onnx.ModelProto.FromString(bytes(content))
    except Exception:  # no ONNX file any more
        return
    if harmful(read):
        with pytest.raises(ValueError, match="it "):
            check_graph(bytes(content))


def harmful(message: Any) -> bool:
    """Whether there is something in a message that must not be there, by onnx's own description of its fields."""
    for field, value in message.ListFields():
        if (message.DESCRIPTOR.name, field.name) in {
            ("TensorProto", "external_data"),
            ("AttributeProto", "g"),
            ("AttributeProto", "graphs"),
            ("ModelProto", "functions"),
            ("ModelProto", "training_info"),
        }:
            return True
        if field.name == "data_location" and value == TensorProto.EXTERNAL:
            return True
        if field.message_type is not None:
            values = [value] if hasattr(value, "ListFields") else list(value)
            if any(harmful(one) for one in values):
                return True
    return False


def test_the_numbers_are_those_of_onnx() -> None:
    """All fields on the way from a model to a tensor, and no other."""
    names = {
        "model": onnx.ModelProto,
        "graph": onnx.GraphProto,
        "node": onnx.NodeProto,
        "attribute": onnx.AttributeProto,
        "sparse tensor": onnx.SparseTensorProto,
        "tensor": onnx.TensorProto,
    }
    of = {kind.DESCRIPTOR.name: name for name, kind in names.items()}
    for name, kind in names.items():
        refused = set(graph._REFUSED.get(name, {}))
        fields = {field.number: field.message_type.name for field in kind.DESCRIPTOR.fields if field.message_type}
        followed = {number: of[message] for number, message in fields.items() if message in of}
        assert {number: message for number, message in followed.items() if number not in refused} == graph._INSIDE[name]
    by_name = {
        "model": ["training_info", "functions"],
        "attribute": ["g", "graphs"],
        "tensor": ["external_data", "data_location"],
    }
    for name, fields_ in by_name.items():
        numbers = {names[name].DESCRIPTOR.fields_by_name[field].number for field in fields_}
        assert numbers == set(graph._REFUSED[name])


def field(number: int, content: bytes) -> bytes:
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value: int, size: int = 0) -> bytes:
    """Of at least so many bytes."""
    found = bytearray()
    while value or not found or len(found) < size:
        found.append(value & 127 | 128)
        value >>= 7
    found[-1] &= 127
    return bytes(found)


HIDDEN: dict[str, Callable[[bytes], bytes]] = {
    "a long length": lambda weight: field(7, b"")[:1] + varint(len(field(5, weight)), 5) + field(5, weight),
    "a long tag": lambda weight: varint(7 << 3 | 2, 5) + varint(len(field(5, weight))) + field(5, weight),
    "a tag beyond 32 bits": lambda weight: (
        varint((1 << 32) + (7 << 3 | 2)) + varint(len(field(5, weight))) + field(5, weight)
    ),
    "a mark beyond 32 bits": lambda _: field(7, field(5, varint(14 << 3) + varint((1 << 32) + 1))),
    "a graph in two parts": lambda weight: field(7, b"") + field(7, field(5, weight)),
    "after other fields": lambda weight: b"\x08\x09" + field(2, b"\xff" * 99) + field(7, field(5, weight)),
}


@pytest.mark.parametrize("name", HIDDEN)
def test_what_is_written_in_another_way(name: str) -> None:
    content = HIDDEN[name](tensor("weights.data").SerializeToString())
    with pytest.raises(ValueError, match=r"it (takes weights from outside|is no ONNX file)"):
        check_graph(content)


@pytest.mark.parametrize(
    "content",
    [
        b"\x80",
        b"\xff" * 100,
        b"\x3a\x05\x00",  # shorter than it says
        b"\x3a" + varint(2**63) + b"x",
        b"\x0d\x00",  # half of a fixed number
        b"\x00\x01",  # a field without a number
        b"\x3b\x3c",  # a group
        b"\x3e",  # a kind that does not exist
        b"GIF89a",
    ],
)
def test_what_is_no_protocol_buffer(content: bytes) -> None:
    with pytest.raises(ValueError, match="it is no ONNX file, or a damaged one"):
        check_graph(content)


def test_deep_and_wide_files_end_soon() -> None:
    deep = b""
    for _ in range(2000):
        deep = field(5, deep)
    started = time.process_time()
    check_graph(field(7, field(1, deep)))
    check_graph(field(7, field(5, field(9, bytes(50_000_000)))))  # the weights themselves are stepped over
    check_graph(field(7, field(5, b"") * 100_000))
    assert time.process_time() - started < 10
