"""What the tests of the host's answers share: a few actions, and the platform's words."""

from __future__ import annotations

from typing import Any

ADD = "def main(args):\n    return {'n': args.get('n', 0) + 1}\n"
GIVE = "def main(args):\n    return args['give']\n"
NO_ROUTE = "The requested resource could not be found."
ONLY = "Resource representation is only available with these types:\n"


def kv(**values: Any) -> list[dict[str, Any]]:
    """Parameters or annotations as the API has them."""
    return [{"key": key, "value": value} for key, value in values.items()]
