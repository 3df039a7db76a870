"""What holds for every command, without training anything."""

from __future__ import annotations

import json
import resource
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import requests
import typer

from whisktrain.cli import reference
from whisktrain.cli.app import app, run
from whisktrain.cli.context import SHARED

ROOT = Path(__file__).parents[2]


def commands() -> list[tuple[tuple[str, ...], Any]]:
    return reference.commands(typer.main.get_command(app))


@pytest.mark.parametrize("path", reference.files())
def test_what_is_rendered_from_commands_and_schema_is_up_to_date(path: str) -> None:
    assert (ROOT / path).read_text(encoding="utf-8") == reference.files()[path], (
        "run: make reference"
    )


def test_a_setting_is_defined_once_and_is_an_option_everywhere() -> None:
    """Adding a field to the request's schema makes an option of `train`, of the SDK and of the reference."""
    from whisktrain.request.marks import NotAnOption
    from whisktrain.request.options import options, settings
    from whisktrain.sdk.options import PredictOptions, TrainOptions

    fields = [s.name for s in settings() if s.mark(NotAnOption) is None]
    assert len(set(fields)) == len(fields), "the name of an option belongs to one section"
    [train] = [command for path, command in commands() if path == ("train",)]
    by_hand = {"data", "model", "init", "predict", "no_wait", "progress", *SHARED}
    page = (ROOT / "docs" / "reference" / "request.md").read_text(encoding="utf-8")
    documented = {
        s.name for s in settings() if f"| `{s.name}` |" in page and f"| `{s.flag}` |" in page
    }
    assert set(options()) == set(fields)
    assert {p.name for p in train.params} - by_hand == set(fields)
    assert set(TrainOptions.__annotations__) == set(fields)
    [predict] = [command for path, command in commands() if path == ("predict",)]
    of_predict = {s.name for s in options().values() if s.section == "predict"}
    assert {p.name for p in predict.params} - {
        "model",
        "rows_file",
        "rows",
        "output",
        *SHARED,
    } == of_predict
    assert set(PredictOptions.__annotations__) == of_predict
    assert documented == set(fields)
    assert {flag for p in train.params if p.name in fields for flag in p.opts} == {
        s.flag for s in options().values()
    }
    assert all(s.description for s in settings())


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["--workers", "4", "--batch", "full"], {"train": {"workers": 4, "batch": "full"}}),
        (["--workers", "auto", "--batch", "32"], {"train": {"workers": "auto", "batch": 32}}),
        (
            ["--type", "a=b=numeric", "--type", "c=date"],
            {"data": {"types": {"a=b": "numeric", "c": "date"}}},
        ),
        (
            ["--drop", "a", "--drop", "b", "--keep", "c"],
            {"data": {"drop": ["a", "b"], "keep": ["c"]}},
        ),
        (["--shards", "by:site"], {"data": {"shards": {"how": "by:site"}}}),
        (["--shards", "contiguous"], {"data": {"shards": {"how": "contiguous"}}}),
        (
            ["--optimizer", "sgd", "--outer", "nesterov"],
            {"train": {"optimizer": {"name": "sgd"}, "outer": {"name": "nesterov"}}},
        ),
        (
            ["--image-size", "28", "32", "--metric", "mae"],
            {"data": {"image_size": [28, 32]}, "model": {"metrics": ["mae"]}},
        ),
        (
            ["--learning-rate", "0.1", "--top-k", "2"],
            {"train": {"learning_rate": 0.1}, "predict": {"top_k": 2}},
        ),
        ([], {}),
    ],
)
def test_options_become_the_request(
    words: list[str], expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from whisktrain.request import Request, parse
    from whisktrain.sdk import Connection
    from whisktrain.sdk import requests as sdk_requests

    seen: list[dict[str, Any]] = []

    def train(
        self: Connection,
        data: str,
        *,
        model: str,
        init: None,
        predict: None,
        progress: Any,
        wait: bool,
        **options: Any,
    ) -> Any:
        seen.append(sdk_requests.build({}, {}, options))
        return {"status": "completed", "run": "r"}

    monkeypatch.setattr(Connection, "train", train)
    assert run(["train", "iris", *words, "--platform", "embedded"]) == 0
    assert seen == [expected]
    parse(Request, seen[0])


@pytest.mark.parametrize(
    "words",
    [
        ["--workers", "many"],
        ["--batch", "some"],
        ["--type", "x"],
        ["--epochs", "x"],
        ["--image-size", "3"],
    ],
)
def test_an_option_of_the_wrong_type_is_a_usage_error(words: list[str], fresh: Any) -> None:
    done = fresh.run("train", "iris", *words, "--json")
    assert (done.code, done.json["error"]["code"]) == (2, "usage")


def test_every_command_and_option_is_documented() -> None:
    page = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    for path, command in commands():
        assert f"## whisktrain {' '.join(path)}\n" in page
        assert command.help, f"{path} has no help"
        for parameter in command.params:
            if parameter.name == "help" or getattr(parameter, "hidden", False):
                continue
            assert parameter.help, f"{path} {parameter.name} has no help"
            if parameter.param_type_name == "option":
                assert f"`{parameter.opts[0]}" in page


def test_the_names_that_others_script_against_are_there() -> None:
    found = {" ".join(path): {o for p in c.params for o in p.opts} for path, c in commands()}
    for name in (
        *("train", "predict", "local", "deploy", "undeploy", "follow", "doctor"),
        *(f"runs {verb}" for verb in ("list", "show", "watch", "stop", "resume", "delete")),
        *(f"models {verb}" for verb in ("list", "show", "export", "delete")),
        *(f"data {verb}" for verb in ("put", "list", "delete")),
    ):
        assert {"--apihost", "--auth", "--platform", "--store", "--home", "--json"} <= found[
            name
        ], name
    options = """--target --model --workers --epochs --rounds --batch --sync --local-steps --optimizer --learning-rate --seed
        --validation --scale --class-weight --patience --name --task --drop --init --lease --predict --no-wait --progress"""
    assert set(options.split()) <= found["train"]
    assert {"--port", "--bare"} <= found["local"]
    assert "--to" in found["models export"]
    assert "--input" in found["predict"]


def test_help_comes_at_once(machine: Any) -> None:
    machine.run("--help")
    took = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        done = machine.run("--help")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        took.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
        assert done.code == 0
    assert "train" in done.out
    assert done.err == ""
    assert min(took) < 1.0, "seconds of processor time: 0.2 on a quiet machine"


def test_help_loads_nothing_heavy(machine: Any) -> None:
    heavy = "{'numpy', 'keras', 'pydantic', 'pandas', 'rich', 'requests'}"
    code = f"import sys, whisktrain.cli.app; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=machine.environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "words",
    [
        ["train", "iris", "--wokers", "2"],
        ["train", "iris", "--progress", "plain"],
        ["train"],
        ["nonsense"],
        ["runs", "show"],
        ["runs", "list", "--home", ""],
    ],
)
def test_a_usage_error_is_two_lines_and_exit_2(words: list[str], fresh: Any) -> None:
    done = fresh.run(*words)
    assert done.code == 2
    assert done.out == ""
    first, second = done.err.splitlines()
    assert first.startswith("error: ")
    assert "Value error" not in first
    assert second.startswith("hint: ")
    done = fresh.run(*words, "--json")
    assert done.code == 2
    assert done.json["status"] == "failed"
    assert set(done.json["error"]) == {"code", "message", "hint", "retryable"}
    assert done.out.count("\n") == 1


