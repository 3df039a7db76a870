"""The CouchDB store: HTTP session, documents with attachments, changes feed."""

from whisktrain.store.couch.database import CouchDatabase
from whisktrain.store.couch.store import CouchStore

__all__ = ["CouchDatabase", "CouchStore"]
