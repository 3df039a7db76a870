"""`python -m whisktrain`."""

from __future__ import annotations

import sys

from whisktrain.cli import main

sys.exit(main())
