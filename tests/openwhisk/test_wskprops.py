from __future__ import annotations

import pytest

from whisktrain.errors import ConfigurationError
from whisktrain.openwhisk import wskprops

FILE = """# a comment = here
APIHOST=http://whisk:3233
AUTH = u:k
BROKEN=a=b
nothing
"""


def test_lines_as_wsk_reads_them() -> None:
    assert wskprops.parse(FILE) == {"APIHOST": "http://whisk:3233", "AUTH": "u:k"}


def test_the_file_that_the_environment_names(tmp_path) -> None:
    path = tmp_path / "props"
    path.write_text(FILE)
    found = wskprops.of_environment({"WSK_CONFIG_FILE": str(path)})
    assert (found.apihost, found.auth) == ("http://whisk:3233", "u:k")
    assert "u:k" not in repr(found)


def test_variables_go_before_the_file_and_its_key_stays_with_its_host(tmp_path) -> None:
    path = tmp_path / "props"
    path.write_text(FILE)
    variables = {"WSK_CONFIG_FILE": str(path), "WHISK_APIHOST": "http://other", "WHISK_AUTH": "v:l"}
    found = wskprops.of_environment(variables)
    assert (found.apihost, found.auth) == ("http://other", "v:l")
    del variables["WHISK_AUTH"]
    with pytest.raises(ConfigurationError, match="no key for http://other"):
        wskprops.of_environment(variables)


def test_a_file_in_the_home_folder_is_not_read(tmp_path, monkeypatch) -> None:
    (tmp_path / ".wskprops").write_text(FILE)
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(ConfigurationError, match="No platform"):
        wskprops.of_environment({"HOME": str(tmp_path)})


def test_a_file_that_cannot_be_read_is_named(tmp_path) -> None:
    with pytest.raises(ConfigurationError, match="missing"):
        wskprops.of_environment({"WSK_CONFIG_FILE": str(tmp_path / "missing")})
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigurationError, match="not text"):
        wskprops.read(tmp_path / "binary")
