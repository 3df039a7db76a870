"""`python -m openwhisk_local`: an OpenWhisk on this machine until Ctrl-C."""

from __future__ import annotations

import argparse
import contextlib
import ipaddress
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from openwhisk_local.errors import HostError
from openwhisk_local.host import Host
from openwhisk_local.limits import Limits


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT, SIGTERM or SIGHUP, and print the host's address and key.

    Args:
        arguments: The command line; that of the process by default.

    Returns:
        The exit status: 0, or 3 where the host cannot start.
    """
    options = _parser().parse_args(arguments)
    limits = Limits.openwhisk_defaults() if options.openwhisk_limits else Limits()
    if options.memory is not None:
        limits = replace(limits, user_memory_mb=options.memory)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: ended.set())
    try:
        with (
            _home(options.home) as home,
            Host(home, port=options.port, bind=options.host, limits=limits) as host,
        ):
            print(f"APIHOST={host.apihost}\nAUTH={host.auth}", flush=True)  # noqa: T201
            ended.wait()
    except HostError as error:
        print(error, file=sys.stderr)  # noqa: T201
        return 3
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m openwhisk_local",
        description="An OpenWhisk for one machine. It prints APIHOST and AUTH, and serves until Ctrl-C.",
    )
    parser.add_argument(
        "--host",
        type=_loopback,
        default="127.0.0.1",
        help="a loopback address (default: %(default)s)",
    )
    parser.add_argument(
        "--port", type=int, default=3233, help="the port; 0 takes a free one (default: %(default)s)"
    )
    parser.add_argument(
        "--home", type=_folder, metavar="DIR", help="keep the key there, and write a wskprops file"
    )
    parser.add_argument(
        "--memory",
        type=_memory,
        metavar="MB",
        help="of all actions together (default: 3/4 of the machine)",
    )
    parser.add_argument(
        "--openwhisk-limits", action="store_true", help="the limits of OpenWhisk 2.0.0 standalone"
    )
    return parser


def _loopback(text: str) -> str:
    """Read a loopback address: a caller with the key can run any code, so no other machine may reach the host."""
    address = "127.0.0.1" if text == "localhost" else text
    with contextlib.suppress(ValueError):
        if ipaddress.ip_address(address).is_loopback:
            return address
    raise argparse.ArgumentTypeError(f"{text!r} is not a loopback address such as 127.0.0.1 or ::1")


def _folder(text: str) -> Path:
    """Read a folder; an empty text, as of a variable that is not set, would be the current one."""
    if not text.strip():
        raise argparse.ArgumentTypeError("an empty text; leave it out, or name a directory")
    return Path(text)


def _memory(text: str) -> int:
    """Read the memory of all actions together, in MB."""
    least = Limits.default_memory_mb
    if not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(
            f"{text!r} is not a number of MB of at least {least}, the default of one action"
        )
    return int(text)


@contextlib.contextmanager
def _home(folder: Path | None) -> Iterator[Path]:
    """The folder that was named, or a temporary one that is removed at the end."""
    if folder is not None:
        yield folder
        return
    with tempfile.TemporaryDirectory(
        prefix="openwhisk-local-", ignore_cleanup_errors=True
    ) as temporary:
        yield Path(temporary)


if __name__ == "__main__":
    sys.exit(main())
