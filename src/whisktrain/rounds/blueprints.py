"""The run's model in a warm process' memory: read once, since it never changes."""

from __future__ import annotations

from whisktrain.records import ids
from whisktrain.rounds.caches import Cache
from whisktrain.spec import Blueprint
from whisktrain.store.protocol import Store

__all__ = ["read_blueprint"]

_BLUEPRINTS: Cache[Blueprint] = Cache(32 * 2**20, lambda b: len(b.config))


def read_blueprint(store: Store, run: str) -> Blueprint | None:
    """The run's model; None where it is absent: the run has ended."""
    key = (store.url, run)
    known = _BLUEPRINTS.find(key)
    if known is None:
        found = store.rounds.get(ids.blueprint(run), attachment=True)
        if found is None:
            return None
        known = Blueprint(found.body["layout"], found.attachment or b"")
        _BLUEPRINTS.put(key, known)
    return known
