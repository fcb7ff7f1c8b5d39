"""Bytes that are no UTF-8 are those bytes in the sidecar and in the engine."""

from __future__ import annotations

import pytest
from answering import compared
from effort import some
from stand import Sent, Stand

RULES = (
    "input.parsed_path[0] == input.parsed_path[1]",
    "input.parsed_path[0] != input.parsed_path[1]",
    'input.parsed_path[0] == "\ufffd"',
    'input.parsed_path[0] != "\ufffd"',
    'startswith(input.parsed_path[1], "\ufffd")',
    'not startswith(input.parsed_path[1], "é")',
    'endswith(input.parsed_path[1], "x")',
    "count(input.parsed_path[0]) == 1",
    "count(input.parsed_path[1]) < 3",
    'regex.match("^.$", input.parsed_path[0])',
    'not regex.match("^[^x]$", input.parsed_path[1])',
    'concat("/", input.parsed_path) == "é/x"',
    'concat("", input.parsed_path) == "é"',
    'sprintf("%s%s", input.parsed_path) == "é"',
    "contains(input.attributes.request.http.path, input.parsed_path[1])",
    "startswith(input.parsed_path[0], input.parsed_path[1])",
    'input.parsed_path[0] in {"x", "é", "\ufffd"}',
    'not input.parsed_path[1] in {"x", "é", "\ufffd"}',
    'glob.match("?", ["/"], input.parsed_path[0])',
    "input.parsed_path[0] < input.parsed_path[1]",
    "upper(input.parsed_path[0]) == upper(input.parsed_path[1])",
    'input.parsed_path == ["x", "x"]',
    'split(input.attributes.request.http.path, "/")[1] == "x"',
    "input.parsed_query.a[0] == input.parsed_query.b[0]",
    'input.parsed_query.a[0] != "\ufffd"',
    "input.parsed_query.a[0] == input.parsed_path[0]",
    'input.parsed_path[0] == input.attributes.request.http.headers["x-a"]',
    'input.parsed_query.a[0] == input.attributes.request.http.headers["x-a"]',
    'input.attributes.request.http.headers["x-a"] == input.attributes.request.http.headers["x-b"]',
)
PATHS = tuple(
    f"/{one}/{other}"
    for one in ("%FE", "%FF", "%EF%BF%BD", "%C3", "x", "%C3%A9")
    for other in ("%FE", "%EF%BF%BD", "%A9", "x", "%E7%9D")
)
QUERIES = ("?a=%FE&b=%FF", "?a=%FE&b=%FE", "?a=%EF%BF%BD&b=%FE", "?a=x&b=x", "?a=%EF%BF%BD&b=%ef%bf%bd")
SENT = (
    *(Sent(path=path, headers=(("x-a", "x"), ("x-b", "x"))) for path in PATHS),
    *(Sent(path=f"/{one}/x{query}") for one in ("%FE", "x") for query in QUERIES),
)


@pytest.mark.parametrize("rule", some(RULES))
def test_bytes_that_are_no_utf_8_are_no_character(stand: Stand, rule: str) -> None:
    """`%FE` is neither `%FF` nor U+FFFD, and two halves of a character together are it."""
    compared(stand, f"package p\n\ndefault allow := false\n\nallow if {rule}\n", SENT)
