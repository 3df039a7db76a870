"""The model that a request gives: its configuration, its loss, and what it decides about its targets; read without Keras."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from whisktrain.data.columns.target import ModelTarget
from whisktrain.errors import RequestError
from whisktrain.learning import compiled
from whisktrain.learning.checks import check_config, read_archive
from whisktrain.learning.task import task_of

if TYPE_CHECKING:
    from whisktrain.jsontypes import Json, JsonObject
    from whisktrain.request import ModelRequest, Request
    from whisktrain.store.protocol import Store

__all__ = ["given_config", "given_loss", "given_target"]


def given_config(
    model: ModelRequest, store: Store, x_shape: tuple[int, ...] | None = None
) -> JsonObject | None:
    """The configuration of the model that a request gives, checked; None without one, and for a factory.

    Args:
        model: The request's section `model`.
        store: Where uploaded files are.
        x_shape: Shape of one row of the data, where it is known.

    Raises:
        RequestError: It will not be built, or does not fit the data.
    """
    if model.config is not None:
        config: JsonObject = model.config
    elif model.file is not None and model.factory is None:
        from whisktrain.data.sources.uploads import get_upload

        config = read_archive(get_upload(store, model.file).bytes)
    else:
        return None
    check_config(config, x_shape)
    return config


def given_loss(model: ModelRequest, config: Mapping[str, Json] | None) -> JsonObject | None:
    """The loss that was asked for, else the one that the given model was compiled with; None without either.

    Keras writes {"class_name", "config"}; plain options beside a name are the short form.
    """
    asked = model.loss
    if isinstance(asked, str):
        return {"name": asked}
    if asked is not None:
        arguments = asked.get("config", asked)
        if not isinstance(arguments, Mapping):
            raise RequestError(
                f"The loss was given with config {arguments!r:.60}; expected an object of arguments."
            )
        options = {
            key: value
            for key, value in arguments.items()
            if key not in ("class_name", "fn", "dtype")
        }
        return {**options, "name": str(asked.get("class_name") or asked.get("name") or "auto")}
    return None if config is None else compiled.loss_of(config)


def given_target(request: Request, store: Store) -> ModelTarget | None:
    """What the given model, or the one to start from, decides about its targets; None without either.

    Raises:
        RequestError: As of `given_config`.
    """
    if request.model.init is not None:
        return _earlier_target(request.model.init, store)
    config = given_config(request.model, store)
    if config is None:
        return None
    decided = task_of(config, given_loss(request.model, config))
    if decided.single:
        return ModelTarget(decided.task, decided.reason, 2, decided.linear)
    return ModelTarget(decided.task, decided.reason, standardise=decided.linear)


def _earlier_target(init: str, store: Store) -> ModelTarget | None:
    from whisktrain.records.models import ModelRecords
    from whisktrain.serving.catalogue import resolve

    found = ModelRecords(store).find(*resolve(store, init))
    return None if found is None else ModelTarget(found.body["task"], f"that of the model {init}")
