"""From the platform's own words for a failure to what to do about it. Pure.

The words are those of `Messages` in OpenWhisk's `ErrorResponse.scala` and of the Go proxy inside the action images.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

__all__ = ["FOLLOW", "Kind", "Remedy", "remedy", "room", "target_of"]

FOLLOW = "Start it, with the deployment's store: whisktrain follow (with Docker: docker compose up --detach follower)"

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
class Remedy:
    """What to do.

    Attributes:
        kind: What is wrong: the image, its start, a process that died, memory, time, a rate, the platform, what is missing.
        fix: What to do about it, with one command.
    """

    kind: Kind
    fix: str


def target_of(image: str) -> str:
    """The target of runtime-image/Dockerfile that an image was built from."""
    return "light" if image.endswith("-light") else "train"


def remedy(
    text: str, *, action: str = "", image: str = "", memory: int = 0, longest_ms: int = 0, activation: str = ""
) -> Remedy:
    """What to do about a failure.

    Args:
        text: The platform's words.
        action: The action's name within the package.
        image: Its image.
        memory: Its memory, in MB.
        longest_ms: The longest duration that the platform allows, in ms.
        activation: The activation whose log may say more.
    """
    for pattern, kind, template in _TABLE:
        found = re.search(pattern, text)
        if found is None:
            continue
        named = found.groupdict()
        image = named.get("image") or image
        limit = int(named.get("limit") or 0)  # ms
        fix = template.format(
            image=image or "the image",
            target=target_of(image),
            ACTION=action.upper() or "WORKER",
            memory=memory or 512,
            double=2 * (memory or 512),
            longest=min(2 * limit, longest_ms) if longest_ms > limit else 2 * limit,
        )
        if kind == "image" and image and _always_pulled(image):
            fix = (
                "Name a tag other than latest, which is pulled at every start: "
                f"WHISKTRAIN_IMAGE={_tagged(image)} whisktrain deploy"
            )
        return Remedy(kind, fix)
    return Remedy("other", f"Its log says more: wsk activation logs {activation}" if activation else "See OpenWhisk's own log.")


def _always_pulled(image: str) -> bool:
    """Whether OpenWhisk pulls the image at every container's start and fails where it cannot."""
    tag = image.rpartition("/")[2].partition(":")[2]
    return tag in ("", "latest")


def _tagged(image: str) -> str:
    from whisktrain import __version__

    name = image.rpartition("/")[2].partition(":")[0]
    return f"{image[: len(image) - len(image.rpartition('/')[2])]}{name}:{__version__}"


def room(memory: int, image: str = "") -> str:
    """What to do where an activation waits for a container.

    Args:
        memory: The memory that it needs, in MB.
        image: The action's image, where it may still be on its way to the invoker.
    """
    pulled = f"the invoker still pulls {image} (look again in a minute), is full, or" if image else "the invoker is full, or"
    return (
        f"It waits for a container of {memory} MB: {pulled} has too little memory in all. Raise it where OpenWhisk starts: "
        f"-Dwhisk.container-pool.user-memory=6144m, as in compose.yaml."
    )
