"""Makes the plans and stores of the rounds' tests importable, and gives each test a store of its own."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "rounds"))

from stores import address, store

__all__ = ["address", "store"]
