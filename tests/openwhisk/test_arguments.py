from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from whisktrain.errors import RequestError
from whisktrain.openwhisk.action.arguments import decode, required
from whisktrain.request.rows import as_rows, parse_flat

CELLS = st.one_of(
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(-(10**6), 10**6),
    st.text(max_size=8),
    st.none(),
)
ROWS = st.lists(
    st.one_of(st.lists(CELLS, max_size=4), st.dictionaries(st.text(max_size=8), CELLS, max_size=4)),
    max_size=4,
)
WEB = {"__ow_method": "post", "__ow_headers": {"authorization": "Basic x"}, "__ow_path": ""}


@given(
    model=st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,20}", fullmatch=True),
    rows=ROWS,
    top_k=st.integers(1, 50),
)
def test_query_form_and_json_bodies_mean_the_same(model, rows, top_k) -> None:
    request = {"model": model, "rows": rows, "top_k": top_k}
    # As OpenWhisk hands them over: a JSON object and a form are merged into the arguments, both with texts from a query.
    as_json = decode({**WEB, **request, "deployment_store": "sqlite:x"})
    as_texts = decode(
        {
            **WEB,
            "model": model,
            "rows": json.dumps(rows),
            "top_k": str(top_k),
            "deployment_store": "sqlite:x",
        }
    )
    plain = decode({**request, "deployment_store": "sqlite:x"})
    as_text_body = decode({**WEB, "__ow_body": json.dumps(request)})
    as_bytes_body = decode(
        {**WEB, "__ow_body": base64.b64encode(json.dumps(request).encode()).decode()}
    )
    answers = [
        parse_flat(found.given) for found in (as_json, as_texts, plain, as_text_body, as_bytes_body)
    ]
    assert all(answer == answers[0] for answer in answers)
    assert answers[0].model == model
    assert answers[0].rows == as_rows(rows)


def test_keys_of_the_platform_and_the_deployment_are_not_the_callers() -> None:
    found = decode(
        {
            "run": "r",
            "__ow_headers": {"authorization": "secret"},
            "store": "a column",
            "deployment_store": "s",
            "deployment_factories": "none",
            "lib_version": "1",
        }
    )
    assert found.given == {"run": "r", "store": "a column"}
    assert found.deployment == {"store": "s", "factories": "none"}
    assert found.lib_version == "1"
    assert not found.web


def test_rows_may_stand_alone() -> None:
    assert decode([[1, 2]]).given == {"rows": [[1, 2]]}
    assert decode({**WEB, "model": "m", "__ow_body": [[1, 2]]}).given == {
        "model": "m",
        "rows": [[1, 2]],
    }


def test_texts_stay_texts() -> None:
    assert decode({"column": "[1]"}).given == {"column": "[1]"}
    assert decode({**WEB, "model": "{odd", "note": "[1]"}).given == {"model": "{odd", "note": "[1]"}


def test_columns_beside_the_other_keys_are_one_row() -> None:
    texts = {"model": "m", "top_k": "2", "age": "41", "plan": "[gold]", "store": "north"}
    found = parse_flat(decode({**WEB, **texts}).given)
    assert found.rows == [{"age": "41", "plan": "[gold]", "store": "north"}]
    assert (found.model, found.top_k) == ("m", 2)
    assert parse_flat({"model": "m"}).rows is None
    with pytest.raises(RequestError, match="'age' is not known"):
        parse_flat({"model": "m", "rows": [[1]], "age": 41})
    with pytest.raises(RequestError, match="'row' is not known: did you mean 'rows'"):
        parse_flat({"model": "m", "row": [[1, 2]]})


@pytest.mark.parametrize("body", ["just text", "%%%", "12"])
def test_a_body_that_is_neither_is_refused(body) -> None:
    with pytest.raises(RequestError):
        decode({**WEB, "__ow_body": body})


def test_a_web_caller_cannot_ask_what_the_deployment_is() -> None:
    assert decode({"probe": True}).probe
    assert not decode({**WEB, "probe": True}).probe
    assert not decode({"probe": "yes"}).probe


def test_a_missing_argument_is_named() -> None:
    assert required({"slot": 0}, "slot", int) == 0
    with pytest.raises(RequestError, match="'run' is missing; received slot"):
        required({"slot": 0}, "run", str)
    with pytest.raises(RequestError, match="'run' is list, expected str"):
        required({"run": [1]}, "run", str)
