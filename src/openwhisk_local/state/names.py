"""Names of entities: `/namespace/package/name`, with `_` for the caller's own namespace."""

from __future__ import annotations

import re
from dataclasses import dataclass

from openwhisk_local import rejections
from openwhisk_local.jsontypes import Json, JsonObject
from openwhisk_local.rejections import Rejection

_LONGEST = 256
_NAME = re.compile(rf"[\w]|[\w][\w@ .&-]{{0,{_LONGEST - 2}}}[\w@.&-]", re.ASCII)


@dataclass(frozen=True, order=True)
class Name:
    """The full name of an entity: its namespace, its package if it is in one, and its own name."""

    namespace: str
    package: str | None
    name: str

    @property
    def path(self) -> str:
        """What the API calls an entity's namespace: `ns` or `ns/package`."""
        return self.namespace if self.package is None else f"{self.namespace}/{self.package}"

    @property
    def qualified(self) -> str:
        """`ns/package/name` or `ns/name`."""
        return f"{self.path}/{self.name}"

    @property
    def in_namespace(self) -> str:
        """`package/name` or `name`."""
        return self.name if self.package is None else f"{self.package}/{self.name}"

    @property
    def of_package(self) -> Name | None:
        """The name of the package that it is in."""
        return None if self.package is None else Name(self.namespace, None, self.package)

    def to_reference(self) -> JsonObject:
        """The reference that rules show: `{"path", "name"}`."""
        return {"path": self.path, "name": self.name}


def check_segment(segment: str) -> str:
    """Return a name from a URL after checking that it is a legal one.

    Raises:
        Rejection: 400; it is not.
    """
    if len(segment) > _LONGEST:
        raise Rejection(
            400, f"Name segement longer than allowed: {len(segment)} > {_LONGEST}.", cors=False
        )
    if not _NAME.fullmatch(segment):
        raise Rejection(400, rejections.NAME_ILLEGAL, cors=False)
    return segment


def is_legal(segment: str) -> bool:
    """Whether a text may be the name of an entity."""
    return _NAME.fullmatch(segment) is not None


def check_namespace(segment: str) -> str:
    """Return a namespace from a URL after checking that it is a legal name.

    Raises:
        Rejection: 400; it is not.
    """
    if len(segment) > _LONGEST:
        raise Rejection(
            400, f"Namespace longer than allowed: {len(segment)} > {_LONGEST}.", cors=False
        )
    if not _NAME.fullmatch(segment):
        raise Rejection(400, "The namespace contains illegal characters.", cors=False)
    return segment


def parse(reference: Json, namespace: str) -> Name:
    """Read a reference to an entity inside a body.

    Args:
        reference: `/ns/name` or `/ns/package/name`, the first slash not needed, or `{"path", "name"}`; `_` stands for the
            caller's namespace.
        namespace: The caller's namespace.

    Raises:
        ValueError: It is not such a reference; the message is the platform's own.
    """
    parts = _parts_of(_reference_text(reference))
    if not parts:
        raise ValueError("requirement failed: path undefined")
    if not all(is_legal(part) for part in parts):
        raise ValueError(
            f"requirement failed: path contains invalid parts WrappedArray({', '.join(parts)})"
        )
    if len(parts) < 2:
        raise ValueError(f"requirement failed: {rejections.NAME_MALFORMED}")
    owner = namespace if parts[0] == "_" else parts[0]
    package = "/".join(parts[1:-1]) or None
    return Name(owner, package, parts[-1])


def _reference_text(reference: Json) -> str:
    """The reference as one text."""
    if isinstance(reference, dict):
        path, name = reference.get("path"), reference.get("name")
        if isinstance(path, str) and isinstance(name, str):
            return f"{path}/{name}"
    if isinstance(reference, str):
        return reference
    raise ValueError("fully qualified name malformed")


def _parts_of(text: str) -> list[str]:
    return [part for part in text.split("/") if part]


def parse_relative(reference: Json, namespace: str) -> Name:
    """Read a reference as conductors give it: like `parse`, but `name` and `package/name` are in the caller's namespace.

    Raises:
        ValueError: It is not such a reference.
    """
    if not isinstance(reference, str):
        raise ValueError("fully qualified name malformed")  # noqa: TRY004 - one kind of error for every malformed reference
    count = len(_parts_of(reference))
    if not 1 <= count <= 3:
        raise ValueError("fully qualified name malformed")
    is_absolute = reference.startswith("/") or count == 3
    return parse(reference if is_absolute else f"/_/{reference}", namespace)
