"""The API's `packages`: folders of actions, and bindings to them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from starlette.responses import Response

from openwhisk_local import rejections
from openwhisk_local.limits import Limits
from openwhisk_local.processes.pool import Pool
from openwhisk_local.rejections import Rejection, malformed, no_such_route, not_authorized
from openwhisk_local.rest.action_body import check_sizes, read_optional_parameters, read_publish, read_version
from openwhisk_local.rest.exchange import Exchange, answer, answer_list
from openwhisk_local.state.entities import Action, Package
from openwhisk_local.state.names import Name, check_segment, is_legal
from openwhisk_local.state.parameters import Parameters
from openwhisk_local.state.registry import Registry, next_version

COLLECTION = "packages"


class Packages:
    """Answers requests below `/namespaces/{ns}/packages`.

    Args:
        registry: The entities.
        limits: The host's limits.
        pool: Whose processes end with the actions of a deleted package.
    """

    def __init__(self, registry: Registry, limits: Limits, pool: Pool) -> None:
        self._registry = registry
        self._limits = limits
        self._pool = pool

    async def answer(self, exchange: Exchange) -> Response:
        """Answer one request."""
        segments = exchange.segments
        if segments in ((), ("",)):
            if exchange.method != "GET":
                raise no_such_route()
            # Anyone may list another namespace's shared packages; there are none.
            listed = exchange.listed(COLLECTION, self._registry.newest_first(Package, exchange.namespace))
            return answer_list(COLLECTION, listed if isinstance(listed, int) else [p.to_summary() for p in listed])
        if len(segments) > 1 or exchange.method not in ("GET", "PUT", "DELETE"):
            raise no_such_route()
        name = Name(exchange.namespace, None, check_segment(segments[0]))
        exchange.authorize(name.name)
        match exchange.method:
            case "GET":
                return self._get(name)
            case "PUT":
                return await self._put(exchange, name)
            case "DELETE":
                return self._delete(exchange, name)
        raise no_such_route()

    def _get(self, name: Name) -> Response:
        try:
            package = self._registry.get(Package, name)
            target = self._registry.target(package)
        except Rejection as declined:
            if declined.status != 404:
                raise
            raise Rejection(404, f"The requested resource '{name.qualified}' does not exist.") from None
        parameters = target.parameters.merged(package.parameters) if target is not package else package.parameters
        actions = self._registry.newest_first(Action, target.name.qualified)
        feeds = [action for action in actions if action.annotations.is_truthy("feed")]
        record = package.to_record(parameters)
        record["actions"] = [action.to_package_row() for action in actions if action not in feeds]
        record["feeds"] = [action.to_package_row() for action in feeds]
        return answer(record)

    async def _put(self, exchange: Exchange, name: Name) -> Response:
        overwrite = exchange.flag("overwrite")
        if name.name == "default":
            raise Rejection(400, "Package name 'default' is reserved.")
        content = await exchange.json(self._limits.max_entity, required=True)
        binding = self._read_binding(content, exchange.namespace)
        parameters = read_optional_parameters(content, "parameters")
        annotations = read_optional_parameters(content, "annotations")
        check_sizes(parameters, annotations, self._limits)
        old = self._registry.find(Package, name)
        if old is not None and not overwrite:
            raise Rejection(409, rejections.EXISTS)
        if binding is not None:
            self._check_binding(binding, old)
        if old is None:
            package = Package(
                name,
                read_version(content) or "0.0.1",
                self._registry.now(),
                publish=bool(read_publish(content)),
                annotations=annotations or Parameters(),
                parameters=parameters or Parameters(),
                binding=binding,
            )
        else:
            publish = read_publish(content)
            package = replace(
                old,
                version=read_version(content) or next_version(old.version),
                updated=self._registry.now(),
                publish=old.publish if publish is None else publish,
                annotations=old.annotations if annotations is None else annotations,
                parameters=old.parameters if parameters is None else parameters,
                binding=binding or old.binding,
            )
        package = replace(package, annotations=_with_binding(package))
        self._registry.put(package)
        return answer(package.to_record())

    def _read_binding(self, content: Mapping[str, Any], namespace: str) -> Name | None:
        binding = content.get("binding", {})
        if binding == {}:
            return None
        if not isinstance(binding, dict):
            raise malformed("Object expected in field 'namespace'")
        for key in ("namespace", "name"):
            if key not in binding:
                raise malformed(f"Object is missing required member '{key}'")
            if not isinstance(binding[key], str) or not is_legal(binding[key]):
                raise malformed("entity name malformed")
        owner = namespace if binding["namespace"] == "_" else binding["namespace"]
        if owner != namespace:
            raise not_authorized(f"{owner}/{binding['name']}")
        return Name(owner, None, binding["name"])

    def _check_binding(self, binding: Name, old: Package | None) -> None:
        target = self._registry.find(Package, binding)
        if target is None:
            raise Rejection(400, rejections.BINDING_MISSING)
        if old is not None and old.binding is None:
            raise Rejection(409, rejections.PACKAGE_NOT_BINDING)
        if target.binding is not None:
            raise Rejection(400, rejections.BINDING_OF_BINDING)

    def _delete(self, exchange: Exchange, name: Name) -> Response:
        forced = exchange.flag("force")
        package = self._registry.get(Package, name)
        inside = [] if package.binding is not None else self._registry.newest_first(Action, name.qualified)
        if inside and not forced:
            contents = f"{len(inside)} {'entity' if len(inside) == 1 else 'entities'}"
            why = f"Package not empty (contains {contents}). Set force param or delete package contents."
            raise Rejection(409, why)
        for action in inside:
            self._registry.remove(action)
            self._pool.retire(action.name)
        self._registry.remove(package)
        return answer(package.to_record())


def _with_binding(package: Package) -> Parameters:
    """A package's annotations with the one that repeats its binding."""
    annotations = package.annotations.without("binding")
    if package.binding is None:
        return annotations
    binding = {"name": package.binding.name, "namespace": package.binding.namespace}
    return annotations.merged(Parameters.of({"binding": binding}))
