"""The run document as a value: the one thing of a run that changes, always by compare-and-swap."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from whisktrain.errors import ErrorRecord
from whisktrain.records import ids
from whisktrain.records.cost import Cost
from whisktrain.spec import Phase, Spec
from whisktrain.store.protocol import Document, Store

__all__ = ["Best", "Ending", "Outcome", "ResumePoint", "RunState", "Status", "read_state", "state_of"]

Status = Literal["running", "completed", "stopped", "failed", "diverged"]


@dataclass(frozen=True, slots=True)
class Best:
    """The best parameters so far: pinned until the run ends.

    Attributes:
        round: The round that starts from them.
        params: Their document.
        value: Validation loss, or training loss without validation rows.
        epoch: The epoch that ended with them.
    """

    round: int
    params: str
    value: float
    epoch: int


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
        round: The round to go on with.
        params: The parameters that it starts from.
        moments: The optimizer's state that belongs to them.
        best: The best parameters at that time.
    """

    round: int
    params: str
    moments: str
    best: Best | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a final state adds.

    Attributes:
        ended: When, in seconds of the epoch.
        publish: The parameters to publish; None: no model.
        metrics: What was measured on exactly these.
        history: One entry for each closed epoch; None: as the story of the round's parameters has it.
        error: Why the run failed.
        log: The last log lines of whoever failed.
    """

    ended: float
    publish: str | None = None
    metrics: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] | None = None
    error: ErrorRecord | None = None
    log: list[str] = field(default_factory=list)


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
        params: The document that the round starts from ("" in round 0).
        merged: The shards that the parameters were merged from.
        best: The best parameters so far, where early stopping watches.
        ending: How the run is about to end, in an evaluation.
        point: Where it may be resumed.
        outcome: What a final state adds.
        nonce: The random word of the execution that wrote this.
        created: When the run was created, in seconds of the epoch.
        opened: When this round was opened.
        leases: When each slot's lease ends.
        aggregate_lease: When the aggregate's lease ends.
        timing: The lengths of the training rounds, as a histogram.
        cost: What it cost so far.
        latest: The newest figures, for whoever watches.
        platform: What was known of the platform: `invocations_per_minute`, `worker_mb`, `aggregate_mb`.
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
    outcome: Outcome | None = None
    nonce: str = ""
    created: float = 0.0
    opened: float = 0.0
    leases: dict[int, float] = field(default_factory=dict)
    aggregate_lease: float = 0.0
    timing: dict[str, int] = field(default_factory=dict)
    cost: Cost = field(default_factory=Cost)
    latest: dict[str, Any] = field(default_factory=dict)
    platform: dict[str, Any] = field(default_factory=dict)
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
        """Documents of earlier rounds that must not be deleted."""
        point = self.point
        kept = {self.params, *([self.best.params] if self.best else [])}
        if point is not None:
            kept |= {point.params, point.moments, *([point.best.params] if point.best else [])}
        return frozenset(kept - {""})

    def to_body(self) -> dict[str, Any]:
        """The document's body."""
        plain = {key: getattr(self, key) for key in self.__slots__ if key not in ("run", "rev")}
        parts = {key: asdict(plain[key]) if plain[key] else None for key in ("best", "ending", "point", "outcome")}
        leases = {str(slot): end for slot, end in sorted(self.leases.items())}
        own = {"spec": self.spec.to_json(), "merged": list(self.merged), "leases": leases, "cost": self.cost.to_body()}
        return {"schema": ids.SCHEMA, **plain, **parts, **own}

    @classmethod
    def from_body(cls, run: str, rev: str, body: dict[str, Any]) -> RunState:
        """The value that `to_body` wrote."""
        known = {key: value for key, value in body.items() if key in cls.__slots__}
        known["spec"] = Spec.from_json(body["spec"])
        known["merged"] = tuple(body["merged"])
        known["leases"] = {int(slot): float(end) for slot, end in body["leases"].items()}
        known["cost"] = Cost(**body["cost"])
        known["best"] = _best(body["best"])
        known["ending"] = Ending(**body["ending"]) if body["ending"] else None
        known["outcome"] = Outcome(**body["outcome"]) if body["outcome"] else None
        point = body["point"]
        known["point"] = ResumePoint(**{**point, "best": _best(point["best"])}) if point else None
        return cls(run=run, rev=rev, **known)


def _best(record: dict[str, Any] | None) -> Best | None:
    return Best(**record) if record else None


def read_state(store: Store, run: str) -> RunState | None:
    """The run as the store has it now; None where it is absent."""
    return state_of(run, store.rounds.get(ids.run(run)))


def state_of(run: str, found: Document | None) -> RunState | None:
    """The run as a document that was read has it; None where there is none."""
    return RunState.from_body(run, found.rev, found.body) if found else None
