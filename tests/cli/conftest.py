"""The command line as a user has it: real processes, a home of their own, and a .wskprops lying about."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

CLI = (sys.executable, "-m", "whisktrain")


@dataclass(frozen=True)
class Ended:
    """A command that has ended."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """The one JSON object on stdout."""
        found = json.loads(self.out)
        assert isinstance(found, dict)
        return found


@dataclass(frozen=True)
class Machine:
    """A user's machine.

    Attributes:
        folder: The home directory.
        environment: The variables of its processes.
    """

    folder: Path
    environment: dict[str, str]

    @property
    def home(self) -> Path:
        return self.folder / "state"

    def run(self, *words: str, timeout: float = 240, **more: str) -> Ended:
        done = subprocess.run(
            [*CLI, *words],
            env={**self.environment, **more},
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        return Ended(done.returncode, done.stdout, done.stderr)

    def start(self, *words: str, **more: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [*CLI, *words],
            env={**self.environment, **more},
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def processes(self) -> list[str]:
        """The processes that belong to this machine, by what its variables left in theirs."""
        found = []
        for process in psutil.process_iter():
            try:
                if (
                    str(self.home) in process.environ().get("WHISKTRAIN_HOME", "")
                    or str(self.home) in process.cwd()
                ):
                    found.append(" ".join(process.cmdline()))
            except (psutil.Error, OSError):
                continue
        return found


def machine_in(folder: Path) -> Machine:
    (folder / ".wskprops").write_text("APIHOST=https://far.invalid\nAUTH=0:1\n")
    kept = {
        k: v
        for k, v in os.environ.items()
        if not k.startswith(("WHISK", "WSK", "COLUMNS", "NO_COLOR", "FORCE_COLOR"))
    }
    return Machine(
        folder,
        {
            **kept,
            "HOME": str(folder),
            "WHISKTRAIN_HOME": str(folder / "state"),
            "WHISKTRAIN_HOST_STAYS": "0",
            "COLUMNS": "100",
        },
    )


@pytest.fixture(scope="session")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return machine_in(tmp_path_factory.mktemp("user"))


@pytest.fixture
def warm(machine: Machine) -> Iterator[dict[str, str]]:
    """Variables with which the commands of one test share a host; it is ended after the test."""
    yield {"WHISKTRAIN_HOST_STAYS": "120"}
    machine.run("local", "--stop")
    assert machine.processes() == []


@pytest.fixture
def fresh(tmp_path: Path) -> Machine:
    """A machine that nothing has been done on."""
    return machine_in(tmp_path)


@pytest.fixture(scope="session")
def trained(machine: Machine) -> Ended:
    """`train` with `--json`, on the machine that the other tests use."""
    (machine.folder / "rows.json").write_text("[[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]]")
    words = "train iris --model linear --workers 2 --epochs 8 --learning-rate 0.05 --name flowers --predict rows.json --json"
    return machine.run(*words.split())
