"""Options of the whole suite."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--target",
        choices=["embedded", "openwhisk"],
        default="embedded",
        help="where tests/e2e run: on the embedded host, or on the OpenWhisk that WSK_CONFIG_FILE and WHISKTRAIN_STORE name",
    )
