"""Reading the manifest, `wskdeploy.yaml`, as wskdeploy reads it, with the site's values in place."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from pathlib import Path

import yaml

from whisktrain.errors import ConfigurationError
from whisktrain.jsontypes import Json, JsonObject
from whisktrain.openwhisk import settings
from whisktrain.openwhisk.client.records import ActionLimits
from whisktrain.openwhisk.manifest.entries import (
    ActionEntry,
    Manifest,
    Package,
    Rule,
    SequenceEntry,
    Trigger,
)
from whisktrain.openwhisk.manifest.values import expand, package_inputs, resolve_inputs

__all__ = ["read", "render"]

_KEYS: dict[str, frozenset[str]] = {
    kind: frozenset(names.split())
    for kind, names in {
        "manifest": "packages project",
        "project": "name namespace credential apiHost apigwAccessToken version packages inputs config",
        "package": """name version license public repositories dependencies namespace credential apiHost apigwAccessToken
            actions triggers feeds rules inputs sequences description annotations apis""",
        "action": """location version function code runtime namespace credential exposedUrl web-export web main docker native
            conductor limits inputs outputs description annotations include exclude""",
        "limits": "timeout memorySize logSize concurrentActivations userInvocationRate codeSize parameterSize",
        "sequence": "actions web annotations",
        "trigger": "feed namespace credential inputs description annotations source",
        "rule": "trigger action rule description annotations",
    }.items()
}
_UNSUPPORTED: dict[str, frozenset[str]] = {
    "project": frozenset({"config", "inputs"}),
    "package": frozenset({"dependencies", "apis", "feeds"}),
    "action": frozenset({"include", "exclude", "native"}),
}
_WEB = {"true": True, "yes": True, "raw": True, "no": False, "false": False}


def _mapping(value: object, kind: str, name: str) -> JsonObject:
    """The value as a map of known keys; empty for None."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigurationError(
            f"{kind} {name!r} of the manifest is a {type(value).__name__}; expected a map."
        )
    for key in value:
        _check_key(key, kind, name)
    return value


def _check_key(key: object, kind: str, name: str) -> None:
    known = _KEYS.get(kind)
    if known is not None and key not in known:
        near = difflib.get_close_matches(str(key), known, n=1)
        hint = (
            f"Did you mean {near[0]!r}?" if near else f"Known keys are {', '.join(sorted(known))}."
        )
        raise ConfigurationError(
            f"{kind} {name!r} of the manifest has the unknown key {key!r}.", hint=hint
        )
    if key in _UNSUPPORTED.get(kind, ()):
        raise ConfigurationError(
            f"{kind} {name!r} of the manifest has {key!r}, which only wskdeploy can deploy.",
            hint="Use wskdeploy for it.",
        )


def _load(path: Path) -> JsonObject:
    try:
        return _mapping(yaml.safe_load(path.read_text(encoding="utf-8")), "manifest", path.name)
    except OSError as error:
        raise ConfigurationError(
            f"The manifest {path} cannot be read: {error.strerror}.", hint="Name another file."
        ) from None
    except yaml.YAMLError as error:
        raise ConfigurationError(
            f"The manifest {path} is not YAML: {error}", hint="Correct it."
        ) from None


def _packages(content: JsonObject) -> JsonObject:
    project = _mapping(content.get("project"), "project", "project")
    return _mapping(content.get("packages") or project.get("packages"), "packages", "packages")


def _override(packages: JsonObject, environment: Mapping[str, str]) -> None:
    """Put the site's values where the manifest cannot name a variable."""
    package = packages.get(settings.PACKAGE)
    for path, value in settings.overrides(environment):
        target: Json = package
        for key in path[:-1]:
            target = target.get(key) if isinstance(target, dict) else None
        if isinstance(target, dict):
            target[path[-1]] = value


