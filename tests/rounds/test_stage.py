"""The stage `train`: from preprocess' answer to a result."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest
from plans import update_of
from rounds_rig import QUICK, Limits, Platform, put_dataset, wait_clean, wait_summary

from whisktrain.errors import NotFound, RequestError
from whisktrain.records.run_records import RunRecords
from whisktrain.request import Request, parse
from whisktrain.rounds.aggregate.closing import cost_after
from whisktrain.rounds.aggregate.collecting import CollectedRound
from whisktrain.rounds.lease_clock import LeaseClock
from whisktrain.stages import train as stage
from whisktrain.stages.planning import resolve_spec
from whisktrain.store.protocol import Store

BODY = {
    "schema": 1,
    "source": "/home/me/churn data.csv",
    "task": "classification",
    "classes": ["a", "b", "c"],
    "x_shape": [4],
    "y": {"kind": "class", "counts": [20, 20, 10]},
    "shards": [30, 20],
    "validation": [9, 9],
}


def put(store: Store) -> None:
    put_dataset(store)
    found = store.library.get("dataset:d", attachment=True)
    store.library.put(
        "dataset:d", {**found.body, **BODY}, rev=found.rev, attachment=found.attachment
    )


def spec(limits=Limits(), given=None, body=BODY, **sections):
    return resolve_spec(parse(Request, sections), "d", body, limits, given)


def test_train_waits_for_the_model_and_repeats_find_it(store: Store) -> None:
    put(store)
    platform = Platform(store)
    request = {
        "train": {"epochs": 2, "key": "mine", "learning_rate": 0.05},
        "predict": {"top_k": 2},
    }
    payload = {"request": request, "dataset": "d"}
    common = {"store": store, "invoker": platform, "limits": Limits()}
    with platform.following():
        first = stage.train(payload, execution="act1", deadline=time.time() + 30, **common)
        again = stage.train(payload, execution="act2", deadline=time.time() + 30, **common)
        wait_clean(store)
    assert first == again
    assert first["data"] == {
        "dataset": "dataset:d",
        "rows": {"read": 70, "used": 68, "dropped": 2},
        "split": {"how": "random", "column": None, "reason": "no column holds dates"},
        "warnings": ["2 row(s) without a target were left out."],
    }
    assert (
        first["status"] == "completed"
        and first["run"] == "mine"
        and first["model"] == "churn-data:1"
    )
    assert first["predict"] == {"top_k": 2} and first["rounds"] == 2 and "error" not in first
    assert set(first["round_ms"]) == {"p50", "p95"} and set(first["cost"]) == {
        "invocations",
        "gb_seconds",
    }


def test_seconds_are_counted_with_the_memory_that_the_actions_have(store: Store) -> None:
    """Twice the memory in the same time: twice the GB-seconds, of workers and aggregates alike."""
    put(store)
    platform = Platform(store)
    payload = {"request": {"train": {"epochs": 1, "wait": False}}, "dataset": "d"}
    stage.train(
        payload, store=store, invoker=platform, execution="r", deadline=0.0, limits=Limits()
    )
    state = RunRecords(store, "r").read()
    assert state is not None
    assert (state.platform["worker_mb"], state.platform["aggregate_mb"]) == (640, 320)
    with platform.following():
        wait_summary(store, "r")
        wait_clean(store)
    clock = LeaseClock("e", start=time.time() - 8.0, deadline=time.time() + 60, timeouts=QUICK)
    round_ = CollectedRound(1, {0: replace(update_of(0), start=100.0, written=108.0)})
    counted = cost_after(state, round_, clock).total()["gb_seconds"]
    assert abs(counted - 8.0 * (640 + 320) / 1024) < 0.1


def test_train_does_not_wait_in_a_place_that_is_needed(store: Store) -> None:
    put(store)
    platform = Platform(store)
    payload = {"request": {"train": {"epochs": 1, "key": "r"}}, "dataset": "d"}
    result = stage.train(
        payload,
        store=store,
        invoker=platform,
        execution="a",
        deadline=time.time() + 60,
        limits=replace(Limits(), concurrent=2),
    )
    assert result["status"] == "training"
    assert "allows 2 activations at once" in result["reason"]
    with platform.following():
        wait_summary(store, result["run_id"])
        wait_clean(store)


def test_without_time_or_patience_it_says_training(store: Store) -> None:
    put(store)
    platform = Platform(store)
    payload = {"request": {"train": {"epochs": 1, "wait": False}}, "dataset": "d"}
    with platform.following():
        result = stage.train(
            payload,
            store=store,
            invoker=platform,
            execution="act1",
            deadline=time.time() + 60,
            limits=Limits(),
        )
        assert (
            result["status"] == "training"
            and result["run"] == "act1"
            and result["classes"] == ["a", "b", "c"]
        )
        assert wait_summary(store, "act1")["status"] == "completed"
        wait_clean(store)


def test_what_cannot_be_done_is_said(store: Store) -> None:
    common = {
        "store": store,
        "invoker": Platform(store),
        "execution": "a",
        "deadline": 0.0,
        "limits": Limits(),
    }
    with pytest.raises(NotFound, match="no data set 'x'"):
        stage.train({"request": {}, "dataset": "x"}, **common)
    with pytest.raises(RequestError, match="preprocess"):
        stage.train({"model": "m"}, **common)
    with pytest.raises(NotFound, match="no checkpoint"):
        stage.train({"resume": "gone"}, **common)


def test_defaults() -> None:
    made = spec()
    assert (
        made.name == "churn-data"
        and made.model == {"preset": "mlp"}
        and made.loss == {"name": "auto"}
    )
    assert made.optimizer["name"] == "adam" and made.optimizer["learning_rate"] == 0.001
    assert made.rounds == 20 and made.batch == 64 and made.slots == 2 and made.lease == 45.0
    assert made.metrics == ("accuracy",) and made.class_weights is None
    assert spec(train={"batch": 16, "epochs": 3}).rounds == 12
    assert spec(train={"rounds": 7}).rounds == 7
    assert spec(train={"batch": "full"}).batch == 0


def test_flags_beat_compile_settings_and_those_the_defaults() -> None:
    given = {
        "compile_config": {
            "optimizer": {"class_name": "SGD", "config": {"learning_rate": 0.3, "momentum": 0.9}},
            "loss": "categorical_crossentropy",
            "metrics": ["top_3_accuracy"],
        }
    }
    own = spec(given=given)
    assert (own.optimizer["name"], own.optimizer["learning_rate"], own.optimizer["momentum"]) == (
        "sgd",
        0.3,
        0.9,
    )
    assert own.loss["name"] == "categorical_crossentropy" and own.metrics == ("top_3_accuracy",)
    flagged = spec(
        given=given,
        train={"learning_rate": 0.1, "optimizer": "sgd"},
        model={"loss": "kld", "metrics": ["acc"]},
    )
    assert (flagged.optimizer["learning_rate"], flagged.optimizer["momentum"]) == (0.1, 0.9)
    assert flagged.loss["name"] == "kl_divergence" and flagged.metrics == ("accuracy",)
    other = spec(given=given, train={"optimizer": "adamw"})
    assert other.optimizer["name"] == "adamw" and other.optimizer["learning_rate"] == 0.001


def test_balanced_class_weights() -> None:
    assert spec(train={"class_weight": "balanced"}).class_weights == pytest.approx(
        (50 / 60, 50 / 60, 50 / 30)
    )
    values = {
        **BODY,
        "task": "regression",
        "classes": None,
        "y": {"kind": "value", "mean": 2.0, "scale": 3.0},
    }
    with pytest.raises(RequestError, match="Class weights"):
        spec(body=values, train={"class_weight": "balanced"})
    made = spec(body=values)
    assert (made.classes, made.target_mean, made.target_scale) == (0, 2.0, 3.0)


def test_two_learning_rates_are_one_too_many() -> None:
    with pytest.raises(RequestError, match="learning rates"):
        spec(train={"learning_rate": 0.1, "optimizer": {"name": "sgd", "learning_rate": 0.2}})


def test_an_image_gets_a_cnn_and_names_are_cleaned() -> None:
    large = {
        **BODY,
        "x_shape": [28, 28, 1],
        "image": True,
        "source": "https://x.org/d/Fotos%20A.zip?x=1",
    }
    assert spec(body=large).model == {"preset": "cnn"}
    assert spec(body={**BODY, "source": "---"}).name == "model"
    assert spec(body={**BODY, "x_shape": [8, 8], "image": True}).model == {"preset": "mlp"}