def test_a_wrong_request_is_refused_before_anything_starts(fresh: Any) -> None:
    done = fresh.run("train", "iris", "--epochs", "3", "--rounds", "4")
    assert done.code == 2
    assert "either epochs or rounds" in done.err
    done = fresh.run("train", "digit")
    assert (done.code, done.err.splitlines()[-1]) == (2, "hint: Did you mean 'digits'?")
    done = fresh.run("train", "iris", "--workers", "many")
    assert done.code == 2
    assert not (fresh.home / "hosts").exists(), "no host was started"


def test_the_first_line_names_platform_and_store_and_a_wskprops_changes_nothing(fresh: Any) -> None:
    done = fresh.run("models", "list")
    assert done.code == 0
    assert done.err.splitlines()[0].endswith(
        f"this machine's own host, store sqlite:{fresh.home / 'store'}"
    )
    assert "far.invalid" not in done.err
    assert done.out == ""


def test_empty_lists_are_still_json(fresh: Any) -> None:
    for words, record in (
        (["runs", "list"], {"runs": []}),
        (["models", "list"], {"models": []}),
        (["data", "list"], {"data": []}),
    ):
        done = fresh.run(*words, "--json")
        assert (done.code, done.json) == (0, record)


@pytest.mark.parametrize(
    "words",
    [
        ["runs", "show", "x"],
        ["models", "show", "x"],
        ["data", "delete", "upload:x"],
        ["runs", "stop", "x"],
    ],
)
def test_what_is_not_there_is_exit_5(words: list[str], fresh: Any) -> None:
    done = fresh.run(*words, "--json")
    assert done.code == 5, done.err
    assert done.json["status"] == "failed"


