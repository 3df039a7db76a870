"""The ids of a run's documents."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whisktrain.errors import RequestError
from whisktrain.records import ids
from whisktrain.records.ids import DocumentId, check_key, check_run, prefixes, round_of, singles

KEYS = st.from_regex(ids.RUN_KEY, fullmatch=True).filter(lambda r: r not in ids.RESERVED)


@given(run=KEYS | KEYS.map(ids.new_run))
@settings(max_examples=200)
def test_every_id_says_where_it_belongs(run: str) -> None:
    made = {
        ids.run(run): "run",
        ids.blueprint(run): "blueprint",
        ids.stop(run): "stop",
        ids.params(run, 7): "params",
        ids.params(run, 7, "ab12"): "params",
        ids.optimizer_state(run, 7): "optimizer_state",
        ids.update(run, 7, 2): "update",
        ids.failure(run, 7, 2, 1): "failure",
        ids.failure(run, 7, -1, 1): "failure",
    }
    for id_, kind in made.items():
        at = DocumentId.parse(id_)
        assert at is not None and (at.kind, at.run) == (kind, run)
        assert kind in ("run", "blueprint", "stop") or at.round == 7
        if kind not in ("run",):
            assert id_.startswith(prefixes(run)) != (id_ in singles(run))
    assert (
        DocumentId.parse(ids.registration("guest", "rounds")) is None
        and DocumentId.parse("x") is None
        and DocumentId.parse("r:a:b") is None
    )


@pytest.mark.parametrize("name", ["", "-x", "a:b", "a/b", "x" * 65, "run", "moments", "ä"])
def test_a_name_that_ids_cannot_have_is_refused(name: str) -> None:
    for check in (check_key, check_run):
        with pytest.raises(RequestError, match="expected 1 to 64 letters") as refused:
            check(name)
        assert refused.value.code == "bad_run_key"


@pytest.mark.parametrize(
    "name", ["churn@", "churn@3f9a", "churn@3F9A1B2C", "@3f9a1b2c", "a@b@3f9a1b2c"]
)
def test_what_looks_almost_like_a_runs_id_is_refused(name: str) -> None:
    with pytest.raises(RequestError, match="expected 1 to 64 letters") as refused:
        check_run(name)
    assert name in refused.value.message


def test_a_proper_name_is_taken_as_it_is() -> None:
    assert check_key("Run-1.2_x") == check_run("Run-1.2_x") == "Run-1.2_x"
    assert check_run("churn@3f9a1b2c") == "churn@3f9a1b2c"
    with pytest.raises(RequestError, match="expected 1 to 64 letters"):
        check_key("churn@3f9a1b2c")


@given(key=KEYS)
@settings(max_examples=50)
def test_a_key_names_a_new_run_each_time(key: str) -> None:
    first, second = ids.new_run(key), ids.new_run(key)
    assert first != second and check_run(first) == first
    assert ids.key_of(first) == ids.key_of(second) == ids.key_of(key) == key
    assert ids.has_key(first) and not ids.has_key(key)


@pytest.mark.parametrize(
    "id_",
    ["x", "r:a:b", "params:r", "params:r:x", "failure:r:1:2", "stop:r:1", "registration:guest:t"],
)
def test_foreign_ids_belong_to_no_run(id_: str) -> None:
    assert DocumentId.parse(id_) is None


def test_the_round_of_an_id() -> None:
    assert round_of("moments:r:12") == round_of("r:12:0") == 12
    with pytest.raises(ValueError, match="is not the id of a document of a round"):
        round_of("run:r")
