"""Requests: defaults, shorthand, and errors that say what to do."""

import time
from pathlib import Path

import pytest

from whisktrain.errors import RequestError
from whisktrain.jsontypes import Json
from whisktrain.request import (
    DataRequest,
    ModelRequest,
    PredictRequest,
    Request,
    TrainRequest,
    parse,
)
from whisktrain.request.options import alternatives, options
from whisktrain.request.rows import as_rows, read_rows


def test_nothing_at_all_is_a_request() -> None:
    request = parse(Request, {})
    assert (
        request.train.batch,
        request.train.sync,
        request.train.seed,
        request.data.validation,
    ) == (64, "gradient", 0, 0.2)


def test_strings_and_lists_are_shorthand() -> None:
    request = parse(
        Request,
        {"data": "digits", "model": "cnn", "train": {"optimizer": "sgd"}, "predict": [[1, 2]]},
    )
    assert request.data.source == "digits"
    assert request.model.preset == "cnn"
    assert request.train.optimizer.name == "sgd"
    assert request.predict.rows == [[1, 2]]


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"trian": {}}, "'trian' is not known: did you mean 'train'"),
        ({"data": {"tagret": "x"}}, "did you mean 'target'"),
        ({"data": {"zzz": 1}}, "expected one of source"),
        ({"train": {"optimizer": {"learning_rte": 1}}}, "did you mean 'learning_rate'"),
        ({"train": {"epochs": 1, "rounds": 1}}, "either epochs or rounds"),
        ({"train": {"workers": 0}}, "expected 1 to 256"),
        ({"train": {"workers": 10_000}}, "expected 1 to 256"),
        ({"train": {"batch": 0}}, "train.batch"),
        (
            {"train": {"batch": "some"}},
            "train.batch: expected 1 or more or 'full' (received 'some')",
        ),
        ({"train": {"learning_rate": float("nan")}}, "train.learning_rate"),
        ({"train": {"learning_rate": -1}}, "greater than 0"),
        ({"train": {"name": "../etc"}}, "train.name"),
        ({"train": {"name": "a:b"}}, "train.name"),
        ({"data": {"validation": 1.0}}, "data.validation"),
        ({"data": {"source": "digits", "records": [{"a": 1}]}}, "either source or records"),
        ({"data": {"shards": {"how": "by"}}}, "by"),
        ({"model": {"preset": "mlp", "file": "upload:x"}}, "give one of preset"),
        ({"predict": {"top_k": 0}}, "predict.top_k"),
        ([], "the request"),
        ({"train": 3}, "train"),
    ],
)
def test_errors_say_what_was_wrong(request_: object, words: str) -> None:
    with pytest.raises(RequestError) as caught:
        parse(Request, request_)
    assert words in caught.value.message
    assert len(caught.value.message) < 800


def test_every_problem_is_named_at_once() -> None:
    with pytest.raises(RequestError) as caught:
        parse(Request, {"data": {"scale": "big"}, "train": {"seed": -1}})
    assert "data.scale" in caught.value.message
    assert "train.seed" in caught.value.message


def test_shards_by_a_column() -> None:
    assert parse(DataRequest, {"shards": {"by": "site"}}).shards.column == "site"
    assert parse(DataRequest, {"shards": "by:site"}).shards.column == "site"
    assert parse(DataRequest, {"shards": "contiguous"}).shards.how == "contiguous"


def test_a_request_survives_json() -> None:
    request = parse(
        Request,
        {
            "data": {"source": "iris", "shards": {"by": "c"}},
            "train": {"batch": "full", "workers": 3},
        },
    )
    sent = request.model_dump(mode="json", exclude_unset=True)
    assert parse(Request, sent) == request


def test_every_key_is_documented() -> None:
    text = (Path(__file__).parents[2] / "docs" / "reference" / "request.md").read_text()
    sections = {
        "data": DataRequest,
        "model": ModelRequest,
        "train": TrainRequest,
        "predict": PredictRequest,
    }
    for name, section in sections.items():
        part = text.partition(f"## `{name}`")[2].partition("\n## ")[0]
        assert not [key for key in section.model_fields if f"`{key}`" not in part], name


@pytest.mark.parametrize(
    ("content", "rows"),
    [
        ([1, 2], [[1, 2]]),
        ({"a": 1}, [{"a": 1}]),
        ([[1], [2]], [[1], [2]]),
        ([{"a": 1}], [{"a": 1}]),
        ([], []),
        ("x", "x"),
    ],
)
def test_one_row_stands_for_a_list_of_rows(content: Json, rows: Json) -> None:
    assert as_rows(content) == rows