class _PackageReader:
    """Reads the entries of one package.

    Args:
        folder: The manifest's folder; source files are relative to it.
        environment: Variables.
        entry: The package's own entry.
        name: The package's name in the file.
    """

    def __init__(
        self, folder: Path, environment: Mapping[str, str], entry: JsonObject, name: str
    ) -> None:
        self._folder = folder
        self._environment = environment
        self._entry = entry
        self._name = name
        self._inputs = package_inputs(_mapping(entry.get("inputs"), "inputs", name), environment)

    def package(self) -> Package:
        """The package with all its entries."""
        return Package(
            name=self._text(self._name),
            version=self._text(self._entry.get("version")) or "0.0.1",
            public=bool(self._entry.get("public", False)),
            inputs=self._inputs,
            annotations=self._annotations(self._entry.get("annotations"), self._name),
            actions=tuple(
                self._action(name, value) for name, value in self._part("actions").items()
            ),
            sequences=tuple(
                self._sequence(self._text(name), value)
                for name, value in self._part("sequences").items()
            ),
            triggers=tuple(
                self._trigger(self._text(name), value)
                for name, value in self._part("triggers").items()
            ),
            rules=tuple(
                self._rule(self._text(name), value) for name, value in self._part("rules").items()
            ),
        )

    def _part(self, plural: str) -> JsonObject:
        return _mapping(self._entry.get(plural), plural, self._name)

    def _text(self, value: Json) -> str:
        return expand(str(value), self._environment) if value is not None else ""

    def _annotations(self, value: Json, name: str) -> JsonObject:
        found = _mapping(value, "annotations", name)
        return {
            k: expand(v, self._environment) if isinstance(v, str) else v for k, v in found.items()
        }

    def _input_values(self, entry: JsonObject, name: str) -> JsonObject:
        return resolve_inputs(
            _mapping(entry.get("inputs"), "inputs", name), self._environment, self._inputs
        )

    def _action(self, name: str, value: Json) -> ActionEntry:
        entry = _mapping(value, "action", name)
        image = self._text(entry.get("docker"))
        if entry.get("docker") and not image:
            raise ConfigurationError(
                f"The image of action {name!r} is empty.", hint="Set the variable that it names."
            )
        file, code = self._source(entry, name)
        return ActionEntry(
            name=name,
            file=file,
            code=code,
            kind="blackbox" if image else str(entry.get("runtime") or "python:default"),
            image=image,
            main=str(entry.get("main") or ""),
            limits=_limits(entry.get("limits"), name),
            inputs=self._input_values(entry, name),
            annotations=self._action_annotations(entry, name),
        )

    def _source(self, entry: JsonObject, name: str) -> tuple[Path | None, str]:
        """An action's file (None where the code is in the manifest) and its source."""
        file, code = None, str(entry.get("code") or "")
        function = entry.get("function") or entry.get("location")
        if function:
            file = self._folder / self._text(function)
            try:
                code = file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigurationError(
                    f"The source of action {name!r}, {file}, cannot be read: {error}",
                    hint="Correct 'function', which is relative to the manifest.",
                ) from None
        if not code.strip():
            raise ConfigurationError(
                f"The action {name!r} has no code.", hint="Name its file as 'function'."
            )
        return file, code

    def _action_annotations(self, entry: JsonObject, name: str) -> JsonObject:
        annotations = self._annotations(entry.get("annotations"), name) | _web_annotations(
            entry, name
        )
        if entry.get("conductor"):
            annotations["conductor"] = True
        if annotations.get("require-whisk-auth") == "":
            raise ConfigurationError(
                f"'require-whisk-auth' of {name!r} is empty.",
                hint="Set the variable that it names.",
            )
        return annotations

    def _sequence(self, name: str, value: Json) -> SequenceEntry:
        entry = _mapping(value, "sequence", name)
        actions = tuple(
            part.strip() for part in str(entry.get("actions") or "").split(",") if part.strip()
        )
        if not actions:
            raise ConfigurationError(
                f"The sequence {name!r} has no actions.", hint="Name them, separated by commas."
            )
        annotations = self._annotations(entry.get("annotations"), name) | _web_annotations(
            entry, name
        )
        return SequenceEntry(name, actions, annotations)

    def _trigger(self, name: str, value: Json) -> Trigger:
        entry = _mapping(value, "trigger", name)
        feed = self._text(entry.get("feed") or entry.get("source"))
        annotations = ({"feed": feed} if feed else {}) | self._annotations(
            entry.get("annotations"), name
        )
        return Trigger(name, feed, self._input_values(entry, name), annotations)

    def _rule(self, name: str, value: Json) -> Rule:
        entry = _mapping(value, "rule", name)
        trigger, action = self._text(entry.get("trigger")), self._text(entry.get("action"))
        if not trigger or not action:
            raise ConfigurationError(
                f"The rule {name!r} needs a trigger and an action.", hint="Name both."
            )
        return Rule(name, trigger, action, self._annotations(entry.get("annotations"), name))


def _limits(value: Json, name: str) -> ActionLimits:
    limits: ActionLimits = {}
    for key, number in _mapping(value, "limits", name).items():
        if isinstance(number, bool) or not isinstance(number, int):
            raise ConfigurationError(
                f"The limit {key!r} of {name!r} is {number!r}; expected a whole number."
            )
        if key == "timeout":
            limits["timeout"] = number
        elif key == "memorySize":
            limits["memory"] = number
        elif key == "logSize":
            limits["logs"] = number
    return limits


def _web_annotations(entry: JsonObject, name: str) -> JsonObject:
    """The annotations that stand for exporting an action to the web."""
    value = entry.get("web", entry.get("web-export"))
    if value is None:
        return {}
    word = str(value).lower()
    if word not in _WEB:
        raise ConfigurationError(
            f"'web' of {name!r} is {value!r}; expected one of {', '.join(_WEB)}."
        )
    return {"web-export": _WEB[word], "raw-http": word == "raw", "final": _WEB[word]}


def read(path: Path, environment: Mapping[str, str]) -> Manifest:
    """Read a manifest.

    Args:
        path: The YAML file.
        environment: The site's variables; those that are missing take the defaults of `settings`.

    Returns:
        All that is to be deployed, variables replaced.

    Raises:
        ConfigurationError: The file cannot be read, has an unknown key, or asks for something that cannot be.
    """
    variables = settings.effective(environment)
    content = _packages(_load(path))
    _override(content, environment)
    readers = [
        _PackageReader(path.parent, variables, _mapping(entry, "package", name), name)
        for name, entry in content.items()
    ]
    return Manifest(path, tuple(reader.package() for reader in readers))


def render(path: Path, environment: Mapping[str, str]) -> str:
    """The manifest as YAML for wskdeploy, with the site's numbers in place (wskdeploy cannot read those from variables)."""
    content = _load(path)
    _override(_packages(content), environment)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000)
