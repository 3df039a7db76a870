"""Options of the whole suite."""

import os

import pytest

os.environ.setdefault("WHISKTRAIN_HOST_STAYS", "0")  # no command of a test leaves a host behind


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--target",
        choices=["embedded", "openwhisk"],
        default="embedded",
        help="where tests/e2e run: on the embedded host, or on the OpenWhisk that WSK_CONFIG_FILE and WHISKTRAIN_STORE name",
    )
