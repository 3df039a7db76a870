"""What the bodies that create or change entities have in common."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TypeVar

from openwhisk_local.jsontypes import JsonObject
from openwhisk_local.limits import Limits
from openwhisk_local.rejections import malformed, too_large
from openwhisk_local.state.entities import Entity, next_version
from openwhisk_local.state.parameters import Parameters
from openwhisk_local.state.registry import Registry

_E = TypeVar("_E", bound=Entity)


@dataclass(frozen=True)
class EntityBody:
    """The members that all bodies may have; None means not given.

    Args:
        parameters: Default arguments.
        annotations: Annotations.
        publish: Whether it says that it is shared.
        version: A version to set.
    """

    parameters: Parameters | None
    annotations: Parameters | None
    publish: bool | None
    version: str | None

    def applied_to(self, entity: _E, registry: Registry) -> _E:
        """The next version of an entity, or the first one: what the body does not give stays. Parameters are not looked at."""
        return replace(
            entity,
            version=self.version or next_version(entity.version),
            updated=registry.now(),
            publish=entity.publish if self.publish is None else self.publish,
            annotations=entity.annotations if self.annotations is None else self.annotations,
        )


def read_entity_body(
    content: JsonObject,
    limits: Limits,
    *,
    has_parameters: bool = True,
) -> EntityBody:
    """Read and check what all bodies have in common.

    Args:
        content: The body.
        limits: The host's limits.
        has_parameters: Whether the entity has parameters; if not, they are ignored.

    Raises:
        Rejection: 400 or 413; a member is malformed, or too large.
    """
    parameters = read_optional_parameters(content, "parameters") if has_parameters else None
    annotations = read_optional_parameters(content, "annotations")
    check_sizes(parameters, annotations, limits)
    return EntityBody(parameters, annotations, read_publish(content), read_version(content))


def read_optional_parameters(content: JsonObject, key: str) -> Parameters | None:
    """The parameters or annotations of a body; None when they are not given."""
    if content.get(key) is None:
        return None
    try:
        return Parameters.from_wire(content[key])
    except ValueError as error:
        raise malformed(str(error)) from None


def read_version(content: JsonObject) -> str | None:
    """The version that a body sets; None when it sets none."""
    version = content.get("version")
    if version is None:
        return None
    figures = version.split(".")[:3] if isinstance(version, str) else [""]
    if not all(re.fullmatch(r"\d{1,9}", figure) for figure in figures) or not any(
        map(int, figures)
    ):
        raise malformed("semantic version malformed")
    padded = [*figures, "0", "0"][:3]
    return ".".join(str(int(figure)) for figure in padded)


def read_publish(content: JsonObject) -> bool | None:
    """Whether a body says that its entity is shared; None when it does not say."""
    publish = content.get("publish")
    if publish is not None and not isinstance(publish, bool):
        raise malformed(f"Expected JsBoolean, but got {json.dumps(publish)}")
    return publish


def check_sizes(
    parameters: Parameters | None,
    annotations: Parameters | None,
    limits: Limits,
) -> None:
    """Check that parameters and annotations are not larger than the host stores.

    Raises:
        Rejection: 413; they are.
    """
    for what, part in (("parameters", parameters), ("annotations", annotations)):
        if part is not None and (size := part.size()) > limits.max_payload:
            raise too_large(what, size, limits.max_payload)
