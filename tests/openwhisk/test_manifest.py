from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from whisktrain.errors import ConfigurationError
from whisktrain.openwhisk import manifest, settings, system

ROOT = Path(__file__).resolve().parents[2]
RAW = yaml.safe_load((ROOT / "wskdeploy.yaml").read_text())["packages"]["whisktrain"]
TYPE_NAMES = {"string", "integer", "float", "boolean", "json"}


def package(environment=None):
    return manifest.read(system.manifest_path(), environment or {}).packages[0]


def by_name(entries):
    return {entry.name: entry for entry in entries}


def write(tmp_path, text: str) -> Path:
    (tmp_path / "a.py").write_text("def main(args):\n    return args\n")
    path = tmp_path / "wskdeploy.yaml"
    path.write_text(text)
    return path


def test_the_file_lists_the_flow_in_its_order() -> None:
    assert list(RAW["actions"]) == [
        "preprocess",
        "train",
        "predict",
        "worker",
        "aggregate",
        "changes",
    ]
    assert list(RAW) == [
        "version",
        "license",
        "description",
        "inputs",
        "actions",
        "sequences",
        "triggers",
        "rules",
    ]


def test_every_file_it_names_is_there_and_has_content() -> None:
    files = [ROOT / entry["function"] for entry in RAW["actions"].values()]
    assert all(file.is_file() and file.stat().st_size > 0 for file in files)
    deployed = {file.relative_to(ROOT).as_posix() for file in files}
    present = {
        p.relative_to(ROOT).as_posix()
        for folder in ("actions", "aggregator")
        for p in (ROOT / folder).glob("*.py")
    }
    assert present - deployed == {"aggregator/follower.py"}


def test_no_file_that_travels_with_it_is_empty() -> None:
    for folder in ("actions", "aggregator", "sequences", "deploy"):
        for file in (ROOT / folder).rglob("*"):
            assert file.is_dir() or "__pycache__" in file.parts or file.stat().st_size > 0, file


def test_it_stays_clear_of_what_wskdeploy_misreads() -> None:
    assert RAW["license"] == "Apache-2.0"
    for value in (v for entry in RAW["actions"].values() for v in entry.get("inputs", {}).values()):
        assert value not in ("", None, 0, False)
        assert value not in TYPE_NAMES
    defaults = [
        s.default
        for s in settings.SETTINGS
        if s.default is not None and s.name != "WHISKTRAIN_LIGHT_SUFFIX"
    ]
    assert all(value and value not in TYPE_NAMES for value in defaults)
    assert all("docker" in entry and "function" in entry for entry in RAW["actions"].values())


def test_wskdeploy_changes_nothing_where_a_setting_has_no_value() -> None:
    """It stops with the names of required inputs that are empty, before it deploys anything."""
    assert set(RAW["inputs"]) == set(settings.PARAMETERS.values())
    for name, entry in RAW["inputs"].items():
        variable = f"WHISKTRAIN_{name.removeprefix('deployment_').upper()}"
        assert entry == {"type": "string", "required": True, "value": f"${{{variable}}}"}
        assert settings.default(variable)


def test_each_stage_has_its_own_resources() -> None:
    actions = by_name(package().actions)
    assert {n: a.limits["memory"] for n, a in actions.items() if a.limits["memory"] == 512} == {
        "preprocess": 512,
        "worker": 512,
        "predict": 512,
    }
    assert all(
        100 <= a.limits["timeout"] <= 300_000 and 128 <= a.limits["memory"] <= 512
        for a in actions.values()
    )
    assert {n for n, a in actions.items() if a.limits.get("logs") == 0} == {"worker", "aggregate"}


def test_who_gets_the_key() -> None:
    actions = by_name(package().actions)
    keyed = {n for n, a in actions.items() if a.annotations.get("provide-api-key") is True}
    assert keyed == {"preprocess", "train", "worker", "aggregate"}
    assert actions["changes"].annotations["feed"] is True


