"""Every read and write of the documents of one live run (what stays of an ended one: `archive.py`).

The run document moves by compare-and-swap. Every other document is created once, so a conflict on it means that it is there
already. What a document holds is in the other modules of this room; what the steps mean is in `docs/protocol.md`.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from whisktrain import tensors
from whisktrain.errors import Conflict, StoreUnreachable
from whisktrain.records import ids
from whisktrain.records.failures import Failure
from whisktrain.records.feed import RoundChange, RunChange, watched_ids
from whisktrain.records.history import HistoryRecords, TrainingHistory
from whisktrain.records.params import (
    BlueprintBody,
    Builder,
    Params,
    ParamsBody,
    ParamsDocument,
    blueprint_of,
    builder_of,
)
from whisktrain.records.run import RunState
from whisktrain.records.updates import Author, Update, shard_of, shards_of
from whisktrain.spec import Blueprint
from whisktrain.store.protocol import Document, Store
from whisktrain.tensors import Tensors

__all__ = ["RunRecords", "list_runs"]

_SWAP_READS = 8
_SWAP_FIRST_PAUSE = 0.05


class RunRecords:
    """The documents of one run in the rounds' database.

    Args:
        store: The store.
        run: The run's id.
    """

    def __init__(self, store: Store, run: str) -> None:
        self.store = store
        self.run = run
        self._rounds = store.rounds
        self.history = HistoryRecords(store, run)

    # The run document

    def read(self) -> RunState | None:
        """The run as the store has it now; None where it is absent."""
        found = self._rounds.get(ids.run(self.run))
        return RunState.of(found) if found is not None else None

    def exists(self) -> bool:
        """Whether there is a run document."""
        return self._rounds.get(ids.run(self.run)) is not None

    def create(self, state: RunState) -> RunState | None:
        """Create the run document, or read the one that is there.

        Returns:
            The run; None where it was deleted in between.
        """
        try:
            return replace(state, rev=self._rounds.put(ids.run(self.run), state.to_body()))
        except Conflict:
            return self.read()

    def swap(self, state: RunState) -> RunState | None:
        """Replace the run document of revision `state.rev` by `state` (compare-and-swap).

        After a conflict or a lost answer the document is read again: it is this execution's own only if both its nonce and
        its round are.

        Returns:
            The state with its new revision; None where another execution has advanced the run.

        Raises:
            StoreUnreachable: Whether it was written could not be found out.
        """
        try:
            return replace(
                state, rev=self._rounds.put(ids.run(self.run), state.to_body(), rev=state.rev)
            )
        except (Conflict, StoreUnreachable) as error:
            failure: Exception = error
        for attempt in range(_SWAP_READS):
            try:
                found = self.read()
            except StoreUnreachable as error:
                failure = error
                time.sleep(_SWAP_FIRST_PAUSE * 2**attempt)
                continue
            if found is not None and found.rev == state.rev:
                raise failure  # the write did not happen
            if found is None or found.status != state.status:
                return None
            return found if found.is_write_of(state) else None
        raise failure

    def delete(self, rev: str | None = None) -> None:
        """Delete the run document: exactly revision `rev` where it is given."""
        self._rounds.delete(ids.run(self.run), rev=rev)

    # The feed

    def position(self) -> str:
        """The feed's present position."""
        return self._rounds.changes(None).position

    def wait_for_run(self, position: str, seconds: float) -> RunChange:
        """Wait until the run document changes, at most `seconds`; the changed document comes in the same answer."""
        found = self._rounds.changes(
            position, timeout=seconds, ids=[ids.run(self.run)], bodies=True
        )
        document = found.rows[-1].document if found.rows else None
        return RunChange(
            found.position,
            bool(found.rows),
            RunState.of(document) if document is not None else None,
        )

    def wait_for_round(
        self, state: RunState, missing: Collection[int], position: str, seconds: float
    ) -> RoundChange:
        """Wait until something of the open round is written or deleted, at most `seconds`.

        Args:
            state: The run.
            missing: What the round lacks: shards, or {0} for the first parameters in round 0.
            position: The feed's position.
            seconds: The timeout.
        """
        watched = watched_ids(state, missing)
        return RoundChange.of(
            self._rounds.changes(position, timeout=seconds, ids=watched), ids.stop(self.run)
        )

    # Parameters

    def put_params(
        self,
        id_: str,
        values: Tensors,
        history: TrainingHistory,
        *,
        parent: str = "",
        merged: tuple[int, ...] = (),
    ) -> Params:
        """Create the parameters of a round; where the document exists already, that one counts.

        Args:
            id_: The document's id.
            values: The tensors.
            history: The history so far; blocks that it fills are created first.
            parent: The id of the parameters that these were merged from.
            merged: The shards that were merged into them.

        Returns:
            The parameters as the store has them.
        """
        data, history = tensors.encode(values), self.history.put_blocks(history)
        params = Params(id_, tensors.digest(data), values, history)
        body: ParamsBody = {
            "parent": parent,
            "merged": list(merged),
            "digest": params.digest,
            "history": history.to_body(),
        }
        rev = self._create(id_, body, data)
        if rev is not None:
            return replace(params, rev=rev)
        found = self.read_params_document(id_)
        same = found is None or found.body["digest"] == params.digest
        return params if same else (self.read_params(id_) or params)

    def read_params(self, id_: str) -> Params | None:
        """Read the parameters of a round; None where they are absent: the run has moved on.

        Raises:
            Damaged: The tensors are not whole.
        """
        found = self._rounds.get(id_, attachment=True)
        return Params.of(found) if found is not None and found.attachment is not None else None

    def read_params_document(self, id_: str) -> ParamsDocument | None:
        """Read a params document without its tensors; None where it is absent."""
        found = self._rounds.get(id_)
        return ParamsDocument.of(found) if found is not None else None

    def read_history(self, params: str) -> TrainingHistory:
        """Read the history that the parameters `params` carry; an empty one where they are absent."""
        found = self.read_params_document(params) if params else None
        body = found.body["history"] if found is not None else None
        return TrainingHistory.from_body(body) if body is not None else TrainingHistory()

    def replace_params(self, document: ParamsDocument, data: bytes) -> None:
        """Replace the tensors of a damaged params document; a conflict means that another execution was faster.

        Args:
            document: The document as it was read.
            data: The tensors' bytes, of the digest that the document names.
        """
        try:
            self._rounds.put(document.id, document.body, rev=document.rev, attachment=data)
        except Conflict:
            return

    def built(self, state: RunState) -> bool:
        """Whether the first parameters are there."""
        return self._rounds.get(ids.params(self.run, state.spec.first_round)) is not None

    # Updates

    def put_update(self, round_: int, update: Update) -> None:
        """Create an update.

        Raises:
            Conflict: The shard has an update already; see `author`.
        """
        id_ = ids.update(self.run, round_, update.shard)
        self._rounds.put(id_, update.to_body(), attachment=update.attachment())

    def author(self, round_: int, shard: int) -> Author | None:
        """The writer of a shard's update; None where it is absent."""
        found = self._rounds.get(ids.update(self.run, round_, shard))
        return _author_of(found) if found is not None else None

    def authors(self, round_: int) -> dict[int, Author]:
        """The writers of the updates of a round that are there, by shard."""
        return {
            shard_of(document): _author_of(document)
            for document in self._rounds.list(self._updates(round_))
        }

    def shards(self, round_: int) -> list[int]:
        """The shards that have an update in a round, ascending by id."""
        return shards_of(self._rounds.list(self._updates(round_), bodies=False))

    def read_update(self, round_: int, shard: int) -> Update | None:
        """Read the update of a shard with its tensors; None where it is absent.

        Raises:
            Damaged: The tensors are not whole.
        """
        found = self._rounds.get(ids.update(self.run, round_, shard), attachment=True)
        return Update.of(found) if found is not None else None

    def read_updates(self, round_: int, shards: Iterable[int]) -> dict[int, Update]:
        """Read those of several shards' updates that are there, with their tensors, in as few requests as possible.

        Raises:
            Damaged: The tensors of one of them are not whole.
        """
        wanted = [ids.update(self.run, round_, shard) for shard in shards]
        updates = (Update.of(document) for document in self._rounds.get_many(wanted).values())
        return {update.shard: update for update in updates}

    def delete_update(self, round_: int, shard: int) -> None:
        """Delete an update, so that it is computed again."""
        self._rounds.delete(ids.update(self.run, round_, shard))

    def _updates(self, round_: int) -> str:
        return ids.updates_of_round(self.run, round_)

    # Failures

    def put_failure(self, round_: int, failure: Failure) -> None:
        """Create a failure; the first one of a shard and attempt stays."""
        self._create(
            ids.failure(self.run, round_, failure.shard, failure.attempt), failure.to_body()
        )

    def failures(self, round_: int | None = None) -> list[Failure]:
        """The failures of a round (of the whole run: None), in the order in which they happened."""
        found = self._rounds.list(ids.failures(self.run, round_))
        return sorted(
            (Failure.of(d) for d in found), key=lambda f: (f.round, f.written, f.shard, f.attempt)
        )

    def has_failures(self, round_: int) -> bool:
        """Whether something failed in a round."""
        return bool(self._rounds.list(ids.failures(self.run, round_), bodies=False, limit=1))

    # The model and the optimizer's state

    def put_blueprint(self, blueprint: Blueprint, builder: Builder) -> None:
        """Create the blueprint."""
        body: BlueprintBody = {"layout": blueprint.layout, "builder": builder}
        self._create(ids.blueprint(self.run), body, blueprint.config)

    def read_blueprint(self) -> Blueprint | None:
        """Read the model; None where it is absent: the run has ended."""
        found = self._rounds.get(ids.blueprint(self.run), attachment=True)
        return blueprint_of(found) if found is not None else None

    def builder(self) -> Builder | None:
        """The activation that built the model; None where the blueprint is absent."""
        found = self._rounds.get(ids.blueprint(self.run))
        return builder_of(found) if found is not None else None

    def put_optimizer_state(self, round_: int, values: Tensors | bytes) -> str | None:
        """Create the optimizer's state that belongs to the parameters of a round.

        Args:
            round_: The round.
            values: Its tensors, or what `tensors.encode` made of them.

        Returns:
            Its revision, where this call wrote it.
        """
        data = values if isinstance(values, bytes) else tensors.encode(values)
        return self._create(ids.optimizer_state(self.run, round_), {}, data)

    def optimizer_state_rounds(self) -> list[int]:
        """The rounds whose optimizer state is stored."""
        found = self._rounds.list(ids.optimizer_states(self.run), bodies=False)
        return [ids.round_of(document.id) for document in found]

    def read_optimizer_state(self, round_: int) -> Tensors | None:
        """Read the optimizer's state of a round; None where it is absent.

        Raises:
            Damaged: The tensors are not whole.
        """
        found = self._rounds.get(ids.optimizer_state(self.run, round_), attachment=True)
        return tensors.decode(found.attachment) if found is not None and found.attachment else None

    # Stop requests

    def request_stop(self) -> None:
        """Ask the run to stop; asking twice does no harm."""
        self._create(ids.stop(self.run), {})

    def withdraw_stop(self) -> None:
        """Delete the request to stop."""
        self._rounds.delete(ids.stop(self.run))

    def stop_requested(self) -> bool:
        """Whether the run was asked to stop."""
        return self._rounds.get(ids.stop(self.run)) is not None

    # Cleaning up

    def round_documents(self) -> dict[str, str]:
        """The ids of the documents that belong to a round, with their revisions."""
        return {
            d.id: d.rev
            for prefix in ids.prefixes(self.run)
            for d in self._rounds.list(prefix, bodies=False)
        }

    def leftovers(self) -> dict[str, str]:
        """The ids of all documents of the run in the rounds' database but the run document, with their revisions."""
        found = [d for id_ in ids.singles(self.run) if (d := self._rounds.get(id_)) is not None]
        for prefix in (ids.histories(self.run), ids.idles(self.run)):
            found += self._rounds.list(prefix, bodies=False)
        return self.round_documents() | {d.id: d.rev for d in found}

    def delete_all(self) -> None:
        """Delete the run document, so that its activations leave, and then everything else of it in the rounds' database."""
        self.delete()
        found = self.leftovers()
        self.delete_documents(found, found)

    def delete_documents(self, going: Iterable[str], known: Mapping[str, str]) -> None:
        """Delete documents of the run in as few requests as possible.

        Args:
            going: Their ids.
            known: Revisions that some of them were seen at.
        """
        self._rounds.delete_many(going, known=known)

    def _create(
        self, id_: str, body: Mapping[str, object], attachment: bytes | None = None
    ) -> str | None:
        """Put a document that is written once; its revision where this call wrote it."""
        try:
            return self._rounds.put(id_, {"schema": ids.SCHEMA, **body}, attachment=attachment)
        except Conflict:
            return None


def _author_of(document: Document) -> Author:
    return Author(int(document.body["slot"]), document.body["execution"])


def list_runs(store: Store) -> list[RunState]:
    """The runs that have not been cleaned up, by id."""
    return [RunState.of(document) for document in store.rounds.list(ids.run(""))]
