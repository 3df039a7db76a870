"""The ids of all documents, and the database that holds them.

    library   dataset:<id>  shard:<dataset>:<k>  validation:<dataset>:<k>  upload:<id>  model:<name>:<version>
              version:<name>:<v>  alias:<name>  key:<K>  summary:<R>  checkpoint:<R>  rejection:<K>
    rounds    run:<R>  blueprint:<R>  params:<R>:<r>  moments:<R>:<r>  <R>:<r>:<k>  failure:<R>:<r>:<k>:<attempt>
              history:<R>:<block>  idle:<R>:<activation>  stop:<R>  registration:<namespace>:<trigger>

R is a run's id. Where the caller chose a key K, R is `K@<incarnation>`, eight random hexadecimal digits, and `key:<K>` says
which run K names now; no run that was deleted and its successor under the same key share an id. Without a key R is the
activation's id. Keys and activations' ids have at most 64 letters, digits, `.`, `_`, `-`, so that `@` tells the two apart.
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass
from typing import Literal

from whisktrain.errors import RequestError

__all__ = [
    "RUN_KEY",
    "SCHEMA",
    "DocumentId",
    "Kind",
    "alias",
    "blueprint",
    "check_key",
    "check_run",
    "checkpoint",
    "dataset",
    "failure",
    "failures",
    "has_key",
    "histories",
    "history",
    "idle",
    "idles",
    "key",
    "key_of",
    "model",
    "new_run",
    "optimizer_state",
    "optimizer_states",
    "params",
    "prefixes",
    "registration",
    "registration_prefix",
    "rejection",
    "round_of",
    "run",
    "shard",
    "singles",
    "stop",
    "summary",
    "update",
    "updates_of_round",
    "upload",
    "validation",
    "version",
    "version_prefix",
]

SCHEMA = 1
"""The schema number that every document carries as `schema`."""

RUN_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_INCARNATION = re.compile(r"[0-9a-f]{8}")
_AT = "@"
RESERVED = frozenset(
    {"run", "blueprint", "params", "moments", "failure", "history", "idle", "stop", "registration"}
)


def check_key(key: str) -> str:
    """Return `key` if it may name a run.

    Raises:
        RequestError: It has characters that ids may not have, or is a prefix of other documents' ids.
    """
    if RUN_KEY.fullmatch(key) and key not in RESERVED:
        return key
    raise RequestError(
        f"A run's key was {key[:80]!r}; expected 1 to 64 letters, digits, '.', '_' or '-', starting with a letter or "
        f"digit, and none of {', '.join(sorted(RESERVED))}.",
        code="bad_run_key",
        hint="Choose another key, or leave it out.",
    )


def check_run(name: str) -> str:
    """Return `name` if it may be a run's key or a run's own id.

    Raises:
        RequestError: It is neither.
    """
    key, _, incarnation = name.partition(_AT)
    is_id = _INCARNATION.fullmatch(incarnation) is not None and RUN_KEY.fullmatch(key) is not None
    check_key(key if is_id else name)
    return name


def new_run(key: str) -> str:
    """A new run's id under a key. Nothing that is trained depends on it."""
    return f"{key}{_AT}{secrets.token_hex(4)}"


def key_of(run_id: str) -> str:
    """What a person calls a run: its key, or its id where it has none."""
    return run_id.partition(_AT)[0]


def has_key(run_id: str) -> bool:
    """Whether a run's id was made of a caller's key."""
    return _AT in run_id


def key(name: str) -> str:
    """Which run a key names."""
    return f"key:{name}"


def run(run_id: str) -> str:
    """The run's one mutable document."""
    return f"run:{run_id}"


def blueprint(run_id: str) -> str:
    """The model's configuration and the layout of its tensors, put before params 1."""
    return f"blueprint:{run_id}"


def params(run_id: str, round_: int, digest: str = "") -> str:
    """The tensors that a round starts from; a digest of the merged set where that was not everything."""
    return f"params:{run_id}:{round_}" + (f":{digest}" if digest else "")


def optimizer_state(run_id: str, round_: int, digest: str = "") -> str:
    """The optimizer's state (its moments) that belongs to `params` of the same round."""
    return f"moments:{run_id}:{round_}" + (f":{digest}" if digest else "")


def update(run_id: str, round_: int, shard_: int) -> str:
    """One shard's contribution to one round."""
    return f"{run_id}:{round_}:{shard_}"


def updates_of_round(run_id: str, round_: int) -> str:
    """The prefix of one round's updates."""
    return f"{run_id}:{round_}:"


def failure(run_id: str, round_: int, shard_: int, attempt: int) -> str:
    """Why a worker could not compute a shard."""
    return f"failure:{run_id}:{round_}:{shard_}:{attempt}"


