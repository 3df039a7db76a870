"""One platform for the whole suite: the embedded host, or the OpenWhisk that WSK_CONFIG_FILE names.

Either is deployed from wskdeploy.yaml, spoken to over HTTP as any client does, and left empty.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import requests

from whisktrain.store.opening import open_store
from whisktrain.store.protocol import Store

ROOT = Path(__file__).parents[2]
CLI = [sys.executable, "-m", "whisktrain"]


@dataclass
class Platform:
    """An OpenWhisk API, the store behind it, and the CLI pointed at both."""

    target: str
    apihost: str
    auth: str = field(repr=False)
    store_url: str = field(repr=False)
    home: Path
    session: requests.Session = field(default_factory=requests.Session, repr=False)

    @property
    def store(self) -> Store:
        return open_store(self.store_url)

    def call(self, method: str, path: str, body: Any = None, **query: Any) -> requests.Response:
        """One request to the API, below the namespace."""
        url = f"{self.apihost}/api/v1/namespaces/_/{path}"
        return self.session.request(
            method,
            url,
            json=body,
            params=query,
            auth=tuple(self.auth.split(":", 1)),
            timeout=120,
            verify=False,
        )

    def invoke(self, action: str, arguments: Any, seconds: float = 240) -> Any:
        """Invoke an action as wsk does: blocking where the platform lets us, and its record afterwards. Returns the result."""
        answer = self.call("POST", f"actions/{action}", arguments, blocking="true")
        body = answer.json()
        if answer.status_code == 202:
            until = time.monotonic() + seconds
            while (
                record := self.call("GET", f"activations/{body['activationId']}")
            ).status_code == 404:
                assert time.monotonic() < until, f"{action} did not end within {seconds} s"
                time.sleep(0.2)
            body = record.json()
        return body["response"]["result"] if isinstance(body, dict) and "response" in body else body

    def pipeline(self, request: Any, seconds: float = 240) -> Any:
        """Run the sequence; where it answered 'training', wait for the run's end."""
        result = self.invoke("whisktrain/pipeline", request, seconds)
        assert "error" not in result, result
        if result["status"] == "training":
            result = json.loads(self.cli("runs", "watch", result["run"], "--json").stdout)
        return result

    def cli(
        self, *arguments: str, check: bool = True, timeout: float = 240
    ) -> subprocess.CompletedProcess[str]:
        """Run a command against this platform and store."""
        command = [
            *CLI,
            *arguments,
            "--apihost",
            self.apihost,
            "--auth",
            self.auth,
            "--store",
            self.store_url,
        ]
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
            env=self.environment,
        )
        assert not check or done.returncode == 0, (
            f"{arguments} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
        )
        return done

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "HOME": str(self.home),
            "WHISKTRAIN_HOME": str(self.home),
            "NO_COLOR": "1",
        }

    def leftovers(self, run: str, seconds: float = 20) -> list[str]:
        """Documents of a run that the rounds database still holds; a caller may have its answer before they are gone."""
        until = time.monotonic() + seconds
        while (
            left := [d.id for d in self.store.rounds.list("", bodies=False) if run in d.id]
        ) and time.monotonic() < until:
            time.sleep(0.1)
        return left


def read_props(path: Path) -> dict[str, str]:
    return dict(
        line.split("=", 1) for line in path.read_text().splitlines() if line.count("=") == 1
    )


class LocalHost:
    """`whisktrain local` as a process of its own."""

    def __init__(self, home: Path, *arguments: str) -> None:
        self.home = home
        environment = {**os.environ, "HOME": str(home), "WHISKTRAIN_HOME": str(home)}
        self.process = subprocess.Popen(
            [*CLI, "local", "--home", str(home), *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment,
        )
        until = time.monotonic() + 60
        while not self.answers():
            assert self.process.poll() is None, self.process.communicate()[1].decode()
            assert time.monotonic() < until, "whisktrain local did not come up within a minute"
            time.sleep(0.05)
        self.props = read_props(home / "wskprops")

    def answers(self) -> bool:
        if not (self.home / "wskprops").exists():
            return False
        props = read_props(self.home / "wskprops")
        try:
            url = f"{props['APIHOST']}/api/v1/namespaces/_/rules/rounds-aggregate"
            return (
                requests.get(url, auth=tuple(props["AUTH"].split(":", 1)), timeout=5).status_code
                == 200
            )
        except (requests.ConnectionError, KeyError):
            return False

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.communicate(timeout=30)


def openwhisk_platform(home: Path) -> Platform:
    props = read_props(Path(os.environ["WSK_CONFIG_FILE"]))
    host = props["APIHOST"] if "//" in props["APIHOST"] else f"https://{props['APIHOST']}"
    return Platform("openwhisk", host, props["AUTH"], os.environ["WHISKTRAIN_STORE"], home)


def at_site(command: list[str]) -> None:
    """Run a deployment's command with the defaults for what the environment does not say."""
    sourced = ["bash", "-c", 'set -a; . deploy/defaults.env; set +a; exec "$@"', "site", *command]
    subprocess.run(sourced, cwd=ROOT, check=True, timeout=300)


@pytest.fixture(scope="session")
def platform(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Platform]:
    home = tmp_path_factory.mktemp("home")
    if request.config.getoption("--target") == "embedded":
        host = LocalHost(home, "--port", "0")
        try:
            yield Platform(
                "embedded",
                host.props["APIHOST"],
                host.props["AUTH"],
                f"sqlite:{home / 'store'}",
                home,
            )
        finally:
            host.stop()
        return
    chosen = openwhisk_platform(home)
    tool = shutil.which("wskdeploy")
    deploy = [tool, "-m", "wskdeploy.yaml"] if tool else [*CLI, "deploy"]
    remove = [tool, "undeploy", "-m", "wskdeploy.yaml"] if tool else [*CLI, "undeploy"]
    at_site(deploy)
    # A second follower beside the site's own does no harm, and where there is none nothing would go on.
    follower = subprocess.Popen(
        [
            *CLI,
            "follow",
            "--apihost",
            chosen.apihost,
            "--auth",
            chosen.auth,
            "--store",
            chosen.store_url,
        ],
        stdout=subprocess.DEVNULL,
        env=chosen.environment,
    )
    try:
        yield chosen
    finally:
        follower.terminate()
        follower.wait(timeout=60)
        at_site(remove)
        for kind in ("actions", "triggers", "rules"):
            left = [row["name"] for row in chosen.call("GET", kind, limit=0).json()]
            assert not left, f"undeploy left {kind} {left} behind"
