"""A seeded campaign over every reader and over requests; `make fuzz` runs larger ones."""

from __future__ import annotations

import campaign
import pytest
import targets

INPUTS = 10_000


@pytest.mark.timeout(600)
def test_no_input_is_an_internal_error_a_hang_or_a_flood() -> None:
    faults = campaign.run(campaign.plan(INPUTS), seed=0, jobs=2)
    assert not faults, "\n\n".join(map(str, faults))


def test_an_input_is_made_from_its_number_alone() -> None:
    for target in targets.TARGETS.values():
        assert repr(target.input(3, 7)) == repr(target.input(3, 7))
        assert repr(target.input(3, 7)) != repr(target.input(3, 8)), target.name


def test_the_shares_of_the_targets_make_the_plan() -> None:
    work = campaign.plan(1000)
    assert {name for name, _ in work} == set(targets.TARGETS)
    assert 950 < len(work) < 1050
    assert campaign.plan(3, ["csv"]) == [("csv", 0), ("csv", 1), ("csv", 2)]


@pytest.mark.timeout(300)
def test_planted_faults_are_found() -> None:
    ballast = b"x" * (600 << 20)  # the children's memory counts, not this process' own
    work = campaign.plan(7, module="planted")
    found = campaign.run(work, seed=0, jobs=1, module="planted", seconds=5.0)
    del ballast
    told = {fault.target: fault.what for fault in found}
    expected = {
        "raise_error": "KeyError: 'planted'",
        "refuse_unreadably": "a memory address in the message",
        "hang": "more than 5 s of processor time",
        "grow": "grew by more than 256 MB",
        "crash": "ended by SIGABRT",
    }
    assert set(told) == set(expected)
    for name, what in told.items():
        assert expected[name] in what
    assert "make fuzz REPLAY=hang:0" in str(found[2])
