"""Where a connection works: data only goes to a platform that was named."""

from __future__ import annotations

from pathlib import Path

import pytest

from whisktrain.errors import ConfigurationError
from whisktrain.sdk.where import default_home, find_platform

KEY = "11111111-2222-3333-4444-555555555555:k3y-of-guest"


@pytest.fixture
def machine(tmp_path: Path) -> dict[str, str]:
    """A machine with a .wskprops lying about."""
    (tmp_path / ".wskprops").write_text(f"APIHOST=https://far.example\nAUTH={KEY}\nNAMESPACE=_\n")
    return {"HOME": str(tmp_path), "WHISKTRAIN_HOME": str(tmp_path / "state")}


def test_a_wskprops_lying_about_changes_nothing(machine: dict[str, str], tmp_path: Path) -> None:
    where = find_platform(environment=machine)
    assert (where.platform, where.apihost, where.auth) == ("embedded", None, None)
    assert where.store == f"sqlite:{tmp_path / 'state' / 'store'}"


def test_a_key_alone_changes_nothing(machine: dict[str, str]) -> None:
    assert find_platform(environment={**machine, "WHISK_AUTH": KEY}).platform == "embedded"


@pytest.mark.parametrize("home", ["", "  "])
def test_an_empty_home_is_not_the_current_directory(home: str, machine: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="The home was an empty text"):
        find_platform(home=home, environment=machine)
    del machine["WHISKTRAIN_HOME"]
    assert default_home({**machine, "WHISKTRAIN_HOME": home}) == default_home(machine)


def test_wsk_config_file_names_the_platform(machine: dict[str, str], tmp_path: Path) -> None:
    where = find_platform(environment={**machine, "WSK_CONFIG_FILE": str(tmp_path / ".wskprops")})
    assert (where.platform, where.apihost, where.auth, where.store) == (
        "openwhisk",
        "https://far.example",
        KEY,
        None,
    )
    assert (
        find_platform(
            platform="embedded", environment={**machine, "WSK_CONFIG_FILE": "gone"}
        ).platform
        == "embedded"
    )


def test_openwhisk_by_name_takes_the_file_in_the_home_directory(machine: dict[str, str]) -> None:
    assert find_platform(platform="openwhisk", environment=machine).apihost == "https://far.example"


def test_a_files_key_is_not_sent_to_another_host(machine: dict[str, str], tmp_path: Path) -> None:
    environment = {**machine, "WSK_CONFIG_FILE": str(tmp_path / ".wskprops")}
    assert find_platform(apihost="far.example", environment=environment).auth == KEY, (
        "https is where no scheme is given"
    )
    with pytest.raises(ConfigurationError, match=r"no key for https://other\.example"):
        find_platform(apihost="https://other.example", environment=environment)
    with pytest.raises(ConfigurationError, match="no key"):
        find_platform(apihost="https://far.example", environment=machine)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"platform": "embedded", "apihost": "https://x"}, "API host was given"),
        ({"platform": "lambda"}, "expected 'embedded' or 'openwhisk'"),
        ({"platform": "openwhisk"}, "no API host"),
    ],
)
def test_contradictions_are_named(given: dict[str, str], problem: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=problem):
        find_platform(**given, environment={"HOME": str(tmp_path)})  # type: ignore[arg-type]


def test_no_secret_is_in_a_repr(machine: dict[str, str]) -> None:
    where = find_platform(
        apihost="https://x", auth=KEY, store="http://u:pa55word@h:5984", environment=machine
    )
    assert "k3y-of-guest" not in repr(where)
    assert "pa55word" not in repr(where)


def test_the_home_is_the_users_data_directory() -> None:
    assert default_home({}).name == "whisktrain"
    assert default_home({"WHISKTRAIN_HOME": "/x/y"}) == Path("/x/y")
