"""Which run a key names, and the deletion of a run: killed at every write, done twice, side by side."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from interrupted import InterruptedStore, after, answer_lost, refused
from plans import failure, running, update_of

from whisktrain.errors import RequestError, StoreUnreachable
from whisktrain.records import ids
from whisktrain.records.archive import RunArchive
from whisktrain.records.keys import RunKeys, delete_run
from whisktrain.records.run_records import RunRecords
from whisktrain.store.protocol import Store

ASKED = {"train.epochs": 3}


def everything(store: Store) -> list[str]:
    return [d.id for part in (store.library, store.rounds) for d in part.list("", bodies=False)]


def put_all(store: Store, run: str) -> None:
    """A run with a document of each kind."""
    records = RunRecords(store, run)
    store.rounds.put(ids.run(run), running().to_body())
    records.put_update(3, update_of(0))
    records.put_failure(3, failure(0))
    for id_ in (ids.blueprint(run), ids.params(run, 3), ids.optimizer_state(run, 3)):
        store.rounds.put(id_, {"schema": 1}, attachment=b"x")
    records.request_stop()
    store.library.put(ids.checkpoint(run), {"schema": 1}, attachment=b"x")
    RunArchive(store, run).put_abandoned("for a test")


def test_the_first_claim_wins_and_the_others_join(store: Store) -> None:
    keys = RunKeys(store)
    assert keys.find("churn") is None and keys.find_run("churn") is None
    results: list[str] = []

    def claim() -> None:
        results.append(RunKeys(store).claim("churn", ASKED)["run"])

    threads = [threading.Thread(target=claim) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8 and len(set(results)) == 1
    assert keys.claim("churn", {"train.epochs": 4})["request"] == ASKED
    assert keys.find_run("churn") == results[0] and keys.runs() == {results[0]}


def test_a_lost_answer_to_a_claim_is_found_again(store: Store) -> None:
    interrupted = InterruptedStore(store)
    interrupted.library.interrupt["put"] = [answer_lost(StoreUnreachable("lost"))]
    with pytest.raises(StoreUnreachable):
        RunKeys(interrupted).claim("churn", ASKED)
    run = RunKeys(store).find_run("churn")
    assert RunKeys(store).claim("churn", ASKED)["run"] == run


def test_what_a_name_stands_for(store: Store) -> None:
    keys = RunKeys(store)
    run = keys.claim("churn", ASKED)["run"]
    assert keys.resolve("churn") == keys.resolve(run) == run
    assert keys.resolve("0123abcd") == "0123abcd", "a run without a key"
    assert keys.resolve("churn@00000000") == "churn@00000000"
    assert keys.names(run) and not keys.names("churn@00000000") and keys.names("0123abcd")
    assert keys.owned_by("churn") == keys.owned_by(run) == run
    assert keys.owned_by("churn@00000000") is None and keys.owned_by("other") is None
    with pytest.raises(RequestError):
        keys.resolve("no key")


def test_deleting_takes_everything_and_the_key_names_a_new_run(store: Store) -> None:
    keys = RunKeys(store)
    run = keys.claim("churn", ASKED)["run"]
    put_all(store, run)
    delete_run(store, run)
    assert everything(store) == []
    delete_run(store, run)
    again = keys.claim("churn", {"train.epochs": 9})
    assert again["run"] != run and again["request"] == {"train.epochs": 9}
    put_all(store, again["run"])
    before = everything(store)
    delete_run(store, run)
    assert everything(store) == before, "a late deletion of the first run leaves the second alone"


def test_a_run_without_a_key_is_deleted_too(store: Store) -> None:
    put_all(store, "0123abcd")
    delete_run(store, "0123abcd")
    assert everything(store) == []


WRITES = [
    ("library", "put"),
    ("rounds", "delete"),
    ("rounds", "delete_many"),
    ("library", "delete"),
]


@pytest.mark.parametrize("lost", [False, True])
@pytest.mark.parametrize(
    ("part", "write", "nth"), [(*w, 0) for w in WRITES] + [("library", "delete", n) for n in (1, 2)]
)
@pytest.mark.parametrize("way", ["again", "claim"])
def test_a_deletion_that_is_killed_at_a_write_is_completed(
    store: Store, part: str, write: str, nth: int, lost: bool, way: str
) -> None:
    """By another deletion, or by the next claim of the key; the key names nothing in between."""
    keys = RunKeys(store)
    run = keys.claim("churn", ASKED)["run"]
    put_all(store, run)
    interrupted: Any = InterruptedStore(store)
    ending = (answer_lost if lost else refused)(StoreUnreachable("killed"))
    passed = [after(lambda: None)] * nth
    getattr(interrupted, part).interrupt[write] = [*passed, ending]
    with pytest.raises(StoreUnreachable):
        delete_run(interrupted, run)
    first = (part, write, lost) == ("library", "put", False)
    assert keys.names(run) == first, "from the first write on the key names nothing"
    last = (part, write, nth, lost) == ("library", "delete", 2, True)
    assert keys.owned_by("churn") == (None if last else run), (
        "it can be found by its key until all is gone"
    )
    if way == "again" or first:
        delete_run(store, run)
        assert everything(store) == []
    else:
        fresh = keys.claim("churn", ASKED)["run"]
        assert fresh != run
        assert everything(store) == [ids.key("churn")]


def test_two_deletions_side_by_side_do_no_harm(store: Store) -> None:
    keys = RunKeys(store)
    for write in ("put", "delete"):
        run = keys.claim("churn", ASKED)["run"]
        put_all(store, run)
        interrupted = InterruptedStore(store)
        interrupted.library.interrupt[write] = [
            *([after(lambda: None)] * (2 if write == "delete" else 0)),
            after(lambda run=run: delete_run(store, run)),
        ]
        delete_run(interrupted, run)
        assert everything(store) == []
