"""Hints for failures, found by the platform's message. Pure.

The messages are those of `Messages` in OpenWhisk's `ErrorResponse.scala` and of the Go proxy inside the action images.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

__all__ = ["Diagnosis", "Kind", "diagnose", "no_container", "target_of"]

DEFAULT_MEMORY_MB = 512

Kind = Literal["image", "start", "crash", "memory", "time", "rate", "platform", "missing", "other"]

_TABLE: tuple[tuple[str, Kind, str], ...] = (
    (
        r"Failed to pull container image '(?P<image>[^']*)'",
        "image",
        "Build the image where the invoker runs: docker build -f runtime-image/Dockerfile --target {target} -t {image} . "
        "(or push it to a registry that the invoker reaches).",
    ),
    (
        r"executable file not found",
        "image",
        "{image} is no action image; build it anew: docker build -f runtime-image/Dockerfile --target {target} -t {image} .",
    ),
    (
        r"Failed to provision resources",
        "image",
        "The invoker's Docker could not start {image}; on its machine this says why: "
        "docker run --rm --memory {memory}m {image}",
    ),
    (
        r"Too many requests in the last minute",
        "rate",
        "Wait a minute. For good, raise the rate where OpenWhisk starts: "
        "-Dwhisk.config.limits-actions-invokes-perMinute=6000, as compose.yaml does.",
    ),
    (
        r"Too many concurrent requests",
        "rate",
        "Wait until other runs have ended. For good, raise it where OpenWhisk starts: "
        "-Dwhisk.config.limits-actions-invokes-concurrent=200, as compose.yaml does.",
    ),
    (
        r"exhausted its memory",
        "memory",
        "Give it more: WHISKTRAIN_{ACTION}_MEMORY={double} whisktrain deploy",
    ),
    (
        r"exceeded its time limits of (?P<limit>\d+) milliseconds",
        "time",
        "Give it longer: WHISKTRAIN_{ACTION}_TIMEOUT={longest} whisktrain deploy",
    ),
    (
        r"exceeds? (the )?(allowed threshold|system limit)|exceeded the system limit",
        "memory",
        "The platform allows less than the action asks for: set WHISKTRAIN_{ACTION}_MEMORY and _TIMEOUT to what it allows, and "
        "whisktrain deploy",
    ),
    (
        r"did not initialize|failed during initialization|could not initiali[sz]e|[Cc]annot start action|[Cc]annot initialize"
        r"|locate a binary",
        "start",
        "Its image does not work; this says where: python3 runtime-image/smoke.py --image {image} --target {target}",
    ),
    (
        r"exited unexpectedly|command exited",
        "crash",
        "Its process died, mostly for want of memory: WHISKTRAIN_{ACTION}_MEMORY={double} whisktrain deploy",
    ),
    (
        r"requested resource|could not be found|may have been deleted|could not be fetched|not compatible",
        "missing",
        "Deploy the system again: whisktrain deploy",
    ),
    (
        r"overloaded|no (healthy )?invoker|resource provider",
        "platform",
        "OpenWhisk has no invoker that works; see its log, and restart it: docker compose restart openwhisk",
    ),
    (
        r"not authorized|authentication",
        "platform",
        "The key that the rule was made with is no longer valid: whisktrain deploy with the present one.",
    ),
    (
        r"internal server error|500 Internal",
        "platform",
        "OpenWhisk could not reach its own API. A standalone needs -Dwhisk.controller.interface=0.0.0.0, which compose.yaml "
        "gives it: docker compose up --detach. A cluster's controller says more in its log.",
    ),
)


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The cause of a failure, and its hint.

    Attributes:
        kind: What is wrong: the image, its start, a process that died, memory, time, a rate, the platform, what is missing.
        hint: How to fix it, with one command.
    """

    kind: Kind
    hint: str


def target_of(image: str) -> str:
    """The target of runtime-image/Dockerfile that an image was built from."""
    return "light" if image.endswith("-light") else "train"


def diagnose(
    text: str,
    *,
    action: str = "",
    image: str = "",
    memory: int = 0,
    longest_ms: int = 0,
    activation: str = "",
) -> Diagnosis:
    """Find the cause of a failure.

    Args:
        text: The platform's message.
        action: The action's name within the package.
        image: Its image.
        memory: Its memory, in MB.
        longest_ms: The longest duration that the platform allows, in ms.
        activation: The activation whose log may say more.
    """
    matches = ((re.search(pattern, text), kind, template) for pattern, kind, template in _TABLE)
    found = next(((match, kind, template) for match, kind, template in matches if match), None)
    if found is None:
        log = (
            f"Its log says more: wsk activation logs {activation}"
            if activation
            else "See OpenWhisk's own log."
        )
        return Diagnosis("other", log)
    match, kind, template = found
    named = match.groupdict()
    image = named.get("image") or image
    if kind == "image" and image and _always_pulled(image):
        return Diagnosis(kind, _name_a_tag(image))
    hint = template.format(
        image=image or "the image",
        target=target_of(image),
        ACTION=action.upper() or "WORKER",
        memory=memory or DEFAULT_MEMORY_MB,
        double=2 * (memory or DEFAULT_MEMORY_MB),
        longest=_longer(int(named.get("limit") or 0), longest_ms),
    )
    return Diagnosis(kind, hint)


def _longer(timeout_ms: int, longest_ms: int) -> int:
    """Twice a timeout, within what the platform allows where that is more than now."""
    return min(2 * timeout_ms, longest_ms) if longest_ms > timeout_ms else 2 * timeout_ms


def _always_pulled(image: str) -> bool:
    """Whether OpenWhisk pulls the image at every container's start and fails where it cannot."""
    tag = image.rpartition("/")[2].partition(":")[2]
    return tag in ("", "latest")


def _name_a_tag(image: str) -> str:
    from whisktrain.version import __version__

    repository, slash, last = image.rpartition("/")
    tagged = f"{repository}{slash}{last.partition(':')[0]}:{__version__}"
    return f"Name a tag other than latest, which is pulled at every start: WHISKTRAIN_IMAGE={tagged} whisktrain deploy"


def no_container(memory: int, image: str = "") -> str:
    """The hint for an activation that waits for a container.

    Args:
        memory: The memory that it needs, in MB.
        image: The action's image, where the invoker may still be pulling it.
    """
    pulled = (
        f"the invoker still pulls {image} (look again in a minute), is full, or"
        if image
        else "the invoker is full, or"
    )
    return (
        f"It waits for a container of {memory} MB: {pulled} has too little memory in all. Raise it where OpenWhisk starts: "
        f"-Dwhisk.container-pool.user-memory=6144m, as in compose.yaml."
    )
