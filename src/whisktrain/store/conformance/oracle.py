"""Conformance: random sequences of operations, compared with a dictionary."""

# ruff: noqa: D102 - a test is documented by its name

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from whisktrain.errors import Conflict
from whisktrain.store.conformance.basis import Basis
from whisktrain.store.protocol import Database

__all__ = ["OracleTests"]

IDS = st.sampled_from(["a", "a:1", "a:10", "a:2", "b/+ %é", "b"])
BODIES = st.dictionaries(
    st.text("abé", max_size=3),
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**40), 2**40)
        | st.floats(allow_nan=False, allow_infinity=False, width=32)
        | st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=6),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=4,
    ),
    max_size=3,
)
ATTACHMENTS = (
    st.none()
    | st.binary(max_size=20)
    | st.integers(65_000, 66_500).map(lambda size: b"\x07" * size)
)
# Which revision a writer holds: none, the present one, or one of the past.
HELD = st.sampled_from(["none", "present", "past"])


@dataclass
class _Modelled:
    """What a document should be."""

    rev: str = ""
    body: dict[str, Any] | None = None
    attachment: bytes | None = None
    past: list[str] = field(default_factory=list)


class _Machine(RuleBasedStateMachine):
    """The store under test beside a dictionary that does the same."""

    counter = itertools.count()

    def __init__(self, database: Database) -> None:
        super().__init__()
        self.database = database
        self.prefix = f"example{next(self.counter)}:"
        self.model: dict[str, _Modelled] = {}
        self.order: list[str] = []
        self.position = database.changes(None).position
        self.start = self.position

    def held(self, id_: str, which: str) -> str | None:
        known = self.model.get(id_)
        if which == "none" or known is None:
            return None
        if which == "present":
            return known.rev
        return known.past[0] if known.past else "1-0123456789abcdef0123456789abcdef"

    def present(self, id_: str) -> str | None:
        known = self.model.get(id_)
        return known.rev if known is not None and known.body is not None else None

    def moved(self, id_: str) -> None:
        self.order = [other for other in self.order if other != id_] + [id_]

    @rule(id_=IDS, body=BODIES, attachment=ATTACHMENTS, which=HELD, durable=st.booleans())
    def put(
        self, id_: str, body: dict[str, Any], attachment: bytes | None, which: str, durable: bool
    ) -> None:
        rev = self.held(id_, which)
        try:
            new = self.database.put(
                self.prefix + id_, body, rev=rev, attachment=attachment, durable=durable
            )
        except Conflict:
            assert rev != self.present(id_)
            return
        assert rev == self.present(id_)
        known = self.model.setdefault(id_, _Modelled())
        assert new != known.rev
        assert new not in known.past
        known.past.append(known.rev or new)
        known.rev, known.body, known.attachment = new, body, attachment
        self.moved(id_)

    @rule(id_=IDS, which=HELD)
    def delete(self, id_: str, which: str) -> None:
        rev, present = self.held(id_, which), self.present(id_)
        try:
            deleted = self.database.delete(self.prefix + id_, rev=rev)
        except Conflict:
            assert present is not None
            assert rev not in (None, present)
            return
        assert deleted == (present is not None)
        assert not deleted or rev in (None, present)
        if deleted:
            self.model[id_].body = None
            self.moved(id_)

    @rule(ids=st.lists(IDS, max_size=4))
    def delete_many(self, ids: list[str]) -> None:
        there = {id_ for id_ in ids if self.present(id_) is not None}
        assert self.database.delete_many(self.prefix + id_ for id_ in ids) == len(there)
        changed = [row.id for row in self.database.changes(self.start, prefix=self.prefix).rows]
        # Their order among themselves is the store's own; what matters is that they come last.
        for id_ in sorted(there, key=lambda id_: changed.index(self.prefix + id_)):
            self.model[id_].body = None
            self.moved(id_)

    @rule(id_=IDS, attachment=st.booleans())
    def get(self, id_: str, attachment: bool) -> None:
        found = self.database.get(self.prefix + id_, attachment=attachment)
        known = self.model.get(id_)
        if known is None or known.body is None:
            assert found is None
            return
        assert found is not None
        assert (found.id, found.rev, found.body) == (self.prefix + id_, known.rev, known.body)
        assert found.attachment_size == (
            None if known.attachment is None else len(known.attachment)
        )
        assert found.attachment == (known.attachment if attachment else None)

    @rule(
        start=st.sampled_from(["", "a", "a:1", "b/", "c"]),
        descending=st.booleans(),
        limit=st.none() | st.integers(0, 3),
        skip=st.integers(0, 2),
    )
    def list(self, start: str, descending: bool, limit: int | None, skip: int) -> None:
        there = sorted(
            (id_ for id_ in self.model if id_.startswith(start) and self.present(id_)),
            reverse=descending,
        )
        expected = there[skip:][:limit]
        found = self.database.list(
            self.prefix + start, descending=descending, limit=limit, skip=skip
        )
        assert [document.id for document in found] == [self.prefix + id_ for id_ in expected]
        assert [document.body for document in found] == [self.model[id_].body for id_ in expected]

    @rule()
    def follow(self) -> None:
        found = self.database.changes(self.position, prefix=self.prefix)
        self.position = found.position
        ids = [row.id.removeprefix(self.prefix) for row in found.rows]
        assert self.order[len(self.order) - len(ids) :] == ids
        assert self.database.changes(self.position, prefix=self.prefix).rows == []

    @rule()
    def compact(self) -> None:
        self.database.compact()

    @invariant()
    def the_feed_tells_everything_in_order(self) -> None:
        rows = self.database.changes(self.start, prefix=self.prefix).rows
        assert [(row.id, row.deleted) for row in rows] == [
            (self.prefix + id_, self.model[id_].body is None) for id_ in self.order
        ]


class OracleTests(Basis):
    """Random operations."""

    EXAMPLES = 25

    def test_random_operations_do_what_a_dictionary_does(self, database: Database) -> None:
        run_state_machine_as_test(
            lambda: _Machine(database),  # type: ignore[arg-type]
            settings=settings(
                max_examples=self.EXAMPLES,
                stateful_step_count=25,
                deadline=None,
                derandomize=True,
                suppress_health_check=list(HealthCheck),
            ),
        )
