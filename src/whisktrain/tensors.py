"""Tensors as bytes and back: the only form in which arrays are stored and sent.

The format is safetensors (a JSON header and raw little-endian data): nothing in it can run code, and the same tensors
give the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from whisktrain.errors import Damaged

__all__ = ["Floats", "Tensor", "Tensors", "all_finite", "decode", "digest", "encode"]

Tensor: TypeAlias = NDArray[np.generic]
"""An array of any numeric or boolean type."""

Floats: TypeAlias = NDArray[np.floating]
"""An array of float32 or float64."""

Tensors: TypeAlias = dict[str, Tensor]
"""Arrays by name."""


def encode(tensors: Mapping[str, Tensor]) -> bytes:
    """Pack named tensors.

    Args:
        tensors: Arrays of any shape, of a numeric or boolean type, by name.

    Returns:
        Safetensors bytes; equal for equal input in any order of the names.
    """
    from safetensors.numpy import save

    # ascontiguousarray makes a 0-d array 1-d, hence the reshape
    packed = {
        name: np.ascontiguousarray(t).reshape(np.shape(t)) for name, t in sorted(tensors.items())
    }
    return bytes(save(packed))


def decode(data: bytes) -> Tensors:
    """Unpack what `encode` packed.

    Args:
        data: Safetensors bytes.

    Returns:
        Arrays by name, in ascending order of the names.

    Raises:
        Damaged: The bytes are no safetensors.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        found = load(data)
    except SafetensorError as error:
        raise Damaged(
            f"{len(data)} bytes were read that are no safetensors ({error}).",
            hint="The attachment was cut or altered.",
        ) from error
    return {name: found[name] for name in sorted(found)}


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether every number of the floating-point arrays is finite."""
    return all(np.isfinite(tensor).all() for tensor in tensors if tensor.dtype.kind == "f")


def digest(data: bytes) -> str:
    """Digest of bytes: BLAKE2b of 16 bytes, as 32 hex digits."""
    import hashlib

    return hashlib.blake2b(data, digest_size=16).hexdigest()
