"""The files of a machine with Docker say what the real platform needs of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
SERVICES = COMPOSE["services"]


def default(value: str) -> str:
    """A value with every variable unset."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value)


def variables() -> dict[str, str]:
    """The defaults of deploy/defaults.env."""
    return dict(
        re.findall(
            r"^: \"\$\{(\w+):=([^}]*)\}\"", (ROOT / "deploy" / "defaults.env").read_text(), re.M
        )
    )


@pytest.mark.parametrize("name", SERVICES)
def test_no_container_is_one_that_a_standalone_removes_when_it_starts(name) -> None:
    made = SERVICES[name].get("container_name", f"{COMPOSE['name']}-{name}-1")
    assert "whisk-" not in made


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_says_what_happens_when_it_ends(name) -> None:
    restarts = SERVICES[name].get("restart")
    assert restarts == ("no" if SERVICES[name].get("scale") == 0 else "unless-stopped")


def test_nothing_has_to_be_set() -> None:
    assert set(re.findall(r"\$\{\w+(.{0,2})", (ROOT / "compose.yaml").read_text())) == {":-"}


def test_the_defaults_are_those_of_a_deployment() -> None:
    site = variables()
    assert (
        default(SERVICES["follower"]["environment"]["WHISKTRAIN_STORE"]) == site["WHISKTRAIN_STORE"]
    )
    assert default(SERVICES["runtime"]["image"]) == site["WHISKTRAIN_IMAGE"]
    assert default(SERVICES["follower"]["image"]) == site["WHISKTRAIN_IMAGE"] + "-light"


def test_nothing_listens_beyond_this_machine() -> None:
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]
    assert ports
    assert {default(port).rsplit(":", 2)[0] for port in ports} == {"127.0.0.1", "172.17.0.1"}


def test_what_the_image_copies_is_sent_to_the_build() -> None:
    """The Docker context holds only what .dockerignore lets through."""
    allowed = [
        line[1:]
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    ]
    copied = [
        source
        for line in (ROOT / "runtime-image" / "Dockerfile").read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    ]
    assert copied
    for source in copied:
        assert any(source == path or source.startswith(f"{path}/") for path in allowed), source
        assert source.endswith("wheel[s]") or (ROOT / source).exists()
