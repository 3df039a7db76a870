"""The handle on data: uploaded files, and the data sets made from them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from whisktrain.errors import NotFound, RequestError
from whisktrain.records import ids

if TYPE_CHECKING:
    from whisktrain.store.protocol import Store

__all__ = ["Data"]


class Data:
    """Uploaded files ("upload:ID") and processed data sets ("dataset:ID").

    Args:
        store: Where they are.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, file: str | Path | bytes, name: str | None = None) -> str:
        """Upload a file or a folder of images by class; the same content is stored once.

        Args:
            file: Its path, or its content.
            name: Its name, whose ending says the format; the path's own by default.

        Returns:
            "upload:ID".
        """
        from whisktrain.data.sources.uploads import put_upload

        self._store.ensure()
        if isinstance(file, bytes):
            if name is None:
                raise RequestError("Content without a name was given.", hint='Name it, such as name="table.csv".')
            return put_upload(self._store, file, name)
        path = Path(file).expanduser()
        if not path.exists():
            raise RequestError(f"There is no file {str(file)!r}.", code="no_such_file", hint="Check the path.")
        return put_upload(self._store, path, name or path.name)

    def list(self) -> list[dict[str, Any]]:
        """Uploads and data sets: `{"data", "name", "bytes" or "rows"}` each."""
        from whisktrain.data.sources.uploads import list_uploads

        sets = [
            {
                "data": document.id,
                "name": str(document.body.get("source")),
                "rows": (document.body.get("rows") or {}).get("used"),
                "shards": len(document.body.get("shards") or []),
                "task": document.body.get("task"),
            }
            for document in self._store.library.list("dataset:")
        ]
        files = [{"data": u["ref"], "name": u["name"], "bytes": u["size"]} for u in list_uploads(self._store)]
        return [*files, *sets]

    def delete(self, reference: str) -> None:
        """Delete an upload, or a data set with all its shards. Models trained on it keep their own preprocessing.

        Args:
            reference: "upload:ID" or "dataset:ID".

        Raises:
            NotFound: It is not there.
        """
        kind, _, key = reference.partition(":")
        library = self._store.library
        if kind == "upload":
            from whisktrain.data.sources.uploads import delete_upload

            if not delete_upload(self._store, reference):
                raise self._missing(reference)
        elif kind == "dataset":
            if not library.delete(ids.dataset(key)):
                raise self._missing(reference)
            parts = [d.id for prefix in ("shard", "validation") for d in library.list(f"{prefix}:{key}:", bodies=False)]
            library.delete_many(parts)
        else:
            raise RequestError(f"The data was given as {reference!r}; expected upload:ID or dataset:ID.")

    @staticmethod
    def _missing(reference: str) -> NotFound:
        return NotFound(
            f"There is no {reference!r} in the store.", code="no_such_data", hint="`whisktrain data list` shows what there is."
        )