def test_the_web_action_is_protected_also_where_nothing_is_set() -> None:
    predict = by_name(package().actions)["predict"]
    assert predict.annotations["web-export"] is True
    assert predict.annotations["final"] is True
    assert predict.annotations["require-whisk-auth"] is True
    secret = by_name(package({"WHISKTRAIN_WEB_SECRET": "correct horse battery"}).actions)["predict"]
    assert secret.annotations["require-whisk-auth"] == "correct horse battery"
    assert "correct horse" not in repr(secret)
    with pytest.raises(ConfigurationError, match="at least 8") as failure:
        package({"WHISKTRAIN_WEB_SECRET": "short"})
    assert "short" not in str(failure.value).replace("shorter", "")


def test_events_lead_to_the_aggregate() -> None:
    found = package()
    assert [(t.name, t.feed) for t in found.triggers] == [("rounds", "/_/whisktrain/changes")]
    assert [(r.name, r.trigger, r.action) for r in found.rules] == [
        ("rounds-aggregate", "rounds", "aggregate")
    ]


def test_every_sequence_file_equals_the_manifest() -> None:
    files = {
        path.stem: yaml.safe_load(path.read_text()) for path in (ROOT / "sequences").glob("*.yaml")
    }
    sequences = by_name(package().sequences)
    assert files.keys() == sequences.keys()
    for name, file in files.items():
        assert file["sequence"] == name
        assert tuple(step["action"] for step in file["steps"]) == sequences[name].actions
        assert file["description"] == sequences[name].annotations["description"]
        for before, after in zip(file["steps"], file["steps"][1:], strict=False):
            assert set(after["takes"]) <= set(before["answers"]), (
                "a step takes only what the one before answers"
            )


def test_every_setting_that_replaces_a_value_has_the_manifests_own_as_default() -> None:
    for setting in settings.SETTINGS:
        if setting.path:
            value = RAW
            for part in setting.path:
                value = value[part]
            assert setting.default is None or str(value) == setting.default
    limits = {
        (a, k) for a, entry in RAW["actions"].items() for k in entry["limits"] if k != "logSize"
    }
    assert limits == {(s.path[1], s.path[3]) for s in settings.SETTINGS if s.numeric}


def test_every_variable_of_the_manifest_is_a_setting() -> None:
    named = set(re.findall(r"\$\{?(\w+)", (ROOT / "wskdeploy.yaml").read_text()))
    assert named == {s.name for s in settings.SETTINGS if not s.path}


def test_defaults_env_is_the_table_of_settings() -> None:
    assert (ROOT / "deploy" / "defaults.env").read_text() == settings.render_defaults()


