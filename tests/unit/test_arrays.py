"""Arrays: safetensors in, and nothing computed with what does not fit."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save

from nutgraf.arrays import check_arrays, read_arrays

ARRAYS: dict[str, NDArray[Any]] = {
    "weights": np.arange(6, dtype=np.float64).reshape(2, 3),
    "small": np.ones(2, dtype=np.float16),
    "buckets": np.array([1, 5], dtype=np.uint32),
}
EXPECTED: dict[str, tuple[tuple[int, ...], type[np.generic]]] = {
    "weights": ((2, 3), np.float64),
    "small": ((2,), np.float16),
    "buckets": ((2,), np.uint32),
}


def test_arrays_come_back() -> None:
    found = read_arrays(save(ARRAYS))
    assert set(found) == set(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype
    check_arrays(found, EXPECTED, "for two labels")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"nonsense",
        save(ARRAYS)[:-1],
        save(ARRAYS) + b"x",
        struct.pack("<Q", 2**63) + b"{}",
        struct.pack("<Q", 2) + b"[]",
        b"\x80\x04cos\nsystem\n(S'true'\ntR.",
    ],
)
def test_what_is_no_safetensors(content: bytes) -> None:
    with pytest.raises(ValueError, match="it is not valid safetensors"):
        read_arrays(content)


@pytest.mark.parametrize("kind", ["BF16", "F8_E4M3", "X9"])
def test_types_that_numpy_does_not_have(kind: str) -> None:
    header = f'{{"a":{{"dtype":"{kind}","shape":[0],"data_offsets":[0,0]}}}}'.encode()
    with pytest.raises(ValueError, match="it is not valid safetensors"):
        read_arrays(struct.pack("<Q", len(header)) + header)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": None}, "it has no array 'weights'"),
        ({"weights": np.zeros((3, 2))}, r"'weights' is float64 \(3, 2\), expected float64 \(2, 3\) for two labels"),
        ({"weights": np.zeros(6)}, r"'weights' is float64 \(6,\)"),
        ({"weights": np.zeros((1, 2, 3))}, r"'weights' is float64 \(1, 2, 3\)"),
        ({"weights": np.float64(1.0)}, r"'weights' is float64 \(\)"),
        ({"weights": np.zeros((2, 3), dtype=np.float32)}, r"'weights' is float32 \(2, 3\), expected float64"),
        ({"weights": np.zeros((2, 3), dtype=np.int64)}, "'weights' is int64"),
        ({"buckets": np.zeros(2, dtype=np.int32)}, "'buckets' is int32"),
        ({"weights": np.full((2, 3), np.nan)}, "'weights' holds values that are not finite"),
        ({"weights": np.full((2, 3), -np.inf)}, "'weights' holds values that are not finite"),
        ({"small": np.array([1, np.inf], dtype=np.float16)}, "'small' holds values that are not finite"),
    ],
)
def test_what_does_not_fit(change: dict[str, Any], message: str) -> None:
    found = {name: array for name, array in {**ARRAYS, **change}.items() if array is not None}
    with pytest.raises(ValueError, match=message):
        check_arrays(found, EXPECTED, "for two labels")


def test_arrays_beside_the_expected_ones_are_let_be() -> None:
    check_arrays({**ARRAYS, "other": np.full(3, np.nan)}, EXPECTED, "for two labels")
    check_arrays(ARRAYS, {}, "for nothing")