def history(run_id: str, block: int) -> str:
    """One block of the entries of closed epochs."""
    return f"history:{run_id}:{block}"


def histories(run_id: str) -> str:
    """The prefix of a run's blocks of history."""
    return f"history:{run_id}:"


def idle(run_id: str, activation: str) -> str:
    """An activation that wrote nothing, for the cost."""
    return f"idle:{run_id}:{activation}"


def idles(run_id: str) -> str:
    """The prefix of a run's activations that wrote nothing."""
    return f"idle:{run_id}:"


def stop(run_id: str) -> str:
    """The request to stop a run."""
    return f"stop:{run_id}"


def registration(namespace: str, trigger: str) -> str:
    """The registration of a trigger that the follower fires."""
    return f"registration:{namespace}:{trigger}"


def registration_prefix() -> str:
    """The prefix of all registrations."""
    return "registration:"


def summary(run_id: str) -> str:
    """The summary of a run that ended."""
    return f"summary:{run_id}"


def rejection(run_id: str) -> str:
    """Why a run did not begin."""
    return f"rejection:{run_id}"


def checkpoint(run_id: str) -> str:
    """Everything that is needed to resume a stopped run."""
    return f"checkpoint:{run_id}"


def dataset(dataset_id: str) -> str:
    """A processed data set: its report and its fitted preprocessing."""
    return f"dataset:{dataset_id}"


def shard(dataset_id: str, k: int) -> str:
    """One shard of the training rows."""
    return f"shard:{dataset_id}:{k}"


def validation(dataset_id: str, k: int) -> str:
    """The validation rows that shard k's worker evaluates."""
    return f"validation:{dataset_id}:{k}"


def upload(upload_id: str) -> str:
    """A file that a user uploaded."""
    return f"upload:{upload_id}"


def model(name: str, version_: int) -> str:
    """A trained model."""
    return f"model:{name}:{version_}"


def version(name: str, version_: int) -> str:
    """The claim of a run on a version of a model."""
    return f"version:{name}:{version_}"


def version_prefix(name: str) -> str:
    """The prefix of the claims on a model's versions."""
    return f"version:{name}:"


def alias(name: str) -> str:
    """The newest published version of a model."""
    return f"alias:{name}"


Kind = Literal[
    "run", "blueprint", "params", "optimizer_state", "update", "failure", "history", "idle", "stop"
]

_OF_RUN: dict[str, Kind] = {"run": "run", "blueprint": "blueprint", "stop": "stop"}
_OF_ROUND: dict[str, Kind] = {"params": "params", "moments": "optimizer_state"}


@dataclass(frozen=True, slots=True)
class DocumentId:
    """The parts of an id in the rounds' database.

    Attributes:
        kind: The kind of document.
        run: The run's id.
        round: The round; None where the document belongs to the whole run.
        shard: The shard (updates and failures).
        attempt: The attempt (failures).
    """

    kind: Kind
    run: str
    round: int | None = None
    shard: int | None = None
    attempt: int | None = None

    @classmethod
    def parse(cls, id_: str) -> DocumentId | None:
        """Parse an id; None where it belongs to no run (a registration, or a foreign document)."""
        head, *rest = id_.split(":")
        try:
            if head in _OF_RUN and len(rest) == 1:
                return cls(_OF_RUN[head], rest[0])
            if head in _OF_ROUND and len(rest) in (2, 3):
                return cls(_OF_ROUND[head], rest[0], int(rest[1]))
            if head in ("history", "idle") and len(rest) == 2:
                return cls("history" if head == "history" else "idle", rest[0])
            if head == "failure" and len(rest) == 4:
                return cls("failure", rest[0], int(rest[1]), int(rest[2]), int(rest[3]))
            if head != "registration" and len(rest) == 2:
                return cls("update", head, int(rest[0]), int(rest[1]))
        except ValueError:
            return None
        return None


def round_of(id_: str) -> int:
    """The round that the id of a document of a round names."""
    part = DocumentId.parse(id_)
    if part is None or part.round is None:
        raise ValueError(f"{id_!r} is not the id of a document of a round")
    return part.round


def failures(run_id: str, round_: int | None = None) -> str:
    """The prefix of a run's failures, or of one round's."""
    return f"failure:{run_id}:" + ("" if round_ is None else f"{round_}:")


def optimizer_states(run_id: str) -> str:
    """The prefix of a run's optimizer states."""
    return f"moments:{run_id}:"


def prefixes(run_id: str) -> tuple[str, ...]:
    """The prefixes of the ids of a run's documents that belong to a round."""
    return (f"{run_id}:", f"params:{run_id}:", f"moments:{run_id}:", f"failure:{run_id}:")


def singles(run_id: str) -> tuple[str, ...]:
    """The ids of a run's documents that belong to the whole run, without the run document."""
    return (f"blueprint:{run_id}", f"stop:{run_id}")
