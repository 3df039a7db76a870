"""Exhaustive exploration of the protocol on a small instance, with the real rules.

The world is what the store holds, the run document, and what each process is about to write. A process may be delayed at any
point for as long as it likes, killed at any point any number of times, and started again or twice at any time; so lost fires,
lost invocations, duplicates and zombies are all included. Reads of one process that only decide on its next write are taken
together: whatever happens between them is also reached with the reads before it or after it. What a process deletes is taken
to be everything that its rule allows at the moment when it read the run, listed or not.

Two shards, rounds 0 (build), 1 and 2 (training) and 3 (evaluation).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Any, NamedTuple

from rounds_rig import plan_of

from whisktrain.records import ids
from whisktrain.records.run import Outcome, RunState
from whisktrain.rules import assignment, deletion

SHARDS = 2
LAST = 2
EVALUATION = LAST + 1
FINAL = EVALUATION + 1
ABSENT = -1
RUN = "R"

IDS = (
    *(ids.update(RUN, r, k) for r in range(1, EVALUATION + 1) for k in range(SHARDS)),
    *(ids.params(RUN, r) for r in range(1, EVALUATION + 1)),
    ids.optimizer_state(RUN, 2),
)
BIT = {id_: 1 << i for i, id_ in enumerate(IDS)}
ALL = sum(BIT.values())
SPEC = plan_of(rounds=LAST)


def update(r: int, k: int) -> int:
    return BIT[ids.update(RUN, r, k)]


def params(r: int) -> int:
    return BIT[ids.params(RUN, r)]


def moments(r: int) -> int:
    return BIT.get(ids.optimizer_state(RUN, r), 0)


def names(docs: int) -> list[str]:
    return [id_ for id_, bit in BIT.items() if docs & bit]


def bits(ids: Any) -> int:
    return sum(BIT[id_] for id_ in ids)


@cache
def state_at(position: int) -> RunState | None:
    """The run document at a position: a round, FINAL, or ABSENT."""
    if position == ABSENT:
        return None
    if position == FINAL:
        published = ids.params(RUN, EVALUATION)
        return RunState(
            RUN,
            SPEC,
            1,
            status="completed",
            round=EVALUATION,
            params=published,
            outcome=Outcome(0.0, published),
        )
    phase = "build" if position == 0 else "train" if position <= LAST else "evaluate"
    return RunState(
        RUN,
        SPEC,
        1,
        round=position,
        phase=phase,
        params=ids.params(RUN, position) if position else "",
    )


@cache
def missing(docs: int, r: int) -> tuple[int, ...]:
    present = (
        [k for k in range(SHARDS) if docs & update(r, k)]
        if r
        else ([0] if docs & params(1) else [])
    )
    return assignment.missing(r, SHARDS, present)


class Aggregate(NamedTuple):
    """An aggregate: what its main thread is about to do, what it remembers, and what its second thread is about to do.

    Attributes:
        does: "hold" (waits for its round), "put" (params of the next), "swap", "F1" … "F5", "recreated".
        round: The round that it has in hand.
        revision: Which creation of the run document it read.
        remembers: Whether it has the optimizer's state of its round in memory.
        behind: jobs in order, ("A8", round, deletions) or ("A9", 0, deletions).
        going: What it is about to delete.
    """

    does: str
    round: int
    revision: int
    remembers: bool = False
    behind: tuple[Any, ...] = ()
    going: int = 0


class World(NamedTuple):
    """Attributes: docs: bits; run: a position; incarnation: how often the run was created; summary: whether there is one;
    creates: CREATEs that may still begin; creating: those past C1; workers, aggregates: sorted; sweeper: () or its state."""

    docs: int
    run: int
    incarnation: int
    summary: bool
    creates: int
    creating: int
    workers: tuple[int, ...]
    aggregates: tuple[Aggregate, ...]
    sweeper: tuple[Any, ...]


@dataclass
class Rules:
    """The variation points: the real rules by default; a test breaks one to see that the explorer notices.

    Attributes:
        deletable: A9's rule, of documents and the position of the run.
        sweepable: SWEEP's rule.
        moments_first: Whether A9 waits for A8.
        summary_first: Whether C1's and A1's look at the summary happens.
        run_last: Whether F5 comes after F4.
    """

    deletable: Any = None
    sweepable: Any = None
    moments_first: bool = True
    summary_first: bool = True

    def __post_init__(self) -> None:
        self.deletable = self.deletable or lru_cache(maxsize=None)(_deletable)
        self.sweepable = self.sweepable or lru_cache(maxsize=None)(_sweepable)


def _deletable(docs: int, position: int) -> int:
    state = state_at(position)
    assert state is not None
    return bits(deletion.deletable(names(docs), state))


def _sweepable(docs: int, position: int) -> int:
    return bits(deletion.sweepable(names(docs), RUN, state_at(position)))


@cache
def could_put(docs: int, position: int) -> tuple[int, ...]:
    """W1 to W3: what workers that begin now would put."""
    if not 0 <= position < FINAL or (position and not docs & params(position)):
        return ()
    return tuple(update(position, k) if position else params(1) for k in missing(docs, position))


@cache
def recoverable(docs: int, r: int) -> bool:
    """I3: whether the optimizer's state of round r can be recovered from the store alone."""
    if r <= 1:
        return True
    if docs & moments(r):
        return True
    return not missing(docs, r - 1) and bool(docs & params(r - 1)) and recoverable(docs, r - 1)


