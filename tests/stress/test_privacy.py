"""Secrets stay out of what is shown and written."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from headwind.errors import UsageError
from headwind.stress import privacy


def test_user_and_password_of_a_url_become_a_header() -> None:
    address = privacy.split_url("http://ann:p%40ss@host:8000/x?page=2")
    assert address.shown == "http://host:8000/x?page=2"
    assert address.path is None
    assert address.authorization == "Basic " + base64.b64encode(b"ann:p@ss").decode()


@pytest.mark.parametrize("name", ["token", "api_key", "apikey", "key", "access_token", "password", "sig"])
def test_a_secret_in_the_query_is_masked_and_still_sent(name: str) -> None:
    address = privacy.split_url(f"https://host/x?a=1&{name}=s3cr3t")
    assert address.shown == f"https://host/x?a=1&{name}=***"
    assert address.path == f"/x?a=1&{name}=s3cr3t"


@pytest.mark.parametrize("query", ["keyword=x", "monkey=1", "page=2", "airline=UA&origin=EWR"])
def test_a_harmless_query_is_shown(query: str) -> None:
    assert privacy.split_url(f"http://h/?{query}").shown == f"http://h/?{query}"


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        ("API_KEY=abc server --port 1", "API_KEY=*** server --port 1"),
        ("server --token abc --port 1", "server --token *** --port 1"),
        ("server --token=abc", "server --token=***"),
        ("DB=postgres://u:p@host/db server", "DB=postgres://host/db server"),
        ("PASSWORD='a b' server", "PASSWORD=*** server"),
        ("server --verbose --password abc", "server --verbose --password ***"),
        (
            "headwind --command 'server {port} --password abc'",
            "headwind --command 'server {port} --password ***'",
        ),
        ("headwind --against 'b: serve --api-key abc -v'", "headwind --against 'b: serve --api-key *** -v'"),
        ("X='A=1 TOKEN=abc' server", "X='A=1 TOKEN=***' server"),
        ("gunicorn -w 2 -b 127.0.0.1:80 app:app", "gunicorn -w 2 -b 127.0.0.1:80 app:app"),
    ],
)
def test_a_command_line_is_scrubbed(command: str, shown: str) -> None:
    assert privacy.scrub(command) == shown


@pytest.mark.parametrize("secret", ["hunter2", "'hunter2'", '"hunter2"', "'hunter2 and more'"])
@pytest.mark.parametrize("option", ["--command", "--against"])
def test_a_secret_within_a_command_that_is_an_option_is_masked(option: str, secret: str) -> None:
    shown = privacy.shown_command(
        ["headwind", "compare", option, f"a: x.py {{port}} --password {secret} --on"]
    )
    assert "hunter2" not in shown
    assert "more" not in shown
    assert "--on" in shown
    assert "{port}" in shown


def test_a_header_is_expanded_from_the_environment_only() -> None:
    assert privacy.expand("Bearer $T/${U}", {"T": "a", "U": "b"}) == "Bearer a/b"
    with pytest.raises(UsageError, match="T, which a --header uses, is not set"):
        privacy.expand("$T", {})


def test_a_header_is_shown_without_its_value() -> None:
    assert privacy.shown_header("Authorization", "Bearer abc") == "Authorization: ***"
    assert privacy.shown_header("Authorization", "Bearer $T") == "Authorization: Bearer $T"


def test_a_path_below_the_working_directory_is_shown_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shown = privacy.shown_command(["wrk", "-s", str(tmp_path / "load.lua"), "/usr/share/x.lua"])
    assert shown == "wrk -s load.lua /usr/share/x.lua"


def test_what_no_file_may_hold_is_known_and_masked(tmp_path: Path) -> None:
    found = privacy.secrets_of(
        "http://ann:p%40ss@h/x?token=abcd%3D&page=2",
        {"X-Mine": "Bearer $T", "Authorization": "typed-in", "Accept": "text/html"},
        {"T": "from-environment"},
    )
    assert found >= {"p%40ss", "p@ss", "abcd%3D", "abcd=", "from-environment", "typed-in"}
    assert "text/html" not in found
    assert "2" not in found
    log = tmp_path / "server.log"
    log.write_bytes(b"\xff got Bearer from-environment\nand p@ss\n")
    privacy.mask_file(log, found)
    assert log.read_bytes() == b"\xff got Bearer ***\nand ***\n"
