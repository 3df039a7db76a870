"""The command line: a thin layer over the SDK. Data goes to stdout, narration to stderr."""

from __future__ import annotations

import sys

__all__ = ["main"]


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: The words after `whisktrain`; those of the process by default.

    Returns:
        The exit code, as documented in `whisktrain.errors`.
    """
    from whisktrain.cli.app import run

    return run(sys.argv[1:] if arguments is None else arguments)
