"""Failure documents: what they say about an exception, and how they are read."""

from __future__ import annotations

import pytest
from plans import failure

from whisktrain.errors import Diverged, NotFound, RequestError
from whisktrain.records.failures import Failure
from whisktrain.store.protocol import Document


def raised(error: Exception) -> Exception:
    try:
        raise error
    except Exception as caught:
        return caught


def test_an_error_of_ours_keeps_its_record() -> None:
    described = Failure.from_exception(1, 2, raised(NotFound("there is none", hint="Look.")), "e")
    assert (described.shard, described.attempt, described.execution) == (1, 2, "e")
    assert described.error == NotFound("there is none", hint="Look.").to_record()
    assert not described.fatal and "there is none" in described.log[-1]


@pytest.mark.parametrize("error", [RequestError("bad"), Diverged("nan")])
def test_what_would_repeat_itself_is_fatal(error: Exception) -> None:
    described = Failure.from_exception(0, 1, raised(error), "e")
    assert described.fatal and described.diverged == isinstance(error, Diverged)


def test_memory_that_ran_out_has_a_hint() -> None:
    error = Failure.from_exception(0, 1, raised(MemoryError()), "e").error
    assert (error["code"], error["hint"]) == ("out_of_memory", "Give it more memory.")


def test_other_errors_are_named_and_their_log_is_bounded() -> None:
    described = Failure.from_exception(0, 1, raised(ValueError("x" * 5000 + "\n" * 50)), "e")
    assert described.error["code"] == "worker_failed"
    assert (
        described.error["message"].startswith("ValueError: xxx")
        and len(described.error["message"]) == 2000
    )
    assert len(described.log) == 20 and max(map(len, described.log)) <= 500


def test_it_is_read_by_its_id() -> None:
    written = failure(-1, 2, written=5.0, execution="e")
    read = Failure.of(Document("failure:r:3:-1:2", "1-x", dict(written.to_body())))
    assert (read.shard, read.attempt, read.round, read.error) == (-1, 2, 3, written.error)
    with pytest.raises(ValueError, match="r:3:0 is not the id of a failure"):
        Failure.of(Document("r:3:0", "1-x", dict(written.to_body())))
