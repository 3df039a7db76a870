"""The ids of a run's documents."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from whisktrain.records import ids
from whisktrain.records.ids import DocumentId, prefixes, singles


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
