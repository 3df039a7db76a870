"""The run document as a value: the only document of a run that changes, always by compare-and-swap."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, TypedDict

from whisktrain.errors import ErrorRecord
from whisktrain.records import ids
from whisktrain.records.cost import Cost
from whisktrain.records.history import TrainingHistory
from whisktrain.spec import Figures, Phase, Spec
from whisktrain.store.protocol import Document

__all__ = [
    "Best",
    "Ending",
    "Outcome",
    "PlatformFacts",
    "ResumePoint",
    "RunState",
    "Start",
    "Status",
]

Status = Literal["running", "completed", "stopped", "failed", "diverged"]


@dataclass(frozen=True, slots=True)
class Best:
    """The best parameters so far: pinned until the run ends.

    Attributes:
        round: The round that starts from them.
        params: The id of their document.
        value: Validation loss, or training loss without validation rows.
        epoch: The epoch that ended with them, from 0.
    """

    round: int
    params: str
    value: float
    epoch: int

    @classmethod
    def from_body(cls, body: Mapping[str, Any] | None) -> Best | None:
        """The best parameters as a document holds them."""
        return cls(**body) if body else None


@dataclass(frozen=True, slots=True)
class Ending:
    """How the run is about to end, once the parameters to publish are evaluated.

    Attributes:
        status: The final state to be.
        reason: Why, for a person.
        restored: Whether the best parameters were put back for this evaluation.
    """

    status: Status
    reason: str
    restored: bool = False


@dataclass(frozen=True, slots=True)
class ResumePoint:
    """Where a run may be resumed: pinned until its checkpoint is written.

    Attributes:
        round: The round to continue with.
        params: The id of the parameters that it starts from.
        optimizer_state: The id of the optimizer's state that belongs to them.
        best: The best parameters at that time.
    """

    round: int
    params: str
    optimizer_state: str
    best: Best | None = None

    @classmethod
    def from_body(cls, body: Mapping[str, Any] | None) -> ResumePoint | None:
        """The resume point as a document holds it."""
        return cls(**{**body, "best": Best.from_body(body["best"])}) if body else None

    @property
    def documents(self) -> frozenset[str]:
        """The ids of the documents that a checkpoint of it is read from."""
        return frozenset(
            {self.params, self.optimizer_state, *([self.best.params] if self.best else [])}
        )


@dataclass(frozen=True, slots=True)
class Start:
    """The newest invocation of a slot, until it has written something.

    Attributes:
        at: When, in seconds of the epoch.
        count: How often the slot was invoked without having written anything since.
        activation: The activation's id, where it was noted.
    """

    at: float
    count: int = 1
    activation: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a final state adds.

    Attributes:
        ended: When, in seconds of the epoch.
        publish: The id of the parameters to publish; None: no model.
        metrics: What was measured on exactly these.
        history: The history to its end; None: as in the params document of the last round.
        error: Of a run that failed.
        log: The last log lines of the worker or aggregate that failed.
    """

    ended: float
    publish: str | None = None
    metrics: Figures = field(default_factory=dict)
    history: TrainingHistory | None = None

    @classmethod
    def from_body(cls, body: Mapping[str, Any] | None) -> Outcome | None:
        """What a final state adds, as a document holds it."""
        if not body:
            return None
        history = body["history"]
        return cls(**{**body, "history": TrainingHistory.from_body(history) if history else None})

    error: ErrorRecord | None = None
    log: list[str] = field(default_factory=list)


class PlatformFacts(TypedDict, total=False):
    """What was known of the platform when the run was created.

    Attributes:
        invocations_per_minute: What the platform allows.
        worker_mb: Memory of the action worker, and so of each of its containers.
        aggregate_mb: The same of aggregate.
        predict_mb: The same of predict.
        train_mb: The same of train.
        largest_mb: The most that an action may have.
        container_mb: Memory of all containers together, where it is known.
        elastic: Whether a run may raise an action's memory: on the embedded host.
        rows_bytes: Bytes of the largest shard and its validation slice.
    """

    invocations_per_minute: int
    worker_mb: int
    aggregate_mb: int
    predict_mb: int
    train_mb: int
    largest_mb: int
    container_mb: int
    elastic: bool
    rows_bytes: int


