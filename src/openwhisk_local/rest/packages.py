"""The API's `packages`: folders of actions, and bindings to them."""

from __future__ import annotations

from dataclasses import replace

from starlette.responses import Response

from openwhisk_local import rejections
from openwhisk_local.jsontypes import Json, JsonObject
from openwhisk_local.limits import Limits
from openwhisk_local.processes.pool import Pool
from openwhisk_local.rejections import Rejection, malformed, not_authorized
from openwhisk_local.rest.bodies import read_entity_body
from openwhisk_local.rest.operations import Operation, answer_list, list_operations
from openwhisk_local.rest.requests import ApiRequest
from openwhisk_local.rest.responses import answer
from openwhisk_local.state.entities import Action, Package
from openwhisk_local.state.names import Name, is_legal
from openwhisk_local.state.parameters import Parameters
from openwhisk_local.state.registry import Registry

COLLECTION = "packages"


class Packages:
    """The operations below `/namespaces/{ns}/packages`.

    Args:
        registry: The entities.
        limits: The host's limits.
        pool: The processes that end with the actions of a deleted package.
    """

    def __init__(self, registry: Registry, limits: Limits, pool: Pool) -> None:
        self._registry = registry
        self._limits = limits
        self._pool = pool

    def operations(self) -> list[Operation]:
        """Its operations."""
        path = "/packages/{name:name}"
        return [
            *list_operations(COLLECTION, self._list),
            Operation("GET", path, self._get),
            Operation("PUT", path, self._put),
            Operation("DELETE", path, self._delete),
        ]

    async def _list(self, request: ApiRequest) -> Response:
        # Every caller may list another namespace's shared packages; there are none.
        return answer_list(
            request, COLLECTION, self._registry.newest_first(Package, request.namespace)
        )

    async def _get(self, request: ApiRequest) -> Response:
        name = request.authorized_entity_name()
        try:
            package = self._registry.get(Package, name)
            target = self._registry.target(package)
        except Rejection as declined:
            if declined.status != 404:
                raise
            raise Rejection(
                404, f"The requested resource '{name.qualified}' does not exist."
            ) from None
        parameters = package.parameters
        if target is not package:
            parameters = target.parameters.merged(parameters)
        actions: list[Json] = []
        feeds: list[Json] = []
        for action in self._registry.newest_first(Action, target.name.qualified):
            is_feed = action.annotations.is_truthy("feed")
            rows = feeds if is_feed else actions
            rows.append(action.to_package_row())
        record = package.to_record(parameters)
        return answer({**record, "actions": actions, "feeds": feeds})

    async def _put(self, request: ApiRequest) -> Response:
        name = request.authorized_entity_name()
        overwrite = request.flag("overwrite")
        if name.name == "default":
            raise Rejection(400, "Package name 'default' is reserved.")
        content = await request.json_object(self._limits.max_entity, required=True)
        binding = _read_binding(content, request.namespace)
        body = read_entity_body(content, self._limits)
        old = self._registry.find(Package, name)
        if old is not None and not overwrite:
            raise Rejection(409, rejections.EXISTS)
        if binding is not None:
            self._check_binding(binding, old)
        package = body.applied_to(old or Package(name), self._registry)
        package = replace(
            package,
            parameters=package.parameters if body.parameters is None else body.parameters,
            binding=binding or package.binding,
        )
        package = replace(package, annotations=_annotations_with_binding(package))
        self._registry.put(package)
        return answer(package.to_record())

    def _check_binding(self, binding: Name, old: Package | None) -> None:
        target = self._registry.find(Package, binding)
        if target is None:
            raise Rejection(400, rejections.BINDING_MISSING)
        if old is not None and old.binding is None:
            raise Rejection(409, rejections.PACKAGE_NOT_BINDING)
        if target.binding is not None:
            raise Rejection(400, rejections.BINDING_OF_BINDING)

    async def _delete(self, request: ApiRequest) -> Response:
        name = request.authorized_entity_name()
        forced = request.flag("force")
        package = self._registry.get(Package, name)
        inside: list[Action] = []
        if package.binding is None:
            inside = self._registry.newest_first(Action, name.qualified)
        if inside and not forced:
            noun = "entity" if len(inside) == 1 else "entities"
            why = f"Package not empty (contains {len(inside)} {noun}). Set force param or delete package contents."
            raise Rejection(409, why)
        for action in inside:
            self._registry.remove(action)
            self._pool.retire(action.name)
        self._registry.remove(package)
        return answer(package.to_record())


def _read_binding(content: JsonObject, namespace: str) -> Name | None:
    """The package that a body binds to; None when it binds to none."""
    binding = content.get("binding", {})
    if binding == {}:
        return None
    if not isinstance(binding, dict):
        raise malformed("Object expected in field 'namespace'")
    stated_owner, name = (
        _read_binding_member(binding, "namespace"),
        _read_binding_member(binding, "name"),
    )
    owner = namespace if stated_owner == "_" else stated_owner
    if owner != namespace:
        raise not_authorized(f"{owner}/{name}")
    return Name(owner, None, name)


def _read_binding_member(binding: JsonObject, key: str) -> str:
    if key not in binding:
        raise malformed(f"Object is missing required member '{key}'")
    value = binding[key]
    if not isinstance(value, str) or not is_legal(value):
        raise malformed("entity name malformed")
    return value


def _annotations_with_binding(package: Package) -> Parameters:
    """A package's annotations with the one that repeats its binding."""
    annotations = package.annotations.without("binding")
    if package.binding is None:
        return annotations
    return annotations.merged(Parameters.of({"binding": package.binding_record()}))
