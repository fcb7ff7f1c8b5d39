"""Requests made to take long: what a sender writes costs the sidecar and the engine no more than its length.

Each of them held up Envoy's thread, or the engine, for longer than a stand waits.
"""

from __future__ import annotations

import pytest
from stand import Sent, Stand, in_memory

LONG = 58_000
"""Of what stands in headers and in the path Envoy takes 60 kB."""
SPACES = f"x{' ' * LONG}y"
HEAD = """package p

import input.attributes.request.http

"""
ASKED = (
    ('some name, _ in http.headers; startswith(name, "x-a-")', Sent(headers=(("x-b", SPACES),))),
    ('upper(http.headers["x-b"]) == http.headers["x-c"]', Sent(headers=(("x-b", SPACES),))),
    ('http.method == "PUT"', Sent(path="/" + "?" * LONG)),
    ('http.method == "PUT"', Sent(path="/" + "eyJ" * (LONG // 3))),
    (
        'input.parsed_body.a[0] == "x"',
        Sent("POST", headers=(("content-type", f"multipart/form-data{' ' * LONG}!"),), body=b"--x"),
    ),
    ('units.parse_bytes(http.headers["x-b"]) < 3', Sent(headers=(("x-b", "9" * LONG + ".1.1"),))),
)


@pytest.mark.parametrize(("condition", "request_"), ASKED)
def test_it_is_answered_and_logged(stand: Stand, condition: str, request_: Sent) -> None:
    """In the time that a stand waits for both."""
    stand.enforce(in_memory({"p.rego": f"{HEAD}allow if {{ {condition} }}\n"}), "p/allow")
    assert stand.send(request_).status == 403
    stand.log(1)
