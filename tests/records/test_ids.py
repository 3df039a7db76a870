"""The ids of a run's documents."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from whisktrain.errors import RequestError
from whisktrain.records import ids
from whisktrain.records.ids import DocumentId, check_run_id, prefixes, round_of, singles


@given(run=st.from_regex(ids.RUN_ID, fullmatch=True).filter(lambda r: r not in ids.RESERVED))
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
    with pytest.raises(RequestError, match="expected 1 to 64 letters") as refused:
        check_run_id(name)
    assert refused.value.code == "bad_run_key"


def test_a_proper_name_is_taken_as_it_is() -> None:
    assert check_run_id("Run-1.2_x") == "Run-1.2_x"


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
