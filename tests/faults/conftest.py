"""The rig of the rounds' tests, and a store for each test."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "rounds"))

from stores import address, store

__all__ = ["address", "store"]
