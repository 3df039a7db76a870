"""The expectations were read off wskdeploy's own source and its answers."""

from __future__ import annotations

import pytest

from whisktrain.errors import ConfigurationError
from whisktrain.openwhisk.manifest.values import expand, package_inputs, resolve, resolve_inputs

ENVIRONMENT = {"V": "value", "EMPTY": "", "N": "7"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("$V", "value"),
        ("${V}", "value"),
        ("x${V}y", "xvaluey"),
        ("${V}${N}", "value7"),
        ("${V}-light", "value-light"),
        ("$${V}", "${V}"),
        ("$NOTHING", ""),
        ("${NOTHING}", ""),
        ("cost: 5$", "cost: 5$"),
        ("a$V", "a$V"),
        ("", ""),
        ("$", "$"),
    ],
)
def test_variables_in_texts(text, expected) -> None:
    assert expand(text, ENVIRONMENT) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("text", "text"),
        ("${V}", "value"),
        (3, 3),
        (1.5, 1.5),
        (True, True),
        ([1, "${V}"], [1, "${V}"]),
        (
            {"a": "${V}", "b": {"c": "${N}"}, "d": ["${V}"]},
            {"a": "value", "b": {"c": "7"}, "d": ["${V}"]},
        ),
        # The long form, and a map that only looks like it.
        ({"type": "string", "value": "${V}"}, "value"),
        ({"type": "integer", "default": 5}, 5),
        ({"type": "json", "value": '{"a": 1}'}, {"a": 1}),
        ({"value": 3}, 3),
        ({"value": 3, "other": 4}, {"value": 3, "other": 4}),
        # A value that is the name of a type is its zero.
        ("float", 0.0),
        ("boolean", False),
        ("json", {}),
        ("float32", "float32"),
        (None, ""),
    ],
)
def test_inputs(value, expected) -> None:
    found = resolve("name", value, ENVIRONMENT)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize("value", [{"type": "date", "value": "x"}, {"type": "json", "value": "{"}])
def test_an_input_that_cannot_be_read_is_named(value) -> None:
    with pytest.raises(ConfigurationError, match="'name'"):
        resolve("name", value, ENVIRONMENT)


def test_an_empty_package_input_takes_the_variable_of_its_own_name() -> None:
    assert package_inputs({"N": "${EMPTY}", "other": "${EMPTY}"}, ENVIRONMENT) == {
        "N": "7",
        "other": "",
    }


def test_an_empty_input_takes_the_packages() -> None:
    assert resolve_inputs({"a": "$db", "b": "$none"}, ENVIRONMENT, {"db": "rounds"}) == {
        "a": "rounds",
        "b": "",
    }
