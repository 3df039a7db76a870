"""The embedded store does what every store must do."""

from pathlib import Path

import pytest

from whisktrain.store.conformance import StoreConformance


class TestSqlite(StoreConformance):
    EXAMPLES = 60

    @pytest.fixture
    def address(self, tmp_path: Path) -> str:
        return f"sqlite:{tmp_path}/store"
