"""The seed tree: every random draw comes from (seed, purpose, whole numbers), never from a clock or an id.

Source: NumPy's `SeedSequence` (O'Neill's seed_seq design), whose `spawn_key` keeps streams of one seed independent.
"""

from __future__ import annotations

import hashlib

import numpy as np

__all__ = ["generator", "integer"]

_PURPOSE_BYTES = 4


def _sequence(seed: int, purpose: str, where: tuple[int, ...]) -> np.random.SeedSequence:
    digest = hashlib.blake2s(purpose.encode(), digest_size=_PURPOSE_BYTES).digest()
    word = int.from_bytes(digest, "big")
    return np.random.SeedSequence(entropy=seed, spawn_key=(word, *where))


def generator(seed: int, purpose: str, *where: int) -> np.random.Generator:
    """Make the random generator of one purpose and position.

    Args:
        seed: The request's seed, 0 or more.
        purpose: The purpose in a word: "split", "permutation", "dropout", …
        *where: Whole numbers that name the position: round, shard, step, …

    Returns:
        A PCG64 generator, the same for the same arguments on every machine.
    """
    sequence = _sequence(seed, purpose, where)
    return np.random.Generator(np.random.PCG64(sequence))


def integer(seed: int, purpose: str, *where: int) -> int:
    """Draw the 31-bit seed of one purpose and position, for libraries that take a whole number.

    Args:
        seed: The request's seed, 0 or more.
        purpose: The purpose in a word.
        *where: Whole numbers that name the position.

    Returns:
        A number in [0, 2**31).
    """
    sequence = _sequence(seed, purpose, where)
    (word,) = sequence.generate_state(1, np.uint32)
    return int(word >> 1)
