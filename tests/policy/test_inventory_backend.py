"""The setting `backend`: what it may say, and that each mistake is reported at its place with its remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from palisade.policy.inventory import InventoryError, OpaSettings
from palisade.policy.inventory_file import parse

FUNCTIONS = "policies: ./policies\nfunctions: {hello: {upstream: h:1, listen: 127.0.0.1:0}}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "policies").mkdir()
    for name in ("token", "ca.pem", "cert.pem", "key.pem"):
        (tmp_path / name).write_text("s3cr3t")
    return tmp_path


def backend(text: str, folder: Path) -> OpaSettings | None:
    return parse(f"{FUNCTIONS}backend: {text}\n", folder / "palisade.yaml").backend


def test_the_embedded_backend_is_the_default(folder: Path) -> None:
    assert parse(FUNCTIONS, folder / "palisade.yaml").backend is None
    assert backend("embedded", folder) is None


def test_every_setting_is_read(folder: Path) -> None:
    assert backend("{opa: http://127.0.0.1:8181}", folder) == OpaSettings("http://127.0.0.1:8181")
    assert backend("{opa: 'https://[::1]/opa/'}", folder) == OpaSettings("https://[::1]/opa")
    everything = (
        "{opa: {url: https://opa:8181, token: token, ca: ca.pem, cert: cert.pem, key: key.pem, timeout: 0.2}}"
    )
    assert backend(everything, folder) == OpaSettings(
        "https://opa:8181",
        folder / "token",
        folder / "ca.pem",
        folder / "cert.pem",
        folder / "key.pem",
        0.2,
    )


@pytest.mark.parametrize(
    ("text", "message", "hint"),
    [
        ("opa", "backend: no backend is called 'opa'", "write embedded, or {opa: http://127.0.0.1:8181}"),
        ("{oppa: http://h}", "unknown key 'oppa' in backend", "did you mean 'opa'?"),
        ("{}", "backend lacks 'opa'", "add opa: http://127.0.0.1:8181"),
        ("{opa: }", "backend.opa must be a URL such as http://127.0.0.1:8181, but is empty", ""),
        ("{opa: [x]}", "backend.opa must be a URL such as http://127.0.0.1:8181, but is something else", ""),
        ("{opa: {token: token}}", "backend.opa lacks 'url'", "add url: http://127.0.0.1:8181"),
        (
            "{opa: 127.0.0.1:8181}",
            "backend.opa: '127.0.0.1:8181' is no URL of a server",
            "write http:// or https://, host and port: http://127.0.0.1:8181",
        ),
        ("{opa: 'http://h:99999'}", "backend.opa: 'http://h:99999' is no URL", None),
        ("{opa: 'http://[::1'}", "backend.opa: 'http://[::1' is no URL", None),
        ("{opa: 'http://h:0'}", "backend.opa: no server is on port 0", None),
        ("{opa: 'http://h?x=1'}", "backend.opa: 'http://h?x=1' is more than a server's address", None),
        (
            "{opa: {url: http://h, timeout: 2}}",
            "backend.opa.timeout must be a number of seconds from 0.01 to 0.9",
            None,
        ),
        ("{opa: {url: http://h, timeout: yes}}", "backend.opa.timeout must be a number of seconds", None),
        ("{opa: {url: http://h, token: nowhere}}", "backend.opa.token: there is no file", None),
        (
            "{opa: {url: http://h, ca: ca.pem}}",
            "backend.opa.ca is for https, but the URL is http://h",
            None,
        ),
        (
            "{opa: {url: https://h, cert: cert.pem}}",
            "backend.opa.cert is of no use without backend.opa.key",
            "add the other half: key: ./engine-key.pem",
        ),
    ],
)
def test_each_mistake_says_what_would_be_right(
    text: str, message: str, hint: str | None, folder: Path
) -> None:
    with pytest.raises(InventoryError) as raised:
        backend(text, folder)
    error = raised.value.errors[0]
    assert error.row == 3
    assert error.message.startswith(message)
    assert hint is None or error.hint == hint


def test_a_password_in_the_url_is_refused_and_not_told(folder: Path) -> None:
    with pytest.raises(InventoryError) as raised:
        backend("{opa: {url: 'http://me:s3cr3t@h'}}", folder)
    (error,) = raised.value.errors
    assert error.message == "backend.opa.url: a URL may hold no password"
    assert "s3cr3t" not in error.message + error.hint
