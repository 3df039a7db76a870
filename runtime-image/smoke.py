"""Speak /init and /run to the action image, as an OpenWhisk invoker does, and say how long a cold start took.

    smoke.py --image whisktrain/runtime:0.1.0-light --target light      starts a container, removes it afterwards
    smoke.py --url http://127.0.0.1:8080 --target train         a proxy that already runs

In the container, which has no store and no platform to talk to, the stages of the library work over a store in /tmp: with the
image `train` a whole training of iris with Keras and TensorFlow, with `light` everything that needs neither. It says how long
the starts took and how much memory was used.

Only the standard library is used. Exit status 0: every answer was as expected.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
STORE = "sqlite:/tmp/whisktrain-smoke"
ACTION = Path(__file__).with_name("smoke_action.py")


def post(url: str, body: dict[str, Any], *, patience: float = 0.0) -> tuple[int, Any]:
    """POST JSON; repeat refused connections for `patience` seconds."""
    request = urllib.request.Request(  # noqa: S310
        url, json.dumps(body).encode(), {"Content-Type": "application/json"}
    )
    until = time.monotonic() + patience
    while True:
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:  # noqa: S310
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as answer:
            return answer.code, json.loads(answer.read() or b"null")
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > until:
                raise
            time.sleep(0.05)


def check(what: str, condition: bool, seen: Any) -> None:
    """Stop at the first answer that is not as expected."""
    print(f"{'ok  ' if condition else 'FAIL'} {what}")
    if not condition:
        sys.exit(f"     answered: {json.dumps(seen)[:2000]}")


def start(url: str) -> float:
    """Initialise the proxy with the action; returns the seconds that it took."""
    env = {"__OW_ACTION_NAME": "/guest/whisktrain/smoke", "__OW_NAMESPACE": "guest"}
    value = {
        "name": "smoke",
        "main": "main",
        "binary": False,
        "code": ACTION.read_text(),
        "env": env,
    }
    before = time.monotonic()
    status, answer = post(f"{url}/init", {"value": value}, patience=60)
    check("/init: the library is imported", status == 200, answer)
    return time.monotonic() - before


def run(url: str, **arguments: Any) -> Any:
    """Run the action once, as the invoker does: every value of the context is a string."""
    deadline = str(int((time.time() + 110) * 1000))
    body = {
        "value": {**arguments, "deployment_store": STORE},
        "activation_id": "0" * 32,
        "deadline": deadline,
        "namespace": "guest",
    }
    status, answer = post(f"{url}/run", body)
    check(f"/run {arguments}", status == 200 and isinstance(answer, dict), answer)
    return answer


def speak(url: str, target: str, label: str | None) -> None:
    """The conversation for one target.

    Args:
        url: The proxy.
        target: "train" or "light".
        label: The version that the image's label says; None where there is no label to look at.
    """
    print(f"     cold start: {start(url):.2f} s")
    version = run(url, probe=True).get("lib_version")
    check(
        f"the library's version is {version}" + (f", the label says {label}" if label else ""),
        label in (None, version),
        label,
    )
    refused = run(url, lib_version="0.0.0", step="memory").get("error") or {}
    fits = refused.get("code") == "version_mismatch" and f"Install whisktrain {version}" in str(
        refused.get("hint")
    )
    check("a caller of another version is refused with the fix", fits, refused)
    if target == "light":
        answer = run(url, step="light")
        fits = answer.get("status") == "training" and answer.get("invoked") == ["worker"]
        check(
            "preprocess made the shards, train opened the run, an aggregate looked at it",
            fits,
            answer,
        )
        print(f"     first work: {answer['seconds']:.2f} s")
    else:
        answer = run(url, step="keras")
        fits = answer.get("backend") == "tensorflow" and answer.get("result") == [[3.0, 3.0, 3.0]]
        check("Keras builds a model and computes with it, on TensorFlow", fits, answer)
        print(
            f"     import of Keras and TensorFlow: {answer['import']:.2f} s; with the first result: {answer['seconds']:.2f} s"
        )
        answer = run(url, step="train")
        decided = (answer.get("decisions") or [{}])[0].get("class")
        check(
            "a whole training: preprocess, train, workers, aggregates, predict",
            answer.get("status") == "completed",
            answer,
        )
        check("its model decides", decided is not None, answer)
        print(
            f"     preprocess and building the model: {answer['first']:.2f} s; in all {answer['seconds']:.2f} s"
        )
    before = time.monotonic()
    used = run(url, step="memory")
    print(f"     warm answer: {time.monotonic() - before:.3f} s")
    container = (
        f"{used['container_mb']} MB of the container with cached files"
        if used.get("container_mb")
        else "of the container unknown"
    )
    print(f"     peak memory: {used['process_mb']} MB of the process, {container}")


def label_of(image: str) -> str:
    """The version that the image's label says."""
    command = [
        "docker",
        "image",
        "inspect",
        "--format",
        '{{index .Config.Labels "org.opencontainers.image.version"}}',
        image,
    ]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def main() -> None:
    """Start the container where asked, and talk to it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--image")
    parser.add_argument("--url")
    parser.add_argument("--target", choices=["train", "light"], required=True)
    options = parser.parse_args()
    if options.url:
        speak(options.url.rstrip("/"), options.target, None)
        return
    if not options.image:
        parser.error("give --image or --url")
    command = [
        "docker",
        "run",
        "--detach",
        "--rm",
        "--publish",
        "127.0.0.1::8080",
        "--memory",
        "512m",
        "--memory-swap",
        "512m",
        options.image,
    ]
    container = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    try:
        port = subprocess.run(
            ["docker", "port", container, "8080"], check=True, capture_output=True, text=True
        ).stdout.strip()
        speak(f"http://{port.splitlines()[0]}", options.target, label_of(options.image))
    finally:
        subprocess.run(["docker", "rm", "--force", container], check=False, capture_output=True)


if __name__ == "__main__":
    main()
