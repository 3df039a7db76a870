"""Every reachable world of small instances is safe and can reach the cleaned end; and the explorer notices broken rules."""

from __future__ import annotations

import pytest
from explorer import ALL, BIT, FINAL, LAST, Explorer, Rules, bits, moments, names, state_at

from whisktrain.records.ids import DocumentId
from whisktrain.rules import deletion


@pytest.mark.parametrize(("workers", "aggregates", "creates"), [(2, 1, 2), (1, 2, 1), (3, 1, 1)])
def test_every_world_is_safe_and_can_reach_the_end(
    workers: int, aggregates: int, creates: int
) -> None:
    result = Explorer(workers, aggregates, creates).explore()
    assert result.problem is None, (result.problem, result.world)
    assert result.worlds > 10_000


def test_two_of_everything_is_safe_and_can_reach_the_end() -> None:
    result = Explorer(2, 2, 1).explore()
    assert result.problem is None, (result.problem, result.world)
    assert result.worlds > 300_000


def one_too_many(docs: int, position: int) -> int:
    """A9 that deletes the open round's documents too."""
    return bits(
        i
        for i in names(docs)
        if (at := DocumentId.parse(i)) is not None and at.round is not None and at.round <= position
    )


def by_round_alone(docs: int, position: int) -> int:
    """A SWEEP that looks at the open round only, not at the newest optimizer state."""
    state = state_at(position)
    if state is None or state.final:
        return bits(deletion.sweepable(names(docs), "R", state))
    return bits(
        i
        for i in names(docs)
        if (at := DocumentId.parse(i)) is not None and at.round is not None and at.round < position
    )


def while_final(docs: int, position: int) -> int:
    """A SWEEP that does not wait for FINISH."""
    return (
        docs
        if position == FINAL
        else bits(deletion.sweepable(names(docs), "R", state_at(position)))
    )


@pytest.mark.parametrize(
    ("broken", "creates", "problem"),
    [
        (Rules(deletable=one_too_many), 1, "parameters are gone"),
        (Rules(sweepable=by_round_alone), 1, "moments"),
        (Rules(sweepable=while_final), 1, "before they were published"),
        (Rules(moments_first=False), 1, "moments"),
        (Rules(summary_first=False), 2, "training again"),
        (
            Rules(deletable=lambda docs, position: 0, sweepable=lambda docs, position: 0),
            1,
            "cannot be reached",
        ),
    ],
)
def test_a_broken_rule_is_noticed(broken: Rules, creates: int, problem: str) -> None:
    result = Explorer(1, 1, creates, broken).explore()
    if result.problem is None:
        result = Explorer(2, 1, creates, broken).explore()
    assert result.problem is not None and problem in result.problem, result


def test_the_rules_keep_what_the_open_round_needs() -> None:
    for position in range(1, LAST + 1):
        kept = ALL & ~bits(deletion.deletable(names(ALL), state_at(position)))
        assert all(
            kept & bit
            for i, bit in BIT.items()
            if (at := DocumentId.parse(i)) is not None and (at.round or 0) >= position
        )
    # Without the optimizer's state of round 2, that of round 1 (zeros) is the newest: nothing may be swept.
    assert deletion.sweepable(names(ALL & ~moments(2)), "R", state_at(2)) == []
