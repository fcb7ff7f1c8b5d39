"""URIs come apart as Go takes them apart; what each should be was asked of OPA 1.20."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize(
    ("uri", "parts"),
    [
        (
            "HTTPS://u:p@h.example:80/p/a;x?q=1&r=2#f%20g",
            {
                "scheme": "https",
                "hostname": "h.example",
                "port": "80",
                "path": "/p/a;x",
                "raw_path": "/p/a;x",
                "raw_query": "q=1&r=2",
                "fragment": "f g",
            },
        ),
        ("", {}),
        ("//", {}),
        ("*", {"path": "*", "raw_path": "*"}),
        ("///a", {"path": "///a", "raw_path": "///a"}),
        ("mailto:a@b", {"scheme": "mailto"}),
        ("http:?x", {"scheme": "http", "raw_query": "x"}),
        ("/a%2Fb", {"path": "/a/b", "raw_path": "/a%2Fb"}),
        ("/a%20b", {"path": "/a b", "raw_path": "/a b"}),
        ("//[fe80::1%25en0]:8", {"hostname": "fe80::1%en0", "port": "8"}),
        ("//::1", {"hostname": ":", "port": "1"}),
        ("//h%25", {"hostname": "h%"}),
    ],
)
def test_the_parts_that_are_there(call: Any, uri: str, parts: dict[str, str]) -> None:
    assert call("uri.parse", uri) == parts
    assert call("uri.is_valid", uri) is (uri != ""), "OPA's own engine takes none for valid, and parses it"


@pytest.mark.parametrize(
    ("uri", "wrong"),
    [
        (":", "missing protocol scheme"),
        ("1a:b", "first path segment in URL cannot contain colon"),
        ("/\x01", "invalid control character"),
        ("/%zz", 'invalid URL escape "%zz"'),
        ("#%zz", 'invalid URL escape "%zz"'),
        ("//h%41", 'invalid URL escape "%41"'),
        ("//h^", 'invalid character "^" in host name'),
        ("//h:x", 'invalid port ":x" after host'),
        ("http://::1", 'invalid port "::1" after host'),
        ("//[::1", "missing ']' in host"),
        ("//h[", "invalid IP-literal"),
        ("//[x]", "invalid host"),
        ("//u[@h", "invalid userinfo"),
    ],
)
def test_what_is_wrong_is_told(call: Any, fails: Any, uri: str, wrong: str) -> None:
    assert wrong in fails("uri.parse", uri)
    assert call("uri.is_valid", uri) is False


def test_what_is_no_text_is_no_uri(call: Any, fails: Any) -> None:
    assert call("uri.is_valid", 1) is False
    assert "operand 1 must be string" in fails("uri.parse", 1)