@dataclass
class Explorer:
    """Explores every reachable world.

    Attributes:
        workers: Workers at once.
        aggregates: Aggregates at once.
        creates: CREATEs of the same run.
        variation: The rules.
    """

    workers: int = 2
    aggregates: int = 2
    creates: int = 2
    variation: Rules = field(default_factory=Rules)

    def start(self) -> World:
        return World(0, ABSENT, 0, False, self.creates, 0, (), (), ())

    def following(self, w: World) -> Iterator[World]:
        """The worlds one step on."""
        yield from self._creates(w)
        yield from self._workers(w)
        yield from self._sweeps(w)
        if len(w.aggregates) < self.aggregates:
            for fresh in self._arrive(w):
                yield w._replace(aggregates=tuple(sorted((*w.aggregates, fresh))))
        for i, a in enumerate(w.aggregates):
            rest = w.aggregates[:i] + w.aggregates[i + 1 :]
            yield w._replace(aggregates=rest)  # killed
            for after, b in (*self._main(w, a), *self._behind(w, a)):
                yield after._replace(
                    aggregates=tuple(sorted((*rest, b))) if b is not None else rest
                )

    def _creates(self, w: World) -> Iterator[World]:
        if w.creates and not (w.summary and self.variation.summary_first):  # C1
            yield w._replace(creates=w.creates - 1, creating=w.creating + 1)
        if w.creating:  # C2 puts the run, unless it is there
            absent = w.run == ABSENT
            yield w._replace(
                creating=w.creating - 1,
                run=0 if absent else w.run,
                incarnation=w.incarnation + absent,
            )
            yield w._replace(creating=w.creating - 1)  # killed

    def _workers(self, w: World) -> Iterator[World]:
        if len(w.workers) < self.workers:
            for put in could_put(w.docs, w.run):
                yield w._replace(workers=tuple(sorted((*w.workers, put))))
        for i, put in enumerate(w.workers):
            rest = w.workers[:i] + w.workers[i + 1 :]
            yield w._replace(
                workers=rest, docs=w.docs | put
            )  # W4; a put on a deleted document succeeds
            yield w._replace(workers=rest)  # killed

    def _sweeps(self, w: World) -> Iterator[World]:
        if not w.sweeper:
            if w.docs:
                yield w._replace(sweeper=("listed", w.docs & moments(2)))
            return
        yield w._replace(sweeper=())  # killed, or done
        if w.sweeper[0] == "listed":
            others = ALL & ~moments(2)
            going = (
                self.variation.sweepable(others | w.sweeper[1], w.run)
                if not (w.run == 0 and w.summary)
                else 0
            )
            if going:
                yield w._replace(sweeper=("deletes", going))
        elif w.docs & w.sweeper[1]:
            yield w._replace(docs=w.docs & ~w.sweeper[1], sweeper=())
            one = w.docs & w.sweeper[1]
            yield w._replace(docs=w.docs & ~(one & -one), sweeper=())  # killed after the first

    def _arrive(self, w: World) -> Iterator[Aggregate]:
        """A1 to A3 of a new aggregate."""
        if w.run == FINAL:
            yield Aggregate("F2", FINAL, w.incarnation)
        elif w.run == 0 and w.summary and self.variation.summary_first:
            yield Aggregate("recreated", 0, w.incarnation, going=ALL)
        elif w.run >= 0:
            yield from self._merges(w, Aggregate("hold", w.run, w.incarnation))

    def _merges(self, w: World, a: Aggregate) -> Iterator[Aggregate]:
        """A2 to A4 for the round in hand, where it is complete and everything is there."""
        r = a.round
        if missing(w.docs, r) or (r and not (a.remembers or w.docs & params(r))):
            return
        if r == EVALUATION:
            yield a._replace(does="F1")
        elif r == 0 or a.remembers or recoverable(w.docs, r):
            yield a._replace(does="put")

    def _main(self, w: World, a: Aggregate) -> Iterator[tuple[World, Aggregate | None]]:
        v = self.variation
        here = w.run == a.round and w.incarnation == a.revision
        if a.does == "hold" and len(a.behind) < 2:
            for b in self._merges(w, a):
                yield w, b
        elif a.does == "put":  # A5
            yield w._replace(docs=w.docs | params(a.round + 1)), a._replace(does="swap")
        elif a.does == "swap":  # A6
            if not here:
                yield w, None  # another aggregate advanced the run: restart from A1
            elif len(a.behind) < 2:  # after A7, A8 and A9 of the round before are awaited
                moved = a.round + 1
                going = v.deletable(ALL, moved)
                durable = moved in (1, EVALUATION) or not moments(moved)
                job = ("A9", 0, going) if durable or not v.moments_first else ("A8", moved, going)
                b = Aggregate(
                    "hold", moved, a.revision, remembers=moved <= LAST, behind=(*a.behind, job)
                )
                yield w._replace(run=moved), b
        elif a.does == "F1":
            yield (w._replace(run=FINAL), a._replace(does="F2", round=FINAL)) if here else (w, None)
        elif a.does == "F2":  # F2 needs the parameters, unless the summary is there
            if w.summary:
                yield w, a._replace(does="F4", going=ALL)
            elif w.docs & params(EVALUATION):
                yield w, a._replace(does="F3")
            else:
                yield w, None
        elif a.does == "F3":
            yield w._replace(summary=True), a._replace(does="F4", going=ALL)
        elif a.does == "F4":
            yield w._replace(docs=w.docs & ~a.going), a._replace(does="F5", going=0)
            yield w._replace(docs=w.docs & ~(w.docs & -w.docs)), None  # killed after the first
        elif a.does == "F5":
            yield (w._replace(run=ABSENT), None) if here else (w, None)
        elif a.does == "recreated":
            yield w._replace(docs=w.docs & ~a.going, run=ABSENT if here else w.run), None
            yield w._replace(docs=w.docs & ~a.going), None  # killed before the run goes

    def _behind(self, w: World, a: Aggregate) -> Iterator[tuple[World, Aggregate]]:
        if not a.behind:
            return
        (does, r, going), *later = a.behind
        if does == "A8":
            yield (
                w._replace(docs=w.docs | moments(r)),
                a._replace(behind=(("A9", 0, going), *later)),
            )
        else:
            yield w._replace(docs=w.docs & ~going), a._replace(behind=tuple(later))

    def unsafe(self, w: World) -> str | None:
        """What is wrong with a world; None where it is safe."""
        if 1 <= w.run <= EVALUATION:
            if not w.docs & params(w.run):
                return "I3: the open round's parameters are gone"
            if w.run <= LAST and not recoverable(w.docs, w.run):
                return "I3: the open round's moments are neither stored nor can they be replayed"
        if w.run == FINAL and not w.summary and not w.docs & params(EVALUATION):
            return "the parameters to publish are gone before they were published"
        if w.run > 0 and w.run != FINAL and w.summary:
            return "an ended run is training again"
        return None

    def explore(self, most: int = 10**7) -> Result:
        """Visit every world; which are unsafe, and from which the cleaned end cannot be reached."""
        first = self.start()
        index: dict[World, int] = {first: 0}
        before: list[list[int]] = [[]]
        ends: list[int] = []
        queue = deque([first])
        while queue:
            world = queue.popleft()
            here = index[world]
            problem = self.unsafe(world)
            if problem is not None:
                return Result(len(index), problem, world)
            never = not world.creates and not world.incarnation  # every CREATE was killed before C2
            if (
                world.run == ABSENT
                and (world.summary or never)
                and not world.docs
                and not world.creating
            ):
                ends.append(here)
            for after in self.following(world):
                there = index.get(after)
                if there is None:
                    there = index[after] = len(before)
                    before.append([])
                    if there > most:
                        return Result(len(index), "there are too many worlds", after)
                    queue.append(after)
                before[there].append(here)
        reached, todo = bytearray(len(before)), deque(ends)
        for end in ends:
            reached[end] = 1
        while todo:
            for earlier in before[todo.popleft()]:
                if not reached[earlier]:
                    reached[earlier] = 1
                    todo.append(earlier)
        stuck = next((world for world, i in index.items() if not reached[i]), None)
        return Result(len(index), "the cleaned end cannot be reached" if stuck else None, stuck)


@dataclass(frozen=True)
class Result:
    """Attributes: worlds: how many; problem: None where all is well; world: where it is not."""

    worlds: int
    problem: str | None
    world: World | None
