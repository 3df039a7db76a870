"""The manifest: `wskdeploy.yaml`, read as wskdeploy reads it, with the site's values in place."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from whisktrain.errors import ConfigurationError
from whisktrain.openwhisk import settings
from whisktrain.openwhisk.manifest.values import expand, package_inputs, resolve_inputs

__all__ = ["ActionEntry", "Manifest", "Package", "Rule", "SequenceEntry", "Trigger", "read", "render"]

_KEYS: dict[str, frozenset[str]] = {
    kind: frozenset(words.split())
    for kind, words in {
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
_LIMITS = {"timeout": "timeout", "memorySize": "memory", "logSize": "logs"}
_WEB = {"true": True, "yes": True, "raw": True, "no": False, "false": False}


@dataclass(frozen=True, slots=True)
class ActionEntry:
    """An action to deploy.

    Attributes:
        name: Its name within the package.
        file: Its source file; None where the code is in the manifest.
        code: Its source.
        kind: The runtime's kind; "blackbox" where an image is named.
        image: The image; empty for a kind.
        main: The function to call; empty for `main`.
        limits: `timeout` (ms), `memory` and `logs` (MB), where given.
        inputs: Bound parameters.
        annotations: Annotations.
    """

    name: str
    file: Path | None
    code: str
    kind: str
    image: str
    main: str
    limits: dict[str, int]
    inputs: dict[str, Any] = field(repr=False)
    annotations: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class SequenceEntry:
    """A sequence: actions of the same package (or with a path), one after the other."""

    name: str
    actions: tuple[str, ...]
    annotations: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Trigger:
    """A trigger, and the feed that drives it (an action's path, or empty)."""

    name: str
    feed: str
    inputs: dict[str, Any] = field(repr=False)
    annotations: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: which action a trigger starts."""

    name: str
    trigger: str
    action: str
    annotations: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Package:
    """A package with all that is in it, in the file's order."""

    name: str
    version: str
    public: bool
    inputs: dict[str, Any] = field(repr=False)
    annotations: dict[str, Any]
    actions: tuple[ActionEntry, ...]
    sequences: tuple[SequenceEntry, ...]
    triggers: tuple[Trigger, ...]
    rules: tuple[Rule, ...]

    def action(self, name: str) -> ActionEntry | None:
        """The action of that name within the package; None where there is none."""
        return next((entry for entry in self.actions if entry.name == name), None)


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest as read, and the file it was read from."""

    path: Path
    packages: tuple[Package, ...]


def _mapping(value: Any, kind: str, name: str) -> dict[str, Any]:
    """The value as a map of known keys."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise ConfigurationError(f"{kind} {name!r} of the manifest is a {type(value).__name__}; expected a map.")
    known = _KEYS.get(kind)
    for key in value:
        if known is not None and key not in known:
            near = difflib.get_close_matches(str(key), known, n=1)
            hint = f"Did you mean {near[0]!r}?" if near else f"Known keys are {', '.join(sorted(known))}."
            raise ConfigurationError(f"{kind} {name!r} of the manifest has the unknown key {key!r}.", hint=hint)
        if key in _UNSUPPORTED.get(kind, ()):
            raise ConfigurationError(
                f"{kind} {name!r} of the manifest has {key!r}, which only wskdeploy can deploy.", hint="Use wskdeploy for it."
            )
    return value


def _load(path: Path) -> dict[str, Any]:
    try:
        return _mapping(yaml.safe_load(path.read_text(encoding="utf-8")), "manifest", path.name)
    except OSError as error:
        raise ConfigurationError(f"The manifest {path} cannot be read: {error.strerror}.", hint="Name another file.") from None
    except yaml.YAMLError as error:
        raise ConfigurationError(f"The manifest {path} is not YAML: {error}", hint="Correct it.") from None


def _packages(content: dict[str, Any]) -> dict[str, Any]:
    project = _mapping(content.get("project"), "project", "project")
    return content.get("packages") or project.get("packages") or {}


def _override(packages: dict[str, Any], environment: Mapping[str, str]) -> None:
    """Put the site's values where the manifest cannot name a variable."""
    package = packages.get(settings.PACKAGE)
    if not isinstance(package, dict):
        return
    for path, value in settings.overrides(environment):
        target: Any = package
        for key in path[:-1]:
            target = target.get(key) if isinstance(target, dict) else None
        if isinstance(target, dict):
            target[path[-1]] = value


class _Reader:
    """Reads one package's entries with the same variables and package inputs."""

    def __init__(self, folder: Path, environment: Mapping[str, str], inputs: Mapping[str, Any]) -> None:
        self.folder = folder
        self.environment = environment
        self.inputs = inputs

    def text(self, value: Any) -> str:
        return expand(str(value), self.environment) if value is not None else ""

    def annotations(self, value: Any, name: str) -> dict[str, Any]:
        found = _mapping(value, "annotations", name)
        return {k: expand(v, self.environment) if isinstance(v, str) else v for k, v in found.items()}

    def limits(self, value: Any, name: str) -> dict[str, int]:
        found = _mapping(value, "limits", name)
        for key, number in found.items():
            if isinstance(number, bool) or not isinstance(number, int):
                raise ConfigurationError(f"The limit {key!r} of {name!r} is {number!r}; expected a whole number.")
        return {_LIMITS[k]: v for k, v in found.items() if k in _LIMITS}

    def web(self, entry: Mapping[str, Any], name: str) -> dict[str, Any]:
        """The annotations that exporting to the web means."""
        value = entry.get("web", entry.get("web-export"))
        if value is None:
            return {}
        word = str(value).lower()
        if word not in _WEB:
            raise ConfigurationError(f"'web' of {name!r} is {value!r}; expected one of {', '.join(_WEB)}.")
        return {"web-export": _WEB[word], "raw-http": word == "raw", "final": _WEB[word]}

    def action(self, name: str, value: Any) -> ActionEntry:
        entry = _mapping(value, "action", name)
        function = entry.get("function") or entry.get("location")
        image, file, code = self.text(entry.get("docker")), None, str(entry.get("code") or "")
        if entry.get("docker") and not image:
            raise ConfigurationError(f"The image of action {name!r} is empty.", hint="Set the variable that it names.")
        if function:
            file = self.folder / self.text(function)
            try:
                code = file.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                raise ConfigurationError(f"The source of action {name!r}, {file}, cannot be read: {error}") from None
        if not code.strip():
            raise ConfigurationError(f"The action {name!r} has no code.", hint="Name its file as 'function'.")
        annotations = self.annotations(entry.get("annotations"), name) | self.web(entry, name)
        if entry.get("conductor"):
            annotations["conductor"] = True
        if annotations.get("require-whisk-auth") == "":
            raise ConfigurationError(f"'require-whisk-auth' of {name!r} is empty.", hint="Set the variable that it names.")
        return ActionEntry(
            name=name,
            file=file,
            code=code,
            kind="blackbox" if image else str(entry.get("runtime") or "python:default"),
            image=image,
            main=str(entry.get("main") or ""),
            limits=self.limits(entry.get("limits"), name),
            inputs=resolve_inputs(_mapping(entry.get("inputs"), "inputs", name), self.environment, self.inputs),
            annotations=annotations,
        )

    def sequence(self, name: str, value: Any) -> SequenceEntry:
        entry = _mapping(value, "sequence", name)
        actions = tuple(part.strip() for part in str(entry.get("actions") or "").split(",") if part.strip())
        if not actions:
            raise ConfigurationError(f"The sequence {name!r} has no actions.", hint="Name them, separated by commas.")
        return SequenceEntry(name, actions, self.annotations(entry.get("annotations"), name) | self.web(entry, name))

    def trigger(self, name: str, value: Any) -> Trigger:
        entry = _mapping(value, "trigger", name)
        feed = self.text(entry.get("feed") or entry.get("source"))
        inputs = resolve_inputs(_mapping(entry.get("inputs"), "inputs", name), self.environment, self.inputs)
        annotations = ({"feed": feed} if feed else {}) | self.annotations(entry.get("annotations"), name)
        return Trigger(name, feed, inputs, annotations)

    def rule(self, name: str, value: Any) -> Rule:
        entry = _mapping(value, "rule", name)
        trigger, action = self.text(entry.get("trigger")), self.text(entry.get("action"))
        if not trigger or not action:
            raise ConfigurationError(f"The rule {name!r} needs a trigger and an action.")
        return Rule(name, trigger, action, self.annotations(entry.get("annotations"), name))


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
    found: list[Package] = []
    for key, value in content.items():
        entry = _mapping(value, "package", key)
        inputs = package_inputs(_mapping(entry.get("inputs"), "inputs", key), variables)
        reader = _Reader(path.parent, variables, inputs)

        def part(kind: str, plural: str, entry: dict[str, Any] = entry, key: str = key) -> dict[str, Any]:
            return _mapping(entry.get(plural), f"{kind}s", key)

        found.append(
            Package(
                name=reader.text(key),
                version=reader.text(entry.get("version")) or "0.0.1",
                public=bool(entry.get("public", False)),
                inputs=inputs,
                annotations=reader.annotations(entry.get("annotations"), key),
                actions=tuple(reader.action(k, v) for k, v in part("action", "actions").items()),
                sequences=tuple(reader.sequence(reader.text(k), v) for k, v in part("sequence", "sequences").items()),
                triggers=tuple(reader.trigger(reader.text(k), v) for k, v in part("trigger", "triggers").items()),
                rules=tuple(reader.rule(reader.text(k), v) for k, v in part("rule", "rules").items()),
            )
        )
    return Manifest(path, tuple(found))


def render(path: Path, environment: Mapping[str, str]) -> str:
    """The manifest as YAML for wskdeploy, with the site's numbers in place (wskdeploy cannot read those from variables)."""
    content = _load(path)
    _override(_packages(content), environment)
    return yaml.safe_dump(content, sort_keys=False, allow_unicode=True, width=1000)
