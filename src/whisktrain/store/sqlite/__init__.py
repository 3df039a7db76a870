"""The embedded store: two SQLite files in one directory, larger attachments as files beside them.

    DIRECTORY/library.sqlite   library.sqlite.files/   library.sqlite.wake/
    DIRECTORY/rounds.sqlite    rounds.sqlite.files/    rounds.sqlite.wake/

Any number of processes and threads of one machine use it at once.
"""

from whisktrain.store.sqlite.database import SqliteDatabase
from whisktrain.store.sqlite.store import SqliteStore

__all__ = ["SqliteDatabase", "SqliteStore"]