@dataclass(frozen=True, slots=True)
class RunState:
    """A run.

    Attributes:
        run: Its id.
        spec: Its frozen plan.
        version: The version of the model that it will publish.
        status: "running", or one of the final states.
        reason: Why it is in it.
        round: The open round; 0 while the model is built.
        phase: What workers do in it.
        params: The id of the parameters that the round starts from ("" in round 0).
        merged: The shards that the parameters were merged from.
        best: The best parameters so far, where early stopping watches.
        ending: How the run is about to end, in an evaluation.
        point: Where it may be resumed.
        fallback: Where it may be resumed if it diverges: sound parameters of an earlier round.
        first_loss: The training loss of its first round.
        outcome: What a final state adds.
        nonce: A random word of the execution that wrote this.
        created: When the run was created, in seconds of the epoch.
        opened: When this round was opened.
        leases: When each slot's lease ends.
        starts: The slots that were invoked and have not written anything since.
        longest_start: The longest time that an invoked slot took to write something, in seconds; 0: none has yet.
        aggregate_lease: When the aggregate's lease ends.
        timing: The lengths of the training rounds, as a histogram.
        cost: The cost so far.
        latest: The newest figures, for progress displays.
        platform: What was known of the platform.
        rev: The revision of the document.
    """

    run: str
    spec: Spec
    version: int
    status: Status = "running"
    reason: str = ""
    round: int = 0
    phase: Phase | Literal["build"] = "build"
    params: str = ""
    merged: tuple[int, ...] = ()
    best: Best | None = None
    ending: Ending | None = None
    point: ResumePoint | None = None
    fallback: ResumePoint | None = None
    first_loss: float | None = None
    outcome: Outcome | None = None
    nonce: str = ""
    created: float = 0.0
    opened: float = 0.0
    leases: dict[int, float] = field(default_factory=dict)
    starts: dict[int, Start] = field(default_factory=dict)
    longest_start: float = 0.0
    aggregate_lease: float = 0.0
    timing: dict[str, int] = field(default_factory=dict)
    cost: Cost = field(default_factory=Cost)
    latest: Figures = field(default_factory=dict)
    platform: PlatformFacts = field(default_factory=PlatformFacts)
    rev: str = ""

    @property
    def final(self) -> bool:
        """Whether the run has ended; only cleaning up may be left."""
        return self.status != "running"

    @property
    def model(self) -> str:
        """The name of the model that it will publish, "NAME:VERSION"."""
        return f"{self.spec.name}:{self.version}"

    @property
    def pinned(self) -> frozenset[str]:
        """Ids of documents of earlier rounds that must not be deleted."""
        kept = {self.params, *([self.best.params] if self.best else [])}
        for point in (self.point, self.fallback):
            if point is not None:
                kept |= point.documents
        return frozenset(kept - {""})

    def is_write_of(self, other: RunState) -> bool:
        """Whether this is what the execution that wrote `other` has written: nonce and round must both be the same."""
        return (self.nonce, self.round) == (other.nonce, other.round)

    def to_body(self) -> dict[str, Any]:
        """The document's body."""
        plain = {key: getattr(self, key) for key in self.__slots__ if key not in ("run", "rev")}
        parts = {
            key: asdict(plain[key]) if plain[key] else None
            for key in ("best", "ending", "point", "fallback", "outcome")
        }
        converted = {
            "spec": self.spec.to_json(),
            "merged": list(self.merged),
            "leases": {str(slot): end for slot, end in sorted(self.leases.items())},
            "starts": {str(slot): asdict(start) for slot, start in sorted(self.starts.items())},
            "cost": self.cost.to_body(),
        }
        return {"schema": ids.SCHEMA, **plain, **parts, **converted}

    @classmethod
    def from_body(cls, run: str, rev: str, body: Mapping[str, Any]) -> RunState:
        """The value that `to_body` wrote."""
        known = {key: value for key, value in body.items() if key in cls.__slots__}
        known |= {
            "spec": Spec.from_json(body["spec"]),
            "merged": tuple(body["merged"]),
            "leases": {int(slot): float(end) for slot, end in body["leases"].items()},
            "starts": {int(slot): Start(**start) for slot, start in body.get("starts", {}).items()},
            "cost": Cost.from_body(body["cost"]),
            "best": Best.from_body(body["best"]),
            "ending": Ending(**body["ending"]) if body["ending"] else None,
            "point": ResumePoint.from_body(body["point"]),
            "fallback": ResumePoint.from_body(body.get("fallback")),
            "outcome": Outcome.from_body(body["outcome"]),
        }
        return cls(run=run, rev=rev, **known)

    @classmethod
    def of(cls, document: Document) -> RunState:
        """The run that a run document holds."""
        return cls.from_body(document.id.removeprefix(ids.run("")), document.rev, document.body)
