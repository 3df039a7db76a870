"""The handle on data: uploaded files, and the data sets made from them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NotRequired, TypedDict

from whisktrain.errors import NotFound, RequestError

if TYPE_CHECKING:
    from whisktrain.sdk.session import Session

__all__ = ["Data", "DataEntry"]


class DataEntry(TypedDict):
    """One upload ("upload:ID", with `bytes`) or data set ("dataset:ID", with `rows`, `shards` and `task`) of a list."""

    data: str
    name: str
    bytes: NotRequired[int]
    rows: NotRequired[int]
    shards: NotRequired[int]
    task: NotRequired[str]


class Data:
    """Uploaded files ("upload:ID") and processed data sets ("dataset:ID").

    Args:
        session: The platform and store.
    """

    def __init__(self, session: Session) -> None:
        self._session = session

    def put(self, file: str | Path | bytes, name: str | None = None) -> str:
        """Upload a file or a folder of images by class; the same content is stored once.

        Args:
            file: Its path, or its content.
            name: Its name, whose ending says the format; the path's own by default.

        Returns:
            "upload:ID".
        """
        from whisktrain.data.sources.uploads import put_upload

        store = self._session.store
        store.ensure()
        if isinstance(file, bytes):
            if name is None:
                raise RequestError(
                    "Content without a name was given.", hint='Name it, such as name="table.csv".'
                )
            return put_upload(store, file, name)
        path = Path(file).expanduser()
        if not path.exists():
            raise RequestError(
                f"There is no file {str(file)!r}.", code="no_such_file", hint="Check the path."
            )
        return put_upload(store, path, name or path.name)

    def list(self) -> list[DataEntry]:
        """Uploads and data sets."""
        from whisktrain.data.shards.catalogue import list_datasets
        from whisktrain.data.sources.uploads import list_uploads

        store = self._session.store
        files: list[DataEntry] = [
            {"data": u["ref"], "name": u["name"], "bytes": u["size"]} for u in list_uploads(store)
        ]
        sets: list[DataEntry] = [
            {
                "data": f"dataset:{dataset}",
                "name": body["source"],
                "rows": body["rows"]["used"],
                "shards": len(body["shards"]),
                "task": body["task"],
            }
            for dataset, body in list_datasets(store).items()
        ]
        return [*files, *sets]

    def delete(self, reference: str) -> None:
        """Delete an upload, or a data set with all its shards. Models trained on it keep their own preprocessing.

        Args:
            reference: "upload:ID" or "dataset:ID".

        Raises:
            NotFound: It is not there.
        """
        from whisktrain.data.shards.catalogue import delete_dataset
        from whisktrain.data.sources.uploads import delete_upload

        store = self._session.store
        kind, _, key = reference.partition(":")
        if kind == "upload":
            deleted = delete_upload(store, reference)
        elif kind == "dataset":
            deleted = delete_dataset(store, key)
        else:
            raise RequestError(
                f"The data was given as {reference!r}; expected upload:ID or dataset:ID."
            )
        if not deleted:
            hint = "`whisktrain data list` shows what there is."
            raise NotFound(
                f"There is no {reference!r} in the store.", code="no_such_data", hint=hint
            )
