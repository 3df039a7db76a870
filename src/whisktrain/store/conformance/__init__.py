"""What every document store must do, as tests to inherit.

Make a subclass in a test module and override the fixture `address`; everything else follows from it:

    from whisktrain.store.conformance import StoreConformance

    class TestMyStore(StoreConformance):
        @pytest.fixture
        def address(self, tmp_path):
            return f"sqlite:{tmp_path}"

The address must name a store that is empty, and fresh for each test; it is opened in several processes at once. It needs
pytest and hypothesis.
"""

from whisktrain.store.conformance.attachments import AttachmentTests
from whisktrain.store.conformance.documents import DocumentTests
from whisktrain.store.conformance.feed import FeedTests
from whisktrain.store.conformance.lists import ListTests
from whisktrain.store.conformance.oracle import OracleTests
from whisktrain.store.conformance.races import RaceTests

__all__ = ["StoreConformance"]


class StoreConformance(
    DocumentTests, AttachmentTests, ListTests, FeedTests, RaceTests, OracleTests
):
    """All of them."""
