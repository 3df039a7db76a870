"""What is fetched to build, test and ship is pinned; what runs elsewhere has no more rights than it needs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
DOCKERFILE = (ROOT / "runtime-image" / "Dockerfile").read_text()


@pytest.mark.parametrize("file", WORKFLOWS, ids=lambda file: file.stem)
def test_workflows_may_only_read_and_pin_every_action(file) -> None:
    workflow = yaml.safe_load(file.read_text())
    assert workflow["permissions"] == {"contents": "read"}
    writing = {
        name: job["permissions"] for name, job in workflow["jobs"].items() if "permissions" in job
    }
    assert writing in ({}, {"image": {"contents": "read", "packages": "write"}})
    used = re.findall(r"uses: (\S+)(.*)", file.read_text())
    assert used
    for action, comment in used:
        assert re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", action), action
        assert re.fullmatch(r" # v\d+\.\d+\.\d+", comment), f"the version of {action}"


def test_every_image_ends_with_a_user_without_rights() -> None:
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.M)[1:]
    for stage in stages:
        name = stage.splitlines()[0].split()[-1]
        if name in ("light", "train"):
            assert stage.rstrip().splitlines()[-1] == "USER action", name
    assert "chown action:action /action" in DOCKERFILE


def test_every_package_that_is_installed_is_pinned_with_its_hash() -> None:
    script = (ROOT / "scripts" / "install").read_text()
    for text in (DOCKERFILE, script):
        joined = text.replace("\\\n", " ")
        for line in re.findall(r"^.*\bpip install\b.*$", joined, re.M):
            own = "/dist/*.whl" in line or "--editable ." in line
            assert own or "--require-hashes" in line, line
    assert "--no-build-isolation" in DOCKERFILE and "--no-build-isolation" in script
    for file in (*ROOT.glob("requirements/*.txt"), *ROOT.glob("runtime-image/*.txt")):
        for block in re.split(r"\n(?=\S)", file.read_text().strip()):
            assert re.match(r"[\w.-]+==\S+", block), f"{file.name}: {block[:60]}"
            assert "--hash=sha256:" in block, f"{file.name}: {block[:60]}"


def test_the_build_tools_are_locked() -> None:
    locked = dict(
        re.findall(r"^([\w-]+)==(\S+)", (ROOT / "requirements" / "build.txt").read_text(), re.M)
    )
    assert {"hatchling", "editables", "uv"} <= locked.keys()
    shared = dict(
        re.findall(r"^([\w-]+)==(\S+)", (ROOT / "requirements" / "dev.txt").read_text(), re.M)
    )
    assert {n: v for n, v in locked.items() if n in shared} == {
        n: v for n, v in shared.items() if n in locked
    }
