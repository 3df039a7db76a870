"""Whether two requests ask for the same training, and where they differ."""

from __future__ import annotations

import pytest

from whisktrain.request import Request, parse
from whisktrain.request.comparison import differences, resume_asked, training_asked

BASE = {"data": {"source": "upload:a", "target": "t"}, "train": {"epochs": 3}}


def asked(dataset="d1", **sections):
    return training_asked(parse(Request, {**BASE, **sections}), dataset)


@pytest.mark.parametrize(
    "other",
    [
        {},
        {"train": {"epochs": 3, "key": "k", "wait": False}},
        {"train": {"epochs": 3, "batch": 64}},
        {"data": {"source": "dataset:d1", "target": "t"}},
        {"data": {"source": "upload:a", "target": "t", "scale": "standard"}},
        {"predict": {"rows": [[1.0]]}},
    ],
)
def test_the_same_training_asked_for_in_another_way(other) -> None:
    assert differences(asked(), asked(**other)) == []


@pytest.mark.parametrize(
    ("other", "dataset", "expected"),
    [
        ({"train": {"epochs": 4}}, "d1", ["train.epochs: was 3, is 4"]),
        (
            {"train": {"rounds": 4}},
            "d1",
            ["train.epochs: was 3, is not given", "train.rounds: was not given, is 4"],
        ),
        ({"model": "linear"}, "d1", ['model.preset: was not given, is "linear"']),
        ({"train": {"epochs": 3, "seed": 1}}, "d2", ["train.seed: was 0, is 1"]),
        ({"data": {"source": "upload:a", "target": "u"}}, "d2", ['data.target: was "t", is "u"']),
        (
            {"train": {"epochs": 3, "optimizer": {"name": "sgd", "momentum": 0.9}}},
            "d1",
            [
                "train.optimizer.momentum: was not given, is 0.9",
                'train.optimizer.name: was not given, is "sgd"',
            ],
        ),
    ],
)
def test_what_differs_is_named(other, dataset, expected) -> None:
    assert differences(asked(), asked(dataset, **other)) == expected


def test_other_rows_are_another_training() -> None:
    (line,) = differences(asked("d1"), asked("d2"))
    assert line.startswith("data: was data set d1, is d2")


def test_a_long_value_is_kept_as_a_digest() -> None:
    config = {"class_name": "Sequential", "config": {"layers": ["x" * 500]}}
    first, second = (asked(model={"config": {**config, "name": n}}) for n in "ab")
    assert len(str(first["model.config"])) < 100
    (line,) = differences(first, second)
    assert line.startswith("model.config: was another (") and "xxx" not in line


def test_a_setting_that_is_new_has_had_its_default() -> None:
    was = asked()
    del was["train.batch"]
    assert differences(was, asked()) == []
    assert differences(was, asked(train={"epochs": 3, "batch": 8})) == ["train.batch: was 64, is 8"]


def test_many_differences_are_counted() -> None:
    many = {
        "epochs": 9,
        "seed": 9,
        "batch": 9,
        "lease": 9,
        "patience": 9,
        "name": "m",
        "sync": "local",
    }
    lines = differences(asked(), asked("d2", train=many))
    assert len(lines) == 6 and lines[-1] == "2 more"


def test_resuming_is_not_training() -> None:
    assert differences(resume_asked("a@00000000"), resume_asked("a@00000000")) == []
    assert "a@00000000" in differences(resume_asked("a@00000000"), resume_asked("b@00000000"))[0]
    (line,) = differences(asked(), resume_asked("a@00000000"))
    assert line == "it was a training of its own, and is resuming run a@00000000"
