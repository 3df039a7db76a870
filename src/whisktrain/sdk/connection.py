"""One connection: a platform, a store, and what a user does with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whisktrain.errors import ConfigurationError
from whisktrain.records.run_records import RunRecords
from whisktrain.sdk import requests, training
from whisktrain.sdk.data import Data
from whisktrain.sdk.following import Progress
from whisktrain.sdk.models import Models
from whisktrain.sdk.runs import Runs
from whisktrain.sdk.where import Where
from whisktrain.version import __version__

if TYPE_CHECKING:
    from whisktrain.openwhisk.client import Client
    from whisktrain.sdk.hosting import Hosting
    from whisktrain.store.protocol import Store

__all__ = ["Connection"]

LARGEST_INLINE = 400_000
"""Bytes of rows that travel in a request; more are uploaded."""


class Connection:
    """What `whisktrain.connect` returns. A context manager: closing it ends everything that it started.

    Attributes:
        where: The platform, home and store.
        runs: The handle on runs.
        models: The handle on trained models.
        data: The handle on uploads and data sets.

    Args:
        where: Where to work.
        narrate: Called with each line that tells what is going on.
    """

    def __init__(self, where: Where, narrate: Callable[[str], None] | None = None) -> None:
        self.where = where
        self.narrate = narrate or _silent
        self.runs = Runs(self)
        self.models = Models(_Lazy(self))
        self.data = Data(_Lazy(self))
        self._store: Store | None = None
        self._client: Client | None = None
        self._hosting: Hosting | None = None

    def __repr__(self) -> str:
        return f"Connection(platform={self.where.platform!r}, apihost={self.where.apihost!r}, home={str(self.where.home)!r})"

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End what this connection started: its host with all processes, its connections. Closing twice does no harm."""
        client, self._client = self._client, None
        if client is not None:
            client.close()
        hosting, self._hosting = self._hosting, None
        if hosting is not None:
            hosting.stop()
        store, self._store = self._store, None
        if store is not None:
            store.close()

    @property
    def store(self) -> Store:
        """The store, opened at the first use.

        Raises:
            ConfigurationError: Nobody has named one.
        """
        if self._store is None:
            if self.where.store is None:
                raise ConfigurationError(
                    f"No store is known for {self.where.apihost}.",
                    code="no_store",
                    hint="Give --store http(s)://USER:PASSWORD@HOST:PORT, or set WHISKTRAIN_STORE.",
                )
            from whisktrain.store.opening import open_store

            self._store = open_store(self.where.store)
            if self.where.platform == "embedded":
                self._store.ensure()
        return self._store

    @property
    def has_store(self) -> bool:
        """Whether a store is known: without one, runs cannot be followed and files cannot be uploaded."""
        return self.where.store is not None

    @property
    def client(self) -> Client:
        """The client of the platform; the embedded host is started at the first use."""
        if self._client is None:
            from whisktrain.openwhisk.client import Client

            if self.where.platform == "embedded":
                hosting = self.hosting
                self._client = Client(hosting.apihost, hosting.auth)
            else:
                self._client = Client(str(self.where.apihost), str(self.where.auth), insecure=self.where.insecure)
        return self._client

    @property
    def hosting(self) -> Hosting:
        """The embedded host of this connection, started at the first use."""
        if self._hosting is None:
            from whisktrain.sdk.hosting import Hosting

            hosting = Hosting(self.where.home, str(self.where.store))
            hosting.start()
            self._hosting = hosting
        return self._hosting

    def describe(self) -> str:
        """Platform and store in one line, without any password."""
        from whisktrain.store.addresses import mask

        store = mask(self.where.store) if self.where.store else "unknown (runs cannot be followed)"
        place = "this machine's own host" if self.where.platform == "embedded" else f"OpenWhisk at {self.where.apihost}"
        return f"whisktrain {__version__}: {place}, store {store}"

    def train(
        self,
        data: Any = None,
        *,
        model: str | None = None,
        init: str | None = None,
        predict: Any = None,
        progress: Callable[[Progress], None] | None = None,
        wait: bool = True,
        request: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """Train a model.

        Args:
            data: A bundled set ("digits", "iris", "wine", "breast_cancer", "diabetes"), a file or folder, an http(s) address,
                "upload:ID", "dataset:ID", a list of records, or the request's `data` section.
            model: "auto", "linear", "mlp", "cnn", "PATH.keras", "PATH.json", "package.module:function" or "model.py:build".
            init: Start from the weights of this model, "NAME" or "NAME:VERSION".
            predict: Rows to decide on with the trained model: a list, or a file.
            progress: Called with a snapshot of the run whenever it has changed.
            wait: Whether to wait for the end; otherwise the run goes on by itself.
            request: A whole request instead of data, model and options.
            **options: Any other setting by its name in the request, such as `target`, `epochs`, `workers`, `optimizer`.

        Returns:
            `{"status", "run", "model", "task", "classes", "workers", "rounds", "seconds", "round_ms", "metrics", "cost",
            "decisions", "message"}`.

        Raises:
            RequestError: It cannot be done as asked.
            TrainingError: The run ended without a model.
        """
        if request is None:
            found = requests.find_data(data, self._upload)
            if options.get("name") is None:
                options["name"] = requests.default_name(data)
            made = requests.build(found, requests.find_model(model, init, self._upload), options)
        else:
            made = {section: dict(value) if isinstance(value, Mapping) else value for section, value in request.items()}
        if predict is not None:
            made["predict"] = {**made.get("predict", {}), **self._rows(predict)}
        return training.train(self, made, progress=progress, wait=wait)

    def fit(
        self,
        keras_model: Any,
        x: Any,
        y: Any,
        *,
        name: str | None = None,
        progress: Callable[[Progress], None] | None = None,
        **options: Any,
    ) -> dict[str, Any]:
        """Train a Keras model on arrays; as compiled, where options do not say otherwise. Its weights are set in place.

        Args:
            keras_model: A single-output Keras model; it starts from its own weights.
            x: Features, shape (rows, ...); used as they are (`scale="none"`) unless an option says otherwise.
            y: Targets, shape (rows,).
            name: The trained model's name; the Keras model's by default.
            progress: As of `train`.
            **options: As of `train`.

        Returns:
            As `train`. `notices` says where the weights were not set in place: the targets of a regression are standardised
            and classes renumbered for training, so that such a model answers through `predict`.
        """
        return training.fit(self, keras_model, x, y, name=name, progress=progress, **options)

    def predict(
        self, model: str, rows: Any, *, top_k: int | None = None, missing: str | None = None, output: str | None = None
    ) -> dict[str, Any]:
        """Decide on rows with a trained model.

        Args:
            model: "NAME" (the newest version) or "NAME:VERSION".
            rows: Objects by column or arrays of features, one or many; a file; or "upload:ID".
            top_k: How many classes to name for each row (3).
            missing: "error" or "fill": what to do about absent columns.
            output: "auto", "inline" or "upload": where decisions go that are too many for an answer. Where they are stored and
                the store is known, they are fetched.

        Returns:
            `{"model", "task", "classes", "decisions", "message", "notices"}`.

        Raises:
            NotFound: There is no such model.
            RequestError: The rows cannot be used.
        """
        given = {"top_k": top_k, "missing": missing, "output": output}
        arguments = {"model": model, **self._rows(rows), **{k: v for k, v in given.items() if v is not None}}
        answer = self.client.call("whisktrain/predict", {**arguments, "lib_version": __version__})
        return self.with_decisions(answer) if output != "upload" else answer

    def resume(self, run: str, progress: Callable[[Progress], None] | None = None, *, wait: bool = True) -> dict[str, Any]:
        """Go on with a stopped run; see `runs.resume`."""
        return training.resume(self, run, progress=progress, wait=wait)

    def follow(self, run: str, progress: Callable[[Progress], None] | None = None) -> dict[str, Any]:
        """Follow a run to its end; see `runs.watch`."""
        return training.watch(self, run, progress=progress)

    def carry_on_if_abandoned(self, run: str) -> None:
        """Start a host for a run on this machine that no live host carries on.

        Whoever held its leases died with the last host, so workers and aggregate are invoked at once instead of when the leases
        would have ended; doing that twice does no harm.
        """
        if self.where.platform != "embedded" or self._hosting is not None:
            return
        from whisktrain.sdk.hosting import live_hosts

        if not live_hosts(self.where.home):
            self.narrate(f"nobody carries run {run} on; a host of this command does now")
            state = RunRecords(self.store, run).read()
            for slot in range(state.spec.slots if state is not None and not state.final else 0):
                self.client.start("whisktrain/worker", {"run": run, "slot": slot, "successor": True})
            self.client.start("whisktrain/aggregate", {"run": run})

    def with_decisions(self, answer: dict[str, Any]) -> dict[str, Any]:
        """The answer with the decisions in it that were stored because they were too large for it."""
        place = answer.get("decisions_at")
        if not place or not self.has_store:
            return answer
        import json

        from whisktrain.data.sources.uploads import get_upload

        lines = get_upload(self.store, place).bytes.decode().splitlines()
        return {**answer, "decisions": [json.loads(line) for line in lines]}

    def _upload(self, path: Path) -> str:
        reference = self.data.put(path)
        self.narrate(f"uploaded {path} as {reference}")
        return reference

    def _rows(self, rows: Any) -> dict[str, Any]:
        """Rows as a request has them: inline, or as an uploaded file."""
        import json

        if isinstance(rows, str) and rows.startswith("upload:"):
            return {"source": rows}
        if isinstance(rows, (str, Path)):
            found = requests.rows_file(rows)
            if found is None:
                return {"source": self._upload(Path(rows).expanduser())}
            rows = found
        if hasattr(rows, "to_dict"):  # a pandas table
            rows = json.loads(rows.to_json(orient="records", date_format="iso"))
        elif hasattr(rows, "tolist"):
            rows = rows.tolist()
        text = json.dumps(rows, ensure_ascii=False).encode()
        if len(text) > LARGEST_INLINE:
            return {"source": self.data.put(text, "rows.json")}
        return {"rows": rows}


class _Lazy:
    """The connection's store for its handles, opened when they first use it."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection.store, name)


def _silent(_: str) -> None:
    """Say nothing."""
