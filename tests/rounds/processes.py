"""Activations as real processes, which can be killed."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

from activation import Spool

__all__ = ["Processes", "Spool"]

AT_ONCE = 8
"""Processes side by side, as a platform's limit has it; the others wait for their turn."""
SCRIPT = Path(__file__).parent / "activation.py"


class Processes:
    """Starts what the spool asks for."""

    def __init__(self, address: str, spool: Path, *, frozen: int = 3) -> None:
        self.environment = {**os.environ, "FROZEN": str(frozen)}
        self.address, self.spool = address, spool
        self.started: list[subprocess.Popen[bytes]] = []
        self.running: list[subprocess.Popen[bytes]] = []
        self.stop = threading.Event()
        self.killed = 0
        self.output = spool / "output.log"

    def _waiting(self) -> list[Path]:
        """What is to be started, the oldest first."""
        return sorted(self.spool.glob("*.json"), key=lambda asked: asked.stat().st_mtime)

    def watch(self) -> None:
        while not self.stop.is_set():
            for asked in self._waiting()[: AT_ONCE - len(self.running)]:
                action, arguments = json.loads(asked.read_text())
                asked.unlink()
                command = [
                    sys.executable,
                    str(SCRIPT),
                    self.address,
                    str(self.spool),
                    action,
                    json.dumps(arguments),
                    asked.stem,
                ]
                with self.output.open("ab") as output:
                    process = subprocess.Popen(
                        command, stdout=output, stderr=output, env=self.environment
                    )
                self.started.append(process)
                self.running.append(process)
            self.running = [p for p in self.running if p.poll() is None]
            time.sleep(0.005)

    def kill_one(self, draw: random.Random) -> None:
        alive = [p for p in self.running if p.poll() is None]
        if alive:
            draw.choice(alive).kill()
            self.killed += 1

    def close(self) -> None:
        self.stop.set()
        for process in self.started:
            process.kill()
            process.wait()
