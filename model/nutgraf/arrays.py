"""Arrays as safetensors, checked before anything computes with them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["check_arrays", "read_arrays"]


def read_arrays(content: bytes) -> dict[str, NDArray[Any]]:
    """The arrays in a safetensors file.

    Raises:
        ValueError: it is not one.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        found: dict[str, NDArray[Any]] = load(content)
    except (SafetensorError, KeyError, TypeError) as error:
        raise ValueError(f"it is not valid safetensors ({error})") from None
    return found


def check_arrays(
    found: Mapping[str, NDArray[Any]],
    expected: Mapping[str, tuple[tuple[int, ...], type[np.generic]]],
    why: str,
) -> None:
    """Holds arrays against their shapes and types.

    Args:
        found: name → array.
        expected: name → shape and type.
        why: what asks for that, as the end of a sentence.

    Raises:
        ValueError: an array is missing, has another shape or type, or holds values that are not finite.
    """
    for name, (shape, kind) in expected.items():
        if name not in found:
            raise ValueError(f"it has no array {name!r}")
        array = found[name]
        if array.shape != shape or array.dtype != kind:
            raise ValueError(
                f"its array {name!r} is {array.dtype} {array.shape}, expected {np.dtype(kind)} {shape} {why}"
            )
        if np.issubdtype(kind, np.floating) and not np.isfinite(array).all():
            raise ValueError(f"its array {name!r} holds values that are not finite")
