"""One activation in a process of its own: `python activation.py STORE SPOOL ACTION ARGUMENTS ID`; it invokes by the spool."""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from numpy_learner import NumpyLearner
from rounds_rig import PATIENT

from whisktrain.rounds import aggregate, worker
from whisktrain.store import open_store


class Spool:
    """Write a file for each invocation; the owner of the spool starts it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def invoke(self, action: str, arguments: dict[str, Any]) -> str:
        activation = uuid.uuid4().hex
        part = self.folder / f"{activation}.part"
        part.write_text(json.dumps([action, arguments]))
        part.rename(self.folder / f"{activation}.json")
        return activation

    def ended(self, activation: str) -> None:
        """This platform keeps no records."""


def main(store: str, spool: str, action: str, arguments: str, activation: str) -> None:
    given = json.loads(arguments)
    common: dict[str, Any] = {
        "store": open_store(store),
        "invoker": Spool(Path(spool)),
        "execution": activation,
        "deadline": time.time() + 60,
        "timeouts": PATIENT,
    }
    if action == "worker":
        frozen = int(os.environ.get("FROZEN", "3"))
        slowly = NumpyLearner(lambda work: time.sleep(0.05), frozen=frozen)
        worker.serve(
            given["run"],
            given["slot"],
            learner=slowly,
            successor=bool(given.get("successor")),
            **common,
        )
    else:
        aggregate.serve(given["run"], after=given.get("after", ""), **common)


if __name__ == "__main__":
    main(*sys.argv[1:])
