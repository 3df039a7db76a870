"""One exception tree: records go out and come back as the same kind of exception."""

import ast
import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest

import whisktrain
from whisktrain import errors


def every_class() -> list[type[errors.WhisktrainError]]:
    found, todo = [], [errors.WhisktrainError]
    while todo:
        cls = todo.pop()
        found.append(cls)
        todo += cls.__subclasses__()
    return [cls for cls in found if cls.__module__ == errors.__name__]


@pytest.mark.parametrize("cls", every_class())
def test_a_record_comes_back_as_what_it_was(cls: type[errors.WhisktrainError]) -> None:
    error = cls("received 3, expected 4.", hint="Send 4.")
    back = errors.from_record(error.to_record())
    assert type(back) is cls
    assert (back.message, back.hint, back.code, back.retryable) == (
        error.message,
        error.hint,
        error.code,
        error.retryable,
    )


def test_codes_are_unique() -> None:
    codes = [cls.code for cls in every_class()]
    assert len(codes) == len(set(codes))


def test_the_tree_in_the_docstring_names_every_class() -> None:
    assert errors.__doc__
    assert all(cls.__name__ in errors.__doc__ for cls in every_class())
    assert set(errors.__all__) == {cls.__name__ for cls in every_class()} | {
        "ErrorRecord",
        "from_record",
    }


def test_a_code_of_its_own_survives_records_and_pickling() -> None:
    error = errors.DataError("column 'x' is empty.", code="empty_column", retryable=True)
    for back in (
        errors.from_record(error.to_record(), "DataError"),
        pickle.loads(pickle.dumps(error)),
    ):
        assert type(back) is errors.DataError
        assert back.to_record() == error.to_record()


def test_an_unknown_record_is_still_an_error() -> None:
    assert str(errors.from_record({"message": "hm", "hint": "Look."})) == "hm Look."


def test_exit_codes_stay_in_a_byte_and_off_zero() -> None:
    assert all(0 < cls.exit_code < 256 for cls in every_class())


def test_half_a_character_in_a_message_can_be_printed() -> None:
    assert errors.DataError("a file \ud83d").message.encode() == b"a file \\ud83d"


def test_a_message_is_cut_in_its_middle() -> None:
    message = errors.DataError(
        "The column " + "x" * 9000 + " is missing; expected another."
    ).message
    assert message.startswith("The column xxx")
    assert message.endswith("xxx is missing; expected another.")
    assert len(message) < 1600
    assert errors.DataError(message).message == message


def _messages() -> Iterator[tuple[str, type[errors.WhisktrainError], ast.Call]]:
    """Every error that the sources make, with its place."""
    named = {cls.__name__: cls for cls in every_class()}
    root = Path(whisktrain.__file__).parent
    for path in root.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args:
                cls = named.get(node.func.id)
                if cls is not None:
                    yield f"{path.relative_to(root)}:{node.lineno}", cls, node


def test_every_message_says_what_was_expected_or_how_to_go_on() -> None:
    """A message without a hint names what was expected; classes with a hint of their own need neither."""
    without = [
        place
        for place, cls, call in _messages()
        if not cls.default_hint
        and cls not in (errors.Interrupted, errors.TrainingError)
        and not any(keyword.arg == "hint" for keyword in call.keywords)
        and "expected" not in ast.unparse(call.args[0])
    ]
    assert without == []
