"""The cache of loaded models: bounded by bytes, least recently used out first, one load at a time."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from operator import attrgetter
from typing import cast

import pytest
from cachetools import LRUCache
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from whisktrain.serving import loaded
from whisktrain.serving.loaded import LoadedModel


@dataclass(frozen=True)
class Model:
    """Stands in for a loaded model."""

    name: str
    size: int


Models = LRUCache[tuple[str, str, str], LoadedModel]


@pytest.fixture
def models(monkeypatch: pytest.MonkeyPatch) -> Models:
    """This process' cache, with room for 10 bytes."""
    cache: Models = LRUCache(maxsize=10, getsizeof=attrgetter("size"))
    monkeypatch.setattr(loaded, "_models", lambda: cache)
    return cache


def key(name: str) -> tuple[str, str, str]:
    return ("store", name, "1-a")


def load(name: str, size: int, calls: list[str] | None = None) -> LoadedModel:
    def make() -> LoadedModel:
        if calls is not None:
            calls.append(name)
        return cast(LoadedModel, Model(name, size))

    return loaded._cached(key(name), make)


def test_the_least_recently_used_goes_first(models: Models) -> None:
    calls: list[str] = []
    first = load("a", 4, calls)
    load("b", 4, calls)
    assert load("a", 4, calls) is first
    load("c", 4, calls)
    assert calls == ["a", "b", "c"]
    assert set(models) == {key("a"), key("c")}


def test_what_is_larger_than_the_bound_is_answered_but_not_kept(models: Models) -> None:
    load("small", 3)
    assert load("big", 11) == Model("big", 11)
    assert set(models) == {key("small")}


def test_a_failed_load_leaves_nothing(models: Models) -> None:
    def fail() -> LoadedModel:
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        loaded._cached(key("a"), fail)
    assert load("a", 1) == Model("a", 1)


def test_a_value_error_of_the_load_is_not_taken_for_a_model_that_is_too_large(
    models: Models,
) -> None:
    def fail() -> LoadedModel:
        raise ValueError("no model")

    with pytest.raises(ValueError, match="no model"):
        loaded._cached(key("a"), fail)


def test_threads_that_miss_the_same_model_load_it_once(models: Models) -> None:
    calls: list[str] = []
    found: list[LoadedModel] = []

    def slow() -> LoadedModel:
        calls.append("a")
        time.sleep(0.05)
        return cast(LoadedModel, Model("a", 1))

    threads = [
        threading.Thread(target=lambda: found.append(loaded._cached(key("a"), slow)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert calls == ["a"]
    assert all(model is found[0] for model in found)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 15)), max_size=60))
def test_it_never_holds_more_than_its_bound(models: Models, calls: list[tuple[int, int]]) -> None:
    models.clear()
    for number, size in calls:
        model = load(str(number), size)
        assert model.size <= 15
        assert models.currsize <= 10
        assert (key(str(number)) in models) == (model.size <= 10)


def test_the_bound_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WHISKTRAIN_MODEL_CACHE_MB", "3")
    loaded._models.cache_clear()
    assert loaded._models().maxsize == 3 * 2**20
    loaded._models.cache_clear()
