"""The setting `tls`: what it may say, and that each mistake is reported at its place with its remedy."""

from __future__ import annotations

from pathlib import Path

import pytest

from palisade.policy.inventory import Function, InventoryError, Tls
from palisade.policy.inventory_file import parse


def function(tls: str, folder: Path) -> Function:
    text = (
        f"policies: ./policies\nfunctions:\n  hello:\n    upstream: h:1\n    listen: 127.0.0.1:0\n    {tls}\n"
    )
    return parse(text, folder / "palisade.yaml").functions["hello"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "policies").mkdir()
    return tmp_path


def test_without_it_the_sidecar_speaks_plain_http(folder: Path) -> None:
    assert function("", folder).tls is None


def test_every_setting_is_read(folder: Path) -> None:
    assert function("tls: {}", folder).tls == Tls()
    assert Tls().client_certificate == "optional"
    found = function(
        "tls: {certificate: c.pem, key: /k.pem, client_ca: ca.pem, client_certificate: required}", folder
    ).tls
    assert found == Tls(folder / "c.pem", Path("/k.pem"), folder / "ca.pem", "required")


def test_another_tls_is_another_function_so_that_its_sidecar_is_started_anew(folder: Path) -> None:
    plain, secured = function("", folder), function("tls: {}", folder)
    assert plain != secured
    assert secured != function("tls: {client_certificate: required}", folder)
    assert secured == function("tls:  {}", folder)


@pytest.mark.parametrize(
    ("tls", "column", "message", "hint"),
    [
        ("tls: yes", 10, "functions.hello.tls must be a mapping", "`{}`, or one with certificate, client_ca"),
        ("tls: {cert: c}", 11, "unknown key 'cert' in functions.hello.tls", ""),
        (
            "tls: {client_certificate: always}",
            31,
            "functions.hello.tls.client_certificate cannot be always",
            "write one of optional, required, none",
        ),
        (
            "tls: {certificate: c.pem}",
            24,
            "functions.hello.tls.certificate is of no use without functions.hello.tls.key",
            "add the other half: key: ./key.pem; without both, the engine issues one",
        ),
        (
            "tls: {key: k.pem}",
            16,
            "functions.hello.tls.key is of no use without functions.hello.tls.certificate",
            "add the other half: certificate: ./certificate.pem; without both",
        ),
        (
            "tls: {client_ca: ca.pem, client_certificate: none}",
            22,
            "functions.hello.tls.client_ca is of no use where no caller is asked",
            "write client_certificate: optional or required, or leave out client_ca",
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_told_at_its_place(folder: Path, tls: str, column: int, message: str, hint: str) -> None:
    with pytest.raises(InventoryError) as raised:
        function(tls, folder)
    (error,) = raised.value.errors
    assert (error.row, error.col, error.message) == (6, column, message)
    assert hint in error.hint
