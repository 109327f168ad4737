"""What an ONNX file may ask for, checked before onnxruntime reads it.

A graph can name other files, and even addresses in memory, as the place of its weights, and onnxruntime reads them; it
can loop without end, and call functions of its own that call others a thousand times over. An encoder needs none of
that: what passes here is one straight line of operators, with every weight in the file itself.

An ONNX file is a protocol buffer. Only the messages on the way to a tensor are walked through, by the numbers that
their fields have in onnx.proto; whatever a field holds beside them is stepped over.
"""

from __future__ import annotations

from collections.abc import Iterator

__all__ = ["check_graph"]

_DAMAGED = "it is no ONNX file, or a damaged one"
_OUTSIDE = "it takes weights from outside of the file"
_INNER = "it has graphs within its graph (a loop or a branch)"

#: Message → number of a field → the message in it.
_INSIDE = {
    "model": {7: "graph"},
    "graph": {1: "node", 5: "tensor", 15: "sparse tensor"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 10: "tensor", 22: "sparse tensor", 23: "sparse tensor"},
    "sparse tensor": {1: "tensor", 2: "tensor"},
    "tensor": {},
}
#: Message → number of a field → why it must not be there, unless it is the number 0.
_REFUSED = {
    "model": {20: "it trains", 25: "it has functions of its own"},
    "attribute": {6: _INNER, 11: _INNER},
    "tensor": {13: _OUTSIDE, 14: _OUTSIDE},
}


def check_graph(content: bytes) -> None:
    """Refuses a graph that is more than a line of operators with their weights.

    Raises:
        ValueError: the graph reads other files or memory, loops, branches, or brings functions of its own; or it is no
            protocol buffer.
    """
    left = [("model", memoryview(content))]
    while left:
        message, part = left.pop()
        inside, refused = _INSIDE[message], _REFUSED.get(message, {})
        for number, value in _fields(part):
            if number in refused and value != 0:
                raise ValueError(refused[number])
            if number in inside and isinstance(value, memoryview):
                left.append((inside[number], value))


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview | int]]:
    """The fields of a message: their numbers, and integers as they are, all else as bytes."""
    place, end = 0, len(message)
    while place < end:
        tag, place = _integer(message, place)
        number, kind = tag >> 3, tag & 7
        value: memoryview | int
        if kind == 0:
            value, place = _integer(message, place)
        else:
            size = {1: 8, 5: 4}.get(kind, end)  # other kinds are of no use here
            if kind == 2:
                size, place = _integer(message, place)
            value, place = message[place : place + size], place + size
        # Readers cut a tag off at 32 bits: a longer one would be another field to them than to this function.
        if place > end or not 0 < number < 1 << 29:
            raise ValueError(_DAMAGED)
        yield number, value


def _integer(message: memoryview, place: int) -> tuple[int, int]:
    """The integer at a place, seven bits a byte, the lowest first; and the place after it."""
    value = 0
    for shift in range(0, 70, 7):
        if place >= len(message):
            break
        byte = message[place]
        value |= (byte & 127) << shift
        place += 1
        if byte < 128:
            return value, place
    raise ValueError(_DAMAGED)
