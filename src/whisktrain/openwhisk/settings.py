"""The variables of a deployment, with their defaults and meanings.

`deploy/defaults.env` is this table as a shell file, for wskdeploy, which knows no defaults. Where a variable replaces a value
of the manifest that wskdeploy cannot read from the environment (a number), `path` says which one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from whisktrain.errors import ConfigurationError
from whisktrain.jsontypes import Json
from whisktrain.version import __version__

__all__ = [
    "PACKAGE",
    "PARAMETERS",
    "SETTINGS",
    "Setting",
    "default",
    "effective",
    "is_on",
    "memory_mb",
    "overrides",
    "render_defaults",
]

PACKAGE = "whisktrain"
"""The package that the manifest deploys."""
PARAMETERS = {
    name: f"deployment_{name}"
    for name in ("store", "container_memory", "factories", "allow_private_addresses", "insecure")
}
"""What the manifest binds to the package for every action: the variable `WHISKTRAIN_NAME` as the parameter `deployment_NAME`.

Each action and the sequence have the annotation `final`, so OpenWhisk refuses a request that contains one of them; only their
owner can set them. The prefix keeps them apart from a caller's own keys, a column named `store` for example."""
_SHORTEST_SECRET = 8


@dataclass(frozen=True, slots=True)
class Setting:
    """One variable.

    Attributes:
        name: The environment variable.
        default: Its value where it is not set; None where there is none, and the manifest's own value stands.
        about: What it means, in a sentence.
        path: Where in the package its value goes, for values that the manifest cannot take from the environment.
        secret: Whether its value is never printed.
    """

    name: str
    default: str | None
    about: str
    path: tuple[str, ...] = ()
    secret: bool = False

    @property
    def numeric(self) -> bool:
        """Whether it replaces a number."""
        return "limits" in self.path


_STAGES: tuple[tuple[str, int, int], ...] = (
    ("preprocess", 512, 300_000),
    ("train", 256, 300_000),
    ("predict", 512, 120_000),
    ("worker", 512, 300_000),
    ("aggregate", 256, 300_000),
    ("changes", 128, 60_000),
)


def _limits_of(action: str, memory: int, timeout: int) -> tuple[Setting, Setting]:
    """The settings for one action's memory (MB) and timeout (ms)."""
    path = ("actions", action, "limits")
    variable = f"WHISKTRAIN_{action.upper()}"
    return (
        Setting(
            f"{variable}_MEMORY",
            str(memory),
            f"memory of the action {action}, in MB",
            (*path, "memorySize"),
        ),
        Setting(
            f"{variable}_TIMEOUT",
            str(timeout),
            f"longest duration of {action}, in ms",
            (*path, "timeout"),
        ),
    )


SETTINGS: tuple[Setting, ...] = (
    Setting(
        "WHISKTRAIN_IMAGE",
        f"whisktrain/runtime:{__version__}",
        "image of the actions; any tag but latest is used without a registry where it is already there",
    ),
    Setting(
        "WHISKTRAIN_LIGHT_SUFFIX",
        "",
        "what the tag of the image without TensorFlow ends with, for example -light; empty: one image for all actions",
    ),
    Setting(
        "WHISKTRAIN_STORE",
        "http://whisktrain:whisktrain@172.17.0.1:5984",
        "the document store, as seen from inside a container",
        secret=True,
    ),
    Setting(
        "WHISKTRAIN_CONTAINER_MEMORY",
        "1024",
        "memory of all action containers together, in MB; a standalone OpenWhisk has 1024 unless raised",
    ),
    Setting(
        "WHISKTRAIN_FACTORIES",
        "none",
        "model factories that requests may name, as package.module:function, separated by commas",
    ),
    Setting(
        "WHISKTRAIN_ALLOW_PRIVATE_ADDRESSES",
        "0",
        "1: data may be read from private network addresses",
    ),
    Setting(
        "WHISKTRAIN_INSECURE", "0", "1: actions accept a self-signed certificate of the platform"
    ),
    *(
        setting
        for action, memory, timeout in _STAGES
        for setting in _limits_of(action, memory, timeout)
    ),
    Setting(
        "WHISKTRAIN_WEB_SECRET",
        None,
        "secret that web calls of predict send as X-Require-Whisk-Auth; unset: they send the platform's key",
        ("actions", "predict", "annotations", "require-whisk-auth"),
        secret=True,
    ),
)
"""All of them, in the order of `deploy/defaults.env`."""


def default(name: str) -> str:
    """A variable's default; empty where it has none."""
    return next((s.default or "" for s in SETTINGS if s.name == name), "")


def memory_mb(action: str) -> int:
    """The memory that the manifest gives an action."""
    return int(default(f"WHISKTRAIN_{action.upper()}_MEMORY"))


def is_on(text: str | None) -> bool:
    """Whether a variable's text switches something on: 1, yes, true or on."""
    return (text or "").strip().lower() in ("1", "yes", "true", "on")


def effective(environment: Mapping[str, str]) -> dict[str, str]:
    """The environment that a manifest is read with: ours, over it the site's.

    Args:
        environment: The site's variables; an empty one counts as not set where there is a default.
    """
    defaults = {s.name: s.default for s in SETTINGS if s.default is not None}
    given = {k: v for k, v in environment.items() if v != "" or not defaults.get(k)}
    return {**defaults, **given}


def overrides(environment: Mapping[str, str]) -> list[tuple[tuple[str, ...], Json]]:
    """Values that replace the manifest's own: (path in the package, value).

    Raises:
        ConfigurationError: A number is not one, or a secret is too short to be one.
    """
    given = [
        (setting, environment.get(setting.name, "").strip()) for setting in SETTINGS if setting.path
    ]
    return [(setting.path, _manifest_value(setting, text)) for setting, text in given if text]


def _manifest_value(setting: Setting, text: str) -> Json:
    """A variable's text as the manifest's value: a number, or a secret."""
    if setting.numeric:
        if not text.isdecimal():
            raise ConfigurationError(
                f"{setting.name} was {text!r}; expected a whole number ({setting.about}).",
                hint=f"Set it to a number such as {setting.default}, or leave it unset.",
            )
        return int(text)
    if len(text) < _SHORTEST_SECRET:
        raise ConfigurationError(
            f"{setting.name} has {len(text)} characters; a secret needs at least {_SHORTEST_SECRET}.",
            hint="Choose a longer one.",
        )
    return text


def render_defaults() -> str:
    """The text of `deploy/defaults.env`."""
    lines = [
        "# Every variable of a deployment, with its default. Values that are set already win:",
        "#     set -a; . deploy/defaults.env; set +a; wskdeploy -m wskdeploy.yaml",
        "# wskdeploy takes limits as numbers only: the ones here count for `whisktrain deploy`, and for wskdeploy with the",
        "# manifest that `python deploy/site_manifest.py` prints.",
        "",
    ]
    for setting in SETTINGS:
        lines.append(f"# {setting.about}")
        if setting.default is None:
            lines.append(f"# {setting.name}=")
        else:
            lines.append(f': "${{{setting.name}:={setting.default}}}"')
        lines.append("")
    return "\n".join(lines)
