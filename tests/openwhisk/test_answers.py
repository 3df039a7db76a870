from __future__ import annotations

import datetime
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whisktrain.errors import (
    ConfigurationError,
    Conflict,
    DataError,
    DeadlineExceeded,
    NotFound,
    PlatformUnreachable,
    RequestError,
    StoreError,
    StoreUnreachable,
    TooManyRequests,
)
from whisktrain.openwhisk.action.answers import (
    RESULT_LIMIT,
    encode,
    failure,
    web_answer,
    web_failure,
)
from whisktrain.openwhisk.client.activation import activation_of, failure_of

SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.builds(np.float32, st.floats(width=32)),
    st.builds(np.int64, st.integers(-(2**63), 2**63 - 1)),
    st.builds(np.bool_, st.booleans()),
    st.builds(lambda v: np.array(v, dtype=np.float32), st.lists(st.floats(width=32), max_size=3)),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text(), VALUES, max_size=4))
def test_whatever_numbers_it_holds_the_platform_can_read_the_answer(result) -> None:
    text = json.dumps(encode(result), allow_nan=False)
    assert set(json.loads(text)) == set(result)


def test_numbers_keep_their_values_and_what_is_not_finite_becomes_none() -> None:
    result = {
        "a": np.float32(0.5),
        "b": np.int64(3),
        "c": np.array([1.0, np.nan]),
        "d": float("inf"),
        "e": np.bool_(True),
        1: {2, 1},
    }
    assert encode(result) == {"a": 0.5, "b": 3, "c": [1.0, None], "d": None, "e": True, "1": [1, 2]}
    assert type(encode(result)["e"]) is bool
    assert encode({"t": datetime.date(2026, 1, 2)}) == {"t": "2026-01-02"}


@pytest.mark.parametrize(
    "result", [{"x": object()}, {"x": b"raw"}, {"x": Path("p")}, 5, "text", None]
)
def test_what_json_cannot_hold_is_an_error_here_and_not_the_end_of_the_process(result) -> None:
    with pytest.raises(TypeError):
        encode(result)


def test_an_answer_that_is_too_large_is_refused_with_the_fix() -> None:
    fits = {"x": "ä" * (RESULT_LIMIT // 2 - 10)}
    assert encode(fits) == fits
    with pytest.raises(RequestError) as refused:
        encode({"x": "ä" * (RESULT_LIMIT // 2)})
    assert refused.value.code == "answer_too_large"
    assert "fewer rows" in refused.value.hint


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DataError("m"), 400),
        (NotFound("m"), 404),
        (Conflict("m"), 409),
        (TooManyRequests("m"), 429),
        (PlatformUnreachable("m"), 502),
        (StoreUnreachable("m"), 503),
        (DeadlineExceeded("m"), 504),
        (StoreError("m"), 500),
        (ConfigurationError("m"), 500),
    ],
)
def test_a_failed_web_call_has_a_status_and_the_same_error_in_its_body(error, status) -> None:
    assert web_failure(error) == {"error": web_answer(failure(error), status)}
    assert web_failure(error)["error"]["statusCode"] == status


def test_a_failure_is_data_and_comes_back_as_the_same_error() -> None:
    record = {"code": "no_such_model", "message": "m", "hint": "h", "retryable": False}
    answer = failure(NotFound("m", hint="h", code="no_such_model"))
    assert answer == {"error": {**record, "kind": "NotFound"}}
    activation = activation_of(
        {
            "activationId": "a",
            "name": "n",
            "response": {"status": "application error", "result": answer},
        }
    )
    error = failure_of(activation)
    assert type(error) is NotFound
    assert (error.to_record(), error.exit_code) == (record, 5)


@pytest.mark.parametrize(
    ("text", "killed"),
    [
        ("The action exhausted its memory and was aborted.", True),
        ("container exited with status 137", True),
        ("OOMKilled: out of memory", True),
        ("The action did not produce a valid response and exited unexpectedly.", False),
        ("row 137 is broken", False),
        ("a room for more", False),
    ],
)
def test_a_kill_for_memory_is_said_with_the_size_to_ask_for(text: str, killed: bool) -> None:
    record = {
        "activationId": "a1",
        "name": "worker",
        "response": {"status": "action developer error", "result": {"error": text}},
        "annotations": [
            {"key": "path", "value": "guest/whisktrain/worker"},
            {"key": "limits", "value": {"memory": 512}},
        ],
    }
    error = failure_of(activation_of(record))
    assert (error.code == "out_of_memory") is killed
    if killed:
        assert "more memory than the 512 MB" in error.message
        assert "WHISKTRAIN_WORKER_MEMORY=1024" in error.hint
    elsewhere = {**record, "annotations": [{"key": "path", "value": "guest/other"}]}
    assert "WHISKTRAIN" not in failure_of(activation_of(elsewhere)).hint
