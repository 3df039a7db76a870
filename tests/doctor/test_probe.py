"""The end-to-end probe: where it stops for each part that does not work, and that it leaves nothing behind."""

from __future__ import annotations

import threading
import time

import pytest

from openwhisk_local import Host
from whisktrain.doctor import cleanup, probe
from whisktrain.openwhisk import manifest, system
from whisktrain.openwhisk.client import Client
from whisktrain.openwhisk.deployment import deploy
from whisktrain.openwhisk.limits import Limits
from whisktrain.rounds.follower import Follower
from whisktrain.store.opening import open_store

IDLES = "def main(args):\n    return {}\n"
BROKEN = "import nothing_of_the_kind\n"
PACKAGE = manifest.read(system.manifest_path(), {}).packages[0]
LIMITS = Limits(max_duration_s=300.0)


class Place:
    """A deployment with a follower that can be paused."""

    def __init__(self, client, address) -> None:
        self.client, self.address = client, address
        self.store = open_store(address)
        self.following = threading.Event()
        self.replaced: set[str] = set()

    def fire(self, trigger, payload) -> None:
        if self.following.is_set():
            self.client.fire(trigger, payload)

    def replace(self, action, code) -> None:
        self.replaced.add(action)
        self.client.put(
            "actions", f"whisktrain/{action}", {"exec": {"kind": "python:default", "code": code}}
        )

    def restore(self) -> None:
        """Put back what was replaced, and only that: the processes of the other actions stay warm."""
        for entry in PACKAGE.actions:
            if entry.name in self.replaced:
                self.replace(entry.name, entry.code)
        self.replaced.clear()

    def probe(self, tell=lambda *_: None):
        return probe.check_end_to_end(self.client, self.store, PACKAGE, LIMITS, tell)

    def left(self, *others: str) -> list[str]:
        """What is in the store, once those who were at work have seen that the run is gone."""
        until = time.monotonic() + 10
        while True:
            found = [
                d.id
                for part in (self.store.rounds, self.store.library)
                for d in part.list("", bodies=False)
            ]
            found = [id_ for id_ in found if id_ not in ("registration:guest:rounds", *others)]
            if not found or time.monotonic() > until:
                return found
            time.sleep(0.1)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    home = tmp_path_factory.mktemp("place")
    stop = threading.Event()
    with Host(home / "host") as host, Client(host.apihost, host.auth) as client:
        place = Place(client, f"sqlite:{home}/store")
        deploy(client, environment={"WHISKTRAIN_STORE": place.address})
        store = open_store(place.address)
        thread = threading.Thread(target=Follower(store, place.fire).run, args=(stop,))
        thread.start()
        place.following.set()
        assert place.probe().ok  # TensorFlow is loaded once for all tests
        yield place
        stop.set()
        thread.join()
        store.close()
        place.store.close()


@pytest.fixture
def place(whole, monkeypatch):
    """The deployment in order, and little patience."""
    monkeypatch.setattr(probe, "IDLE_S", 8.0)
    monkeypatch.setattr(cleanup, "RELEASE_S", 6.0)
    yield whole
    whole.following.set()
    whole.restore()


def test_a_tiny_model_is_trained_and_nothing_of_it_stays(place) -> None:
    told = []
    others = ["dataset:other", "model:doctor:1"]
    place.store.library.put(others[0], {"schema": 1, "classes": ["doctor", "nurse"]})
    place.store.library.put(others[1], {"schema": 1})
    found = place.probe(lambda *word: told.append(word))
    assert place.left(*others) == []
    assert place.store.library.delete_many(others) == 2, "what is not its own stays"
    assert found.ok, found
    assert "3 rounds" in found.detail
    steps = list(dict.fromkeys(what.removeprefix("end to end: ") for what, _, _ in told))
    assert steps[0] == "preprocess makes the shards"
    assert len(steps) > 1
    assert all(seconds <= most <= 300 for _, seconds, most in told)
    assert told[0][2] == pytest.approx(probe.IDLE_S, abs=0.1), (
        "it says when it will give up unless something happens"
    )


def test_a_follower_that_does_not_fire(place) -> None:
    place.following.clear()
    begun = time.monotonic()
    found = place.probe()
    assert "the follower did not fire" in found.detail
    assert "whisktrain follow" in found.hint
    assert time.monotonic() - begun < 60
    place.following.set()
    assert place.left() == []


def test_a_rule_whose_action_cannot_be_started(place) -> None:
    record = place.client.connection.json(
        "GET", "/api/v1/namespaces/_/actions/whisktrain/aggregate"
    )
    place.client.delete("actions", "whisktrain/aggregate")
    found = place.probe()
    assert (
        "the follower fired, but the rule did not start guest/whisktrain/aggregate: The requested"
        in found.detail
    )
    assert "whisktrain deploy" in found.hint
    place.client.put(
        "actions",
        "whisktrain/aggregate",
        {key: record[key] for key in ("exec", "limits", "annotations")},
    )
    assert place.left() == []


def test_rows_that_predict_cannot_use_are_no_success(place) -> None:
    code = (
        "def main(args):\n    return {**args, 'decisions': None,"
        " 'decisions_error': {'message': 'no such column', 'hint': 'look'}}\n"
    )
    place.replace("predict", code)
    found = place.probe()
    assert "no such column" in found.detail
    assert found.hint == "look"
    assert place.left() == []


@pytest.mark.parametrize("step", [1, 2])
def test_ctrl_c_leaves_nothing_behind(place, step) -> None:
    seen: set[str] = set()

    def tell(what, seconds, most) -> None:
        seen.add(what)
        if len(seen) == step:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        place.probe(tell)
    assert place.left() == []


@pytest.mark.parametrize(
    ("action", "code", "words", "hint"),
    [
        ("preprocess", BROKEN, "stopped in preprocess: Cannot start action", "smoke.py"),
        ("train", BROKEN, "stopped in train: Cannot start action", "smoke.py"),
        ("aggregate", BROKEN, "stopped in the aggregate: Cannot start action", "smoke.py"),
        ("aggregate", IDLES, "stopped at the aggregate: it was started", "256 MB"),
        ("predict", BROKEN, "stopped in predict: Cannot start action", "smoke.py"),
        ("worker", BROKEN, "stopped at the worker: Cannot start action", "smoke.py"),
        ("worker", IDLES, "stopped at worker: the run is open, the worker did not start", "512 MB"),
    ],
)
def test_where_it_stopped(place, action, code, words, hint) -> None:
    place.replace(action, code)
    found = place.probe()
    assert not found.ok
    assert words in found.detail
    assert hint in found.hint
    assert place.left() == []