def test_rows_as_text_are_json() -> None:
    assert read_rows("[1, 2]") == [1, 2]
    with pytest.raises(RequestError) as caught:
        read_rows("nonsense")
    assert caught.value.code == "bad_rows"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("workers", ["1 to 256", "<auto>"]),
        ("batch", ["1 or more", "<full>"]),
        ("validation", ["0 to 0.9"]),
        ("learning_rate", ["above 0"]),
        ("seed", ["0 to below 2147483648"]),
        ("sync", ["<gradient>", "<local>"]),
        ("target", ["text"]),
        ("drop", ["a list"]),
        ("types", ["an object"]),
        ("image_size", ["2 numbers"]),
        ("optimizer", ["<sgd>", "<adam>", "<adamw>"]),
    ],
)
def test_what_a_setting_may_hold_is_said_in_words(name: str, words: list[str]) -> None:
    assert alternatives(options()[name].main_field, "<{}>".format) == words


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({"target": "x"}, "'target' is not known here: it is 'data.target' in the request"),
        ({"data": {"epochs": 3}}, "it is 'train.epochs' in the request"),
        ({"train": {"beta_1": 0.9}}, "it is 'train.optimizer.beta_1' in the request"),
        ({"data": {"model": "cnn"}}, "it is 'model' in the request"),
        ({"rows": [[1]]}, "it is 'predict.rows' in the request"),
        ({"batch_size": 3}, "did you mean 'train.batch'?"),
        ({"zzz": 1}, "expected one of data, model, train, predict."),
    ],
)
def test_a_key_at_the_wrong_level_is_answered_with_the_right_one(
    request_: Json, words: str
) -> None:
    with pytest.raises(RequestError) as caught:
        parse(Request, request_)
    assert words in caught.value.message


@pytest.mark.parametrize("empty", ["", " ", None])
def test_what_is_empty_is_not_given(empty: str | None) -> None:
    sections: Json = dict.fromkeys(("data", "model", "train", "predict"), empty)
    assert parse(Request, sections) == Request()
    for section, model in Request.model_fields.items():
        inner = model.annotation
        assert inner is not None
        names = [name for name in inner.model_fields if empty != " " or name != "delimiter"]
        settings: Json = {section: dict.fromkeys(names, empty)}
        assert parse(Request, settings) == Request(), section
    nested: Json = {"data": {"shards": {"by": empty}}, "train": {"optimizer": {"name": empty}}}
    assert parse(Request, nested) == Request()
    parsed = parse(Request, {"train": {"epochs": empty, "seed": 3}})
    assert parsed.train.model_fields_set == {"seed"}


@pytest.mark.parametrize(
    ("value", "name"), [(2024, "2024"), (True, "true"), (0.5, "0.5"), ("a", "a")]
)
def test_a_number_or_boolean_is_a_name(value: Json, name: str) -> None:
    data = parse(
        DataRequest,
        {"target": value, "drop": [value, "b"], "keep": value, "shards": {"by": value}},
    )
    assert (data.target, data.drop, data.keep) == (name, [name, "b"], [name])
    assert data.shards.column == name
    train = parse(TrainRequest, {"name": value, "key": value})
    assert (train.name, train.key) == (name, name)
    assert parse(PredictRequest, {"model": value}).model == name
    assert parse(ModelRequest, {"init": value}).init == name


def test_lists_may_come_as_one_text() -> None:
    data = parse(DataRequest, {"image_size": "28x28", "types": "a=numeric, b=date", "drop": "a,b"})
    assert data.image_size == (28, 28)
    assert data.types == {"a": "numeric", "b": "date"}
    assert data.drop == ["a,b"], "the data will tell whether this is one column"
    assert parse(ModelRequest, {"metrics": "accuracy, auc"}).metrics == ["accuracy", "auc"]
    commas = parse(DataRequest, {"types": "a,b=numeric"}).types
    assert commas == {"a,b": "numeric"}, "a comma in a name"
    for wrong in (
        {"types": "a"},
        {"types": "a=date,b"},
        {"image_size": "28"},
        {"target": [1]},
        {"drop": [[1]]},
    ):
        with pytest.raises(RequestError):
            parse(DataRequest, wrong)


@pytest.mark.parametrize("depth", [101, 900, 100_000])
def test_requests_nested_deeply_are_refused(depth: int) -> None:
    value: object = 1
    for at in range(depth):
        value = [value] if at % 2 else {"a": value}
    for request_ in ({"data": {"records": [{"a": value}]}}, {"model": {"config": value}}, value):
        with pytest.raises(RequestError, match="nested more than 100 deep"):
            parse(Request, request_)


def test_messages_stay_short_and_printable() -> None:
    for key in ("x" * 100_000, "\ud83d"):
        with pytest.raises(RequestError) as caught:
            parse(Request, {key: 1, "data": {key: key}, "train": {"workers": key}})
        assert len(caught.value.message.encode()) < 1500


def test_many_mistakes_are_counted_not_studied() -> None:
    started = time.process_time()
    with pytest.raises(RequestError, match="and 19995 more"):
        parse(Request, {f"{'x' * 40}{k}": 1 for k in range(20_000)})
    assert time.process_time() - started < 5


@pytest.mark.parametrize("delimiter", [" ", "\t"])
def test_a_delimiter_may_be_blank(delimiter: str) -> None:
    assert parse(DataRequest, {"delimiter": delimiter}).delimiter == delimiter