def test_defaults_env_gives_a_shell_the_same_values_and_lets_set_ones_win() -> None:
    command = "set -a; . deploy/defaults.env; env -0"
    environment = {"PATH": "/usr/bin:/bin", "WHISKTRAIN_STORE": "http://u:p@db:5984"}
    done = subprocess.run(
        ["sh", "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    found = dict(
        line.split("=", 1) for line in done.stdout.split("\0") if line.startswith("WHISKTRAIN_")
    )
    assert found == {
        **{s.name: s.default for s in settings.SETTINGS if s.default is not None},
        "WHISKTRAIN_STORE": "http://u:p@db:5984",
    }
    assert settings.effective(environment).items() >= found.items()


def test_unset_and_empty_variables_take_the_defaults() -> None:
    for environment in ({}, {"WHISKTRAIN_IMAGE": "", "WHISKTRAIN_STORE": ""}):
        found = package(environment)
        assert found.inputs["deployment_store"] == settings.default("WHISKTRAIN_STORE")
        assert {a.image for a in found.actions} == {settings.default("WHISKTRAIN_IMAGE")}


def test_a_light_image_for_what_needs_no_tensorflow() -> None:
    found = by_name(
        package({"WHISKTRAIN_IMAGE": "me/it:1", "WHISKTRAIN_LIGHT_SUFFIX": "-light"}).actions
    )
    assert {n: a.image for n, a in found.items() if a.image == "me/it:1"}.keys() == {
        "worker",
        "predict",
    }
    assert {a.image for n, a in found.items() if n not in ("worker", "predict")} == {
        "me/it:1-light"
    }


def test_numbers_can_be_set_by_variables_here_and_in_a_file_for_wskdeploy(tmp_path) -> None:
    environment = {"WHISKTRAIN_WORKER_MEMORY": "2048", "WHISKTRAIN_TRAIN_TIMEOUT": "600000"}
    found = by_name(package(environment).actions)
    assert found["worker"].limits == {"timeout": 300_000, "memory": 2048, "logs": 0}
    assert found["train"].limits["timeout"] == 600_000
    command = [sys.executable, str(ROOT / "deploy" / "site_manifest.py")]
    done = subprocess.run(
        command, env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    rendered = yaml.safe_load(done.stdout)
    assert rendered["packages"]["whisktrain"]["actions"]["worker"]["limits"]["memorySize"] == 2048
    assert rendered["packages"]["whisktrain"]["inputs"] == RAW["inputs"]
    with pytest.raises(ConfigurationError, match="WHISKTRAIN_WORKER_MEMORY was 'lots'"):
        package({"WHISKTRAIN_WORKER_MEMORY": "lots"})


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("packages: {p: {actions: {a: {function: a.py, memory: 3}}}}", "'memory'"),
        (
            "packages: {p: {actions: {a: {function: a.py, limits: {memorySize: '${X}'}}}}}",
            "memorySize",
        ),
        ("packages: {p: {action: {}}}", "'action'"),
        ("pakages: {}", "'pakages'"),
        ("packages: {p: {triggers: {t: {fed: x}}}}", "'fed'"),
        ("packages: {p: {actions: {a: {function: none.py}}}}", "none.py"),
        ("packages: {p: {actions: {a: {}}}}", "no code"),
        ("packages: {p: {actions: {a: {function: a.py, docker: '${NOT_SET}'}}}}", "image"),
        (
            "packages: {p: {actions: {a: {function: a.py, annotations: {require-whisk-auth: '$NOT_SET'}}}}}",
            "require-whisk-auth",
        ),
        ("packages: {p: {actions: {a: {function: a.py, web: maybe}}}}", "maybe"),
        ("packages: {p: {sequences: {s: {actions: ' , '}}}}", "no actions"),
        ("packages: {p: {rules: {r: {trigger: t}}}}", "'r'"),
        ("packages: {p: {dependencies: {}}}", "only wskdeploy"),
        ("packages: [", "not YAML"),
    ],
)
def test_what_is_wrong_is_named(tmp_path, text, what) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(what)):
        manifest.read(write(tmp_path, text), {})


def test_an_unknown_key_suggests_the_nearest_known_one(tmp_path) -> None:
    with pytest.raises(ConfigurationError) as failure:
        manifest.read(write(tmp_path, "packages: {p: {actions: {a: {functoin: a.py}}}}"), {})
    assert failure.value.hint == "Did you mean 'function'?"


def test_a_manifest_of_somebody_else(tmp_path) -> None:
    text = """
project:
  name: theirs
  packages:
    ${NAME}:
      license: Apache-2.0
      inputs: {db: $DB, size: {type: integer, default: 3}}
      actions:
        a: {function: a.py, runtime: 'python:3.11', main: go, web-export: raw, inputs: {l: [1, two], m: {k: $DB}, d: $db}}
      sequences: {s: {actions: 'a, /whisk.system/utils/echo, a', web: true}}
      triggers: {t: {feed: $FEED, inputs: {every: 5}}}
"""
    found = manifest.read(
        write(tmp_path, text), {"NAME": "pack", "DB": "rounds", "FEED": "/x/y/z"}
    ).packages[0]
    assert found.name == "pack"
    assert found.inputs == {"db": "rounds", "size": 3}
    (action,) = found.actions
    assert (action.kind, action.image, action.main) == ("python:3.11", "", "go")
    assert action.inputs == {"l": [1, "two"], "m": {"k": "rounds"}, "d": "rounds"}
    assert action.annotations == {"web-export": True, "raw-http": True, "final": True}
    assert found.sequences[0].actions == ("a", "/whisk.system/utils/echo", "a")
    assert found.sequences[0].annotations["web-export"] is True
    assert (found.triggers[0].feed, found.triggers[0].inputs) == ("/x/y/z", {"every": 5})


def test_a_missing_file_is_named(tmp_path) -> None:
    with pytest.raises(ConfigurationError, match=r"nothing\.yaml"):
        manifest.read(tmp_path / "nothing.yaml", {})
