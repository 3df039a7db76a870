"""Speak /init and /run to the action image, as an OpenWhisk invoker does, and say how long a cold start took.

    smoke.py --image whisktrain/runtime:0.1.0-light --target light      starts a container, removes it afterwards
    smoke.py --url http://127.0.0.1:8080 --target train         a proxy that already runs

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
IRIS = {"data": "iris", "train": {"workers": 2}, "store": STORE}


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


def start(url: str, file: str) -> float:
    """Initialise the proxy with an action file; returns the seconds that it took."""
    code = (ROOT / file).read_text()
    name = Path(file).stem
    env = {"__OW_ACTION_NAME": f"/guest/whisktrain/{name}", "__OW_NAMESPACE": "guest"}
    value = {"name": name, "main": "main", "binary": False, "code": code, "env": env}
    before = time.monotonic()
    status, answer = post(f"{url}/init", {"value": value}, patience=60)
    check(f"/init {file}", status == 200, answer)
    return time.monotonic() - before


def run(url: str, arguments: dict[str, Any]) -> Any:
    """Run the action once, as the invoker does: every value of the context is a string."""
    deadline = str(int((time.time() + 110) * 1000))
    body = {"value": arguments, "activation_id": "0" * 32, "deadline": deadline, "namespace": "guest"}
    status, answer = post(f"{url}/run", body)
    check("/run answered", status == 200, answer)
    return answer


def speak(url: str, target: str) -> None:
    """The conversation for one target."""
    before = time.monotonic()
    if target == "light":
        start(url, "actions/preprocess.py")
        answer = run(url, IRIS)
        check("preprocess made a data set of iris", str(answer.get("dataset", "")) != "", answer)
    else:
        start(url, "actions/predict.py")
        answer = run(url, {"model": "nobody", "rows": [[1.0]], "store": STORE})
        check("predict says that there is no such model", answer.get("error", {}).get("code") == "no_such_model", answer)
    print(f"     cold start and first answer: {time.monotonic() - before:.2f} s")
    before = time.monotonic()
    run(url, IRIS if target == "light" else {"model": "nobody", "rows": [[1.0]], "store": STORE})
    print(f"     warm answer: {time.monotonic() - before:.3f} s")


def main() -> None:
    """Start the container where asked, and talk to it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--image")
    parser.add_argument("--url")
    parser.add_argument("--target", choices=["train", "light"], required=True)
    options = parser.parse_args()
    if options.url:
        speak(options.url.rstrip("/"), options.target)
        return
    if not options.image:
        parser.error("give --image or --url")
    command = ["docker", "run", "--detach", "--rm", "--publish", "127.0.0.1::8080", "--memory", "512m", options.image]
    container = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()
    try:
        port = subprocess.run(["docker", "port", container, "8080"], check=True, capture_output=True, text=True).stdout.strip()
        speak(f"http://{port.splitlines()[0]}", options.target)
    finally:
        subprocess.run(["docker", "rm", "--force", container], check=False, capture_output=True)


if __name__ == "__main__":
    main()
