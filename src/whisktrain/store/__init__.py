"""The document stores: one protocol, the embedded store on SQLite, CouchDB for clusters."""

from whisktrain.store.addresses import mask
from whisktrain.store.opening import open_store
from whisktrain.store.protocol import Change, Changes, Database, Document, Store

__all__ = ["Change", "Changes", "Database", "Document", "Store", "mask", "open_store"]
