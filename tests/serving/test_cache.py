"""The cache of loaded models."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whisktrain.serving.cache import ByteCache


def test_the_least_recently_used_goes_first() -> None:
    cache: ByteCache[str, str] = ByteCache(10)
    for key in ("a", "b"):
        assert cache.get(key, lambda key=key: (key.upper(), 4)) == (key.upper(), False)
    assert cache.get("a", lambda: ("never", 0)) == ("A", True)
    cache.get("c", lambda: ("C", 4))
    assert cache.keys() == ["a", "c"]


def test_what_is_larger_than_the_bound_is_answered_but_not_kept() -> None:
    cache: ByteCache[str, str] = ByteCache(10)
    cache.get("small", lambda: ("S", 3))
    assert cache.get("big", lambda: ("B", 11)) == ("B", False)
    assert cache.keys() == ["small"]


def test_a_failed_load_leaves_nothing() -> None:
    cache: ByteCache[str, str] = ByteCache(10)

    def fail() -> tuple[str, int]:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        cache.get("a", fail)
    assert cache.get("a", lambda: ("A", 1)) == ("A", False)


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 15)), max_size=60))
def test_it_never_holds_more_than_its_bound(calls: list[tuple[int, int]]) -> None:
    cache: ByteCache[int, int] = ByteCache(20)
    for key, size in calls:
        assert cache.get(key, lambda key=key, size=size: (key, size))[0] == key
        assert cache.size <= 20
        assert (key in set(cache.keys())) == (size <= 20)