def test_a_platform_that_does_not_answer_is_exit_4(fresh: Any) -> None:
    done = fresh.run("doctor", "--apihost", "http://127.0.0.1:9", "--auth", "u:k3y", "--quick")
    assert done.code == 3, "doctor reports it as a finding"
    assert "FAIL  platform" in done.out
    done = fresh.run(
        "predict", "m", "--rows", "[[1]]", "--apihost", "http://127.0.0.1:9", "--auth", "u:k3y"
    )
    assert done.code == 4
    assert "k3y" not in done.err + done.out
    assert "Traceback" not in done.err


def test_a_home_that_cannot_be_written_is_exit_3_or_4(fresh: Any) -> None:
    (fresh.folder / "file").write_text("")
    done = fresh.run("models", "list", "--home", str(fresh.folder / "file" / "x"))
    assert done.code in (3, 4)
    assert done.err.splitlines()[-2].startswith("error: ") or done.err.splitlines()[-1].startswith(
        "error: "
    )
    assert "Traceback" not in done.err


def test_data_is_put_listed_and_deleted(fresh: Any) -> None:
    (fresh.folder / "t.csv").write_text("a,b\n1,x\n")
    put = fresh.run("data", "put", "t.csv")
    assert put.code == 0
    reference_ = put.out.strip()
    assert reference_.startswith("upload:")
    assert fresh.run("data", "put", "t.csv", "--json").json["data"] == reference_, (
        "the same content is stored once"
    )
    assert [d["name"] for d in fresh.run("data", "list", "--json").json["data"]] == ["t.csv"]
    assert fresh.run("data", "delete", reference_).code == 0
    assert fresh.run("data", "list", "--json").json == {"data": []}
    assert fresh.run("data", "put", "gone.csv").code == 2


def read_until_up(process: subprocess.Popen[str]) -> dict[str, str]:
    assert process.stdout is not None
    return dict(process.stdout.readline().strip().split("=", 1) for _ in range(3))


def test_local_says_where_it_is_and_sigterm_stops_it(fresh: Any) -> None:
    process = fresh.start("local", "--bare", "--port", "0")
    try:
        said = read_until_up(process)
        assert (
            Path(said["WSK_CONFIG_FILE"]).read_text()
            == f"APIHOST={said['APIHOST']}\nAUTH={said['AUTH']}\n"
        )
        assert Path(said["WSK_CONFIG_FILE"]) == fresh.home / "wskprops"
        listing = requests.get(
            f"{said['APIHOST']}/api/v1/namespaces/_/actions",
            auth=tuple(said["AUTH"].split(":")),
            timeout=10,
        )
        assert listing.json() == [], "nothing is deployed"
        second = fresh.run("local", "--bare", "--port", "0")
        assert (second.code, second.err.splitlines()[-2][:40]) == (
            3,
            f"error: A host is running on {fresh.home} "[:40],
        )
    finally:
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 0
    assert "stopped" in err
    assert fresh.processes() == []


def test_a_port_in_use_is_one_line(fresh: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = fresh.run("local", "--bare", "--port", str(port))
    assert done.code == 3
    errors = [line for line in done.err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert str(port) in errors[0]
    assert "Traceback" not in done.err


def test_local_with_json_prints_one_object(fresh: Any) -> None:
    process = fresh.start("local", "--bare", "--port", "0", "--json")
    assert process.stdout is not None
    record = json.loads(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=20)
    assert set(record) == {"apihost", "auth", "wskprops", "pid"}
    assert out == ""
    assert process.returncode == 0
