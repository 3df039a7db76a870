"""All entities of the host and how they refer to each other. Pure state: nothing here waits or runs."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TypeVar

from openwhisk_local import rejections
from openwhisk_local.rejections import Rejection, not_authorized, not_found
from openwhisk_local.state.entities import INACTIVE, Action, Entity, Link, Package, Rule, Trigger
from openwhisk_local.state.names import Name
from openwhisk_local.state.parameters import Parameters

_E = TypeVar("_E", bound=Entity)


@dataclass(frozen=True)
class ResolvedAction:
    """An action with its parameters, found through packages and bindings.

    Args:
        action: The action.
        parameters: Its package's parameters, the binding's and its own, the later ones winning.
        binding: The name of the binding through which it was found, if any.
    """

    action: Action
    parameters: Parameters
    binding: Name | None = None

    @property
    def final_parameters(self) -> frozenset[str]:
        """The parameters that callers may not give: all defined ones of an action that says so."""
        is_final = self.action.annotations.get("final") is True
        return self.parameters.defined_keys if is_final else frozenset()


class Registry:
    """Entities by name. Triggers, rules, packages and the actions outside packages share their names, as on OpenWhisk."""

    def __init__(self) -> None:
        self._entities: dict[Name, Entity] = {}
        self._clock = 0

    def now(self) -> int:
        """Milliseconds since the epoch, different for every call, so that lists have one order."""
        now = int(time.time() * 1000)
        self._clock = max(self._clock + 1, now)
        return self._clock

    def find(self, kind: type[_E], name: Name) -> _E | None:
        """The entity of that kind and name.

        Raises:
            Rejection: 409; the name belongs to an entity of another kind.
        """
        found = self._entities.get(name)
        if found is not None and not isinstance(found, kind):
            raise Rejection(409, rejections.OTHER_COLLECTION)
        return found

    def get(self, kind: type[_E], name: Name) -> _E:
        """The entity of that kind and name.

        Raises:
            Rejection: 404; there is none. 409; the name belongs to an entity of another kind.
        """
        found = self.find(kind, name)
        if found is None:
            raise not_found()
        return found

    def put(self, entity: Entity) -> None:
        """Write an entity."""
        self._entities[entity.name] = entity

    def remove(self, entity: Entity) -> None:
        """Remove an entity."""
        self._entities.pop(entity.name, None)

    def newest_first(self, kind: type[_E], path: str | None = None) -> list[_E]:
        """The entities of a kind, the last written first.

        Args:
            kind: The kind.
            path: Only those in this namespace or package: `ns` or `ns/package`. A namespace's actions include those in
                its packages.
        """
        found = [entity for entity in self._entities.values() if isinstance(entity, kind)]
        if path is not None:
            found = [
                entity for entity in found if path in (entity.name.namespace, entity.name.path)
            ]
        return sorted(found, key=lambda entity: entity.updated, reverse=True)

    def target(self, package: Package) -> Package:
        """The package that a binding stands for, or the package itself."""
        if package.binding is None:
            return package
        return self.get(Package, package.binding)

    def locate(self, name: Name) -> Name:
        """The name under which an action is stored: bindings followed."""
        if name.of_package is None:
            return name
        package = self.find(Package, name.of_package)
        binding = None if package is None else package.binding
        if binding is None:
            return name
        return Name(binding.namespace, binding.name, name.name)

    def resolve(self, name: Name) -> ResolvedAction:
        """Find an action through packages and bindings and merge the parameters on the way.

        Raises:
            Rejection: 404; the action, its package or the package behind the binding does not exist.
        """
        if name.of_package is None:
            action = self.get(Action, name)
            return ResolvedAction(action, action.parameters)
        package = self.get(Package, name.of_package)
        target = self.target(package)
        located = Name(target.name.namespace, target.name.name, name.name)
        action = self.get(Action, located)
        if target is package:
            return ResolvedAction(action, package.parameters.merged(action.parameters))
        package_parameters = target.parameters.merged(package.parameters)
        return ResolvedAction(
            action, package_parameters.merged(action.parameters), binding=package.name
        )

    def check_references(self, caller: str, *actions: Name) -> None:
        """Check that a caller may refer to actions: they are in its namespace, and the packages that they name exist.

        Raises:
            Rejection: 403 or 404; one is in another namespace, or its package does not exist.
        """
        for name in actions:
            if name.namespace != caller:
                refused = name.of_package or name
                raise not_authorized(refused.qualified)
            if name.of_package is not None:
                self.target(self.get(Package, name.of_package))

    def status_of(self, rule: Rule) -> str:
        """Whether a rule is active: its trigger says so; without the trigger it is not."""
        trigger = self._entities.get(rule.trigger)
        if not isinstance(trigger, Trigger) or rule.name not in trigger.rules:
            return INACTIVE
        return trigger.rules[rule.name].status

    def link(self, rule: Rule, status: str) -> None:
        """Record a rule and its status on its trigger."""
        trigger = self.get(Trigger, rule.trigger)
        link = Link(rule.action, status)
        self.put(replace(trigger, rules={**trigger.rules, rule.name: link}))

    def unlink(self, rule: Rule) -> None:
        """Remove a rule from its trigger."""
        trigger = self._entities.get(rule.trigger)
        if isinstance(trigger, Trigger):
            others = {name: link for name, link in trigger.rules.items() if name != rule.name}
            self.put(replace(trigger, rules=others))
