"""The host's pure parts: names, parameters, records."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openwhisk_local.activations.answers import read_answer
from openwhisk_local.activations.records import SUCCESS, Activation, ActivationStore, Response
from openwhisk_local.limits import Limits
from openwhisk_local.processes.pipes import Answer
from openwhisk_local.rest.exec_body import is_binary
from openwhisk_local.state.names import Name, is_legal, parse, parse_relative
from openwhisk_local.state.parameters import Parameters

WORD = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_@ .&-]{0,20}[A-Za-z0-9_@.&-]", fullmatch=True)


@given(namespace=WORD, package=st.none() | WORD, name=WORD)
def test_names_survive_being_written(namespace: str, package: str | None, name: str) -> None:
    written = Name(namespace, package, name)
    assert parse(f"/{written.qualified}", "guest") == written
    assert parse(written.qualified, "guest") == written
    assert parse(f"/_/{written.in_namespace}", namespace) == written
    assert parse_relative(written.in_namespace, namespace) == written


@pytest.mark.parametrize("text", ["", "name", "/", "//", "/a/ b", "/a/b!", None, 3, {"a": 1}])
def test_what_is_no_name(text: object) -> None:
    with pytest.raises(
        ValueError,
        match=r"name of the entity|path undefined|path contains invalid parts|fully qualified name malformed",
    ):
        parse(text, "guest")


def test_legal_names() -> None:
    assert all(map(is_legal, ["a", "A-b c.d&e@f", "_", "9", "x" * 256]))
    assert not any(map(is_legal, ["", " a", "a ", "-a", "a/b", "a!", "ä", "x" * 257, "a\n"]))


@given(st.lists(st.tuples(st.text(min_size=1).filter(str.strip), st.integers(), st.booleans())))
def test_parameters_keep_the_last_value_of_a_key(
    given_entries: list[tuple[str, int, bool]],
) -> None:
    wire = [
        {"key": k, "value": v, **({"init": True} if init else {})} for k, v, init in given_entries
    ]
    parameters = Parameters.from_wire(wire)
    last = {k: (v, init) for k, v, init in given_entries}
    assert parameters.values() == {k: v for k, (v, _) in last.items()}
    assert parameters.init_keys == {k for k, (_, init) in last.items() if init}
    assert Parameters.from_wire(parameters.to_wire()) == parameters


def test_truth_in_annotations() -> None:
    values = {
        "t": True,
        "f": False,
        "one": 1,
        "zero": 0,
        "text": "x",
        "empty": "",
        "null": None,
        "list": [],
        "dict": {},
    }
    parameters = Parameters.of(values)
    assert [key for key in values if parameters.is_truthy(key)] == [
        "t",
        "one",
        "text",
        "list",
        "dict",
    ]
    assert parameters.is_truthy("absent", absent=True)


@pytest.mark.parametrize(
    ("code", "binary"),
    [("", False), ("def", False), ("UEsDBA==", True), ("UEsDBA=", False), ("abcd", True)],
)
def test_base64_is_recognised_as_openwhisk_does(code: str, binary: bool) -> None:
    assert is_binary(code) is binary


def record(number: int, size: int = 10) -> Activation:
    return Activation(
        f"{number:032x}", "guest", "a", "a", "0.0.1", number, Response(SUCCESS, {}, size)
    )


def test_the_newest_records_are_kept() -> None:
    kept = ActivationStore(3, 1000)
    for number in range(5):
        kept.add(record(number))
    assert [r.start for r in kept.newest_first()] == [4, 3, 2]
    assert kept.get(record(1).id) is None
    kept.add(record(5, size=995))
    assert [r.start for r in kept.newest_first()] == [5]
    kept.add(record(6, size=5000))
    assert [r.start for r in kept.newest_first()] == [6]
    assert len(kept) == 1


@pytest.mark.parametrize(
    "text", ["NaN\n", '{"x": Infinity}\n', "3\n", '"text"\n', "{\n", "", "[1,\n"]
)
def test_answers_that_are_no_object_or_array(text: str) -> None:
    response = read_answer(Answer(text, len(text), True), 1000)
    assert response.result == {"error": "The action did not return a dictionary or array."}
    assert response.to_record()["status"] == "action developer error"


def test_published_limits_are_whole_numbers() -> None:
    assert all(type(value) is int for value in Limits().of_the_platform().values())
    assert Limits(invocations_per_minute=7).of_the_namespace()["invocationsPerMinute"] == 7
